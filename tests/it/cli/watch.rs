//! The commands that follow what happens.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_tests::{
    ServerProcess,
    process::{finish, heard, on_terminal, play, signal},
    soon,
};

use super::{ADMIN, Desk};

#[tokio::test]
async fn a_watch_ends_with_the_code_of_the_status() {
    let desk = Desk::new().await;
    let deny = format!("deny UUID --admin {ADMIN}");
    let mut watches = Vec::new();
    for (code, status, steps) in [
        (0, "completed", &["start UUID", "complete UUID"][..]),
        (
            10,
            "failed",
            &["start UUID", "fail UUID --error-message disk-full"],
        ),
        (11, "denied", &["request-approval UUID", &deny]),
        (12, "expired", &["request-approval UUID --expires-in 1s"]),
        (13, "cancelled", &["cancel UUID"]),
    ] {
        let uuid = desk.declare(status).await;
        let mut watch = desk
            .tidegate(&format!("transfer watch {uuid}"))
            .spawn()
            .expect("it starts");
        let stdout = watch.stdout.take().expect("stdout is piped");
        // It follows from the beginning, not only to see the end.
        let begun = |line: &str| line.starts_with("pending ").then_some(());
        let ((), said) = heard("the first line", stdout, begun).await;
        for step in steps {
            desk.text(&format!("transfer {}", step.replace("UUID", &uuid)))
                .await;
        }
        watches.push((code, status, watch, said));
    }
    for (code, status, watch, said) in watches {
        let ended = finish(watch).await;
        assert_eq!(ended.code, Some(code), "{status}: {ended:?}");
        let said = said.whole().await;
        assert!(
            said.lines()
                .last()
                .is_some_and(|line| line.starts_with(status)),
            "{status}: {said}"
        );
    }
}

#[tokio::test]
async fn a_watch_of_what_has_ended_says_so_at_once() {
    let desk = Desk::new().await;
    let uuid = desk.declare("orders").await;
    desk.text(&format!("transfer cancel {uuid}")).await;
    let watched = desk.run(&format!("transfer watch {uuid} -o json")).await;
    assert_eq!(watched.code, Some(13), "{watched:?}");
    let line: Value = serde_json::from_str(&watched.stdout).expect("one object");
    assert_eq!(line["status"], "TRANSFER_STATUS_CANCELLED");
}

