//! Things are called by name, by a part of their ids, and several at a time; what cannot be undone is asked about.

use serde_json::json;
use tidegate_tests::process::on_terminal;

use super::{ADMIN, Desk, id, says};

const SITE: &str = "connection create --direction sender --site-url https://n.example --name";

/// As much of an id as a terminal shows.
fn last(uuid: &str) -> &str {
    uuid.get(28..).expect("a uuid")
}

#[tokio::test]
async fn connections_are_called_by_name() {
    let desk = Desk::new().await;
    let north = id(&desk.json(&format!("{SITE} north")).await);
    let create = "transfer create --direction send --table t --connection north";
    let transfer = desk.json(create).await;
    assert_eq!(transfer["connectionUuid"], json!(north));
    for line in [
        "connection get north",
        "connection update north --max-transfers 7",
        "connection suspend north --reason noise",
        "connection reactivate north",
    ] {
        assert_eq!(id(&desk.json(line).await), north, "{line}");
    }
    for line in [
        "transfer list --connection north",
        "event list --connection north --limit 1",
    ] {
        let listed = desk.json(line).await;
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{line}: {listed}");
    }
    assert_eq!(
        desk.json("stats connection north").await["totalTransfers"],
        "1"
    );
    let part = last(&north).to_uppercase();
    assert_eq!(
        id(&desk.json(&format!("connection get {part}")).await),
        north
    );
    desk.text("session create --connection north").await;
    let agent = "credential create --name robot --role agent --connection north";
    let agent = id(&desk.json(agent).await["credential"]);
    assert_eq!(id(&desk.json("credential get robot").await), agent);

    let nobody = desk.run("connection get south").await;
    assert_eq!(nobody.code, Some(69), "{nobody:?}");
    says(
        &nobody.stderr,
        &["error: no connection is called \"south\""],
    );
}

#[tokio::test]
async fn a_name_that_two_have_is_refused_with_both() {
    let desk = Desk::new().await;
    let one = id(&desk.json(&format!("{SITE} north")).await);
    let other = "connection create --direction receiver --site-url https://n.example --name north";
    let other = id(&desk.json(other).await);
    let refused = desk.run("connection revoke north").await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    says(
        &refused.stderr,
        &[
            "2 connections are called \"north\"; say which:",
            &one,
            &other,
        ],
    );
    assert_eq!(
        desk.json("connection list --status revoked").await,
        json!([])
    );
}

#[tokio::test]
async fn transfers_are_called_by_a_part_of_their_ids() {
    let desk = Desk::new().await;
    let uuid = desk.declare("orders").await;
    desk.declare("others").await;
    let part = last(&uuid);
    for line in ["get", "start", "complete"] {
        let line = format!("transfer {line} {part}");
        assert_eq!(id(&desk.json(&line).await), uuid, "{line}");
    }
    let events = desk.json(&format!("event list --transfer {part}")).await;
    assert_eq!(events[2]["type"], "EVENT_TYPE_COMPLETED");
    // All ids of one minute begin alike.
    let refused = desk.run(&format!("transfer get {}", &uuid[..8])).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    says(&refused.stderr, &["2 transfers are called", "others"]);
    let short = desk.run(&format!("transfer get {}", &uuid[31..])).await;
    assert_eq!(short.code, Some(2), "{short:?}");
    says(&short.stderr, &["6 or more characters"]);
}

#[tokio::test]
async fn several_are_done_at_once_and_each_is_accounted_for() {
    let desk = Desk::new().await;
    let (one, two, three) = (
        desk.declare("one").await,
        desk.declare("two").await,
        desk.declare("three").await,
    );
    let both = desk
        .json(&format!("transfer get {one} {}", last(&two)))
        .await;
    assert_eq!((id(&both[0]), id(&both[1])), (one.clone(), two.clone()));
    let text = desk.text(&format!("transfer get {one} {two}")).await;
    assert_eq!(text.matches("\n\nuuid").count(), 1, "{text}");
    let lines = desk.text(&format!("transfer cancel {one} {two}")).await;
    assert_eq!(lines.lines().count(), 2, "{lines}");
    says(&lines, &[&one, &two, "is cancelled"]);

    // One of them has ended.
    let mixed = desk
        .run(&format!("transfer cancel {one} {three} -o name"))
        .await;
    assert_eq!(mixed.code, Some(73), "{mixed:?}");
    assert_eq!(mixed.stdout, format!("{three}\n"));
    says(&mixed.stderr, &[&format!("error: {one}: "), "CANCELLED"]);
    let unknown = "transfer delete eeeeeeeeeeee 00000000-0000-4000-8000-000000000009";
    let mixed = desk.run(&format!("{unknown} {one}")).await;
    assert_eq!(mixed.code, Some(69), "{mixed:?}");
    assert_eq!(mixed.stdout, format!("transfer {one} is deleted\n"));
    assert_eq!(mixed.stderr.lines().count(), 2, "{mixed:?}");
    let refused = desk
        .run(&format!("transfer delete {two} {three} --request-id r"))
        .await;
    assert_eq!(refused.code, Some(2), "{refused:?}");

    let (four, five) = (desk.declare("four").await, desk.declare("five").await);
    for uuid in [&four, &five] {
        desk.text(&format!("transfer request-approval {uuid}"))
            .await;
    }
    let approved = desk
        .json(&format!("transfer approve {four} {five} --admin {ADMIN}"))
        .await;
    assert_eq!(approved.as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn what_cannot_be_undone_is_asked_about_on_a_terminal() {
    let desk = Desk::new().await;
    desk.json(&format!("{SITE} north")).await;
    let (one, two) = (desk.declare("one").await, desk.declare("two").await);
    let cancel = format!("transfer cancel {one} {two}");
    for (line, question) in [
        (
            "connection revoke north",
            "revoke for good connection north",
        ),
        (cancel.as_str(), "cancel 2 transfers? [y/N]"),
    ] {
        for answer in ["n\n", "\n", "yep\n"] {
            let asked = on_terminal(desk.tidegate(line), 100, answer).await;
            assert_eq!(asked.code, Some(1), "{asked:?}");
            assert!(asked.stdout.contains(question), "{asked:?}");
            assert!(asked.stdout.contains("nothing was done"), "{asked:?}");
        }
        let asked = on_terminal(desk.tidegate(line), 100, "y\n").await;
        assert_eq!(asked.code, Some(0), "{asked:?}");
    }
    let delete = format!("transfer delete {one}");
    let asked = on_terminal(desk.tidegate(&format!("{delete} --yes")), 100, "").await;
    assert_eq!(asked.code, Some(0), "{asked:?}");
    assert!(!asked.stdout.contains("[y/N]"), "{asked:?}");
    // Nobody is there to answer.
    desk.text("connection delete north").await;
}
