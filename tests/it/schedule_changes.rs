//! Subscription schedules that are made of subscriptions, changed, previewed, and refused.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::schedules::Plan;
use crate::support::{at, id};

const DECEMBER: i64 = 1_796_083_200;

/// The parameters that say again what the first phase of a schedule is.
fn again(schedule: &Value) -> Vec<(String, String)> {
    let phase = &schedule["phases"][0];
    let of = |name: &str, value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        (format!("phases[0]{name}"), text)
    };
    let mut form = vec![of("[start_date]", &phase["start_date"]), of("[end_date]", &phase["end_date"])];
    for (index, item) in phase["items"].as_array().expect("items").iter().enumerate() {
        form.push(of(&format!("[items][{index}][price]"), &item["price"]));
        form.push(of(&format!("[items][{index}][quantity]"), &item["quantity"]));
    }
    form
}

async fn update(plan: &Plan, schedule: &Value, more: &[(&str, &str)]) -> crate::support::Answer {
    let kept = again(schedule);
    let kept = kept.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let form: Vec<(&str, &str)> =
        kept.filter(|(name, _)| !more.iter().any(|(other, _)| other == name)).chain(more.iter().copied()).collect();
    plan.post(&format!("/{}", id(schedule)), &form).await
}

/// `from_subscription`, alone: its only phase is what the subscription is now; then phases are added.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_of_a_subscription() {
    let plan = Plan::begin().await;
    let subscription = plan.house.subscribe(&plan.customer, &plan.ten).await;
    let from = [("from_subscription", id(&subscription))];
    let from: Vec<(&str, &str)> = from.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for (param, value) in [
        ("customer", plan.customer.as_str()),
        ("end_behavior", "cancel"),
        ("billing_mode[type]", "flexible"),
        ("start_date", "now"),
    ] {
        let error = plan.post("", &[&from[..], &[(param, value)]].concat()).await.error(400);
        assert_eq!(error["param"], param.split('[').next().unwrap());
    }
    let mark = plan.house.mark().await;
    let schedule = plan.post("", &from).await.ok();
    let told = plan.house.told(mark).await;
    told.are("subscription_schedule.created customer.subscription.updated");
    assert_eq!(told.previous("customer.subscription.updated"), &json!({"schedule": null}));
    has(
        &schedule,
        &json!({
            "status": "active", "subscription": id(&subscription), "end_behavior": "release",
            "current_phase": {"start_date": at("2026-11-01T00:00:00Z"), "end_date": DECEMBER},
        }),
    );
    assert_eq!(schedule["phases"].as_array().unwrap().len(), 1);
    plan.post("", &from).await.error(400);

    let more = [("phases[1][items][0][price]", plan.twenty.as_str()), ("phases[1][duration][interval]", "month")];
    let mark = plan.house.mark().await;
    let updated = update(&plan, &schedule, &more).await.ok();
    plan.house.told(mark).await.are("subscription_schedule.updated");
    assert_eq!(updated["phases"].as_array().unwrap().len(), 2);
    let preview = plan.house.post("/v1/invoices/create_preview", &[("subscription", &id(&subscription))]).await.ok();
    assert_eq!(preview["total"], 2000, "what comes next is the next phase");
    plan.advance("2026-12-01T02:00:00Z").await;
    let totals: Vec<i64> = plan.invoices(&schedule).await.iter().map(|(total, ..)| *total).collect();
    assert_eq!(totals, [1000, 2000]);
    // Past phases are dropped, sent again or not.
    let running = plan.read(&schedule).await;
    let more = [
        ("phases[1][start_date]", running["phases"][1]["start_date"].to_string()),
        ("phases[1][end_date]", running["phases"][1]["end_date"].to_string()),
        ("phases[1][items][0][price]", plan.twenty.clone()),
        ("phases[1][items][0][quantity]", "2".to_owned()),
    ];
    let more: Vec<(&str, &str)> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let updated = update(&plan, &running, &more).await.ok();
    assert_eq!(updated["phases"].as_array().unwrap().len(), 1);
    has(&updated["current_phase"], &json!({"start_date": DECEMBER}));
    assert_eq!(plan.subscription(&updated).await["items"]["data"][0]["quantity"], 2);
}

