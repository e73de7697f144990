//! What each change makes of an object: as it is since, and as it was before.

#![cfg(test)]

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{CHANGES, Change, Facts, tools};

/// A price, an invoice with its payment, an intent with a charge that was refunded and disputed.
fn facts() -> Facts {
    let list = |of: &str| json!({"object": "list", "data": [{"id": of}], "has_more": false, "url": "/"});
    let price = json!({"id": "price_1", "object": "price", "type": "recurring", "unit_amount": 500, "recurring": {"interval": "month"}});
    Facts {
        prices: [("price_1".to_owned(), price)].into(),
        payments: [("in_1".to_owned(), ("pi_1".to_owned(), json!("ch_1")))].into(),
        invoices: [("pi_1".to_owned(), "in_1".to_owned())].into(),
        charges: [("pi_1".to_owned(), list("ch_1"))].into(),
        refunds: [("ch_1".to_owned(), list("re_1"))].into(),
        disputes: [("ch_1".to_owned(), "dp_1".to_owned())].into(),
    }
}

/// The object since the change, and what the change took away and brought back.
struct Snapshot {
    summary: &'static str,
    since: Value,
    gone: &'static [&'static str],
    before: Value,
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn snapshots() -> Vec<Snapshot> {
    let of = |summary, since, gone, before| Snapshot { summary, since, gone, before };
    vec![
        of(
            "billing_thresholds are back",
            json!({"object": "subscription", "billing_thresholds": null}),
            &["billing_thresholds"],
            json!({}),
        ),
        of(
            "billing_thresholds are back",
            json!({"object": "subscription_schedule", "phases": [{"billing_thresholds": null, "items": []}]}),
            &[],
            json!({"phases": [{"items": []}]}),
        ),
        of(
            "billing_thresholds were taken",
            json!({"object": "subscription_schedule", "default_settings": {}, "phases": [{"items": [{}]}]}),
            &[],
            json!({
                "default_settings": {"billing_thresholds": null},
                "phases": [{"billing_thresholds": null, "items": [{"billing_thresholds": null}]}],
            }),
        ),
        of(
            "billing_thresholds were taken",
            json!({"object": "subscription_item"}),
            &[],
            json!({"billing_thresholds": null}),
        ),
        of(
            "The ui_mode of a Checkout session",
            json!({"object": "checkout.session", "ui_mode": "hosted_page"}),
            &[],
            json!({"ui_mode": "hosted"}),
        ),
        of(
            "shipping_details of a Checkout session moved",
            json!({"object": "checkout.session"}),
            &[],
            json!({"shipping_details": null}),
        ),
        of(
            "A Checkout session makes a customer only if",
            json!({"object": "checkout.session", "shipping_details": null}),
            &["shipping_details"],
            json!({"shipping": null, "shipping_rate": null}),
        ),
        of(
            "A credit note has several refunds",
            json!({"object": "credit_note", "refunds": [{"refund": "re_1"}, {"refund": "re_2"}]}),
            &["refunds"],
            json!({"refund": "re_1"}),
        ),
        of(
            "Subscriptions, phases and invoices have a list of discounts",
            json!({"object": "subscription", "discounts": [{"id": "di_1"}]}),
            &[],
            json!({"discounts": [{"id": "di_1"}], "discount": {"id": "di_1"}}),
        ),
        of(
            "Subscriptions, phases and invoices have a list of discounts",
            json!({"object": "subscription_schedule", "phases": [{"discounts": []}]}),
            &[],
            json!({"phases": [{"coupon": null, "discounts": []}]}),
        ),
        of(
            "Invoice items say",
            json!({
                "object": "invoiceitem",
                "parent": {"subscription_details": {"subscription": "sub_1", "subscription_item": "si_1"}},
                "pricing": {"unit_amount_decimal": "12.5"},
            }),
            &["parent", "pricing"],
            json!({
                "subscription": "sub_1", "subscription_item": "si_1", "unit_amount": null, "unit_amount_decimal": "12.5",
                "price": null, "plan": null,
            }),
        ),
        of(
            "Taxes have one shape",
            json!({
                "object": "invoice",
                "total_taxes": [{
                    "amount": 19, "tax_behavior": "exclusive", "tax_rate_details": {"tax_rate": "txr_1"},
                    "taxability_reason": "standard_rated", "taxable_amount": 100,
                }],
            }),
            &["total_taxes"],
            json!({
                "total_tax_amounts": [{
                    "amount": 19, "inclusive": false, "tax_rate": "txr_1", "taxability_reason": "standard_rated",
                    "taxable_amount": 100,
                }],
                "tax": 19,
                "application_fee_amount": null,
                "transfer_data": null,
            }),
        ),
        of(
            "Lines of invoices say",
            json!({
                "object": "line_item",
                "amount": -500,
                "parent": {
                    "type": "subscription_item_details",
                    "subscription_item_details": {
                        "invoice_item": "ii_1", "proration": true, "proration_details": {"credited_items": null},
                        "subscription_item": "si_1",
                    },
                },
                "pricing": {"price_details": {"price": "price_1"}, "unit_amount_decimal": "500"},
            }),
            &["parent", "pricing"],
            json!({
                "type": "invoiceitem", "invoice_item": "ii_1", "subscription_item": "si_1", "proration": true,
                "proration_details": {"credited_items": null}, "amount_excluding_tax": -500,
                "unit_amount_excluding_tax": "500",
                "price": {"id": "price_1", "object": "price", "type": "recurring", "unit_amount": 500, "recurring": {"interval": "month"}},
            }),
        ),
        of(
            "An invoice has several payments",
            json!({
                "id": "in_1", "object": "invoice", "status": "paid", "amount_overpaid": 0, "amount_paid": 100,
                "amount_paid_off_stripe": 40, "amount_remaining": 0,
            }),
            &["amount_overpaid"],
            json!({
                "payment_intent": "pi_1", "charge": "ch_1", "paid": true, "paid_out_of_band": true, "amount_paid": 60,
                "amount_remaining": 40,
            }),
        ),
        of(
            "Invoices say in parent",
            json!({
                "object": "invoice",
                "parent": {"type": "subscription_details", "subscription_details": {"subscription": "sub_1", "metadata": {"a": "b"}}},
            }),
            &["parent"],
            json!({"subscription": "sub_1", "subscription_details": {"metadata": {"a": "b"}}, "quote": null}),
        ),
        of(
            "Payment intents and charges",
            json!({"id": "ch_1", "object": "charge", "payment_intent": "pi_1"}),
            &[],
            json!({"invoice": "in_1"}),
        ),
        of(
            "Each item of a subscription",
            json!({
                "object": "subscription",
                "items": {"data": [
                    {"current_period_start": 5, "current_period_end": 9}, {"current_period_start": 1, "current_period_end": 12},
                ]},
            }),
            &[],
            json!({"current_period_start": 1, "current_period_end": 9}),
        ),
        of(
            "Usage is metered",
            json!({"object": "price", "recurring": {"interval": "month"}}),
            &[],
            json!({"recurring": {"interval": "month", "aggregate_usage": null}}),
        ),
        of(
            "Members were added to many objects, among them billing_mode",
            json!({"object": "subscription", "billing_mode": {}, "cancellation_details": {"reason": null, "feedback_option": null}}),
            &["billing_mode"],
            json!({"cancellation_details": {"reason": null}}),
        ),
        of(
            "New payment intents capture asynchronously",
            json!({"object": "payment_intent", "capture_method": "automatic_async"}),
            &[],
            json!({"capture_method": "automatic"}),
        ),
        of(
            "rendering_options of invoices",
            json!({"object": "invoice", "rendering": {"amount_tax_display": "include_inclusive_tax"}}),
            &[],
            json!({"rendering_options": {"amount_tax_display": "include_inclusive_tax"}}),
        ),
        of(
            "features of products",
            json!({"object": "product", "marketing_features": [{"name": "Fast"}]}),
            &["marketing_features"],
            json!({"features": [{"name": "Fast"}]}),
        ),
        of(
            "A charge does not name its dispute",
            json!({"id": "ch_1", "object": "charge"}),
            &[],
            json!({"dispute": "dp_1"}),
        ),
        of(
            "The refunds of a charge",
            json!({"id": "ch_1", "object": "charge"}),
            &[],
            json!({"refunds": {"object": "list", "data": [{"id": "re_1"}], "has_more": false, "url": "/"}}),
        ),
        of(
            "A payment intent names its latest charge",
            json!({"id": "pi_1", "object": "payment_intent"}),
            &[],
            json!({"charges": {"object": "list", "data": [{"id": "ch_1"}], "has_more": false, "url": "/"}}),
        ),
        of(
            "request_three_d_secure says challenge",
            json!({"object": "payment_intent", "payment_method_options": {"card": {"request_three_d_secure": "challenge"}}}),
            &[],
            json!({"payment_method_options": {"card": {"request_three_d_secure": "challenge_only"}}}),
        ),
        of(
            "request_three_d_secure says challenge",
            json!({"object": "invoice", "payment_settings": {"payment_method_options": {"card": {"request_three_d_secure": "challenge"}}}}),
            &[],
            json!({"payment_settings": {"payment_method_options": {"card": {"request_three_d_secure": "any"}}}}),
        ),
        of(
            "Members were added to many objects, among them trial_settings",
            json!({"object": "subscription", "trial_settings": null, "payment_settings": {"save_default_payment_method": "off"}}),
            &["trial_settings"],
            json!({"payment_settings": {}}),
        ),
    ]
}

