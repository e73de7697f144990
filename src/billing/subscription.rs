//! Something bought again and again. An aggregate: its items live in it.

mod item;

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::{
    Currency, Id, Metadata, Noun, Refusal, Resource, Timestamp,
    anchor::AnchorConfig,
    books::Withheld,
    card,
    checkout::Session,
    customer::{self, Customer},
    describe,
    invoice::{self, Invoice},
    method_options::{OptionsOf, SubscriptionCard},
    noun::{
        By, Cell, Inline, Keyed, Link, Meaning, Part, Target, Word, boolean, filter, integer, json, null, one, text,
        word,
    },
    pause::StatusDetails,
    pause_collection::PauseCollection,
    payment_method::{self, PaymentMethod},
    pending_interval::PendingInterval,
    pending_update::{Held, PendingUpdate},
    period::Period,
    plan, price,
    prorate::Billed,
    resume::Resuming,
    searchable::{CREATED, METADATA, Stand, number, token},
    setup_intent::{self, SetupIntent},
    shape::{Inlined, Nothing, Null},
    subscription_schedule::{self, SubscriptionSchedule},
    test_clock::{self, TestClock},
    upcoming::Upcoming,
};
use crate::words;

pub use item::{ITEM_NOUN, Item, ItemTag};

pub static NOUN: Noun = Noun {
    object: "subscription",
    prefix: "sub_",
    table: "subscriptions",
    url: "/v1/subscriptions",
    name: "subscription",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[
        text("customer"),
        text("test_clock"),
        text("status"),
        text("collection_method"),
        integer("current_period_start"),
        integer("current_period_end"),
        boolean("standing"),
        integer("canceled_at"),
        json("metadata"),
        json("periods"),
    ],
    filters: &[
        filter("customer", By::Text("customer")),
        filter("test_clock", By::Text("test_clock")),
        filter("status", By::Word { column: "status", words: STATUS_FILTER }),
        filter("collection_method", By::Word { column: "collection_method", words: COLLECTION_METHODS }),
        filter("current_period_start", By::ItemPeriod { column: "current_period_start", member: "start" }),
        filter("current_period_end", By::ItemPeriod { column: "current_period_end", member: "end" }),
        filter("price", By::ItemPrice),
        filter("plan", By::ItemPrice),
        filter("automatic_tax", By::NotSupportedYet),
        filter("customer_account", By::NotSupportedYet),
    ],
    links: &[
        one("customer", &customer::NOUN),
        one("default_payment_method", &payment_method::NOUN),
        one("default_source", &card::NOUN),
        one("latest_invoice", &invoice::NOUN),
        one("pending_setup_intent", &setup_intent::NOUN),
        one("schedule", &subscription_schedule::NOUN),
        one("test_clock", &test_clock::NOUN),
        null("application"),
        null("automatic_tax.liability.account"),
        null("default_tax_rates"),
        null("discounts"),
        null("invoice_settings.account_tax_ids"),
        null("items.data.discounts"),
        null("items.data.tax_rates"),
        null("on_behalf_of"),
        null("pending_update.discounts"),
        null("transfer_data.destination"),
        Link { path: "items.data.plan", to: Target::Inline(&plan::NOUN) },
        Link { path: "items.data.price", to: Target::Inline(&price::NOUN) },
    ],
    inlines: &[
        Inline { parents: "items.data", key: "price", with_plan: true },
        Inline { parents: "pending_update.subscription_items", key: "price", with_plan: true },
    ],
    previews: &[],
    searchable: &[CREATED, number("canceled_at"), METADATA, token("status", Stand::Word("status"))],
    document: describe::shape_of::<Subscription>,
};

