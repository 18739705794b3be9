//! Filters and pages.

use std::time::Duration;

use uuid::Uuid;

use super::fixture::{Fixture, at, full, plain};
use tidegate_domain::{
    caller::ConnectionScope,
    fixtures::id,
    id::{CredentialId, TransferId},
    page::Position,
    query::{ApprovalFilter, SortOrder, TransferFilter, Window},
    reconcile::ReconciliationState,
    status::{Direction, TransferStatus},
    transfer::{Decision, Transfer},
};

/// Transfers of every kind, the same in every run; many share a time, so that uuids decide.
pub(super) fn crowd() -> Vec<Transfer> {
    (0..180_u64)
        .map(|number| {
            let mut seed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 8;
            let mut pick = |among: u64| {
                let picked = seed % among;
                seed /= among;
                usize::try_from(picked).expect("a small number")
            };
            let mut transfer = plain(u128::from(number) * 0x9E37_79B9_7F4A_7C15);
            transfer.status = TransferStatus::ALL[pick(9)];
            transfer.declared.direction = Direction::ALL[pick(2)];
            transfer.declared.table_name = ["items", "ITEMS", "rooms"][pick(3)].to_owned();
            transfer.declared.connection_uuid = [None, Some(id(0)), Some(id(u128::MAX))][pick(3)];
            transfer.declared.plan_uuid = [None, Some(id(1)), Some(id(2))][pick(3)];
            transfer.reconciliation = ReconciliationState::ALL[pick(4)].into();
            transfer.requires_approval = pick(2) == 0;
            transfer.declared.requires_approval = transfer.requires_approval;
            let mut time = |among| at(i64::try_from(pick(among)).expect("a small number"));
            transfer.inserted_at = at(time(25).as_micros() * 10 - 50);
            transfer.approval_expires_at = Some(time(33)).filter(|end| end.as_micros() > 2);
            transfer.heartbeat_expires_at = Some(time(188)).filter(|end| end.as_micros() > 9);
            let limit = time(60).as_micros().unsigned_abs();
            transfer.heartbeat_timeout = Some(Duration::from_micros(limit));
            history(&mut transfer, number);
            transfer
        })
        .collect()
}

/// Who did something to it, and when.
fn history(transfer: &mut Transfer, number: u64) {
    let pick = |among: u64| i64::try_from(number % among).expect("a small number");
    let person = |of: u64| (!of.is_multiple_of(3)).then(|| Uuid::from_u128(u128::from(of % 3)));
    let time = pick(7);
    transfer.declared.initiated_by_uuid = person(number);
    let decision = person(number + 1).map(|by| Decision { by, at: at(time) });
    match number % 4 {
        0 => transfer.approved = decision,
        1 => transfer.denied = decision,
        _ => {}
    }
    transfer.lease_owner_uuid = person(number / 2).map(CredentialId);
    transfer.started_at = (time > 1).then_some(at(time));
    transfer.completed_at = (time > 3).then_some(at(time + 2));
    transfer.updated_at = at(time * 2);
    transfer.totals.records_failed = pick(2);
}

pub(super) fn sorted(mut transfers: Vec<Transfer>, order: SortOrder) -> Vec<TransferId> {
    transfers.sort_by_key(|transfer| (transfer.inserted_at, transfer.uuid));
    if order == SortOrder::Descending {
        transfers.reverse();
    }
    transfers
        .into_iter()
        .map(|transfer| transfer.uuid)
        .collect()
}

#[tokio::test]
async fn pages_join_to_the_whole_list() {
    let fixture = Fixture::new().await;
    let crowd = crowd();
    fixture.insert(&crowd).await;
    let filter = TransferFilter {
        connections: ConnectionScope::Only(id(0)),
        ..TransferFilter::default()
    };
    for filter in [TransferFilter::default(), filter] {
        let wanted: Vec<_> = crowd
            .iter()
            .filter(|each| filter.matches(each))
            .cloned()
            .collect();
        for order in [SortOrder::Ascending, SortOrder::Descending] {
            let mut found = Vec::new();
            let mut after = None;
            loop {
                let window = Window {
                    after,
                    skip: 0,
                    limit: 7,
                };
                let page = fixture
                    .store
                    .transfers(&filter, order, window)
                    .await
                    .expect("read");
                let Some(last) = page.last() else { break };
                after = Some(Position {
                    micros: last.inserted_at.as_micros(),
                    uuid: last.uuid.into(),
                });
                found.extend(page.into_iter().map(|each| each.uuid));
            }
            assert_eq!(found, sorted(wanted.clone(), order), "{filter:?} {order:?}");
        }
        let all = sorted(wanted, SortOrder::Ascending);
        let window = Window {
            after: None,
            skip: 5,
            limit: 3,
        };
        let skipped = fixture
            .store
            .transfers(&filter, SortOrder::Ascending, window);
        let skipped: Vec<_> = skipped
            .await
            .expect("read")
            .into_iter()
            .map(|each| each.uuid)
            .collect();
        assert_eq!(skipped, all[5..8]);
    }
}

