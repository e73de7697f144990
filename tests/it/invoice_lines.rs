//! The lines of a draft: added, changed, removed; and the items that they are one with.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, House, id};

/// A house with a customer and an empty draft.
async fn start() -> (House, String, String) {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let draft = id(&house.post("/v1/invoices", &[("customer", &customer)]).await.ok());
    (house, customer, draft)
}

async fn act(house: &House, invoice: &str, action: &str, form: &[(&str, &str)]) -> Answer {
    house.post(&format!("/v1/invoices/{invoice}/{action}"), form).await
}

fn amounts(invoice: &Value) -> Vec<i64> {
    invoice["lines"]["data"].as_array().unwrap().iter().map(|line| line["amount"].as_i64().unwrap()).collect()
}

fn line(invoice: &Value, place: usize) -> (String, String) {
    let line = &invoice["lines"]["data"][place];
    let item = line["parent"]["invoice_item_details"]["invoice_item"].as_str().unwrap_or_default();
    (id(line), item.to_owned())
}

async fn one_time(house: &House, cents: &str) -> String {
    let form = [("product_data[name]", "Cap"), ("currency", "usd"), ("unit_amount", cents)];
    id(&house.post("/v1/prices", &form).await.ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_added_new_or_from_what_waits() {
    let (house, customer, draft) = start().await;
    let price = one_time(&house, "300").await;
    let pending = [("customer", &*customer), ("amount", "-100"), ("currency", "usd")];
    let pending = id(&house.post("/v1/invoiceitems", &pending).await.ok());
    let before = house.mark().await;
    let form = [
        ("lines[0][amount]", "500"),
        ("lines[0][description]", "Setup"),
        ("lines[0][metadata][k]", "v"),
        ("lines[1][pricing][price]", &*price),
        ("lines[1][quantity]", "2"),
        ("lines[1][period][start]", "1800000000"),
        ("lines[1][period][end]", "1800000100"),
        ("lines[2][invoice_item]", &*pending),
        ("lines[2][description]", "Sorry"),
        ("invoice_metadata[batch]", "7"),
    ];
    let full = act(&house, &draft, "add_lines", &form).await.ok();
    assert_eq!(amounts(&full), [500, 600, -100]);
    has(&full, &json!({"subtotal": 1000, "total": 1000, "amount_due": 1000, "metadata": {"batch": "7"}}));
    let lines = &full["lines"]["data"];
    has(&lines[0], &json!({"description": "Setup", "metadata": {"k": "v"}, "quantity": 1, "discountable": true}));
    has(&lines[1], &json!({"description": "Cap", "quantity": 2}));
    has(&lines[1], &json!({"period": {"start": 1_800_000_000, "end": 1_800_000_100}}));
    assert_eq!(lines[1]["pricing"]["price_details"]["price"], *price);
    has(&lines[2], &json!({"description": "Sorry", "amount": -100}));
    assert_eq!(line(&full, 2).1, pending);
    house.told(before).await.are("invoiceitem.created invoiceitem.created invoice.updated");
    let on_draft = house.list(&format!("/v1/invoiceitems?invoice={draft}")).await;
    assert_eq!(on_draft.len(), 3, "each line is one with an item");
    // What is on an invoice cannot be taken by another.
    let other = id(&house.post("/v1/invoices", &[("customer", &customer)]).await.ok());
    let error = act(&house, &other, "add_lines", &[("lines[0][invoice_item]", &pending)]).await.error(400);
    assert_eq!(error["param"], "lines[0][invoice_item]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_line_changes_its_item_and_the_other_way_round() {
    let (house, _, draft) = start().await;
    let price = one_time(&house, "300").await;
    let form = [("lines[0][amount]", "500"), ("lines[1][pricing][price]", &*price), ("lines[1][quantity]", "2")];
    let full = act(&house, &draft, "add_lines", &form).await.ok();
    let ((first, item), (second, other)) = (line(&full, 0), line(&full, 1));
    let path = format!("/v1/invoices/{draft}/lines/{first}");
    let changed = house.post(&path, &[("amount", "800"), ("description", "More")]).await.ok();
    has(&changed, &json!({"object": "line_item", "id": first, "amount": 800, "description": "More", "subtotal": 800}));
    let item_now = house.get(&format!("/v1/invoiceitems/{item}")).await.ok();
    has(&item_now, &json!({"amount": 800, "description": "More", "net_amount": 800}));
    let form = [
        ("lines[0][id]", &*second),
        ("lines[0][quantity]", "5"),
        ("lines[1][id]", &*first),
        ("lines[1][metadata][k]", "v"),
        ("invoice_metadata[k]", "w"),
    ];
    let before = house.mark().await;
    let full = act(&house, &draft, "update_lines", &form).await.ok();
    assert_eq!(amounts(&full), [800, 1500]);
    has(&full, &json!({"total": 2300, "metadata": {"k": "w"}}));
    assert_eq!(full["lines"]["data"][0]["metadata"], json!({"k": "v"}));
    house.told(before).await.are("invoice.updated");
    // An item that waits or is on a draft can be changed, and its line follows.
    house.post(&format!("/v1/invoiceitems/{other}"), &[("quantity", "1"), ("description", "One")]).await.ok();
    let full = house.get(&format!("/v1/invoices/{draft}")).await.ok();
    has(&full["lines"]["data"][1], &json!({"amount": 300, "quantity": 1, "description": "One"}));
    assert_eq!(full["total"], 1100);
    // What changes nothing tells nothing.
    let before = house.mark().await;
    house.post(&path, &[("amount", "800")]).await.ok();
    house.told(before).await.are("");
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_lines_are_deleted_or_wait_again() {
    let (house, customer, draft) = start().await;
    let form = [("lines[0][amount]", "500"), ("lines[1][amount]", "600"), ("lines[2][amount]", "700")];
    let full = act(&house, &draft, "add_lines", &form).await.ok();
    let ((first, deleted), (second, waiting)) = (line(&full, 0), line(&full, 1));
    let form = [
        ("lines[0][id]", &*first),
        ("lines[0][behavior]", "delete"),
        ("lines[1][id]", &*second),
        ("lines[1][behavior]", "unassign"),
    ];
    let before = house.mark().await;
    let left = act(&house, &draft, "remove_lines", &form).await.ok();
    assert_eq!((amounts(&left), &left["amount_due"]), (vec![700], &json!(700)));
    house.told(before).await.are("invoiceitem.deleted invoice.updated");
    house.get(&format!("/v1/invoiceitems/{deleted}")).await.error(404);
    let pending = house.list(&format!("/v1/invoiceitems?customer={customer}&pending=true")).await;
    assert_eq!(pending.iter().map(id).collect::<Vec<_>>(), [waiting]);
    // The lines of a subscription have no item to fall back on.
    let price = house.monthly_price(1000).await;
    house.subscribe(&customer, &price).await;
    house.advance_wall("2027-02-01T00:00:00Z").await;
    let renewal = house.list(&format!("/v1/invoices?customer={customer}&status=draft")).await.swap_remove(0);
    let licensed = id(&renewal["lines"]["data"][0]);
    let form = [("lines[0][id]", &*licensed), ("lines[0][behavior]", "unassign")];
    let error = act(&house, &id(&renewal), "remove_lines", &form).await.error(400);
    assert_eq!(error["param"], "lines[0][behavior]");
    let form = [("lines[0][id]", &*licensed), ("lines[0][behavior]", "delete")];
    let left = act(&house, &id(&renewal), "remove_lines", &form).await.ok();
    assert!(amounts(&left).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_make_no_sense_are_refused_and_nothing_changes() {
    let (house, customer, draft) = start().await;
    let full = act(&house, &draft, "add_lines", &[("lines[0][amount]", "500")]).await.ok();
    let (first, _) = line(&full, 0);
    let recurring = house.monthly_price(1000).await;
    for (action, form, param) in [
        ("add_lines", vec![], "lines"),
        ("add_lines", vec![("lines[0][description]", "x")], "lines[0][amount]"),
        ("add_lines", vec![("lines[0][amount]", "1"), ("lines[1][quantity]", "1")], "lines[1][amount]"),
        ("add_lines", vec![("lines[0][amount]", "1"), ("lines[0][id]", "il_x")], "lines[0][id]"),
        ("add_lines", vec![("lines[0][invoice_item]", "ii_x")], "lines[0][invoice_item]"),
        ("add_lines", vec![("lines[0][pricing][price]", &*recurring)], "lines[0][pricing][price]"),
        ("add_lines", vec![("lines[0][amount]", "1"), ("lines[0][tax_rates][]", "txr_x")], "lines[0][tax_rates]"),
        ("update_lines", vec![("lines[0][amount]", "1")], "lines[0][id]"),
        ("update_lines", vec![("lines[0][id]", "il_x"), ("lines[0][amount]", "1")], "lines[0][id]"),
        ("update_lines", vec![("lines[0][id]", &*first), ("lines[0][quantity]", "-1")], "lines[0][quantity]"),
        ("remove_lines", vec![("lines[0][id]", &*first)], "lines[0][behavior]"),
        ("remove_lines", vec![("lines[0][id]", "il_x"), ("lines[0][behavior]", "delete")], "lines[0][id]"),
    ] {
        let error = act(&house, &draft, action, &form).await.error(400);
        assert_eq!(error["param"], param, "{action} {form:?}: {error:#}");
    }
    assert_eq!(amounts(&house.get(&format!("/v1/invoices/{draft}")).await.ok()), [500]);
    assert_eq!(house.list(&format!("/v1/invoiceitems?customer={customer}")).await.len(), 1);
    // Frozen with the finalisation: the lines and the items behind them.
    act(&house, &draft, "finalize", &[]).await.ok();
    let (line, item) = line(&full, 0);
    for (path, form) in [
        (format!("/v1/invoices/{draft}/add_lines"), [("lines[0][amount]", "1")]),
        (format!("/v1/invoices/{draft}/lines/{line}"), [("amount", "1")]),
        (format!("/v1/invoiceitems/{item}"), [("amount", "1")]),
    ] {
        assert_eq!(house.post(&path, &form).await.error(400)["code"], "invoice_not_editable", "{path}");
    }
    let most: Vec<(String, String)> =
        (0..250).map(|place| (format!("lines[{place}][amount]"), "1".to_owned())).collect();
    let most: Vec<(&str, &str)> = most.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let wide = id(&house.post("/v1/invoices", &[("customer", &customer)]).await.ok());
    assert_eq!(act(&house, &wide, "add_lines", &most).await.ok()["total"], 250);
    act(&house, &wide, "add_lines", &[("lines[0][amount]", "1")]).await.error(400);
}

/// `price_data`: a price that is made for an item, or for a line, and for nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn items_and_lines_with_prices_of_their_own() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let product = id(&house.post("/v1/products", &[("name", "Cap")]).await.ok());
    let data = |head: &str, cents: &str| {
        [("product", &*product), ("currency", "usd"), ("unit_amount", cents)]
            .map(|(name, value)| (format!("{head}[{name}]"), value.to_owned()))
    };
    let post = async |path: &str, first: &[(&str, &str)], data: &[(String, String)]| {
        let data = data.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let form: Vec<(&str, &str)> = first.iter().copied().chain(data).collect();
        house.post(path, &form).await
    };
    let first = [("customer", customer.as_str()), ("quantity", "3")];
    let item = post("/v1/invoiceitems", &first, &data("price_data", "250")).await.ok();
    has(&item, &json!({"amount": 750, "quantity": 3, "description": "Cap"}));
    let price = item["pricing"]["price_details"]["price"].as_str().unwrap();
    has(&house.get(&format!("/v1/prices/{price}")).await.ok(), &json!({"active": false, "type": "one_time"}));
    let path = format!("/v1/invoiceitems/{}", id(&item));
    has(&post(&path, &[], &data("price_data", "300")).await.ok(), &json!({"amount": 900, "quantity": 3}));
    let both = post(&path, &[("pricing[price]", price)], &data("price_data", "1")).await.error(400);
    assert_eq!((&both["code"], &both["param"]), (&json!("parameters_exclusive"), &json!("pricing")));

    let draft = id(&house.post("/v1/invoices", &[("customer", &customer)]).await.ok());
    let path = format!("/v1/invoices/{draft}");
    let first = [("lines[0][quantity]", "2")];
    let added = post(&format!("{path}/add_lines"), &first, &data("lines[0][price_data]", "500")).await.ok();
    assert_eq!(added["total"], 1000);
    let line = id(&added["lines"]["data"][0]);
    let first = [("lines[0][id]", line.as_str())];
    let changed = post(&format!("{path}/update_lines"), &first, &data("lines[0][price_data]", "600")).await.ok();
    assert_eq!(changed["total"], 1200);
    let changed = post(&format!("{path}/lines/{line}"), &[], &data("price_data", "700")).await.ok();
    assert_eq!(changed["amount"], 1400);
    let recurring = [("lines[0][price_data][recurring][interval]", "month")];
    let error = post(&format!("{path}/add_lines"), &recurring, &data("lines[0][price_data]", "500")).await.error(400);
    assert_eq!(
        (&error["code"], &error["param"]),
        (&json!("parameter_unknown"), &json!("lines[0][price_data][recurring]"))
    );
    let error = post(&format!("{path}/add_lines"), &[], &data("lines[0][price_data]", "-5")).await.error(400);
    assert_eq!(error["param"], "lines[0][price_data][unit_amount]");
}
