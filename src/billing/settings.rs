//! What an operator decides about collecting: one object for each mode, with a history.
//!
//! A change affects only what is scheduled after it: a date that is set already stays.

mod change;
pub mod version;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{
    Id, Noun, Resource, Timestamp, describe,
    dunning::{FinalAction, InvoiceAction},
    noun::{Cell, Keyed, integer},
};
use crate::words;

pub use change::{Change, change};
pub use version::{Author, AuthorType, NOUN as VERSION_NOUN, SettingsVersion};

pub static NOUN: Noun = Noun {
    object: "dunlin.settings",
    prefix: "settings_",
    table: "settings",
    url: "/v1/dunlin/settings",
    name: "settings",
    keyed: Keyed::Shared,
    leaves_stub: false,
    columns: &[integer("version")],
    filters: &[],
    links: &[],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<Settings>,
};

/// How often and when a failed payment is tried again; what follows; who is reminded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub id: Id<Settings>,
    pub object: Tag,
    /// The API version of requests that ask for none, and of events; null is the newest.
    pub api_version: Option<String>,
    /// How pages and mail look. Nothing can be set yet.
    pub branding: Branding,
    pub collection: Collection,
    pub invoice: Invoicing,
    pub livemode: bool,
    /// What is mailed to customers. Nothing can be set yet.
    pub mail: Mail,
    /// When they were last changed.
    pub updated: Option<Timestamp>,
    /// Counts the changes.
    pub version: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Tag {
    #[default]
    #[serde(rename = "dunlin.settings")]
    Settings,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Branding {}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mail {}

/// How what is owed is collected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Collection {
    pub authentication: Authentication,
    pub disputes: Disputes,
    pub final_action: Final,
    pub manual_collection: ManualCollection,
    pub retries: Retries,
}

/// Of payments that wait for the customer to authenticate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Authentication {
    pub action: FinalAction,
    /// How many days after it was first asked for the action is taken; null leaves it to the retries.
    pub days_until_action: Option<i64>,
    /// On which days after it was first asked for it is asked for again.
    pub reminder_days: Vec<i64>,
}

/// Of payments that are disputed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Disputes {
    pub subscription: DisputeAction,
}

/// What follows the last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Final {
    pub invoice: InvoiceAction,
    pub subscription: FinalAction,
}

/// Of invoices that are sent, and paid by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ManualCollection {
    pub action: FinalAction,
    /// How many days after the due date the action is taken: 30, 60 or 90.
    pub days_past_due: i64,
    /// What becomes of the later invoices of a subscription that is unpaid.
    pub later_invoices: LaterInvoices,
    /// On which days around the due date the customer is reminded; before it they are negative.
    pub reminder_days: Vec<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retries {
    /// Of `custom`: how many days after the attempt before it each retry is made.
    pub days: Vec<i64>,
    /// Of `smart`: how many retries are made within the window.
    pub max_attempts: i64,
    pub mode: RetryMode,
    pub window: Window,
}

/// How invoices are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Invoicing {
    /// How many seconds a draft of the billing cycle can be edited before it is finalised.
    pub finalize_after: i64,
    /// What card statements show for the first payment after a trial.
    pub statement_descriptor_after_trial: Option<String>,
    /// How many days before the end of a period `invoice.upcoming` is told; null never.
    pub upcoming_days: Option<i64>,
}

words!(
    /// What becomes of a subscription whose payment was charged back.
    DisputeAction { Cancel = "cancel", Leave = "leave" }
);
words!(
    /// What becomes of the later invoices of a subscription that is unpaid.
    LaterInvoices { Draft = "draft", Open = "open" }
);
words!(
    /// How retries are timed.
    RetryMode {
        /// At the given distances.
        Custom = "custom",
        /// Not at all.
        Off = "off",
        /// Where in the window they are most likely to succeed.
        Smart = "smart",
    }
);
words!(
    /// How long after the first failure the last retry is made.
    Window {
        OneWeek = "1_week",
        TwoWeeks = "2_weeks",
        ThreeWeeks = "3_weeks",
        OneMonth = "1_month",
        TwoMonths = "2_months",
    }
);

impl Window {
    /// A month counts as 30 days.
    pub const fn days(self) -> i64 {
        match self {
            Window::OneWeek => 7,
            Window::TwoWeeks => 14,
            Window::ThreeWeeks => 21,
            Window::OneMonth => 30,
            Window::TwoMonths => 60,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings::of(false)
    }
}

impl Default for Authentication {
    fn default() -> Self {
        Authentication { action: FinalAction::Unpaid, days_until_action: None, reminder_days: Vec::new() }
    }
}

impl Default for Disputes {
    fn default() -> Self {
        Disputes { subscription: DisputeAction::Leave }
    }
}

impl Default for Final {
    fn default() -> Self {
        Final { invoice: InvoiceAction::LeaveOpen, subscription: FinalAction::Unpaid }
    }
}

impl Default for ManualCollection {
    fn default() -> Self {
        ManualCollection {
            action: FinalAction::PastDue,
            days_past_due: 30,
            later_invoices: LaterInvoices::Draft,
            reminder_days: Vec::new(),
        }
    }
}

impl Default for Retries {
    fn default() -> Self {
        Retries { days: Vec::new(), max_attempts: 8, mode: RetryMode::Smart, window: Window::TwoWeeks }
    }
}

impl Default for Invoicing {
    fn default() -> Self {
        Invoicing { finalize_after: 3600, statement_descriptor_after_trial: None, upcoming_days: None }
    }
}

impl Settings {
    /// Those that hold until somebody changes them.
    pub fn of(livemode: bool) -> Settings {
        Settings {
            id: Settings::id_in(livemode),
            object: Tag::Settings,
            api_version: None,
            branding: Branding {},
            collection: Collection::default(),
            invoice: Invoicing::default(),
            livemode,
            mail: Mail {},
            updated: None,
            version: 0,
        }
    }

    /// The one id that there is in a mode.
    pub fn id_in(livemode: bool) -> Id<Settings> {
        Id::given(if livemode { "settings_live" } else { "settings_test" })
    }

    /// The defaults, for books that nobody has given any.
    pub fn unchanged() -> &'static Settings {
        static UNCHANGED: LazyLock<Settings> = LazyLock::new(Settings::default);
        &UNCHANGED
    }
}

impl Resource for Settings {
    const NOUN: &'static Noun = &NOUN;

    fn id(&self) -> &Id<Self> {
        &self.id
    }

    fn livemode(&self) -> bool {
        self.livemode
    }

    /// They have always been there.
    fn created(&self) -> Timestamp {
        Timestamp::new(0)
    }

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::Integer(Some(self.version))]
    }
}
