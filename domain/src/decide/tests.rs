use std::time::Duration;

use super::*;
use crate::{
    fixtures::{id, receipt, stop_order, transfer as sample},
    progress::Totals,
    stop::{Stop, StopCause, StopKind, StopOrder},
};

mod attempts;
mod limits;
mod outcome;
mod sequences;
mod stops;

const NOW: Timestamp = Timestamp::from_micros(50_000_000);
const SECOND: Duration = Duration::from_secs(1);
const FAILURE: Failure = Failure {
    code: None,
    retryable: false,
};
/// The ledger was never away.
const ALWAYS: Reachable = Reachable {
    since: Timestamp::MIN,
    until: Timestamp::MAX,
};

fn standing(status: TransferStatus) -> Transfer {
    let mut transfer = sample();
    transfer.status = status;
    if status == TransferStatus::InProgress {
        transfer.lease_epoch = 1;
        transfer.started_at = Some(NOW);
    }
    if status == TransferStatus::PendingApproval {
        transfer.approval_expires_at = Some(NOW.after(SECOND));
    }
    transfer
}

fn order(grace: Option<Duration>) -> StopOrder {
    StopOrder {
        reason: "changed my mind".to_owned(),
        grace,
        ..stop_order(StopKind::Cancel)
    }
}

fn cancel(grace: Option<Duration>) -> Verb {
    Verb::Stop(order(grace))
}

fn stop(kind: StopKind) -> Stop {
    Stop {
        kind,
        cause: StopCause::Request,
        reason: String::new(),
        requested_at: NOW,
        requested_by_uuid: None,
        grace: Some(SECOND),
        stopped_at: None,
        forced: false,
    }
}

fn verbs() -> Vec<Verb> {
    let admin_user_uuid = id(1);
    let report = Report::default();
    vec![
        Verb::RequestApproval { expires_in: SECOND },
        Verb::Approve {
            admin_user_uuid,
            comment: "fine".to_owned(),
            revision: None,
        },
        Verb::Deny {
            admin_user_uuid,
            reason: "no".to_owned(),
            revision: None,
        },
        Verb::Expire,
        Verb::Start {
            heartbeat_timeout: None,
            owner_uuid: None,
            agent_instance: String::new(),
        },
        Verb::UpdateProgress {
            lease_epoch: None,
            report: report.clone(),
            checkpoint: Some(vec![1]),
        },
        Verb::Complete {
            lease_epoch: None,
            report: report.clone(),
        },
        Verb::Fail {
            lease_epoch: None,
            error_message: "broken".to_owned(),
            failure: FAILURE,
            report: report.clone(),
        },
        Verb::EndOverdue {
            reachable: ALWAYS,
            grace: None,
        },
        cancel(None),
        Verb::Stop(StopOrder {
            kind: StopKind::Pause,
            ..order(Some(SECOND))
        }),
        Verb::Resume { only: None },
        Verb::AcknowledgeStop {
            lease_epoch: None,
            report: report.clone(),
            checkpoint: None,
        },
        Verb::SubmitReceipt {
            lease_epoch: None,
            receipt: Box::new(receipt(1).said),
            by: None,
        },
        Verb::Delete,
    ]
}

/// A transfer to which nothing but the rule table can object.
fn ripe(verb: &Verb, status: TransferStatus) -> Transfer {
    let mut transfer = standing(status);
    match verb {
        Verb::Expire => transfer.approval_expires_at = Some(NOW),
        Verb::EndOverdue { .. } => transfer.heartbeat_expires_at = Some(NOW),
        Verb::Resume { .. } => transfer.stop = Some(stop(StopKind::Pause)),
        Verb::AcknowledgeStop { .. } => transfer.stop = Some(stop(StopKind::Cancel)),
        _ => {}
    }
    transfer
}

