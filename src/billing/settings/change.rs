//! Changing the settings: what may be said, and what of it makes sense.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::{Author, DisputeAction, LaterInvoices, RetryMode, Settings, SettingsVersion, Window, version};
use crate::billing::{
    Books, Id, Moment, Refusal,
    dunning::{FinalAction, InvoiceAction},
    id::Bucket,
    shape::{Patch, Text, Unsupported},
};

/// What is to be different. What is not named stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Change {
    pub api_version: Patch<String>,
    /// Named so that it is refused, not ignored; `mail`, too.
    branding: Option<Unsupported>,
    collection: Collection,
    invoice: Invoicing,
    mail: Option<Unsupported>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Collection {
    authentication: Authentication,
    disputes: Disputes,
    final_action: Final,
    manual_collection: ManualCollection,
    retries: Retries,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Authentication {
    action: Option<FinalAction>,
    days_until_action: Patch<i64>,
    reminder_days: Patch<Vec<i64>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Disputes {
    subscription: Option<DisputeAction>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Final {
    invoice: Option<InvoiceAction>,
    subscription: Option<FinalAction>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ManualCollection {
    action: Option<FinalAction>,
    days_past_due: Option<i64>,
    later_invoices: Option<LaterInvoices>,
    reminder_days: Patch<Vec<i64>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Retries {
    days: Patch<Vec<i64>>,
    max_attempts: Option<i64>,
    mode: Option<RetryMode>,
    window: Option<Window>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Invoicing {
    finalize_after: Option<i64>,
    statement_descriptor_after_trial: Patch<Text<22>>,
    upcoming_days: Patch<i64>,
}

/// No more than three retries of one's own, and no more than three reminders.
const MOST: usize = 3;
const LONGEST_GAP_DAYS: i64 = 60;
const MOST_SMART_RETRIES: i64 = 8;
const LONGEST_DRAFT_SECONDS: i64 = 72 * 3600;
const SHORTEST_DESCRIPTOR: usize = 5;

/// Changes the settings, and writes down who did. What changes nothing is no version.
pub fn change(
    books: &mut Books,
    id: &Id<Settings>,
    change: Change,
    author: Author,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let before = books.at_path(id)?.clone();
    let after = change.apply(before.clone())?;
    if after == before {
        // What rests may have been written before there were all of these settings: it is what is answered.
        books.put(before);
        return Ok(());
    }
    let after = Settings { updated: Some(at.now), version: before.version.saturating_add(1), ..after };
    books.put(SettingsVersion {
        id: Id::new(&mut at.ids, Bucket::SHARED),
        object: version::Tag::SettingsVersion,
        after: after.clone(),
        author,
        before,
        created: at.now,
        livemode: after.livemode,
        version: after.version,
    });
    books.put(after);
    Ok(())
}

impl Change {
    /// The settings with the change, if they make sense.
    pub fn apply(self, mut settings: Settings) -> Result<Settings, Refusal> {
        settings.api_version = self.api_version.over(settings.api_version);
        self.collection.authentication.apply(&mut settings.collection.authentication)?;
        set(&mut settings.collection.disputes.subscription, self.collection.disputes.subscription);
        let action = &mut settings.collection.final_action;
        set(&mut action.invoice, self.collection.final_action.invoice);
        set(&mut action.subscription, self.collection.final_action.subscription);
        self.collection.manual_collection.apply(&mut settings.collection.manual_collection)?;
        self.collection.retries.apply(&mut settings.collection.retries)?;
        self.invoice.apply(&mut settings.invoice)?;
        Ok(settings)
    }
}

impl Authentication {
    fn apply(self, to: &mut super::Authentication) -> Result<(), Refusal> {
        const GROUP: &str = "collection[authentication]";
        set(&mut to.action, self.action);
        to.days_until_action = self.days_until_action.over(to.days_until_action);
        within(to.days_until_action, 1..=60, || format!("{GROUP}[days_until_action]"))?;
        to.reminder_days = reminders(self.reminder_days, &to.reminder_days, 1..=7, GROUP)?;
        Ok(())
    }
}

impl ManualCollection {
    fn apply(self, to: &mut super::ManualCollection) -> Result<(), Refusal> {
        const GROUP: &str = "collection[manual_collection]";
        set(&mut to.action, self.action);
        set(&mut to.later_invoices, self.later_invoices);
        set(&mut to.days_past_due, self.days_past_due);
        if ![30, 60, 90].contains(&to.days_past_due) {
            return Err(Refusal::invalid("Invalid days_past_due: must be one of 30, 60, or 90")
                .param(format!("{GROUP}[days_past_due]")));
        }
        to.reminder_days = reminders(self.reminder_days, &to.reminder_days, -10..=60, GROUP)?;
        Ok(())
    }
}

impl Retries {
    fn apply(self, to: &mut super::Retries) -> Result<(), Refusal> {
        const GROUP: &str = "collection[retries]";
        set(&mut to.mode, self.mode);
        set(&mut to.window, self.window);
        set(&mut to.max_attempts, self.max_attempts);
        within(Some(to.max_attempts), 1..=MOST_SMART_RETRIES, || format!("{GROUP}[max_attempts]"))?;
        to.days = list(self.days, &to.days, 1..=LONGEST_GAP_DAYS, &format!("{GROUP}[days]"))?;
        if to.mode == RetryMode::Custom && to.days.is_empty() {
            return Err(Refusal::missing(format!("{GROUP}[days]")));
        }
        Ok(())
    }
}

impl Invoicing {
    fn apply(self, to: &mut super::Invoicing) -> Result<(), Refusal> {
        set(&mut to.finalize_after, self.finalize_after);
        within(Some(to.finalize_after), 0..=LONGEST_DRAFT_SECONDS, || "invoice[finalize_after]".to_owned())?;
        to.upcoming_days = self.upcoming_days.over(to.upcoming_days);
        within(to.upcoming_days, 1..=45, || "invoice[upcoming_days]".to_owned())?;
        let descriptor = self.statement_descriptor_after_trial.map(String::from);
        to.statement_descriptor_after_trial = descriptor.over(to.statement_descriptor_after_trial.take());
        check_descriptor(to.statement_descriptor_after_trial.as_deref())
    }
}

fn set<T>(current: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *current = new;
    }
}

fn within(value: Option<i64>, range: RangeInclusive<i64>, param: impl Fn() -> String) -> Result<(), Refusal> {
    match value {
        Some(value) if value < *range.start() => Err(Refusal::below(*range.start()).param(param())),
        Some(value) if value > *range.end() => Err(Refusal::above(*range.end()).param(param())),
        Some(_) | None => Ok(()),
    }
}

/// A short list of days, set as a whole; the empty string empties it.
fn list(days: Patch<Vec<i64>>, current: &[i64], range: RangeInclusive<i64>, param: &str) -> Result<Vec<i64>, Refusal> {
    let days = days.over(Some(current.to_vec())).unwrap_or_default();
    if days.len() > MOST {
        return Err(Refusal::invalid(format!("Array items exceeded maximum {MOST} allowed elements.")).param(param));
    }
    for (index, day) in days.iter().enumerate() {
        within(Some(*day), range.clone(), || format!("{param}[{index}]"))?;
    }
    Ok(days)
}

/// Days to remind on: in order, and none of them twice.
fn reminders(
    days: Patch<Vec<i64>>,
    current: &[i64],
    range: RangeInclusive<i64>,
    group: &str,
) -> Result<Vec<i64>, Refusal> {
    let param = format!("{group}[reminder_days]");
    let mut days = list(days, current, range, &param)?;
    for (index, day) in days.iter().enumerate() {
        if days[..index].contains(day) {
            return Err(Refusal::invalid(format!("There is one reminder on day {day} already."))
                .param(format!("{param}[{index}]")));
        }
    }
    days.sort_unstable();
    Ok(days)
}

/// What card networks accept on a statement.
fn check_descriptor(descriptor: Option<&str>) -> Result<(), Refusal> {
    let Some(text) = descriptor else { return Ok(()) };
    let wrong = if text.chars().count() < SHORTEST_DESCRIPTOR {
        format!("The statement descriptor must be at least {SHORTEST_DESCRIPTOR} characters.")
    } else if !text.chars().any(|character| character.is_ascii_alphabetic()) {
        "The statement descriptor must contain at least one alphabetic character.".to_owned()
    } else if text.contains(['<', '>', '\\', '\'', '"', '*']) {
        "The statement descriptor must not contain any of the following characters: <, >, \\, ', \", *.".to_owned()
    } else {
        return Ok(());
    };
    Err(Refusal::invalid(wrong).param("invoice[statement_descriptor_after_trial]"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{form::Form, params};

    fn apply(form: &str) -> Result<Settings, Refusal> {
        apply_to(Settings::default(), form)
    }

    fn apply_to(settings: Settings, form: &str) -> Result<Settings, Refusal> {
        params::read::<Change>(&Form::parse(&[form.as_bytes()])?)?.apply(settings)
    }

    /// The settings of dunning: their values and their defaults.
    #[test]
    fn what_is_not_said_stays() {
        assert_eq!(apply("").unwrap(), Settings::default());
        let custom =
            apply("collection[retries][mode]=custom&collection[retries][days][]=3&collection[retries][days][]=5");
        let custom = custom.unwrap();
        assert_eq!(
            (custom.collection.retries.mode, &*custom.collection.retries.days),
            (RetryMode::Custom, &[3, 5][..])
        );
        let longer = apply_to(custom, "collection[retries][days][0]=7").unwrap();
        assert_eq!(longer.collection.retries.days, [7], "a list is set as a whole");
        let off = apply_to(longer, "collection[retries][mode]=off&collection[retries][days]=").unwrap();
        assert_eq!((off.collection.retries.mode, off.collection.retries.days.len()), (RetryMode::Off, 0));
        let reminded = apply(
            "collection[manual_collection][reminder_days][0]=7&collection[manual_collection][reminder_days][1]=-3",
        );
        assert_eq!(reminded.unwrap().collection.manual_collection.reminder_days, [-3, 7], "in order");
        let upcoming = apply("invoice[upcoming_days]=7&invoice[finalize_after]=259200").unwrap();
        assert_eq!((upcoming.invoice.upcoming_days, upcoming.invoice.finalize_after), (Some(7), 259_200));
        assert_eq!(apply_to(upcoming, "invoice[upcoming_days]=").unwrap().invoice.upcoming_days, None);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (form, param) in [
            ("collection[retries][mode]=clever", "collection[retries][mode]"),
            ("collection[retries][mode]=custom", "collection[retries][days]"),
            ("collection[retries][window]=14", "collection[retries][window]"),
            ("collection[retries][max_attempts]=0", "collection[retries][max_attempts]"),
            ("collection[retries][max_attempts]=9", "collection[retries][max_attempts]"),
            ("collection[retries][days][0]=3&collection[retries][days][1]=0", "collection[retries][days][1]"),
            ("collection[retries][days][0]=x", "collection[retries][days][0]"),
            ("collection[retries][days][0]=61", "collection[retries][days][0]"),
            (
                "collection[retries][days][]=1&collection[retries][days][]=1&collection[retries][days][]=1&\
                 collection[retries][days][]=1",
                "collection[retries][days]",
            ),
            ("collection[final_action][subscription]=delete", "collection[final_action][subscription]"),
            ("collection[final_action][invoice]=void", "collection[final_action][invoice]"),
            ("collection[manual_collection][days_past_due]=31", "collection[manual_collection][days_past_due]"),
            ("collection[manual_collection][reminder_days][0]=-11", "collection[manual_collection][reminder_days][0]"),
            ("collection[manual_collection][reminder_days][0]=61", "collection[manual_collection][reminder_days][0]"),
            ("collection[authentication][reminder_days][0]=8", "collection[authentication][reminder_days][0]"),
            (
                "collection[authentication][reminder_days][]=2&collection[authentication][reminder_days][]=2",
                "collection[authentication][reminder_days][1]",
            ),
            ("collection[authentication][days_until_action]=0", "collection[authentication][days_until_action]"),
            ("invoice[finalize_after]=259201", "invoice[finalize_after]"),
            ("invoice[finalize_after]=-1", "invoice[finalize_after]"),
            ("invoice[upcoming_days]=46", "invoice[upcoming_days]"),
            ("invoice[statement_descriptor_after_trial]=ABC", "invoice[statement_descriptor_after_trial]"),
            ("invoice[statement_descriptor_after_trial]=12345", "invoice[statement_descriptor_after_trial]"),
            ("invoice[statement_descriptor_after_trial]=Ada*Co.", "invoice[statement_descriptor_after_trial]"),
            ("mail[from]=x", "mail"),
            ("branding[color]=x", "branding"),
            ("collection[attempts]=3", "collection[attempts]"),
        ] {
            assert_eq!(apply(form).unwrap_err().param.as_deref(), Some(param), "{form}");
        }
    }

    /// Golden: what was written before a setting existed is read with its default.
    #[test]
    fn old_settings_are_read() {
        let text = r#"{"id":"settings_test","livemode":false}"#;
        assert_eq!(serde_json::from_str::<Settings>(text).unwrap(), Settings::default());
    }
}
