//! The table of test cards: those that no other test charges, and what must be said with a number.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, House};

async fn made_of(house: &House, number: &str, cvc: &str) -> Answer {
    let form = [
        ("type", "card"),
        ("card[exp_month]", "12"),
        ("card[exp_year]", "2034"),
        ("card[number]", number),
        ("card[cvc]", cvc),
    ];
    house.post("/v1/payment_methods", &form).await
}

async fn pay(house: &House, method: &str) -> Answer {
    let form = [("amount", "1000"), ("currency", "usd"), ("payment_method", method), ("confirm", "true")];
    house.post("/v1/payment_intents", &form).await
}

/// Cards that succeed: number, brand, funding, country.
#[tokio::test(flavor = "multi_thread")]
async fn cards_that_succeed() {
    let house = House::open().await;
    for (number, brand, funding, country) in [
        ("6011000990139424", "discover", "credit", "US"),
        ("6011981111111113", "discover", "debit", "US"),
        ("371449635398431", "amex", "credit", "US"),
        ("5200828282828210", "mastercard", "debit", "US"),
        ("5105105105105100", "mastercard", "prepaid", "US"),
        ("6200000000000047", "unionpay", "debit", "US"),
        ("6205500000000000004", "unionpay", "credit", "US"),
        ("6555900000604105", "discover", "credit", "US"),
        ("4000003920000003", "visa", "credit", "JP"),
        ("3530111333300000", "jcb", "credit", "JP"),
        ("4000002760000016", "visa", "credit", "DE"),
        ("4000000000000077", "visa", "credit", "US"),
        ("4000000032200000", "visa", "credit", "US"),
    ] {
        let made = made_of(&house, number, if brand == "amex" { "1234" } else { "123" }).await.ok();
        has(&made["card"], &json!({"brand": brand, "funding": funding, "country": country}));
        let paid = pay(&house, made["id"].as_str().unwrap()).await.ok();
        assert_eq!(paid["status"], "succeeded", "{number}");
    }
    // Tokens of countries.
    for (token, country) in [("pm_card_us", "US"), ("pm_card_jp", "JP"), ("pm_card_de", "DE"), ("pm_card_gb", "GB")] {
        let paid = pay(&house, token).await.ok();
        let charge = house.get(&format!("/v1/charges/{}", paid["latest_charge"].as_str().unwrap())).await.ok();
        assert_eq!(charge["payment_method_details"]["card"]["country"], country);
    }
}

/// Declines and authentication of cards that share a number, or have one in another country.
#[tokio::test(flavor = "multi_thread")]
async fn cards_that_decline_or_ask() {
    let house = House::open().await;
    for (token, reason) in [
        ("pm_card_visa_chargeCustomerFailLostCard", "lost_card"),
        ("pm_card_visa_chargeCustomerFailStolenCard", "stolen_card"),
        ("pm_card_threeDSecureRequiredProcessingError", "generic_decline"),
    ] {
        let error = pay(&house, token).await.error(402);
        has(&error, &json!({"code": "card_declined", "decline_code": reason}));
    }
    let asking = made_of(&house, "4000008400000027", "123").await.ok();
    let asked = pay(&house, asking["id"].as_str().unwrap()).await.ok();
    assert_eq!(asked["status"], "requires_action");
}

/// Three digits, and four of American Express.
#[tokio::test(flavor = "multi_thread")]
async fn a_cvc_has_the_digits_of_its_brand() {
    let house = House::open().await;
    for (number, cvc, good) in [
        ("4242424242424242", "123", true),
        ("4242424242424242", "1234", false),
        ("4242424242424242", "99", false),
        ("4242424242424242", "12a", false),
        ("5555555555554444", "1234", false),
        ("378282246310005", "1234", true),
        ("378282246310005", "123", false),
    ] {
        let answer = made_of(&house, number, cvc).await;
        if good {
            assert_eq!(answer.ok()["card"]["checks"]["cvc_check"], "pass", "{number} {cvc}");
        } else {
            assert_eq!(answer.error(402)["code"], "invalid_cvc", "{number} {cvc}");
        }
    }
    // What cannot be the number of a card is said first.
    assert_eq!(made_of(&house, "4242424242424241", "99").await.error(402)["code"], "incorrect_number");
    assert_eq!(house.list("/v1/events?type=payment_method.attached").await, Vec::<Value>::new());
}
