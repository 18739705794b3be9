//! Bulk operations: every transfer has its turn once, and what came of it is told.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, stream};
use tidegate_proto::v1::{
    self, BulkResult, BulkState, BulkVerb, EventType, TransferStatus, event::Detail,
};
use tidegate_tests::{
    Database, ServerProcess, World, WorldOptions, assert_refused,
    raw::{NOBODY, Raw, done, plain, told, wire_duration},
    soon,
};
use tonic::Code;

/// Transfers of several steps.
const MANY: i64 = 1_000;

fn count(length: usize) -> i64 {
    i64::try_from(length).expect("a few")
}

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

fn of_table(table: &str) -> Option<v1::TransferFilter> {
    Some(v1::TransferFilter {
        table_names: vec![table.to_owned()],
        ..v1::TransferFilter::default()
    })
}

fn bulk(verb: BulkVerb) -> v1::StartBulkOperationRequest {
    v1::StartBulkOperationRequest {
        verb: verb.into(),
        filter: of_table("characters"),
        ..v1::StartBulkOperationRequest::default()
    }
}

/// Declares so many transfers.
async fn declare(raw: &Raw, count: i64) {
    let each = stream::iter(0..count).map(|_| {
        let mut raw = raw.clone();
        async move { raw.declared().await }
    });
    each.buffer_unordered(64).for_each(async |_| {}).await;
}

async fn start(raw: &mut Raw, request: v1::StartBulkOperationRequest) -> v1::BulkOperation {
    let answer = told(raw.bulks.start_bulk_operation(request)).await;
    answer.operation.expect("it was started")
}

async fn get(raw: &mut Raw, uuid: &str) -> v1::BulkOperation {
    let uuid = uuid.to_owned();
    let get = v1::GetBulkOperationRequest { uuid };
    let answer = told(raw.bulks.get_bulk_operation(get)).await;
    answer.operation.expect("it is there")
}

