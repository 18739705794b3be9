//! What a lost heartbeat leads to, and when one counts as lost.

use super::*;
use crate::attempt::{Attempt, AttemptEnd};

#[test]
fn an_agent_that_could_not_report_keeps_its_transfer() {
    let mut running = standing(TransferStatus::InProgress);
    running.heartbeat_timeout = Some(SECOND);
    running.heartbeat_expires_at = Some(NOW);
    for (since, until, is_lost) in [
        (NOW, NOW.after(5 * SECOND), false),
        (NOW.before(SECOND), NOW.after(5 * SECOND), true),
        (NOW.before(SECOND / 2), NOW.after(5 * SECOND), false),
        (NOW.before(9 * SECOND), NOW.before(SECOND), false),
    ] {
        let reachable = Reachable { since, until };
        let change = decide(
            &running,
            &Verb::EndOverdue {
                reachable,
                grace: None,
            },
            NOW,
        )
        .expect("a decision");
        assert_eq!(change != Change::Nothing, is_lost, "{reachable:?}");
    }
}

#[test]
fn what_has_attempts_left_goes_back_to_where_it_was_started_from() {
    let by = id(1);
    for (approved, to) in [
        (None, TransferStatus::Pending),
        (Some(Decision { at: NOW, by }), TransferStatus::Approved),
    ] {
        let mut transfer = standing(TransferStatus::Pending);
        transfer.declared.max_attempts = Some(2);
        transfer.approved = approved;
        let mut lost = Vec::new();
        for epoch in 1..=2 {
            let start = Verb::Start {
                heartbeat_timeout: Some(SECOND),
                owner_uuid: Some(id(9)),
                agent_instance: "one".to_owned(),
            };
            transfer = entered(decide(&transfer, &start, NOW));
            assert_eq!(
                (transfer.lease_epoch, transfer.totals),
                (epoch, Totals::default())
            );
            let holder = transfer.lease().expect("it runs");
            assert_eq!((holder.epoch, holder.owner_uuid), (epoch, Some(id(9))));
            let report = Verb::UpdateProgress {
                lease_epoch: None,
                report: Report {
                    records_transferred: Some(7),
                    ..Report::default()
                },
                checkpoint: Some(vec![7]),
            };
            let Ok(Change::Progress(after)) = decide(&transfer, &report, NOW) else {
                panic!("it reports");
            };
            let end = NOW.after(SECOND);
            let verb = Verb::EndOverdue {
                reachable: ALWAYS,
                grace: None,
            };
            let decided = decide(&after, &verb, end);
            if let Ok(Change::Transition(then, event)) = &decided {
                lost.extend(Attempt::given_up(&after, then, event));
            }
            transfer = entered(decided);
            assert_eq!(
                (
                    transfer.checkpoint.as_slice(),
                    transfer.totals.records_transferred
                ),
                (&[7][..], 7)
            );
            if epoch == 1 {
                assert_eq!(
                    (transfer.status, transfer.lease(), transfer.started_at),
                    (to, None, None)
                );
                assert_eq!(transfer.heartbeat_expires_at, None);
                assert!(Attempt::latest(&transfer).is_none());
            }
        }
        assert_eq!(transfer.status, TransferStatus::Failed);
        let last = Attempt::latest(&transfer).expect("it ran");
        assert_eq!((last.epoch, last.end), (2, AttemptEnd::Failed));
        assert_eq!(last.error_message, transfer.error_message);
        assert_eq!(lost.len(), 1, "the second one is the latest");
        let first = &lost[0];
        assert_eq!(
            (first.epoch, first.end, first.owner_uuid),
            (1, AttemptEnd::Requeued, Some(id(9)))
        );
        assert_eq!(
            (first.started_at, first.ended_at),
            (NOW, Some(NOW.after(SECOND)))
        );
        assert_eq!(
            (
                first.checkpoint.as_slice(),
                first.totals.records_transferred
            ),
            (&[7][..], 7)
        );
    }
}

fn entered(decided: Result<Change, Refusal>) -> Transfer {
    match decided {
        Ok(Change::Transition(after, _)) => after,
        other => panic!("no transition: {other:?}"),
    }
}