#[test]
fn every_verb_in_every_status_obeys_the_table() {
    for status in TransferStatus::ALL {
        for verb in verbs() {
            let transfer = ripe(&verb, *status);
            let action = verb.action();
            let rule = action.rule();
            let decided = decide(&transfer, &verb, NOW);
            if !rule.from.contains(status) {
                let refusal = decided.expect_err("the table does not let it");
                let late = *status == TransferStatus::Expired
                    && matches!(action, Action::Approve | Action::Deny);
                let reason = if late {
                    "APPROVAL_EXPIRED"
                } else {
                    "ILLEGAL_TRANSITION"
                };
                assert_eq!(refusal.reason(), reason, "{action} from {status}");
                assert_eq!(on_refused(&transfer, &refusal, NOW), Change::Nothing);
                continue;
            }
            match (
                decided.expect("the table lets it"),
                rule.to.first().copied(),
            ) {
                (Change::Transition(after, body), Some(to)) => {
                    assert_eq!(after.status, to, "{action} from {status}");
                    assert_eq!(after.revision, transfer.revision + 1);
                    assert_eq!(
                        (body.from_status, body.to_status),
                        (Some(*status), Some(to))
                    );
                    assert_eq!(after.completed_at.is_some(), to.is_terminal());
                }
                // It stays where it is, and that is told.
                (Change::Transition(after, body), None) => {
                    let stays = [Action::Pause, Action::Resume, Action::SubmitReceipt];
                    assert!(stays.contains(&action), "{action}");
                    assert_eq!(
                        (body.from_status, body.to_status, after.status),
                        (Some(*status), Some(*status), *status)
                    );
                    assert_eq!(after.revision, transfer.revision + 1);
                }
                (Change::Progress(after), None) => {
                    assert_eq!(action, Action::UpdateProgress);
                    assert_eq!(
                        (after.status, after.revision),
                        (*status, transfer.revision + 1)
                    );
                }
                (Change::Removal(body), None) => {
                    assert_eq!(action, Action::Delete);
                    assert_eq!(body.to_status, Some(*status));
                }
                (change, _) => panic!("{action} from {status} made {change:?}"),
            }
        }
    }
}

#[test]
fn a_transfer_that_needs_approval_does_not_start_without() {
    let mut transfer = standing(TransferStatus::Pending);
    transfer.requires_approval = true;
    let start = Verb::Start {
        heartbeat_timeout: None,
        owner_uuid: None,
        agent_instance: String::new(),
    };
    let refusal = decide(&transfer, &start, NOW).expect_err("it was not approved");
    assert_eq!(refusal.reason(), "APPROVAL_REQUIRED");
    transfer.status = TransferStatus::Approved;
    assert!(decide(&transfer, &start, NOW).is_ok());
}

#[test]
fn a_decision_counts_before_the_deadline_only() {
    let admin_user_uuid = id(1);
    let approve = Verb::Approve {
        admin_user_uuid,
        comment: String::new(),
        revision: None,
    };
    let deny = Verb::Deny {
        admin_user_uuid,
        reason: String::new(),
        revision: None,
    };
    let mut transfer = standing(TransferStatus::PendingApproval);
    for verb in [approve, deny] {
        transfer.approval_expires_at = Some(Timestamp::from_micros(NOW.as_micros() + 1));
        assert!(decide(&transfer, &verb, NOW).is_ok());
        assert_eq!(decide(&transfer, &Verb::Expire, NOW), Ok(Change::Nothing));

        transfer.approval_expires_at = Some(NOW);
        let refusal = decide(&transfer, &verb, NOW).expect_err("it is too late");
        assert_eq!(refusal.reason(), "APPROVAL_EXPIRED");
        match on_refused(&transfer, &refusal, NOW) {
            Change::Transition(after, _) => assert_eq!(after.status, TransferStatus::Expired),
            other => panic!("the transfer should expire, not {other:?}"),
        }
    }
}

