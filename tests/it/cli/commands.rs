//! Every command that answers once, for people and for programs.

use serde_json::{Value, json};

use super::{ADMIN, Desk, id, says};

#[tokio::test]
async fn connections_are_created_shown_and_listed() {
    let desk = Desk::new().await;
    let create = "connection create --name Site-B --direction sender --site-url https://b.example";
    let (text, created) = desk.change(create).await;
    let uuid = id(&created);
    says(
        &text,
        &[&uuid, "Site-B", "sender", "https://b.example", "active"],
    );
    assert_eq!(
        (&created["status"], &created["revision"]),
        (&json!("CONNECTION_STATUS_ACTIVE"), &json!("1"))
    );
    let (text, shown) = desk.both(&format!("connection get {uuid}")).await;
    says(&text, &[&uuid, "Site-B"]);
    assert_eq!(shown, created);
    let (text, listed) = desk.both("connection list --direction sender").await;
    says(&text, &["ID", "SITE URL", &uuid]);
    assert_eq!(listed, json!([created]));
    assert_eq!(
        desk.json("connection list --direction receiver").await,
        json!([])
    );
    desk.text(&format!(
        "transfer create --direction send --table t --connection {uuid}"
    ))
    .await;
    let (text, sums) = desk.both(&format!("stats connection {uuid}")).await;
    says(&text, &["transfers", "1 pending"]);
    assert_eq!(sums["totalTransfers"], "1");
    assert_eq!(
        sums["byStatus"],
        json!([{"status": "TRANSFER_STATUS_PENDING", "count": "1"}])
    );
}

#[tokio::test]
async fn a_transfer_is_declared_decided_on_and_completed() {
    let desk = Desk::new().await;
    let create = "transfer create --direction receive --table orders --records-requested 1500";
    let more = "--conflict-strategy merge --metadata {\"ticket\":\"4711\"} --requires-approval";
    let (text, created) = desk.change(&format!("{create} {more}")).await;
    let uuid = id(&created);
    says(&text, &[&uuid, "pending", "receive orders", "1,500 rows"]);
    assert_eq!(created["metadata"], json!({"ticket": "4711"}));
    assert_eq!(created["conflictStrategy"], "CONFLICT_STRATEGY_MERGE");

    let (_, asked) = desk
        .change(&format!("transfer request-approval {uuid} --expires-in 2h"))
        .await;
    assert_eq!(asked["status"], "TRANSFER_STATUS_PENDING_APPROVAL");
    let (text, waiting) = desk.both("approval list --table orders").await;
    says(&text, &["TIME LEFT", &uuid, "merge", "1h 59m"]);
    assert_eq!(waiting[0]["uuid"], uuid.as_str());
    let (_, expired) = desk.both("approval expire").await;
    assert_eq!(expired["expiredCount"], "0");
    let approve = format!("transfer approve {uuid} --admin {ADMIN} --comment fine");
    let (text, approved) = desk.change(&approve).await;
    says(&text, &[&uuid, "approved"]);
    assert_eq!(approved["approvedByUuid"], ADMIN);
    let (_, started) = desk
        .change(&format!("transfer start {uuid} --heartbeat-timeout 5m"))
        .await;
    assert_eq!(started["status"], "TRANSFER_STATUS_IN_PROGRESS");
    let (_, completed) = desk.change(&format!("transfer complete {uuid}")).await;
    assert_eq!(completed["status"], "TRANSFER_STATUS_COMPLETED");
    let (text, shown) = desk
        .both(&format!("transfer get {uuid} --with-connection"))
        .await;
    says(
        &text,
        &[&uuid, "completed", "orders", "ticket", "approved by"],
    );
    assert_eq!(shown, completed);

    let (text, events) = desk.both(&format!("event list --transfer {uuid}")).await;
    says(
        &text,
        &["SEQ", "pending_approval -> approved", "fine", ADMIN],
    );
    let types = events
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| event["type"].clone());
    let wanted = json!([
        "EVENT_TYPE_CREATED",
        "EVENT_TYPE_APPROVAL_REQUESTED",
        "EVENT_TYPE_APPROVED",
        "EVENT_TYPE_STARTED",
        "EVENT_TYPE_COMPLETED"
    ]);
    assert_eq!(types.collect::<Value>(), wanted);
}

