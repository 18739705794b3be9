//! Exports: every column of every table is carried over, and no line counts that an export would not have written.

use sea_orm::{ConnectionTrait as _, DbBackend, EntityName as _, Statement};
use serde_json::Map;
use tidegate_entity::{
    access_token, agent as runner, connection, credential, deleted_transfer, session,
    stored::{JsonText, Stored, StoredId},
};

use super::{
    super::{Options, Store, export, import, tables::each_table},
    fixture::{Fixture, at, event as happened, full, mark, plain, url},
};
use crate::{Carried, error::ImportError};
use tidegate_domain::{
    attempt::{Attempt, AttemptEnd},
    caller::Role,
    connection::{ConnectionDirection, ConnectionStatus},
    event::{Event, EventDetail},
    fixtures::id,
    outcome::FailureCode,
    policy::Policy,
    status::{Direction, TransferStatus},
    time::Timestamp,
    transfer::Transfer,
};

mod bulk;

/// A ledger with a value in every column.
async fn ledger() -> Fixture {
    let fixture = Fixture::new().await;
    let mut asked = full(399);
    asked.status = TransferStatus::InProgress;
    asked.stop.as_mut().expect("it is full").stopped_at = None;
    let few = (1..399).map(plain);
    let transfers: Vec<_> = few.chain([asked, full(400)]).collect();
    fixture.insert(&transfers).await;
    let last = &transfers[399];
    let batch = fixture.store.begin().await.expect("a batch");
    let attempts: Vec<_> = (1..=2).map(|epoch| attempt(last, epoch)).collect();
    batch.insert_attempts(&attempts).await.expect("attempts");
    let inserted = batch.insert(&[site()], Clone::clone).await;
    inserted.expect("a connection");
    let inserted = batch.insert(&[agent()], Clone::clone).await;
    inserted.expect("a credential");
    let inserted = batch.insert(&[token()], Clone::clone).await;
    inserted.expect("a token");
    let inserted = batch.insert(&[code()], Clone::clone).await;
    inserted.expect("a session");
    let inserted = batch.insert(&[runner()], Clone::clone).await;
    inserted.expect("an agent");
    let inserted = batch.insert(&[rest()], Clone::clone).await;
    inserted.expect("what is left of a transfer");
    let inserted = batch.insert(&[bulk::operation()], Clone::clone).await;
    inserted.expect("a bulk operation");
    let inserted = batch.insert(&[bulk::outcome()], Clone::clone).await;
    inserted.expect("an outcome");
    let mut events = vec![happened(&transfers[0], None), telling(last)];
    batch.append_events(&mut events, &[]).await.expect("events");
    batch.count_ended(&[id(401)]).await.expect("counted");
    batch.commit().await.expect("committed");
    let batch = fixture.store.begin().await.expect("a batch");
    assert_eq!(batch.trim_log(Timestamp::MAX, 1).await.expect("trimmed"), 1);
    batch.commit().await.expect("committed");
    fixture
}

fn attempt(transfer: &Transfer, epoch: i64) -> Attempt {
    let ran = Transfer {
        lease_epoch: epoch,
        ..transfer.clone()
    };
    Attempt {
        ended_at: Some(at(5)),
        end: AttemptEnd::Requeued,
        ..Attempt::latest(&ran).expect("it ran")
    }
}

fn site() -> connection::Model {
    connection::Model {
        uuid: StoredId(id(7)),
        name: "Łódź \"west\"\n".to_owned(),
        direction: Stored(ConnectionDirection::Sender),
        site_url: "https://site.example".to_owned(),
        status: Stored(ConnectionStatus::Suspended),
        inserted_at: 1,
        updated_at: 2,
        revision: 3,
        policy: JsonText(Policy {
            max_transfers: Some(7),
            ..Policy::default()
        }),
        has_budget: true,
        expires_at: Some(4),
        settling: true,
        metadata: JsonText(Map::new()),
        status_reason: Some("no\tmore".to_owned()),
        transfers_used: 5,
        records_used: i64::MAX,
    }
}

