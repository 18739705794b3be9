use uuid::Uuid;

use super::*;
use crate::{
    caller::Role,
    command::Verb,
    decide::{Change, decide},
    fixtures::{caller, id, stop_order, transfer},
    stop::{StopKind, StopOrder},
    time::Timestamp,
};

const NOW: Timestamp = Timestamp::from_micros(1_000);

fn changed(before: &Transfer, verb: &Verb, caller: Option<&Caller>) -> (Transfer, About) {
    match decide(before, verb, NOW).expect("it is allowed") {
        Change::Transition(after, body) => {
            let about = About::change(before, Some(&after), &body, caller);
            (after, about)
        }
        other => panic!("no transition: {other:?}"),
    }
}

/// A transfer that the credential 5 runs.
fn running() -> Transfer {
    Transfer {
        status: TransferStatus::InProgress,
        lease_epoch: 2,
        lease_owner_uuid: Some(id(5)),
        agent_instance: "host-1".to_owned(),
        started_at: Some(NOW),
        ..transfer()
    }
}

fn stop(kind: StopKind) -> Verb {
    Verb::Stop(StopOrder {
        grace: Some(std::time::Duration::ZERO),
        ..stop_order(kind)
    })
}

#[test]
fn the_transfer_is_told_as_it_was_declared() {
    let (before, nobody) = (transfer(), Caller::anonymous(None));
    let verb = Verb::RequestApproval {
        expires_in: std::time::Duration::from_secs(60),
    };
    let wanted = About {
        table_name: Some("characters".to_owned()),
        direction: Some(Direction::Send),
        ..About::default()
    };
    assert_eq!(changed(&before, &verb, Some(&nobody)).1, wanted);
}

#[test]
fn a_run_is_told_with_its_owner_from_the_start_to_the_end() {
    let start = Verb::Start {
        heartbeat_timeout: None,
        agent_instance: "host-1".to_owned(),
        owner_uuid: Some(id(5)),
    };
    let lease = |epoch| {
        Some(EventLease {
            epoch,
            owner_uuid: Some(id(5)),
            agent_instance: "host-1".to_owned(),
        })
    };
    let (run, about) = changed(&transfer(), &start, None);
    assert_eq!(about.lease, lease(1));
    let complete = Verb::Complete {
        lease_epoch: None,
        report: crate::progress::Report::default(),
    };
    assert_eq!(changed(&run, &complete, None).1.lease, lease(1));
    // A pause takes the lease away, and the event says from whom.
    let (paused, about) = changed(&running(), &stop(StopKind::Pause), None);
    assert_eq!(paused.lease_owner_uuid, None);
    assert_eq!(about.lease, lease(2));
    let (_, about) = changed(&paused, &Verb::Resume { only: None }, None);
    assert_eq!(about.lease, None, "nobody runs it");
}

#[test]
fn an_approval_of_ones_own_is_flagged() {
    let approve = |before: &Transfer, by: Uuid, caller: &Caller| {
        let verb = Verb::Approve {
            admin_user_uuid: by,
            comment: String::new(),
            revision: None,
        };
        changed(before, &verb, Some(caller)).1.self_approval
    };
    let mut waiting = Transfer {
        status: TransferStatus::PendingApproval,
        approval_expires_at: Some(Timestamp::from_micros(9_000)),
        ..transfer()
    };
    waiting.declared.initiated_by_uuid = Some(id(7));
    let nobody = Caller::anonymous(None);
    assert!(!approve(&waiting, id(8), &nobody));
    assert!(approve(&waiting, id(7), &nobody), "the initiator");
    // The credential of these callers is 99.
    let approver = caller(Role::Approver, None);
    assert!(!approve(&waiting, id(8), &approver));
    waiting.acted_by_uuid = Some(id(99));
    assert!(approve(&waiting, id(8), &approver), "who declared it");
}

#[test]
fn a_run_that_somebody_else_ends_at_once_is_flagged() {
    let admin = caller(Role::Admin, None);
    let overridden = |before: &Transfer, verb: &Verb, caller: Option<&Caller>| {
        changed(before, verb, caller).1.overridden
    };
    let own = Transfer {
        lease_owner_uuid: admin.credential(),
        ..running()
    };
    for kind in [StopKind::Cancel, StopKind::Pause] {
        let at_once = stop(kind);
        assert!(overridden(&running(), &at_once, Some(&admin)), "{kind}");
        assert!(!overridden(&own, &at_once, Some(&admin)), "their own");
        let server = Caller::server();
        assert!(!overridden(&running(), &at_once, Some(&server)), "{kind}");
        assert!(!overridden(&running(), &at_once, None), "{kind}");
        assert!(!overridden(&transfer(), &at_once, Some(&admin)), "no run");
        let asked = Verb::Stop(StopOrder {
            grace: Some(std::time::Duration::from_secs(9)),
            ..stop_order(kind)
        });
        assert!(!overridden(&running(), &asked, Some(&admin)), "{kind}");
    }
}
