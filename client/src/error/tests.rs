//! What a wire status becomes.

use std::{collections::HashMap, error::Error as _, io, sync::Arc};

use tonic::{Code as Wire, Status, TimeoutExpired};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;

fn refused() -> Status {
    let metadata = HashMap::from([("fields".to_owned(), "2".to_owned())]);
    let mut details = ErrorDetails::with_error_info("INVALID_FIELDS", "tidegate", metadata);
    details
        .add_bad_request_violation("table_name", "must not be empty")
        .add_bad_request_violation("direction", "is required")
        .set_retry_info(Some(Duration::from_millis(1_500)));
    Status::with_error_details(Wire::InvalidArgument, "2 fields\nare invalid", details)
}

#[test]
fn every_detail_is_read() {
    let error = Error::from_status(refused());
    assert_eq!(
        (error.code(), error.code().number()),
        (Code::InvalidArgument, 3)
    );
    assert!(error.is_invalid() && !error.is_broken() && !error.is_unavailable());
    assert_eq!(error.reason(), Some(Reason::InvalidFields));
    assert_eq!(error.metadata()["fields"], "2");
    assert_eq!(error.retry_after(), Some(Duration::from_millis(1_500)));
    let fields: Vec<_> = error
        .field_violations()
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(fields, ["table_name", "direction"]);
    assert!(error.source().is_none(), "nothing failed on this side");
}

#[test]
fn it_is_told_in_one_line() {
    assert_eq!(
        Error::from_status(refused()).to_string(),
        "INVALID_ARGUMENT INVALID_FIELDS: 2 fields are invalid \
         (table_name: must not be empty; direction: is required)"
    );
    let bare = Error::from_status(Status::not_found("no \u{1b}[31mtransfer\u{7}"));
    assert_eq!(bare.to_string(), "NOT_FOUND: no  [31mtransfer ");
}

#[test]
fn a_defect_is_told_with_its_incident() {
    let mut details = ErrorDetails::with_error_info("INTERNAL", "tidegate", HashMap::new());
    details.set_request_info("4133", "");
    let status = Status::with_error_details(Wire::Internal, "internal error", details);
    let error = Error::from_status(status);
    assert_eq!(error.incident(), Some("4133"));
    let located = error.explained("there: internal error".to_owned());
    assert_eq!(
        located.to_string(),
        "INTERNAL: there: internal error (incident 4133)"
    );
}

#[test]
fn details_that_are_garbage_do_no_harm() {
    let status = Status::with_details(Wire::NotFound, "gone", vec![1, 2, 3].into());
    let error = Error::from_status(status);
    assert!(error.is_not_found());
    assert_eq!((error.reason(), error.message()), (None, "gone"));
}

#[test]
fn a_connection_that_breaks_is_unavailable() {
    for code in [
        Wire::Unknown,
        Wire::Cancelled,
        Wire::Internal,
        Wire::ResourceExhausted,
    ] {
        let mut status = Status::new(code, "h2 protocol error");
        let cause = io::Error::new(io::ErrorKind::ConnectionReset, "reset by peer");
        status.set_source(Arc::new(cause));
        let error = Error::from_status(status);
        assert!(error.is_unavailable() && error.is_broken(), "{code:?}");
        assert_eq!(error.message(), "reset by peer");
        let cause = error
            .source()
            .and_then(|cause| cause.downcast_ref::<io::Error>());
        assert_eq!(cause.unwrap().kind(), io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn an_end_without_an_explanation_is_a_broken_connection() {
    for status in [Status::unknown("no status"), Status::cancelled("reset")] {
        let code = i32::from(status.code());
        let error = Error::from_status(status);
        assert!(error.is_broken());
        assert_eq!(
            error.code().number(),
            code,
            "what was sent is not rewritten"
        );
    }
    assert!(!Error::from_status(Status::internal("bug")).is_broken());
}

#[test]
fn both_sides_timeouts_are_one() {
    let mut local = Status::cancelled("Timeout expired");
    local.set_source(Arc::new(TimeoutExpired(())));
    for status in [
        local,
        Status::cancelled("Timeout expired"),
        Status::deadline_exceeded("too late"),
    ] {
        let error = Error::from_status(status);
        assert!(error.is_timeout() && !error.is_broken(), "{error:?}");
        assert_eq!(error.code().as_str(), "DEADLINE_EXCEEDED");
    }
}

#[test]
fn codes_have_their_names() {
    for number in 0..17 {
        let name = format!("{:?}", Wire::from_i32(number)).to_lowercase();
        let ours = Code::from_number(number)
            .as_str()
            .replace('_', "")
            .to_lowercase();
        assert_eq!(ours, name);
    }
    for number in [-1, 17, i32::MAX] {
        assert_eq!(Code::from_number(number), Code::Unknown);
    }
}
