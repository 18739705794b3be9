//! The log: one event for each transition, in order, with who and why.

use std::time::Duration;

use tidegate_proto::v1::{self, EventType, TransferStatus, watch_events_response::Update as Step};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{ADMIN, NOBODY, Raw, done, plain, said, stopped, told},
    soon,
};
use tonic::Code;

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

fn sequences(events: &[v1::Event]) -> Vec<i64> {
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
    let mut steps = vec![raw.create(request).await];
    let uuid = steps[0].uuid.clone();
    world.clock.advance(Duration::from_micros(1));
    steps.push(raw.ask(&uuid, Duration::from_secs(60)).await);
    world.clock.advance(Duration::from_micros(1));
    let approval = v1::ApproveTransferRequest {
        uuid: uuid.clone(),
        admin_user_uuid: NOBODY.to_owned(),
        comment: "fine\nby me".to_owned(),
        request_id: "r-approve".to_owned(),
        ..Default::default()
    };
    steps.push(done(raw.transfers.approve_transfer(approval)).await);
    steps.push(raw.start(&uuid).await);
    // Progress is no event, but it is a revision.
    raw.report(&uuid, 1).await;
    steps.push(raw.fail(&uuid).await);
    assert_eq!(steps[4].revision, 6);

    // The connection's own creation came first.
    let its_life = v1::ListEventsRequest {
        after_sequence: 1,
        ..v1::ListEventsRequest::default()
    };
    let page = told(raw.events.list_events(its_life)).await;
    let (admin, nobody) = (ADMIN, NOBODY);
    let failure = v1::event::Detail::Failure(v1::FailureDetail {
        error_message: "the source went away".to_owned(),
        code: 0,
        retryable: false,
    });
    let lease = v1::EventLease {
        lease_epoch: 1,
        ..v1::EventLease::default()
    };
    let details = [
        (EventType::Created, admin, None, "r-create"),
        (EventType::ApprovalRequested, "", None, ""),
        (
            EventType::Approved,
            nobody,
            said("fine\nby me"),
            "r-approve",
        ),
        (EventType::Started, "", None, ""),
        (EventType::Failed, "", Some(failure), ""),
    ];
    assert_eq!(page.events.len(), details.len());
    let mut from_status = TransferStatus::Unspecified.into();
    for (index, (event_type, actor_uuid, detail, request_id)) in details.into_iter().enumerate() {
        let expected = v1::Event {
            sequence: i64::try_from(index + 2).expect("few"),
            transfer_uuid: uuid.clone(),
            connection_uuid: connection_uuid.clone(),
            r#type: event_type.into(),
            from_status,
            to_status: steps[index].status,
            actor_uuid: actor_uuid.to_owned(),
            actor: "anonymous".to_owned(),
            detail,
            request_id: request_id.to_owned(),
            revision: steps[index].revision,
            occurred_at: steps[index].updated_at,
            address: String::new(),
            table_name: plain().table_name,
            direction: v1::Direction::Send.into(),
            connection_name: "mirror".to_owned(),
            lease: (index >= 3).then(|| lease.clone()),
            hash: page.events[index].hash.clone(),
            ..Default::default()
        };
        assert_eq!(expected.hash.len(), 32, "every event is chained");
        assert_eq!(page.events[index], expected);
        from_status = steps[index].status;
    }
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
    let last = |events: Vec<v1::Event>| {
        let event = events.into_iter().last().expect("an event");
        (event.r#type(), event.actor_uuid, event.detail)
    };
    let none = String::new;
    assert_eq!(
        last(raw.events_of(&denied).await),
        (EventType::Denied, ADMIN.to_owned(), said("not today"))
    );
    assert_eq!(
        last(raw.events_of(&cancelled).await),
        (EventType::Cancelled, none(), stopped("called off"))
    );
    let mut gone = raw.events_of(&completed).await;
    assert_eq!(last(gone.clone()), (EventType::Deleted, none(), None));
    gone.pop();
    assert_eq!(last(gone), (EventType::Completed, none(), None));
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
        let answer = told(raw.events.list_events(request)).await;
        sequences(&answer.events)
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
            ..v1::ListEventsRequest::default()
        };
        let answer = told(raw.events.list_events(request)).await;
        sequences(&answer.events)
    };
    assert_eq!(list(&alone, "", 0).await, [3, 5]);
    assert_eq!(list("", &connection, 0).await, [1, 2, 4, 6, 7]);
    assert_eq!(list("", &connection, 4).await, [6, 7]);
    assert_eq!(list(&second, &connection, 0).await, [4, 7]);
    assert_eq!(list(&alone, &connection, 0).await, [0_i64; 0]);
    assert_eq!(
        list(NOBODY, "", 0).await,
        [0_i64; 0],
        "a filter that nothing meets is no error"
    );
    assert_eq!(list("", NOBODY, 0).await, [0_i64; 0]);
}

#[tokio::test]
async fn the_log_is_followed_from_a_position_on() {
    let (_world, mut raw) = world().await;
    let first = raw.running().await.uuid;
    let second = raw.running().await.uuid;
    let follow = |after_sequence, transfer_uuid: &str| v1::WatchEventsRequest {
        after_sequence,
        transfer_uuid: transfer_uuid.to_owned(),
        ..v1::WatchEventsRequest::default()
    };
    let mut all = told(raw.events.watch_events(follow(2, ""))).await;
    let mut one = told(raw.events.watch_events(follow(0, &first))).await;
    let mut seen = async |of_all: bool| {
        let watch = if of_all { &mut all } else { &mut one };
        let message = soon("a step", watch.message()).await;
        let message = message.expect("no refusal").expect("it goes on");
        message.update.expect("a step")
    };
    let log = raw.log().await;
    assert_eq!(seen(true).await, Step::Event(log[2].clone()));
    assert_eq!(seen(true).await, Step::Event(log[3].clone()));
    let caught_up = Step::Bookmark(v1::Bookmark {
        sequence: 4,
        hash: log[3].hash.clone(),
    });
    assert_eq!(seen(true).await, caught_up);
    assert_eq!(seen(false).await, Step::Event(log[0].clone()));
    assert_eq!(seen(false).await, Step::Event(log[1].clone()));
    assert_eq!(
        seen(false).await,
        caught_up,
        "the log's end, not the transfer's"
    );

    raw.complete(&second, 1).await;
    raw.complete(&first, 1).await;
    let log = raw.log().await;
    assert_eq!(seen(true).await, Step::Event(log[4].clone()));
    assert_eq!(seen(true).await, Step::Event(log[5].clone()));
    assert_eq!(seen(false).await, Step::Event(log[5].clone()));
}

#[tokio::test]
async fn a_position_that_the_log_has_not_reached_is_refused() {
    let (_world, mut raw) = world().await;
    raw.declared().await;
    for after_sequence in [2, i64::MAX] {
        let request = v1::ListEventsRequest {
            after_sequence,
            ..v1::ListEventsRequest::default()
        };
        let listed = raw.events.list_events(request).await.map(drop);
        let request = v1::WatchEventsRequest {
            after_sequence,
            ..v1::WatchEventsRequest::default()
        };
        let watched = raw.events.watch_events(request).await.map(drop);
        for refusal in [listed, watched] {
            let refusal = refusal.expect_err("there is no such place yet");
            let refused = assert_refused(&refusal, Code::OutOfRange, "CURSOR_AHEAD");
            let told = |key: &str| refused.metadata.get(key).cloned();
            assert_eq!(told("after_sequence"), Some(after_sequence.to_string()));
            assert_eq!(told("newest_sequence").as_deref(), Some("1"));
        }
    }
}
