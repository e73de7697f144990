//! What older API versions say otherwise. Documents rest in the newest; a pin to an older one is served
//! by undoing, newest first, each change that came after it, and by taking its parameters for those of
//! the newest. Each file here is one change; read in order they are the changelog.

mod added;
mod event;
mod facts;
mod snapshots;
mod tools;
mod v2022_08_01_checkout;
mod v2022_08_01_pending_invoice_items;
mod v2022_08_01_three_d_secure;
mod v2022_11_15_charge_refunds;
mod v2022_11_15_latest_charge;
mod v2023_08_16_automatic_payment_methods;
mod v2023_08_16_charge_dispute;
mod v2024_04_10_capture_method;
mod v2024_04_10_invoice_rendering;
mod v2024_04_10_marketing_features;
mod v2025_03_31_billing_thresholds;
mod v2025_03_31_checkout_shipping;
mod v2025_03_31_credit_note_refunds;
mod v2025_03_31_discounts;
mod v2025_03_31_invoice_items;
mod v2025_03_31_invoice_lines;
mod v2025_03_31_invoice_parent;
mod v2025_03_31_invoice_payments;
mod v2025_03_31_payment_invoice;
mod v2025_03_31_subscription_periods;
mod v2025_03_31_taxes;
mod v2025_03_31_upcoming_invoice;
mod v2025_03_31_usage_records;
mod v2025_05_28_billing_thresholds;
mod v2025_09_30_billing_mode;
mod v2025_09_30_phase_iterations;
mod v2026_03_25_checkout_ui_mode;
mod v2026_09_30_billing_cycle_anchor;
mod v2026_09_30_payment_method_types;

use axum::http::Method;
use serde_json::{Map, Value};

pub use event::{is_shaped_for, render_events, shape_for};
pub use facts::Facts;

use super::{
    form::Form,
    version::{Pin, Version},
};
use crate::{
    billing::{Noun, Refusal, noun::Link},
    store::{Connection, Fault},
};

/// The members of an object on the wire.
type Members = Map<String, Value>;

/// One breaking change.
pub struct Change {
    /// The version that brought it.
    pub since: Version,
    /// What it changed.
    pub summary: &'static str,
    /// The objects that it touches.
    pub objects: &'static [&'static str],
    /// Makes of such an object what it was before. Objects inside it are as they are since.
    pub undo: fn(&mut Members, &Facts),
    /// Makes of the parameters of a client from before what is sent since.
    pub accept: fn(&Route<'_>, &mut Form),
    /// Refuses what clients from before may send and this server does not have.
    pub unsupported: fn(&Route<'_>, &Form) -> Result<(), Refusal>,
    /// Refuses what is not taken any more.
    pub refuse: fn(&Route<'_>, &Form) -> Result<(), Refusal>,
    /// What could be expanded before, by object.
    pub links_before: &'static [(&'static str, Link)],
    /// What can be expanded only since, by object.
    pub links_since: &'static [(&'static str, &'static str)],
}

impl Change {
    /// Nothing: the rest of a change that says only what it changes.
    const NONE: Change = Change {
        since: Version::NEWEST,
        summary: "",
        objects: &[],
        undo: |_, _| {},
        accept: |_, _| {},
        unsupported: |_, _| Ok(()),
        refuse: |_, _| Ok(()),
        links_before: &[],
        links_since: &[],
    };
}

