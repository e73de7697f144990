//! `/v1/dunlin/settings`: read, changed, remembered.

use std::process::Command;

use reqwest::Method;
use serde_json::json;

use crate::support::{House, KEY, PUBLISHABLE_KEY, at, binary};

const PATH: &str = "/v1/dunlin/settings";

#[tokio::test(flavor = "multi_thread")]
async fn there_are_defaults() {
    let house = House::open().await;
    assert_eq!(
        house.get(PATH).await.ok(),
        json!({
            "id": "settings_test",
            "object": "dunlin.settings",
            "api_version": null,
            "branding": {},
            "collection": {
                "authentication": {"action": "unpaid", "days_until_action": null, "reminder_days": []},
                "disputes": {"subscription": "leave"},
                "final_action": {"invoice": "leave_open", "subscription": "unpaid"},
                "manual_collection": {
                    "action": "past_due", "days_past_due": 30, "later_invoices": "draft", "reminder_days": [],
                },
                "retries": {"days": [], "max_attempts": 8, "mode": "smart", "window": "2_weeks"},
            },
            "invoice": {"finalize_after": 3600, "statement_descriptor_after_trial": null, "upcoming_days": null},
            "livemode": false,
            "mail": {},
            "updated": null,
            "version": 0,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_written_down() {
    let house = House::open().await;
    let defaults = house.get(PATH).await.ok();
    assert_eq!(house.post(PATH, &[("collection[retries][mode]", "smart")]).await.ok(), defaults, "no change");
    assert_eq!(house.get(PATH).await.ok(), defaults);
    let form = [("collection[retries][mode]", "custom"), ("collection[retries][days][0]", "3")];
    let first = house.call(Method::POST, PATH, &form, &[("idempotency-key", "one")]).await.ok();
    assert_eq!(
        first["collection"]["retries"],
        json!({"days": [3], "max_attempts": 8, "mode": "custom", "window": "2_weeks"})
    );
    assert_eq!((&first["version"], &first["updated"]), (&json!(1), &json!(house.clock.now().unix_seconds())));
    // Once more with its key, and what is so already: no changes.
    assert_eq!(house.call(Method::POST, PATH, &form, &[("idempotency-key", "one")]).await.ok(), first);
    assert_eq!(house.post(PATH, &form).await.ok(), first);
    let second = house.post(PATH, &[("collection[final_action][subscription]", "cancel")]).await.ok();
    assert_eq!(second["version"], 2);
    assert_eq!(house.get(PATH).await.ok(), second);

    let error = house.post(PATH, &[("collection[retries][days][0]", "0")]).await.error(400);
    assert_eq!(
        (&error["type"], &error["param"]),
        (&json!("invalid_request_error"), &json!("collection[retries][days][0]"))
    );
    assert_eq!(error["code"], "parameter_invalid_integer");
    assert_eq!(house.get(PATH).await.ok(), second, "a refusal changes nothing");

    let history = house.list(&format!("{PATH}/history")).await;
    assert_eq!(history.len(), 2);
    assert_eq!((&history[0]["before"], &history[0]["after"]), (&first, &second), "newest first");
    assert_eq!(history[1]["before"]["version"], 0);
    assert_eq!(history[0]["author"]["type"], "api_key");
    let hint = history[0]["author"]["hint"].as_str().unwrap();
    assert!(hint.starts_with("sk_test_*") && hint.ends_with(&KEY[KEY.len() - 4..]), "{hint}");
    assert!(history[0]["author"]["id"].as_str().unwrap().starts_with("key_"));
    let page = house.get(&format!("{PATH}/history?limit=1")).await.ok();
    assert_eq!((&page["has_more"], &page["url"]), (&json!(true), &json!(format!("{PATH}/history"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_secret_key_may() {
    let house = House::open().await;
    let key = format!("Bearer {PUBLISHABLE_KEY}");
    let headers = [("authorization", key.as_str())];
    for (method, path) in
        [(Method::GET, PATH.to_owned()), (Method::POST, PATH.to_owned()), (Method::GET, format!("{PATH}/history"))]
    {
        let request = house.client.request(method.clone(), format!("{}{path}", house.url)).bearer_auth(PUBLISHABLE_KEY);
        assert_eq!(request.send().await.unwrap().status(), 401, "{method} {path}");
    }
    house.call(Method::POST, PATH, &[("invoice[upcoming_days]", "7")], &headers).await.error(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_does_the_same() {
    let house = House::open().await;
    let run = |arguments: &[&str]| {
        let output = Command::new(binary())
            .args(["--log", "error", "settings"])
            .args(arguments)
            .env("DATABASE_URL", &house.database_url)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (done, shown, _) = run(&["set", "collection.retries.mode=custom", "collection.retries.days=3,5,7"]);
    assert!(done);
    let settings = house.get(PATH).await.ok();
    assert_eq!(settings["collection"]["retries"]["days"], json!([3, 5, 7]));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), settings);
    assert_eq!(run(&["get"]).1, shown);
    let (done, _, said) = run(&["set", "collection.retries.days.0=99"]);
    assert!(!done);
    assert_eq!(said, "dunlin: collection[retries][days][0]: This value must be less than or equal to 60.\n");
    // Another process decides by it at once.
    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    house.subscribe(&customer, &price).await;
    house.default_card(&customer, "pm_card_chargeCustomerFail").await;
    house.advance_wall("2027-02-01T00:00:00Z").await;
    house.advance_wall("2027-02-01T01:00:00Z").await;
    let owed = house.list(&format!("/v1/invoices?customer={customer}")).await.remove(0);
    assert_eq!(owed["next_payment_attempt"], at("2027-02-04T01:00:00Z"));
    // The modes have settings of their own.
    assert!(run(&["set", "--live", "invoice.upcoming_days=7"]).0);
    assert_eq!(house.get(PATH).await.ok(), settings);
    assert!(run(&["get", "--live"]).1.contains("\"upcoming_days\": 7"));
    let history = house.list(&format!("{PATH}/history")).await;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0]["author"], json!({"hint": null, "id": null, "type": "command_line"}));
}
