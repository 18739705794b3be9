//! Times on the command line: how long ago, days, and the end of the log.

use serde_json::Value;

use super::{Desk, id};

#[tokio::test]
async fn lists_begin_at_a_time() {
    let desk = Desk::new().await;
    desk.declare("orders").await;
    for (time, wanted) in [
        ("1h", 1),
        ("yesterday", 1),
        ("2020-02-29", 1),
        ("tomorrow", 0),
        ("2999-01-31T08:00:00Z", 0),
    ] {
        for list in ["transfer list --since", "event list --since"] {
            let listed = desk.json(&format!("{list} {time}")).await;
            let count = listed.as_array().map(Vec::len);
            assert_eq!(count, Some(wanted), "{list} {time}: {listed}");
        }
    }
    let until = desk.json("transfer list --until yesterday").await;
    assert_eq!(until.as_array().map(Vec::len), Some(0), "{until}");
    let wrong = desk.run("transfer list --since soon").await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("2026-01-31"), "{wrong:?}");
}

fn sequences(events: &Value) -> Vec<&str> {
    let events = events.as_array().expect("a list").iter();
    events
        .map(|event| event["sequence"].as_str().expect("a text"))
        .collect()
}

#[tokio::test]
async fn events_are_found_by_their_time() {
    let desk = Desk::new().await;
    for table in ["one", "two", "three", "four", "five"] {
        desk.declare(table).await;
    }
    let all = desk.json("event list").await;
    for (index, event) in all.as_array().expect("a list").iter().enumerate() {
        let time = event["occurredAt"].as_str().expect("a time");
        let listed = desk.json(&format!("event list --from {time}")).await;
        assert_eq!(sequences(&listed), &sequences(&all)[index..], "{time}");
    }
}

#[tokio::test]
async fn the_last_events_are_listed() {
    let desk = Desk::new().await;
    assert_eq!(sequences(&desk.json("event list --last 3").await), [""; 0]);
    let first = desk.declare("first").await;
    for table in ["two", "three", "four"] {
        let other = desk.declare(table).await;
        desk.text(&format!("transfer cancel {other}")).await;
    }
    assert_eq!(
        sequences(&desk.json("event list --last 2").await),
        ["6", "7"]
    );
    let every = desk.json("event list --last 100").await;
    assert_eq!(sequences(&every).len(), 7);
    // The only event of a transfer is far from the end.
    let found = desk
        .json(&format!("event list --last 1 --transfer {first}"))
        .await;
    assert_eq!(sequences(&found), ["1"]);
    assert_eq!(found[0]["transferUuid"], first.as_str());
    let cancelled = desk
        .json("transfer list --status cancelled --limit 1")
        .await;
    let newest = id(&cancelled[0]);
    let found = desk
        .json(&format!("event list --last 1 --transfer {newest}"))
        .await;
    assert_eq!(sequences(&found), ["7"]);
}