/// What is different in the running phase is so at once, and costs what the request says.
#[tokio::test(flavor = "multi_thread")]
async fn the_running_phase_changes_at_once() {
    for (prorations, items, invoices) in [("", 2, 1), ("none", 0, 1), ("always_invoice", 2, 2)] {
        let plan = Plan::begin().await;
        let schedule = plan.schedule(&[]).await;
        plan.advance("2026-11-16T00:00:00Z").await;
        let mut more = vec![("phases[0][items][0][price]", plan.twenty.as_str()), ("phases[0][metadata][a]", "b")];
        if !prorations.is_empty() {
            more.push(("proration_behavior", prorations));
        }
        let mark = plan.house.mark().await;
        let updated = update(&plan, &schedule, &more).await.ok();
        assert_eq!(updated["phases"].as_array().unwrap().len(), 1, "all phases are sent again");
        let told = plan.house.told(mark).await;
        let made = told.types().iter().filter(|kind| **kind == "invoiceitem.created").count();
        assert_eq!(made, items, "{prorations}");
        told.one("subscription_schedule.updated");
        let subscription = plan.subscription(&schedule).await;
        assert_eq!(subscription["items"]["data"][0]["price"]["id"], plan.twenty);
        assert_eq!(subscription["metadata"], json!({"a": "b"}));
        assert_eq!(plan.invoices(&schedule).await.len(), invoices, "{prorations}");
        // Said again, nothing more happens.
        let mark = plan.house.mark().await;
        update(&plan, &updated, &[]).await.ok();
        let told = plan.house.told(mark).await;
        assert!(!told.types().contains(&"customer.subscription.updated"), "{:?}", told.types());
    }
}

/// `end_date=now` ends the running phase, and the schedule with it if it was the last.
#[tokio::test(flavor = "multi_thread")]
async fn a_phase_ends_now() {
    let plan = Plan::begin().await;
    let schedule = plan.schedule(&[]).await;
    plan.advance("2026-11-16T00:00:00Z").await;
    let more = [
        ("phases[0][end_date]", "now"),
        ("phases[1][items][0][price]", plan.twenty.as_str()),
        ("phases[1][proration_behavior]", "none"),
        ("phases[1][duration][interval]", "month"),
    ];
    let turned = update(&plan, &schedule, &more).await.ok();
    let now = at("2026-11-16T00:00:00Z");
    assert_eq!(turned["current_phase"], json!({"start_date": now, "end_date": at("2026-12-16T00:00:00Z")}));
    assert_eq!(plan.subscription(&schedule).await["items"]["data"][0]["price"]["id"], plan.twenty);
    plan.advance("2026-11-17T00:00:00Z").await;
    let more = [
        ("phases[0][start_date]", now.to_string()),
        ("phases[0][end_date]", "now".to_owned()),
        ("phases[0][items][0][price]", plan.twenty.clone()),
        ("end_behavior", "cancel".to_owned()),
    ];
    let more: Vec<(&str, &str)> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let ended = update(&plan, &schedule, &more).await.ok();
    has(&ended, &json!({"status": "completed"}));
    has(&plan.subscription(&schedule).await, &json!({"status": "canceled"}));
}

/// One that has not begun can be changed altogether, and begin now.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_begun_changes_altogether() {
    let plan = Plan::begin().await;
    let later = at("2026-12-01T00:00:00Z").to_string();
    let schedule = plan.schedule(&[("start_date", &later)]).await;
    let more = [
        ("phases[0][start_date]", later.as_str()),
        ("phases[0][items][0][price]", &plan.twenty),
        ("end_behavior", "cancel"),
    ];
    let mark = plan.house.mark().await;
    let updated = update(&plan, &schedule, &more).await.ok();
    plan.house.told(mark).await.are("subscription_schedule.updated");
    has(&updated, &json!({"status": "not_started", "end_behavior": "cancel"}));
    let mark = plan.house.mark().await;
    let begun = update(&plan, &updated, &[("phases[0][start_date]", "now")]).await.ok();
    has(&begun, &json!({"status": "active"}));
    plan.house
        .told(mark)
        .await
        .are("customer.subscription.created invoice.created customer.updated subscription_schedule.updated");
    has(&plan.subscription(&begun).await, &json!({"cancel_at": begun["phases"][0]["end_date"]}));
    // The end is the schedule's to say, and changes with it.
    let more = [("end_behavior", "release")];
    update(&plan, &begun, &more).await.ok();
    has(&plan.subscription(&begun).await, &json!({"cancel_at": null}));
}

