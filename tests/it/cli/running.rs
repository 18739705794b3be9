//! A transfer that is run by hand: progress, totals, and waiting for what becomes of it.

use serde_json::json;
use tidegate_tests::process::finish;

use super::{ADMIN, Desk, says};

#[tokio::test]
async fn progress_is_said_and_ends_with_totals() {
    let desk = Desk::new().await;
    let create = "transfer create --direction send --table t --records-requested 100 -o name";
    let uuid = desk.text(create).await;
    let uuid = uuid.trim_end();
    desk.text(&format!("transfer start {uuid} --heartbeat-timeout 5m"))
        .await;
    let progress = format!(
        "transfer progress {uuid} --records 50 --created 40 --updated 4 --skipped 3 --failed 3 \
         --bytes 4096 --checkpoint page-5"
    );
    let (text, told) = desk.change(&progress).await;
    says(&text, &[uuid, "in_progress"]);
    let totals = json!({
        "recordsTransferred": "50", "recordsCreated": "40", "recordsUpdated": "4",
        "recordsSkipped": "3", "recordsFailed": "3", "bytesTransferred": "4096",
    });
    assert_eq!(
        (&told["progress"], &told["checkpoint"]),
        (&totals, &json!("cGFnZS01"))
    );
    // With nothing to tell it only says that the agent is alive.
    let alive = desk.json(&format!("transfer progress {uuid}")).await;
    assert_eq!(alive["progress"], totals);
    assert_ne!(alive["heartbeatExpiresAt"], told["heartbeatExpiresAt"]);
    let shown = desk.text(&format!("transfer get {uuid}")).await;
    says(&shown, &["unknown: too_few_reports", "healthy since"]);
    let wide = desk.text("transfer list -o wide").await;
    says(&wide, &["HEALTH", "healthy"]);
    let back = desk
        .run(&format!("transfer progress {uuid} --records 49"))
        .await;
    assert_eq!(back.code, Some(73), "{back:?}");
    let ended = desk
        .json(&format!(
            "transfer complete {uuid} --records 100 --created 90"
        ))
        .await;
    assert_eq!(ended["progress"]["recordsTransferred"], "100");
    assert_eq!(ended["progress"]["recordsCreated"], "90");
    assert_eq!(ended["progress"]["recordsUpdated"], "4");
    let shown = desk.text(&format!("transfer get {uuid}")).await;
    says(&shown, &["speed", "rows/s"]);

    let other = desk.declare("other").await;
    desk.text(&format!("transfer start {other}")).await;
    let fail = format!("transfer fail {other} --error-message full --records 7 --failed 7");
    assert_eq!(desk.json(&fail).await["progress"]["recordsFailed"], "7");
}

#[tokio::test]
async fn agents_are_registered_listed_and_shown() {
    let desk = Desk::new().await;
    let register = "agent register --agent-instance copy-1 --version 1.4.0 --host rack-7 --slots 2 \
                    --engine postgres=17.2 --label site=north";
    let (text, registered) = desk.both(register).await;
    says(
        &text,
        &[
            "copy-1",
            "alive",
            "postgres=17.2",
            "site=north",
            "free slots",
        ],
    );
    assert_eq!(registered["engines"], json!({"postgres": "17.2"}));
    assert_eq!(
        (&registered["slots"], &registered["runs"]),
        (&json!(2), &json!("0"))
    );
    desk.declare("t").await;
    let claimed = desk
        .json("transfer claim --table t --agent-instance copy-1")
        .await;
    let (text, shown) = desk.both("agent get copy-1").await;
    assert_eq!(shown["runUuids"], json!([claimed[0]["uuid"]]));
    says(
        &text,
        &[
            claimed[0]["uuid"].as_str().expect("a uuid"),
            "1.4.0",
            "rack-7",
        ],
    );
    let (text, listed) = desk.both("agent list --alive-only --seen-since 1h").await;
    says(&text, &["INSTANCE", "SEEN", "copy-1", "alive", "1/2"]);
    assert_eq!(
        (&listed[0]["runs"], &listed[0]["freeSlots"]),
        (&json!("1"), &json!("1"))
    );
    assert_eq!(
        desk.text("agent list -o name").await.trim_end(),
        shown["uuid"]
    );
    let events = desk.text("event list").await;
    says(&events, &["agent_registered", "copy-1 1.4.0"]);
    for (line, code) in [
        ("agent get copy-2", 69),
        ("agent register --agent-instance a --engine =1", 2),
        ("agent register --agent-instance a --slots 0", 2),
    ] {
        let ended = desk.run(line).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
    }
}