/// Those of the crowd that wait for a decision and are meant by `filter`, nearest deadline first.
fn waiting(crowd: &[Transfer], filter: impl Fn(&Transfer) -> bool) -> Vec<TransferId> {
    let mut waiting: Vec<_> = crowd
        .iter()
        .filter(|each| each.status == TransferStatus::PendingApproval && filter(each))
        .collect();
    waiting.sort_by_key(|each| (each.approval_expires_at, each.uuid));
    waiting.into_iter().map(|each| each.uuid).collect()
}

#[tokio::test]
async fn overdue_approvals_are_those_at_or_past_their_deadline() {
    let fixture = Fixture::new().await;
    let crowd = crowd();
    fixture.insert(&crowd).await;
    let now = at(16);
    let wanted = waiting(&crowd, |each| {
        each.approval_expires_at.is_some_and(|end| end <= now)
    });
    let found = fixture
        .store
        .overdue_approvals(now, 1_000)
        .await
        .expect("read");
    assert_eq!(found, wanted);
    let found = fixture.store.overdue_approvals(now, 2).await.expect("read");
    assert_eq!(found, wanted[..2]);
}

#[tokio::test]
async fn retries_are_due_in_their_order() {
    let fixture = Fixture::new().await;
    let failed = |number, retry_at| {
        let mut transfer = plain(number);
        transfer.status = TransferStatus::Failed;
        transfer.completed_at = Some(at(1));
        transfer.retry_at = retry_at;
        transfer
    };
    let crowd = [
        failed(1, Some(at(16))),
        failed(2, Some(at(9))),
        failed(3, None),
        failed(4, Some(at(17))),
    ];
    fixture.insert(&crowd).await;
    let found = fixture.store.due_retries(at(16), 1_000).await;
    assert_eq!(found.expect("read"), [crowd[1].uuid, crowd[0].uuid]);
    let found = fixture.store.due_retries(at(16), 1).await;
    assert_eq!(found.expect("read"), [crowd[1].uuid]);
}

#[tokio::test]
async fn what_had_ended_is_old_unless_it_is_to_be_tried_again() {
    let fixture = Fixture::new().await;
    let ended = |number, inserted_at, completed_at| {
        let mut transfer = plain(number);
        transfer.status = TransferStatus::Failed;
        transfer.inserted_at = at(inserted_at);
        transfer.completed_at = Some(at(completed_at));
        transfer
    };
    let mut waits = ended(4, 1, 2);
    waits.retry_at = Some(at(99));
    let mut open = plain(5);
    open.inserted_at = at(1);
    let crowd = [ended(1, 3, 5), ended(2, 2, 9), ended(3, 2, 10), waits, open];
    fixture.insert(&crowd).await;
    let found = fixture.store.ended_transfers(at(10), 1_000).await;
    assert_eq!(found.expect("read"), [crowd[1].uuid, crowd[0].uuid]);
    let found = fixture.store.ended_transfers(at(10), 1).await;
    assert_eq!(found.expect("read"), [crowd[1].uuid]);
}

#[tokio::test]
async fn starts_are_overdue_until_the_transfer_has_ended() {
    let fixture = Fixture::new().await;
    let waits = |number, start_expires_at| {
        let mut transfer = plain(number);
        transfer.start_expires_at = start_expires_at;
        transfer
    };
    let mut ended = waits(4, Some(at(1)));
    (ended.status, ended.completed_at) = (TransferStatus::Expired, Some(at(2)));
    let crowd = [
        waits(1, Some(at(16))),
        waits(2, Some(at(9))),
        waits(3, None),
        ended,
        waits(5, Some(at(17))),
    ];
    fixture.insert(&crowd).await;
    let found = fixture.store.overdue_starts(at(16), 1_000).await;
    assert_eq!(found.expect("read"), [crowd[1].uuid, crowd[0].uuid]);
    let found = fixture.store.overdue_starts(at(16), 1).await;
    assert_eq!(found.expect("read"), [crowd[1].uuid]);
}

#[tokio::test]
async fn runs_are_overdue_that_have_not_finished_and_that_nobody_asked_to_stop() {
    let fixture = Fixture::new().await;
    let runs = |number, finish_expires_at, is_asked| {
        let mut transfer = full(number);
        transfer.status = TransferStatus::InProgress;
        transfer.heartbeat_expires_at = None;
        transfer.finish_expires_at = finish_expires_at;
        transfer.stop = transfer.stop.filter(|_| is_asked);
        transfer
    };
    let crowd = [
        runs(1, Some(at(16)), false),
        runs(2, Some(at(17)), false),
        runs(3, None, false),
        runs(4, Some(at(16)), true),
    ];
    fixture.insert(&crowd).await;
    let found = fixture.store.overdue_runs(at(16), at(16), 1_000).await;
    assert_eq!(found.expect("read"), [crowd[0].uuid]);
}

