//! How long a run has to confirm a stop, and what a connection makes of its transfers.

use super::*;
use crate::stop::{Stop, StopCause};

fn order(grace: Option<Duration>) -> Verb {
    Verb::Stop(StopOrder {
        grace,
        by: Some(id(77)),
        ..stop_order(StopKind::Cancel)
    })
}

fn running(caller: &Caller) -> Transfer {
    let mut transfer = created(Policy::default(), caller).expect("it is allowed");
    transfer.status = TransferStatus::InProgress;
    transfer.lease_epoch = 1;
    transfer.started_at = Some(at(1));
    transfer
}

fn stopped(verdict: Result<Authorization, Refusal>) -> Stop {
    match verdict.expect("it is allowed").change {
        Change::Transition(after, _) => after.stop.expect("it is asked"),
        other => panic!("no transition: {other:?}"),
    }
}

#[test]
fn the_grace_is_as_asked_or_by_policy_or_as_the_server_is_set() {
    let policy = |stop_grace| {
        site(Policy {
            stop_grace,
            ..Policy::default()
        })
    };
    let known = known(Role::Agent, Some(north().uuid));
    for (asked, by_policy, grace) in [
        (Some(MINUTE), Some(2 * MINUTE), MINUTE),
        (None, Some(2 * MINUTE), 2 * MINUTE),
        (None, Some(Duration::ZERO), Duration::ZERO),
        (None, None, DEFAULTS.stop_grace),
    ] {
        let connection = policy(by_policy);
        let (transfer, verb) = (running(&known), order(asked));
        let verdict = authorize(&transfer, Some(&connection), &verb, &known, DEFAULTS, at(2));
        let stop = stopped(verdict);
        assert_eq!(stop.grace, Some(grace));
        assert_eq!(
            stop.requested_by_uuid,
            known.credential(),
            "not whom the verb names"
        );
    }
}

#[test]
fn a_connection_that_changes_has_its_transfers_follow() {
    use ConnectionStatus::{Active, Expired, Pending, Revoked, Suspended};
    use TransferStatus::{Approved, Completed, InProgress};
    let stop = |kind, cause| {
        Some(Stop {
            kind,
            cause,
            ..pending_stop()
        })
    };
    let paused = stop(StopKind::Pause, StopCause::ConnectionSuspended);
    let held = stop(StopKind::Pause, StopCause::Request);
    let cancelled = stop(StopKind::Cancel, StopCause::Request);
    for (connection, status, stop, wanted) in [
        (Suspended, InProgress, None, "PAUSE"),
        (Suspended, InProgress, cancelled.clone(), ""),
        (Suspended, InProgress, held.clone(), ""),
        (Suspended, Approved, None, ""),
        (Revoked, InProgress, None, "CANCEL"),
        (Revoked, InProgress, paused.clone(), "CANCEL"),
        (Revoked, InProgress, cancelled.clone(), ""),
        (Revoked, TransferStatus::PendingApproval, None, "CANCEL"),
        (Revoked, Approved, held.clone(), "CANCEL"),
        (Revoked, Completed, None, ""),
        (Active, Approved, paused.clone(), "RESUME"),
        (Active, InProgress, paused.clone(), "RESUME"),
        (Active, Approved, held, ""),
        (Active, InProgress, cancelled, ""),
        (Active, InProgress, None, ""),
        (Expired, InProgress, None, ""),
        (Pending, InProgress, paused, ""),
    ] {
        let mut site = north();
        site.status = connection;
        let mut transfer = running(&anyone());
        transfer.status = status;
        transfer.stop = stop;
        let found = site.follow_up(&transfer);
        let action = found.as_ref().map_or("", |verb| verb.action().name());
        assert_eq!(action, wanted, "{connection} {status} {:?}", transfer.stop);
        // Once it has followed there is nothing more to do.
        let Some(verb) = found else { continue };
        let caller = Caller::server();
        let verdict = authorize(&transfer, Some(&site), &verb, &caller, DEFAULTS, at(2));
        match verdict.expect("it is allowed").change {
            Change::Transition(after, _) => assert_eq!(site.follow_up(&after), None),
            other => panic!("no transition: {other:?}"),
        }
    }
}
