//! The status of a subscription follows its most recent invoice, also where that was given up.

use serde_json::json;

use crate::catalogue::has;
use crate::states::Story;

const GIVEN_UP: &str = "collection[final_action][invoice]";

impl Story {
    /// Past due: the renewal of February was given up and left open, that of March is uncollectible.
    async fn given_up_twice() -> Story {
        let story = Story::begin().await;
        story.settings(&[("collection[retries][mode]", "off"), (GIVEN_UP, "leave_open")]).await;
        story.settings(&[("collection[final_action][subscription]", "past_due")]).await;
        story.card("pm_card_chargeCustomerFail").await;
        story.advance("2027-02-01T02:00:00Z").await;
        story.settings(&[(GIVEN_UP, "uncollectible")]).await;
        story.advance("2027-03-01T02:00:00Z").await;
        story.card("pm_card_visa").await;
        assert_eq!(story.given_up().await, ["open", "uncollectible"]);
        assert_eq!(story.status().await, "past_due");
        story
    }

    /// The statuses of the two.
    async fn given_up(&self) -> Vec<String> {
        let invoices = self.invoices().await;
        invoices[1..].iter().map(|invoice| invoice["status"].as_str().unwrap().to_owned()).collect()
    }

    async fn id_of(&self, place: usize) -> String {
        self.invoices().await[place]["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paying_an_older_invoice_leaves_the_status_alone() {
    for way in ["pay", "mark_uncollectible"] {
        let story = Story::given_up_twice().await;
        let older = story.id_of(1).await;
        story.act(&older, way, &[]).await;
        assert_eq!(story.status().await, "past_due", "{way}");
        // The latest brings it back.
        let latest = story.id_of(2).await;
        has(&story.act(&latest, "pay", &[]).await, &json!({"status": "paid"}));
        assert_eq!(story.status().await, "active");
    }
}

/// Without the latest the one before it speaks.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_voided_is_the_latest_no_longer() {
    let story = Story::given_up_twice().await;
    let (older, latest) = (story.id_of(1).await, story.id_of(2).await);
    story.act(&latest, "void", &[]).await;
    assert_eq!(story.status().await, "past_due");
    story.act(&older, "pay", &[]).await;
    assert_eq!(story.status().await, "active");
}

/// A later renewal that is paid ends it all.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_renewal_speaks_again() {
    let story = Story::given_up_twice().await;
    story.advance("2027-04-01T02:00:00Z").await;
    assert_eq!(story.status().await, "active");
    story.act(&story.id_of(1).await, "pay", &[]).await;
    assert_eq!(story.status().await, "active");
}
