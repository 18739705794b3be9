use std::time::Duration;

use super::*;
use crate::{
    caller::Role,
    command::Verb,
    connection::ConnectionStatus,
    event::EventType,
    fixtures::{caller as known, connection as north, id, receipt, stop_order, transfer as sample},
    outcome::Failure,
    policy::{ApprovalMode, Policy, parse_block},
    progress::Report,
    status::{ConflictStrategy, TransferStatus},
    stop::{Stop, StopCause, StopKind},
};

mod decisions;
mod leases;
mod limits;
mod runs;
mod stops;

const MINUTE: Duration = Duration::from_secs(60);
const FAILURE: Failure = Failure {
    code: None,
    retryable: false,
};
/// What the server is set to.
const DEFAULTS: RunDefaults = RunDefaults {
    heartbeat_timeout: MINUTE,
    stop_grace: Duration::from_secs(30),
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn site(policy: Policy) -> Connection {
    let mut connection = north();
    connection.declared.policy = policy;
    connection.revision = 5;
    connection
}

fn declared() -> NewTransfer {
    let mut new = sample().declared;
    new.connection_uuid = Some(north().uuid);
    new
}

/// A stop that nobody has confirmed yet.
fn pending_stop() -> Stop {
    Stop {
        kind: StopKind::Cancel,
        cause: StopCause::Request,
        reason: String::new(),
        requested_at: at(1),
        requested_by_uuid: None,
        grace: Some(MINUTE),
        stopped_at: None,
        forced: false,
    }
}

fn anyone() -> Caller {
    Caller::anonymous(None)
}

fn created(policy: Policy, caller: &Caller) -> Result<Transfer, Refusal> {
    create(id(8), declared(), Some(&site(policy)), caller, at(100))
}

fn reason<T: std::fmt::Debug>(result: Result<T, Refusal>) -> &'static str {
    result.expect_err("a refusal").reason()
}

#[test]
fn the_policy_can_ask_for_an_approval_and_no_caller_can_waive_it() {
    for (mode, asked, required) in [
        (ApprovalMode::AutoApprove, false, false),
        (ApprovalMode::AutoApprove, true, true),
        (ApprovalMode::RequireApproval, false, true),
        (ApprovalMode::PerTable, false, true),
    ] {
        let mut new = declared();
        new.requires_approval = asked;
        let connection = site(Policy {
            approval_mode: mode,
            ..Policy::default()
        });
        let transfer = create(id(0), new, Some(&connection), &anyone(), at(0));
        let transfer = transfer.expect("it is allowed");
        assert_eq!(transfer.requires_approval, required, "{mode} {asked}");
        assert_eq!(transfer.policy_revision, 5);
    }
}

#[test]
fn the_policy_fills_in_what_the_caller_leaves_open() {
    let policy = Policy {
        default_conflict_strategy: Some(ConflictStrategy::Merge),
        heartbeat_timeout: Some(Duration::from_secs(30)),
        ..Policy::default()
    };
    let transfer = created(policy.clone(), &anyone()).expect("it is allowed");
    assert_eq!(
        transfer.declared.conflict_strategy,
        Some(ConflictStrategy::Merge)
    );
    let start = |heartbeat_timeout| {
        let verb = Verb::Start {
            heartbeat_timeout,
            owner_uuid: None,
            agent_instance: String::new(),
        };
        let verdict = authorize(
            &transfer,
            Some(&site(policy.clone())),
            &verb,
            &anyone(),
            DEFAULTS,
            at(100),
        );
        let Ok(Authorization {
            change: Change::Transition(after, _),
            ..
        }) = verdict
        else {
            panic!("{verdict:?}");
        };
        after.heartbeat_timeout
    };
    assert_eq!(start(None), Some(Duration::from_secs(30)));
    assert_eq!(
        start(Some(Duration::from_secs(5))),
        Some(Duration::from_secs(5))
    );
}

/// Policies that admit nothing, with the reason that each gives.
fn closed() -> Vec<(Policy, &'static str)> {
    let policy = Policy::default;
    vec![
        (
            Policy {
                expires_at: Some(at(100)),
                ..policy()
            },
            "CONNECTION_EXPIRED",
        ),
        (
            Policy {
                excluded_tables: vec!["characters".to_owned()],
                ..policy()
            },
            "TABLE_NOT_ALLOWED",
        ),
        (
            Policy {
                allowed_tables: vec!["users".to_owned()],
                ..policy()
            },
            "TABLE_NOT_ALLOWED",
        ),
        (
            Policy {
                ip_allowlist: vec![parse_block("10.0.0.0/8").expect("a block")],
                ..policy()
            },
            "IP_NOT_ALLOWED",
        ),
        (
            Policy {
                allowed_hours: "01:00-02:00".parse().ok(),
                ..policy()
            },
            "OUTSIDE_ALLOWED_HOURS",
        ),
        (
            Policy {
                max_transfers: Some(0),
                ..policy()
            },
            "TRANSFER_LIMIT_REACHED",
        ),
        (
            Policy {
                max_records_total: Some(0),
                ..policy()
            },
            "RECORD_LIMIT_REACHED",
        ),
    ]
}

