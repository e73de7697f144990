//! The draft of a renewal waits for its `invoice.created` to be acknowledged: whatever becomes of the
//! delivery.

use serde_json::{Value, json};

use crate::{
    catalogue::has,
    sinks::{Answer, Sink},
    support::{House, at, id},
    webhooks::{dispatch, endpoint},
};

/// A renewal's draft whose creation the sink has refused.
async fn unheard() -> (House, Sink, String, String) {
    let house = House::open().await;
    let sink = Sink::open().await;
    let made = id(&endpoint(&house, &sink.url, &["invoice.created"]).await);
    let customer = house.customer("pm_card_visa", None).await;
    let price = house.monthly_price(2000).await;
    house.subscribe(&customer, &price).await;
    dispatch(&house).await;
    sink.answer(|_| Answer::status(500));
    house.advance_wall("2027-02-01T00:00:00Z").await;
    dispatch(&house).await;
    house.advance_wall("2027-02-01T01:00:00Z").await;
    let draft = id(&house.list(&format!("/v1/invoices?customer={customer}")).await[0]);
    has(&invoice(&house, &draft).await, &json!({"status": "draft", "webhooks_delivered_at": null}));
    (house, sink, made, draft)
}

async fn invoice(house: &House, id: &str) -> Value {
    house.get(&format!("/v1/invoices/{id}")).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_an_endpoint_that_is_disabled_or_gone() {
    for deleted in [false, true] {
        let (house, _, made, draft) = unheard().await;
        let path = format!("/v1/webhook_endpoints/{made}");
        if deleted {
            house.delete(&path).await.ok();
        } else {
            house.post(&path, &[("disabled", "true")]).await.ok();
        }
        house.advance_wall("2027-02-01T02:00:00Z").await;
        has(
            &invoice(&house, &draft).await,
            &json!({"status": "paid", "webhooks_delivered_at": at("2027-02-01T02:00:00Z")}),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_it_again_by_hand_ends_the_wait() {
    let (house, sink, _, draft) = unheard().await;
    let waiting = house.list("/v1/dunlin/deliveries?status=failed").await.swap_remove(0);
    assert_eq!(waiting["about"], json!(draft));
    sink.answer(|_| Answer::ok());
    house.post(&format!("/v1/dunlin/deliveries/{}/resend", id(&waiting)), &[]).await.ok();
    dispatch(&house).await;
    house.advance_wall("2027-02-01T02:00:00Z").await;
    has(
        &invoice(&house, &draft).await,
        &json!({"status": "paid", "webhooks_delivered_at": at("2027-02-01T01:00:00Z")}),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_once_is_waited_for_no_more() {
    let (house, sink, made, draft) = unheard().await;
    sink.answer(|_| Answer::ok());
    house.advance_wall("2027-02-01T01:10:00Z").await;
    dispatch(&house).await;
    sink.answer(|_| Answer::status(500));
    let path = format!("/v1/dunlin/webhook_endpoints/{made}/resend");
    let again = house.post(&path, &[("since", &at("2027-02-01T00:00:00Z").to_string())]).await.ok();
    assert_eq!(again["events"], 1);
    dispatch(&house).await;
    assert_eq!(house.list("/v1/dunlin/deliveries?status=failed").await.len(), 1);
    house.advance_wall("2027-02-01T02:10:00Z").await;
    has(
        &invoice(&house, &draft).await,
        &json!({"status": "paid", "webhooks_delivered_at": at("2027-02-01T01:10:00Z")}),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_was_not_heard() {
    let (house, _, _, draft) = unheard().await;
    for time in ["2027-02-03T00:00:00Z", "2027-02-03T23:59:59Z"] {
        house.advance_wall(time).await;
        dispatch(&house).await;
        assert_eq!(invoice(&house, &draft).await["status"], "draft", "{time}");
    }
    house.app.engine.maintain().await.unwrap();
    house.advance_wall("2027-02-04T00:00:00Z").await;
    has(&invoice(&house, &draft).await, &json!({"status": "paid", "webhooks_delivered_at": null}));
    house.advance_wall("2027-02-04T00:00:01Z").await;
    house.app.engine.maintain().await.unwrap();
    assert_eq!(house.list("/v1/dunlin/deliveries?status=given_up").await.len(), 1);
}

/// The first draft of what is sent is announced last of all that its subscription tells, and waits for that.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_draft_of_a_sent_subscription_waits_too() {
    let house = House::open().await;
    let sink = Sink::open().await;
    endpoint(&house, &sink.url, &["invoice.created"]).await;
    sink.answer(|_| Answer::status(500));
    let customer = id(&house.post("/v1/customers", &[("email", "ada@example.com")]).await.ok());
    let price = house.monthly_price(2000).await;
    let sent = [("collection_method", "send_invoice"), ("days_until_due", "7")];
    let made = house.subscribe_with(&customer, &price, &sent).await.ok();
    dispatch(&house).await;
    let draft = id(&house.latest_invoice(&made).await);
    house.advance_wall("2027-01-01T02:00:00Z").await;
    has(&invoice(&house, &draft).await, &json!({"status": "draft", "webhooks_delivered_at": null}));
    house.advance_wall("2027-01-04T00:00:00Z").await;
    has(&invoice(&house, &draft).await, &json!({"status": "open", "webhooks_delivered_at": null}));
}
