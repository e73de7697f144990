//! A wish to be paid on a page of ours, and how far it has come.

use serde::{Deserialize, Serialize};

use super::{
    asks::{Consent, ConsentCollection, CustomField, CustomText},
    item::{self, LineItem},
};
use crate::billing::{
    Amount, Books, Currency, Id, Metadata, Noun, Refusal, Resource, Timestamp,
    anchor::AnchorConfig,
    balance_transaction::BalanceTransaction,
    cancel::busy,
    customer::{self, Customer, CustomerTaxId, TaxExempt},
    describe,
    id::{Bucket, Ids},
    invoice::{self, CustomField as InvoiceField, Invoice, Issuer},
    invoice_item::InvoiceItem,
    method_options::SessionOptions,
    method_types::MethodType,
    noun::{By, Cell, Keyed, Link, Target, Word, filter, null, one, text, word},
    payment_intent::{self, CaptureMethod, PaymentIntent, SetupFutureUsage},
    pending_interval::PendingInterval,
    setup_intent::{self, SetupIntent},
    shape::{Address, Nothing, Null, Shipping},
    subscription::{self, BillingMode, InvoiceSettings, Subscription, TrialSettings},
    test_clock::TestClock,
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "checkout.session",
    prefix: "cs_test_",
    table: "checkout_sessions",
    url: "/v1/checkout/sessions",
    name: "checkout.session",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[
        text("customer"),
        text("test_clock"),
        text("status"),
        text("email"),
        text("payment_intent"),
        text("subscription"),
    ],
    filters: &[
        filter("customer", By::Text("customer")),
        filter("customer_details[email]", By::Text("email")),
        filter("payment_intent", By::Text("payment_intent")),
        filter("status", By::Word { column: "status", words: STATUSES }),
        filter("subscription", By::Text("subscription")),
        filter("customer_account", By::NotSupportedYet),
        filter("payment_link", By::NotSupportedYet),
    ],
    links: &[
        one("customer", &customer::NOUN),
        one("invoice", &invoice::NOUN),
        one("payment_intent", &payment_intent::NOUN),
        one("setup_intent", &setup_intent::NOUN),
        one("subscription", &subscription::NOUN),
        null("discounts"),
        null("payment_link"),
        null("shipping_cost.shipping_rate"),
        null("total_details.breakdown"),
        Link {
            path: "line_items",
            to: Target::Within {
                noun: &item::NOUN,
                name: "line_items",
                query: "/v1/checkout/sessions/{id}/line_items",
            },
        },
    ],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<Session>,
};

const STATUSES: &[Word] = &[word(&["complete"]), word(&["expired"]), word(&["open"])];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    pub id: Id<Session>,
    pub object: Tag,
    pub adaptive_pricing: Null,
    pub after_expiration: Null,
    pub allow_promotion_codes: Null,
    pub allowed_payment_method_types: Option<Vec<MethodType>>,
    /// Null in setup mode.
    pub amount_subtotal: Option<Amount>,
    pub amount_total: Option<Amount>,
    pub automatic_tax: AutomaticTax,
    pub billing_address_collection: Option<AddressCollection>,
    pub cancel_url: Option<String>,
    pub client_reference_id: Option<String>,
    pub client_secret: Null,
    pub collected_information: Null,
    pub consent: Option<Consent>,
    pub consent_collection: Option<ConsentCollection>,
    pub created: Timestamp,
    pub currency: Option<Currency>,
    pub currency_conversion: Null,
    pub custom_fields: Vec<CustomField>,
    pub custom_text: CustomText,
    pub customer: Option<Id<Customer>>,
    pub customer_account: Null,
    pub customer_creation: Option<CustomerCreation>,
    pub customer_details: Option<CustomerDetails>,
    pub customer_email: Option<String>,
    pub discounts: Null,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excluded_payment_method_types: Option<Vec<MethodType>>,
    pub expires_at: Timestamp,
    pub integration_identifier: Option<String>,
    pub invoice: Option<Id<Invoice>>,
    pub invoice_creation: Option<InvoiceCreation>,
    pub livemode: bool,
    pub locale: Option<String>,
    pub managed_payments: Null,
    pub metadata: Metadata,
    pub mode: Mode,
    pub origin_context: Option<OriginContext>,
    /// In payment mode, from the first attempt on.
    pub payment_intent: Option<Id<PaymentIntent>>,
    pub payment_link: Null,
    pub payment_method_collection: Option<MethodCollection>,
    pub payment_method_configuration_details: Null,
    pub payment_method_options: SessionOptions,
    pub payment_method_types: Vec<String>,
    pub payment_status: PaymentStatus,
    pub permissions: Null,
    pub phone_number_collection: Collecting,
    pub recovered_from: Null,
    pub saved_payment_method_options: Null,
    /// In setup mode.
    pub setup_intent: Option<Id<SetupIntent>>,
    pub shipping_address_collection: Null,
    pub shipping_cost: Null,
    pub shipping_options: Nothing,
    pub status: Status,
    pub submit_type: Option<SubmitType>,
    pub subscription: Option<Id<Subscription>>,
    pub success_url: String,
    pub total_details: Option<TotalDetails>,
    pub ui_mode: UiMode,
    /// Only as long as it can be completed.
    pub url: Option<String>,
    pub wallet_options: Null,
    pub internal: Internal,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "checkout.session")]
    Session,
}

