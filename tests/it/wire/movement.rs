//! The two sides of one movement.

use std::time::Duration;

use tidegate_proto::v1::{
    self, Direction, TransferStatus, transfer_service_client::TransferServiceClient,
    watch_transfers_response::Update,
};
use tidegate_tests::{
    World, WorldOptions,
    actors::bearing,
    assert_refused,
    raw::{NOBODY, Raw, done, plain, told, wire_time},
    soon,
};
use tonic::{Code, Status};

/// What both sides agree upon, as somebody might write it.
const AGREED: &str = "0190B7A2-3333-4000-8000-00000000000A";
const PLAN: &str = "0190b7a2-4444-7000-8000-000000000001";
const SECOND: Duration = Duration::from_secs(1);

fn side(direction: Direction, correlation_uuid: &str) -> v1::CreateTransferRequest {
    v1::CreateTransferRequest {
        direction: direction.into(),
        correlation_uuid: correlation_uuid.to_owned(),
        ..plain()
    }
}

fn assert_in_use(refused: Result<impl Sized, Status>, uuid: &str) {
    let refused = refused.err().expect("the side is taken");
    let refused = assert_refused(&refused, Code::AlreadyExists, "CORRELATION_IN_USE");
    assert_eq!(refused.metadata["uuid"], uuid);
}

async fn count(raw: &mut Raw, filter: v1::TransferFilter) -> i64 {
    let request = v1::CountTransfersRequest {
        filter: Some(filter),
    };
    told(raw.transfers.count_transfers(request)).await.count
}

#[tokio::test]
async fn both_sides_name_each_other() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let sent = raw.create(side(Direction::Send, "")).await;
    assert_eq!(sent.correlation_uuid, sent.uuid, "it begins a movement");
    assert_eq!(sent.counterpart_uuid, "");
    world.clock.advance(SECOND);
    let received = raw.create(side(Direction::Receive, &sent.uuid)).await;
    assert_eq!(received.correlation_uuid, sent.uuid);
    assert_eq!(received.counterpart_uuid, sent.uuid);
    let expected = v1::Transfer {
        counterpart_uuid: received.uuid.clone(),
        updated_at: Some(wire_time(world.clock.now())),
        revision: 2,
        ..sent.clone()
    };
    assert_eq!(raw.now(&sent.uuid).await, expected);
    assert_eq!(raw.now(&received.uuid).await, received);

    let again = raw
        .transfers
        .create_transfer(side(Direction::Send, &sent.uuid));
    assert_in_use(again.await, &sent.uuid);
    let again = raw
        .transfers
        .create_transfer(side(Direction::Receive, &sent.uuid));
    assert_in_use(again.await, &received.uuid);
    raw.cancel(&sent.uuid).await;
    raw.delete(&sent.uuid).await;
    let anew = raw.create(side(Direction::Send, &sent.uuid)).await;
    assert_eq!(
        anew.counterpart_uuid, received.uuid,
        "who is gone is in nobody's way"
    );
    assert_eq!(raw.now(&received.uuid).await.counterpart_uuid, anew.uuid);
}

