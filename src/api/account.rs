//! `/v1/account` and `/v1/balance`: the one account that this server is.

use serde_json::{Value, json};

use super::{
    auth,
    call::Call,
    reply::Reply,
    route::{At, Route},
};
use crate::store::movements;

/// Who this server is.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: String,
    /// Unix seconds.
    pub created: i64,
}

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/account", own, "account"),
        Route::get("/v1/accounts/{id}", by_id, "account"),
        Route::get("/v1/balance", balance, "balance"),
    ]
}

fn document(account: &Account) -> Value {
    json!({
        "id": account.id,
        "object": "account",
        "business_profile": null,
        "business_type": null,
        "capabilities": {"card_payments": "active"},
        "charges_enabled": true,
        "controller": {"type": "account"},
        "country": "US",
        "created": account.created,
        "default_currency": "usd",
        "details_submitted": true,
        "email": null,
        "metadata": {},
        "payouts_enabled": false,
        "settings": null,
        "type": "standard",
    })
}

async fn own(call: Call) -> Reply {
    call.say(&document(&call.house.account))
}

async fn by_id(At(id): At<String>, call: Call) -> Reply {
    if id != call.house.account.id {
        return Err(auth::no_access(&call.caller, &id).into());
    }
    call.say(&document(&call.house.account))
}

/// What has come and not gone again, by currency. Nothing pends: payouts are the processor's matter.
async fn balance(call: Call) -> Reply {
    let mut reader = call.house.engine.store.reader().await?;
    let left = movements::balance(&mut reader, call.livemode()).await?;
    drop(reader);
    let entry =
        |amount: i64, currency: &str| json!({"amount": amount, "currency": currency, "source_types": {"card": amount}});
    let left = if left.is_empty() { vec![("usd".to_owned(), 0)] } else { left };
    let available: Vec<Value> = left.iter().map(|(currency, amount)| entry(*amount, currency)).collect();
    let pending: Vec<Value> = left.iter().map(|(currency, _)| entry(0, currency)).collect();
    call.say(&json!({"object": "balance", "available": available, "livemode": call.livemode(), "pending": pending}))
}
