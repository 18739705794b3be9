//! Programs that use the client, and a server for each test.

use std::time::Duration;

use futures::TryStreamExt as _;
use tidegate_client::{Direction, RetryPolicy, Role, TransferStatus};
use tidegate_testing::TestServer;

#[tokio::test]
async fn servers_stand_side_by_side_and_know_nothing_of_each_other() {
    let (one, other) = tokio::join!(TestServer::start(), TestServer::start());
    assert_ne!(one.address(), other.address());
    let create = one.client().transfers().create(Direction::Send, "orders");
    let transfer = create.await.expect("it is declared");
    assert_eq!(transfer.status, TransferStatus::Pending);
    let counts = (one.client().transfers(), other.client().transfers());
    assert_eq!(counts.0.count().await.expect("a count"), 1);
    assert_eq!(counts.1.count().await.expect("a count"), 0);
    assert_eq!(one.admin_token(), None);
}

#[tokio::test]
async fn with_authentication_its_client_is_an_admin_and_others_are_refused() {
    let server = TestServer::start_with(["--auth", "required"]).await;
    let admin = server.client();
    let caller = admin.credentials().caller().await.expect("it is known");
    assert_eq!(caller.map(|caller| caller.role), Some(Role::Admin));

    let nobody = server
        .client_builder()
        .connect()
        .await
        .expect("it is there");
    let refusal = nobody.transfers().count().await.expect_err("no token");
    assert!(refusal.is_unauthenticated(), "{refusal:?}");

    let issue = admin.credentials().create("viewer", Role::Viewer);
    let token = issue.await.expect("it is created").token.expect("a token");
    let viewer = server
        .client_builder()
        .token(token.reveal())
        .connect()
        .await;
    let viewer = viewer.expect("it is there");
    assert_eq!(viewer.transfers().count().await.expect("it may ask"), 0);
    let create = viewer.transfers().create(Direction::Send, "orders");
    let refusal = create.await.expect_err("it may look only");
    assert!(refusal.is_permission_denied(), "{refusal:?}");
}

#[tokio::test]
async fn what_is_dropped_is_gone_with_its_connections() {
    let server = TestServer::start().await;
    let (address, client) = (server.address().to_owned(), server.client());
    let mut watch = client.transfers().watch_all().into_stream();
    let first = tokio::time::timeout(Duration::from_secs(10), watch.try_next()).await;
    first.expect("in time").expect("it is caught up");
    drop(server);
    let once = server_builder(&address).connect().await;
    assert!(once.expect_err("nobody listens").is_unavailable());
    let waiting = tokio::time::timeout(Duration::from_millis(200), watch.try_next()).await;
    waiting.expect_err("the watch waits for a server");
    assert!(watch.interruption().is_some());
}

#[tokio::test]
async fn what_is_stopped_answers_nobody_any_more() {
    let server = TestServer::start().await;
    let address = server.address().to_owned();
    server.stop().await;
    let once = server_builder(&address).connect().await;
    assert!(once.expect_err("nobody listens").is_unavailable());
}

#[tokio::test]
#[should_panic(expected = "--no-such-flag")]
async fn a_wrong_flag_is_named() {
    TestServer::start_with(["--no-such-flag"]).await;
}

fn server_builder(address: &str) -> tidegate_client::ClientBuilder {
    tidegate_client::Client::builder(address).retry(RetryPolicy::none())
}
