//! `tidegate-server export` and `import`: a whole ledger as lines, into another database of either kind.

use std::{path::Path, process::Stdio, time::Duration};

use futures::future::join_all;
use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    Database, World, WorldOptions,
    actors::{Actors, bearing},
    audit::verify,
    database::{Kind, kind},
    process::{Finished, binary, command, finish, run},
    raw::{Raw, plain, told, totals},
};
use tokio::{io::AsyncWriteExt as _, process::Command};

mod beside;
mod volume;

fn program(role: &str, database: &Database) -> Command {
    let mut program = command(binary("tidegate-server"));
    program.args([role, "--database-url", database.url()]);
    program
}

async fn export(database: &Database) -> String {
    let ended = run(&mut program("export", database)).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stderr.starts_with("tidegate-server: exported "),
        "{ended:?}"
    );
    ended.stdout
}

async fn import(file: &Path, database: &Database) -> Finished {
    run(program("import", database).arg(file)).await
}

/// A database without rows, of the kind of the run.
async fn new() -> Database {
    match kind() {
        Kind::Sqlite => migrated(Database::new_file()).await,
        Kind::Postgres => Database::fresh().await,
    }
}

async fn migrated(database: Database) -> Database {
    let ended = run(&mut program("migrate", &database)).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    database
}

/// `export | import`, as a shell does it.
async fn pipe(from: &Database, to: &Database) -> Finished {
    let mut export = program("export", from).spawn().expect("it starts");
    let lines = export.stdout.take().expect("a pipe");
    let lines: Stdio = lines.try_into().expect("a pipe of the system");
    let import = program("import", to).stdin(lines).spawn();
    let imported = finish(import.expect("it starts")).await;
    let exported = finish(export).await;
    assert_eq!(exported.code, Some(0), "{exported:?} {imported:?}");
    imported
}

/// What a server tells of its ledger.
#[derive(Debug, PartialEq)]
struct Told {
    transfers: v1::ListTransfersResponse,
    attempts: Vec<v1::ListAttemptsResponse>,
    connections: v1::ListConnectionsResponse,
    stats: Vec<v1::GetConnectionStatsResponse>,
    tables: v1::ListTableStatsResponse,
    credentials: v1::ListCredentialsResponse,
    events: Vec<v1::Event>,
}

impl Told {
    async fn by(world: &World) -> Self {
        let mut raw = world.services().await;
        let transfers = v1::ListTransfersRequest {
            page_size: 1_000,
            ..v1::ListTransfersRequest::default()
        };
        let transfers = told(raw.transfers.list_transfers(transfers)).await;
        let mut attempts = Vec::new();
        for transfer in &transfers.transfers {
            let asked = v1::ListAttemptsRequest {
                uuid: transfer.uuid.clone(),
                before_epoch: 0,
            };
            attempts.push(told(raw.transfers.list_attempts(asked)).await);
        }
        let connections = v1::ListConnectionsRequest::default();
        let connections = told(raw.connections.list_connections(connections)).await;
        let mut stats = Vec::new();
        for connection in &connections.connections {
            let asked = v1::GetConnectionStatsRequest {
                connection_uuid: connection.uuid.clone(),
                ..v1::GetConnectionStatsRequest::default()
            };
            stats.push(told(raw.transfers.get_connection_stats(asked)).await);
        }
        let tables = v1::ListTableStatsRequest::default();
        let credentials = v1::ListCredentialsRequest::default();
        Self {
            transfers,
            attempts,
            connections,
            stats,
            tables: told(raw.transfers.list_table_stats(tables)).await,
            credentials: told(raw.credentials.list_credentials(credentials)).await,
            events: raw.log().await,
        }
    }
}

/// A transfer that was paused while it ran, and is run by another agent now.
async fn attempts(raw: &mut Raw, connection: &str) {
    let request = v1::CreateTransferRequest {
        connection_uuid: connection.to_owned(),
        ..plain()
    };
    let uuid = raw.create(request).await.uuid;
    for instance in ["first", "second"] {
        let start = v1::StartTransferRequest {
            uuid: uuid.clone(),
            agent_instance: instance.to_owned(),
            ..v1::StartTransferRequest::default()
        };
        told(raw.transfers.start_transfer(start)).await;
        if instance == "second" {
            break;
        }
        let pause = v1::PauseTransferRequest {
            uuid: uuid.clone(),
            reason: "not now".to_owned(),
            ..v1::PauseTransferRequest::default()
        };
        told(raw.transfers.pause_transfer(pause)).await;
        let resume = v1::ResumeTransferRequest {
            uuid: uuid.clone(),
            ..v1::ResumeTransferRequest::default()
        };
        told(raw.transfers.resume_transfer(resume)).await;
    }
}

