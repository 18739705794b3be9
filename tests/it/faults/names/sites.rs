//! Connections: whose transfers they are, what they lead to, and what may not be said of them.

use tidegate_proto::v1::{
    self, ConnectionPolicy, connection_service_client::ConnectionServiceClient,
};
use tidegate_tests::{
    World, WorldOptions,
    actors::{Actors, bearing},
    assert_refused,
    raw::{NOBODY, done, plain, told},
    site::{Step, of, proposal, updating},
};
use tonic::Code;

use super::bad_fields;

fn to(site_url: &str) -> v1::CreateConnectionRequest {
    v1::CreateConnectionRequest {
        site_url: site_url.to_owned(),
        allow_duplicate: false,
        ..proposal()
    }
}

#[tokio::test]
async fn an_url_with_a_password_is_refused() {
    let world = World::start().await;
    let mut raw = world.services().await;
    let site = raw.site(ConnectionPolicy::default()).await;
    for bad in [
        "https://user:secret@mirror.example",
        "https://user@mirror.example",
        "https://:secret@mirror.example/path",
        "https:user:secret@mirror.example",
    ] {
        let fields = bad_fields(raw.connections.create_connection(to(bad))).await;
        assert_eq!(fields, ["site_url"], "{bad}");
        let update = updating(
            v1::Connection {
                uuid: site.clone(),
                site_url: bad.to_owned(),
                ..v1::Connection::default()
            },
            &["site_url"],
        );
        let fields = bad_fields(raw.connections.update_connection(update)).await;
        assert_eq!(fields, ["connection.site_url"], "{bad}");
        let request = v1::CreateTransferRequest {
            remote_site_url: bad.to_owned(),
            ..plain()
        };
        let refusal = raw.transfers.create_transfer(request).await;
        let refusal = refusal.expect_err("nobody may keep it");
        let said = assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS");
        assert_eq!(said.fields, ["remote_site_url"], "{bad}");
        assert!(!format!("{refusal:?}").contains("secret"), "{refusal:?}");
    }
}

#[tokio::test]
async fn an_agent_that_names_no_connection_works_on_its_own() {
    let world = World::start_with(WorldOptions::guarded()).await;
    let actors = Actors::of(&world).await;
    let mut transfers =
        v1::transfer_service_client::TransferServiceClient::new(world.channel().await);
    let made = done(transfers.create_transfer(actors.agent.asks(plain()))).await;
    assert_eq!(made.connection_uuid, actors.own);
    let other = actors.agent.asks(of(&actors.other));
    let refusal = transfers.create_transfer(other).await;
    let refusal = refusal.expect_err("that is not its own");
    let said = assert_refused(&refusal, Code::NotFound, "CONNECTION_NOT_FOUND");
    assert_eq!(said.metadata["uuid"], actors.other);
}

#[tokio::test]
async fn the_policy_of_its_own_connection_holds_for_an_agent_that_names_none() {
    let world = World::start_with(WorldOptions::guarded()).await;
    let actors = Actors::of(&world).await;
    let channel = world.channel().await;
    let update = tidegate_tests::site::limiting(
        &actors.own,
        ConnectionPolicy {
            excluded_tables: vec!["characters".to_owned()],
            ..ConnectionPolicy::default()
        },
        &["policy"],
    );
    let mut connections = ConnectionServiceClient::new(channel.clone());
    told(connections.update_connection(bearing(&actors.admin, update))).await;
    let mut transfers = v1::transfer_service_client::TransferServiceClient::new(channel);
    let refusal = transfers.create_transfer(actors.agent.asks(plain())).await;
    let refusal = refusal.expect_err("its policy says no");
    let said = assert_refused(&refusal, Code::FailedPrecondition, "TABLE_NOT_ALLOWED");
    assert_eq!(said.metadata["connection_uuid"], actors.own);
}

