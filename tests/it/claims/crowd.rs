//! Many agents at once.

use std::collections::BTreeMap;

use futures::future::join_all;
use tidegate_proto::v1::{self, EventType};
use tidegate_tests::{
    World,
    database::{Kind, kind},
    raw::{Raw, plain, told},
    request, soon,
};

const AGENTS: usize = 20;
const TRANSFERS: usize = 200;

/// Two replicas where the database can be shared.
async fn worlds() -> Vec<World> {
    let mut worlds = vec![World::start().await];
    if kind() == Kind::Postgres {
        let second = worlds[0].replica().await;
        worlds.push(second);
    }
    worlds
}

/// Claims until there is nothing: what it was given.
async fn work(mut raw: Raw, connection: &str, agent: usize) -> Vec<String> {
    let mut uuids = Vec::new();
    loop {
        let request = v1::ClaimTransfersRequest {
            agent_instance: format!("agent-{agent}"),
            max: i32::try_from(agent % 4 + 1).expect("small"),
            request_id: format!("{agent}-{}", uuids.len()),
            ..request::claim(connection)
        };
        let claimed = told(raw.transfers.claim_transfers(request)).await.transfers;
        if claimed.is_empty() {
            return uuids;
        }
        for transfer in claimed {
            assert_eq!(transfer.lease_epoch, 1);
            assert_eq!(transfer.agent_instance, format!("agent-{agent}"));
            uuids.push(transfer.uuid);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_transfer_is_started_once_and_none_is_left() {
    let worlds = worlds().await;
    let mut raw = worlds[0].services().await;
    let connection = raw.connection("north").await;
    let declare = (0..TRANSFERS).map(|number| {
        let (mut raw, request) = (
            raw.clone(),
            v1::CreateTransferRequest {
                connection_uuid: connection.clone(),
                priority: i32::try_from(number % 3).expect("small"),
                ..plain()
            },
        );
        async move { raw.create(request).await.uuid }
    });
    let declared: Vec<String> = join_all(declare).await;
    let mut agents = Vec::new();
    for agent in 0..AGENTS {
        let raw = worlds[agent % worlds.len()].services().await;
        agents.push(work(raw, &connection, agent));
    }
    let claimed = soon("the end of the work", join_all(agents)).await.concat();
    let mut times = BTreeMap::new();
    for uuid in &claimed {
        *times.entry(uuid.as_str()).or_insert(0) += 1;
    }
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    let missing: Vec<_> = declared
        .iter()
        .filter(|uuid| !times.contains_key(uuid.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?} were left");
    let log = raw.log().await;
    let starts = log.iter().filter(|it| it.r#type() == EventType::Started);
    assert_eq!(starts.count(), TRANSFERS);
}

/// What is claimed together fits into an answer, and the rest into the next.
#[tokio::test]
async fn large_transfers_are_claimed_piece_by_piece() {
    const LARGE: usize = 70;
    let world = World::start().await;
    let mut raw = world.services().await;
    let notes = prost_types::Struct {
        fields: BTreeMap::from([(
            "notes".to_owned(),
            prost_types::Value {
                kind: Some(prost_types::value::Kind::StringValue("x".repeat(16_000))),
            },
        )]),
    };
    for _ in 0..LARGE {
        let request = v1::CreateTransferRequest {
            metadata: Some(notes.clone()),
            ..plain()
        };
        raw.create(request).await;
    }
    let mut pieces = Vec::new();
    loop {
        let request = v1::ClaimTransfersRequest {
            max: 100,
            ..request::claim("")
        };
        let piece = told(raw.transfers.claim_transfers(request)).await.transfers;
        if piece.is_empty() {
            break;
        }
        pieces.push(piece.len());
    }
    assert_eq!(pieces.iter().sum::<usize>(), LARGE);
    assert!(
        pieces.len() > 1,
        "{pieces:?} fit into the limit of a message"
    );
}
