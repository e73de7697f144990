//! Features: made with a key of their own, found by it, archived and never deleted.

use serde_json::json;

use crate::support::{House, id};

#[tokio::test(flavor = "multi_thread")]
async fn features_are_made_changed_and_found() {
    let house = House::open().await;
    let path = "/v1/entitlements/features";
    let form = [("name", "Priority support"), ("lookup_key", "priority"), ("metadata[tier]", "2")];
    let feature = house.post(path, &form).await.ok();
    let feature_id = id(&feature);
    assert!(feature_id.starts_with("feat_"));
    let expected = json!({
        "id": feature_id, "object": "entitlements.feature", "active": true, "livemode": false, "lookup_key": "priority",
        "metadata": {"tier": "2"}, "name": "Priority support",
    });
    assert_eq!(feature, expected);
    house.post(path, &[("name", "Export"), ("lookup_key", "export")]).await.ok();
    let one = format!("{path}/{feature_id}");
    let archived = house.post(&one, &[("active", "false"), ("name", "Support")]).await.ok();
    assert_eq!((&archived["active"], &archived["name"]), (&json!(false), &json!("Support")));
    assert_eq!(house.get(&one).await.ok(), archived);
    for (query, found) in
        [("", 2), ("?archived=true", 1), ("?archived=false", 1), ("?lookup_key=export", 1), ("?lookup_key=none", 0)]
    {
        assert_eq!(house.list(&format!("{path}{query}")).await.len(), found, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn features_refuse_what_is_wrong() {
    let house = House::open().await;
    let path = "/v1/entitlements/features";
    let feature = house.post(path, &[("name", "Export"), ("lookup_key", "export")]).await.ok();
    let again = house.post(path, &[("name", "Export"), ("lookup_key", "export")]).await.error(400);
    assert_eq!((&again["code"], &again["param"]), (&json!("resource_already_exists"), &json!("lookup_key")));
    assert_eq!(again["message"], "A feature already uses that lookup key.");
    for (form, param) in [(&[("name", "x")][..], "lookup_key"), (&[("lookup_key", "x")], "name")] {
        let missing = house.post(path, form).await.error(400);
        assert_eq!((&missing["code"], &missing["param"]), (&json!("parameter_missing"), &json!(param)));
    }
    let fixed = house.post(&format!("{path}/{}", id(&feature)), &[("lookup_key", "other")]).await.error(400);
    assert_eq!(fixed["code"], "parameter_unknown");
    assert_eq!(house.get(&format!("{path}/feat_none")).await.error(404)["code"], "resource_missing");
}