#[tokio::test]
async fn a_transfer_is_deleted_and_its_events_stay() {
    let desk = Desk::new().await;
    let uuid = desk.declare("orders").await;
    desk.text(&format!("transfer cancel {uuid}")).await;
    let (text, deleted) = desk.change(&format!("transfer delete {uuid}")).await;
    says(&text, &[&uuid, "deleted"]);
    assert_eq!(deleted["deletedUuid"], uuid.as_str());
    assert_eq!(
        desk.run(&format!("transfer get {uuid}")).await.code,
        Some(69)
    );
    let events = desk.json("event list --after 2").await;
    assert_eq!(
        (&events[0]["type"], &events[0]["sequence"]),
        (&json!("EVENT_TYPE_DELETED"), &json!("3"))
    );
}

#[tokio::test]
async fn transfers_end_with_the_reason_given() {
    let desk = Desk::new().await;
    let denied = desk.declare("denied").await;
    desk.text(&format!("transfer request-approval {denied}"))
        .await;
    let deny = format!("transfer deny {denied} --admin {ADMIN} --reason too-much");
    let failed = desk.declare("failed").await;
    desk.text(&format!("transfer start {failed}")).await;
    let fail = format!("transfer fail {failed} --error-message disk-full");
    let cancelled = desk.declare("cancelled").await;
    let cancel = format!("transfer cancel {cancelled} --reason no-need");
    for (line, status, field, reason) in [
        (deny, "denied", "denialReason", "too-much"),
        (fail, "failed", "errorMessage", "disk-full"),
        (cancel, "cancelled", "cancelReason", "no-need"),
    ] {
        let (text, answer) = desk.change(&line).await;
        says(&text, &[status]);
        assert_eq!(
            (&answer["status"], &answer[field]),
            (
                &json!(format!("TRANSFER_STATUS_{}", status.to_uppercase())),
                &json!(reason)
            ),
            "{line}"
        );
        let shown = desk.text(&format!("transfer get {}", id(&answer))).await;
        says(&shown, &[status, reason]);
    }
}

#[tokio::test]
async fn transfers_are_listed_counted_and_summed_up() {
    let desk = Desk::new().await;
    let (one, two, three) = (
        desk.declare("one").await,
        desk.declare("two").await,
        desk.declare("three").await,
    );
    desk.text(&format!("transfer cancel {one}")).await;
    desk.text(&format!("transfer start {three}")).await;
    desk.text(&format!("transfer complete {three}")).await;

    let (text, listed) = desk
        .both("transfer list --status cancelled,pending --order asc")
        .await;
    says(&text, &["STATUS", &one, &two]);
    let listed: Vec<String> = listed.as_array().expect("a list").iter().map(id).collect();
    assert_eq!(listed, [one.clone(), two]);
    let (text, count) = desk.both("transfer count --direction send").await;
    assert_eq!((text.trim(), &count["count"]), ("3", &json!("3")));
    let (text, sums) = desk.both("stats table").await;
    says(&text, &["TRANSFERS", "three"]);
    assert_eq!(
        (&sums[0]["tableName"], &sums[0]["count"]),
        (&json!("three"), &json!("1"))
    );

    let short = desk.run("transfer list --limit 2").await;
    assert_eq!(short.stdout.lines().count(), 3, "{short:?}");
    assert!(short.stderr.contains("there are more"), "{short:?}");
    let last = desk.json("transfer list --skip 2").await;
    assert_eq!(id(&last[0]), one);
    let nothing = desk.run("transfer list --table nothing").await;
    assert_eq!(
        (nothing.code, nothing.stdout.as_str()),
        (Some(0), ""),
        "{nothing:?}"
    );
    assert_eq!(desk.json("transfer list --table nothing").await, json!([]));
}

#[tokio::test]
async fn scripts_can_ask_for_uuids_alone() {
    let desk = Desk::new().await;
    let one = desk
        .text("transfer create --direction send --table one -o name")
        .await;
    let two = desk
        .text("transfer create --direction send --table two -o name")
        .await;
    let one_of_them = desk.json(&format!("transfer get {}", one.trim())).await;
    assert_eq!(one_of_them["tableName"], "one");
    let listed = desk.text("transfer list --order asc -o name").await;
    assert_eq!(listed, format!("{one}{two}"));
}
