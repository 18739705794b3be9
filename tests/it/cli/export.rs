//! The log as lines of JSON.

use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use tidegate_tests::{
    dynamic::POOL,
    process::{finish, heard, signal},
    soon,
};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use super::{ADMIN, Desk};

fn lines(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).expect("an object on every line");
    text.lines().map(parse).collect()
}

fn sequences(events: &[Value]) -> Vec<i64> {
    let sequence = |event: &Value| {
        let text = event["sequence"].as_str().expect("a text");
        text.parse().expect("a number")
    };
    events.iter().map(sequence).collect()
}

#[tokio::test]
async fn every_event_is_exported_with_every_field() {
    let desk = Desk::new().await;
    let uuid = desk.declare("orders").await;
    desk.text(&format!("transfer request-approval {uuid}"))
        .await;
    let deny = format!("transfer deny {uuid} --admin {ADMIN} --reason no --request-id r-1");
    desk.text(&deny).await;
    // The form of the output is not asked for: it is an export.
    let events = lines(&desk.text("event export -o table").await);
    assert_eq!(sequences(&events), [1, 2, 3]);

    let message = POOL.get_message_by_name("tidegate.v1.Event");
    let message = message.expect("it is in the contract");
    for event in &events {
        // Strict: a field that the contract does not have, or has in another form, is refused.
        let read = DynamicMessage::deserialize(message.clone(), event).expect("canonical JSON");
        let hash = read.get_field_by_name("hash").expect("a field");
        assert_eq!(hash.as_bytes().map(|hash| hash.len()), Some(32));
        assert!(read.has_field_by_name("occurred_at"));
    }
    for (field, value) in [
        ("transferUuid", json!(uuid)),
        ("type", json!("EVENT_TYPE_DENIED")),
        ("fromStatus", json!("TRANSFER_STATUS_PENDING_APPROVAL")),
        ("toStatus", json!("TRANSFER_STATUS_DENIED")),
        ("actorUuid", json!(ADMIN)),
        ("comment", json!({ "text": "no" })),
        ("requestId", json!("r-1")),
        ("address", Value::Null),
    ] {
        assert_eq!(events[2][field], value, "{field}");
    }

    assert_eq!(
        lines(&desk.text("event export --after 1").await),
        events[1..]
    );
    assert_eq!(desk.text("event export --after 3").await, "");
    let ahead = desk.run("event export --after 4").await;
    assert_eq!(
        (ahead.code, ahead.stdout.as_str()),
        (Some(75), ""),
        "{ahead:?}"
    );
    assert!(ahead.stderr.contains("CURSOR_AHEAD"), "{ahead:?}");
}

#[tokio::test]
async fn an_export_goes_on_only_in_the_same_log() {
    let desk = Desk::new().await;
    desk.declare("orders").await;
    desk.declare("orders").await;
    let events = lines(&desk.text("event export").await);
    let hash = events[0]["hash"].as_str().expect("it is chained");
    let rest = desk.text(&format!("event export --after 1:{hash}")).await;
    assert_eq!(lines(&rest), events[1..]);
    let other = "0".repeat(64);
    for command in ["export", "list", "watch", "export --follow", "verify"] {
        let end = desk
            .run(&format!("event {command} --after 1:{other}"))
            .await;
        assert_eq!(end.code, Some(79), "{end:?}");
        assert!(end.stderr.contains("LOG_DIVERGED"), "{end:?}");
        assert!(end.stderr.contains("may not have happened"), "{end:?}");
    }
    for wrong in ["-1", "1:", "1:00", "x"] {
        let end = desk.run(&format!("event list --after={wrong}")).await;
        assert_eq!(end.code, Some(2), "{end:?}");
    }
}

