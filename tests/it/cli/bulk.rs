//! What is done to all transfers that a filter means.

use std::collections::BTreeSet;

use serde_json::Value;
use tidegate_tests::process::on_terminal;

use super::{Desk, id, says};

/// The statuses of these transfers, by how often there are.
async fn statuses(desk: &Desk, table: &str) -> Vec<String> {
    let listed = desk
        .json(&format!("transfer list --table {table} --order asc"))
        .await;
    let listed = listed.as_array().expect("a list").iter();
    let status = |it: &Value| it["status"].as_str().expect("a status").to_owned();
    let bare = listed.map(|it| status(it).replace("TRANSFER_STATUS_", ""));
    bare.collect()
}

/// One that is completed, and two that wait.
async fn three(desk: &Desk, table: &str) {
    let done = desk.declare(table).await;
    desk.text(&format!("transfer start {done}")).await;
    desk.text(&format!("transfer complete {done}")).await;
    desk.declare(table).await;
    desk.declare(table).await;
}

#[tokio::test]
async fn a_filter_is_looked_at_first_and_means_what_can_be_done() {
    let desk = Desk::new().await;
    three(&desk, "orders").await;
    desk.declare("other").await;
    let untouched = ["COMPLETED", "PENDING", "PENDING"];
    let cancel = "transfer cancel --table orders";

    let looked = desk.run(&format!("{cancel} --dry-run")).await;
    assert_eq!(looked.code, Some(0), "{looked:?}");
    assert_eq!(looked.stdout.matches("orders").count(), 2, "{looked:?}");
    says(&looked.stderr, &["nothing is done"]);
    assert_eq!(statuses(&desk, "orders").await, untouched);

    let unsure = desk.run(cancel).await;
    assert_eq!(unsure.code, Some(2), "{unsure:?}");
    says(&unsure.stderr, &["2 transfers", "--dry-run", "--yes"]);
    assert_eq!(statuses(&desk, "orders").await, untouched);

    let asked = on_terminal(desk.tidegate(cancel), 100, "n\n").await;
    assert!(
        asked.stdout.contains("cancel 2 transfers? [y/N]"),
        "{asked:?}"
    );
    assert_eq!(statuses(&desk, "orders").await, untouched);

    let named = desk.text(&format!("{cancel} --yes -o name")).await;
    let names: BTreeSet<_> = named.lines().collect();
    assert_eq!(names.len(), 2, "{named}");
    let cancelled = ["COMPLETED", "CANCELLED", "CANCELLED"];
    assert_eq!(statuses(&desk, "orders").await, cancelled);
    assert_eq!(statuses(&desk, "other").await, ["PENDING"]);

    let again = desk.run(&format!("{cancel} --yes")).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    says(&again.stderr, &["there is no transfer to cancel"]);
}

#[tokio::test]
async fn one_that_a_filter_means_is_told_like_many() {
    let desk = Desk::new().await;
    let only = desk.declare("orders").await;
    let paused = desk
        .json("transfer pause --status pending --yes --reason night")
        .await;
    let paused = paused.as_array().expect("a list").as_slice();
    assert_eq!(paused.len(), 1);
    assert_eq!(id(&paused[0]), only);
    let resumed = desk.json("transfer resume --table orders --yes").await;
    assert_eq!(resumed.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn what_was_tried_again_is_not_tried_once_more() {
    let desk = Desk::new().await;
    for table in ["one", "two"] {
        let failed = desk.declare(table).await;
        desk.text(&format!("transfer start {failed}")).await;
        desk.text(&format!("transfer fail {failed} --error-message busy"))
            .await;
    }
    let retry = "transfer retry --since 1h --yes -o name";
    assert_eq!(desk.text(retry).await.lines().count(), 2);
    assert_eq!(desk.text(retry).await, "", "there is none left");
    assert_eq!(statuses(&desk, "one").await, ["FAILED", "PENDING"]);
}

#[tokio::test]
async fn a_filter_and_ids_do_not_go_together_and_one_of_them_is_needed() {
    let desk = Desk::new().await;
    let one = desk.declare("one").await;
    for line in [
        "transfer cancel".to_owned(),
        "transfer delete --yes".to_owned(),
        format!("transfer cancel {one} --table one"),
        format!("transfer cancel {one} --dry-run"),
        "transfer approve --table one --revision 1 --yes".to_owned(),
        "transfer cancel --table one --request-id r --yes".to_owned(),
    ] {
        let refused = desk.run(&line).await;
        assert_eq!(refused.code, Some(2), "{line}: {refused:?}");
    }
    assert_eq!(statuses(&desk, "one").await, ["PENDING"]);
}