#[test]
fn the_event_of_a_decision_says_who_took_it_and_why() {
    let (by, status) = (Uuid::from_u128(1), TransferStatus::PendingApproval);
    for verb in verbs() {
        let reason = match &verb {
            Verb::Approve { .. } => "fine",
            Verb::Deny { .. } => "no",
            _ => continue,
        };
        let Ok(Change::Transition(after, body)) = decide(&standing(status), &verb, NOW) else {
            panic!("{verb:?} is legal");
        };
        let text = reason.to_owned();
        assert_eq!(body.actor_uuid, Some(by));
        assert_eq!(body.detail, Some(EventDetail::Comment { text }));
        let decision = Some(Decision { at: NOW, by });
        let (approved, denied) = match after.status {
            TransferStatus::Approved => (decision, None),
            _ => (None, decision),
        };
        assert_eq!((after.approved, after.denied), (approved, denied));
    }
}

#[test]
fn only_a_silent_agent_loses_its_transfer() {
    let start = Verb::Start {
        heartbeat_timeout: Some(SECOND),
        owner_uuid: None,
        agent_instance: String::new(),
    };
    let Ok(Change::Transition(running, _)) =
        decide(&standing(TransferStatus::Pending), &start, NOW)
    else {
        panic!("it starts");
    };
    let deadline = NOW.after(SECOND);
    assert_eq!(running.heartbeat_expires_at, Some(deadline));
    let just_before = Timestamp::from_micros(deadline.as_micros() - 1);
    assert_eq!(
        decide(
            &running,
            &Verb::EndOverdue {
                reachable: ALWAYS,
                grace: None
            },
            just_before
        ),
        Ok(Change::Nothing)
    );
    match decide(
        &running,
        &Verb::EndOverdue {
            reachable: ALWAYS,
            grace: None,
        },
        deadline,
    ) {
        Ok(Change::Transition(after, body)) => {
            assert_eq!(after.status, TransferStatus::Failed);
            assert_eq!(
                after.error_message,
                "HEARTBEAT_LOST: the agent did not report for 1 s"
            );
            let detail = EventDetail::Failure {
                error_message: after.error_message,
                code: Some(FailureCode::HeartbeatLost),
                retryable: true,
            };
            assert_eq!(body.detail, Some(detail));
            assert_eq!(after.heartbeat_expires_at, None);
        }
        other => panic!("the transfer should fail, not {other:?}"),
    }
}

#[test]
fn a_report_without_news_changes_nothing_but_the_heartbeat() {
    let mut transfer = standing(TransferStatus::InProgress);
    let report = Report {
        records_transferred: Some(0),
        ..Report::default()
    };
    let verb = Verb::UpdateProgress {
        lease_epoch: None,
        report: report.clone(),
        checkpoint: None,
    };
    assert_eq!(decide(&transfer, &verb, NOW), Ok(Change::Nothing));
    transfer.heartbeat_timeout = Some(SECOND);
    transfer.heartbeat_expires_at = Some(NOW);
    match decide(&transfer, &verb, NOW) {
        Ok(Change::Progress(after)) => {
            assert_eq!(after.heartbeat_expires_at, Some(NOW.after(SECOND)));
        }
        other => panic!("the heartbeat should be renewed, not {other:?}"),
    }
}

#[test]
fn a_lower_final_total_ends_nothing() {
    let mut transfer = standing(TransferStatus::InProgress);
    transfer.totals = Totals {
        records_transferred: 9,
        ..Totals::default()
    };
    let report = Report {
        records_transferred: Some(8),
        ..Report::default()
    };
    for verb in [
        Verb::Complete {
            lease_epoch: None,
            report: report.clone(),
        },
        Verb::Fail {
            lease_epoch: None,
            error_message: "broken".to_owned(),
            failure: FAILURE,
            report: report.clone(),
        },
        Verb::UpdateProgress {
            lease_epoch: None,
            report: report.clone(),
            checkpoint: None,
        },
    ] {
        let refusal = decide(&transfer, &verb, NOW).expect_err("it goes down");
        assert_eq!(refusal.reason(), "PROGRESS_REGRESSED");
    }
}
