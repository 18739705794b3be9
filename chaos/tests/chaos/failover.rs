//! What a run of failovers says of times and answers, without any.

use std::time::{Duration, Instant};

use tidegate_chaos::{
    Report, Verdict,
    failover::{ALLOWED, Begun, Timing, serves},
    statuses::{Meaning, Statuses},
};
use tidegate_proto::v1;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_service_may_be_5_s_later_than_its_database() {
    let timing = |database: u32, service: u32| Timing {
        database: Some(SECOND * database),
        service: Some(SECOND * service),
    };
    assert_eq!(timing(12, 12 + 5).fault(), None);
    assert_eq!(timing(12, 13).behind(), Some(SECOND));
    assert_eq!(timing(12, 11).behind(), Some(Duration::ZERO));
    let late = Timing {
        service: Some(SECOND * 12 + ALLOWED + Duration::from_millis(1)),
        ..timing(12, 0)
    };
    let fault = late.fault().expect("it is later than it may be");
    assert!(fault.contains("5.001s after the database"), "{fault}");
}

#[test]
fn what_was_not_measured_is_a_fault() {
    let timing = |database, service| Timing { database, service };
    for timing in [
        timing(None, None),
        timing(None, Some(SECOND)),
        timing(Some(SECOND), None),
    ] {
        assert_eq!(timing.behind(), None);
        assert!(timing.fault().is_some(), "{timing:?}");
    }
}

#[test]
fn a_service_is_back_when_each_client_and_each_replica_is() {
    let kill = Instant::now() + SECOND;
    let (before, after) = (kill - SECOND, kill + SECOND);
    let serves = |begun: &[((u64, usize), Instant)]| {
        let begun: Begun = begun.iter().copied().collect();
        serves(&begun, kill, 2, 2)
    };
    assert!(serves(&[((0, 0), kill), ((1, 1), after)]));
    assert!(!serves(&[]));
    // An answer that was on its way.
    assert!(!serves(&[((0, 0), before), ((1, 1), after)]));
    // One client hears nothing; one replica says nothing.
    assert!(!serves(&[((0, 0), after), ((0, 1), after)]));
    assert!(!serves(&[((0, 0), after), ((1, 0), after)]));
}

#[test]
fn callers_are_refused_by_rules_or_told_to_try_again() {
    let retry = Some(SECOND);
    for (code, reason, retry, meaning) in [
        (
            Code::Unavailable,
            "DATABASE_UNAVAILABLE",
            retry,
            Meaning::TryAgain,
        ),
        (
            Code::Unavailable,
            "DATABASE_UNAVAILABLE",
            None,
            Meaning::Wrong,
        ),
        (
            Code::FailedPrecondition,
            "ILLEGAL_TRANSITION",
            None,
            Meaning::Refused,
        ),
        (Code::NotFound, "TRANSFER_NOT_FOUND", None, Meaning::Refused),
        (Code::ResourceExhausted, "QUEUE_FULL", retry, Meaning::Wrong),
        (
            Code::DeadlineExceeded,
            "DEADLINE_EXCEEDED",
            None,
            Meaning::Wrong,
        ),
        (Code::DataLoss, "LOG_DIVERGED", None, Meaning::Wrong),
        (Code::Internal, "INTERNAL", None, Meaning::Wrong),
    ] {
        let mut details = ErrorDetails::with_error_info(reason, "tidegate", []);
        details.set_retry_info(retry);
        let status = Status::with_error_details(code, "", details);
        assert_eq!(
            Statuses::default().note("a call", &status),
            meaning,
            "{status:?}"
        );
    }
    // Nobody has written these.
    for status in [Status::unknown("transport error"), Status::unavailable("")] {
        assert_eq!(Statuses::default().note("a call", &status), Meaning::Wrong);
    }
}

#[test]
fn errors_among_the_answers_of_a_stream_count_too() {
    let meaning = |code: Code, reason: &str, pause: Option<Duration>| {
        let error = v1::ReportProgressError {
            code: code.into(),
            reason: reason.to_owned(),
            retry_delay: pause.map(|pause| pause.try_into().expect("a second")),
            ..Default::default()
        };
        Statuses::default().note_report(&error)
    };
    let away = "DATABASE_UNAVAILABLE";
    for (pause, wanted) in [(Some(SECOND), Meaning::TryAgain), (None, Meaning::Wrong)] {
        assert_eq!(meaning(Code::Unavailable, away, pause), wanted);
    }
    assert_eq!(
        meaning(Code::NotFound, "TRANSFER_NOT_FOUND", None),
        Meaning::Refused
    );
    assert_eq!(meaning(Code::Internal, "INTERNAL", None), Meaning::Wrong);
}

#[test]
fn a_report_counts_every_status_and_names_those_that_are_wrong() {
    let mut statuses = Statuses::default();
    statuses.succeeded();
    let mut passing = ErrorDetails::with_error_info("DATABASE_UNAVAILABLE", "tidegate", []);
    passing.set_retry_info(Some(SECOND));
    let passing = Status::with_error_details(Code::Unavailable, "", passing);
    statuses.note("a call", &passing);
    let mut others = statuses.clone();
    let mut report = Report::new("statuses", 0);
    statuses.judge(&mut report);
    assert_eq!(report.verdict(), Verdict::Passed);
    others.wrong("a stream", "no answer");
    others.note("a call", &Status::unknown("transport error"));
    statuses.add(others);
    statuses.judge(&mut report);
    assert_eq!(report.verdict(), Verdict::Failed);
    let said = report.to_string();
    for part in [
        "2 Unavailable DATABASE_UNAVAILABLE with RetryInfo",
        "fault: 1 answers were no answer",
        "fault: answered a stream: no answer",
        "fault: 1 answers were Unknown of no reason without RetryInfo",
        "transport error",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
