//! Connections.

use std::time::Duration;

use tidegate_proto::v1;
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{NOBODY, Raw, told, wire_time},
};
use tonic::Code;
use uuid::Uuid;

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

fn request(name: &str, direction: v1::ConnectionDirection) -> v1::CreateConnectionRequest {
    v1::CreateConnectionRequest {
        name: name.to_owned(),
        direction: direction.into(),
        site_url: "http://127.0.0.1:4000/site".to_owned(),
        request_id: String::new(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_connection_is_active_at_once_and_read_back_as_created() {
    let (world, mut raw) = world().await;
    world.clock.advance(Duration::from_micros(987_654));
    let wanted = request("Ægir's mirror", v1::ConnectionDirection::Receiver);
    let answer = told(raw.connections.create_connection(wanted)).await;
    let created = answer.connection.expect("the connection");
    assert_eq!(
        Uuid::try_parse(&created.uuid).map(|uuid| uuid.get_version_num()),
        Ok(7)
    );
    let now = Some(wire_time(world.clock.now()));
    let expected = v1::Connection {
        uuid: created.uuid.clone(),
        name: "Ægir's mirror".to_owned(),
        direction: v1::ConnectionDirection::Receiver.into(),
        site_url: "http://127.0.0.1:4000/site".to_owned(),
        status: v1::ConnectionStatus::Active.into(),
        inserted_at: now,
        updated_at: now,
        revision: 1,
        ..Default::default()
    };
    assert_eq!(created, expected);

    let get = v1::GetConnectionRequest { uuid: created.uuid };
    let answer = told(raw.connections.get_connection(get)).await;
    assert_eq!(answer.connection, Some(expected));
    assert_eq!(raw.log().await, [], "the log is about transfers");
}

#[tokio::test]
async fn an_unknown_connection_is_not_found() {
    let (_world, mut raw) = world().await;
    // A transfer is no connection, whatever its uuid.
    let transfer = raw.declared().await.uuid;
    for uuid in [NOBODY.to_owned(), transfer] {
        let get = v1::GetConnectionRequest { uuid: uuid.clone() };
        let refusal = raw
            .connections
            .get_connection(get)
            .await
            .expect_err("nobody knows it");
        let refused = assert_refused(&refusal, Code::NotFound, "CONNECTION_NOT_FOUND");
        assert_eq!(refused.metadata.get("uuid"), Some(&uuid));
    }
}

#[tokio::test]
async fn connections_are_listed_newest_first_by_direction() {
    let (world, mut raw) = world().await;
    for number in 0..7 {
        world.clock.advance(Duration::from_secs(number % 2));
        let direction = if number % 3 == 0 {
            v1::ConnectionDirection::Sender
        } else {
            v1::ConnectionDirection::Receiver
        };
        let wanted = request(&format!("site {number}"), direction);
        told(raw.connections.create_connection(wanted)).await;
    }
    let mut list = async |direction: v1::ConnectionDirection, page_size| {
        let mut pages: Vec<String> = Vec::new();
        let mut page_token = String::new();
        loop {
            let direction = direction.into();
            let request = v1::ListConnectionsRequest {
                direction,
                page_size,
                page_token,
                ..Default::default()
            };
            let page = told(raw.connections.list_connections(request)).await;
            let numbers = page
                .connections
                .iter()
                .map(|each| each.name.trim_start_matches("site "));
            pages.push(numbers.collect());
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return pages;
            }
        }
    };
    let any = v1::ConnectionDirection::Unspecified;
    assert_eq!(list(any, 0).await, ["6543210"]);
    assert_eq!(list(any, 3).await, ["654", "321", "0"]);
    assert_eq!(list(v1::ConnectionDirection::Sender, 2).await, ["63", "0"]);
    assert_eq!(list(v1::ConnectionDirection::Receiver, 0).await, ["5421"]);
}
