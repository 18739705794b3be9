//! The log is tamper-evident: `tidegate-server audit verify` names whatever was altered behind the server's back.

pub(crate) mod checkpoints;
mod tamper;

use std::time::Duration;

use sea_orm::ConnectionTrait as _;
use tidegate_domain::{
    chain::{Head, Summary},
    checkpoint::Comparison,
};
use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    Database, ServerProcess, World, WorldOptions,
    audit::verify,
    raw::{Raw, plain},
    soon,
};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Transfers in every state, reached by every way, and some of them deleted.
async fn live(world: &World, raw: &mut Raw, rounds: usize) {
    for round in 0..rounds {
        for number in 1..=9 {
            let status = TransferStatus::try_from(number).expect("there are nine");
            let request = v1::CreateTransferRequest {
                request_id: format!("{round}-{number}"),
                ..plain()
            };
            let uuid = raw.create(request).await.uuid;
            raw.bring(&uuid, status, &world.clock).await;
            world.clock.advance(Duration::from_millis(1));
            let is_over = !matches!(
                status,
                TransferStatus::Pending
                    | TransferStatus::PendingApproval
                    | TransferStatus::Approved
                    | TransferStatus::InProgress
            );
            if is_over && round % 2 == 0 {
                raw.delete(&uuid).await;
            }
        }
    }
}

/// As the command line names it.
fn at(database: &Database) -> tidegate_server::config::Database {
    tidegate_server::config::Database {
        url: database.url().to_owned(),
        password_file: None,
        pooling: tidegate_server::config::PoolingMode::Session,
        direct_url: None,
    }
}

/// What a sound log is summed up as.
async fn sound(database: &Database, expected: Option<Head>) -> Summary {
    let verdict =
        tidegate_server::audit::verify(&at(database), expected, &mut Comparison::default()).await;
    verdict.expect("it can be read").expect("it is sound")
}

