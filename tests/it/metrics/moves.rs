//! A walk over the registry: whoever adds a metric adds its cause here.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use futures::future::{join_all, lazy};
use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use tidegate_domain::token::{ID_BYTES, SECRET_BYTES, Token};
use tidegate_proto::v1;
use tidegate_server::metrics::Metrics;
use tidegate_tests::{
    Database, ServerProcess, World, WorldOptions,
    actors::{bearing, with_wrong_secret},
    certificates::{Authority, Folder, NAMES},
    collector::Collector,
    metrics,
    raw::{NOBODY, Raw, done, plain, told, wire_duration, wire_time},
    request, soon,
};
use tonic::Code;

mod servers;

use super::Watched;
use crate::{
    audit::checkpoints::Signer,
    watch::{narrow, watch_all},
};

/// Those that only servers which share a database can move: see [`postgres_only`].
const SHARED: [&str; 1] = ["tidegate_log_events_read"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_moves_when_its_cause_happens() {
    let options = WorldOptions {
        max_streams: 77,
        event_retention: Some(Duration::from_secs(24 * 3_600)),
        sweep_interval: Duration::from_millis(50),
        ..WorldOptions::still()
    };
    let mut watched = Watched::start(options).await;
    let mut raw = watched.world.services().await;
    calls_and_streams(&mut watched, &mut raw).await;
    backlog(&mut watched, &mut raw).await;
    ledger(&mut watched, &mut raw).await;
    sweeps(&mut watched, &mut raw).await;
    samples(&mut watched, &mut raw).await;
    conflicts(&mut watched, &mut raw).await;
    outage(&mut watched, &mut raw).await;
    let mut seen = watched.seen.clone();
    seen.extend(tokens().await);
    seen.insert(servers::reloads().await);
    seen.insert(servers::spans().await);
    seen.insert(servers::checkpoints().await);
    seen.insert(servers::certificates().await);
    let all: BTreeSet<_> = Metrics::default()
        .described()
        .iter()
        .map(|it| it.name)
        .collect();
    seen.extend(SHARED);
    assert_eq!(seen, all, "a metric without its cause");
}

async fn calls_and_streams(watched: &mut Watched, raw: &mut Raw) {
    let (ok, cancelled) = (
        super::calls::count("WatchTransfers", "OK"),
        super::calls::count("WatchTransfers", "CANCELLED"),
    );
    let all = metrics::samples(watched.address()).await;
    let build = all
        .keys()
        .find(|name| name.starts_with("tidegate_build_info{version="));
    watched
        .becomes(build.expect("it is there"), |one| one == 1.0)
        .await;
    watched
        .becomes("tidegate_streams_limit", |limit| limit == 77.0)
        .await;
    watched
        .becomes("tidegate_serving", |serving| serving == 1.0)
        .await;
    let opened = watch_all(raw, None, false);
    let open = watched
        .rises("tidegate_streams_open{kind=\"watch\"}", opened)
        .await;
    watched
        .becomes("tidegate_watch_subscriptions", |open| open == 1.0)
        .await;
    watched.rises(&cancelled, async { drop(open) }).await;
    watched
        .becomes("tidegate_streams_open{kind=\"watch\"}", |open| open == 0.0)
        .await;
    let (reports, sent) = tokio::sync::mpsc::channel::<v1::ReportProgressRequest>(1);
    let sent = tokio_stream::wrappers::ReceiverStream::new(sent);
    let opened = raw.transfers.report_progress(sent);
    let name = "tidegate_streams_open{kind=\"progress\"}";
    let open = watched.rises(name, opened).await.expect("it opens");
    drop((open, reports));
    watched.becomes(name, |open| open == 0.0).await;
    let mut agent = raw.clone();
    let claim = v1::ClaimTransfersRequest {
        wait: Some(wire_duration(Duration::from_secs(60))),
        table_names: vec!["nobody".to_owned()],
        ..request::claim("")
    };
    let waits = lazy(|_| tokio::spawn(async move { agent.transfers.claim_transfers(claim).await }));
    let name = "tidegate_streams_open{kind=\"claim\"}";
    let waiting = watched.rises(name, waits).await;
    waiting.abort();
    watched.becomes(name, |open| open == 0.0).await;
    assert_eq!(watched.now(&ok).await, 0.0, "nobody let it end");
}

async fn backlog(watched: &mut Watched, raw: &mut Raw) {
    let slow = watch_all(&mut narrow(&watched.world).await, None, false).await;
    let crowd = (0..2_000).map(|_| {
        let mut raw = raw.clone();
        async move { raw.declared().await }
    });
    let longest = "tidegate_watch_backlog_longest_transfers";
    watched.rises(longest, join_all(crowd)).await;
    watched
        .becomes("tidegate_watch_backlog_transfers", |waiting| waiting > 0.0)
        .await;
    drop(slow);
    watched.becomes(longest, |waiting| waiting == 0.0).await;
}

async fn ledger(watched: &mut Watched, raw: &mut Raw) {
    for name in [
        "tidegate_ledger_batch_commands_sum",
        "tidegate_ledger_batch_duration_seconds_count",
        "tidegate_ledger_commit_duration_seconds_count",
        "tidegate_log_events_written_total{type=\"CREATED\"}",
        "tidegate_log_last_sequence",
        "tidegate_log_told_sequence",
    ] {
        watched.rises(name, raw.declared()).await;
    }
    let refused = "tidegate_ledger_commands_refused_total{reason=\"TRANSFER_NOT_FOUND\"}";
    let start = raw.transfers.start_transfer(request::starting(NOBODY));
    let refusal = watched.rises(refused, start).await.expect_err("nobody");
    assert_eq!(refusal.code(), Code::NotFound);
    let newest = watched.now("tidegate_log_told_sequence").await;
    watched.world.clock.advance(Duration::from_secs(25 * 3_600));
    watched
        .becomes("tidegate_log_floor_sequence", |floor| floor == newest)
        .await;
}

async fn sweeps(watched: &mut Watched, raw: &mut Raw) {
    watched
        .rises("tidegate_sweeps_total{outcome=\"ok\"}", async {})
        .await;
    let waiting = raw.declared().await.uuid;
    raw.ask(&waiting, Duration::from_secs(5)).await;
    let silent = raw.declared().await.uuid;
    let starting = v1::StartTransferRequest {
        heartbeat_timeout: Some(wire_duration(Duration::from_secs(5))),
        ..request::starting(&silent)
    };
    told(raw.transfers.start_transfer(starting)).await;
    let in_time = v1::CreateTransferRequest {
        start_by: Some(wire_time(
            watched.world.clock.now().after(Duration::from_secs(5)),
        )),
        ..plain()
    };
    raw.create(in_time).await;
    let ends = watched.world.clock.now().after(Duration::from_secs(5));
    let connection = v1::CreateConnectionRequest {
        name: "short".to_owned(),
        direction: v1::ConnectionDirection::Sender.into(),
        site_url: "https://mirror.example".to_owned(),
        policy: Some(v1::ConnectionPolicy {
            expires_at: Some(wire_time(ends)),
            ..v1::ConnectionPolicy::default()
        }),
        ..v1::CreateConnectionRequest::default()
    };
    told(raw.connections.create_connection(connection)).await;
    let again = failing(watched, raw).await;
    assert!(again.retry_at.is_some(), "{again:?}");
    let swept = ["approval", "start", "heartbeat", "retry", "connection"];
    watched.world.clock.advance(Duration::from_secs(10));
    for what in swept {
        let name = format!("tidegate_swept_total{{what=\"{what}\"}}");
        watched.becomes(&name, |ended| ended == 1.0).await;
    }
}

/// A transfer that failed and is to be tried again.
async fn failing(watched: &Watched, raw: &mut Raw) -> v1::Transfer {
    let connection = v1::CreateConnectionRequest {
        name: "patient".to_owned(),
        direction: v1::ConnectionDirection::Sender.into(),
        site_url: watched.world.address.clone(),
        policy: Some(v1::ConnectionPolicy {
            max_retries: Some(1),
            retry_backoff: Some(wire_duration(Duration::from_secs(5))),
            ..v1::ConnectionPolicy::default()
        }),
        ..v1::CreateConnectionRequest::default()
    };
    let made = told(raw.connections.create_connection(connection)).await;
    let request = v1::CreateTransferRequest {
        connection_uuid: made.connection.expect("the connection").uuid,
        ..plain()
    };
    let uuid = raw.create(request).await.uuid;
    raw.start(&uuid).await;
    let failing = v1::FailTransferRequest {
        uuid,
        error_message: "busy".to_owned(),
        retryable: true,
        ..v1::FailTransferRequest::default()
    };
    done(raw.transfers.fail_transfer(failing)).await
}

/// Counted by a timer, and at the start.
async fn samples(watched: &mut Watched, raw: &mut Raw) {
    let waiting = raw.declared().await.uuid;
    raw.ask(&waiting, Duration::from_secs(3_600)).await;
    watched.world.clock.advance(Duration::from_secs(90));
    watched.world.stop().await;
    watched.world.resume().await;
    *raw = watched.world.services().await;
    watched
        .becomes(
            "tidegate_transfers_open{status=\"PENDING_APPROVAL\"}",
            |open| open == 1.0,
        )
        .await;
    watched
        .becomes("tidegate_transfers_open{status=\"PENDING\"}", |open| {
            open > 2_000.0
        })
        .await;
    let age = "tidegate_approval_oldest_age_seconds";
    watched
        .becomes(age, |age| (90.0..100.0).contains(&age))
        .await;
    let ends = watched.world.clock.now().as_micros() / 1_000_000 + 3_600 - 90;
    watched
        .becomes("tidegate_approval_next_expiry_timestamp_seconds", |next| {
            (next - ends as f64).abs() < 10.0
        })
        .await;
    watched
        .becomes("tidegate_database_connections{state=\"idle\"}", |idle| {
            idle > 0.0
        })
        .await;
    watched
        .becomes("tidegate_database_connections_limit", |limit| limit > 0.0)
        .await;
}

/// Somebody's session that lets nothing be changed.
pub(super) async fn hold(database: &Database) -> DatabaseConnection {
    let session = database.connect().await;
    let sql = match database.is_shared() {
        true => "BEGIN; SELECT 1 FROM event_counter FOR UPDATE",
        false => "BEGIN IMMEDIATE",
    };
    session.execute_unprepared(sql).await.expect("the lock");
    session
}

pub(super) async fn let_go(session: DatabaseConnection) {
    session
        .execute_unprepared("ROLLBACK")
        .await
        .expect("it is held");
}

async fn conflicts(watched: &mut Watched, raw: &mut Raw) {
    let name = "tidegate_ledger_conflicts_total";
    let database = watched.world.database().clone();
    let session = database.connect().await;
    let mut creating = raw.clone();
    if database.is_shared() {
        let fails = "CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS \
                     $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$;
                     CREATE TRIGGER conflict BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION conflict()";
        session.execute_unprepared(fails).await.expect("it is set");
        let refused = watched
            .rises(name, creating.transfers.create_transfer(plain()))
            .await;
        refused.expect_err("it conflicts every time");
        let mends = "DROP TRIGGER conflict ON event";
        session
            .execute_unprepared(mends)
            .await
            .expect("it is mended");
        return;
    }
    let held = hold(&database).await;
    let created = tokio::spawn(async move { creating.declared().await });
    watched.becomes(name, |conflicts| conflicts >= 1.0).await;
    let_go(held).await;
    soon("the change", created)
        .await
        .expect("it was tried again");
}

async fn outage(watched: &mut Watched, raw: &mut Raw) {
    let held = hold(watched.world.database()).await;
    let crowd = (0..200).map(|_| {
        let mut raw = raw.clone();
        tokio::spawn(async move { raw.transfers.create_transfer(plain()).await })
    });
    let crowd: Vec<_> = crowd.collect();
    watched
        .becomes("tidegate_ledger_queue_commands", |waiting| waiting > 0.0)
        .await;
    watched
        .becomes("tidegate_database_connections{state=\"used\"}", |used| {
            used > 0.0
        })
        .await;
    watched
        .becomes("tidegate_serving", |serving| serving == 0.0)
        .await;
    watched
        .becomes("tidegate_ledger_failures_total", |failures| failures > 0.0)
        .await;
    let_go(held).await;
    join_all(crowd).await;
    watched
        .becomes("tidegate_ledger_queue_commands", |waiting| waiting == 0.0)
        .await;
    watched
        .becomes("tidegate_serving", |serving| serving == 1.0)
        .await;
}

async fn tokens() -> BTreeSet<&'static str> {
    let mut watched = Watched::start(WorldOptions::guarded()).await;
    let mut raw = watched.world.services().await;
    let good = watched.world.admin().to_owned();
    let count = v1::CountTransfersRequest::default;
    told(raw.transfers.count_transfers(bearing(&good, count()))).await;
    let name = |cause: &str| format!("tidegate_tokens_rejected_total{{cause=\"{cause}\"}}");
    let refused = watched
        .rises(&name("missing"), raw.transfers.count_transfers(count()))
        .await;
    assert_eq!(refused.expect_err("no token").code(), Code::Unauthenticated);
    let unknown = Token::of([1; ID_BYTES], [7; SECRET_BYTES]).reveal();
    let wrong = with_wrong_secret(&good);
    for (cause, token) in [
        ("malformed", "nonsense"),
        ("unknown", &unknown),
        ("wrong_secret", &wrong),
    ] {
        let call = raw.transfers.count_transfers(bearing(token, count()));
        watched
            .rises(&name(cause), call)
            .await
            .expect_err("a bad token");
    }
    let many = async {
        for number in 0..60 {
            let token = format!("nonsense{number}");
            _ = raw
                .transfers
                .count_transfers(bearing(&token, count()))
                .await;
        }
    };
    watched.rises(&name("too_many"), many).await;
    let refused = async {
        for _ in 0..80 {
            let start = bearing(&good, request::starting(NOBODY));
            _ = raw.transfers.start_transfer(start).await;
        }
    };
    watched
        .rises("tidegate_refusals_dropped_total", refused)
        .await;
    told(raw.transfers.count_transfers(bearing(&good, count()))).await;
    watched.seen
}

mod postgres_only {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn what_other_replicas_write_is_read_and_counted_once() {
        let mut watched = Watched::start(WorldOptions::default()).await;
        let other: World = watched.world.replica().await;
        let (mut here, mut there) = (watched.world.services().await, other.services().await);
        let written = "tidegate_log_events_written_total{type=\"CREATED\"}";
        let name = "tidegate_log_events_read_total";
        for _ in 0..5 {
            here.declared().await;
        }
        for _ in 0..7 {
            there.declared().await;
        }
        watched.becomes(name, |read| read == 7.0).await;
        watched
            .becomes("tidegate_log_told_sequence", |told| told == 12.0)
            .await;
        watched
            .becomes("tidegate_log_last_sequence", |last| last == 12.0)
            .await;
        assert_eq!(watched.now(written).await, 5.0);
        assert!(SHARED.iter().all(|name| watched.seen.contains(name)));
    }
}