fn agent() -> credential::Model {
    credential::Model {
        uuid: StoredId(id(9)),
        name: "agent".to_owned(),
        role: Stored(Role::Agent),
        connection_uuid: Some(StoredId(id(7))),
        acts_for_others: false,
        session_code: Some("2345WXYZ".to_owned()),
        inserted_at: 1,
        revoked_at: Some(2),
        last_used_at: Some(i64::MIN),
        last_used_address: "2001:db8::7".parse().ok().map(Stored),
        revision: 4,
    }
}

fn token() -> access_token::Model {
    access_token::Model {
        id: "abcdefgh23456723".to_owned(),
        credential_uuid: StoredId(id(9)),
        digest: (0..32).collect(),
        inserted_at: 1,
        expires_at: 2,
    }
}

fn code() -> session::Model {
    session::Model {
        uuid: StoredId(id(8)),
        connection_uuid: StoredId(id(7)),
        digest: vec![3; 32],
        inserted_at: 1,
        expires_at: 2,
        token_expires_in: 3,
        redeemed_at: Some(4),
    }
}

fn runner() -> runner::Model {
    let tags = |name: &str| Some(JsonText([(name.to_owned(), "é\"".to_owned())].into()));
    runner::Model {
        uuid: StoredId(id(10)),
        connection_uuid: Some(StoredId(id(7))),
        owner_uuid: Some(StoredId(id(9))),
        instance: "host/1".to_owned(),
        version: Some("1.0".to_owned()),
        host: Some("host".to_owned()),
        engines: tags("postgres"),
        slots: Some(4),
        labels: tags("region"),
        registered_at: 1,
        last_beat_at: 2,
    }
}

fn rest() -> deleted_transfer::Model {
    deleted_transfer::Model {
        uuid: StoredId(id(401)),
        direction: Stored(Direction::Receive),
        connection_uuid: Some(StoredId(id(7))),
        table_name: "ząb \"tab\"".to_owned(),
        status: Stored(TransferStatus::Completed),
        records_transferred: i64::MAX,
        bytes_transferred: 1,
        started_at: Some(2),
        completed_at: Some(3),
        inserted_at: 4,
    }
}

fn telling(transfer: &Transfer) -> Event {
    let mut told = happened(transfer, Some(mark("once")));
    told.subject_uuid = Some(id(9));
    told.about.connection_name = Some("\u{1}é\\".to_owned());
    told.address = "192.0.2.7".parse().ok();
    told.body.from_status = Some(TransferStatus::InProgress);
    told.body.detail = Some(EventDetail::Failure {
        error_message: "\u{1}é\\".to_owned(),
        code: Some(FailureCode::Verification),
        retryable: true,
    });
    told
}

async fn exported(fixture: &Fixture) -> String {
    let mut lines = Vec::new();
    let done = export(&url(&fixture.path()), &Options::default(), &mut lines).await;
    done.expect("exported");
    String::from_utf8(lines).expect("text")
}

/// A database that lines were imported into.
async fn imported(lines: &str) -> Result<(Fixture, Carried), ImportError> {
    let fixture = Fixture::new().await;
    fixture.store.close().await;
    let url = url(&fixture.path());
    let carried = import(&url, &Options::default(), lines.as_bytes()).await;
    let store = Store::open(&url, &Options::default())
        .await
        .expect("it opens");
    let fixture = Fixture { store, ..fixture };
    match carried {
        Ok(carried) => Ok((fixture, carried)),
        Err(error) => {
            let as_before = exported(&Fixture::new().await).await;
            assert_eq!(exported(&fixture).await, as_before);
            Err(error)
        }
    }
}

