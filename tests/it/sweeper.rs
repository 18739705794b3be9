//! What deadlines make due: all of it, nothing else, once, with or without the sweeper.

use std::{collections::HashMap, time::Duration};

use futures::future::join_all;
use tidegate_proto::v1::{self, EventType, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused, metrics,
    raw::{ADMIN, Raw, told, wire_time},
    soon,
};
use tonic::Code;

/// So many new transfers that wait for a decision.
async fn asked(connections: &[Raw], count: usize, expires_in: Duration) -> Vec<v1::Transfer> {
    let asked = (0..count).map(|number| {
        let mut raw = connections[number % connections.len()].clone();
        async move {
            let uuid = raw.declared().await.uuid;
            raw.ask(&uuid, expires_in).await
        }
    });
    join_all(asked).await
}

/// So many sweeps at once; what each has expired.
async fn sweeps(connections: &[Raw], count: usize) -> Vec<i64> {
    let sweeps = (0..count).map(|number| {
        let mut raw = connections[number % connections.len()].clone();
        async move {
            let request = v1::ExpirePendingApprovalsRequest::default();
            let answer = told(raw.transfers.expire_pending_approvals(request)).await;
            answer.expired_count
        }
    });
    join_all(sweeps).await
}

async fn in_status(raw: &mut Raw, status: TransferStatus) -> i64 {
    let filter = v1::TransferFilter {
        status: vec![status.into()],
        ..v1::TransferFilter::default()
    };
    let request = v1::CountTransfersRequest {
        filter: Some(filter),
    };
    told(raw.transfers.count_transfers(request)).await.count
}

