//! The copy agent copies a real table, and the ledger's account of it is exact: whoever is killed meanwhile.

mod files;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tidegate_client::{Client, Direction, Totals, Transfer, TransferStatus};
use tidegate_tests::{
    ServerProcess,
    process::{Finished, Said, binary, command, finish, heard, run, signal},
    soon,
};
use tokio::process::Child;
use uuid::Uuid;

use files::{Pair, ROWS, half_filled, source};

const APPROVER: &str = "00000000-0000-4000-8000-000000000001";
/// Slow enough to meet it half-way.
const SLOWLY: [&str; 4] = ["--batch-size", "1000", "--pause-per-batch", "60ms"];

/// A server, a source and a target.
struct Scene {
    folder: TempDir,
    server: ServerProcess,
    source: PathBuf,
    target: PathBuf,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = ServerProcess::fresh().await;
        let source = source(folder.path());
        let target = folder.path().join("target.db");
        Self {
            folder,
            server,
            source,
            target,
        }
    }

    async fn agent(&self, target: &Path, arguments: &[&str]) -> Agent {
        let mut child = command(binary("tidegate-copy"))
            .env("TIDEGATE_ADDRESS", &self.server.address)
            .arg("--from")
            .arg(&self.source)
            .arg("--to")
            .arg(target)
            .args(["--table", "characters"])
            .args(arguments)
            .spawn()
            .expect("the agent starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let uuid = |line: &str| line.strip_prefix("transfer ")?.parse().ok();
        let (uuid, said) = heard("the agent's first line", stdout, uuid).await;
        Agent { uuid, child, said }
    }

    fn watch(&self, uuid: Uuid) -> Child {
        let mut watch = command(binary("tidegate"));
        watch.env("TIDEGATE_ADDRESS", &self.server.address).args([
            "transfer",
            "watch",
            &uuid.to_string(),
        ]);
        watch.spawn().expect("the watch starts")
    }

    async fn tidegate(&self, arguments: &[&str]) -> Finished {
        let mut tidegate = command(binary("tidegate"));
        run(tidegate
            .env("TIDEGATE_ADDRESS", &self.server.address)
            .args(arguments))
        .await
    }

    async fn transfer(&self, uuid: Uuid) -> Transfer {
        self.server
            .client()
            .await
            .transfers()
            .get(uuid)
            .await
            .expect("it is there")
    }

    /// Asserts that the transfer is completed with these totals, and returns the target beside its source.
    async fn completed(&self, uuid: Uuid, target: &Path, wanted: Totals) -> Pair {
        let pair = Pair::open(&self.source, target);
        let transfer = self.transfer(uuid).await;
        assert_eq!(transfer.status, TransferStatus::Completed);
        assert_eq!(transfer.records_requested, ROWS);
        assert_eq!(
            transfer.progress,
            Totals {
                bytes_transferred: pair.bytes(),
                ..wanted
            }
        );
        pair.assert_tidy();
        pair
    }
}

/// A running agent.
struct Agent {
    uuid: Uuid,
    child: Child,
    said: Said,
}

impl Agent {
    /// Waits for its end.
    async fn end(self) -> Finished {
        let ended = finish(self.child).await;
        Finished {
            stdout: self.said.whole().await,
            ..ended
        }
    }

    /// Waits for its end, which has to be a good one.
    async fn completes(self) -> Finished {
        let ended = self.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended
    }
}