/// What only we need to know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Internal {
    pub line_items: Vec<LineItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_clock: Option<Id<TestClock>>,
    /// The processor is being asked: until it answers nothing else happens to the session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paying: bool,
    /// What was begun for it and waits for the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pursuit: Option<Pursuit>,
    /// Its customer was made for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub brought_customer: bool,
    /// What the customer's name on the page does to the customer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub saves_name: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentWish>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionWish>,
}

/// What was begun for a session: another attempt goes on with it, or takes it back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pursuit {
    Payment(Payment),
    Setup(Id<SetupIntent>),
}

/// A payment, and what must be at hand to take it back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Payment {
    pub intent: Id<PaymentIntent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invoice_items: Vec<Id<InvoiceItem>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_transaction: Option<Id<BalanceTransaction>>,
}

impl Payment {
    pub fn of(intent: &PaymentIntent) -> Payment {
        Payment {
            intent: intent.id.clone(),
            invoice_items: intent.internal.invoice_items.clone(),
            balance_transaction: intent.internal.balance_transaction.clone(),
        }
    }
}

/// `payment_intent_data`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentWish {
    pub capture_method: CaptureMethod,
    #[serde(default)]
    pub description: Option<String>,
    pub metadata: Metadata,
    #[serde(default)]
    pub receipt_email: Option<String>,
    #[serde(default)]
    pub setup_future_usage: Option<SetupFutureUsage>,
    #[serde(default)]
    pub shipping: Option<Shipping>,
    #[serde(default)]
    pub statement_descriptor: Option<String>,
    #[serde(default)]
    pub statement_descriptor_suffix: Option<String>,
}