/// The rows of a query, each in one text.
async fn texts(fixture: &Fixture, sql: &str) -> Vec<Option<String>> {
    let statement = Statement::from_string(DbBackend::Sqlite, sql);
    let rows = fixture.store.writer().query_all_raw(statement).await;
    let rows = rows.expect("rows");
    rows.iter()
        .map(|row| row.try_get_by_index(0).expect("a text"))
        .collect()
}

/// As the database has it, whatever the entities say.
async fn tables(fixture: &Fixture) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'seaql_migrations' ORDER BY name";
    texts(fixture, sql).await.into_iter().flatten().collect()
}

#[tokio::test]
async fn every_table_of_the_schema_is_exported() {
    let mut listed = Vec::new();
    each_table!(T => listed.push(T::default().table_name().to_owned()));
    listed.sort();
    assert_eq!(listed, tables(&Fixture::new().await).await);
}

#[tokio::test]
async fn every_column_of_every_table_is_carried_over_to_the_letter() {
    let source = ledger().await;
    let lines = exported(&source).await;
    let (target, carried) = imported(&lines).await.expect("imported");
    assert_eq!(carried.records["transfer"], 400);
    assert_eq!(carried.head.sequence, 2);
    for table in tables(&source).await {
        let columns = format!("SELECT name FROM pragma_table_info('{table}')");
        for column in texts(&source, &columns).await.into_iter().flatten() {
            let sql = format!("SELECT quote(\"{column}\") FROM \"{table}\" ORDER BY 1");
            let (before, after) = (texts(&source, &sql).await, texts(&target, &sql).await);
            assert!(
                before.iter().any(|value| value.as_deref() != Some("NULL")),
                "{table}.{column} has to have a value here, or nothing is said of it"
            );
            assert_eq!(before, after, "{table}.{column}");
        }
    }
    assert_eq!(exported(&target).await, lines);
}