/// The `status` filter of the list (listing rules); the first word is the default.
const STATUS_FILTER: &[Word] = &[
    ("", Meaning::OneOf(&["active", "past_due", "unpaid", "incomplete", "trialing", "paused"])),
    word(&["active"]),
    word(&["past_due"]),
    word(&["unpaid"]),
    word(&["canceled"]),
    word(&["incomplete"]),
    word(&["incomplete_expired"]),
    word(&["trialing"]),
    word(&["paused"]),
    ("all", Meaning::Anything),
    ("ended", Meaning::OneOf(&["canceled", "incomplete_expired"])),
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subscription {
    pub id: Id<Subscription>,
    pub object: Tag,
    pub application: Null,
    pub application_fee_percent: Null,
    pub automatic_tax: AutomaticTax,
    pub billing_cycle_anchor: Timestamp,
    pub billing_cycle_anchor_config: Option<AnchorConfig>,
    pub billing_mode: BillingMode,
    pub billing_schedules: Nothing,
    pub billing_thresholds: Null,
    pub cancel_at: Option<Timestamp>,
    pub cancel_at_period_end: bool,
    pub canceled_at: Option<Timestamp>,
    pub cancellation_details: CancellationDetails,
    pub collection_method: CollectionMethod,
    pub created: Timestamp,
    pub currency: Currency,
    pub customer: Id<Customer>,
    pub customer_account: Null,
    pub days_until_due: Option<i64>,
    pub default_payment_method: Option<Id<PaymentMethod>>,
    /// A card, named in the old way.
    pub default_source: Option<Id<PaymentMethod>>,
    pub default_tax_rates: Nothing,
    pub description: Option<String>,
    pub discounts: Nothing,
    pub ended_at: Option<Timestamp>,
    pub invoice_settings: InvoiceSettings,
    pub items: Inlined<Item>,
    pub latest_invoice: Option<Id<Invoice>>,
    pub livemode: bool,
    pub managed_payments: Null,
    pub metadata: Metadata,
    pub next_pending_invoice_item_invoice: Option<Timestamp>,
    pub on_behalf_of: Null,
    pub pause_collection: Option<PauseCollection>,
    pub payment_settings: PaymentSettings,
    pub pending_invoice_item_interval: Option<PendingInterval>,
    pub pending_setup_intent: Option<Id<SetupIntent>>,
    pub pending_update: Option<PendingUpdate>,
    pub schedule: Option<Id<SubscriptionSchedule>>,
    pub start_date: Timestamp,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_details: Option<StatusDetails>,
    pub test_clock: Option<Id<TestClock>>,
    pub transfer_data: Null,
    pub trial_end: Option<Timestamp>,
    pub trial_settings: TrialSettings,
    pub trial_start: Option<Timestamp>,
    pub internal: Internal,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "subscription")]
    Subscription,
}