/// Waits until so many are EXPIRED.
async fn until_expired(raw: &mut Raw, count: i64) {
    soon("the sweep", async {
        while in_status(raw, TransferStatus::Expired).await < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

fn by_transfer(log: Vec<v1::Event>) -> HashMap<String, Vec<v1::Event>> {
    let mut events: HashMap<_, Vec<_>> = HashMap::new();
    for event in log {
        events
            .entry(event.transfer_uuid.clone())
            .or_default()
            .push(event);
    }
    events
}

fn types(events: &[v1::Event]) -> Vec<EventType> {
    events.iter().map(v1::Event::r#type).collect()
}

fn sweeping() -> WorldOptions {
    WorldOptions {
        sweep_interval: Duration::from_millis(20),
        ..WorldOptions::still()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_overdue_expire_with_one_event_each() {
    let world = World::start_with(sweeping()).await;
    let connections = join_all((0..8).map(|_| world.services())).await;
    let minute = Duration::from_secs(60);
    let overdue = asked(&connections, 2_000, minute).await;
    // One microsecond more to go.
    let waiting = asked(&connections, 2_000, minute + Duration::from_micros(1)).await;
    world.clock.advance(minute);
    let now = Some(wire_time(world.clock.now()));
    let mut raw = world.services().await;
    until_expired(&mut raw, 2_000).await;

    let events = by_transfer(raw.log().await);
    assert_eq!(events.len(), overdue.len() + waiting.len());
    for each in &overdue {
        let events = &events[&each.uuid];
        assert_eq!(
            types(events),
            [
                EventType::Created,
                EventType::ApprovalRequested,
                EventType::Expired
            ]
        );
        let last = &events[2];
        assert_eq!(
            (last.actor.as_str(), last.occurred_at, last.revision),
            ("sweeper", now, 3)
        );
    }
    for each in &waiting {
        assert_eq!(
            types(&events[&each.uuid]),
            [EventType::Created, EventType::ApprovalRequested]
        );
    }
    let left = in_status(&mut raw, TransferStatus::PendingApproval).await;
    assert_eq!(left, 2_000);
    let expired = raw.now(&overdue[0].uuid).await;
    let expected = v1::Transfer {
        status: TransferStatus::Expired.into(),
        expiry_reason: v1::ExpiryReason::ApprovalExpired.into(),
        completed_at: now,
        updated_at: now,
        revision: 3,
        ..overdue[0].clone()
    };
    assert_eq!(expired, expected);

    // The next microsecond is theirs.
    world.clock.advance(Duration::from_micros(1));
    until_expired(&mut raw, 4_000).await;
    let left = in_status(&mut raw, TransferStatus::PendingApproval).await;
    let events = raw.log().await.len();
    assert_eq!(
        (left, events),
        (0, 4_000 * 3),
        "and nothing is expired twice"
    );
}

#[tokio::test]
async fn without_any_sweeper_a_late_decision_expires_the_transfer() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let uuid = raw.declared().await.uuid;
    raw.ask(&uuid, Duration::from_secs(1)).await;
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(
        raw.now(&uuid).await.status(),
        TransferStatus::PendingApproval,
        "nobody swept"
    );
    let request = v1::ApproveTransferRequest {
        uuid: uuid.clone(),
        admin_user_uuid: ADMIN.to_owned(),
        ..v1::ApproveTransferRequest::default()
    };
    for _ in 0..3 {
        let refusal = raw
            .transfers
            .approve_transfer(request.clone())
            .await
            .expect_err("too late");
        assert_refused(&refusal, Code::FailedPrecondition, "APPROVAL_EXPIRED");
        assert_eq!(raw.now(&uuid).await.status(), TransferStatus::Expired);
    }
    assert_eq!(raw.events_of(&uuid).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_sweeps_at_once_each_counts_what_it_expired() {
    let world = World::start_with(WorldOptions::still()).await;
    let connections = join_all((0..4).map(|_| world.services())).await;
    // More than a sweep takes at a time.
    asked(&connections, 700, Duration::from_secs(1)).await;
    asked(&connections, 50, Duration::from_secs(60)).await;
    world.clock.advance(Duration::from_secs(1));
    let counts = sweeps(&connections, connections.len()).await;
    assert_eq!(counts.iter().sum::<i64>(), 700, "{counts:?}");
    let mut raw = world.services().await;
    assert_eq!(in_status(&mut raw, TransferStatus::Expired).await, 700);
    assert_eq!(
        in_status(&mut raw, TransferStatus::PendingApproval).await,
        50
    );
    let expired = raw
        .log()
        .await
        .into_iter()
        .filter(|event| event.r#type() == EventType::Expired);
    assert_eq!(expired.count(), 700);
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeps_that_are_asked_for_during_one_are_carried_out_as_one() {
    let options = WorldOptions {
        metrics: true,
        ..WorldOptions::still()
    };
    let world = World::start_with(options).await;
    let address = world.metrics.clone().expect("a listener");
    let connections = join_all((0..4).map(|_| world.services())).await;
    asked(&connections, 100, Duration::from_secs(1)).await;
    world.clock.advance(Duration::from_secs(1));
    let commands = || metrics::sample(&address, "tidegate_ledger_batch_commands_sum");
    let before = commands().await;
    let counts = sweeps(&connections, 40).await;
    assert_eq!(counts.iter().sum::<i64>(), 100, "{counts:?}");
    let commands = commands().await - before;
    assert!(
        (100.0..=300.0).contains(&commands),
        "{commands} commands to end 100 transfers"
    );
}

#[tokio::test]
async fn what_became_due_while_nobody_served_is_swept_after_the_start() {
    let mut world = World::start_with(sweeping()).await;
    let mut raw = world.services().await;
    let uuid = raw.declared().await.uuid;
    raw.ask(&uuid, Duration::from_secs(5)).await;
    drop(raw);
    world.stop().await;
    world.clock.advance(Duration::from_secs(5));
    world.resume().await;
    let mut raw = world.services().await;
    until_expired(&mut raw, 1).await;
    assert_eq!(raw.events_of(&uuid).await.len(), 3);
}