/// What is said of altered lines; the database is then as it was.
async fn refusal(lines: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(line.as_ref());
        text.push('\n');
    }
    match imported(&text).await {
        Ok(_) => panic!("it was imported"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn what_was_altered_is_refused_by_the_number_of_its_line() {
    let whole = exported(&ledger().await).await;
    let lines: Vec<&str> = whole.lines().collect();
    let place = |table: &str| {
        let opening = format!("{{\"{table}\":");
        lines
            .iter()
            .position(|line| line.starts_with(&opening))
            .expect("there is one")
    };
    let (transfer, event, last) = (place("transfer"), place("event"), lines.len() - 1);
    // The line, what is put in the place of what, and the line and the words that tell.
    for (at, from, to, told, words) in [
        (
            0,
            "tidegate-ledger",
            "diary",
            0,
            "this is no export of a ledger",
        ),
        (
            0,
            "\"version\":1",
            "\"version\":2",
            0,
            "version 2 of the format",
        ),
        (
            0,
            "_initial",
            "_later",
            0,
            "export and import with the same version",
        ),
        (
            transfer,
            "\"PENDING\"",
            "\"DONE\"",
            transfer,
            "status of transfer holds nothing",
        ),
        (
            transfer,
            "\"status\":",
            "\"state\":",
            transfer,
            "status of transfer is missing",
        ),
        (
            transfer,
            "\"revision\":",
            "\"x\":1,\"revision\":",
            transfer,
            "not written as",
        ),
        (
            transfer,
            "{\"transfer\":{",
            "{\"transfer\":{ ",
            transfer,
            "not written as",
        ),
        (
            transfer,
            "\"uuid\":\"0",
            "\"uuid\":\"f",
            transfer + 1,
            "not after the line before",
        ),
        (
            transfer,
            "\"revision\":\"1\"",
            "\"revision\":\"2\"",
            last,
            "SHA-256",
        ),
        (
            transfer,
            "\"revision\":\"1\"",
            "\"revision\":\"0\"",
            transfer + 400,
            "does not take it",
        ),
        (
            event,
            "\"actor\":\"agent\"",
            "\"actor\":\"admin\"",
            event,
            "event 2 was altered",
        ),
        (
            event,
            "\"sequence\":\"2\"",
            "\"sequence\":\"3\"",
            event,
            "events after 1",
        ),
        (
            1,
            "\"last_sequence\":\"2\"",
            "\"last_sequence\":\"9\"",
            last,
            "events after 2 are missing",
        ),
        (
            1,
            "\"floor_sequence\":\"1\"",
            "\"floor_sequence\":\"0\"",
            1,
            "counter was altered",
        ),
        (
            last,
            "\"transfer\":400",
            "\"transfer\":401",
            last,
            "401 records of transfer",
        ),
        (last, "\"head\":\"2:", "\"head\":\"3:", last, "SHA-256"),
        (
            last,
            "{\"end\":",
            "{\"note\":{},\"end\":",
            last,
            "does not belong here",
        ),
    ] {
        let mut altered: Vec<String> = lines.iter().map(ToString::to_string).collect();
        altered[at] = altered[at].replacen(from, to, 1);
        assert_ne!(altered[at], lines[at], "{from}");
        let said = refusal(&altered).await;
        let number = format!("nothing was imported: line {}", told + 1);
        assert!(
            said.starts_with(&number) && said.contains(words),
            "{from} {to}: {said}"
        );
    }
}

#[tokio::test]
async fn lines_that_are_missing_repeated_or_moved_are_refused() {
    let whole = exported(&ledger().await).await;
    let lines: Vec<&str> = whole.lines().collect();
    let last = lines.len() - 1;
    assert_eq!(
        refusal(&[] as &[&str]).await,
        "nothing was imported: line 1: there is nothing to import"
    );
    for end in [1, 2, 100, last] {
        let said = refusal(&lines[..end]).await;
        let wanted = format!(
            "nothing was imported: line {}: the last line is missing",
            end + 1
        );
        assert!(said.starts_with(&wanted), "{said}");
    }
    let half = whole.trim_end();
    let said = imported(half).await.err().expect("it was cut").to_string();
    assert!(
        said.contains(&format!("line {}: it has no end", last + 1)),
        "{said}"
    );
    for (moved, words) in [
        (
            [&lines[..], &["{}"]].concat(),
            "the export has ended before",
        ),
        (
            [&lines[..20], &lines[21..]].concat(),
            "400 records of transfer were exported, 399 are here",
        ),
        (
            [&lines[..20], &lines[19..]].concat(),
            "line 21: it is not after the line before",
        ),
        (
            [&lines[..19], &[lines[20], lines[19]], &lines[21..]].concat(),
            "line 21: it is not after",
        ),
        (
            [&lines[..1], &lines[2..3], &lines[1..2], &lines[3..]].concat(),
            "line 3: it does not belong here",
        ),
    ] {
        let said = refusal(moved).await;
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[tokio::test]
async fn a_database_that_was_used_is_left_alone() {
    let source = ledger().await;
    let lines = exported(&source).await;
    source.store.close().await;
    let url = url(&source.path());
    let refused = import(&url, &Options::default(), lines.as_bytes()).await;
    let said = refused.expect_err("it is not empty").to_string();
    assert!(
        said.contains("not empty, there is something in event_counter"),
        "{said}"
    );
    assert_eq!(exported(&source).await, lines);
}

#[tokio::test]
async fn a_row_without_a_meaning_is_not_exported() {
    let source = ledger().await;
    let spoil = "UPDATE connection SET policy = '{'";
    source
        .store
        .writer()
        .execute_unprepared(spoil)
        .await
        .expect("spoilt");
    let mut lines = Vec::new();
    let refused = export(&url(&source.path()), &Options::default(), &mut lines).await;
    let said = refused.expect_err("it has no meaning").to_string();
    assert!(
        said.starts_with("the ledger cannot be read") && said.contains("policy"),
        "{said}"
    );
}