/// What only we need to know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Internal {
    /// The first payment is under way inside the creating request: `customer.subscription.created`
    /// is told when its outcome is known, so that nobody sees a passing `incomplete`.
    #[serde(default)]
    pub unannounced: bool,
    /// A resumption that waits for its invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resuming: Option<Resuming>,
    /// What else is told only then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Withheld>,
    /// Without its first payment it shall not have existed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_if_paid: bool,
    /// The first currency of its customer came with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub set_currency: bool,
    /// The end of trial of which `customer.subscription.trial_will_end` has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_trial_end: Option<Timestamp>,
    /// What the items were billed for their current periods, where it is not simply their price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub billed: Vec<Billed>,
    /// What lies between the end of its trial and its anchor costs nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub free_stub: bool,
    /// A price above zero has been billed before: becoming paid again does not restart the cycle.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_paid: bool,
    /// How many days ahead its next invoice is told of, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upcoming: Option<Upcoming>,
    /// From when the intervals of what is pending are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_since: Option<Timestamp>,
    /// A change that waits for its payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Box<Held>>,
    /// The most recent invoice that became uncollectible when the last attempt had failed: it has left the
    /// books, and the status follows it all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Id<Invoice>>,
    /// The session that it is to complete: until then nobody hears of it, and nobody but the session changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<Id<Session>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AutomaticTax {
    pub disabled_reason: Null,
    pub enabled: bool,
    pub liability: Null,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BillingMode {
    pub flexible: Option<Flexible>,
    #[serde(rename = "type")]
    pub kind: BillingModeType,
    /// When it was changed, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

impl BillingMode {
    /// The default of the newest API version.
    pub const fn flexible() -> BillingMode {
        BillingMode::flexible_with(ProrationDiscounts::Included)
    }

    pub const fn flexible_with(proration_discounts: ProrationDiscounts) -> BillingMode {
        let kind = BillingModeType::Flexible;
        BillingMode { flexible: Some(Flexible { proration_discounts }), kind, updated_at: None }
    }

    pub const fn classic() -> BillingMode {
        BillingMode { flexible: None, kind: BillingModeType::Classic, updated_at: None }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Flexible {
    pub proration_discounts: ProrationDiscounts,
}

words!(BillingModeType { Classic = "classic", Flexible = "flexible" });
words!(ProrationDiscounts { Included = "included", Itemized = "itemized" });
/// How lists are filtered by it.
pub const COLLECTION_METHODS: &[Word] = &[word(&["charge_automatically"]), word(&["send_invoice"])];

words!(CollectionMethod { ChargeAutomatically = "charge_automatically", SendInvoice = "send_invoice" });

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CancellationDetails {
    pub comment: Option<String>,
    pub feedback: Option<Feedback>,
    pub feedback_option: Null,
    pub reason: Option<CancellationReason>,
}

words!(Feedback {
    CustomerService = "customer_service",
    LowQuality = "low_quality",
    MissingFeatures = "missing_features",
    Other = "other",
    SwitchedService = "switched_service",
    TooComplex = "too_complex",
    TooExpensive = "too_expensive",
    Unused = "unused",
});
words!(CancellationReason {
    CancellationRequested = "cancellation_requested",
    PaymentDisputed = "payment_disputed",
    PaymentFailed = "payment_failed",
});

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InvoiceSettings {
    pub account_tax_ids: Null,
    pub custom_fields: Option<Vec<invoice::CustomField>>,
    pub description: Option<String>,
    pub footer: Option<String>,
    pub issuer: invoice::Issuer,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentSettings {
    pub payment_method_options: Option<OptionsOf<SubscriptionCard>>,
    /// Only these may pay; all that there are if it is left open.
    pub payment_method_types: Option<Vec<payment_method::Kind>>,
    pub save_default_payment_method: SaveDefault,
}

impl Default for PaymentSettings {
    fn default() -> Self {
        PaymentSettings {
            payment_method_options: None,
            payment_method_types: None,
            save_default_payment_method: SaveDefault::Off,
        }
    }
}

words!(SaveDefault { Off = "off", OnSubscription = "on_subscription" });

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialSettings {
    pub end_behavior: EndBehavior,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndBehavior {
    pub billing_cycle_anchor: Option<TrialEndAnchor>,
    pub missing_payment_method: MissingPaymentMethod,
}

words!(TrialEndAnchor { Now = "now", Unchanged = "unchanged" });
words!(
    /// What becomes of a trial that ends without a payment method.
    MissingPaymentMethod { Cancel = "cancel", CreateInvoice = "create_invoice", Pause = "pause" }
);

words!(
    /// The states of a subscription (status machine).
    Status {
        Active = "active",
        Canceled = "canceled",
        Incomplete = "incomplete",
        IncompleteExpired = "incomplete_expired",
        PastDue = "past_due",
        Paused = "paused",
        Trialing = "trialing",
        Unpaid = "unpaid",
    }
);

/// How long a first payment may take (the incomplete window): 23 hours.
pub const INCOMPLETE_WINDOW_SECONDS: i64 = 23 * 3600;

impl Status {
    pub const fn is_terminal(self) -> bool {
        matches!(self, Status::Canceled | Status::IncompleteExpired)
    }
}

impl Subscription {
    /// The period of the next renewal: the item that ends first.
    pub fn period(&self) -> Option<Period> {
        let items = self.items.data.iter();
        // Of several that end together the one that began last.
        let first = items.min_by_key(|item| (item.current_period_end, Reverse(item.current_period_start)))?;
        Some(first.period())
    }

    /// Whether the periods of all its items have ended, and its renewal is yet to come.
    pub fn is_over(&self, now: Timestamp) -> bool {
        let renews = matches!(self.status, Status::Active | Status::PastDue | Status::Trialing | Status::Unpaid);
        renews && self.items.data.iter().all(|item| item.current_period_end <= now)
    }

    /// The periods of its items, where they are not all the same one.
    fn other_periods(&self) -> Option<String> {
        let (first, others) = self.items.data.split_first()?;
        if others.iter().all(|other| other.period() == first.period()) {
            return None;
        }
        let periods: Vec<Period> = self.items.data.iter().map(Item::period).collect();
        serde_json::to_string(&periods).ok()
    }

    pub fn collection_resumes_at(&self) -> Option<Timestamp> {
        self.pause_collection?.resumes_at
    }

    /// Ends it now. `canceled_at` stays what it was if the end had been asked for earlier.
    pub fn cancel(self, reason: CancellationReason, now: Timestamp) -> Result<Subscription, Refusal> {
        let status = match self.status {
            Status::Incomplete => Status::IncompleteExpired,
            Status::Active | Status::PastDue | Status::Paused | Status::Trialing | Status::Unpaid => Status::Canceled,
            // Cancelling what has ended finds nothing to cancel (ways of cancelling).
            Status::Canceled | Status::IncompleteExpired => {
                return Err(Refusal::not_found(&NOUN, self.id.as_str()));
            }
        };
        Ok(Subscription {
            status,
            // A change that waits is made no more.
            pending_update: None,
            internal: Internal { held: None, ..self.internal },
            canceled_at: self.canceled_at.or(Some(now)),
            ended_at: Some(now),
            cancellation_details: CancellationDetails {
                reason: self.cancellation_details.reason.or(Some(reason)),
                ..self.cancellation_details
            },
            ..self
        })
    }

    /// The first payment never came.
    #[must_use]
    pub fn expire(self, now: Timestamp) -> Subscription {
        Subscription { status: Status::IncompleteExpired, ended_at: Some(now), ..self }
    }
}

impl Resource for Subscription {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        let period = self.period();
        vec![
            Cell::text(&self.customer),
            Cell::maybe(self.test_clock.as_ref()),
            Cell::text(self.status),
            Cell::text(self.collection_method),
            Cell::time(period.map(|period| period.start)),
            Cell::time(period.map(|period| period.end)),
            Cell::Boolean(!self.status.is_terminal()),
            Cell::time(self.canceled_at),
            Cell::metadata(&self.metadata),
            Cell::Json(self.other_periods()),
        ]
    }

    fn due(&self) -> Option<Timestamp> {
        let renewal = self.period().map(|period| period.end);
        match self.status {
            // Its session knows when nobody will complete it any more.
            _ if self.internal.checkout.is_some() => None,
            // What it will be depends on a payment: until that is known nothing else happens to it.
            _ if self.internal.held.as_ref().is_some_and(|held| held.before.is_some()) => None,
            Status::Active | Status::PastDue | Status::Trialing | Status::Unpaid => {
                let expiry = self.pending_update.as_ref().map(|pending| pending.expires_at);
                let notices = [self.trial_notice_at(), self.upcoming_at()];
                let changes = [renewal, self.cancel_at, self.collection_resumes_at(), expiry, self.bills_pending_at()];
                changes.into_iter().chain(notices).flatten().min()
            }
            Status::Incomplete => Some(self.created.plus_seconds(INCOMPLETE_WINDOW_SECONDS)),
            Status::Paused => {
                let given_up = self.internal.resuming.as_ref().map(|resuming| resuming.expires_at);
                [given_up, self.cancel_at, self.collection_resumes_at()].into_iter().flatten().min()
            }
            Status::Canceled | Status::IncompleteExpired => None,
        }
    }

    fn parts(&self) -> Vec<Part> {
        let part = |item: &Item, pending: bool| Part {
            id: if pending { format!("{}.pending", item.id) } else { item.id.to_string() },
            customer: self.customer.to_string(),
            price: item.price.to_string(),
            pending,
        };
        let held = self.internal.held.iter().flat_map(|held| &held.becomes.items);
        self.items.data.iter().map(|item| part(item, false)).chain(held.map(|item| part(item, true))).collect()
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.items.data.is_empty() {
            return Err("subscription: no items");
        }
        if self.items.data.iter().any(|item| item.current_period_start >= item.current_period_end) {
            return Err("subscription: a period that does not end after its start");
        }
        if self.status.is_terminal() != self.ended_at.is_some() {
            return Err("subscription: ended_at must be set exactly when it has ended");
        }
        Ok(())
    }
}