/// Items that are changed beside the schedule split the running phase; other things are the subscription's
/// own, and stay until a phase changes them.
#[tokio::test(flavor = "multi_thread")]
async fn direct_changes_split_the_phase() {
    let plan = Plan::begin().await;
    let schedule = plan.schedule(&[]).await;
    let path = format!("/v1/subscriptions/{}", schedule["subscription"].as_str().unwrap());
    let item = plan.subscription(&schedule).await["items"]["data"][0]["id"].as_str().unwrap().to_owned();
    plan.advance("2026-11-16T00:00:00Z").await;
    let mark = plan.house.mark().await;
    let form =
        [("items[0][id]", item.as_str()), ("items[0][quantity]", "2"), ("metadata[own]", "1"), ("description", "Mine")];
    plan.house.post(&path, &form).await.ok();
    plan.house.told(mark).await.one("subscription_schedule.updated");
    let split = plan.read(&schedule).await;
    let now = at("2026-11-16T00:00:00Z");
    let spans: Vec<(i64, i64, i64)> = split["phases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|phase| {
            let number = |value: &Value| value.as_i64().unwrap();
            (number(&phase["start_date"]), number(&phase["end_date"]), number(&phase["items"][0]["quantity"]))
        })
        .collect();
    let (start, turn, end) = (at("2026-11-01T00:00:00Z"), at("2027-01-01T00:00:00Z"), at("2027-02-01T00:00:00Z"));
    assert_eq!(spans, [(start, now, 1), (now, turn, 2), (turn, end, 1)]);
    has(&split, &json!({"current_phase": {"start_date": now, "end_date": turn}}));
    assert_eq!(split["phases"][1]["metadata"], json!({}), "metadata is not passed on");
    // Once more in the same second it is the same phase.
    plan.house.post(&path, &[("items[0][id]", item.as_str()), ("items[0][quantity]", "3")]).await.ok();
    assert_eq!(plan.read(&schedule).await["phases"].as_array().unwrap().len(), 3);
    plan.advance("2026-12-20T00:00:00Z").await;
    plan.advance("2027-01-01T02:00:00Z").await;
    let turned = plan.subscription(&schedule).await;
    has(&turned, &json!({"metadata": {"own": "1"}, "description": "Mine"}));
    has(&turned["items"]["data"][0], &json!({"quantity": 1, "id": item}));
}

/// A trial that is given beside the schedule is that of the running phase: changing something else later does
/// not end it, and the next phase does.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_is_given_beside_the_schedule() {
    let plan = Plan::begin().await;
    let schedule = plan.schedule(&[("phases[0][duration][interval_count]", "1")]).await;
    let path = format!("/v1/subscriptions/{}", schedule["subscription"].as_str().unwrap());
    let (soon, late) = (at("2026-11-20T00:00:00Z"), at("2026-12-15T00:00:00Z"));
    plan.house.post(&path, &[("trial_end", &soon.to_string())]).await.ok();
    has(&plan.read(&schedule).await["phases"][0], &json!({"trial": false, "trial_end": soon}));
    plan.post(&format!("/{}", id(&schedule)), &[("metadata[a]", "b")]).await.ok();
    has(&plan.subscription(&schedule).await, &json!({"status": "trialing", "trial_end": soon}));
    plan.house.post(&path, &[("trial_end", &late.to_string())]).await.ok();
    plan.advance("2026-11-30T00:00:00Z").await;
    has(&plan.subscription(&schedule).await, &json!({"status": "trialing"}));
    plan.advance("2026-12-01T02:00:00Z").await;
    has(&plan.subscription(&schedule).await, &json!({"status": "active", "trial_end": at("2026-12-01T00:00:00Z")}));
}

/// `default_settings` hold for what phases leave open, at once; what they cannot be is refused.
#[tokio::test(flavor = "multi_thread")]
async fn defaults_hold_at_once() {
    let plan = Plan::begin().await;
    let schedule = plan.schedule(&[("phases[1][description]", "Its own")]).await;
    let path = format!("/{}", id(&schedule));
    for (form, param) in [
        (
            &[("default_settings[collection_method]", "send_invoice")][..],
            "default_settings[invoice_settings][days_until_due]",
        ),
        (&[("default_settings[default_payment_method]", "pm_none")], "default_settings[default_payment_method]"),
        (&[("default_settings[transfer_data][destination]", "acct_1")], "default_settings[transfer_data]"),
    ] {
        assert_eq!(plan.post(&path, form).await.error(400)["param"], param);
    }
    let form = [
        ("default_settings[collection_method]", "send_invoice"),
        ("default_settings[invoice_settings][days_until_due]", "7"),
        ("default_settings[invoice_settings][footer]", "Thanks"),
        ("default_settings[description]", "For all"),
    ];
    let mark = plan.house.mark().await;
    plan.post(&path, &form).await.ok();
    plan.house.told(mark).await.are("subscription_schedule.updated customer.subscription.updated");
    let subscription = plan.subscription(&schedule).await;
    has(&subscription, &json!({"collection_method": "send_invoice", "days_until_due": 7, "description": "For all"}));
    assert_eq!(subscription["invoice_settings"]["footer"], "Thanks");
    plan.advance("2026-12-20T00:00:00Z").await;
    plan.advance("2027-01-01T00:00:00Z").await;
    has(&plan.subscription(&schedule).await, &json!({"description": "Its own", "days_until_due": 7}));
}

