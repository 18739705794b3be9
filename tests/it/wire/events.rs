//! The log: one event for each transition, in order, with who and why.

use std::time::Duration;

use tidegate_proto::v1::{self, TransferEventAction as Action, TransferStatus};
use tidegate_tests::{
    World, WorldOptions,
    raw::{ADMIN, NOBODY, Raw, done, plain, totals, wire_time},
};

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

fn sequences(events: &[v1::TransferEvent]) -> Vec<i64> {
    events.iter().map(|event| event.sequence).collect()
}

#[tokio::test]
async fn the_log_tells_a_life_step_by_step() {
    let (world, mut raw) = world().await;
    let connection_uuid = raw.connection("mirror").await;
    let request = v1::CreateTransferRequest {
        connection_uuid: connection_uuid.clone(),
        initiated_by_uuid: ADMIN.to_owned(),
        request_id: "r-create".to_owned(),
        ..plain()
    };
    let created = raw.create(request).await;
    world.clock.advance(Duration::from_micros(1));
    let asked = raw.ask(&created.uuid, Duration::from_secs(60)).await;
    world.clock.advance(Duration::from_micros(1));
    let approval = v1::ApproveTransferRequest {
        uuid: created.uuid.clone(),
        admin_user_uuid: NOBODY.to_owned(),
        comment: "fine\nby me".to_owned(),
        request_id: "r-approve".to_owned(),
    };
    let approved = done(raw.transfers.approve_transfer(approval)).await;
    let started = raw.start(&created.uuid).await;
    let report = v1::UpdateProgressRequest {
        uuid: created.uuid.clone(),
        progress: Some(totals(1)),
        ..v1::UpdateProgressRequest::default()
    };
    done(raw.transfers.update_progress(report)).await;
    let failed = raw.fail(&created.uuid).await;

    let answer = raw
        .events
        .list_events(v1::ListEventsRequest::default())
        .await;
    let events = answer.expect("it is accepted").into_inner().events;
    let event =
        |sequence, action: Action, from: TransferStatus, after: &v1::Transfer| v1::TransferEvent {
            sequence,
            transfer_uuid: created.uuid.clone(),
            connection_uuid: connection_uuid.clone(),
            action: action.into(),
            from_status: from.into(),
            to_status: after.status,
            actor: "anonymous".to_owned(),
            revision: after.revision,
            occurred_at: after.updated_at,
            ..v1::TransferEvent::default()
        };
    let expected = [
        v1::TransferEvent {
            actor_uuid: ADMIN.to_owned(),
            request_id: "r-create".to_owned(),
            ..event(1, Action::Created, TransferStatus::Unspecified, &created)
        },
        event(
            2,
            Action::ApprovalRequested,
            TransferStatus::Pending,
            &asked,
        ),
        v1::TransferEvent {
            actor_uuid: NOBODY.to_owned(),
            reason: "fine\nby me".to_owned(),
            request_id: "r-approve".to_owned(),
            ..event(
                3,
                Action::Approved,
                TransferStatus::PendingApproval,
                &approved,
            )
        },
        event(4, Action::Started, TransferStatus::Approved, &started),
        // Progress is no event, but it is a revision.
        v1::TransferEvent {
            reason: "the source went away".to_owned(),
            ..event(5, Action::Failed, TransferStatus::InProgress, &failed)
        },
    ];
    assert_eq!(events, expected);
    assert_eq!(failed.revision, 6);
    assert_eq!(events[4].occurred_at, Some(wire_time(world.clock.now())));
}

#[tokio::test]
async fn reasons_and_actors_are_those_of_the_call() {
    let (world, mut raw) = world().await;
    let denied = raw
        .standing(TransferStatus::Denied, &world.clock)
        .await
        .uuid;
    let cancelled = raw
        .standing(TransferStatus::Cancelled, &world.clock)
        .await
        .uuid;
    let completed = raw
        .standing(TransferStatus::Completed, &world.clock)
        .await
        .uuid;
    raw.delete(&completed).await;
    let last = |events: Vec<v1::TransferEvent>| {
        let event = events.into_iter().last().expect("an event");
        (event.action(), event.actor_uuid, event.reason)
    };
    let none = String::new;
    assert_eq!(
        last(raw.events_of(&denied).await),
        (Action::Denied, ADMIN.to_owned(), "not today".to_owned())
    );
    assert_eq!(
        last(raw.events_of(&cancelled).await),
        (Action::Cancelled, none(), "called off".to_owned())
    );
    let mut gone = raw.events_of(&completed).await;
    assert_eq!(last(gone.clone()), (Action::Deleted, none(), none()));
    gone.pop();
    assert_eq!(last(gone), (Action::Completed, none(), none()));
}

#[tokio::test]
async fn the_log_is_gapless_and_read_page_by_page() {
    let (_world, mut raw) = world().await;
    for _ in 0..60 {
        raw.declared().await;
    }
    let mut page = async |after_sequence, page_size| {
        let request = v1::ListEventsRequest {
            after_sequence,
            page_size,
            ..v1::ListEventsRequest::default()
        };
        let answer = raw
            .events
            .list_events(request)
            .await
            .expect("it is accepted");
        sequences(&answer.into_inner().events)
    };
    assert_eq!(
        page(0, 0).await,
        (1..=50).collect::<Vec<_>>(),
        "50 when nobody says"
    );
    assert_eq!(page(50, 0).await, (51..=60).collect::<Vec<_>>());
    assert_eq!(page(7, 3).await, [8, 9, 10]);
    assert_eq!(page(0, i32::MAX).await, (1..=60).collect::<Vec<_>>());
    assert_eq!(page(60, 10).await, [0_i64; 0], "nothing newer yet");
    assert_eq!(page(i64::MAX, 10).await, [0_i64; 0]);
}

#[tokio::test]
async fn the_log_is_filtered_by_transfer_and_by_connection() {
    let (_world, mut raw) = world().await;
    let connection = raw.connection("mirror").await;
    let linked = v1::CreateTransferRequest {
        connection_uuid: connection.clone(),
        ..plain()
    };
    let first = raw.create(linked.clone()).await.uuid;
    let alone = raw.declared().await.uuid;
    let second = raw.create(linked).await.uuid;
    for uuid in [&alone, &first, &second] {
        raw.start(uuid).await;
    }
    let mut list = async |transfer: &str, connection: &str, after_sequence| {
        let request = v1::ListEventsRequest {
            transfer_uuid: transfer.to_owned(),
            connection_uuid: connection.to_owned(),
            after_sequence,
            page_size: 0,
        };
        let answer = raw
            .events
            .list_events(request)
            .await
            .expect("it is accepted");
        sequences(&answer.into_inner().events)
    };
    assert_eq!(list(&alone, "", 0).await, [2, 4]);
    assert_eq!(list("", &connection, 0).await, [1, 3, 5, 6]);
    assert_eq!(list("", &connection, 3).await, [5, 6]);
    assert_eq!(list(&second, &connection, 0).await, [3, 6]);
    assert_eq!(list(&alone, &connection, 0).await, [0_i64; 0]);
    assert_eq!(
        list(NOBODY, "", 0).await,
        [0_i64; 0],
        "a filter that nothing meets is no error"
    );
    assert_eq!(list("", NOBODY, 0).await, [0_i64; 0]);
}
