//! Bulk operations, which the server carries out.

use super::{Desk, UNKNOWN, id, says};

#[tokio::test]
async fn an_operation_is_looked_at_first_started_waited_for_and_read() {
    let desk = Desk::new().await;
    let (first, second) = (desk.declare("orders").await, desk.declare("orders").await);
    let other = desk.declare("other").await;
    let cancel = "bulk start cancel --table orders";

    let looked = desk.run(&format!("{cancel} --dry-run")).await;
    assert_eq!(looked.code, Some(0), "{looked:?}");
    says(&looked.stderr, &["nothing is done: 2 transfers match"]);
    assert_eq!(looked.stdout.matches("orders").count(), 2, "{looked:?}");
    let unsure = desk.run(cancel).await;
    assert_eq!(unsure.code, Some(2), "{unsure:?}");
    says(&unsure.stderr, &["2 transfers match", "--dry-run", "--yes"]);
    let vague = desk.run("bulk start cancel --yes").await;
    assert_eq!(vague.code, Some(2), "{vague:?}");
    assert_eq!(desk.json("bulk list").await, serde_json::json!([]));

    let started = format!("{cancel} --reason off --yes --wait");
    let (text, started) = desk.change(&started).await;
    says(&text, &["cancel", "completed", "orders", "off"]);
    assert_eq!(started["state"], "BULK_STATE_COMPLETED");
    assert_eq!(started["succeeded"], "2");
    assert_eq!(started["filter"]["tableNames"][0], "orders");
    let uuid = id(&started);
    assert_eq!(desk.json(&format!("bulk get {uuid}")).await, started);
    let (text, listed) = desk.both("bulk list").await;
    says(&text, &["VERB", "cancel", "completed"]);
    assert_eq!(listed[0], started);
    let (text, outcomes) = desk.both(&format!("bulk outcomes {uuid}")).await;
    says(&text, &["succeeded"]);
    assert_eq!(outcomes[0]["transferUuid"], first.as_str());
    assert_eq!(outcomes[1]["transferUuid"], second.as_str());
    let refused = format!("bulk outcomes {uuid} --result refused");
    assert_eq!(desk.json(&refused).await, serde_json::json!([]));
    assert_eq!(desk.json(&format!("bulk stop {uuid}")).await, started);

    let delete = desk.json("bulk start delete --all --yes --wait").await;
    assert_eq!(delete["succeeded"], "2");
    let left = desk.json("transfer list").await;
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{left}");
    assert_eq!(id(&left[0]), other);
    let unknown = desk.run(&format!("bulk get {UNKNOWN}")).await;
    assert_eq!(unknown.code, Some(69), "{unknown:?}");
    says(&unknown.stderr, &["BULK_OPERATION_NOT_FOUND"]);
}
