use super::*;
use crate::{
    caller::ConnectionScope,
    fixtures::{caller, id, transfer},
    query::TimeRange,
};

fn declared(verb: BulkVerb) -> NewBulkOperation {
    NewBulkOperation {
        verb,
        filter: TransferFilter::default(),
        reason: "the plan is off".to_owned(),
        grace: Some(Duration::from_secs(7)),
    }
}

fn operation(verb: BulkVerb) -> BulkOperation {
    let admin = caller(Role::Admin, None);
    let now = Timestamp::from_micros(50);
    BulkOperation::start(id(1), declared(verb), 3, &admin, now)
}

#[test]
fn without_a_status_it_looks_for_what_the_verb_is_meant_for() {
    for verb in BulkVerb::ALL {
        let searched = declared(*verb).search().status;
        for status in TransferStatus::ALL {
            let expected = match verb {
                BulkVerb::Cancel => !status.is_terminal(),
                BulkVerb::Delete => status.is_terminal(),
                BulkVerb::Retry => *status == TransferStatus::Failed,
            };
            assert_eq!(searched.contains(status), expected, "{verb} {status}");
        }
    }
    let mut named = declared(BulkVerb::Cancel);
    named.filter.status = vec![TransferStatus::Completed];
    assert_eq!(named.search(), named.filter, "it is left as it was said");
}

#[test]
fn what_is_declared_once_it_runs_is_not_covered() {
    let mut running = operation(BulkVerb::Retry);
    let just_before = Timestamp::from_micros(49);
    assert_eq!(running.search().to, Some(just_before));
    running.declared.filter.to = Some(Timestamp::from_micros(20));
    assert_eq!(running.search().to, Some(Timestamp::from_micros(20)));
    running.declared.filter.to = Some(Timestamp::from_micros(90));
    assert_eq!(running.search().to, Some(just_before));
}

#[test]
fn what_the_filter_does_not_mean_any_more_is_left_alone() {
    let mut running = operation(BulkVerb::Cancel);
    let mut found = transfer();
    running.declared.filter.status = vec![TransferStatus::Pending];
    assert!(running.covers(&found));
    found.status = TransferStatus::InProgress;
    assert!(!running.covers(&found), "it was started meanwhile");
}

#[test]
fn each_verb_is_the_one_for_a_single_transfer() {
    let uuid = id(9);
    let retry = declared(BulkVerb::Retry).command(uuid);
    assert_eq!(retry, TransferCommand::Retry { uuid, due: false });
    let delete = declared(BulkVerb::Delete).command(uuid);
    let verb = Verb::Delete;
    assert_eq!(delete, TransferCommand::Change { uuid, verb });
    let cancel = declared(BulkVerb::Cancel).command(uuid);
    let verb = Verb::Stop(StopOrder {
        kind: StopKind::Cancel,
        cause: StopCause::Request,
        reason: "the plan is off".to_owned(),
        grace: Some(Duration::from_secs(7)),
        by: None,
    });
    assert_eq!(cancel, TransferCommand::Change { uuid, verb });
}

#[test]
fn outcomes_are_counted_and_numbered() {
    let mut running = operation(BulkVerb::Retry);
    let one = running.note(id(4), Ok(Some(id(5))));
    let two = running.note(id(6), Err("RETRY_NOT_ALLOWED"));
    assert_eq!((one.number, two.number), (1, 2));
    assert_eq!(
        (one.result, two.result),
        (BulkResult::Succeeded, BulkResult::Refused)
    );
    assert_eq!((one.retried_by_uuid, one.reason), (Some(id(5)), None));
    let reason = Some("RETRY_NOT_ALLOWED".to_owned());
    assert_eq!((two.retried_by_uuid, two.reason), (None, reason));
    assert_eq!(
        (running.succeeded, running.refused, running.done()),
        (1, 1, 2)
    );
}

#[test]
fn its_end_is_noted_once_it_does_not_run_any_more() {
    let now = Timestamp::from_micros(60);
    let running = operation(BulkVerb::Cancel).moved(BulkState::Running, now);
    assert_eq!((running.revision, running.ended_at), (2, None));
    assert_eq!(running.updated_at, now);
    for state in [BulkState::Completed, BulkState::Stopped] {
        let ended = running.clone().moved(state, now);
        assert_eq!((ended.state, ended.ended_at), (state, Some(now)));
    }
}

#[test]
fn it_goes_on_in_the_name_of_whoever_started_it() {
    let admin = caller(Role::Admin, None);
    assert_eq!(operation(BulkVerb::Cancel).caller(), admin);
    let nobody = Caller::anonymous(None);
    let now = Timestamp::from_micros(50);
    let operation = BulkOperation::start(id(1), declared(BulkVerb::Cancel), 0, &nobody, now);
    assert_eq!(operation.caller(), nobody);
}

#[test]
fn an_empty_filter_leaves_nothing_out() {
    assert!(!TransferFilter::default().is_restricted());
    let ended = TimeRange {
        from: None,
        to: Some(Timestamp::from_micros(1)),
    };
    for filter in [
        TransferFilter {
            ended,
            ..TransferFilter::default()
        },
        TransferFilter {
            connections: ConnectionScope::Only(id(1)),
            ..TransferFilter::default()
        },
    ] {
        assert!(filter.is_restricted(), "{filter:?}");
    }
}
