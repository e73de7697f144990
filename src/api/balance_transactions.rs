//! `/v1/customers/{id}/balance_transactions`

use serde::Deserialize;

use super::{
    call::Call,
    customers::check_owner,
    reply::Reply,
    route::{At, Route},
};
use crate::{
    billing::{
        Amount, Currency, Id, MetadataPatch,
        balance::{self, Entry},
        balance_transaction::{BalanceTransaction, Kind, NOUN},
        customer::Customer,
        shape::Patch,
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list_of_customer("/v1/customers/{id}/balance_transactions", &NOUN),
        Route::post("/v1/customers/{id}/balance_transactions", create, &NOUN),
        Route::retrieve_of_customer("/v1/customers/{id}/balance_transactions/{transaction}", &NOUN),
        Route::post("/v1/customers/{id}/balance_transactions/{transaction}", update, &NOUN),
    ]
}

#[derive(Clone, Debug, Deserialize)]
struct Create {
    amount: Amount,
    currency: Currency,
    description: Option<String>,
    #[serde(default)]
    metadata: MetadataPatch,
}

async fn create(At(id): At<String>, call: Call, params: Create) -> Reply {
    let id: Id<Customer> = Id::given(id);
    let verb = Decision::new(Owner::Customer(id.clone()), Needs::default(), move |books, at| {
        books.at_path(&id)?;
        let entry = Entry {
            description: params.description,
            metadata: params.metadata.initial()?,
            ..Entry::of(Kind::Adjustment)
        };
        let transaction = balance::adjust(books, params.amount, params.currency, entry, at)?;
        Ok(Subject::document(&transaction))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    description: Patch<String>,
    metadata: MetadataPatch,
}

/// Entries are what happened; only what is said of them can change.
async fn update(At((customer, id)): At<(String, String)>, call: Call, params: Update) -> Reply {
    check_owner(&call, &NOUN, &customer, &id).await?;
    let id: Id<BalanceTransaction> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, _| {
        let transaction = books.at_path(&id)?.clone();
        books.put(BalanceTransaction {
            description: params.description.over(transaction.description),
            metadata: params.metadata.apply(transaction.metadata)?,
            ..transaction
        });
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
