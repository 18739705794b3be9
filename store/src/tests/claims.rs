//! What may be started, in the order in which it is claimed.

use super::fixture::{Fixture, at, plain};
use tidegate_domain::{
    claim::{ClaimFilter, ClaimPosition},
    fixtures::id,
    id::TransferId,
    status::{Direction, TransferStatus},
    stop::{Stop, StopCause, StopKind},
    transfer::Transfer,
};

const NOW: i64 = 50;

/// Transfers of every kind, the same in every run; many share a priority and a time, so that uuids decide.
fn crowd() -> Vec<Transfer> {
    (0..400_u64)
        .map(|number| {
            let mut seed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 8;
            let mut pick = |among: u64| {
                let picked = seed % among;
                seed /= among;
                usize::try_from(picked).expect("a small number")
            };
            let mut transfer = plain(u128::from(number) * 0x9E37_79B9_7F4A_7C15);
            transfer.status = [
                TransferStatus::Pending,
                TransferStatus::Approved,
                TransferStatus::PendingApproval,
                TransferStatus::InProgress,
                TransferStatus::Cancelled,
            ][pick(5).saturating_sub(pick(3))];
            transfer.declared.connection_uuid = [None, Some(id(0)), Some(id(1))][pick(3)];
            transfer.declared.direction = Direction::ALL[pick(2)];
            transfer.declared.table_name = ["items", "ITEMS", "rooms"][pick(3)].to_owned();
            transfer.declared.priority = [-1, 0, 100][pick(3)];
            transfer.requires_approval = pick(3) == 0;
            transfer.declared.requires_approval = transfer.requires_approval;
            let mut time = || at(NOW - 1 + i64::try_from(pick(3)).expect("a small number"));
            transfer.inserted_at = time();
            let (early, late) = (time(), time());
            transfer.declared.not_before = Some(early).filter(|_| number % 3 == 0);
            transfer.start_expires_at = Some(late).filter(|_| number % 5 == 0);
            let paused = number % 7 == 0 && !transfer.status.is_terminal();
            transfer.stop = paused.then(|| Stop {
                kind: StopKind::Pause,
                cause: StopCause::Request,
                reason: String::new(),
                requested_at: at(1),
                requested_by_uuid: None,
                grace: None,
                stopped_at: Some(at(1)),
                forced: false,
            });
            transfer
        })
        .collect()
}

fn filters() -> Vec<ClaimFilter> {
    let mut filters = Vec::new();
    for connection_uuid in [None, Some(id(0)), Some(id(9))] {
        for direction in [None, Some(Direction::Send)] {
            for tables in [&[][..], &["items"], &["rooms", "ITEMS", "' OR 1=1 --"]] {
                filters.push(ClaimFilter {
                    connection_uuid,
                    direction,
                    table_names: tables.iter().map(ToString::to_string).collect(),
                });
            }
        }
    }
    filters
}

/// What the rules say.
fn expected(crowd: &[Transfer], filter: &ClaimFilter) -> Vec<TransferId> {
    let now = at(NOW);
    let mut all: Vec<_> = crowd
        .iter()
        .filter(|it| filter.awaits(it))
        .filter(|it| it.declared.not_before.is_none_or(|at| at <= now))
        .filter(|it| it.start_expires_at.is_none_or(|at| at > now))
        .collect();
    all.sort_by_key(|it| (-it.declared.priority, it.inserted_at, it.uuid));
    all.into_iter().map(|it| it.uuid).collect()
}

#[tokio::test]
async fn what_is_found_is_what_the_rules_let_start_page_by_page() {
    let fixture = Fixture::new().await;
    let crowd = crowd();
    fixture.insert(&crowd).await;
    let mut most = 0;
    for filter in filters() {
        let expected = expected(&crowd, &filter);
        most = most.max(expected.len());
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = fixture.store.startable(&filter, at(NOW), after, 7).await;
            let page = page.expect("read");
            after = page.last().map(ClaimPosition::from);
            found.extend(page.iter().map(|it| it.uuid));
            if page.len() < 7 {
                break;
            }
        }
        assert_eq!(found, expected, "{filter:?}");
    }
    assert!(most > 20, "the crowd has enough to look for");
}

#[tokio::test]
async fn the_next_start_is_the_earliest_that_is_still_to_come() {
    let fixture = Fixture::new().await;
    let crowd = crowd();
    fixture.insert(&crowd).await;
    let mut known = 0;
    for filter in filters() {
        let waiting = crowd.iter().filter(|it| filter.awaits(it));
        let times = waiting.filter_map(|it| it.declared.not_before);
        let expected = times.filter(|time| *time > at(NOW)).min();
        known += usize::from(expected.is_some());
        let found = fixture.store.next_start(&filter, at(NOW)).await;
        assert_eq!(found.expect("read"), expected, "{filter:?}");
    }
    assert!(known > 0, "some have a time");
}