#[tokio::test]
async fn the_log_is_verified_and_what_is_wrong_is_an_exit_code() {
    use sea_orm::ConnectionTrait as _;

    let desk = Desk::new().await;
    for _ in 0..3 {
        desk.declare("orders").await;
    }
    let events = lines(&desk.text("event export").await);
    let (text, sound) = desk.both("event verify").await;
    assert!(text.starts_with("events 1–3 verified, head 3:"), "{text}");
    let wanted = json!({
        "afterSequence": "0", "sequence": "3", "hash": events[2]["hash"], "done": true,
    });
    assert_eq!(sound, wanted);
    let rest = desk.text("event verify --after 2").await;
    assert!(rest.starts_with("events 3–3 verified"), "{rest}");
    let none = desk.text("event verify --after 3").await;
    assert!(none.starts_with("no events to verify, head 3:"), "{none}");

    let database = desk.server.database().connect().await;
    let tamper = "UPDATE event SET actor = 'nobody' WHERE sequence = 2";
    database
        .execute_unprepared(tamper)
        .await
        .expect("it is done");
    let end = desk.run("event verify").await;
    assert_eq!(
        (end.code, end.stdout.trim(), end.stderr.trim()),
        (Some(1), "event 2 was altered", ""),
        "{end:?}"
    );
}

#[tokio::test]
async fn an_export_follows_the_log_until_interrupted() {
    let desk = Desk::new().await;
    let uuid = desk.declare("orders").await;
    let mut export = desk
        .tidegate("event export --follow")
        .spawn()
        .expect("it starts");
    let stdout = export.stdout.take().expect("stdout is piped");
    let second = |line: &str| line.contains("CANCELLED").then_some(());
    let hear = tokio::spawn(heard("the second event", stdout, second));
    desk.text(&format!("transfer cancel {uuid}")).await;
    let ((), said) = soon("the export", hear).await.expect("no panic");
    signal(&export, "INT").await;
    assert_eq!(finish(export).await.code, Some(130));
    assert_eq!(sequences(&lines(&said.whole().await)), [1, 2]);
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_it_quietly() {
    let desk = Desk::new().await;
    let uuid = desk.declare("orders").await;
    let mut export = desk
        .tidegate("event export --follow")
        .spawn()
        .expect("it starts");
    let mut stderr = export.stderr.take().expect("stderr is piped");
    let mut stdout = BufReader::new(export.stdout.take().expect("stdout is piped"));
    let mut line = String::new();
    soon("the first event", stdout.read_line(&mut line))
        .await
        .expect("it can be read");
    assert_eq!(sequences(&lines(&line)), [1]);
    drop(stdout);
    desk.text(&format!("transfer cancel {uuid}")).await;
    let status = soon("its end", export.wait())
        .await
        .expect("it is waited for");
    assert_eq!(status.code(), Some(141));
    let mut said = String::new();
    stderr
        .read_to_string(&mut said)
        .await
        .expect("it can be read");
    assert_eq!(said, "");
}

#[tokio::test]
async fn transfers_are_exported_and_an_export_goes_on_where_it_was_cut_off() {
    let desk = Desk::new().await;
    let first = desk.declare("orders").await;
    desk.declare("other").await;
    let second = desk.declare("orders").await;
    // The form of the output is not asked for here either.
    let all = lines(&desk.text("transfer export --table orders -o table").await);
    let uuids: Vec<_> = all.iter().map(|it| it["uuid"].clone()).collect();
    assert_eq!(uuids, [json!(first), json!(second)]);
    let message = POOL.get_message_by_name("tidegate.v1.Transfer");
    let message = message.expect("it is in the contract");
    for transfer in &all {
        DynamicMessage::deserialize(message.clone(), transfer).expect("canonical JSON");
    }
    assert_eq!(desk.text("transfer export --table nothing").await, "");

    let wrong = desk.run("transfer export --after nonsense").await;
    assert_eq!(
        (wrong.code, wrong.stdout.as_str()),
        (Some(67), ""),
        "{wrong:?}"
    );
    assert!(wrong.stderr.contains("page_token"), "{wrong:?}");
    assert!(!wrong.stderr.contains("--after"), "{wrong:?}");
}
