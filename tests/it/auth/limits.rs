//! How often somebody may be wrong, and how often they may call.

use std::time::Duration;

use tidegate_proto::v1::{
    self, Role, credential_service_client::CredentialServiceClient,
    transfer_service_client::TransferServiceClient,
};
use tidegate_tests::{
    WorldOptions,
    actors::{bearing, channel_from, issue, with_wrong_secret},
    assert_refused,
    raw::told,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;

async fn count(channel: &Channel, token: &str) -> Result<(), Status> {
    let mut transfers = TransferServiceClient::new(channel.clone());
    let request = v1::CountTransfersRequest::default();
    transfers
        .count_transfers(bearing(token, request))
        .await
        .map(drop)
}

/// How long the server asks to wait.
fn limited(outcome: Result<(), Status>) -> Duration {
    let refusal = outcome.expect_err("it is too much");
    assert_refused(&refusal, Code::ResourceExhausted, "RATE_LIMITED");
    let info = refusal.get_details_retry_info().expect("when to come back");
    info.retry_delay.expect("a time")
}

fn unauthenticated(outcome: Result<(), Status>) {
    let refusal = outcome.expect_err("it is no good token");
    assert_refused(&refusal, Code::Unauthenticated, "UNAUTHENTICATED");
}

#[tokio::test]
async fn an_address_may_be_wrong_so_often_and_takes_no_neighbour_along() {
    let (world, actors) = super::actors().await;
    let channel = channel_from(&world.address, 2).await;
    // They have called from there before.
    count(&channel, &actors.viewer.token)
        .await
        .expect("it is good");
    for _ in 0..40 {
        unauthenticated(count(&channel, "no token").await);
    }
    let wait = limited(count(&channel, "no token").await);
    assert!(wait <= Duration::from_secs(3), "{wait:?}");
    count(&channel, &actors.viewer.token)
        .await
        .expect("it is still good");
    // Nobody knows them yet, and it is not found out.
    limited(count(&channel, &actors.approver.token).await);
    let elsewhere = channel_from(&world.address, 3).await;
    count(&elsewhere, &actors.approver.token)
        .await
        .expect("it is good");
    unauthenticated(count(&elsewhere, "no token").await);
}

#[tokio::test]
async fn a_token_id_may_be_tried_five_times_from_one_address() {
    let (world, actors) = super::actors().await;
    let wrong = with_wrong_secret(&actors.viewer.token);
    let channel = channel_from(&world.address, 2).await;
    for _ in 0..5 {
        unauthenticated(count(&channel, &wrong).await);
    }
    let wait = limited(count(&channel, &wrong).await);
    assert!(wait > Duration::from_secs(60), "{wait:?}");
    let owner = channel_from(&world.address, 3).await;
    count(&owner, &actors.viewer.token)
        .await
        .expect("its owner is not locked out");
    count(&channel, &actors.viewer.token)
        .await
        .expect("nor where they are known since");
    unauthenticated(count(&channel, &with_wrong_secret(&actors.approver.token)).await);
}

#[tokio::test]
async fn session_codes_are_guessed_ten_times_a_minute() {
    let (world, _) = super::actors().await;
    let guess = async |channel: &Channel| {
        let mut credentials = CredentialServiceClient::new(channel.clone());
        let request = v1::RedeemSessionRequest {
            session_code: "2345WXYZ".to_owned(),
        };
        credentials.redeem_session(request).await.map(drop)
    };
    let channel = channel_from(&world.address, 2).await;
    for _ in 0..10 {
        let refusal = guess(&channel).await.expect_err("it is none");
        assert_refused(&refusal, Code::Unauthenticated, "SESSION_CODE_INVALID");
    }
    limited(guess(&channel).await);
    let elsewhere = channel_from(&world.address, 3).await;
    let refusal = guess(&elsewhere).await.expect_err("it is none");
    assert_refused(&refusal, Code::Unauthenticated, "SESSION_CODE_INVALID");
}

#[tokio::test]
async fn a_credential_has_so_many_calls_a_minute() {
    let (world, actors) = super::actors_with(WorldOptions {
        requests_per_minute: 20,
        ..WorldOptions::guarded()
    })
    .await;
    let channel = world.channel().await;
    for _ in 0..20 {
        count(&channel, &actors.viewer.token)
            .await
            .expect("it is not too much");
    }
    let wait = limited(count(&channel, &actors.viewer.token).await);
    assert!(wait <= Duration::from_secs(3), "{wait:?}");
    count(&channel, &actors.approver.token)
        .await
        .expect("another's");
}

#[tokio::test]
async fn the_agents_of_a_connection_share_what_its_policy_allows() {
    let (world, actors) = super::actors().await;
    let channel = world.channel().await;
    let request = v1::CreateConnectionRequest {
        name: "slow".to_owned(),
        direction: v1::ConnectionDirection::Sender.into(),
        site_url: "https://mirror.example".to_owned(),
        allow_duplicate: true,
        policy: Some(v1::ConnectionPolicy {
            rate_limit_requests_per_minute: Some(10),
            ..v1::ConnectionPolicy::default()
        }),
        ..v1::CreateConnectionRequest::default()
    };
    let mut connections =
        v1::connection_service_client::ConnectionServiceClient::new(channel.clone());
    let slow = told(connections.create_connection(bearing(&actors.admin, request))).await;
    let slow = slow.connection.expect("it is told").uuid;
    let one = issue(&channel, &actors.admin, Role::Agent, &slow).await;
    let two = issue(&channel, &actors.admin, Role::Agent, &slow).await;
    for _ in 0..5 {
        count(&channel, &one.token)
            .await
            .expect("it is not too much");
        count(&channel, &two.token)
            .await
            .expect("it is not too much");
    }
    limited(count(&channel, &one.token).await);
    limited(count(&channel, &two.token).await);
    count(&channel, &actors.agent.token)
        .await
        .expect("another connection's");
}

#[tokio::test]
async fn a_credential_has_so_many_streams_of_each_kind() {
    let (world, actors) = super::actors().await;
    let channel = world.channel().await;
    let mut transfers = TransferServiceClient::new(channel.clone());
    let mut watches = Vec::new();
    for number in 0..65 {
        let request = actors.viewer.asks(v1::WatchTransfersRequest::default());
        match transfers.watch_transfers(request).await {
            Ok(watch) => watches.push(watch.into_inner()),
            Err(refusal) => {
                assert_eq!(number, 64);
                assert_refused(&refusal, Code::ResourceExhausted, "TOO_MANY_STREAMS");
            }
        }
    }
    assert_eq!(watches.len(), 64);
    let other = actors.approver.asks(v1::WatchTransfersRequest::default());
    told(transfers.watch_transfers(other)).await;
    let mut reports = Vec::new();
    for number in 0..17 {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let request = actors.agent.asks(ReceiverStream::new(receiver));
        match transfers.report_progress(request).await {
            Ok(answers) => reports.push((sender, answers.into_inner())),
            Err(refusal) => {
                assert_eq!(number, 16);
                assert_refused(&refusal, Code::ResourceExhausted, "TOO_MANY_STREAMS");
            }
        }
    }
    assert_eq!(reports.len(), 16);
}
