//! The commands of connections.

use serde_json::json;

use super::{ADMIN, Desk, id, says};

const CREATE: &str =
    "connection create --name B --direction sender --site-url https://b.example --pending";

#[tokio::test]
async fn a_policy_is_set_shown_changed_and_cleared() {
    let desk = Desk::new().await;
    let policy = "--allow-table a --allow-table b --exclude-table c --auto-approve-table a \
                  --approval-mode per-table --max-transfers 1500 --max-records-total 9 \
                  --max-records-per-request 8 --rate-limit 60 --ip-allow 192.0.2.0/24 --ip-allow ::1 \
                  --hours 22:00-06:00 --expires-at 2999-01-31T08:00:00Z --conflict-strategy merge \
                  --heartbeat-timeout 30s --self-approval --metadata {\"ticket\":\"4711\"}";
    let (text, created) = desk.change(&format!("{CREATE} {policy}")).await;
    let uuid = id(&created);
    says(
        &text,
        &[
            "pending",
            "per_table",
            "a, b",
            "192.0.2.0/24, ::1/128",
            "22:00-06:00 UTC",
            "2999-01-31T08:00:00Z",
            "0 of 1,500 used",
            "0 of 9 used",
            "30s",
            "merge",
            "4711",
        ],
    );
    let policy = &created["policy"];
    assert_eq!(policy["allowedTables"], json!(["a", "b"]));
    assert_eq!(policy["heartbeatTimeout"], "30s");
    assert_eq!(policy["rateLimitRequestsPerMinute"], 60);
    assert_eq!(created["metadata"], json!({"ticket": "4711"}));

    let update = format!(
        "connection update {uuid} --name C --max-transfers 2 --self-approval false \
         --clear hours,ip-allow,expires-at --clear metadata --revision 1"
    );
    let (text, updated) = desk.change(&update).await;
    says(&text, &["C", "0 of 2 used"]);
    assert!(!text.contains("UTC") && !text.contains("4711"), "{text}");
    assert_eq!(updated["revision"], "2");
    assert_eq!(updated["policy"]["ipAllowlist"], json!([]));
    assert_eq!(updated["policy"]["allowedHours"], json!(null));
    assert_eq!(updated["policy"]["expiresAt"], json!(null));
    assert_eq!(updated["policy"]["selfApproval"], false);
    assert_eq!(updated["policy"]["allowedTables"], json!(["a", "b"]));
    let lasting = desk
        .text(&format!("connection update {uuid} --expires-in 90d"))
        .await;
    says(&lasting, &["89d 23h left"]);
    let stale = desk.run(&update).await;
    assert_eq!(stale.code, Some(64 + 10), "{stale:?}");
    says(&stale.stderr, &["revision 3, not 1"]);
}

#[tokio::test]
async fn a_connection_goes_through_its_life() {
    let desk = Desk::new().await;
    let uuid = id(&desk.json(CREATE).await);
    for (command, status) in [
        ("approve", "active"),
        ("suspend --reason noise", "suspended"),
        ("reactivate", "active"),
        ("revoke --reason gone", "revoked"),
    ] {
        let (name, more) = command.split_once(' ').unwrap_or((command, ""));
        let line = format!("connection {name} {uuid} {more}");
        let (text, changed) = desk.change(&line).await;
        says(&text, &[&uuid, status]);
        assert_eq!(
            changed["status"],
            format!("CONNECTION_STATUS_{}", status.to_uppercase())
        );
    }
    assert_eq!(
        desk.json("connection list --status pending,active").await,
        json!([])
    );
    let revoked = desk.json("connection list --status revoked").await;
    assert_eq!(revoked[0]["statusReason"], "gone");
    let (text, deleted) = desk.change(&format!("connection delete {uuid}")).await;
    says(&text, &[&uuid, "is deleted"]);
    assert_eq!(deleted["deletedUuid"], uuid.as_str());
    let gone = desk.run(&format!("connection get {uuid}")).await;
    assert_eq!(gone.code, Some(64 + 5), "{gone:?}");

    let (text, events) = desk
        .both(&format!("event list --connection {uuid} --limit 0"))
        .await;
    let subject = format!("connection {uuid}");
    says(&text, &[&subject, "connection_suspended", "noise"]);
    let types: Vec<_> = events
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| event["type"].as_str().expect("a word").to_owned())
        .collect();
    assert_eq!(
        types,
        [
            "EVENT_TYPE_CONNECTION_CREATED",
            "EVENT_TYPE_CONNECTION_APPROVED",
            "EVENT_TYPE_CONNECTION_SUSPENDED",
            "EVENT_TYPE_CONNECTION_REACTIVATED",
            "EVENT_TYPE_CONNECTION_REVOKED",
            "EVENT_TYPE_CONNECTION_DELETED"
        ]
    );
}

#[tokio::test]
async fn a_decision_is_bound_to_what_was_looked_at() {
    let desk = Desk::new().await;
    let uuid = desk.declare("orders").await;
    desk.text(&format!("transfer request-approval {uuid}"))
        .await;
    for verb in ["approve", "deny"] {
        let line = format!("transfer {verb} {uuid} --admin {ADMIN} --revision 1");
        let stale = desk.run(&line).await;
        assert_eq!(stale.code, Some(64 + 10), "{stale:?}");
    }
    let line = format!("transfer approve {uuid} --admin {ADMIN} --revision 2");
    assert_eq!(desk.json(&line).await["status"], "TRANSFER_STATUS_APPROVED");
}