#[test]
fn what_the_policy_does_not_admit_is_neither_created_nor_started() {
    let transfer = created(Policy::default(), &anyone()).expect("it is allowed");
    let start = Verb::Start {
        heartbeat_timeout: None,
        owner_uuid: None,
        agent_instance: String::new(),
    };
    for (policy, wanted) in closed() {
        assert_eq!(reason(created(policy.clone(), &anyone())), wanted);
        let verdict = authorize(
            &transfer,
            Some(&site(policy)),
            &start,
            &anyone(),
            DEFAULTS,
            at(100),
        );
        assert_eq!(reason(verdict), wanted);
    }
    for status in ConnectionStatus::ALL {
        let mut connection = north();
        connection.status = *status;
        let verdict = authorize(
            &transfer,
            Some(&connection),
            &start,
            &anyone(),
            DEFAULTS,
            at(100),
        );
        match status {
            ConnectionStatus::Active => assert!(verdict.is_ok()),
            ConnectionStatus::Expired => assert_eq!(reason(verdict), "CONNECTION_EXPIRED"),
            _ => assert_eq!(reason(verdict), "CONNECTION_NOT_ACTIVE", "{status}"),
        }
    }
    let gone = authorize(&transfer, None, &start, &anyone(), DEFAULTS, at(100));
    assert_eq!(reason(gone), "CONNECTION_NOT_FOUND");
}

#[test]
fn starts_are_counted_where_they_are_limited() {
    let transfer = created(Policy::default(), &anyone()).expect("it is allowed");
    let mut connection = site(Policy {
        max_transfers: Some(2),
        ..Policy::default()
    });
    let start = Verb::Start {
        heartbeat_timeout: None,
        owner_uuid: None,
        agent_instance: String::new(),
    };
    for used in [1, 2] {
        let verdict = authorize(
            &transfer,
            Some(&connection),
            &start,
            &anyone(),
            DEFAULTS,
            at(1),
        );
        connection.used = verdict.expect("it is allowed").charged.expect("it counts");
        assert_eq!(connection.used.transfers, used);
    }
    let third = authorize(
        &transfer,
        Some(&connection),
        &start,
        &anyone(),
        DEFAULTS,
        at(1),
    );
    assert_eq!(reason(third), "TRANSFER_LIMIT_REACHED");
    let unlimited = authorize(
        &transfer,
        Some(&north()),
        &start,
        &anyone(),
        DEFAULTS,
        at(1),
    );
    assert_eq!(unlimited.expect("it is allowed").charged, None);
}

#[test]
fn records_are_refused_at_the_first_one_too_many() {
    let mut transfer = created(Policy::default(), &anyone()).expect("it is allowed");
    transfer.status = TransferStatus::InProgress;
    transfer.lease_epoch = 1;
    transfer.totals.records_transferred = 10;
    let mut connection = site(Policy {
        max_records_total: Some(100),
        max_records_per_request: Some(80),
        ..Policy::default()
    });
    connection.used.records = 50;
    let report = |records| Report {
        records_transferred: Some(records),
        ..Report::default()
    };
    let ask = |connection: &Connection, verb: &Verb| {
        authorize(
            &transfer,
            Some(connection),
            verb,
            &anyone(),
            DEFAULTS,
            at(1),
        )
    };
    let update = |records| Verb::UpdateProgress {
        lease_epoch: None,
        report: report(records),
        checkpoint: None,
    };
    let charged = ask(&connection, &update(60)).expect("just enough").charged;
    assert_eq!(charged.expect("it counts").records, 100);
    assert_eq!(
        reason(ask(&connection, &update(61))),
        "RECORD_LIMIT_REACHED"
    );
    assert_eq!(
        ask(&connection, &update(10)).expect("no more").charged,
        None
    );
    let complete = Verb::Complete {
        lease_epoch: None,
        report: report(61),
    };
    assert_eq!(reason(ask(&connection, &complete)), "RECORD_LIMIT_REACHED");
    connection.used.records = 0;
    assert!(ask(&connection, &update(80)).is_ok());
    let refusal = ask(&connection, &update(81)).expect_err("one too many");
    let metadata = refusal.metadata();
    assert!(
        metadata.contains(&("max_records_per_request", "80".to_owned())),
        "{metadata:?}"
    );
    let mut large = declared();
    large.records_requested = 81;
    let created = create(id(0), large, Some(&connection), &anyone(), at(1));
    assert_eq!(reason(created), "RECORD_LIMIT_REACHED");
}

