//! What a server costs while nothing happens.

use std::{fs, time::Instant};

use tidegate_proto::v1::Role;
use tidegate_server::clock::Clock;
use tidegate_tests::{
    Database,
    actors::{Member, issue},
    world::first_token,
};

use super::*;

/// How long one is watched.
const WHILE: Duration = Duration::from_secs(4);
/// The share of a core that an idle server may take. A server for tests is not optimised.
const SHARE: f64 = 0.05;
/// Statements that an idle server may send in a second, its tasks all together.
const STATEMENTS: f64 = 40.0;
/// Those who watch, and how many of them share a connection.
const WATCHERS: usize = 1_000;
const EACH: usize = 100;

/// The processor time that a process has taken, in hundredths of a second.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // The name, which may hold anything, ends with the last bracket; user and system time are the 14th and 15th field.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let fields = fields.split_whitespace().skip(11).take(2);
    fields
        .map(|field| field.parse::<u64>().expect("a number"))
        .sum()
}

/// The share of a core that it takes from now on, for a while.
async fn share(server: &ServerProcess) -> f64 {
    let (before, began) = (ticks(server.pid()), Instant::now());
    tokio::time::sleep(WHILE).await;
    let taken = Duration::from_millis((ticks(server.pid()) - before) * 10);
    taken.as_secs_f64() / began.elapsed().as_secs_f64()
}

#[tokio::test]
async fn an_idle_server_rests() {
    let server = ServerProcess::fresh().await;
    create_all(&server.raw().await, 20).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let share = share(&server).await;
    eprintln!("idle: {:.2} % of a core", share * 100.0);
    assert!(share < SHARE, "{share}");
    server.kill().await;
}

/// Statements in a second, by the log that tells of each, and the share of a core, from now on for a while.
async fn cost(server: &ServerProcess) -> (f64, f64) {
    let told = || server.log().matches("sqlx::query").count();
    let (before, began) = (told(), Instant::now());
    let share = share(server).await;
    let sent = told() - before;
    assert!(sent > 0, "a log that tells nothing");
    (sent as f64 / began.elapsed().as_secs_f64(), share)
}

async fn watches(channel: &Channel, member: &Member) -> Streaming<v1::WatchTransfersResponse> {
    let mut client = TransferServiceClient::new(channel.clone());
    let watch = member.asks(v1::WatchTransfersRequest::default());
    let opened = soon("a watch", client.watch_transfers(watch)).await;
    let mut stream = opened.expect("it opens").into_inner();
    // To the end of what there is.
    soon("a word", stream.message()).await.expect("no refusal");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_idle_watchers_with_tokens_cost_no_more_statements_than_none() {
    let database = Database::fresh().await;
    let admin = first_token(&database, &Clock::machine()).await;
    let arguments = ["--auth", "required", "--log", "info,sqlx::query=debug"];
    let server = ServerProcess::start(&database, 0, &arguments).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (alone, share) = cost(&server).await;
    eprintln!(
        "nobody: {alone:.1} statements/s, {:.2} % of a core",
        share * 100.0
    );
    assert!(alone < STATEMENTS, "{alone} statements/s");

    let mut open = Vec::new();
    for _ in 0..WATCHERS / EACH {
        let channel = server.channel().await;
        let members = (0..EACH).map(|_| issue(&channel, &admin, Role::Viewer, ""));
        let members: Vec<_> = stream::iter(members).buffered(4).collect().await;
        // The server looks up few unknown tokens at a time.
        let streams = members.iter().map(|member| watches(&channel, member));
        let streams: Vec<_> = stream::iter(streams).buffer_unordered(8).collect().await;
        open.extend(streams);
    }
    // New ones are looked at once.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (watched, share) = cost(&server).await;
    eprintln!(
        "{} watchers: {watched:.1} statements/s, {:.2} % of a core",
        open.len(),
        share * 100.0
    );
    assert!(watched < STATEMENTS, "{watched} statements/s");
    server.kill().await;
}