/// What cannot be is refused, names its parameter, and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused() {
    let plan = Plan::begin().await;
    let base = [("customer", plan.customer.as_str()), ("phases[0][items][0][price]", &plan.ten)];
    let past = at("2026-10-31T00:00:00Z").to_string();
    let soon = at("2026-11-10T00:00:00Z").to_string();
    let mark = plan.house.mark().await;
    let cases: [(&[(&str, &str)], &str); 19] = [
        (&[("phases[0][end_date]", &past)], "phases[0][end_date]"),
        (&[("phases[0][end_date]", &soon), ("phases[0][duration][interval]", "day")], "phases[0][duration]"),
        (
            &[("phases[0][duration][interval]", "day"), ("phases[0][duration][interval_count]", "0")],
            "phases[0][duration][interval_count]",
        ),
        (&[("phases[1][items][0][price]", &plan.ten)], "phases[0][end_date]"),
        (&[("phases[0][items][0][price]", "price_none")], "phases[0][items][0][price]"),
        (&[("phases[0][items][0][quantity]", "-1")], "phases[0][items][0][quantity]"),
        (&[("phases[0][items][1][price]", &plan.ten)], "phases[0][items][1][price]"),
        (&[("phases[0][start_date]", "now")], "phases[0][start_date]"),
        (&[("phases[0][end_date]", "now")], "phases[0][end_date]"),
        (&[("phases[0][iterations]", "2")], "phases[0][iterations]"),
        (&[("phases[0][trial]", "true"), ("phases[0][trial_end]", &soon)], "phases[0][trial_end]"),
        (&[("phases[0][trial_end]", &past)], "phases[0][trial_end]"),
        (
            &[("phases[0][trial]", "true"), ("phases[0][billing_cycle_anchor]", "phase_start")],
            "phases[0][billing_cycle_anchor]",
        ),
        (&[("phases[0][collection_method]", "send_invoice")], "phases[0][invoice_settings][days_until_due]"),
        (&[("phases[0][default_payment_method]", "pm_none")], "phases[0][default_payment_method]"),
        (&[("phases[0][discounts][0][coupon]", "c")], "phases[0][discounts]"),
        (&[("phases[0][currency]", "eur")], "phases[0][currency]"),
        (&[("phases[0][add_invoice_items][0][price]", &plan.ten)], "phases[0][add_invoice_items][0][price]"),
        (&[("end_behavior", "renew")], "end_behavior"),
    ];
    for (more, param) in cases {
        let kept = base.into_iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
        let form: Vec<(&str, &str)> = kept.chain(more.iter().copied()).collect();
        let error = plan.post("", &form).await.error(400);
        assert_eq!(
            (&error["param"], &error["type"]),
            (&json!(param), &json!("invalid_request_error")),
            "{more:?} {error}"
        );
    }
    plan.post("", &[("customer", "cus_none"), ("phases[0][items][0][price]", &plan.ten)]).await.error(400);
    assert_eq!(plan.post("", &base[..1]).await.error(400)["param"], "phases");
    let many: Vec<(String, &str)> = (0..11)
        .flat_map(|index| {
            [
                (format!("phases[{index}][items][0][price]"), plan.ten.as_str()),
                (format!("phases[{index}][duration][interval]"), "month"),
            ]
        })
        .collect();
    let many: Vec<(&str, &str)> = many
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .chain([("customer", plan.customer.as_str())])
        .collect();
    assert_eq!(plan.post("", &many).await.error(400)["param"], "phases");
    plan.house.told(mark).await.are("");

    // The running phase starts where it did; and the schedule says when its subscription ends.
    let schedule = plan.schedule(&[]).await;
    for (more, param) in [
        (&[("phases[0][start_date]", soon.as_str())][..], "phases[0][start_date]"),
        (&[("phases[0][end_date]", &past)], "phases[0][end_date]"),
    ] {
        assert_eq!(update(&plan, &schedule, more).await.error(400)["param"], param);
    }
    let form = [("phases[0][items][0][price]", plan.ten.as_str())];
    assert_eq!(plan.post(&format!("/{}", id(&schedule)), &form).await.error(400)["param"], "phases[0][start_date]");
    let path = format!("/v1/subscriptions/{}", schedule["subscription"].as_str().unwrap());
    for (param, value) in [("cancel_at_period_end", "true"), ("cancel_at", soon.as_str())] {
        let error = plan.house.post(&path, &[(param, value)]).await.error(400);
        assert_eq!(error["param"], param);
    }
    plan.house.post(&format!("{path}/pause"), &[("type", "subscription")]).await.error(400);
    has(&plan.subscription(&schedule).await, &json!({"cancel_at": null, "status": "active"}));
    assert_eq!(plan.post("/sub_sched_none/cancel", &[]).await.error(404)["code"], "resource_missing");
}