#[tokio::test]
async fn what_there_is_to_start_is_claimed() {
    let desk = Desk::new().await;
    let create = "transfer create --direction send --table t -o name";
    let later = desk.text(&format!("{create} --priority -5")).await;
    let first = desk.text(&format!("{create} --priority 7")).await;
    let shown = desk.text("transfer list -o wide").await;
    says(&shown, &["PRIORITY", "-5"]);
    let claim = "transfer claim --table t --max 2 --wait 5s --agent-instance host-1 -o jsonl";
    let claimed = desk.text(claim).await;
    let claimed: Vec<serde_json::Value> = claimed
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    let told = claimed.iter().map(|it| (&it["uuid"], &it["leaseEpoch"]));
    let told: Vec<_> = told.collect();
    let expected = [first, later].map(|uuid| json!(uuid.trim_end()));
    assert_eq!(
        told,
        [(&expected[0], &json!("1")), (&expected[1], &json!("1"))]
    );
    assert_eq!(claimed[0]["agentInstance"], "host-1");
    let nothing = desk.run("transfer claim").await;
    assert_eq!(nothing.code, Some(0), "{nothing:?}");
    says(&nothing.stderr, &["there is nothing to start"]);
}

#[tokio::test]
async fn both_sides_of_a_movement_say_what_they_counted() {
    let desk = Desk::new().await;
    let sent = desk.declare("t").await;
    let create = format!(
        "transfer create --direction receive --table t --correlation {sent} --plan {ADMIN} -o name"
    );
    let received = desk.text(&create).await;
    let received = received.trim_end();
    for uuid in [sent.as_str(), received] {
        desk.text(&format!("transfer start {uuid}")).await;
        desk.text(&format!("transfer complete {uuid}")).await;
    }
    let first = format!(
        "transfer submit-receipt {sent} --own records=10,bytes=99,digest=sha-256:0aff --peer records=10 \
         --consistency snapshot --verification-level rows --verification passed --quarantined data=3"
    );
    let told = desk.json(&first).await;
    let known = &told["reconciliation"];
    assert_eq!(known["state"], "RECONCILIATION_STATE_MATCHED");
    let own = json!({
        "recordsTransferred": "10", "bytesTransferred": "99", "digest": "Cv8=", "digestAlgorithm": "sha-256",
    });
    assert_eq!(known["receipt"]["own"], own);
    let aside = json!([{ "code": "FAILURE_CODE_DATA", "count": "3" }]);
    assert_eq!(known["receipt"]["quarantined"], aside);
    let second = format!("transfer submit-receipt {received} --own records=9,digest=sha-256:0afe");
    let told = desk.text(&second).await;
    says(&told, &["receipts diverged: records_transferred, digest"]);
    let shown = desk.text(&format!("transfer get {sent}")).await;
    says(&shown, &[received, "diverged: records_transferred, digest"]);
    let found = format!("transfer list --correlation {sent} --reconciliation diverged -o wide");
    let found = desk.text(&found).await;
    says(
        &found,
        &["BOTH SIDES", "diverged: records_transferred, digest"],
    );
    let planned = desk.text(&format!("transfer count --plan {ADMIN}")).await;
    assert_eq!(planned.trim_end(), "1");
    let log = desk.text(&format!("event list --transfer {sent}")).await;
    says(&log, &["receipt_submitted", "receipt 1: 10 rows"]);
}