/// `subscription_data`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubscriptionWish {
    #[serde(default)]
    pub anchor: Option<Timestamp>,
    #[serde(default)]
    pub anchor_config: Option<AnchorConfig>,
    pub billing_mode: BillingMode,
    #[serde(default)]
    pub description: Option<String>,
    pub free_of_prorations: bool,
    pub invoice_settings: InvoiceSettings,
    pub metadata: Metadata,
    #[serde(default)]
    pub pending_interval: Option<PendingInterval>,
    #[serde(default)]
    pub trial_days: Option<i64>,
    #[serde(default)]
    pub trial_end: Option<Timestamp>,
    pub trial_settings: TrialSettings,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AutomaticTax {
    pub enabled: bool,
    pub liability: Null,
    pub provider: Null,
    pub status: Null,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Collecting {
    pub enabled: bool,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct TotalDetails {
    pub amount_discount: Amount,
    pub amount_shipping: Option<Amount>,
    pub amount_tax: Amount,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CustomerDetails {
    pub address: Option<Address>,
    pub business_name: Option<String>,
    pub email: Option<String>,
    pub individual_name: Option<String>,
    pub name: Option<String>,
    pub phone: Option<String>,
    pub tax_exempt: Option<TaxExempt>,
    pub tax_ids: Option<Vec<CustomerTaxId>>,
}

impl CustomerDetails {
    /// What is known of somebody by their e-mail address only.
    pub fn by_email(email: Option<String>) -> CustomerDetails {
        CustomerDetails {
            address: None,
            business_name: None,
            email,
            individual_name: None,
            name: None,
            phone: None,
            tax_exempt: Some(TaxExempt::None),
            tax_ids: None,
        }
    }
}

/// `invoice_creation`: in payment mode an invoice can be made of what was paid.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InvoiceCreation {
    pub enabled: bool,
    pub invoice_data: InvoiceData,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct InvoiceData {
    pub account_tax_ids: Null,
    pub custom_fields: Option<Vec<InvoiceField>>,
    pub description: Option<String>,
    pub footer: Option<String>,
    pub issuer: Option<Issuer>,
    pub metadata: Option<Metadata>,
    pub rendering_options: Null,
}

words!(AddressCollection { Auto = "auto", Required = "required" });
words!(CustomerCreation { Always = "always", IfRequired = "if_required" });
words!(MethodCollection { Always = "always", IfRequired = "if_required" });
words!(Mode { Payment = "payment", Setup = "setup", Subscription = "subscription" });
words!(OriginContext { MobileApp = "mobile_app", Web = "web" });
words!(PaymentStatus { NoPaymentRequired = "no_payment_required", Paid = "paid", Unpaid = "unpaid" });
words!(Status { Complete = "complete", Expired = "expired", Open = "open" });
words!(SubmitType { Auto = "auto", Book = "book", Donate = "donate", Pay = "pay", Subscribe = "subscribe" });
words!(UiMode { Elements = "elements", EmbeddedPage = "embedded_page", Form = "form", HostedPage = "hosted_page" });

/// How many characters of chance the id of a session has: who knows it can see the page.
const CHANCE: usize = 34;

impl Session {
    /// A new id, that nobody can guess: the address of the page holds nothing else.
    pub fn new_id(ids: &mut Ids, bucket: Bucket, livemode: bool) -> Id<Session> {
        let mut id = ids.next(&NOUN.prefix_in(livemode), bucket);
        let bucket = id.split_off(id.len() - 2);
        Id::given(format!("{id}{}{bucket}", ids.secret(CHANCE)))
    }

    /// Its page, for a server that is reached at this address.
    pub fn page(&self, address: &str) -> String {
        format!("{address}/checkout/{}", self.id)
    }

    /// Where its customer goes when all is done.
    pub fn success_url(&self) -> String {
        self.success_url.replace("{CHECKOUT_SESSION_ID}", self.id.as_str())
    }

    /// Whether a payment method is asked for, if `due` is due now.
    pub fn needs_method(&self, due: bool) -> bool {
        due || self.mode == Mode::Setup
            || self.mode == Mode::Subscription && self.payment_method_collection != Some(MethodCollection::IfRequired)
    }

    /// Whether it may keep a card without charging it.
    pub fn keeps_card(&self) -> bool {
        self.mode != Mode::Payment
    }

    /// Whether completing it makes a customer, where there is none.
    pub fn makes_customer(&self) -> bool {
        self.mode == Mode::Subscription || self.customer_creation == Some(CustomerCreation::Always)
    }

    /// Whether an invoice is made of what is paid.
    pub fn makes_invoice(&self) -> bool {
        self.invoice_creation.as_ref().is_some_and(|creation| creation.enabled)
    }

    /// Refuses unless it can still be completed, and nobody is at it right now. `what` it can be: `changed`.
    pub fn check_open(&self, what: &str) -> Result<(), Refusal> {
        match self.status {
            Status::Open if self.internal.paying => Err(busy()),
            Status::Open => Ok(()),
            Status::Complete | Status::Expired => Err(Refusal::invalid(format!(
                "Only Checkout Sessions with a status in [\"open\"] can be {what}. This Checkout Session has a status of {}.",
                self.status
            ))),
        }
    }

    /// What its customer has begun, or what a setup begins with.
    pub fn begun(&self) -> Option<Pursuit> {
        self.internal.pursuit.clone().or_else(|| self.setup_intent.clone().map(Pursuit::Setup))
    }
}

impl Resource for Session {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        let email = self.customer_details.as_ref().and_then(|details| details.email.as_ref());
        vec![
            Cell::maybe(self.customer.as_ref()),
            Cell::maybe(self.internal.test_clock.as_ref()),
            Cell::text(self.status),
            Cell::maybe(email),
            Cell::maybe(self.payment_intent.as_ref()),
            Cell::maybe(self.subscription.as_ref()),
        ]
    }

    fn due(&self) -> Option<Timestamp> {
        (self.status == Status::Open && !self.internal.paying).then_some(self.expires_at)
    }

    fn check(&self) -> Result<(), &'static str> {
        if (self.status == Status::Open) != self.url.is_some() {
            return Err("checkout.session: it has a page exactly as long as it is open");
        }
        if self.status == Status::Expired && self.payment_status == PaymentStatus::Paid {
            return Err("checkout.session: expired, yet paid");
        }
        Ok(())
    }
}

impl Subscription {
    /// Refuses what would change a subscription, or an invoice of one, that a session has yet to complete.
    pub fn check_free(&self, what: &str) -> Result<(), Refusal> {
        let Some(session) = &self.internal.checkout else { return Ok(()) };
        let message = format!(
            "You cannot change this {what} because it was created by the Checkout Session {session}, which has not been \
             completed. Expire the session instead."
        );
        Err(Refusal::invalid(message))
    }
}

/// Refuses what would change an invoice whose subscription a session has yet to complete.
pub fn check_invoice(books: &Books, invoice: &Id<Invoice>) -> Result<(), Refusal> {
    let subscription = books.get(invoice).and_then(Invoice::subscription).and_then(|id| books.get(id));
    subscription.map_or(Ok(()), |subscription| subscription.check_free("invoice"))
}