/// All changes, newest first.
pub static CHANGES: [&Change; 31] = [
    &v2026_09_30_billing_cycle_anchor::CHANGE,
    &v2026_09_30_payment_method_types::CHANGE,
    &v2026_03_25_checkout_ui_mode::CHANGE,
    &v2025_09_30_billing_mode::CHANGE,
    &v2025_09_30_phase_iterations::CHANGE,
    &v2025_05_28_billing_thresholds::CHANGE,
    &v2025_03_31_billing_thresholds::CHANGE,
    &v2025_03_31_checkout_shipping::CHANGE,
    &v2025_03_31_credit_note_refunds::CHANGE,
    &v2025_03_31_discounts::CHANGE,
    &v2025_03_31_invoice_items::CHANGE,
    &v2025_03_31_taxes::CHANGE,
    &v2025_03_31_invoice_lines::CHANGE,
    &v2025_03_31_invoice_payments::CHANGE,
    &v2025_03_31_invoice_parent::CHANGE,
    &v2025_03_31_payment_invoice::CHANGE,
    &v2025_03_31_subscription_periods::CHANGE,
    &v2025_03_31_upcoming_invoice::CHANGE,
    &v2025_03_31_usage_records::CHANGE,
    &added::SINCE_2025_03_31,
    &v2024_04_10_capture_method::CHANGE,
    &v2024_04_10_invoice_rendering::CHANGE,
    &v2024_04_10_marketing_features::CHANGE,
    &v2023_08_16_automatic_payment_methods::CHANGE,
    &v2023_08_16_charge_dispute::CHANGE,
    &v2022_11_15_charge_refunds::CHANGE,
    &v2022_11_15_latest_charge::CHANGE,
    &v2022_08_01_checkout::CHANGE,
    &v2022_08_01_pending_invoice_items::CHANGE,
    &v2022_08_01_three_d_secure::CHANGE,
    &added::SINCE_2022_08_01,
];

/// The changes that a pin has not seen, newest first.
fn after(version: Version) -> impl DoubleEndedIterator<Item = &'static Change> {
    CHANGES.into_iter().filter(move |change| change.since > version)
}

/// Whether such objects look otherwise to a pin.
pub fn touches(object: &str, version: Version) -> bool {
    after(version).any(|change| change.objects.contains(&object))
}

/// Shapes documents, as they are in the newest version, for a pin.
pub async fn render(connection: &mut Connection, documents: &mut [Value], pin: Pin) -> Result<(), Fault> {
    if after(pin.version).next().is_none() {
        return Ok(());
    }
    let facts = Facts::gather(connection, documents, pin).await?;
    documents.iter_mut().for_each(|document| undo(document, pin.version, &facts));
    Ok(())
}

/// An object first, then what is in it: what it is given by a change is of the newest version, too.
fn undo(value: &mut Value, version: Version, facts: &Facts) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| undo(item, version, facts)),
        Value::Object(members) => {
            if members.get("deleted") == Some(&Value::Bool(true)) {
                return;
            }
            if let Some(object) = members.get("object").and_then(Value::as_str).map(ToOwned::to_owned) {
                if object == crate::billing::event::NOUN.object {
                    return;
                }
                let mut changed = false;
                for change in after(version).filter(|change| change.objects.contains(&object.as_str())) {
                    (change.undo)(members, facts);
                    changed = true;
                }
                if changed {
                    tools::sort(members);
                }
            }
            members.values_mut().for_each(|member| undo(member, version, facts));
        }
        _ => {}
    }
}

/// Which call was made: its method, and its path with the names of what varies.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    pub method: &'a Method,
    pub path: &'a str,
}

impl Route<'_> {
    /// A POST to one of these paths.
    fn posts_to(&self, paths: &[&str]) -> bool {
        self.method == Method::POST && paths.contains(&self.path)
    }

    /// A call that shows the invoice that comes next.
    fn previews(&self) -> bool {
        self.posts_to(&["/v1/invoices/create_preview"]) || v2025_03_31_upcoming_invoice::UPCOMING.contains(&self.path)
    }
}

/// Takes parameters for what they mean in the newest version. What a pin's version had taken away is
/// refused first, as it was sent.
pub fn accept(route: &Route<'_>, form: &mut Form, version: Version) -> Result<(), Refusal> {
    for change in CHANGES.into_iter().filter(|change| change.since <= version) {
        (change.refuse)(route, form)?;
    }
    for change in after(version).rev() {
        (change.unsupported)(route, form)?;
        (change.accept)(route, form);
    }
    Ok(())
}

