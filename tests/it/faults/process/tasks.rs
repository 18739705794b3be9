//! A task that dies is found at once, said in one line, and ends the process with a code of its own; a call that panics
//! gets INTERNAL.

use tidegate_tests::{
    Database, assert_refused,
    certificates::{Authority, Folder},
    raw::done,
    request::starting,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

use super::*;

/// The exit code after a task that died.
const DIED: i32 = 70;

/// A server that is told where to panic.
async fn doomed(database: &Database, places: &str, arguments: &[&str]) -> ServerProcess {
    let program = "tidegate-server-failpoints";
    ServerProcess::start_as(program, database, 0, arguments, &[("FAILPOINTS", places)]).await
}

/// Asserts that the server ends because `task` has died.
async fn ends_for(task: &str, server: ServerProcess) {
    let (status, log) = server.last_words().await;
    assert_eq!(status.code(), Some(DIED), "{task}: {log}");
    let word = format!("task \\\"{task}\\\" ended: panicked");
    assert_eq!(log.matches(&word).count(), 1, "{log}");
}

/// A task that dies some time after the server has begun to serve.
async fn found_at_once(task: &str, arguments: &[&str]) {
    // How often a task runs before a watch of its health is open is not in our hands.
    for runs in [5, 20, 80] {
        if is_found_after(runs, task, arguments).await {
            return;
        }
    }
    panic!("{task} always died before its health was watched");
}

/// Whether the death of a task was seen, which may come too early for that.
async fn is_found_after(runs: u32, task: &str, arguments: &[&str]) -> bool {
    let database = Database::fresh().await;
    let places = format!("task-{task}={runs}*off->1*panic->off");
    let server = doomed(&database, &places, arguments).await;
    let address = server.address.clone();
    let endpoint = Endpoint::from_shared(address).expect("a valid address");
    let Ok(channel) = endpoint.connect().await else {
        ends_for(task, server).await;
        return false;
    };
    let mut health = HealthClient::new(channel);
    let service = "tidegate.v1.TransferService".to_owned();
    let Ok(words) = soon("health", health.watch(HealthCheckRequest { service })).await else {
        ends_for(task, server).await;
        return false;
    };
    let mut words = words.into_inner();
    // Whatever the task waits for, something happens; what is refused or lost at the end is of no matter.
    let busy = tokio::spawn(async move {
        while let Ok(channel) = endpoint.connect().await {
            let mut client = TransferServiceClient::new(channel);
            if client.create_transfer(plain()).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut word = next(&mut words).await;
    if word == Some(ServingStatus::Serving) {
        word = next(&mut words).await;
    }
    assert_eq!(word, Some(ServingStatus::NotServing), "{task}");
    ends_for(task, server).await;
    soon("the end of calls", busy).await.expect("no panic");
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_every_server_needs_are_missed_at_once() {
    for task in [
        "writer",
        "log-follower",
        "sweeper",
        "bulk-operations",
        "health",
        "listener",
    ] {
        found_at_once(task, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_some_servers_need_are_missed_at_once() {
    let quick = ["--event-retention", "24h", "--sweep-interval", "20ms"];
    found_at_once("retention", &quick).await;
    let database = Database::fresh().await;
    let guarded = doomed(
        &database,
        "task-authentication=panic",
        &["--auth", "required"],
    )
    .await;
    ends_for("authentication", guarded).await;
    let authority = Authority::new("authority");
    let files = Folder::of(&authority, &authority.server(&["localhost"]));
    let arguments = files.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let secured = doomed(&database, "task-tls=1*off->panic", &arguments).await;
    ends_for("tls", secured).await;
    let deaf = doomed(&database, "task-reload=panic", &[]).await;
    ends_for("reload", deaf).await;
}

mod postgres_only {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn tasks_that_replicas_need_are_missed_at_once() {
        for task in ["notification-sender", "notification-listener"] {
            found_at_once(task, &[]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_panics_after_its_commit_loses_nothing() {
    let database = Database::fresh().await;
    let server = doomed(&database, "after-commit=5*off->panic", &[]).await;
    let mut client = server.raw().await;
    for _ in 0..5 {
        client.create_transfer(plain()).await.expect("acknowledged");
    }
    let mut request = plain();
    request.request_id = "once".to_owned();
    let lost = soon("an answer", client.create_transfer(request.clone())).await;
    let lost = lost.expect_err("its writer is gone");
    assert_refused(&lost, Code::Unavailable, "SHUTTING_DOWN");
    ends_for("writer", server).await;

    let next = ServerProcess::start(&database, 0, &[]).await;
    let mut client = next.raw().await;
    assert_eq!(count(&mut client).await, 6, "it stands");
    client
        .create_transfer(request)
        .await
        .expect("it is repeated");
    assert_eq!(count(&mut client).await, 6, "once");
    let (status, _) = next.terminate().await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_panics_is_answered_and_takes_nobody_along() {
    let database = Database::fresh().await;
    let places = "call=3*off->1*panic->off;answer=12*off->1*panic->off";
    let server = doomed(&database, places, &[]).await;
    let client = server.raw().await;
    let mut failures = Vec::new();
    for _ in 0..20 {
        let answer = soon("an answer", client.clone().create_transfer(plain())).await;
        failures.extend(answer.err());
    }
    assert_eq!(failures.len(), 2, "{failures:?}");
    for failure in failures {
        assert_refused(&failure, Code::Internal, "INTERNAL");
    }
    assert_eq!(
        health(&server, "").await.expect("known"),
        ServingStatus::Serving
    );
    let (status, _) = server.terminate().await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_progress_stream_whose_task_panics_ends_with_internal() {
    for place in ["report-read=1*off->panic", "report-write=1*off->panic"] {
        let database = Database::fresh().await;
        let server = doomed(&database, place, &[]).await;
        let mut client = server.raw().await;
        let uuid = done(client.create_transfer(plain())).await.uuid;
        done(client.start_transfer(starting(&uuid))).await;
        let (reports, receiver) = mpsc::channel(1);
        let answers = client.report_progress(ReceiverStream::new(receiver)).await;
        let mut answers = answers.expect("the stream opens").into_inner();
        let report = || v1::ReportProgressRequest {
            uuid: uuid.clone(),
            ..v1::ReportProgressRequest::default()
        };
        reports.send(report()).await.expect("it is open");
        let first = soon("the first answer", answers.message()).await;
        assert!(matches!(first, Ok(Some(_))), "{place}: {first:?}");
        reports.send(report()).await.expect("it is open");
        let end = soon("the end of the stream", answers.message()).await;
        assert_refused(&end.expect_err(place), Code::Internal, "INTERNAL");
        create_all(&client, 3).await;
        drop(reports);
        let (status, _) = server.terminate().await;
        assert_eq!(status.code(), Some(0));
    }
}
