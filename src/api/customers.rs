//! `/v1/customers`

use serde::Deserialize;

use super::{
    call::Call,
    invoices::write::CustomFieldsParams,
    reply::{Problem, Reply},
    route::{At, Route, deleted},
    sources,
    tax_ids::NumberParams,
};
use crate::{
    billing::{
        Amount, Id, MetadataPatch, Refusal, advance, attach, balance,
        balance_transaction::Kind as BalanceKind,
        cancel, card,
        customer::{Customer, InvoiceSettings, NOUN, TaxExempt, check_email},
        dunning,
        invoice_prefix::{self, InvoicePrefix},
        payment_method::{self, PaymentMethod},
        shape::{Address, Patch, Shipping, Text, Unsupported},
        subscribe::{check_payment_method, check_source},
        subscription::Subscription,
        tax_id,
        test_clock::TestClock,
    },
    engine::{Owner, Subject, verb::Decision},
    store::{Fault, books::Needs, list::Condition, read},
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/customers", &NOUN),
        Route::search("/v1/customers/search", &NOUN),
        Route::post("/v1/customers", create, &NOUN),
        Route::retrieve("/v1/customers/{id}", &NOUN),
        Route::post("/v1/customers/{id}", update, &NOUN),
        Route::delete("/v1/customers/{id}", delete, deleted(&NOUN)),
        Route::list_of_customer("/v1/customers/{id}/payment_methods", &payment_method::NOUN),
        Route::retrieve_of_customer("/v1/customers/{id}/payment_methods/{method}", &payment_method::NOUN),
        Route::get("/v1/customers/{id}/discount", no_discount, "discount"),
        Route::delete("/v1/customers/{id}/discount", no_discount, "discount"),
    ]
}

/// What can be said of a customer, at creation and later.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Params {
    address: Patch<Address>,
    balance: Option<Amount>,
    business_name: Patch<Text<150>>,
    description: Patch<String>,
    email: Patch<Text<512>>,
    individual_name: Patch<Text<150>>,
    invoice_prefix: Option<Text<12>>,
    invoice_settings: Option<InvoiceSettingsParams>,
    metadata: MetadataPatch,
    name: Patch<Text<256>>,
    next_invoice_sequence: Option<i64>,
    phone: Patch<Text<20>>,
    preferred_locales: Option<Vec<String>>,
    shipping: Patch<Shipping>,
    tax_exempt: Patch<TaxExempt>,
    /// A token of a card (`tok_visa`): it becomes the default.
    source: Option<String>,
    /// One of the customer's payment methods, in the old view.
    default_source: Option<Id<PaymentMethod>>,
    validate: Option<bool>,
    // At creation only.
    payment_method: Option<String>,
    tax_id_data: Option<Vec<NumberParams>>,
    test_clock: Option<Id<TestClock>>,
    // Not yet.
    cash_balance: Option<Unsupported>,
    tax: Option<Unsupported>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct InvoiceSettingsParams {
    custom_fields: Patch<CustomFieldsParams>,
    default_payment_method: Patch<Id<PaymentMethod>>,
    footer: Patch<String>,
    rendering_options: Option<Unsupported>,
}

