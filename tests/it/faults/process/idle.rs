//! What a server costs while nothing happens.

use std::{fs, time::Instant};

use futures::FutureExt as _;
use tidegate_proto::v1::{Role, credential_service_client::CredentialServiceClient};
use tidegate_server::clock::Clock;
use tidegate_tests::{Database, actors::bearing, world::first_token};

use super::*;

/// How long one is watched.
const WHILE: Duration = Duration::from_secs(4);
/// Longer than the time between two looks at all who watch, so that one of them is counted.
const LONGER: Duration = Duration::from_secs(16);
/// The share of a core that an idle server may take. A server for tests is not optimised.
const SHARE: f64 = 0.05;
/// Statements that an idle server may send in a second, its tasks all together.
const STATEMENTS: f64 = 24.0;
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

/// The share of a core that it takes from now on, for so long.
async fn share(server: &ServerProcess, time: Duration) -> f64 {
    let (before, began) = (ticks(server.pid()), Instant::now());
    tokio::time::sleep(time).await;
    let taken = Duration::from_millis((ticks(server.pid()) - before) * 10);
    taken.as_secs_f64() / began.elapsed().as_secs_f64()
}

#[tokio::test]
async fn an_idle_server_rests() {
    let server = ServerProcess::fresh().await;
    create_all(&server.raw().await, 20).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let share = share(&server, WHILE).await;
    eprintln!("idle: {:.2} % of a core", share * 100.0);
    assert!(share < SHARE, "{share}");
    server.kill().await;
}

/// Statements in a second, by the log that tells of each, and the share of a core, from now on for so long.
async fn cost(server: &ServerProcess, time: Duration) -> (f64, f64) {
    let told = || server.log().matches("sqlx::query").count();
    let (before, began) = (told(), Instant::now());
    let share = share(server, time).await;
    let sent = told() - before;
    assert!(sent > 0, "a log that tells nothing");
    (sent as f64 / began.elapsed().as_secs_f64(), share)
}

/// Asks until it is not refused as something that the server has no time for now: a thousand are many on a busy machine.
async fn patiently<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, Status>>,
{
    let answered = async {
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(no) if [Code::Unavailable, Code::ResourceExhausted].contains(&no.code()) => {
                    eprintln!("{what}: {no}");
                }
                Err(no) => panic!("{what}: {no}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    soon(what, answered).await
}

/// A viewer's token.
async fn viewer(channel: &Channel, admin: &str) -> String {
    let create = || async {
        let request = v1::CreateCredentialRequest {
            name: "watcher".to_owned(),
            role: Role::Viewer.into(),
            ..v1::CreateCredentialRequest::default()
        };
        let mut credentials = CredentialServiceClient::new(channel.clone());
        credentials.create_credential(bearing(admin, request)).await
    };
    patiently("a token", create).await.into_inner().token
}

async fn watches(channel: &Channel, token: &str) -> Streaming<v1::WatchTransfersResponse> {
    let open = || async {
        let mut client = TransferServiceClient::new(channel.clone());
        let watch = bearing(token, v1::WatchTransfersRequest::default());
        let mut stream = client.watch_transfers(watch).await?.into_inner();
        // To the end of what there is.
        stream.message().await?;
        Ok(stream)
    };
    patiently("a watch", open).await
}

/// Statements in a second for so long, after what happened before is over.
async fn rest(server: &ServerProcess, who: &str, time: Duration) -> f64 {
    let over = async { while cost(server, WHILE / 2).await.0 >= STATEMENTS {} };
    soon("an end of what was left to do", over).await;
    let (statements, share) = cost(server, time).await;
    let share = share * 100.0;
    eprintln!("{who}: {statements:.1} statements/s, {share:.2} % of a core");
    statements
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_idle_watchers_with_tokens_cost_no_more_statements_than_none() {
    let database = Database::fresh().await;
    let admin = first_token(&database, &Clock::machine()).await;
    let arguments = ["--auth", "required", "--log", "info,sqlx::query=debug"];
    let server = ServerProcess::start(&database, 0, &arguments).await;
    let alone = rest(&server, "nobody", WHILE).await;
    assert!(alone < STATEMENTS, "{alone} statements/s");

    let mut open = Vec::new();
    for _ in 0..WATCHERS / EACH {
        let channel = server.channel().await;
        let tokens = (0..EACH).map(|_| viewer(&channel, &admin));
        let tokens: Vec<_> = stream::iter(tokens).buffered(4).collect().await;
        // The server looks up few unknown tokens at a time.
        let streams = tokens.iter().map(|token| watches(&channel, token));
        let streams: Vec<_> = stream::iter(streams).buffer_unordered(8).collect().await;
        open.extend(streams);
    }
    assert_eq!(open.len(), WATCHERS);
    let watched = rest(&server, "a thousand", LONGER).await;
    assert!(watched < STATEMENTS, "{watched} statements/s");
    for stream in &mut open {
        let word = stream.message().now_or_never();
        assert!(word.is_none(), "a watch has ended: {word:?}");
    }
    server.kill().await;
}
