//! Many callers with one id at the same moment.

use futures::future::join_all;
use tidegate_proto::v1;
use tidegate_tests::{World, assert_refused, raw::plain};
use tonic::{Code, Status};

use super::id;

/// Fifty callers on eight connections send the same request at once.
async fn fifty(
    world: &World,
    request: &v1::CreateTransferRequest,
) -> Vec<Result<v1::Transfer, Status>> {
    let connections = join_all((0..8).map(|_| world.services())).await;
    let calls = (0..50).map(|number| {
        let mut raw = connections[number % connections.len()].clone();
        let request = request.clone();
        tokio::spawn(async move {
            let answer = raw.transfers.create_transfer(request).await?;
            Ok(answer.into_inner().transfer.expect("the transfer"))
        })
    });
    let answers = join_all(calls).await;
    answers
        .into_iter()
        .map(|answer| answer.expect("no panic"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_callers_with_one_id_create_one_transfer() {
    // The machine's clock, so that a second creation would show in its times too.
    let mut world = World::start().await;
    let request = v1::CreateTransferRequest {
        request_id: id("fifty"),
        ..plain()
    };
    let mut first: Option<v1::Transfer> = None;
    for _ in 0..2 {
        for answer in fifty(&world, &request).await {
            let answer = answer.expect("every caller gets the transfer");
            assert_eq!(first.get_or_insert_with(|| answer.clone()), &answer);
        }
        let mut raw = world.services().await;
        assert_eq!((raw.count().await, raw.log().await.len()), (1, 1));
        drop(raw);
        world.stop().await;
        world.resume().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_different_requests_with_one_id_one_wins() {
    let world = World::start().await;
    let ours = v1::CreateTransferRequest {
        request_id: id("mine"),
        ..plain()
    };
    let theirs = v1::CreateTransferRequest {
        table_name: id("planets"),
        ..ours.clone()
    };
    let (ours, theirs) = tokio::join!(fifty(&world, &ours), fifty(&world, &theirs));
    let mut winners = Vec::new();
    for side in [ours, theirs] {
        let accepted = side.iter().filter(|answer| answer.is_ok()).count();
        assert!(
            accepted == 0 || accepted == 50,
            "a side wins or loses as a whole: {accepted}"
        );
        winners.push(accepted);
        for refusal in side.into_iter().filter_map(Result::err) {
            assert_refused(&refusal, Code::AlreadyExists, "REQUEST_ID_REUSED");
        }
    }
    winners.sort_unstable();
    assert_eq!(winners, [0, 50]);
    let mut raw = world.services().await;
    assert_eq!((raw.count().await, raw.log().await.len()), (1, 1));
}