#[tokio::test]
async fn a_retry_is_of_the_same_and_of_what_has_ended() {
    let world = World::start().await;
    let mut raw = world.services().await;
    let again = |uuid: &str| v1::CreateTransferRequest {
        retry_of_uuid: uuid.to_owned(),
        ..plain()
    };
    let earlier = raw.running().await.uuid;
    let refusal = raw.transfers.create_transfer(again(&earlier)).await;
    let refusal = refusal.expect_err("it runs");
    let said = assert_refused(&refusal, Code::FailedPrecondition, "RETRY_NOT_ALLOWED");
    assert_eq!(said.metadata["uuid"], earlier);
    assert_eq!(said.metadata["field"], "status");
    raw.fail(&earlier).await;
    let other_table = v1::CreateTransferRequest {
        table_name: "items".to_owned(),
        ..again(&earlier)
    };
    let other_way = v1::CreateTransferRequest {
        direction: v1::Direction::Receive.into(),
        ..again(&earlier)
    };
    let other_site = v1::CreateTransferRequest {
        connection_uuid: raw.connection("mirror").await,
        ..again(&earlier)
    };
    for (request, field) in [
        (other_table, "table_name"),
        (other_way, "direction"),
        (other_site, "connection_uuid"),
    ] {
        let refusal = raw.transfers.create_transfer(request).await;
        let refusal = refusal.expect_err("it is another");
        let said = assert_refused(&refusal, Code::FailedPrecondition, "RETRY_NOT_ALLOWED");
        assert_eq!(said.metadata["field"], field);
    }
    let refusal = raw.transfers.create_transfer(again(NOBODY)).await;
    assert_refused(
        &refusal.expect_err("there is none"),
        Code::NotFound,
        "TRANSFER_NOT_FOUND",
    );
    assert_eq!(raw.create(again(&earlier)).await.retry_of_uuid, earlier);
}

#[tokio::test]
async fn a_second_connection_to_the_same_site_is_refused() {
    let world = World::start().await;
    let mut raw = world.services().await;
    let url = "https://twin.example/path";
    let first = told(raw.connections.create_connection(to(url))).await;
    let first = first.connection.expect("it is told").uuid;
    for same in [
        url,
        "https://TWIN.example/path",
        "https://twin.example:443/path",
        "https://twin.example/x/../path/",
        "https://twin.example/path#part",
    ] {
        let refusal = raw.connections.create_connection(to(same)).await;
        let refusal = refusal.expect_err("there is one already");
        let said = assert_refused(&refusal, Code::AlreadyExists, "DUPLICATE_CONNECTION");
        assert_eq!(said.metadata["connection_uuid"], first, "{same}");
    }
    let mut other_way = to(url);
    other_way.direction = v1::ConnectionDirection::Receiver.into();
    told(raw.connections.create_connection(other_way)).await;
    let mut forced = to(url);
    forced.allow_duplicate = true;
    told(raw.connections.create_connection(forced)).await;
    // Nor may one be moved there.
    let other = told(
        raw.connections
            .create_connection(to("https://other.example")),
    )
    .await;
    let other = other.connection.expect("it is told").uuid;
    let moving = |allow_duplicate, site_url: &str| v1::UpdateConnectionRequest {
        allow_duplicate,
        ..updating(
            v1::Connection {
                uuid: other.clone(),
                site_url: site_url.to_owned(),
                ..v1::Connection::default()
            },
            &["site_url"],
        )
    };
    let refusal = raw.connections.update_connection(moving(false, url)).await;
    let refusal = refusal.expect_err("there is one already");
    assert_refused(&refusal, Code::AlreadyExists, "DUPLICATE_CONNECTION");
    let same = moving(false, "https://OTHER.example/");
    told(raw.connections.update_connection(same)).await;
    told(raw.connections.update_connection(moving(true, url))).await;
    // What was ended for good stands in nobody's way.
    let ended = told(
        raw.connections
            .create_connection(to("https://other.example")),
    )
    .await;
    let ended = ended.connection.expect("it is told").uuid;
    raw.step(Step::Revoke, &ended).await;
    told(
        raw.connections
            .create_connection(to("https://other.example")),
    )
    .await;
}

#[tokio::test]
async fn of_many_at_once_one_connection_comes_into_being() {
    let world = World::start().await;
    let raw = world.services().await;
    let racers = (0..16).map(|_| {
        let mut raw = raw.clone();
        async move {
            let made = raw
                .connections
                .create_connection(to("https://race.example"));
            made.await.map(drop)
        }
    });
    let ends = futures::future::join_all(racers).await;
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1, "{ends:?}");
    for refusal in ends.into_iter().filter_map(Result::err) {
        assert_refused(&refusal, Code::AlreadyExists, "DUPLICATE_CONNECTION");
    }
}

mod postgres_only {
    use super::*;

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn of_many_at_two_replicas_one_connection_comes_into_being() {
        let world = World::start().await;
        let replica = world.replica().await;
        let (here, there) = (world.services().await, replica.services().await);
        for round in 0..8 {
            let racers = (0..8).map(|number| {
                let mut raw = if number % 2 == 0 {
                    here.clone()
                } else {
                    there.clone()
                };
                async move {
                    let site = format!("https://race{round}.example");
                    let made = raw.connections.create_connection(to(&site));
                    made.await.map(drop)
                }
            });
            let ends = futures::future::join_all(racers).await;
            assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1, "{ends:?}");
        }
    }
}
