//! `/v1/entitlements/features`

use serde::Deserialize;

use super::{
    call::Call,
    reply::Reply,
    route::{At, Route},
};
use crate::{
    billing::{
        Id, MetadataPatch,
        feature::{Feature, Internal, NOUN, Tag},
        id::Bucket,
        shape::Text,
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/entitlements/features", &NOUN),
        Route::post("/v1/entitlements/features", create, &NOUN),
        Route::retrieve("/v1/entitlements/features/{id}", &NOUN),
        Route::post("/v1/entitlements/features/{id}", update, &NOUN),
    ]
}

#[derive(Clone, Debug, Deserialize)]
struct Create {
    lookup_key: Text<80>,
    #[serde(default)]
    metadata: MetadataPatch,
    name: Text<80>,
}

async fn create(call: Call, params: Create) -> Reply {
    let livemode = call.livemode();
    let verb = Decision::new(Owner::Nobody, Needs::default(), move |books, at| {
        let feature = Feature {
            id: Id::new(&mut at.ids, Bucket::SHARED),
            object: Tag::Feature,
            active: true,
            livemode,
            lookup_key: params.lookup_key.into(),
            metadata: params.metadata.initial()?,
            name: params.name.into(),
            internal: Internal { created: at.now },
        };
        let id = feature.id.clone();
        books.put(feature);
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    active: Option<bool>,
    metadata: MetadataPatch,
    name: Option<Text<80>>,
}

/// Its key stays: code asks by it.
async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    let id: Id<Feature> = Id::given(id);
    let mut needs = Needs::default();
    needs.document(&id);
    let verb = Decision::new(Owner::Nobody, needs, move |books, _| {
        let feature = books.at_path(&id)?.clone();
        books.put(Feature {
            active: params.active.unwrap_or(feature.active),
            metadata: params.metadata.apply(feature.metadata)?,
            name: params.name.map_or(feature.name, String::from),
            ..feature
        });
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
