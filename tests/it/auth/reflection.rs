//! Who may ask for the contract is the operator's to say.

use futures::StreamExt as _;
use tidegate_tests::{
    World, WorldOptions, actors::bearing, assert_refused, http2::Http2, needs::Need, process,
    skip_without, tools::tool,
};
use tonic::{Code, Request, Status};
use tonic_reflection::pb::{
    v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    },
    v1alpha,
};

const ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

fn guarded(arguments: &'static [&'static str]) -> WorldOptions {
    WorldOptions {
        arguments,
        ..WorldOptions::guarded()
    }
}

/// The names of the services, asked for with or without a token.
async fn services(world: &World, token: Option<&str>) -> Result<Vec<String>, Status> {
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = futures::stream::once(async move { question });
    let request = match token {
        Some(token) => bearing(token, asked),
        None => Request::new(asked),
    };
    let mut client = ServerReflectionClient::new(world.channel().await);
    let mut answers = client.server_reflection_info(request).await?.into_inner();
    let answer = answers.next().await.expect("an answer")?;
    let Some(MessageResponse::ListServicesResponse(listed)) = answer.message_response else {
        panic!("no services: {answer:?}");
    };
    Ok(listed.service.into_iter().map(|it| it.name).collect())
}

/// The same by the older version, for which it is enough to know whether it answers.
async fn alpha(world: &World) -> Status {
    let question = v1alpha::ServerReflectionRequest {
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
        ..v1alpha::ServerReflectionRequest::default()
    };
    let mut http2 = Http2::to(&world.address).await;
    http2.call(ALPHA, &question).await.status()
}

#[tokio::test]
async fn by_default_it_takes_a_token() {
    let world = World::start_with(guarded(&[])).await;
    let refused = services(&world, None).await.expect_err("nobody");
    assert_refused(&refused, Code::Unauthenticated, "UNAUTHENTICATED");
    assert_eq!(alpha(&world).await.code(), Code::Unauthenticated);
    let found = services(&world, Some(world.admin())).await.expect("known");
    assert!(found.contains(&"tidegate.v1.TransferService".to_owned()));
}

#[tokio::test]
async fn open_to_everybody_it_opens_nothing_else() {
    let world = World::start_with(guarded(&["--reflection", "open"])).await;
    let found = services(&world, None).await.expect("open");
    assert!(found.contains(&"tidegate.v1.TransferService".to_owned()));
    assert_eq!(alpha(&world).await.code(), Code::Ok);
    // Who shows a bad token is asked for none, either.
    services(&world, Some("bad")).await.expect("open");
    let mut transfers = world.raw().await;
    let refused = transfers.list_transfers(tidegate_proto::v1::ListTransfersRequest::default());
    let refused = refused.await.expect_err("nobody");
    assert_refused(&refused, Code::Unauthenticated, "UNAUTHENTICATED");
}

#[tokio::test]
async fn off_it_is_no_method_to_anybody() {
    let world = World::start_with(guarded(&["--reflection", "off"])).await;
    let refused = services(&world, None).await.expect_err("nobody");
    assert_refused(&refused, Code::Unauthenticated, "UNAUTHENTICATED");
    let refused = services(&world, Some(world.admin())).await;
    assert_refused(
        &refused.expect_err("none"),
        Code::Unimplemented,
        "UNKNOWN_METHOD",
    );
    let world = World::start_with(WorldOptions {
        arguments: &["--reflection", "off"],
        ..WorldOptions::default()
    })
    .await;
    let refused = services(&world, None).await.expect_err("none");
    assert_refused(&refused, Code::Unimplemented, "UNKNOWN_METHOD");
    assert_eq!(alpha(&world).await.code(), Code::Unimplemented);
    let health = tonic_health::pb::health_client::HealthClient::new(world.channel().await)
        .check(tonic_health::pb::HealthCheckRequest::default())
        .await;
    health.expect("health is told as ever");
}

/// Tools describe a service before they call it: without a token they could ask for the health, but not find out how.
#[tokio::test]
async fn where_it_is_open_grpcurl_asks_for_the_health_without_a_token() {
    skip_without!(Need::Tool("grpcurl"));
    for (arguments, is_open) in [(&["--reflection", "open"][..], true), (&[], false)] {
        let world = World::start_with(guarded(arguments)).await;
        let authority = world.address.trim_start_matches("http://");
        let mut grpcurl = process::command(tool("grpcurl"));
        grpcurl.args(["-plaintext", "-max-time", "15", authority]);
        let asked = process::run(grpcurl.arg("grpc.health.v1.Health/Check")).await;
        assert_eq!(asked.code == Some(0), is_open, "{asked:?}");
        assert_eq!(asked.stdout.contains("SERVING"), is_open, "{asked:?}");
    }
}