#[tokio::test]
async fn a_retry_takes_the_place_of_what_it_tries_again() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let first = v1::CreateTransferRequest {
        plan_uuid: PLAN.to_owned(),
        ..side(Direction::Send, AGREED)
    };
    let first = raw.create(first).await;
    assert_eq!(first.correlation_uuid, AGREED.to_lowercase());
    let other = raw.create(side(Direction::Receive, AGREED)).await;
    raw.start(&first.uuid).await;
    raw.fail(&first.uuid).await;
    let retry = v1::RetryTransferRequest {
        uuid: first.uuid.clone(),
        ..v1::RetryTransferRequest::default()
    };
    let second = done(raw.transfers.retry_transfer(retry)).await;
    assert_eq!(second.correlation_uuid, first.correlation_uuid);
    assert_eq!(
        (&*second.plan_uuid, &second.counterpart_uuid),
        (PLAN, &other.uuid)
    );
    assert_eq!(raw.now(&other.uuid).await.counterpart_uuid, second.uuid);
    let replaced = raw.now(&first.uuid).await;
    assert_eq!(
        replaced.counterpart_uuid, other.uuid,
        "it keeps what it had"
    );

    raw.cancel(&second.uuid).await;
    let elsewhere = v1::CreateTransferRequest {
        retry_of_uuid: second.uuid.clone(),
        ..side(Direction::Send, NOBODY)
    };
    let refused = raw.transfers.create_transfer(elsewhere).await;
    let refused = refused.expect_err("it is of another movement");
    let refused = assert_refused(&refused, Code::FailedPrecondition, "RETRY_NOT_ALLOWED");
    assert_eq!(refused.metadata["correlation_uuid"], first.correlation_uuid);
    // Somebody has declared this side anew, so that there is nothing to try again.
    let anew = raw.create(side(Direction::Send, AGREED)).await;
    let retry = v1::RetryTransferRequest {
        uuid: second.uuid.clone(),
        ..v1::RetryTransferRequest::default()
    };
    assert_in_use(
        raw.transfers.retry_transfer(retry.clone()).await,
        &anew.uuid,
    );
    raw.cancel(&anew.uuid).await;
    let third = done(raw.transfers.retry_transfer(retry)).await;
    assert_eq!(third.counterpart_uuid, other.uuid);
}

#[tokio::test]
async fn a_filter_means_a_movement_or_a_plan() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    for direction in [Direction::Send, Direction::Receive] {
        let planned = v1::CreateTransferRequest {
            plan_uuid: PLAN.to_owned(),
            ..side(direction, AGREED)
        };
        raw.create(planned).await;
    }
    let alone = v1::CreateTransferRequest {
        plan_uuid: PLAN.to_owned(),
        ..plain()
    };
    let alone = raw.create(alone).await;
    raw.declared().await;
    let any = v1::TransferFilter::default;
    for (correlation_uuid, plan_uuid, expected) in [
        (AGREED, "", 2),
        ("", PLAN, 3),
        (&*alone.uuid, PLAN, 1),
        (AGREED, NOBODY, 0),
        (NOBODY, "", 0),
        ("", "", 4),
    ] {
        let filter = v1::TransferFilter {
            correlation_uuid: correlation_uuid.to_owned(),
            plan_uuid: plan_uuid.to_owned(),
            ..any()
        };
        assert_eq!(
            count(&mut raw, filter.clone()).await,
            expected,
            "{filter:?}"
        );
    }
}

#[tokio::test]
async fn a_movement_lies_within_one_connection() {
    let (world, actors) = crate::auth::actors().await;
    let mut transfers = TransferServiceClient::new(world.channel().await);
    let own = side(Direction::Send, AGREED);
    let sent = done(transfers.create_transfer(actors.agent.asks(own))).await;
    // Neither in the way of those who may not see it, nor seen by them, on either side.
    for direction in [Direction::Send, Direction::Receive] {
        let theirs = side(direction, AGREED);
        let theirs = done(transfers.create_transfer(actors.stranger.asks(theirs))).await;
        assert_ne!(theirs.counterpart_uuid, sent.uuid);
        let of_none = bearing(&actors.admin, side(direction, AGREED));
        let of_none = done(transfers.create_transfer(of_none)).await;
        assert_ne!(of_none.counterpart_uuid, sent.uuid);
    }
    let read = v1::GetTransferRequest {
        uuid: sent.uuid.clone(),
        ..v1::GetTransferRequest::default()
    };
    let answer = told(transfers.get_transfer(actors.agent.asks(read))).await;
    assert_eq!(answer.transfer, Some(sent.clone()), "nobody touched it");
    let second = transfers.create_transfer(actors.agent.asks(side(Direction::Send, AGREED)));
    assert_in_use(second.await, &sent.uuid);
    let filter = v1::TransferFilter {
        correlation_uuid: AGREED.to_owned(),
        ..v1::TransferFilter::default()
    };
    let request = v1::CountTransfersRequest {
        filter: Some(filter),
    };
    for (token, expected) in [(&actors.agent.token, 1), (&actors.admin, 5)] {
        let counting = bearing(token, request.clone());
        assert_eq!(
            told(transfers.count_transfers(counting)).await.count,
            expected
        );
    }
}