/// A ledger with something of everything.
async fn filled(database: Database) -> World {
    let world = World::on(database, WorldOptions::still()).await;
    let mut raw = world.services().await;
    let connection = raw.connection("north").await;
    raw.connection("south").await;
    for number in 1..=9 {
        let status = TransferStatus::try_from(number).expect("there are nine");
        for keep in [true, false] {
            let request = v1::CreateTransferRequest {
                connection_uuid: connection.clone(),
                request_id: format!("{number}-{keep}"),
                ..plain()
            };
            let uuid = raw.create(request).await.uuid;
            raw.bring(&uuid, status, &world.clock).await;
            world.clock.advance(Duration::from_millis(1));
            if !keep && (TransferStatus::Completed as i32..).contains(&number) {
                raw.delete(&uuid).await;
            }
        }
    }
    attempts(&mut raw, &connection).await;
    let session = v1::CreateSessionRequest {
        connection_uuid: connection.clone(),
        ..v1::CreateSessionRequest::default()
    };
    for _ in 0..2 {
        let session = told(raw.credentials.create_session(session.clone())).await;
        let request = v1::RedeemSessionRequest {
            session_code: session.session_code,
        };
        told(raw.credentials.redeem_session(request)).await;
    }
    world
}

/// Moves a ledger and compares everything that can be asked for.
async fn moves(from: Database, to: Database) {
    let mut source = filled(from).await;
    let before = Told::by(&source).await;
    assert!(before.attempts.iter().any(|it| it.attempts.len() == 2));
    source.stop().await;
    let lines = export(source.database()).await;
    let imported = pipe(source.database(), &to).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert!(imported.stdout.starts_with("imported "), "{imported:?}");
    assert_eq!(export(&to).await, lines);

    let head = before.events.last().expect("there are events");
    let head = imported
        .stdout
        .rsplit_once(&format!("head {}:", head.sequence));
    let (_, hash) = head.expect("the head is told");
    let head = format!("{}:{}", before.events.len(), hash.trim_end());
    let verified = verify(&to, &["--expect", &head]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");

    let options = WorldOptions {
        clock: source.clock.clone(),
        ..WorldOptions::still()
    };
    let mut target = World::on(to, options).await;
    assert_eq!(Told::by(&target).await, before);
    // It goes on from there, and knows what it was asked before.
    let mut raw = target.services().await;
    let request = v1::CreateTransferRequest {
        connection_uuid: before.connections.connections[1].uuid.clone(),
        request_id: "1-true".to_owned(),
        ..plain()
    };
    let repeated = raw.create(request).await;
    assert!(
        before
            .transfers
            .transfers
            .iter()
            .any(|it| it.uuid == repeated.uuid)
    );
    raw.declared().await;
    assert_eq!(raw.log().await.len(), before.events.len() + 1);
    target.stop().await;
    let verified = verify(target.database(), &[]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_moves_to_another_database_with_all_that_it_tells() {
    moves(Database::fresh().await, new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_and_runs_go_on_where_they_were() {
    let mut world = World::start_with(WorldOptions::guarded()).await;
    let actors = Actors::of(&world).await;
    let mut agent = world.raw().await;
    let create = v1::CreateTransferRequest {
        connection_uuid: actors.own.clone(),
        initiated_by_uuid: String::new(),
        ..plain()
    };
    let created = told(agent.create_transfer(actors.agent.asks(create))).await;
    let uuid = created.transfer.expect("the answer carries it").uuid;
    let start = v1::StartTransferRequest {
        uuid: uuid.clone(),
        ..v1::StartTransferRequest::default()
    };
    told(agent.start_transfer(actors.agent.asks(start))).await;
    world.stop().await;
    let moved = new().await;
    let imported = pipe(world.database(), &moved).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    // The digests of tokens are there; tokens are not.
    assert!(
        !export(&moved)
            .await
            .contains(actors.agent.token.rsplit('_').nth(1).expect("a secret"))
    );

    let world = World::on(moved, WorldOptions::guarded()).await;
    let mut agent = world.raw().await;
    let complete = v1::CompleteTransferRequest {
        uuid,
        progress: Some(totals(3)),
        ..v1::CompleteTransferRequest::default()
    };
    let refused = agent
        .complete_transfer(actors.stranger.asks(complete.clone()))
        .await;
    assert!(refused.is_err());
    let completed = told(agent.complete_transfer(actors.agent.asks(complete))).await;
    let completed = completed.transfer.expect("the answer carries it");
    assert_eq!(completed.status(), TransferStatus::Completed);
    let count = v1::CountTransfersRequest::default();
    assert_eq!(
        told(agent.count_transfers(bearing(&actors.admin, count)))
            .await
            .count,
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_written_whole_and_read_again() {
    let mut world = filled(Database::fresh().await).await;
    world.stop().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("ledger.ndjson");
    let mut export_to = program("export", world.database());
    let ended = run(export_to.arg("--output").arg(&file)).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
    let written = std::fs::read_to_string(&file).expect("it is there");
    assert_eq!(written, export(world.database()).await);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &file.metadata().expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    // It is not written over.
    let again = run(program("export", world.database())
        .arg("--output")
        .arg(&file))
    .await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(
        again
            .stderr
            .contains("ledger.ndjson cannot be written: File exists"),
        "{again:?}"
    );

    let target = new().await;
    let imported = import(&file, &target).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    // Once is enough.
    let again = import(&file, &target).await;
    assert_eq!(
        (again.code, again.stderr.lines().count()),
        (Some(1), 1),
        "{again:?}"
    );
    assert!(again.stderr.contains("not empty"), "{again:?}");
    assert_eq!(export(&target).await, written);
}

/// What stdin is when an import is refused, and what it says of that.
async fn refused(lines: &str, target: &Database) -> String {
    let mut import = program("import", target);
    let mut import = import.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = import.stdin.take().expect("a pipe");
    // It may end before it has read all.
    _ = stdin.write_all(lines.as_bytes()).await;
    drop(stdin);
    let ended = finish(import).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(1), ""),
        "{ended:?}"
    );
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    ended.stderr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_exported_like_this_is_refused_and_leaves_nothing() {
    let mut world = filled(Database::fresh().await).await;
    world.stop().await;
    let lines = export(world.database()).await;
    let target = new().await;
    let empty = export(&target).await;
    let event = lines
        .lines()
        .position(|line| line.starts_with("{\"event\":"));
    let event = event.expect("there are events") + 1;
    let half = &lines[..lines.len() / 2];
    for (altered, words) in [
        (
            String::new(),
            "line 1: there is nothing to import".to_owned(),
        ),
        (
            "\u{0}\u{1}\n".to_owned(),
            "line 1: this is no export".to_owned(),
        ),
        (
            half.to_owned(),
            format!("line {}: it has no end", half.lines().count()),
        ),
        (
            lines.replace("\"version\":1", "\"version\":7"),
            "line 1: the export has version 7".to_owned(),
        ),
        (
            lines.replacen("\"actor\":\"", "\"actor\":\"x", 1),
            format!("line {event}: event 1 was altered"),
        ),
        (
            lines.replacen("\"name\":\"north\"", "\"name\":\"North\"", 1),
            format!(
                "line {}: the lines before are not those",
                lines.lines().count()
            ),
        ),
    ] {
        let said = refused(&altered, &target).await;
        assert!(
            said.contains(&format!("nothing was imported: {words}")),
            "{words}: {said}"
        );
        assert_eq!(export(&target).await, empty, "{words}");
    }
    let nowhere = import(Path::new("/nonexistent/ledger"), &target).await;
    assert_eq!(nowhere.code, Some(1));
    assert!(
        nowhere
            .stderr
            .contains("/nonexistent/ledger cannot be read"),
        "{nowhere:?}"
    );
    // A database without a schema is not touched.
    let bare = run(program("import", &Database::empty().await).arg("-")).await;
    assert_eq!(bare.code, Some(1));
    assert!(bare.stderr.contains("tidegate-server migrate"), "{bare:?}");
}

mod postgres_only {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn from_sqlite_to_postgresql() {
        moves(Database::new_file(), new().await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn from_postgresql_to_sqlite_and_back() {
        let file = migrated(Database::new_file()).await;
        moves(Database::fresh().await, file.clone()).await;
        let (lines, back) = (export(&file).await, new().await);
        let imported = pipe(&file, &back).await;
        assert_eq!(imported.code, Some(0), "{imported:?}");
        assert_eq!(export(&back).await, lines);
    }
}