/// A price that is archived meanwhile was agreed on all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_agreed_on_holds() {
    let plan = Plan::begin().await;
    let running = plan.schedule(&[]).await;
    let later = at("2026-12-15T00:00:00Z").to_string();
    let waiting = plan.schedule(&[("start_date", &later)]).await;
    for price in [&plan.ten, &plan.twenty] {
        plan.house.post(&format!("/v1/prices/{price}"), &[("active", "false")]).await.ok();
    }
    plan.advance("2026-12-20T00:00:00Z").await;
    has(&plan.read(&waiting).await, &json!({"status": "active"}));
    plan.advance("2027-01-01T02:00:00Z").await;
    assert_eq!(plan.subscription(&running).await["items"]["data"][0]["price"]["id"], plan.twenty);
}

/// `create_preview` of a schedule: what comes next of it, what a change of it would bill, and the first invoice
/// of one that is not there yet.
#[tokio::test(flavor = "multi_thread")]
async fn previews_of_schedules() {
    let plan = Plan::begin().await;
    let preview = |form: Vec<(&'static str, String)>| {
        let house = &plan.house;
        async move {
            let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            house.post("/v1/invoices/create_preview", &form).await
        }
    };
    let later = at("2026-11-10T00:00:00Z").to_string();
    let waiting = plan.schedule(&[("start_date", &later)]).await;
    let first = preview(vec![("schedule", id(&waiting))]).await.ok();
    has(&first, &json!({"total": 1000, "created": at("2026-11-10T00:00:00Z"), "status": "draft"}));
    let running = plan.schedule(&[("phases[0][duration][interval_count]", "1")]).await;
    assert_eq!(preview(vec![("schedule", id(&running))]).await.ok()["total"], 2000);
    plan.advance("2026-11-16T00:00:00Z").await;
    let running = plan.read(&running).await;
    let mut change: Vec<(String, String)> = again(&running);
    change.retain(|(name, _)| name != "phases[0][items][0][price]");
    change.push(("phases[0][items][0][price]".to_owned(), plan.twenty.clone()));
    let mut form = vec![
        ("schedule".to_owned(), id(&running)),
        ("schedule_details[proration_behavior]".to_owned(), "always_invoice".to_owned()),
    ];
    form.extend(
        change.into_iter().map(|(name, value)| (name.replacen("phases", "schedule_details[phases]", 1), value)),
    );
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let changed = plan.house.post("/v1/invoices/create_preview", &form).await.ok();
    assert_eq!(changed["total"], 500);
    assert_eq!(plan.read(&running).await, running, "nothing has happened");
    let customer = plan.customer.clone();
    let new = |more: &[(&'static str, &str)]| {
        let mut form = vec![
            ("customer", customer.clone()),
            ("schedule_details[phases][0][items][0][price]", plan.ten.clone()),
            ("schedule_details[phases][0][items][0][quantity]", "3".to_owned()),
        ];
        form.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        form
    };
    assert_eq!(preview(new(&[])).await.ok()["total"], 3000);
    assert_eq!(preview(new(&[("schedule_details[phases][0][trial]", "true")])).await.ok()["total"], 0);
    for (more, param) in [
        (("subscription", "sub_1"), "subscription"),
        (("schedule_details[phases][0][items][0][quantity]", "-1"), "schedule_details[phases][0][items][0][quantity]"),
        (("schedule_details[pause_schedules][0][key]", "a"), "schedule_details[pause_schedules]"),
    ] {
        let mut form = new(&[]);
        form.retain(|(name, _)| *name != more.0);
        form.push((more.0, more.1.to_owned()));
        assert_eq!(preview(form).await.error(400)["param"], param);
    }
    assert_eq!(preview(vec![("schedule", "sub_sched_none".to_owned())]).await.error(400)["param"], "schedule");
}