impl Params {
    fn check(&self) -> Result<(), Refusal> {
        if let Patch::Set(Text(email)) = &self.email {
            check_email(email)?;
        }
        if let Some(Text(prefix)) = &self.invoice_prefix
            && (prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()))
        {
            let message = "Invalid invoice_prefix: it must be 1-12 uppercase letters or numbers.";
            return Err(Refusal::invalid(message).param("invoice_prefix"));
        }
        if self.payment_method.is_some() && self.source.is_some() {
            return Err(Refusal::exclusive(&["payment_method", "source"]).param("source"));
        }
        if self.next_invoice_sequence.is_some_and(|next| !(1..=1_000_000_000).contains(&next)) {
            return Err(Refusal::below(1).param("next_invoice_sequence"));
        }
        Ok(())
    }

    /// Whose a prefix is that is chosen.
    fn need_prefix(&self, livemode: bool, needs: &mut Needs) {
        self.invoice_prefix.iter().for_each(|Text(prefix)| needs.document(&Id::<InvoicePrefix>::of(prefix, livemode)));
    }

    /// The customer with the parameters applied.
    fn apply(self, customer: Customer) -> Result<Customer, Refusal> {
        let settings = self.invoice_settings.unwrap_or_default();
        if self.next_invoice_sequence.is_some_and(|next| next < customer.next_invoice_sequence) {
            let message = format!("next_invoice_sequence must be at least {}.", customer.next_invoice_sequence);
            return Err(Refusal::invalid(message).param("next_invoice_sequence"));
        }
        Ok(Customer {
            address: self.address.over(customer.address),
            business_name: self.business_name.map(String::from).over(customer.business_name),
            default_source: self.default_source.or(customer.default_source),
            description: self.description.over(customer.description),
            email: self.email.map(String::from).over(customer.email),
            individual_name: self.individual_name.map(String::from).over(customer.individual_name),
            invoice_prefix: self.invoice_prefix.map_or(customer.invoice_prefix, String::from),
            invoice_settings: InvoiceSettings {
                default_payment_method: settings
                    .default_payment_method
                    .over(customer.invoice_settings.default_payment_method),
                custom_fields: settings.custom_fields.map(Vec::from).over(customer.invoice_settings.custom_fields),
                footer: settings.footer.over(customer.invoice_settings.footer),
                ..customer.invoice_settings
            },
            metadata: self.metadata.apply(customer.metadata)?,
            name: self.name.map(String::from).over(customer.name),
            next_invoice_sequence: self.next_invoice_sequence.unwrap_or(customer.next_invoice_sequence),
            phone: self.phone.map(String::from).over(customer.phone),
            preferred_locales: self.preferred_locales.unwrap_or(customer.preferred_locales),
            shipping: self.shipping.over(customer.shipping),
            tax_exempt: self.tax_exempt.over(Some(customer.tax_exempt)).unwrap_or(TaxExempt::None),
            ..customer
        })
    }
}

