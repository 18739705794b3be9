//! Limits of time, as declared and by policy.

use super::*;

fn limited(start_within: Option<Duration>, finish_within: Option<Duration>) -> Policy {
    Policy {
        start_within,
        finish_within,
        ..Policy::default()
    }
}

fn create_with(policy: Policy, limits: impl FnOnce(&mut NewTransfer)) -> Result<Transfer, Refusal> {
    let mut new = declared();
    limits(&mut new);
    create(id(8), new, Some(&site(policy)), &anyone(), at(100))
}

#[test]
fn the_earlier_limit_holds() {
    for (start_by, within, expected) in [
        (None, None, None),
        (Some(150), None, Some(150)),
        (None, Some(MINUTE), Some(160)),
        (Some(150), Some(MINUTE), Some(150)),
        (Some(170), Some(MINUTE), Some(160)),
    ] {
        let transfer = create_with(limited(within, Some(MINUTE)), |new| {
            new.start_by = start_by.map(at);
        });
        let transfer = transfer.expect("it is allowed");
        assert_eq!(transfer.start_expires_at, expected.map(at));
        assert_eq!(transfer.finish_expires_at, None, "it counts from the start");
    }
}

#[test]
fn what_waits_for_an_approval_is_not_limited_by_the_policy_until_then() {
    let transfer = create_with(limited(Some(MINUTE), None), |new| {
        new.requires_approval = true;
        new.start_by = Some(at(900));
    });
    let transfer = transfer.expect("it is allowed");
    assert_eq!(transfer.start_expires_at, Some(at(900)));
    assert_eq!(transfer.start_within, Some(MINUTE));
}

#[test]
fn limits_lie_in_the_future_and_in_order() {
    type Limits = (Option<i64>, Option<i64>, Option<i64>);
    let violated = |(not_before, start_by, finish_by): Limits| {
        let created = create_with(Policy::default(), |new| {
            new.not_before = not_before.map(at);
            new.start_by = start_by.map(at);
            new.finish_by = finish_by.map(at);
        });
        match created {
            Ok(_) => Vec::new(),
            Err(Refusal::Invalid { fields }) => fields.into_iter().map(|it| it.field).collect(),
            Err(other) => panic!("{other}"),
        }
    };
    for (limits, fields) in [
        ((Some(5), None, None), &[][..]),
        ((Some(200), Some(201), Some(202)), &[]),
        ((None, Some(100), None), &["start_by"]),
        ((None, None, Some(100)), &["finish_by"]),
        ((Some(200), Some(200), None), &["start_by"]),
        ((Some(200), None, Some(200)), &["finish_by"]),
        ((None, Some(200), Some(200)), &["finish_by"]),
        ((None, Some(99), Some(98)), &["start_by", "finish_by"]),
    ] {
        assert_eq!(violated(limits), fields, "{limits:?}");
    }
}

#[test]
fn a_run_past_its_time_has_the_grace_of_its_policy() {
    let by = Role::Admin;
    let mut running = created(Policy::default(), &anyone()).expect("it is allowed");
    running.status = TransferStatus::InProgress;
    running.finish_expires_at = Some(at(200));
    let verb = Verb::EndOverdue {
        reachable: crate::reachable::Reachable {
            since: Timestamp::MIN,
            until: Timestamp::MAX,
        },
        grace: None,
    };
    for (by_policy, grace) in [(None, DEFAULTS.stop_grace), (Some(MINUTE), MINUTE)] {
        let connection = site(Policy {
            stop_grace: by_policy,
            ..Policy::default()
        });
        let caller = known(by, None);
        let verdict = authorize(
            &running,
            Some(&connection),
            &verb,
            &caller,
            DEFAULTS,
            at(200),
        );
        let Change::Transition(after, _) = verdict.expect("it is allowed").change else {
            panic!("no transition");
        };
        let stop = after.pending_stop().expect("it is asked");
        assert_eq!((stop.grace, stop.cause), (Some(grace), StopCause::FinishBy));
        assert_eq!(stop.requested_by_uuid, None);
    }
}
