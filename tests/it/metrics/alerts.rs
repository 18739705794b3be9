//! The rules for alerts fire on what a real server says when their cause has happened. Prometheus, as promtool, is shown what
//! was scraped before it and in it, each as if it had lasted for minutes.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, SystemTime},
};

use futures::{StreamExt as _, future::join_all, stream};
use serde_json::{Value, json};
use tidegate_tests::{
    Database, ServerProcess, World, WorldOptions,
    certificates::{Authority, Folder, NAMES},
    fault::{Failure, Op, Shim},
    metrics,
    needs::Need,
    process::{command, run},
    raw::{Raw, plain, told},
    skip_without, soon,
    tools::tool,
};
use tokio_util::sync::CancellationToken;

use super::{
    Watched,
    moves::{hold, let_go},
};
use crate::audit::checkpoints::Signer;

/// Callers that fill the queue, whatever the writers have taken out of it: so many on each connection as it may have open.
const CONNECTIONS: usize = 40;
const EACH: usize = 128;

/// The samples of a server, with the times that some of them are given as seconds from now.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    async fn of(address: &str) -> Self {
        let mut samples = metrics::samples(address).await;
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
        for (name, value) in &mut samples {
            // Prometheus begins its tests at the time 0.
            if name.ends_with("_timestamp_seconds") && *value > 0.0 {
                *value -= now.as_secs_f64();
            }
        }
        samples.retain(|name, _| !name.contains("_bucket"));
        Self(samples)
    }

    fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// The first for which that is so.
    async fn when(address: &str, is_so: impl Fn(&Self) -> bool) -> Self {
        let scraped = async {
            loop {
                let scrape = Self::of(address).await;
                if is_so(&scrape) {
                    return scrape;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        soon("what is to alarm", scraped).await
    }
}

/// Five minutes of what was before, then twenty of what came.
fn series(before: &Scrape, after: &Scrape) -> Vec<Value> {
    let one = |(sample, value): (&String, &f64)| {
        let earlier = before.0.get(sample);
        let earlier = earlier.map_or("_x20".to_owned(), |value| format!("{value}+0x19"));
        let name = match sample.split_once('{') {
            Some((name, labels)) => format!("{name}{{instance=\"a\",{labels}"),
            None => format!("{sample}{{instance=\"a\"}}"),
        };
        json!({ "series": name, "values": format!("{earlier} {value}+0x80") })
    };
    after.0.iter().map(one).collect()
}

/// Exactly these alerts fire three minutes after the cause, and none did before it.
async fn assert_fires(before: &Scrape, after: &Scrape, alerts: &[&str]) {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/alerts.yml");
    let rules = rules.canonicalize().expect("the rules");
    let firing =
        |alert: &&str| json!({ "labels": format!("{{alertname=\"{alert}\"}}"), "value": 1 });
    let fired: Vec<_> = alerts.iter().map(firing).collect();
    let expr = "count by (alertname) (ALERTS{alertstate=\"firing\"})";
    let tests = json!({
        "rule_files": [rules],
        "evaluation_interval": "15s",
        "tests": [{
            "interval": "15s",
            "input_series": series(before, after),
            "promql_expr_test": [
                { "expr": expr, "eval_time": "4m", "exp_samples": [] },
                { "expr": expr, "eval_time": "8m", "exp_samples": fired },
            ],
        }],
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tests.json");
    std::fs::write(&file, tests.to_string()).expect("it can be written");
    let mut promtool = command(tool("promtool"));
    let ended = run(promtool.args(["test", "rules"]).arg(&file)).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// Asks again whenever it is refused, as callers do that need it.
async fn insist(mut raw: Raw, enough: CancellationToken) {
    while !enough.is_cancelled() && raw.transfers.create_transfer(plain()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_nothing_and_the_queue_before_it_alarm() {
    skip_without!(Need::Tool("promtool"));
    let watched = Watched::start(WorldOptions::default()).await;
    let address = watched.address();
    let mut raw = watched.world.services().await;
    raw.declared().await;
    let before = Scrape::when(address, |it| it.get("tidegate_serving") == 1.0).await;
    let held = hold(watched.world.database()).await;
    let (mut crowd, enough) = (Vec::new(), CancellationToken::new());
    for _ in 0..CONNECTIONS {
        let raw = watched.world.services().await;
        crowd.extend((0..EACH).map(|_| tokio::spawn(insist(raw.clone(), enough.clone()))));
    }
    let queue = "tidegate_ledger_queue_commands";
    let full = Scrape::when(address, |it| it.get(queue) > 2_000.0).await;
    enough.cancel();
    let failures = "tidegate_ledger_failures_total";
    let mut gone = Scrape::when(address, |it| {
        it.get("tidegate_serving") == 0.0 && it.get(failures) > before.get(failures)
    })
    .await;
    let_go(held).await;
    join_all(crowd).await;

    let is_full = Scrape(BTreeMap::from([(queue.to_owned(), full.get(queue))]));
    assert_fires(&before, &is_full, &["TidegateQueueLong"]).await;
    gone.0.insert(queue.to_owned(), 0.0);
    let wanted = ["TidegateBatchesFail", "TidegateNotServing"];
    assert_fires(&before, &gone, &wanted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_that_cannot_be_written_alarm() {
    skip_without!(Need::Tool("promtool"), Need::Compiler);
    let (signer, shim) = (Signer::new(), Shim::new());
    let database = Database::fresh().await;
    let (server, address) = signer.serve_with(&database, &shim).await;
    let before = Scrape::when(&address, |it| it.get("tidegate_serving") == 1.0).await;
    shim.fail(&[Op::Write], "*/signed", Failure::Enospc);
    told(server.raw().await.create_transfer(plain())).await;
    let failed = "tidegate_checkpoints_total{outcome=\"failed\"}";
    let after = Scrape::when(&address, |it| it.get(failed) > 0.0).await;
    assert_fires(&before, &after, &["TidegateCheckpointsFail"]).await;
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_is_about_to_expire_alarms() {
    skip_without!(Need::Tool("promtool"));
    let mut watched = Watched::start(WorldOptions::default()).await;
    let mut raw = watched.world.services().await;
    let waiting = raw.declared().await.uuid;
    let before = Scrape::of(watched.address()).await;
    raw.ask(&waiting, Duration::from_secs(1_200)).await;
    // It is looked at now and then, and at the start.
    watched.world.stop().await;
    watched.world.resume().await;
    let next = "tidegate_approval_next_expiry_timestamp_seconds";
    let after = Scrape::when(watched.address(), |it| it.get(next) > 0.0).await;
    assert_fires(&before, &after, &["TidegateApprovalExpires"]).await;
    let mut raw = watched.world.services().await;
    raw.approve(&waiting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_about_to_expire_alarms() {
    skip_without!(Need::Tool("promtool"));
    let authority = Authority::default();
    let folder = Folder::of(&authority, &authority.expiring(&NAMES, 90));
    let mut arguments = folder.arguments();
    arguments.extend(["--metrics-listen".to_owned(), "127.0.0.1:0".to_owned()]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let server = ServerProcess::start(&Database::fresh().await, 0, &arguments).await;
    let address = metrics::address(&server).await;
    let serves = |it: &Scrape| it.get("tidegate_serving") == 1.0;
    let before = Scrape::when(&address, serves).await;
    folder.put("server", &authority.expiring(&NAMES, 13));
    server.signal("HUP").await;
    let expiry = "tidegate_tls_certificate_expiry_timestamp_seconds";
    let after = Scrape::when(&address, |it| it.get(expiry) < before.get(expiry) - 1.0).await;
    assert_fires(&before, &after, &["TidegateCertificateExpires"]).await;
    server.kill().await;
}

mod postgres_only {
    use sea_orm::ConnectionTrait as _;
    use tidegate_proto::v1::{self, transfer_service_client::TransferServiceClient};
    use url::Url;

    use super::*;

    /// Who may do everything until the transfers, which the log tells of, are no longer theirs to read.
    const ROLE: &str = "tidegate_alerts";
    /// Events that nobody reads, more than may be.
    const EVENTS: usize = 1_100;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_replica_that_is_behind_alarms() {
        skip_without!(Need::Tool("promtool"));
        let world = World::start().await;
        let session = world.database().connect().await;
        let sql = format!(
            "DO $$ BEGIN CREATE ROLE {ROLE} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
             GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE}"
        );
        session.execute_unprepared(&sql).await.expect("it is made");
        let mut url = Url::parse(world.database().url()).expect("a URL");
        url.set_username(ROLE).expect("a name");
        let database = world.database().at(url.as_str());
        let arguments = ["--metrics-listen", "127.0.0.1:0", "--migrate", "check"];
        let server = ServerProcess::start(&database, 0, &arguments).await;
        let address = metrics::address(&server).await;
        let before = Scrape::when(&address, |it| it.get("tidegate_serving") == 1.0).await;
        // What nobody watches there is not read.
        let mut watcher = TransferServiceClient::new(server.channel().await);
        let watch = v1::WatchTransfersRequest::default();
        let mut watch = told(watcher.watch_transfers(watch)).await;
        let live = watch.message().await.expect("it goes on");
        assert!(live.is_some());
        let sql = format!("REVOKE SELECT ON transfer FROM {ROLE}");
        session.execute_unprepared(&sql).await.expect("it is taken");
        let client = world.raw().await;
        let creations = (0..EVENTS).map(|_| {
            let mut client = client.clone();
            async move { told(client.create_transfer(plain())).await }
        });
        stream::iter(creations).buffer_unordered(64).count().await;
        let behind = |it: &Scrape| {
            it.get("tidegate_log_last_sequence") - it.get("tidegate_log_told_sequence")
        };
        let after = Scrape::when(&address, |it| behind(it) > 1_000.0).await;
        assert_fires(&before, &after, &["TidegateReplicaBehind"]).await;
        server.logged("the log cannot be read").await;
        server.kill().await;
    }
}
