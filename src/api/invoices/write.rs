//! Creating and updating invoices.

use serde::Deserialize;

use super::{
    super::{
        call::Call,
        method_options::{InvoiceCardParams, MethodOptions},
        reply::Reply,
        route::At,
    },
    items_of,
};
use crate::{
    billing::{
        Currency, Id, MetadataPatch, Refusal, Timestamp,
        checkout::session::check_invoice,
        customer::Customer,
        draft::{self, Details, NewInvoice, PendingItems},
        invoice::{CustomField, Invoice, NOUN},
        payment_method::{self, PaymentMethod},
        revise::{self, FromInvoice, Relation},
        shape::{Patch, Text, Unsupported, Untaxed},
        subscription::{CollectionMethod, Subscription},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::{Needs, peek},
};

const MAXIMUM_CUSTOM_FIELDS: usize = 4;

/// What can be said of an invoice, at creation and later.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Params {
    auto_advance: Option<bool>,
    automatically_finalizes_at: Option<Timestamp>,
    collection_method: Option<CollectionMethod>,
    custom_fields: Patch<CustomFieldsParams>,
    days_until_due: Option<i64>,
    default_payment_method: Patch<Id<PaymentMethod>>,
    default_source: Patch<Id<PaymentMethod>>,
    description: Patch<Text<1500>>,
    due_date: Patch<Timestamp>,
    effective_at: Patch<Timestamp>,
    footer: Patch<Text<5000>>,
    metadata: MetadataPatch,
    number: Patch<Text<26>>,
    payment_settings: Option<PaymentSettingsParams>,
    statement_descriptor: Patch<Text<22>>,
    // At creation only.
    currency: Option<Currency>,
    customer: Option<Id<Customer>>,
    from_invoice: Option<FromInvoiceParams>,
    pending_invoice_items_behavior: Option<PendingItems>,
    subscription: Option<Id<Subscription>>,
    // Known, and refused rather than ignored.
    account_tax_ids: Option<Unsupported>,
    application_fee_amount: Option<Unsupported>,
    automatic_tax: Option<Untaxed>,
    customer_account: Option<Unsupported>,
    default_tax_rates: Option<Unsupported>,
    discounts: Option<Unsupported>,
    issuer: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    rendering: Option<Unsupported>,
    shipping_cost: Option<Unsupported>,
    shipping_details: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
}

#[derive(Clone, Debug, Deserialize)]
struct FromInvoiceParams {
    action: Relation,
    invoice: Id<Invoice>,
}

/// As many as an invoice has room for.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Vec<CustomFieldParams>")]
pub struct CustomFieldsParams(Vec<CustomField>);

#[derive(Clone, Debug, Deserialize)]
struct CustomFieldParams {
    name: Text<40>,
    value: Text<140>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PaymentSettingsParams {
    payment_method_options: Patch<MethodOptions<InvoiceCardParams>>,
    payment_method_types: Patch<Vec<payment_method::Kind>>,
    // Known, and refused rather than ignored.
    default_mandate: Option<Unsupported>,
}

impl TryFrom<Vec<CustomFieldParams>> for CustomFieldsParams {
    type Error = String;

    fn try_from(fields: Vec<CustomFieldParams>) -> Result<Self, String> {
        if fields.len() > MAXIMUM_CUSTOM_FIELDS {
            return Err(format!("Array items exceeded maximum {MAXIMUM_CUSTOM_FIELDS} allowed elements."));
        }
        let field = |field: CustomFieldParams| CustomField { name: field.name.into(), value: field.value.into() };
        Ok(CustomFieldsParams(fields.into_iter().map(field).collect()))
    }
}

impl From<CustomFieldsParams> for Vec<CustomField> {
    fn from(fields: CustomFieldsParams) -> Vec<CustomField> {
        fields.0
    }
}

impl Params {
    fn details(self) -> Details {
        let payment = self.payment_settings.unwrap_or_default();
        Details {
            auto_advance: self.auto_advance,
            automatically_finalizes_at: self.automatically_finalizes_at,
            collection_method: self.collection_method,
            custom_fields: self.custom_fields.map(Vec::from),
            days_until_due: self.days_until_due,
            default_payment_method: self.default_payment_method,
            default_source: self.default_source,
            description: self.description.map(String::from),
            due_date: self.due_date,
            effective_at: self.effective_at,
            footer: self.footer.map(String::from),
            metadata: self.metadata,
            number: self.number.map(String::from),
            payment_method_types: payment.payment_method_types,
            request_three_d_secure: payment.payment_method_options.map(|options| options.request_three_d_secure()),
            statement_descriptor: self.statement_descriptor.map(String::from),
        }
    }
}

/// A one-off invoice, as a draft.
pub async fn create(call: Call, params: Params) -> Reply {
    if let Some(from) = params.from_invoice.clone() {
        return revise(call, FromInvoice { action: from.action, invoice: from.invoice }, params).await;
    }
    let customer = params.customer.clone().ok_or_else(|| Refusal::missing("customer"))?;
    let mut needs = Needs::default();
    // One that has ended is not in the standing set; what waits for it can be billed all the same.
    params.subscription.iter().for_each(|subscription| needs.document(subscription));
    let new = NewInvoice {
        customer: customer.clone(),
        currency: params.currency,
        pending_items: params.pending_invoice_items_behavior.unwrap_or(PendingItems::Exclude),
        subscription: params.subscription.clone(),
        details: params.details(),
    };
    let verb = Decision::new(Owner::Customer(customer), needs, move |books, at| {
        let id = draft::create(books, new, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

/// A draft that says what an open invoice says.
async fn revise(call: Call, from: FromInvoice, params: Params) -> Reply {
    let others = [
        ("currency", params.currency.is_some()),
        ("customer", params.customer.is_some()),
        ("pending_invoice_items_behavior", params.pending_invoice_items_behavior.is_some()),
        ("subscription", params.subscription.is_some()),
    ];
    if let Some((other, _)) = others.iter().find(|(_, sent)| *sent) {
        return Err(Refusal::exclusive(&["from_invoice", other]).param(*other).into());
    }
    let mut needs = items_of(&call, &from.invoice).await?;
    let original = peek(&mut *call.house.engine.store.reader().await?, &from.invoice).await?;
    // One that has ended is not in the standing set.
    original.iter().filter_map(Invoice::subscription).for_each(|subscription| needs.document(subscription));
    let details = params.details();
    let verb = Decision::new(Owner::of(&from.invoice), needs, move |books, at| {
        let id = revise::revise(books, from, details, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

/// Drafts take all of it; what is finalised only what its freeze leaves open.
pub async fn update(At(id): At<String>, call: Call, params: Params) -> Reply {
    Refusal::if_any_sent(&[
        ("currency", params.currency.is_some()),
        ("customer", params.customer.is_some()),
        ("from_invoice", params.from_invoice.is_some()),
        ("pending_invoice_items_behavior", params.pending_invoice_items_behavior.is_some()),
        ("subscription", params.subscription.is_some()),
    ])?;
    let id: Id<Invoice> = Id::given(id);
    let details = params.details();
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        check_invoice(books, &id)?;
        draft::update(books, &id, details, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
