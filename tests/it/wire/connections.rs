//! Connections.

use std::time::Duration;

use tidegate_proto::v1;
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{NOBODY, Raw, wire_time},
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
    }
}

#[tokio::test]
async fn a_connection_is_active_at_once_and_read_back_as_created() {
    let (world, mut raw) = world().await;
    world.clock.advance(Duration::from_micros(987_654));
    let wanted = request("Ægir's mirror", v1::ConnectionDirection::Receiver);
    let answer = raw
        .connections
        .create_connection(wanted)
        .await
        .expect("it is accepted");
    let created = answer.into_inner().connection.expect("the connection");
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
    };
    assert_eq!(created, expected);

    let get = v1::GetConnectionRequest { uuid: created.uuid };
    let answer = raw
        .connections
        .get_connection(get)
        .await
        .expect("it exists");
    assert_eq!(answer.into_inner().connection, Some(expected));
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
    let mut names = Vec::new();
    for number in 0..7 {
        world.clock.advance(Duration::from_secs(number % 2));
        let direction = if number % 3 == 0 {
            v1::ConnectionDirection::Sender
        } else {
            v1::ConnectionDirection::Receiver
        };
        let name = format!("site {number}");
        let answer = raw
            .connections
            .create_connection(request(&name, direction))
            .await;
        answer.expect("it is accepted");
        names.push(name);
    }
    let mut list = async |direction: v1::ConnectionDirection, page_size| {
        let mut pages: Vec<Vec<String>> = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListConnectionsRequest {
                direction: direction.into(),
                page_size,
                page_token,
            };
            let answer = raw
                .connections
                .list_connections(request)
                .await
                .expect("accepted");
            let answer = answer.into_inner();
            pages.push(
                answer
                    .connections
                    .into_iter()
                    .map(|each| each.name)
                    .collect(),
            );
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return pages;
            }
        }
    };
    let newest_first: Vec<_> = names.iter().rev().cloned().collect();
    assert_eq!(
        list(v1::ConnectionDirection::Unspecified, 0).await,
        [newest_first.clone()]
    );
    let pages = list(v1::ConnectionDirection::Unspecified, 3).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    assert_eq!(pages.concat(), newest_first);
    assert_eq!(
        list(v1::ConnectionDirection::Sender, 2).await.concat(),
        ["site 6", "site 3", "site 0"]
    );
    assert_eq!(
        list(v1::ConnectionDirection::Receiver, 0).await.concat(),
        ["site 5", "site 4", "site 2", "site 1"]
    );
}