/// Waits until the ledger knows of so many rows.
async fn reaches(client: &Client, uuid: Uuid, rows: i64) {
    soon("the progress", async {
        while client
            .transfers()
            .get(uuid)
            .await
            .expect("it is there")
            .progress
            .records_transferred
            < rows
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

fn totals(created: i64, updated: i64, skipped: i64) -> Totals {
    Totals {
        records_transferred: ROWS,
        records_created: created,
        records_updated: updated,
        records_skipped: skipped,
        ..Totals::default()
    }
}

#[tokio::test]
async fn every_strategy_fills_an_empty_target() {
    let scene = Scene::new().await;
    let mut agents = Vec::new();
    for strategy in ["skip", "overwrite", "merge", "append"] {
        let target = scene.folder.path().join(format!("{strategy}.db"));
        let agent = scene
            .agent(&target, &["--strategy", strategy, "--batch-size", "2000"])
            .await;
        agents.push((target, agent));
    }
    for (target, agent) in agents {
        let uuid = agent.uuid;
        let ended = agent.completes().await;
        assert!(
            ended
                .stdout
                .contains(&format!("completed: transferred={ROWS} created={ROWS} ")),
            "{ended:?}"
        );
        scene
            .completed(uuid, &target, totals(ROWS, 0, 0))
            .await
            .assert_equal();
    }
    let stats = scene
        .server
        .client()
        .await
        .stats()
        .tables()
        .await
        .expect("it sums up");
    assert!(!stats.more);
    let stats = &stats.items[0];
    assert_eq!((stats.count, stats.records), (4, 4 * ROWS));
}

#[tokio::test]
async fn every_strategy_treats_existing_rows_its_own_way() {
    let scene = Scene::new().await;
    let mut agents = Vec::new();
    for strategy in ["skip", "overwrite", "merge", "append"] {
        let target = scene.folder.path().join(format!("{strategy}.db"));
        let before = half_filled(&scene.source, &target);
        let agent = scene
            .agent(&target, &["--strategy", strategy, "--batch-size", "2000"])
            .await;
        agents.push((strategy, before, target, agent));
    }
    for (strategy, before, target, agent) in agents {
        let uuid = agent.uuid;
        agent.completes().await;
        let new = ROWS - before;
        let wanted = match strategy {
            "skip" => totals(new, 0, before),
            "append" => totals(ROWS, 0, 0),
            _ => totals(new, before, 0),
        };
        let pair = scene.completed(uuid, &target, wanted).await;
        match strategy {
            "skip" => pair.assert_skipped(),
            "overwrite" => pair.assert_equal(),
            "merge" => pair.assert_merged(),
            _ => pair.assert_appended(before),
        }
    }
}

#[tokio::test]
async fn an_approver_lets_it_start_and_a_watcher_sees_its_end() {
    let scene = Scene::new().await;
    let agent = scene
        .agent(
            &scene.target,
            &["--require-approval", "--batch-size", "2000"],
        )
        .await;
    let uuid = agent.uuid;
    let watch = scene.watch(uuid);
    is_listed(&scene, uuid).await;
    assert_eq!(
        scene.transfer(uuid).await.status,
        TransferStatus::PendingApproval
    );
    assert!(
        !scene.target.exists(),
        "nothing is touched before the approval"
    );
    let name = uuid.to_string();
    let approved = scene
        .tidegate(&["transfer", "approve", &name, "--admin", APPROVER])
        .await;
    assert_eq!(approved.code, Some(0), "{approved:?}");
    let ended = agent.completes().await;
    assert!(
        ended
            .stdout
            .contains("waiting for the approval\napproved\n"),
        "{ended:?}"
    );
    scene
        .completed(uuid, &scene.target, totals(ROWS, 0, 0))
        .await
        .assert_equal();
    let approver = scene.transfer(uuid).await.approved_by_uuid;
    assert_eq!(approver, APPROVER.parse().ok());

    let watched = finish(watch).await;
    assert_eq!(watched.code, Some(0), "{watched:?}");
    let last = watched.stdout.lines().last().expect("it says something");
    assert!(
        last.starts_with("completed ") && last.contains("34,924"),
        "{watched:?}"
    );
    assert!(
        !watched.stdout.contains(['\r', '\u{1b}']),
        "plain lines only: {watched:?}"
    );
}

/// Waits until approvers find the transfer in their list.
async fn is_listed(scene: &Scene, uuid: Uuid) {
    soon("the wait for the approval", async {
        loop {
            let listed = scene.tidegate(&["approval", "list", "-o", "json"]).await;
            let listed: Value = serde_json::from_str(&listed.stdout).expect("it is JSON");
            if listed[0]["uuid"] == uuid.to_string() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_denial_ends_it_before_it_begins() {
    let scene = Scene::new().await;
    let agent = scene.agent(&scene.target, &["--require-approval"]).await;
    let client = scene.server.client().await;
    soon("the wait for the approval", async {
        while client
            .transfers()
            .get(agent.uuid)
            .await
            .expect("it is there")
            .status
            != TransferStatus::PendingApproval
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let approver = APPROVER.parse().expect("a uuid");
    client
        .approvals()
        .deny(agent.uuid)
        .on_behalf_of(approver)
        .reason("not this table")
        .await
        .expect("it can be denied");
    let ended = agent.end().await;
    assert_eq!(ended.code, Some(11), "{ended:?}");
    assert!(ended.stderr.contains("not this table"), "{ended:?}");
    assert!(!scene.target.exists());
}

#[tokio::test]
async fn a_killed_agent_resumes_where_it_was() {
    let scene = Scene::new().await;
    let client = scene.server.client().await;
    let agent = scene.agent(&scene.target, &SLOWLY).await;
    let uuid = agent.uuid;
    reaches(&client, uuid, 5_000).await;
    signal(&agent.child, "KILL").await;
    assert_eq!(agent.end().await.code, None);
    let half = scene.transfer(uuid).await;
    assert_eq!(half.status, TransferStatus::InProgress);
    assert!(
        half.progress.records_transferred < ROWS && !half.checkpoint.is_empty(),
        "{half:?}"
    );

    let agent = scene
        .agent(&scene.target, &["--transfer", &uuid.to_string()])
        .await;
    assert_eq!(agent.uuid, uuid);
    let ended = agent.completes().await;
    let resumed = ended
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("resuming after ")?.strip_suffix(" rows"));
    let resumed: i64 = resumed
        .and_then(|rows| rows.parse().ok())
        .unwrap_or_else(|| panic!("{ended:?}"));
    assert!(
        resumed >= half.progress.records_transferred && resumed < ROWS,
        "{resumed}"
    );
    scene
        .completed(uuid, &scene.target, totals(ROWS, 0, 0))
        .await
        .assert_equal();
}

#[tokio::test]
async fn agent_and_watcher_outlive_a_crash_of_the_server() {
    let mut scene = Scene::new().await;
    let agent = scene.agent(&scene.target, &SLOWLY).await;
    let uuid = agent.uuid;
    let watch = scene.watch(uuid);
    reaches(&scene.server.client().await, uuid, 5_000).await;
    let before = scene.transfer(uuid).await;
    let (port, database) = (scene.server.port(), scene.server.database().clone());
    scene.server.kill().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    scene.server = ServerProcess::start(&database, port, &[]).await;
    let after = scene.transfer(uuid).await;
    assert!(after.revision >= before.revision, "{before:?} {after:?}");
    agent.completes().await;
    scene
        .completed(uuid, &scene.target, totals(ROWS, 0, 0))
        .await
        .assert_equal();
    let watched = finish(watch).await;
    assert_eq!(watched.code, Some(0), "{watched:?}");
}

#[tokio::test]
async fn a_paused_copy_goes_on_where_it_was() {
    let scene = Scene::new().await;
    let client = scene.server.client().await;
    let agent = scene.agent(&scene.target, &SLOWLY).await;
    let uuid = agent.uuid;
    reaches(&client, uuid, 5_000).await;
    let asked = client.transfers().pause(uuid).reason("maintenance").await;
    assert!(asked.expect("it can be paused").is_asked_to_stop());
    let ended = agent.end().await;
    assert!(ended.stderr.contains("paused"), "{ended:?}");
    let paused = scene.transfer(uuid).await;
    assert!(
        paused.is_paused() && !paused.checkpoint.is_empty(),
        "{paused:?}"
    );
    assert!(
        paused.stop.is_some_and(|stop| !stop.forced),
        "it has confirmed"
    );
    let copied = Pair::open(&scene.source, &scene.target).rows();
    assert_eq!(copied, paused.progress.records_transferred, "to the row");

    client
        .transfers()
        .resume(uuid)
        .await
        .expect("it is resumed");
    let arguments = ["--transfer", &uuid.to_string()];
    scene
        .agent(&scene.target, &arguments)
        .await
        .completes()
        .await;
    scene
        .completed(uuid, &scene.target, totals(ROWS, 0, 0))
        .await
        .assert_equal();
}

#[tokio::test]
async fn a_cancelled_copy_stops() {
    let scene = Scene::new().await;
    let client = scene.server.client().await;
    let agent = scene.agent(&scene.target, &SLOWLY).await;
    let uuid = agent.uuid;
    reaches(&client, uuid, 3_000).await;
    let watch = scene.watch(uuid);
    client
        .transfers()
        .cancel(uuid)
        .reason("the wrong table")
        .await
        .expect("it can be cancelled");
    let ended = agent.end().await;
    assert_eq!(ended.code, Some(13), "{ended:?}");
    assert!(ended.stderr.contains("the wrong table"), "{ended:?}");
    let transfer = scene.transfer(uuid).await;
    assert_eq!(transfer.status, TransferStatus::Cancelled);
    let copied = Pair::open(&scene.source, &scene.target).rows();
    assert!(
        copied >= transfer.progress.records_transferred && copied < ROWS,
        "{copied}"
    );
    assert_eq!(finish(watch).await.code, Some(13));
}

#[tokio::test]
async fn an_agent_that_claims_runs_what_others_declare_until_it_is_interrupted() {
    let scene = Scene::new().await;
    let client = scene.server.client().await;
    let declare = async || {
        let declared = client.transfers().create(Direction::Receive, "characters");
        let declared = declared.records_requested(ROWS).await;
        declared.expect("declared").uuid
    };
    let first = declare().await;
    let claiming = [&["--claim", "copy-1"], &SLOWLY[..]].concat();
    let agent = scene.agent(&scene.target, &claiming).await;
    assert_eq!(agent.uuid, first);
    let known = client.agents().list().await.expect("a list").items;
    let known = known.iter().map(|it| it.agent_instance.as_str());
    assert_eq!(known.collect::<Vec<_>>(), ["copy-1"]);
    let second = declare().await;
    reaches(&client, second, 1).await;
    signal(&agent.child, "INT").await;
    let ended = agent.completes().await;
    says_both(&ended.stdout, first, second);
    let pair = scene
        .completed(second, &scene.target, totals(0, 0, ROWS))
        .await;
    pair.assert_equal();
    assert_eq!(
        scene.transfer(first).await.status,
        TransferStatus::Completed
    );
}

fn says_both(stdout: &str, first: Uuid, second: Uuid) {
    for uuid in [first, second] {
        assert!(stdout.contains(&format!("transfer {uuid}\n")), "{stdout}");
    }
    assert_eq!(stdout.matches("completed: ").count(), 2, "{stdout}");
}