/// The log of a server that has been stopped; with `forgetful`, retention has removed the beginning.
async fn log(forgetful: bool) -> Database {
    let mut world = World::start_with(WorldOptions {
        event_retention: forgetful.then_some(DAY),
        sweep_interval: Duration::from_millis(20),
        ..WorldOptions::still()
    })
    .await;
    let mut raw = world.services().await;
    live(&world, &mut raw, 10).await;
    if forgetful {
        // Each round takes two seconds and a little: some of them are a day old then.
        world.clock.advance(DAY - Duration::from_secs(13));
        let trimmed = async {
            while raw.log().await.first().is_some_and(|it| it.sequence == 1) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon("the deletion of old events", trimmed).await;
        raw.declared().await;
    }
    world.stop().await;
    world.database().clone()
}

#[tokio::test]
async fn retention_leaves_a_log_that_can_be_verified() {
    let summary = sound(&log(true).await, None).await;
    assert!(summary.removed > 0 && summary.first == summary.removed + 1);
    assert!(summary.head.sequence > summary.first, "{summary}");
}

#[tokio::test]
async fn everything_removed_is_continued_from_what_is_remembered() {
    let world = World::start_with(WorldOptions {
        event_retention: Some(DAY),
        sweep_interval: Duration::from_millis(20),
        ..WorldOptions::still()
    })
    .await;
    let mut raw = world.services().await;
    raw.declared().await;
    raw.declared().await;
    let before = sound(world.database(), None).await.head;
    world.clock.advance(DAY + DAY);
    let emptied = async {
        while !raw.log().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("the deletion of everything", emptied).await;
    assert_eq!(sound(world.database(), Some(before)).await.head, before);
    raw.declared().await;
    let summary = sound(world.database(), Some(before)).await;
    assert_eq!(
        (summary.first, summary.head.sequence, summary.removed),
        (3, 3, 2)
    );
}

#[tokio::test]
async fn the_command_says_it_in_one_line_beside_a_running_server() {
    let server = ServerProcess::start(&Database::fresh().await, 0, &[]).await;
    let mut raw = Raw::on(server.channel().await);
    let database = server.database().clone();
    let empty = verify(&database, &[]).await;
    let zeros = "0".repeat(64);
    assert_eq!(
        empty.stdout,
        format!("no events to verify, head 0:{zeros}\n")
    );
    for _ in 0..9 {
        raw.running().await;
    }
    let first = verify(&database, &[]).await;
    assert_eq!(
        (first.code, first.stderr.as_str()),
        (Some(0), ""),
        "{first:?}"
    );
    let head = first
        .stdout
        .strip_prefix("events 1–18 verified, head ")
        .and_then(|rest| rest.strip_suffix('\n'));
    let head = head.unwrap_or_else(|| panic!("{first:?}"));
    raw.declared().await;
    let later = verify(&database, &["--expect", head]).await;
    assert_eq!(later.code, Some(0), "{later:?}");
    assert!(
        later.stdout.starts_with("events 1–19 verified"),
        "{later:?}"
    );
    server.kill().await;

    let behind = database.connect().await;
    let says = async |change: &str, arguments: &[&str], line: &str| {
        behind.execute_unprepared(change).await.expect("changed");
        let audit = verify(&database, arguments).await;
        assert_eq!(audit.code, Some(1), "{change}: {audit:?}");
        assert_eq!((audit.stdout.as_str(), audit.stderr.as_str()), (line, ""));
    };
    let rewind =
        "DELETE FROM event WHERE sequence > 16; UPDATE event_counter SET last_sequence = 16";
    let gone = "events after 16 are missing: 18 is expected\n";
    says(rewind, &["--expect", head], gone).await;
    let sound = verify(&database, &[]).await;
    assert_eq!(
        sound.code,
        Some(0),
        "the log alone does not show it: {sound:?}"
    );
    let edit =
        "UPDATE event SET detail = '{\"comment\":{\"text\":\"as agreed\"}}' WHERE sequence = 7";
    says(edit, &[], "event 7 was altered\n").await;
    behind.close().await.expect("it closes");
}

#[tokio::test]
async fn what_cannot_be_audited_is_said_and_not_made() {
    let database = Database::empty().await;
    let missing = verify(&database, &[]).await;
    assert_eq!(
        (missing.code, missing.stdout.as_str()),
        (Some(2), ""),
        "{missing:?}"
    );
    assert_eq!(missing.stderr.lines().count(), 1, "{missing:?}");
    assert!(!missing.stderr.contains("mode=rwc"), "{missing:?}");
    if let Some(path) = database.path() {
        assert!(!path.exists(), "an audit made a database");
    }
    let unclear = verify(&database, &["--expect", "950"]).await;
    assert_eq!(unclear.code, Some(2), "{unclear:?}");
    assert!(unclear.stderr.contains("SEQUENCE:HASH"), "{unclear:?}");
}

mod postgres_only {
    use futures::future::join_all;
    use sea_orm_migration::MigratorTrait as _;
    use tidegate_migration::Migrator;

    use super::*;

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn migrations_go_up_down_and_up_again() {
        let database = Database::empty().await;
        let behind = database.connect().await;
        for _ in 0..2 {
            Migrator::up(&behind, None).await.expect("up");
            Migrator::down(&behind, None).await.expect("down");
        }
        behind.close().await.expect("it closes");
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn writers_of_two_replicas_make_one_chain() {
        let one = World::start().await;
        let two = one.replica().await;
        let mut raws = Vec::new();
        for number in 0..16 {
            let world = if number % 2 == 0 { &one } else { &two };
            raws.push(world.services().await);
        }
        let writers = raws.iter_mut().map(|raw| async {
            for _ in 0..20 {
                let uuid = raw.running().await.uuid;
                raw.complete(&uuid, 1).await;
            }
        });
        let audits = async {
            for _ in 0..5 {
                sound(one.database(), None).await;
            }
        };
        tokio::join!(join_all(writers), audits);
        let summary = sound(one.database(), None).await;
        assert_eq!((summary.first, summary.head.sequence), (1, 16 * 20 * 3));
    }
}
