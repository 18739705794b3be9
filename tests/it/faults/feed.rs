//! Logs that go back or fork, and lists that must not be cut: what watchers are told.

mod cursors;
mod failover;
mod fan_out;
mod lists;
mod live;
mod progress;

use futures::StreamExt as _;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement, Value};
use tidegate_proto::v1::{
    self, watch_events_response::Update as Step, watch_transfers_response::Update,
};
use tidegate_tests::{Refused, assert_refused, raw::Raw, soon};
use tonic::{Code, Status, Streaming};

/// A place in the log, as a watcher is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    sequence: i64,
    hash: Vec<u8>,
}

/// The end of the log.
async fn end(raw: &mut Raw) -> Place {
    let last = raw.log().await.pop().expect("something has happened");
    Place {
        sequence: last.sequence,
        hash: last.hash,
    }
}

/// Follows the log after a place; the first word is read already.
async fn follow(
    raw: &mut Raw,
    after: &Place,
) -> Result<Streaming<v1::WatchEventsResponse>, Status> {
    let request = v1::WatchEventsRequest {
        after_sequence: after.sequence,
        after_hash: after.hash.clone(),
        ..v1::WatchEventsRequest::default()
    };
    let watch = soon("the watch", raw.events.watch_events(request)).await;
    watch.map(tonic::Response::into_inner)
}

/// Reads the log after a place.
async fn list(raw: &mut Raw, after: &Place) -> Result<Vec<v1::Event>, Status> {
    let request = v1::ListEventsRequest {
        after_sequence: after.sequence,
        after_hash: after.hash.clone(),
        ..v1::ListEventsRequest::default()
    };
    let answer = soon("the events", raw.events.list_events(request)).await;
    answer.map(|answer| answer.into_inner().events)
}

/// Resumes a watch of transfers after a place.
async fn resume(
    raw: &mut Raw,
    after: &Place,
) -> Result<Streaming<v1::WatchTransfersResponse>, Status> {
    let request = v1::WatchTransfersRequest {
        after_sequence: Some(after.sequence),
        after_hash: after.hash.clone(),
        ..v1::WatchTransfersRequest::default()
    };
    let watch = soon("the watch", raw.transfers.watch_transfers(request)).await;
    watch.map(tonic::Response::into_inner)
}

/// Follows all transfers that exist, until it has caught up; with its position then.
async fn caught_up(raw: &mut Raw) -> (Streaming<v1::WatchTransfersResponse>, Place) {
    let request = v1::WatchTransfersRequest {
        include_existing: true,
        positions: true,
        ..v1::WatchTransfersRequest::default()
    };
    let watch = soon("the watch", raw.transfers.watch_transfers(request)).await;
    let mut watch = watch.expect("it is accepted").into_inner();
    loop {
        let message = soon("a message", watch.message()).await;
        let message = message.expect("no refusal").expect("it goes on");
        if message.update == Some(Update::CaughtUp(true)) {
            let position = message.position.expect("it was asked for");
            let place = Place {
                sequence: position.sequence,
                hash: position.hash,
            };
            return (watch, place);
        }
    }
}

/// Reads events until the bookmark that says that all have been told.
async fn bookmark(watch: &mut Streaming<v1::WatchEventsResponse>) -> Place {
    loop {
        let message = soon("a step", watch.message()).await;
        let message = message.expect("no refusal").expect("it goes on");
        if let Some(Step::Bookmark(bookmark)) = message.update {
            return Place {
                sequence: bookmark.sequence,
                hash: bookmark.hash,
            };
        }
    }
}

/// How a stream ends, whatever it says before.
async fn ends<T>(what: &str, watch: &mut Streaming<T>) -> Refused {
    let end = soon(what, async {
        loop {
            match watch.next().await {
                Some(Ok(_)) => {}
                Some(Err(status)) => break status,
                None => panic!("{what}: without a word"),
            }
        }
    })
    .await;
    assert_refused(&end, Code::DataLoss, "LOG_DIVERGED")
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a restored backup lacks: everything after `sequence`.
async fn forget_after(database: &DatabaseConnection, sequence: i64) {
    for sql in [
        "DELETE FROM transfer WHERE uuid IN \
         (SELECT transfer_uuid FROM event WHERE sequence > $1 AND event_type = 'CREATED')",
        "DELETE FROM event WHERE sequence > $1",
        "UPDATE event_counter SET last_sequence = $1",
    ] {
        run(database, sql, [sequence.into()]).await;
    }
}

/// Gives the newest event another hash: the log has another end at the same place.
async fn fork(database: &DatabaseConnection) {
    let sql = "UPDATE event SET hash = $1 \
               WHERE sequence = (SELECT last_sequence FROM event_counter)";
    run(database, sql, [vec![7_u8; 32].into()]).await;
}

async fn run<const N: usize>(database: &DatabaseConnection, sql: &str, values: [Value; N]) {
    let backend = database.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => sql.to_owned(),
        _ => sql.replace("$1", "?1").replace("$2", "?2"),
    };
    let statement = Statement::from_sql_and_values(backend, sql, values);
    database.execute_raw(statement).await.expect("it is done");
}