/// What became of twenty who want to be one side, each by another of `raws`: one wins, and all others are told who has won.
async fn race(raws: &mut [Raw], direction: Direction, correlation: &str) -> String {
    let tries = (0..20).map(|number| {
        let mut transfers = raws[number % raws.len()].transfers.clone();
        async move {
            transfers
                .create_transfer(side(direction, correlation))
                .await
        }
    });
    let ended = futures::future::join_all(tries).await;
    let (made, refused): (Vec<_>, Vec<_>) = ended.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refused.len()), (1, 19));
    let made = made.into_iter().next().and_then(Result::ok);
    let made = made
        .and_then(|it| it.into_inner().transfer)
        .expect("a transfer");
    for refused in refused {
        assert_in_use(refused, &made.uuid);
    }
    made.uuid
}

#[tokio::test]
async fn of_twenty_who_want_to_be_one_side_one_is() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raws = [world.services().await, world.services().await];
    let (sent, received) = {
        let mut others = raws.clone();
        tokio::join!(
            race(&mut raws, Direction::Send, AGREED),
            race(&mut others, Direction::Receive, AGREED)
        )
    };
    assert_eq!(raws[0].now(&sent).await.counterpart_uuid, received);
    assert_eq!(raws[0].now(&received).await.counterpart_uuid, sent);
}

/// A watch through `raw`, once it has caught up.
async fn watch(raw: &mut Raw) -> tonic::Streaming<v1::WatchTransfersResponse> {
    let request = v1::WatchTransfersRequest {
        positions: true,
        ..v1::WatchTransfersRequest::default()
    };
    told(raw.transfers.watch_transfers(request)).await
}

/// Waits until it tells of a transfer as `is_meant`, and gives the last position before that.
async fn until(
    watch: &mut tonic::Streaming<v1::WatchTransfersResponse>,
    is_meant: impl Fn(&v1::Transfer) -> bool,
) {
    soon("the transfer", async {
        loop {
            let message = watch.message().await.expect("no refusal");
            let message = message.expect("it goes on");
            if matches!(message.update, Some(Update::Transfer(it)) if is_meant(&it)) {
                return;
            }
        }
    })
    .await;
}

/// A watcher through `there`, one that was there before and one that resumes, is told that the other side has come.
async fn is_told_of_the_other_side(mut here: Raw, mut there: Raw) {
    let sent = here.create(side(Direction::Send, AGREED)).await;
    let log = here.log().await;
    let position = log.last().expect("an event").sequence;
    let mut live = watch(&mut there).await;
    let received = here.create(side(Direction::Receive, AGREED)).await;
    let is_paired =
        |it: &v1::Transfer| it.uuid == sent.uuid && it.counterpart_uuid == received.uuid;
    until(&mut live, is_paired).await;
    let resumed = v1::WatchTransfersRequest {
        after_sequence: Some(position),
        ..v1::WatchTransfersRequest::default()
    };
    let mut resumed = told(there.transfers.watch_transfers(resumed)).await;
    until(&mut resumed, is_paired).await;
    let paired = there.now(&sent.uuid).await;
    assert_eq!(paired.status(), TransferStatus::Pending);
}

#[tokio::test]
async fn watchers_are_told_of_the_other_side() {
    let world = World::start().await;
    is_told_of_the_other_side(world.services().await, world.services().await).await;
}

mod postgres_only {
    use super::*;

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn watchers_of_another_replica_are_told_of_the_other_side() {
        let world = World::start().await;
        let replica = world.replica().await;
        is_told_of_the_other_side(world.services().await, replica.services().await).await;
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn of_twenty_at_two_replicas_one_is_each_side() {
        let world = World::start().await;
        let replica = world.replica().await;
        let mut raws = [world.services().await, replica.services().await];
        for round in 0..20 {
            let agreed = format!("0190b7a2-5555-7000-8000-0000000000{round:02}");
            let mut others = raws.clone();
            let (sent, received) = tokio::join!(
                race(&mut raws, Direction::Send, &agreed),
                race(&mut others, Direction::Receive, &agreed)
            );
            assert_eq!(raws[0].now(&sent).await.counterpart_uuid, received);
            assert_eq!(raws[1].now(&received).await.counterpart_uuid, sent);
        }
    }
}