#[tokio::test]
async fn all_transfers_are_watched_until_interrupted() {
    let desk = Desk::new().await;
    let earlier = desk.declare("earlier").await;
    let all = "transfer watch --all --include-existing -o json";
    let mut watch = desk.tidegate(all).spawn().expect("it starts");
    let stdout = watch.stdout.take().expect("stdout is piped");
    let is_earlier = move |line: &str| line.contains(&earlier).then_some(());
    let ((), said) = heard("what existed already", stdout, is_earlier).await;
    let later = desk.declare("later").await;
    desk.text(&format!("transfer cancel {later}")).await;
    desk.text(&format!("transfer delete {later}")).await;
    let deleted = json!({ "deletedUuid": later }).to_string();
    soon("the deletion", async {
        while !said.so_far().contains(&deleted) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    signal(&watch, "INT").await;
    assert_eq!(finish(watch).await.code, Some(130));
    for line in said.whole().await.lines() {
        serde_json::from_str::<Value>(line).expect("an object on every line");
    }
}

#[tokio::test]
async fn a_watch_says_when_the_ledger_went_back() {
    use sea_orm::ConnectionTrait as _;

    let desk = Desk::new().await;
    let kept = desk.declare("kept").await;
    desk.declare("lost").await;
    let all = "transfer watch --all --include-existing";
    let mut watch = desk.tidegate(all).spawn().expect("it starts");
    let stdout = watch.stdout.take().expect("stdout is piped");
    let is_lost = |line: &str| line.contains("lost").then_some(());
    let ((), said) = heard("what existed already", stdout, is_lost).await;
    // As when a backup was restored, or a standby took over that lacked the last commit.
    let database = desk.server.database().connect().await;
    for sql in [
        "DELETE FROM transfer WHERE table_name = 'lost'",
        "DELETE FROM event WHERE sequence = 2",
        "UPDATE event_counter SET last_sequence = 1",
    ] {
        database.execute_unprepared(sql).await.expect("it is done");
    }
    let again = soon("what exists now", async {
        loop {
            let told = said.so_far();
            if let Some((_, again)) = told.split_once("may not have happened")
                && again.contains(&kept)
            {
                break again.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(!again.await.contains("lost"));
    signal(&watch, "INT").await;
    assert_eq!(finish(watch).await.code, Some(130));
}

#[tokio::test]
async fn the_log_is_watched_until_interrupted() {
    let desk = Desk::new().await;
    let uuid = desk.declare("orders").await;
    desk.declare("others").await;
    let mut texts = desk
        .tidegate("event watch --after 0")
        .spawn()
        .expect("it starts");
    let command = format!("event watch --transfer {uuid} --after 0 -o json");
    let mut lines = desk.tidegate(&command).spawn().expect("it starts");
    let stdout = texts.stdout.take().expect("stdout is piped");
    let both = |line: &str| line.starts_with("2  ").then_some(());
    let ((), text) = heard("two events", stdout, both).await;
    let stdout = lines.stdout.take().expect("stdout is piped");
    let cancelled = |line: &str| line.contains("CANCELLED").then(|| line.to_owned());
    desk.text(&format!("transfer cancel {uuid} --reason enough"))
        .await;
    let (line, json) = heard("the cancellation", stdout, cancelled).await;
    let event: Value = serde_json::from_str(&line).expect("an object on a line");
    assert_eq!(
        (
            &event["sequence"],
            &event["transferUuid"],
            &event["stop"]["reason"]
        ),
        (&json!("3"), &json!(uuid), &json!("enough"))
    );
    for watch in [&texts, &lines] {
        signal(watch, "INT").await;
    }
    assert_eq!(finish(texts).await.code, Some(130));
    assert_eq!(finish(lines).await.code, Some(130));
    assert_eq!(json.whole().await.lines().count(), 2);
    let text = text.whole().await;
    assert!(text.contains(&uuid) && text.contains("created"), "{text}");
}

#[tokio::test]
async fn the_log_is_watched_from_now_on() {
    let desk = Desk::new().await;
    desk.declare("earlier").await;
    let mut watch = desk.tidegate("event watch").spawn().expect("it starts");
    let stdout = watch.stdout.take().expect("stdout is piped");
    let hear = tokio::spawn(heard("an event", stdout, |line: &str| {
        Some(line.to_owned())
    }));
    // Until it has begun, what happens is not from now on.
    let first = soon("an event", async {
        while !hear.is_finished() {
            desk.declare("later").await;
        }
    });
    first.await;
    let (first, _) = hear.await.expect("no panic");
    assert!(!first.starts_with("1  "), "{first}");
    signal(&watch, "INT").await;
    assert_eq!(finish(watch).await.code, Some(130));
}

#[tokio::test]
async fn several_are_watched_to_their_ends() {
    let desk = Desk::new().await;
    let [one, two] = [desk.declare("one").await, desk.declare("two").await];
    let mut watch = desk.tidegate(&format!("transfer watch {one} {two}"));
    let mut watch = watch.spawn().expect("it starts");
    let stdout = watch.stdout.take().expect("stdout is piped");
    let both = two.clone();
    let begun = move |line: &str| line.contains(&both).then_some(());
    let ((), said) = heard("the second one", stdout, begun).await;
    for step in ["start", "complete"] {
        desk.text(&format!("transfer {step} {one}")).await;
    }
    desk.text(&format!("transfer cancel {two}")).await;
    // The code is that of the one that was not completed.
    assert_eq!(finish(watch).await.code, Some(13));
    let said = said.whole().await;
    for (uuid, status) in [(&one, "completed"), (&two, "cancelled")] {
        let mut lines = said.lines();
        assert!(
            lines.any(|line| line.starts_with(&format!("{uuid}  {status} "))),
            "{said}"
        );
    }
    let failed = desk.declare("three").await;
    desk.text(&format!("transfer start {failed}")).await;
    desk.text(&format!("transfer fail {failed} --error-message x"))
        .await;
    let ended = desk.run(&format!("transfer watch {two} {failed}")).await;
    assert_eq!(ended.code, Some(1), "two that ended otherwise: {ended:?}");
}

#[tokio::test]
async fn a_terminal_shows_a_table_of_what_is_under_way() {
    let desk = Desk::new().await;
    let create = "transfer create --direction send --records-requested 1000 --table";
    let one = super::id(&desk.json(&format!("{create} public.orders")).await);
    let two = super::id(&desk.json(&format!("{create} customers")).await);
    desk.text(&format!("transfer start {one}")).await;
    desk.text(&format!(
        "transfer progress {one} --records 400 --created 400"
    ))
    .await;
    let watch = desk.tidegate(&format!("transfer watch {one} {two}"));
    let steps = [("400/1,000", "")];
    let end = async {
        // The server tells no rate before.
        tokio::time::sleep(Duration::from_secs(2)).await;
        desk.text(&format!(
            "transfer progress {one} --records 800 --created 800"
        ))
        .await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        desk.text(&format!("transfer complete {one}")).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        desk.text(&format!("transfer cancel {two}")).await;
    };
    let (ended, ()) = tokio::join!(play(watch, 80, &steps), end);
    assert_eq!(ended.code, Some(13), "{ended:?}");
    let shown = anstream::adapter::strip_str(&ended.stdout).to_string();
    for words in [
        "ROWS/S",
        "SILENT",
        " 80% ",
        "send public.orders",
        "send customers",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let last: Vec<&str> = shown.lines().rev().take(2).collect();
    assert!(last[0].contains("cancelled"), "{shown}");
    // What has ended stays above, and the table goes in the end.
    assert!(!last[0].contains("SILENT"), "{shown}");
    let plain = desk.tidegate(&format!("transfer watch {one} --color never"));
    let plain = on_terminal(plain, 80, "").await;
    assert!(!plain.stdout.contains("\u{1b}[3"), "{plain:?}");
}

#[tokio::test]
async fn a_server_that_is_away_is_said_once() {
    let Desk { server } = Desk::new().await;
    let database = server.database().clone();
    let port = server.port();
    let desk = Desk { server };
    let uuid = desk.declare("orders").await;
    let table = desk.tidegate(&format!("transfer watch {uuid}"));
    let mut wait = desk.tidegate(&format!("transfer wait {uuid} --for cancelled"));
    wait.env("TERM", "xterm");
    let address = desk.server.address.clone();
    let outage = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        desk.server.kill().await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        let server = ServerProcess::start(&database, port, &[]).await;
        assert_eq!(server.address, address);
        let desk = Desk { server };
        desk.text(&format!("transfer cancel {uuid}")).await;
        desk
    };
    let (table, wait, _desk) = tokio::join!(
        on_terminal(table, 80, ""),
        on_terminal(wait, 80, ""),
        outage
    );
    assert_eq!(table.code, Some(13), "{table:?}");
    assert!(table.stdout.contains("reconnecting for "), "{table:?}");
    assert_eq!(wait.code, Some(0), "{wait:?}");
    let said = wait.stdout.matches("reconnecting for ").count();
    assert_eq!(said, 1, "{wait:?}");
}
