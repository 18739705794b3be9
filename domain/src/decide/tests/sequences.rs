//! Any commands in any order.

use proptest::prelude::*;

use super::*;

/// Mostly one that can be true.
fn any_report() -> impl Strategy<Value = Report> {
    let balanced = any_totals().prop_map(|report| Report {
        records_transferred: Some(
            [
                report.records_created,
                report.records_updated,
                report.records_skipped,
                report.records_failed,
            ]
            .into_iter()
            .flatten()
            .sum(),
        ),
        ..report
    });
    prop_oneof![any_totals(), balanced]
}

fn any_totals() -> impl Strategy<Value = Report> {
    let counter = || proptest::option::of(0..1_000_i64);
    (
        counter(),
        counter(),
        counter(),
        counter(),
        counter(),
        counter(),
    )
        .prop_map(
            |(transferred, created, updated, skipped, failed, bytes)| Report {
                records_transferred: transferred,
                records_created: created,
                records_updated: updated,
                records_skipped: skipped,
                records_failed: failed,
                bytes_transferred: bytes,
                ..Report::default()
            },
        )
}

fn any_verb() -> impl Strategy<Value = Verb> {
    let by = id(1);
    let seconds = || (1..5_u64).prop_map(Duration::from_secs);
    let text = String::new;
    prop_oneof![
        seconds().prop_map(|expires_in| Verb::RequestApproval { expires_in }),
        Just(Verb::Approve {
            admin_user_uuid: by,
            comment: text(),
            revision: None,
        }),
        Just(Verb::Deny {
            admin_user_uuid: by,
            reason: text(),
            revision: None,
        }),
        Just(Verb::Expire),
        proptest::option::of(seconds()).prop_map(|time| Verb::Start {
            heartbeat_timeout: time,
            owner_uuid: None,
            agent_instance: String::new()
        }),
        any_report().prop_map(|report| Verb::UpdateProgress {
            lease_epoch: None,
            report,
            checkpoint: None
        }),
        any_report().prop_map(|report| Verb::Complete {
            lease_epoch: None,
            report
        }),
        any_report().prop_map(|report| Verb::Fail {
            lease_epoch: None,
            error_message: "broken".to_owned(),
            failure: FAILURE,
            report
        }),
        Just(Verb::EndOverdue {
            reachable: ALWAYS,
            grace: None
        }),
        proptest::option::of(seconds()).prop_map(cancel),
        proptest::option::of(seconds()).prop_map(|grace| Verb::Stop(StopOrder {
            kind: StopKind::Pause,
            ..order(grace)
        })),
        Just(Verb::Resume { only: None }),
        any_report().prop_map(|report| Verb::AcknowledgeStop {
            lease_epoch: None,
            report,
            checkpoint: None
        }),
        Just(Verb::SubmitReceipt {
            lease_epoch: None,
            receipt: Box::new(receipt(1).said),
            by: None
        }),
        Just(Verb::Delete),
    ]
}

fn counters(transfer: &Transfer) -> Vec<i64> {
    Report::from(transfer.totals)
        .fields()
        .iter()
        .filter_map(|(_, value)| *value)
        .collect()
}

proptest! {
    /// Whatever is asked in whatever order: legal edges only, counters never shrink, the revision grows by one with every
    /// change, nothing leaves a terminal status, and no limit of time is passed over.
    #[test]
    fn no_sequence_of_commands_breaks_the_rules(
        requires_approval: bool,
        max_attempts in 1..4_i64,
        limits in proptest::array::uniform3(proptest::option::of(0..40_000_000_i64)),
        within in proptest::array::uniform2(proptest::option::of(1..20_u64)),
        steps in proptest::collection::vec((any_verb(), 0..3_000_000_i64), 1..60),
    ) {
        let mut transfer = sample();
        transfer.requires_approval = requires_approval;
        transfer.declared.max_attempts = Some(max_attempts);
        let created = transfer.inserted_at.as_micros();
        let [not_before, start_by, finish_by] =
            limits.map(|limit| limit.map(|after| Timestamp::from_micros(created + after)));
        (transfer.declared.not_before, transfer.declared.start_by) = (not_before, start_by);
        transfer.finish_expires_at = finish_by;
        [transfer.start_within, transfer.finish_within] =
            within.map(|limit| limit.map(Duration::from_secs));
        transfer.await_start(transfer.inserted_at);
        let mut now = transfer.inserted_at.as_micros();
        for (verb, wait) in steps {
            now += wait;
            let at = Timestamp::from_micros(now);
            let before = transfer.clone();
            let change = match decide(&before, &verb, at) {
                Ok(change) => change,
                Err(refusal) => on_refused(&before, &refusal, at),
            };
            match change {
                Change::Nothing => continue,
                Change::Removal(_) => {
                    prop_assert!(before.status.is_terminal());
                    break;
                }
                Change::Progress(after) => {
                    prop_assert_eq!(before.status, TransferStatus::InProgress);
                    prop_assert_eq!(after.status, before.status);
                    transfer = after;
                }
                Change::Transition(after, body) => {
                    // A receipt is taken after the end, and leaves it where it is.
                    let is_receipt = body.event_type == EventType::ReceiptSubmitted;
                    prop_assert!(is_receipt || !before.status.is_terminal());
                    let ends = (before.completed_at, after.completed_at);
                    prop_assert!(!is_receipt || ends.0 == ends.1);
                    let legal = Action::ALL.iter().any(|action| {
                        action.may_leave(before.status) && action.rule().to.contains(&after.status)
                    });
                    let legal = legal || before.status == after.status;
                    prop_assert!(legal, "{} to {}", before.status, after.status);
                    prop_assert_eq!(body.to_status, Some(after.status));
                    transfer = after;
                }
            }
            crate::explain::tests::is_true_of(&transfer, None, at);
            prop_assert_eq!(transfer.revision, before.revision + 1);
            prop_assert!(transfer.updated_at >= before.updated_at);
            let is_restarted = transfer.lease_epoch > before.lease_epoch;
            let may_start = not_before.is_none_or(|start| start <= at)
                && before.start_expires_at.is_none_or(|end| at < end)
                && (before.lease_epoch > 0 || start_by.is_none_or(|end| at < end))
                && finish_by.is_none_or(|end| at < end);
            prop_assert!(may_start || !is_restarted);
            let has_expired = transfer.expiry_reason().is_some();
            prop_assert_eq!(has_expired, transfer.status == TransferStatus::Expired);
            prop_assert!(!has_expired || before.expiry(at).is_some());
            prop_assert!(
                is_restarted || counters(&transfer).iter().zip(counters(&before)).all(|(a, b)| *a >= b)
            );
            let is_complete = transfer.status == TransferStatus::Completed;
            prop_assert_eq!(transfer.totals.balance(is_complete), Ok(()));
            prop_assert!(transfer.lease_epoch - transfer.pauses <= max_attempts);
            let is_paused = transfer.pause().is_some();
            prop_assert!(!is_paused || !transfer.status.is_terminal() && transfer.lease().is_none());
            let is_running = transfer.status == TransferStatus::InProgress;
            prop_assert!(transfer.status.is_terminal() || transfer.lease().is_some() == is_running);
            prop_assert_eq!(transfer.completed_at.is_some(), transfer.status.is_terminal());
            let started_unapproved = transfer.status == TransferStatus::InProgress
                && transfer.requires_approval
                && transfer.approved.is_none();
            prop_assert!(!started_unapproved);
        }
    }
}