/// What a pin can expand of a noun.
pub fn links(noun: &Noun, version: Version) -> Vec<&'static Link> {
    let gone = |path: &str| {
        after(version)
            .any(|change| change.links_since.iter().any(|(object, since)| *object == noun.object && *since == path))
    };
    let before = after(version).flat_map(|change| change.links_before);
    let before = before.filter(|(object, _)| *object == noun.object).map(|(_, link)| link);
    noun.links.iter().filter(|link| !gone(link.path)).chain(before).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn undone(mut value: Value, version: &'static str) -> Value {
        undo(&mut value, Version::of(version), &Facts::default());
        value
    }

    #[test]
    fn changes_are_listed_from_the_newest_to_the_oldest() {
        assert!(CHANGES.is_sorted_by(|one, next| one.since >= next.since));
        for change in CHANGES {
            assert!(Version::all().any(|version| version == change.since), "{}", change.since);
            assert!(!change.summary.is_empty());
        }
    }

    #[test]
    fn the_newest_version_changes_nothing() {
        let subscription = json!({"id": "sub_1", "object": "subscription", "billing_mode": {}, "items": {"data": []}});
        assert_eq!(undone(subscription.clone(), Version::NEWEST.as_str()), subscription);
        assert!(!touches("subscription", Version::NEWEST));
    }

    #[test]
    fn objects_are_changed_wherever_they_stand() {
        let item =
            json!({"id": "si_1", "object": "subscription_item", "current_period_start": 1, "current_period_end": 2});
        let subscription =
            json!({"id": "sub_1", "object": "subscription", "items": {"object": "list", "data": [item]}});
        let list = json!({"object": "list", "data": [subscription]});
        let shown = undone(list, "2025-02-24.acacia");
        assert_eq!(shown["data"][0]["current_period_end"], 2);
        assert_eq!(shown["data"][0]["items"]["data"][0].get("current_period_end"), None);
    }

    #[test]
    fn members_stand_in_order() {
        let product =
            json!({"id": "prod_1", "object": "product", "active": true, "marketing_features": [], "name": "A"});
        let shown = undone(product, "2023-10-16");
        let keys: Vec<&String> = shown.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["id", "object", "active", "features", "name"]);
    }

    #[test]
    fn a_change_between_two_others_is_seen_by_the_pins_between_them() {
        let item = json!({"id": "si_1", "object": "subscription_item", "billing_thresholds": null});
        for (version, shown) in [("2025-02-24.acacia", true), ("2025-04-30.basil", false), ("2025-05-28.basil", true)] {
            assert_eq!(undone(item.clone(), version).get("billing_thresholds").is_some(), shown, "{version}");
        }
    }

    #[test]
    fn parameters_of_a_time_are_taken_for_what_they_mean_now() {
        let accepted = |version: &'static str, path: &str, form: &str| {
            let mut form = Form::parse(&[form.as_bytes()]).expect("a form");
            let method = if path.contains("upcoming") { Method::GET } else { Method::POST };
            let accepted = accept(&Route { method: &method, path }, &mut form, Version::of(version));
            accepted.map(|()| form).map_err(|refusal| (refusal.code.unwrap_or_default(), refusal.param))
        };
        let form = |text: &str| Form::parse(&[text.as_bytes()]);
        let cases = [
            (
                "2026-08-26.dahlia",
                "/v1/subscriptions/{id}",
                "billing_cycle_anchor=now",
                "billing_cycle_anchor[type]=now",
            ),
            (
                "2026-08-26.dahlia",
                "/v1/invoices/create_preview",
                "subscription=sub_1&subscription_details[billing_cycle_anchor]=123",
                "subscription=sub_1&subscription_details[billing_cycle_anchor][type]=timestamp&subscription_details[billing_cycle_anchor][timestamp]=123",
            ),
            ("2025-08-27.basil", "/v1/subscriptions", "customer=c", "customer=c&billing_mode[type]=classic"),
            ("2025-02-24.acacia", "/v1/invoiceitems", "price=p", "pricing[price]=p"),
            ("2025-02-24.acacia", "/v1/invoiceitems", "unit_amount=5", "unit_amount_decimal=5"),
            ("2025-02-24.acacia", "/v1/invoices/{id}/add_lines", "lines[0][price]=p", "lines[0][pricing][price]=p"),
            ("2025-02-24.acacia", "/v1/credit_notes", "refund=re_1", "refunds[0][refund]=re_1"),
            ("2025-02-24.acacia", "/v1/subscriptions/{id}", "coupon=c", "discounts[0][coupon]=c"),
            ("2025-02-24.acacia", "/v1/subscriptions/{id}", "coupon=", "discounts="),
            (
                "2025-02-24.acacia",
                "/v1/invoices/upcoming",
                "subscription=sub_1&subscription_items[0][id]=si_1&subscription_proration_date=7",
                "subscription=sub_1&subscription_details[items][0][id]=si_1&subscription_details[proration_date]=7",
            ),
            ("2023-10-16", "/v1/products", "features[0][name]=a", "marketing_features[0][name]=a"),
            ("2023-08-16", "/v1/payment_intents", "amount=1", "amount=1&capture_method=automatic"),
            (
                "2022-11-15",
                "/v1/setup_intents",
                "allowed_payment_method_types[0]=card",
                "allowed_payment_method_types[0]=card",
            ),
            ("2022-11-15", "/v1/setup_intents", "customer=c", "customer=c&payment_method_types[0]=card"),
            (
                "2020-08-27",
                "/v1/invoices",
                "customer=c",
                "customer=c&pending_invoice_items_behavior=include_and_require",
            ),
            ("2026-02-25.clover", "/v1/checkout/sessions", "ui_mode=hosted", "ui_mode=hosted_page"),
            (
                "2025-08-27.basil",
                "/v1/checkout/sessions",
                "mode=subscription",
                "mode=subscription&subscription_data[billing_mode][type]=classic",
            ),
            (
                "2020-08-27",
                "/v1/checkout/sessions",
                "mode=payment&line_items[0][amount]=5&line_items[0][currency]=usd&line_items[0][name]=A&line_items[0][quantity]=1",
                "mode=payment&line_items[0][quantity]=1&line_items[0][price_data][unit_amount]=5\
                 &line_items[0][price_data][currency]=usd&line_items[0][price_data][product_data][name]=A&customer_creation=always",
            ),
            (
                "2020-08-27",
                "/v1/checkout/sessions",
                "mode=subscription&customer=c&subscription_data[items][0][plan]=p",
                "mode=subscription&customer=c&subscription_data[billing_mode][type]=classic\
                 &line_items[0][price]=p&line_items[0][quantity]=1",
            ),
            ("2026-10-28.endive", "/v1/subscriptions", "customer=c", "customer=c"),
        ];
        for (version, path, sent, meant) in cases {
            assert_eq!(
                accepted(version, path, sent),
                form(meant).map_err(|_| Default::default()),
                "{version} {path} {sent}"
            );
        }
        let refused = [
            (
                "2026-09-30.endive",
                "/v1/payment_intents",
                "payment_method_types[]=card",
                "payment_method_types_no_longer_supported",
            ),
            (
                "2026-09-30.endive",
                "/v1/checkout/sessions",
                "payment_method_types[]=card",
                "payment_method_types_no_longer_supported",
            ),
            ("2025-03-31.basil", "/v1/invoices/create_preview", "customer=c", "parameter_missing"),
        ];
        for (version, path, sent, code) in refused {
            assert!(accepted(version, path, sent).is_err_and(|(said, _)| said == code), "{version} {path} {sent}");
        }
    }
}