#[test]
fn what_an_agent_may_not_see_is_not_there() {
    let other = known(Role::Agent, Some(id(77)));
    let transfer = created(Policy::default(), &anyone()).expect("it is allowed");
    let cancel = Verb::Stop(stop_order(StopKind::Cancel));
    let verdict = authorize(&transfer, Some(&north()), &cancel, &other, DEFAULTS, at(1));
    assert_eq!(reason(verdict), "TRANSFER_NOT_FOUND");
    assert_eq!(
        reason(created(Policy::default(), &other)),
        "CONNECTION_NOT_FOUND"
    );
    let own = known(Role::Agent, Some(north().uuid));
    let transfer = created(Policy::default(), &own).expect("its own");
    assert_eq!(
        transfer.declared.initiated_by_uuid,
        own.credential().map(Uuid::from)
    );
    assert!(authorize(&transfer, Some(&north()), &cancel, &own, DEFAULTS, at(1)).is_ok());
}

#[test]
fn a_transfer_is_of_the_session_whose_credential_declares_it() {
    let declare = |caller: &Caller| {
        let mut new = declared();
        new.session_code = "DECLARED".to_owned();
        let transfer = create(id(8), new, Some(&north()), caller, at(1));
        transfer.expect("it is allowed").declared.session_code
    };
    let mut agent = known(Role::Agent, Some(north().uuid));
    assert_eq!(declare(&agent), "DECLARED", "its credential has no session");
    if let Some(identity) = &mut agent.identity {
        identity.session_code = "REDEEMED".to_owned();
    }
    assert_eq!(declare(&agent), "REDEEMED");
}

#[test]
fn a_transfer_may_ask_for_as_many_records_as_the_limit() {
    let policy = Policy {
        max_records_per_request: Some(80),
        ..Policy::default()
    };
    for (records, allowed) in [(0, true), (79, true), (80, true), (81, false)] {
        let mut new = declared();
        new.records_requested = records;
        let connection = site(policy.clone());
        let verdict = create(id(8), new, Some(&connection), &anyone(), at(1));
        assert_eq!(verdict.is_ok(), allowed, "{records}");
    }
}

#[test]
fn a_report_of_no_more_records_is_neither_refused_nor_charged() {
    let mut transfer = created(Policy::default(), &anyone()).expect("it is allowed");
    transfer.status = TransferStatus::InProgress;
    transfer.lease_epoch = 1;
    transfer.totals.records_transferred = 90;
    // The limits were lowered after it had moved more.
    let mut connection = site(Policy {
        max_records_total: Some(50),
        max_records_per_request: Some(80),
        ..Policy::default()
    });
    connection.used.records = 90;
    let checkpoint = |records| Verb::UpdateProgress {
        lease_epoch: None,
        report: Report {
            records_transferred: Some(records),
            ..Report::default()
        },
        checkpoint: Some(b"here".to_vec()),
    };
    let ask = |transfer: &Transfer, records| {
        let verb = checkpoint(records);
        authorize(
            transfer,
            Some(&connection),
            &verb,
            &anyone(),
            DEFAULTS,
            at(1),
        )
    };
    let verdict = ask(&transfer, 90).expect("no more");
    assert!(matches!(verdict.change, Change::Progress(_)));
    assert_eq!(verdict.charged, None);

    let remaining = |result: Result<Authorization, Refusal>| match result {
        Err(Refusal::RecordLimitReached {
            limit, remaining, ..
        }) => (limit.name, remaining),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        remaining(ask(&transfer, 91)),
        ("max_records_per_request", 0)
    );
    transfer.totals.records_transferred = 60;
    assert_eq!(
        remaining(ask(&transfer, 81)),
        ("max_records_per_request", 20)
    );
    assert_eq!(remaining(ask(&transfer, 61)), ("max_records_total", 0));
}

#[test]
fn a_transfer_of_no_connection_is_declared_by_whoever_sees_those() {
    let declare = |caller: &Caller| create(id(8), sample().declared, None, caller, at(1));
    for caller in [anyone(), known(Role::Admin, None)] {
        assert!(declare(&caller).is_ok(), "{caller:?}");
    }
    for agent in [known(Role::Agent, None), known(Role::Agent, Some(id(3)))] {
        assert_eq!(reason(declare(&agent)), "INVALID_FIELDS");
    }
}