async fn create(call: Call, mut params: Params) -> Reply {
    params.check()?;
    Refusal::if_any_sent(&[("default_source", params.default_source.is_some())])?;
    let numbers = params.tax_id_data.take().unwrap_or_default().into_iter().map(NumberParams::check);
    let numbers = numbers
        .enumerate()
        .map(|(place, number)| number.map_err(|refusal| refusal.within(&format!("tax_id_data[{place}]"))));
    let numbers = numbers.collect::<Result<Vec<_>, Refusal>>()?;
    let livemode = call.livemode();
    let mut needs = Needs::default();
    params.test_clock.iter().for_each(|clock| needs.document(clock));
    params.need_prefix(livemode, &mut needs);
    let source = match (&params.payment_method, &params.source) {
        (Some(id), _) => Some(sources::named(&call, id).await?),
        (None, Some(token)) => Some(sources::legacy(&call, token).await?),
        (None, None) => None,
    };
    if let Some(source) = &source {
        sources::verify(&call, source).await?;
        source.needs(&mut needs);
    }
    let verb = Decision::new(Owner::Nobody, needs, move |books, at| {
        if let Some(clock) = &params.test_clock {
            // Whatever lives on a clock is made at its time.
            at.now = books.find(clock, "test_clock")?.frozen_time;
        }
        let bucket = at.ids.bucket();
        let (test_clock, named) = (params.test_clock.clone(), params.payment_method.clone());
        let balance = params.balance.unwrap_or_default();
        let chosen = params.invoice_prefix.is_some();
        let mut customer = params.apply(Customer::new(&mut at.ids, bucket, livemode, at.now))?;
        customer.test_clock = test_clock;
        if chosen {
            invoice_prefix::claim(books, &customer, at)?;
        }
        let id = customer.id.clone();
        // Attached first: a new customer may name it as its default in the same breath.
        let (mut default, mut source_brought) = (customer.invoice_settings.default_payment_method.take(), None);
        books.put(customer).tell("customer.created", at);
        for number in numbers {
            tax_id::give(books, number, at)?;
        }
        balance::set(books, balance, BalanceKind::Initial, at)?;
        if let Some(source) = source {
            let method = source.place(books, bucket, at)?;
            attach::attach(books, &method, at)?;
            // A shared test name stands for the same method both times.
            if named.is_some() && named.as_deref() == default.as_ref().map(Id::as_str) {
                default = Some(method.clone());
            }
            if named.is_none() {
                card::tell(books, &method, "customer.source.created", None, at);
                source_brought = Some(method);
            }
        }
        if let Some(method) = &default {
            check_payment_method(books, method, &id, "invoice_settings[default_payment_method]")?;
        }
        let mut customer = books.customer()?.clone();
        customer.invoice_settings.default_payment_method = default;
        customer.default_source = source_brought;
        books.put(customer);
        books.retell(&id, "customer.created");
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn update(At(id): At<String>, call: Call, params: Params) -> Reply {
    params.check()?;
    let source = match &params.source {
        Some(token) => Some(sources::legacy(&call, token).await?),
        None => None,
    };
    if let Some(source) = &source {
        sources::verify(&call, source).await?;
    }
    Refusal::if_any_sent(&[
        ("payment_method", params.payment_method.is_some()),
        ("tax_id_data", params.tax_id_data.is_some()),
        ("test_clock", params.test_clock.is_some()),
    ])?;
    let id: Id<Customer> = Id::given(id);
    let mut needs = Needs::default();
    source.iter().for_each(|source| source.needs(&mut needs));
    params.need_prefix(call.livemode(), &mut needs);
    let verb = Decision::new(Owner::Customer(id.clone()), needs, move |books, at| {
        let customer = books.at_path(&id)?.clone();
        let (balance, prefix) = (params.balance.unwrap_or(customer.balance), customer.invoice_prefix.clone());
        let mut changed = params.apply(customer)?;
        if changed.invoice_prefix != prefix {
            invoice_prefix::claim(books, &changed, at)?;
        }
        let brought = source.map(|source| source.place(books, id.bucket(), at)).transpose()?;
        if let Some(method) = &brought {
            attach::attach(books, method, at)?;
            card::tell(books, method, "customer.source.created", None, at);
            changed.default_source = Some(method.clone());
        }
        if let Some(source) = &changed.default_source {
            check_source(books, source, &id)?;
        }
        if let Some(method) = &changed.invoice_settings.default_payment_method {
            check_payment_method(books, method, &id, "invoice_settings[default_payment_method]")?;
        }
        books.put(changed);
        balance::set(books, balance, BalanceKind::Adjustment, at)?;
        books.tell(&id, "customer.updated", at);
        if brought.is_some() {
            dunning::try_latest(books, at)?;
        }
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn delete(At(id): At<String>, call: Call) -> Reply {
    let id: Id<Customer> = Id::given(id);
    let verb = Decision::new(Owner::Customer(id.clone()), Needs::default(), move |books, at| {
        books.at_path(&id)?;
        if advance::is_asking(books) {
            return Err(cancel::busy());
        }
        for subscription in books.all::<Subscription>() {
            subscription.check_free("subscription")?;
        }
        cancel::delete_customer(books, at)?;
        Ok(Subject::deleted(&id))
    });
    call.run(&NOUN, verb).await
}

/// Whether the path names something of the customer that it names.
pub async fn check_owner(call: &Call, noun: &crate::billing::Noun, customer: &str, id: &str) -> Result<(), Problem> {
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::find(&mut reader, noun, id, call.livemode()).await?;
    let found: Option<Owned> = body.map(|body| serde_json::from_str(&body)).transpose().map_err(Fault::from)?;
    match found.and_then(|found| found.customer) {
        Some(owner) if owner == customer => Ok(()),
        _ => Err(Refusal::not_found(noun, id).into()),
    }
}

/// What anything of a customer says about it.
#[derive(Deserialize)]
struct Owned {
    customer: Option<String>,
}

/// The lists under a customer are those of the noun, narrowed.
pub async fn narrowed(call: Call, noun: &'static crate::billing::Noun, id: String) -> Reply {
    let mut reader = call.house.engine.store.reader().await?;
    if read::find(&mut reader, &NOUN, &id, call.livemode()).await?.is_none() {
        return Err(Refusal::not_found(&NOUN, &id).param("customer").into());
    }
    drop(reader);
    call.list_where(noun, vec![Condition::Text("customer", id)]).await
}

/// There are no discounts yet, so no customer has one.
async fn no_discount(At(id): At<String>, call: Call) -> Reply {
    let mut reader = call.house.engine.store.reader().await?;
    if read::find(&mut reader, &NOUN, &id, call.livemode()).await?.is_none() {
        return Err(Refusal::not_found(&NOUN, &id).into());
    }
    let message = format!("No active discount for customer: {id}");
    Err(Refusal::invalid(message).code("resource_missing").status(404).into())
}
