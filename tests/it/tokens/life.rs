//! A token is good from its making to its end, and no longer.

use std::{fs, time::Duration};

use futures::StreamExt as _;
use tidegate_client::{Client, Direction};
use tidegate_proto::v1;
use tidegate_server::config::Auth;
use tidegate_tests::{
    World, WorldOptions,
    actors::{Member, bearing, connection, issue, revoke},
    assert_refused,
    raw::{Raw, told, wire_duration},
    soon,
};
use tonic::{Code, transport::Channel};

use super::caller;

const HOUR: Duration = Duration::from_secs(3_600);

async fn world() -> (World, Channel) {
    let world = World::start_with(WorldOptions {
        auth: Auth::Required,
        ..WorldOptions::still()
    })
    .await;
    let channel = world.channel().await;
    (world, channel)
}

async fn rotate(world: &World, channel: &Channel, uuid: &str, overlap: Duration) -> String {
    let request = v1::RotateCredentialRequest {
        uuid: uuid.to_owned(),
        overlap: Some(wire_duration(overlap)),
        expires_in: Some(wire_duration(10 * HOUR)),
        ..v1::RotateCredentialRequest::default()
    };
    let mut raw = Raw::on(channel.clone());
    let rotate = raw
        .credentials
        .rotate_credential(bearing(world.admin(), request));
    told(rotate).await.token
}

async fn assert_good(channel: &Channel, token: &str, whose: &str) {
    let caller = caller(channel, token).await;
    assert_eq!(caller.expect("the token is good").uuid, whose);
}

async fn assert_bad(channel: &Channel, token: &str) {
    let refusal = caller(channel, token).await;
    let refusal = refusal.expect_err("the token is not good");
    assert_refused(&refusal, Code::Unauthenticated, "UNAUTHENTICATED");
}

/// The server looks at a token again after a second of the machine's time; a clock that is moved by hand jumps over it.
async fn assert_bad_soon(channel: &Channel, token: &str) {
    let ended = async {
        while caller(channel, token).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon("the end of the token", ended).await;
    assert_bad(channel, token).await;
}

#[tokio::test]
async fn a_token_overlaps_the_next_one_for_as_long_as_was_said() {
    let (world, channel) = world().await;
    let Member { uuid, token } = issue(&channel, world.admin(), v1::Role::Viewer, "").await;
    assert_good(&channel, &token, &uuid).await;
    let second = rotate(&world, &channel, &uuid, HOUR).await;
    assert_good(&channel, &token, &uuid).await;
    assert_good(&channel, &second, &uuid).await;
    world.clock.advance(HOUR);
    assert_bad_soon(&channel, &token).await;
    assert_good(&channel, &second, &uuid).await;
    world.clock.advance(9 * HOUR);
    assert_bad_soon(&channel, &second).await;
}

#[tokio::test]
async fn two_tokens_are_good_at_most() {
    let (world, channel) = world().await;
    let Member { uuid, token } = issue(&channel, world.admin(), v1::Role::Viewer, "").await;
    let second = rotate(&world, &channel, &uuid, HOUR).await;
    let third = rotate(&world, &channel, &uuid, HOUR).await;
    assert_bad(&channel, &token).await;
    assert_good(&channel, &second, &uuid).await;
    assert_good(&channel, &third, &uuid).await;
    let fourth = rotate(&world, &channel, &uuid, Duration::ZERO).await;
    assert_bad(&channel, &second).await;
    assert_bad(&channel, &third).await;
    assert_good(&channel, &fourth, &uuid).await;
}

#[tokio::test]
async fn a_revoked_credential_has_no_token_left() {
    let (world, channel) = world().await;
    let Member { uuid, token } = issue(&channel, world.admin(), v1::Role::Viewer, "").await;
    let second = rotate(&world, &channel, &uuid, HOUR).await;
    assert_good(&channel, &token, &uuid).await;
    assert_good(&channel, &second, &uuid).await;
    revoke(&channel, world.admin(), &uuid)
        .await
        .expect("revoked");
    assert_bad(&channel, &token).await;
    assert_bad(&channel, &second).await;
}

#[tokio::test]
async fn a_session_is_redeemed_without_a_token_for_one_that_is_good_for_its_connection() {
    let (world, channel) = world().await;
    let own = connection(&channel, world.admin(), "north").await;
    let mut raw = Raw::on(channel.clone());
    let request = v1::CreateSessionRequest {
        connection_uuid: own.clone(),
        token_expires_in: Some(wire_duration(HOUR)),
        ..v1::CreateSessionRequest::default()
    };
    let open = raw
        .credentials
        .create_session(bearing(world.admin(), request));
    let session_code = told(open).await.session_code;
    let redeem = v1::RedeemSessionRequest { session_code };
    let redeemed = told(raw.credentials.redeem_session(redeem)).await;
    let agent = redeemed.credential.expect("the agent");
    assert_eq!(agent.connection_uuid, own);
    assert_good(&channel, &redeemed.token, &agent.uuid).await;
    world.clock.advance(HOUR);
    assert_bad_soon(&channel, &redeemed.token).await;
}

#[tokio::test]
async fn a_client_with_a_file_goes_on_with_the_token_that_is_put_into_it() {
    let (world, channel) = world().await;
    let Member { uuid, token } = issue(&channel, world.admin(), v1::Role::Viewer, "").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    fs::write(&file, &token).expect("it can be written");
    let client = Client::builder(&world.address).token_file(&file);
    let client = client.connect().await.expect("the server is there");
    let first = client
        .credentials()
        .caller()
        .await
        .expect("the token is good");
    assert_eq!(
        first.map(|caller| caller.uuid.to_string()),
        Some(uuid.clone())
    );

    let next = rotate(&world, &channel, &uuid, Duration::ZERO).await;
    assert_bad_soon(&channel, &token).await;
    let refusal = client
        .credentials()
        .caller()
        .await
        .expect_err("the old one has ended");
    assert!(refusal.is_unauthenticated(), "{refusal:?}");
    fs::write(&file, &next).expect("it can be written");
    let second = client
        .credentials()
        .caller()
        .await
        .expect("the new one is good");
    assert_eq!(
        second.map(|caller| caller.uuid.to_string()),
        Some(uuid.clone())
    );
}

#[tokio::test]
async fn a_watch_outlives_the_token_that_it_was_opened_with() {
    let (world, channel) = world().await;
    let Member { uuid, token } = issue(&channel, world.admin(), v1::Role::Viewer, "").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    fs::write(&file, &token).expect("it can be written");
    let client = Client::builder(&world.address).token_file(&file);
    let client = client.connect().await.expect("the server is there");
    let mut watch = client.transfers().watch_all().into_stream();
    let first = soon("the first word", watch.next()).await;
    first.expect("it goes on").expect("it is let in");

    let next = rotate(&world, &channel, &uuid, HOUR).await;
    fs::write(&file, &next).expect("it can be written");
    world.clock.advance(HOUR);
    assert_bad_soon(&channel, &token).await;
    // Open streams end within two seconds.
    let still = tokio::time::timeout(Duration::from_secs(3), watch.next()).await;
    still.expect_err("nothing has happened, and nothing ends");
    let admin = Client::builder(&world.address).token(world.admin());
    let admin = admin.connect().await.expect("the server is there");
    let create = admin.transfers().create(Direction::Send, "orders");
    create.await.expect("it is declared");
    let told = soon("the transfer", watch.next()).await;
    told.expect("it goes on").expect("it is let in again");
}