#[tokio::test]
async fn approvals_are_listed_until_they_are_overdue() {
    let fixture = Fixture::new().await;
    let crowd = crowd();
    fixture.insert(&crowd).await;
    let now = at(16);
    let by_table = ApprovalFilter {
        table_name: Some("ITEMS".to_owned()),
        connections: ConnectionScope::All,
    };
    let by_site = ApprovalFilter {
        connections: ConnectionScope::Only(id(u128::MAX)),
        table_name: None,
    };
    for filter in [ApprovalFilter::default(), by_table, by_site] {
        let wanted = waiting(&crowd, |each| {
            let declared = &each.declared;
            each.approval_expires_at.is_some_and(|end| now < end)
                && filter
                    .table_name
                    .as_ref()
                    .is_none_or(|name| *name == declared.table_name)
                && filter.connections.contains(declared.connection_uuid)
        });
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let window = Window {
                after,
                skip: 0,
                limit: 3,
            };
            let page = fixture
                .store
                .pending_approvals(&filter, now, window)
                .await
                .expect("read");
            let Some(last) = page.last() else { break };
            let micros = last.approval_expires_at.expect("it has one").as_micros();
            after = Some(Position {
                micros,
                uuid: last.uuid.into(),
            });
            found.extend(page.into_iter().map(|each| each.uuid));
        }
        assert!(!found.is_empty());
        assert_eq!(found, wanted, "{filter:?}");
    }
}

#[tokio::test]
async fn runs_are_overdue_whose_heartbeat_or_stop_ran_out() {
    let fixture = Fixture::new().await;
    let crowd = crowd();
    fixture.insert(&crowd).await;
    // Their agents could report for the last 30 microseconds.
    let (now, since) = (at(94), at(64));
    let ran_out = crowd.iter().filter(|each| {
        each.status == TransferStatus::InProgress
            && each.heartbeat_expires_at.is_some_and(|end| end <= now)
    });
    let ran_out: Vec<_> = ran_out.cloned().collect();
    let limit = |each: &Transfer| each.heartbeat_timeout.expect("it has one");
    let silent = ran_out
        .iter()
        .filter(|each| limit(each) <= now.since(since));
    let wanted = sorted(silent.cloned().collect(), SortOrder::Ascending);
    assert!(!wanted.is_empty() && wanted.len() < ran_out.len());
    assert_eq!(
        fixture
            .store
            .overdue_runs(now, since, 1_000)
            .await
            .expect("read"),
        wanted
    );
    assert_eq!(
        fixture
            .store
            .overdue_runs(now, since, 1)
            .await
            .expect("read"),
        wanted[..1]
    );
}

#[tokio::test]
async fn those_that_moved_are_found_page_by_page_whatever_their_number() {
    let fixture = Fixture::new().await;
    let mut crowd = crowd();
    for (place, transfer) in (0..).zip(&mut crowd) {
        transfer.updated_at = at(place);
    }
    fixture.insert(&crowd).await;
    let since = at(40);
    let moved = crowd.iter().filter(|transfer| {
        transfer.status == TransferStatus::InProgress && transfer.updated_at >= since
    });
    let expected = sorted(moved.cloned().collect(), SortOrder::Ascending);
    assert!(expected.len() > 5);
    for limit in [1, 3, 500] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = fixture.store.moved_since(since, after, limit).await;
            let page = page.expect("a page");
            found.extend(page.iter().map(|(place, _)| TransferId(place.uuid)));
            if page.len() < limit as usize {
                break;
            }
            after = page.last().map(|(place, _)| *place);
        }
        assert_eq!(found, expected, "{limit} at a time");
    }

    // Asked to stop, and not asked any more.
    let mut asked = full(5_000);
    asked.status = TransferStatus::InProgress;
    asked.heartbeat_expires_at = None;
    let stop = asked.stop.as_mut().expect("it has one");
    (stop.requested_at, stop.grace) = (at(60), Some(Duration::from_micros(30)));
    let mut ended = full(5_001);
    ended.stop.clone_from(&asked.stop);
    ended.status = TransferStatus::Cancelled;
    fixture.insert(&[asked.clone(), ended]).await;
    for (now, since, found) in [
        (89, 30, false),
        (90, 61, false),
        (90, 60, true),
        (95, 30, true),
    ] {
        let overdue = fixture.store.overdue_runs(at(now), at(since), 1_000).await;
        let overdue = overdue.expect("read");
        assert_eq!(overdue.contains(&asked.uuid), found, "{now} {since}");
        assert!(overdue.iter().all(|uuid| *uuid != id(5_001)));
    }
}