#[tokio::test]
async fn a_wait_ends_with_the_code_of_the_outcome() {
    let desk = Desk::new().await;
    let deny = format!("deny UUID --admin {ADMIN}");
    for (code, wanted, status, steps) in [
        (
            0,
            "completed",
            "completed",
            &["start UUID", "complete UUID"][..],
        ),
        (
            0,
            "approved,pending_approval",
            "pending_approval",
            &["request-approval UUID"],
        ),
        (
            10,
            "completed",
            "failed",
            &["start UUID", "fail UUID --error-message full"],
        ),
        (11, "approved", "denied", &["request-approval UUID", &deny]),
        (
            12,
            "approved",
            "expired",
            &["request-approval UUID --expires-in 1s"],
        ),
        (13, "in-progress", "cancelled", &["cancel UUID"]),
        (14, "failed", "completed", &["start UUID", "complete UUID"]),
    ] {
        let uuid = desk.declare(status).await;
        let wait = format!("transfer wait {uuid} --for {wanted} --timeout 60s");
        let wait = desk.tidegate(&wait).spawn().expect("it starts");
        for step in steps {
            desk.text(&format!("transfer {}", step.replace("UUID", &uuid)))
                .await;
        }
        let ended = finish(wait).await;
        assert_eq!(ended.code, Some(code), "{wanted}: {ended:?}");
        assert_eq!(ended.stdout.lines().count(), 1, "{ended:?}");
        says(&ended.stdout, &[&uuid, &format!("is {status}")]);
    }
}

#[tokio::test]
async fn a_wait_gives_up_in_time() {
    let desk = Desk::new().await;
    let uuid = desk.declare("orders").await;
    let ended = desk
        .run(&format!("transfer wait {uuid} --for approved --timeout 1s"))
        .await;
    assert_eq!(ended.code, Some(124), "{ended:?}");
    assert_eq!(
        ended.stderr, "error: the transfer is still pending after 1s\n",
        "{ended:?}"
    );
    let now = desk
        .json(&format!("transfer wait {uuid} --for pending"))
        .await;
    assert_eq!(now["status"], "TRANSFER_STATUS_PENDING");
}

#[tokio::test]
async fn runs_are_told_apart_by_their_lease() {
    let desk = Desk::new().await;
    let create = "transfer create --direction send --table t --max-attempts 2 -o name";
    let uuid = desk.text(create).await;
    let uuid = uuid.trim_end();
    let none = desk.run(&format!("transfer attempts {uuid}")).await;
    assert_eq!(none.code, Some(0), "{none:?}");
    let start = format!("transfer start {uuid} --agent-instance host-1 --heartbeat-timeout 1s");
    let started = desk.json(&start).await;
    assert_eq!(
        (&started["leaseEpoch"], &started["maxAttempts"]),
        (&json!("1"), &json!(2))
    );
    let unnamed = desk
        .run(&format!("transfer progress {uuid} --records 5"))
        .await;
    assert_ne!(unnamed.code, Some(0), "{unnamed:?}");
    says(&unnamed.stderr, &["host-1", "LEASE_LOST"]);
    desk.text(&format!("transfer wait {uuid} --for pending --timeout 20s"))
        .await;
    desk.text(&format!("transfer start {uuid} --agent-instance host-2"))
        .await;
    let zombie = desk
        .run(&format!("transfer complete {uuid} --lease 1"))
        .await;
    says(&zombie.stderr, &["host-2", "lease 2", "LEASE_LOST"]);
    desk.text(&format!("transfer complete {uuid} --lease 2 --records 9"))
        .await;
    let attempts = desk.text(&format!("transfer attempts {uuid}")).await;
    says(
        &attempts,
        &["LEASE", "requeued", "host-1", "completed", "host-2"],
    );
    let attempts = desk.json(&format!("transfer attempts {uuid}")).await;
    assert_eq!(attempts[0]["end"], "ATTEMPT_END_REQUEUED");
    assert_eq!(attempts[1]["progress"]["recordsTransferred"], "9");
    says(
        &desk.text(&format!("transfer get {uuid}")).await,
        &["2 of 2", "host-2"],
    );
}
