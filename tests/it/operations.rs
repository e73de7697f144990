//! All declared calls, at once: what holds for each of them.

use std::collections::{BTreeSet, HashMap};

use dunlin::api::{self, route::Operation};
use reqwest::Method;
use serde_json::Value;

use crate::support::{House, PUBLISHABLE_KEY};

/// All that the newest version has.
fn operations() -> Vec<Operation> {
    let all = api::routes().into_iter().map(|route| route.operation);
    all.filter(|operation| operation.until.is_none()).collect()
}

/// A path that names nothing: `/v1/customers/none`.
pub fn path_of(operation: &Operation) -> String {
    let part = |part: &'static str| if part.starts_with('{') { "none" } else { part };
    operation.path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Every call is served: without a key it says so, and with the wrong kind of key nothing but that.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_asks_for_its_key_first() {
    let house = House::open().await;
    let publishable = format!("Bearer {PUBLISHABLE_KEY}");
    for operation in operations() {
        let path = path_of(&operation);
        let call = async |key: &str| {
            let nonsense = [("nonsense", "1")];
            let form = if operation.method == Method::GET { &[][..] } else { &nonsense[..] };
            house.call(operation.method.clone(), &path, form, &[("authorization", key)]).await
        };
        call("").await.error(401);
        let answer = call(&publishable).await;
        if operation.publishable {
            assert!([400, 404].contains(&answer.status), "{operation:?} {}", answer.text);
        } else {
            assert_eq!(answer.error(401)["code"], "secret_key_required", "{operation:?}");
        }
    }
}

/// What a publishable key may do, in whole.
#[test]
fn publishable_keys_may_do_little() {
    let mut open: Vec<String> = operations()
        .iter()
        .filter(|operation| operation.publishable)
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    open.sort();
    assert_eq!(
        open,
        [
            "GET /v1/payment_intents/{id}",
            "GET /v1/setup_intents/{id}",
            "POST /v1/payment_intents/{id}/confirm",
            "POST /v1/payment_intents/{id}/verify_microdeposits",
            "POST /v1/payment_methods",
            "POST /v1/setup_intents/{id}/confirm",
            "POST /v1/setup_intents/{id}/verify_microdeposits",
            "POST /v1/tokens",
        ]
    );
}

/// A parameter that a call does not know is refused by name, wherever it was declared.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_refuses_what_it_does_not_know() {
    let house = House::open().await;
    for operation in operations() {
        let answer = house.call(operation.method.clone(), &path_of(&operation), &[("nonsense", "1")], &[]).await;
        // A list below a thing looks for the thing first.
        if answer.status == 404 && operation.path.contains('{') && operation.method == Method::GET {
            assert_eq!(answer.error(404)["code"], "resource_missing", "{operation:?}");
            continue;
        }
        let error = answer.error(400);
        assert_eq!(
            (&error["code"], &error["param"]),
            (&"parameter_unknown".into(), &"nonsense".into()),
            "{operation:?}"
        );
    }
}

/// Verbs that are not declared for a path are no calls.
#[tokio::test(flavor = "multi_thread")]
async fn other_verbs_are_not_recognized() {
    let house = House::open().await;
    let mut declared: HashMap<String, Vec<Method>> = HashMap::new();
    for operation in operations() {
        declared.entry(path_of(&operation)).or_default().push(operation.method);
    }
    for (path, methods) in &declared {
        for method in [Method::GET, Method::POST, Method::DELETE, Method::PUT, Method::PATCH] {
            if !methods.contains(&method) && !declared.contains_key(&shadow(path)) {
                let error = house.call(method.clone(), path, &[], &[]).await.error(404);
                let start = format!("Unrecognized request URL ({method}: {path}).");
                assert!(error["message"].as_str().unwrap().starts_with(&start), "{error}");
            }
        }
    }
}

/// The path of which this one would be a special case: `/v1/invoices/none` of `/v1/invoices/create_preview`.
fn shadow(path: &str) -> String {
    path.rsplit_once('/')
        .map(|(above, last)| if last == "none" { String::new() } else { format!("{above}/none") })
        .unwrap_or_default()
}

/// The description is for everybody, and names every call that is served and none besides.
#[tokio::test(flavor = "multi_thread")]
async fn the_description_has_every_call() {
    let house = House::open().await;
    let answer = house.call(Method::GET, "/openapi.json", &[], &[("authorization", "")]).await;
    let described = answer.ok();
    let declared: BTreeSet<(String, String)> = operations()
        .iter()
        .map(|operation| (operation.path.to_owned(), operation.method.as_str().to_lowercase()))
        .collect();
    let paths = described["paths"].as_object().unwrap().iter();
    let calls: BTreeSet<(String, String)> = paths
        .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())))
        .collect();
    assert_eq!(calls, declared);
}

/// What is described as a parameter is one: sent alone, however wrong its value, it is never called unknown.
#[tokio::test(flavor = "multi_thread")]
async fn every_described_parameter_is_known() {
    let house = House::open().await;
    let described = api::openapi::document();
    let mut seen = 0;
    for operation in &operations() {
        let call = &described["paths"][operation.path][operation.method.as_str().to_lowercase()];
        let body = &call["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]["properties"];
        let in_query = call["parameters"].as_array().unwrap().iter().filter(|one| one["in"] == "query");
        let names = body.as_object().into_iter().flat_map(|fields| fields.keys().map(String::as_str));
        let names: Vec<&str> = names.chain(in_query.filter_map(|one| one["name"].as_str())).collect();
        // All at once: one that is unknown would be named.
        let form: Vec<(&str, &str)> = names.iter().map(|name| (*name, "\u{1}")).collect();
        if form.is_empty() {
            continue;
        }
        let answer = house.call(operation.method.clone(), &path_of(operation), &form, &[]).await;
        assert!([400, 404].contains(&answer.status), "{operation:?} {}", answer.text);
        assert_ne!(answer.body["error"]["code"], "parameter_unknown", "{operation:?} {}", answer.text);
        seen += names.len();
    }
    assert!(seen > 500, "{seen}");
}

/// What is described as required is missed by name.
#[tokio::test(flavor = "multi_thread")]
async fn every_required_parameter_is_missed() {
    let house = House::open().await;
    let described = api::openapi::document();
    for operation in operations().iter().filter(|operation| operation.method == Method::POST) {
        let call = &described["paths"][operation.path]["post"];
        let schema = &call["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"];
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let answer = house.post(&path_of(operation), &[]).await;
        let error = &answer.body["error"];
        if required.is_empty() {
            continue;
        }
        assert_eq!(error["code"], "parameter_missing", "{operation:?}");
        assert!(required.contains(&error["param"].as_str().unwrap()), "{operation:?} {error}");
    }
}