fn named(summary: &str) -> &'static Change {
    let mut found = CHANGES.into_iter().filter(|change| change.summary.starts_with(summary));
    let change = found.next().unwrap_or_else(|| panic!("no change is called {summary}"));
    assert!(found.next().is_none(), "several changes are called {summary}");
    change
}

#[test]
fn every_change_undoes_itself() {
    for Snapshot { summary, since, gone, before } in snapshots() {
        let change = named(summary);
        let mut undone = since.as_object().cloned().expect("an object");
        let object = undone["object"].as_str().expect("a name").to_owned();
        assert!(change.objects.contains(&object.as_str()), "{summary}");
        (change.undo)(&mut undone, &facts());
        for (key, value) in before.as_object().expect("an object") {
            assert_eq!(undone.get(key), Some(value), "{summary}: {key}");
        }
        for key in gone {
            assert_eq!(tools::at(&undone, key), &Value::Null, "{summary}: {key}");
            assert!(!undone.contains_key(*key), "{summary}: {key}");
        }
        let kept = since.as_object().expect("an object").keys().filter(|key| !gone.contains(&key.as_str()));
        kept.for_each(|key| assert!(undone.contains_key(key), "{summary}: {key}"));
    }
}

#[test]
fn no_change_of_a_shape_goes_without_a_snapshot() {
    let shown: BTreeSet<&str> = snapshots().iter().map(|snapshot| named(snapshot.summary).summary).collect();
    for change in CHANGES.into_iter().filter(|change| !change.objects.is_empty()) {
        assert!(shown.contains(change.summary), "{}", change.summary);
    }
}
