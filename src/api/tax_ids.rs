//! `/v1/customers/{id}/tax_ids` and `/v1/tax_ids`

use serde::Deserialize;

use super::{
    call::Call,
    customers::check_owner,
    reply::Reply,
    route::{At, Route, deleted, list_of},
};
use crate::{
    billing::{
        Id, Refusal,
        customer::Customer,
        tax_id::{self, NOUN, Number, OwnerType, TaxId},
    },
    engine::{self, Subject, verb::Decision},
    store::{books::Needs, list::Condition},
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list_of_customer("/v1/customers/{id}/tax_ids", &NOUN),
        Route::post("/v1/customers/{id}/tax_ids", create_of_customer, &NOUN),
        Route::retrieve_of_customer("/v1/customers/{id}/tax_ids/{tax_id}", &NOUN),
        Route::delete("/v1/customers/{id}/tax_ids/{tax_id}", delete_of_customer, deleted(&NOUN)),
        Route::get("/v1/tax_ids", list, list_of(&NOUN)),
        Route::post("/v1/tax_ids", create, &NOUN),
        Route::retrieve("/v1/tax_ids/{id}", &NOUN),
        Route::delete("/v1/tax_ids/{id}", delete, deleted(&NOUN)),
    ]
}

/// A type and a value; also an entry of `tax_id_data`.
#[derive(Clone, Debug, Deserialize)]
pub struct NumberParams {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

impl NumberParams {
    pub fn check(self) -> Result<Number, Refusal> {
        Number::check(self.kind, &self.value)
    }
}

#[derive(Clone, Debug, Deserialize)]
struct OwnerParams {
    customer: Option<Id<Customer>>,
    #[serde(rename = "type")]
    kind: OwnerType,
}

impl OwnerParams {
    /// The customer that it is, or the account itself.
    fn customer(self) -> Result<Option<Id<Customer>>, Refusal> {
        match (self.kind, self.customer) {
            (OwnerType::Customer, Some(customer)) => Ok(Some(customer)),
            (OwnerType::Customer, None) => Err(Refusal::missing("owner[customer]")),
            (OwnerType::Itself, None) => Ok(None),
            (OwnerType::Itself, Some(_)) => Err(Refusal::unknown("owner[customer]")),
            (OwnerType::Account | OwnerType::Application, _) => Err(Refusal::not_supported_yet("owner[type]")),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct List {
    owner: Option<OwnerParams>,
}

async fn list(call: Call, params: List) -> Reply {
    let owner = params.owner.map(OwnerParams::customer).transpose()?.flatten();
    let condition = match owner {
        Some(customer) => Condition::Text("customer", customer.to_string()),
        None => Condition::Null("customer", true),
    };
    call.list_where(&NOUN, vec![condition]).await
}

async fn create_of_customer(At(id): At<String>, call: Call, params: NumberParams) -> Reply {
    let number = params.check()?;
    let id: Id<Customer> = Id::given(id);
    let verb = Decision::new(engine::Owner::Customer(id.clone()), Needs::default(), move |books, at| {
        books.at_path(&id)?;
        Ok(Subject::document(&tax_id::give(books, number, at)?))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Deserialize)]
struct Create {
    owner: Option<OwnerParams>,
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

async fn create(call: Call, params: Create) -> Reply {
    let number = Number::check(params.kind, &params.value)?;
    let customer = params.owner.map(OwnerParams::customer).transpose()?.flatten();
    let livemode = call.livemode();
    let owner = customer.clone().map_or(engine::Owner::Nobody, engine::Owner::Customer);
    let verb = Decision::new(owner, Needs::default(), move |books, at| {
        let id = match &customer {
            Some(customer) => {
                books.find(customer, "owner[customer]")?;
                tax_id::give(books, number, at)?
            }
            None => tax_id::of_account(books, number, livemode, at),
        };
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn delete_of_customer(At((customer, id)): At<(String, String)>, call: Call) -> Reply {
    check_owner(&call, &NOUN, &customer, &id).await?;
    delete(At(id), call).await
}

async fn delete(At(id): At<String>, call: Call) -> Reply {
    let id: Id<TaxId> = Id::given(id);
    let verb = Decision::new(engine::Owner::of(&id), Needs::default(), move |books, at| {
        tax_id::take(books, &id, at)?;
        Ok(Subject::deleted(&id))
    });
    call.run(&NOUN, verb).await
}
