//! `/v1/customers/{id}/subscriptions`: the same calls by an older path.

use super::{
    cancel::{self, Cancel},
    create::{self, Create},
    no_discount,
    update::{self, Update},
};
use crate::{
    api::{
        call::Call,
        customers::check_owner,
        reply::Reply,
        route::{At, Route},
    },
    billing::{Id, Refusal, subscription::NOUN},
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list_of_customer("/v1/customers/{id}/subscriptions", &NOUN),
        Route::post("/v1/customers/{id}/subscriptions", create, &NOUN),
        Route::retrieve_of_customer("/v1/customers/{id}/subscriptions/{subscription}", &NOUN),
        Route::post("/v1/customers/{id}/subscriptions/{subscription}", update, &NOUN),
        Route::delete("/v1/customers/{id}/subscriptions/{subscription}", cancel, &NOUN),
        Route::delete("/v1/customers/{id}/subscriptions/{subscription}/discount", discount, "discount"),
    ]
}

async fn create(At(id): At<String>, call: Call, mut params: Create) -> Reply {
    if params.customer.as_ref().is_some_and(|named| named.as_str() != id) {
        return Err(Refusal::invalid("The customer is named by the path.").param("customer").into());
    }
    params.customer = Some(Id::given(id));
    create::create(call, params).await
}

async fn update(At((customer, id)): At<(String, String)>, call: Call, params: Update) -> Reply {
    check_owner(&call, &NOUN, &customer, &id).await?;
    update::update(At(id), call, params).await
}

async fn cancel(At((customer, id)): At<(String, String)>, call: Call, params: Cancel) -> Reply {
    check_owner(&call, &NOUN, &customer, &id).await?;
    cancel::cancel(At(id), call, params).await
}

async fn discount(At((customer, id)): At<(String, String)>, call: Call) -> Reply {
    check_owner(&call, &NOUN, &customer, &id).await?;
    no_discount(At(id), call).await
}
