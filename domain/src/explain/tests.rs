use std::time::Duration;

use super::*;
use crate::{
    authorize::{RunDefaults, authorize},
    caller::Role,
    command::Verb,
    connection::Running,
    decide::{Change, decide},
    fixtures::{caller as known, connection as north, id, transfer as sample},
    policy::{Policy, parse_block},
    reachable::Reachable,
    stop::Stop,
};

const SECOND: Duration = Duration::from_secs(1);
const ALWAYS: Reachable = Reachable {
    since: Timestamp::from_micros(i64::MIN),
    until: Timestamp::MAX,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn anyone() -> Caller {
    Caller::anonymous("192.0.2.1".parse().ok())
}

fn site(policy: Policy) -> Connection {
    let mut connection = north();
    connection.declared.policy = policy;
    connection
}

fn of_north() -> Transfer {
    let mut transfer = sample();
    transfer.declared.connection_uuid = Some(north().uuid);
    transfer
}

fn start() -> Verb {
    Verb::Start {
        heartbeat_timeout: Some(SECOND),
        owner_uuid: None,
        agent_instance: String::new(),
    }
}

/// Whether what is said of `transfer` is what the decisions make of it.
pub(crate) fn is_true_of(transfer: &Transfer, connection: Option<&Connection>, now: Timestamp) {
    let said = explain(transfer, connection, &anyone(), now);
    let defaults = RunDefaults {
        heartbeat_timeout: SECOND,
        stop_grace: SECOND,
    };
    let decided = authorize(transfer, connection, &start(), &anyone(), defaults, now);
    let first = said.obstacles.first().map(|it| &it.refusal);
    assert_eq!(decided.as_ref().err(), first, "{transfer:?}");
    for obstacle in &said.obstacles {
        assert!(!obstacle.remedy.is_empty(), "{obstacle:?}");
    }
    let Some(next) = said.upcoming.first() else {
        return;
    };
    let verb = match next.action {
        UpcomingAction::Expire => Verb::Expire,
        UpcomingAction::EndConnection | UpcomingAction::Retry => return,
        _ => Verb::EndOverdue {
            reachable: ALWAYS,
            grace: Some(SECOND),
        },
    };
    let before = Timestamp::from_micros(next.at.as_micros() - 1);
    assert_eq!(decide(transfer, &verb, before), Ok(Change::Nothing));
    match decide(transfer, &verb, next.at) {
        Ok(Change::Transition(after, _)) => assert_eq!(after.status, next.status, "{next:?}"),
        other => panic!("{next:?} of {transfer:?}: {other:?}"),
    }
}

fn told(explanation: &Explanation) -> Vec<(&str, &str, Option<Timestamp>)> {
    let each = explanation.obstacles.iter();
    each.map(|it| (it.refusal.reason(), it.rule, it.ends_at))
        .collect()
}

#[test]
fn all_that_keeps_it_from_being_started_is_told_with_the_rule() {
    let mut transfer = of_north();
    transfer.requires_approval = true;
    transfer.declared.not_before = Some(at(200));
    let closed = site(Policy {
        allowed_tables: vec!["users".to_owned()],
        ip_allowlist: vec![parse_block("10.0.0.0/8").expect("a block")],
        allowed_hours: "01:00-02:00".parse().ok(),
        max_transfers: Some(0),
        max_records_total: Some(0),
        max_running: Some(2),
        max_running_per_agent: Some(1),
        ..Policy::default()
    });
    let closed = Connection {
        running: Running {
            all: 2,
            of_agent: 1,
        },
        ..closed
    };
    let said = explain(&transfer, Some(&closed), &anyone(), at(100));
    assert_eq!(
        told(&said),
        [
            ("TOO_EARLY", "not_before", Some(at(200))),
            ("APPROVAL_REQUIRED", "requires_approval", None),
            ("IP_NOT_ALLOWED", "policy.ip_allowlist", None),
            (
                "OUTSIDE_ALLOWED_HOURS",
                "policy.allowed_hours",
                Some(at(3_600))
            ),
            ("TABLE_NOT_ALLOWED", "policy.allowed_tables", None),
            ("TRANSFER_LIMIT_REACHED", "policy.max_transfers", None),
            ("RECORD_LIMIT_REACHED", "policy.max_records_total", None),
            ("RUN_LIMIT_REACHED", "policy.max_running", None),
            ("RUN_LIMIT_REACHED", "policy.max_running_per_agent", None),
        ]
    );
    is_true_of(&transfer, Some(&closed), at(100));
    let said = explain(&transfer, None, &anyone(), at(300));
    let wanted = [
        ("APPROVAL_REQUIRED", "requires_approval", None),
        ("CONNECTION_NOT_FOUND", "", None),
    ];
    assert_eq!(told(&said), wanted);
}

#[test]
fn an_exclusion_is_told_apart_from_what_is_not_allowed() {
    for (excluded, rule) in [
        ("characters", "policy.excluded_tables"),
        ("others", "policy.allowed_tables"),
    ] {
        let closed = site(Policy {
            allowed_tables: vec!["users".to_owned()],
            excluded_tables: vec![excluded.to_owned()],
            ..Policy::default()
        });
        let said = explain(&of_north(), Some(&closed), &anyone(), at(100));
        assert_eq!(told(&said), [("TABLE_NOT_ALLOWED", rule, None)]);
    }
}

#[test]
fn every_status_has_its_say() {
    let over = site(Policy {
        expires_at: Some(at(50)),
        max_records_per_request: Some(1),
        ..Policy::default()
    });
    for status in TransferStatus::ALL {
        let mut transfer = of_north();
        transfer.status = *status;
        transfer.declared.records_requested = 2;
        let said = explain(&transfer, Some(&over), &anyone(), at(100));
        let waits = Action::Expire.may_leave(*status);
        let is_legal = Action::Start.may_leave(*status);
        let expected = usize::from(!is_legal) + 2 * usize::from(waits);
        assert_eq!(said.obstacles.len(), expected, "{status}: {said:?}");
        for connection_status in ConnectionStatus::ALL {
            let mut connection = site(Policy::default());
            connection.status = *connection_status;
            is_true_of(&transfer, Some(&connection), at(100));
        }
    }
}

#[test]
fn who_declared_it_may_not_decide_unless_the_policy_says_so() {
    let mut transfer = of_north();
    assert_eq!(decision(&transfer, &anyone()), None, "nobody has to");
    transfer.requires_approval = true;
    transfer.acted_by_uuid = known(Role::Approver, None).credential();
    transfer.declared.initiated_by_uuid = Some(id(5));
    let rule = |transfer: &Transfer, caller: &Caller| {
        let rule = decision(transfer, caller).expect("it waits for one");
        (rule.excluded.len(), rule.refusal.map(|it| it.reason()))
    };
    let declarer = known(Role::Approver, None);
    let agent = known(Role::Agent, Some(north().uuid));
    assert_eq!(rule(&transfer, &declarer), (2, Some("SELF_APPROVAL")));
    assert_eq!(rule(&transfer, &anyone()), (2, None), "names whom it likes");
    transfer.acted_by_uuid = None;
    assert_eq!(rule(&transfer, &declarer), (1, None));
    assert_eq!(rule(&transfer, &agent), (1, Some("SELF_APPROVAL")));
    transfer.self_approval = true;
    assert_eq!(rule(&transfer, &agent), (0, None));
    transfer.status = TransferStatus::Approved;
    assert_eq!(decision(&transfer, &anyone()), None, "it was decided");
}

#[test]
fn what_comes_by_itself_is_told_in_its_order() {
    let mut transfer = of_north();
    transfer.start_expires_at = Some(at(30));
    let ends = site(Policy {
        expires_at: Some(at(20)),
        ..Policy::default()
    });
    let come = |transfer: &Transfer| {
        let said = explain(transfer, Some(&ends), &anyone(), at(10));
        let each = said.upcoming.into_iter();
        each.map(|it| (it.action, it.at, it.status))
            .collect::<Vec<_>>()
    };
    use UpcomingAction::{EndConnection, EndLease, Expire, ForceStop, RequestStop, Retry};
    let pending = TransferStatus::Pending;
    assert_eq!(
        come(&transfer),
        [
            (EndConnection, at(20), pending),
            (Expire, at(30), TransferStatus::Expired)
        ]
    );
    transfer.status = TransferStatus::InProgress;
    transfer.lease_epoch = 1;
    transfer.started_at = Some(at(5));
    transfer.heartbeat_timeout = Some(SECOND);
    transfer.heartbeat_expires_at = Some(at(12));
    transfer.finish_expires_at = Some(at(11));
    let running = TransferStatus::InProgress;
    let failed = TransferStatus::Failed;
    assert_eq!(
        come(&transfer),
        [(RequestStop, at(11), running), (EndLease, at(12), failed)]
    );
    is_true_of(&transfer, Some(&ends), at(10));
    transfer.declared.max_attempts = Some(2);
    assert_eq!(come(&transfer)[1], (EndLease, at(12), pending));
    transfer.stop = Some(Stop {
        kind: StopKind::Pause,
        cause: StopCause::Request,
        reason: String::new(),
        requested_at: at(6),
        requested_by_uuid: None,
        grace: Some(5 * SECOND),
        stopped_at: None,
        forced: false,
    });
    assert_eq!(come(&transfer), [(ForceStop, at(11), pending)]);
    is_true_of(&transfer, Some(&ends), at(10));
    transfer.status = TransferStatus::Failed;
    assert_eq!(come(&transfer), []);
    transfer.retry_at = Some(at(40));
    assert_eq!(come(&transfer), [(Retry, at(40), failed)]);
}