/// The operation once it has ended.
async fn ended(raw: &mut Raw, uuid: &str) -> v1::BulkOperation {
    let wait = async {
        loop {
            let found = get(raw, uuid).await;
            if found.state() != BulkState::Running {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the end of the operation", wait).await
}

/// All outcomes with that result, page by page.
async fn outcomes(raw: &mut Raw, uuid: &str, result: BulkResult) -> Vec<v1::BulkOutcome> {
    let mut all = Vec::new();
    let mut request = v1::ListBulkOutcomesRequest {
        uuid: uuid.to_owned(),
        result: result.into(),
        page_size: 300,
        ..v1::ListBulkOutcomesRequest::default()
    };
    loop {
        let page = told(raw.bulks.list_bulk_outcomes(request.clone())).await;
        all.extend(page.outcomes);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return all;
        }
    }
}

/// How many events of that type each transfer has that was changed for the operation.
async fn changed(raw: &mut Raw, operation: &str, event_type: EventType) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for event in raw.log().await {
        if event.r#type() == event_type {
            assert_eq!(event.subject_uuid, operation);
            *found.entry(event.transfer_uuid).or_default() += 1;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_are_cancelled_in_steps_and_each_once() {
    let (world, mut raw) = world().await;
    declare(&raw, MANY).await;
    let other = v1::CreateTransferRequest {
        table_name: "orders".to_owned(),
        ..plain()
    };
    let other = raw.create(other).await;
    world.clock.advance(Duration::from_secs(1));
    let request = v1::StartBulkOperationRequest {
        reason: "the plan is off".to_owned(),
        grace: Some(wire_duration(Duration::from_secs(9))),
        request_id: "once".to_owned(),
        ..bulk(BulkVerb::Cancel)
    };
    let started = start(&mut raw, request.clone()).await;
    let expected = v1::BulkOperation {
        uuid: started.uuid.clone(),
        verb: BulkVerb::Cancel.into(),
        filter: of_table("characters"),
        reason: request.reason.clone(),
        grace: request.grace,
        state: BulkState::Running.into(),
        matched: MANY,
        inserted_at: started.inserted_at,
        updated_at: started.inserted_at,
        revision: 1,
        ..v1::BulkOperation::default()
    };
    assert_eq!(started, expected);
    let later = {
        world.clock.advance(Duration::from_secs(1));
        raw.declared().await
    };
    let through = ended(&mut raw, &started.uuid).await;
    assert_eq!(through.state(), BulkState::Completed);
    assert_eq!((through.succeeded, through.refused), (MANY, 0));
    assert!(through.ended_at.is_some() && through.revision > 10);

    let again = start(&mut raw, request.clone()).await;
    assert_eq!(again, through, "a repetition starts nothing");
    let mut another = request;
    another.reason = "another one".to_owned();
    let refused = raw.bulks.start_bulk_operation(another).await;
    let refused = refused.expect_err("the id was used");
    assert_refused(&refused, Code::AlreadyExists, "REQUEST_ID_REUSED");

    let found = changed(&mut raw, &through.uuid, EventType::Cancelled).await;
    assert_eq!(count(found.len()), MANY);
    assert!(found.values().all(|count| *count == 1));
    for left in [other, later] {
        assert_eq!(raw.now(&left.uuid).await, left);
    }
    let told = outcomes(&mut raw, &through.uuid, BulkResult::Succeeded).await;
    let numbers: Vec<_> = told.iter().map(|it| it.number).collect();
    assert_eq!(numbers, (1..=MANY).collect::<Vec<_>>());
    assert!(told.iter().all(|it| found.contains_key(&it.transfer_uuid)));
    let refused = outcomes(&mut raw, &through.uuid, BulkResult::Refused).await;
    assert_eq!(refused, []);

    let mut events = raw.log().await;
    events.retain(|it| it.transfer_uuid.is_empty());
    let told: Vec<_> = events
        .into_iter()
        .map(|it| (it.r#type(), it.detail))
        .collect();
    let detail = |operation: &v1::BulkOperation| {
        Some(Detail::BulkOperation(v1::BulkOperationDetail {
            verb: operation.verb,
            state: operation.state,
            matched: operation.matched,
            succeeded: operation.succeeded,
            refused: operation.refused,
        }))
    };
    let expected = [
        (EventType::BulkOperationStarted, detail(&started)),
        (EventType::BulkOperationEnded, detail(&through)),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_dry_run_says_what_is_meant_and_changes_nothing() {
    let (_world, mut raw) = world().await;
    declare(&raw, 12).await;
    let running = raw.running().await;
    let cancelled = raw.declared().await;
    raw.cancel(&cancelled.uuid).await;
    let before = raw.log().await;
    let request = v1::StartBulkOperationRequest {
        dry_run: true,
        request_id: "dry".to_owned(),
        ..bulk(BulkVerb::Cancel)
    };
    let answer = told(raw.bulks.start_bulk_operation(request.clone())).await;
    assert_eq!((answer.operation, answer.matched), (None, 13));
    assert_eq!(answer.sample.len(), 10, "the first of them");
    let request = v1::StartBulkOperationRequest {
        verb: BulkVerb::Delete.into(),
        ..request
    };
    let answer = told(raw.bulks.start_bulk_operation(request)).await;
    assert_eq!(answer.matched, 1);
    assert_eq!(answer.sample[0].uuid, cancelled.uuid);
    assert_eq!(raw.log().await, before);
    assert_eq!(raw.now(&running.uuid).await.revision, running.revision);
    let list = v1::ListBulkOperationsRequest::default();
    let list = told(raw.bulks.list_bulk_operations(list)).await;
    assert_eq!(list.operations, []);
}

#[tokio::test]
async fn what_is_refused_for_one_is_an_outcome_and_ends_nothing() {
    let (world, mut raw) = world().await;
    let completed = raw.standing(TransferStatus::Completed, &world.clock).await;
    let open = raw.declared().await;
    world.clock.advance(Duration::from_secs(1));
    let mut request = bulk(BulkVerb::Cancel);
    let status = [TransferStatus::Completed, TransferStatus::Pending];
    request.filter = Some(v1::TransferFilter {
        status: status.iter().map(|it| (*it).into()).collect(),
        ..v1::TransferFilter::default()
    });
    let started = start(&mut raw, request).await;
    let through = ended(&mut raw, &started.uuid).await;
    assert_eq!((through.succeeded, through.refused), (1, 1));
    let refused = outcomes(&mut raw, &started.uuid, BulkResult::Refused).await;
    let told = (&refused[0].transfer_uuid, refused[0].reason.as_str());
    assert_eq!(told, (&completed.uuid, "ILLEGAL_TRANSITION"));
    assert_eq!(
        raw.now(&open.uuid).await.status(),
        TransferStatus::Cancelled
    );
    let all = outcomes(&mut raw, &started.uuid, BulkResult::Unspecified).await;
    assert_eq!(all.len(), 2);
}

#[tokio::test]
async fn what_has_failed_is_tried_again_and_what_has_ended_is_deleted() {
    let (world, mut raw) = world().await;
    let failed = raw.standing(TransferStatus::Failed, &world.clock).await;
    let completed = raw.standing(TransferStatus::Completed, &world.clock).await;
    world.clock.advance(Duration::from_secs(1));
    let retry = start(&mut raw, bulk(BulkVerb::Retry)).await;
    let through = ended(&mut raw, &retry.uuid).await;
    assert_eq!(
        (through.matched, through.succeeded, through.refused),
        (1, 1, 0)
    );
    let tries = outcomes(&mut raw, &retry.uuid, BulkResult::Succeeded).await;
    let tried = raw.now(&tries[0].retried_by_uuid).await;
    assert_eq!(tried.retry_of_uuid, failed.uuid);
    assert_eq!(
        changed(&mut raw, &retry.uuid, EventType::Retried)
            .await
            .len(),
        1
    );

    world.clock.advance(Duration::from_secs(1));
    let deletion = start(&mut raw, bulk(BulkVerb::Delete)).await;
    let through = ended(&mut raw, &deletion.uuid).await;
    assert_eq!(
        (through.matched, through.succeeded, through.refused),
        (2, 2, 0)
    );
    let gone = changed(&mut raw, &deletion.uuid, EventType::Deleted).await;
    let expected = [failed.uuid, completed.uuid].map(|uuid| (uuid, 1));
    assert_eq!(gone, BTreeMap::from(expected));
    assert_eq!(raw.now(&tried.uuid).await, tried, "it has not ended");

    let mut list = v1::ListBulkOperationsRequest {
        page_size: 1,
        ..v1::ListBulkOperationsRequest::default()
    };
    for expected in [&deletion.uuid, &retry.uuid] {
        let page = told(raw.bulks.list_bulk_operations(list.clone())).await;
        assert_eq!(&page.operations[0].uuid, expected);
        list.page_token = page.next_page_token;
    }
    assert_eq!(list.page_token, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_stopped_goes_no_further() {
    let (world, mut raw) = world().await;
    declare(&raw, 2 * MANY).await;
    world.clock.advance(Duration::from_secs(1));
    let started = start(&mut raw, bulk(BulkVerb::Cancel)).await;
    let request = v1::StopBulkOperationRequest {
        uuid: started.uuid.clone(),
        request_id: "stop".to_owned(),
    };
    let stopped = told(raw.bulks.stop_bulk_operation(request.clone())).await;
    let stopped = stopped.operation.expect("it is there");
    assert_eq!(stopped.state(), BulkState::Stopped);
    assert!(stopped.succeeded < 2 * MANY, "{stopped:?}");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(get(&mut raw, &started.uuid).await, stopped);
    let done = changed(&mut raw, &started.uuid, EventType::Cancelled).await;
    assert_eq!(done.len(), usize::try_from(stopped.succeeded).expect("few"));
    let again = told(raw.bulks.stop_bulk_operation(request.clone())).await;
    assert_eq!(again.operation.as_ref(), Some(&stopped));
    let once_more = v1::StopBulkOperationRequest {
        request_id: "another".to_owned(),
        ..request
    };
    let again = told(raw.bulks.stop_bulk_operation(once_more)).await;
    assert_eq!(again.operation, Some(stopped));
    let mut events = raw.log().await;
    events.retain(|it| it.r#type() == EventType::BulkOperationEnded);
    assert_eq!(events.len(), 1);
}

#[tokio::test]
async fn what_is_not_said_clearly_is_refused() {
    let (_world, mut raw) = world().await;
    let sound = bulk(BulkVerb::Delete);
    let (mut vague, mut twice, mut verbless) = (sound.clone(), sound.clone(), sound.clone());
    let (mut because, mut patient) = (sound.clone(), sound.clone());
    vague.filter = None;
    twice.all = true;
    verbless.verb = 0;
    because.reason = "why".to_owned();
    patient.grace = Some(wire_duration(Duration::from_secs(1)));
    for (request, field) in [
        (vague, "filter"),
        (twice, "all"),
        (verbless, "verb"),
        (because, "reason"),
        (patient, "grace"),
    ] {
        let refused = raw.bulks.start_bulk_operation(request).await;
        let refused = refused.expect_err(field);
        let refused = assert_refused(&refused, Code::InvalidArgument, "INVALID_FIELDS");
        assert_eq!(refused.metadata["fields"], field);
    }
    let all = v1::StartBulkOperationRequest {
        filter: None,
        all: true,
        ..sound
    };
    let started = start(&mut raw, all).await;
    ended(&mut raw, &started.uuid).await;
    let uuid = NOBODY.to_owned();
    let get = v1::GetBulkOperationRequest { uuid: uuid.clone() };
    let got = raw.bulks.get_bulk_operation(get).await.map(drop);
    let stop = v1::StopBulkOperationRequest {
        uuid: uuid.clone(),
        ..v1::StopBulkOperationRequest::default()
    };
    let stopped = raw.bulks.stop_bulk_operation(stop).await.map(drop);
    let list = v1::ListBulkOutcomesRequest {
        uuid: uuid.clone(),
        ..v1::ListBulkOutcomesRequest::default()
    };
    let listed = raw.bulks.list_bulk_outcomes(list).await.map(drop);
    for answer in [got, stopped, listed] {
        let refused = answer.expect_err("there is none");
        let refused = assert_refused(&refused, Code::NotFound, "BULK_OPERATION_NOT_FOUND");
        assert_eq!(refused.metadata["uuid"], uuid);
    }
}

#[tokio::test]
async fn one_that_was_started_by_an_admin_goes_on_in_their_name() {
    let world = World::start_with(WorldOptions::guarded()).await;
    let mut raw = world.services().await;
    let bearing = |request| tidegate_tests::actors::bearing(world.admin(), request);
    let created = done(raw.transfers.create_transfer(bearing(plain()))).await;
    let request = bulk(BulkVerb::Cancel);
    let request = tidegate_tests::actors::bearing(world.admin(), request);
    let started = told(raw.bulks.start_bulk_operation(request)).await;
    let started = started.operation.expect("it was started");
    assert!(!started.created_by_uuid.is_empty());
    let wait = async {
        loop {
            let events = v1::ListEventsRequest {
                transfer_uuid: created.uuid.clone(),
                ..v1::ListEventsRequest::default()
            };
            let events = tidegate_tests::actors::bearing(world.admin(), events);
            let events = told(raw.events.list_events(events)).await.events;
            if let [_, cancelled] = events.as_slice() {
                return cancelled.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let cancelled = soon("the cancellation", wait).await;
    let admin = format!("admin:{}", started.created_by_uuid);
    assert_eq!(
        (cancelled.r#type(), &cancelled.actor),
        (EventType::Cancelled, &admin)
    );
    assert_eq!(cancelled.actor_uuid, started.created_by_uuid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_goes_on_where_it_was() {
    let database = Database::fresh().await;
    let server = ServerProcess::start(&database, 0, &[]).await;
    let mut raw = Raw::on(server.channel().await);
    declare(&raw, 2 * MANY).await;
    let started = start(&mut raw, bulk(BulkVerb::Cancel)).await;
    let wait = async { while get(&mut raw, &started.uuid).await.succeeded == 0 {} };
    soon("the first step", wait).await;
    server.kill().await;
    let server = ServerProcess::start(&database, 0, &[]).await;
    let mut raw = Raw::on(server.channel().await);
    let through = ended(&mut raw, &started.uuid).await;
    assert_eq!((through.succeeded, through.refused), (2 * MANY, 0));
    let found = changed(&mut raw, &started.uuid, EventType::Cancelled).await;
    assert_eq!(count(found.len()), 2 * MANY);
    assert!(found.values().all(|count| *count == 1));
    let told = outcomes(&mut raw, &started.uuid, BulkResult::Unspecified).await;
    assert_eq!(count(told.len()), 2 * MANY);
}

#[tokio::test]
async fn one_that_has_ended_is_kept_as_long_as_events_are() {
    let day = Duration::from_secs(24 * 3_600);
    let world = World::start_with(WorldOptions {
        event_retention: Some(day),
        sweep_interval: Duration::from_millis(10),
        ..WorldOptions::still()
    })
    .await;
    let mut raw = world.services().await;
    declare(&raw, 3).await;
    world.clock.advance(Duration::from_secs(1));
    let started = start(&mut raw, bulk(BulkVerb::Cancel)).await;
    ended(&mut raw, &started.uuid).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    get(&mut raw, &started.uuid).await;
    world.clock.advance(day + Duration::from_secs(1));
    let wait = async {
        loop {
            let uuid = started.uuid.clone();
            let found = raw
                .bulks
                .get_bulk_operation(v1::GetBulkOperationRequest { uuid });
            if let Err(refusal) = found.await {
                return refusal;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let refusal = soon("its deletion", wait).await;
    assert_refused(&refusal, Code::NotFound, "BULK_OPERATION_NOT_FOUND");
}

mod postgres_only {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn two_replicas_do_everything_once() {
        let a = World::start().await;
        let mut b = a.replica().await;
        let (mut on_a, mut on_b) = (a.services().await, b.services().await);
        declare(&on_a, MANY).await;
        let started = start(&mut on_a, bulk(BulkVerb::Cancel)).await;
        let again = start(&mut on_b, bulk(BulkVerb::Delete)).await;
        for operation in [&started, &again] {
            ended(&mut on_b, &operation.uuid).await;
        }
        b.stop().await;
        let through = get(&mut on_a, &started.uuid).await;
        assert_eq!((through.succeeded, through.refused), (MANY, 0));
        let found = changed(&mut on_a, &started.uuid, EventType::Cancelled).await;
        assert_eq!(count(found.len()), MANY);
        assert!(found.values().all(|count| *count == 1));
        let told = outcomes(&mut on_a, &started.uuid, BulkResult::Unspecified).await;
        assert_eq!(count(told.len()), MANY);
    }
}
