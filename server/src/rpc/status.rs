//! The one place where an error gets its gRPC code and its details.

use std::{collections::HashMap, sync::Arc};

use tidegate_proto::v1::ErrorReason;
use tonic::{Code, Status, metadata::MetadataValue};
use tonic_types::{ErrorDetails, StatusExt as _};
use uuid::Uuid;

use crate::{
    error::{Error, RETRY_LATER},
    ledger::chain,
};
use tidegate_domain::{
    refusal::{ErrorKind, Refusal, Subject},
    validate::Violation,
};

/// The domain of every `ErrorInfo`.
pub(super) const DOMAIN: &str = "tidegate";

/// What clients of grpc-core take is 8 KiB of headers; this much of it the text and the details may have.
const STATUS_MAX: usize = 7 * 1024;
/// Encoded bytes that the text may have.
const TEXT_MAX: usize = 1024;
/// Bytes that a value in the details may have; fewer when there are many.
const VALUE_MAX: usize = 512;
/// Bytes that the violations of fields may have together.
const VIOLATIONS_MAX: usize = 2 * 1024;

/// Where gRPC's own retries look for the pause that a server asks for.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// The status of an error, with exactly one `ErrorInfo` and the detail that fits. Its source is the error itself.
pub(super) fn status(error: impl Into<Error>) -> Status {
    let error = error.into();
    let incident = match &error {
        Error::Internal(cause) => {
            let id = Uuid::new_v4().to_string();
            tracing::error!(incident = id, error = %chain(cause.as_ref()), "a call failed");
            Some(id)
        }
        _ => None,
    };
    let text = error.to_string();
    let mut status = fitted(code(&error), &text, |longest| {
        let mut details = info(error.reason(), error.metadata(), longest);
        if let Some(id) = &incident {
            details.set_request_info(id, "");
        }
        if let Some(pause) = error.retry_after() {
            details.set_retry_info(Some(pause));
        }
        if let Error::Refused(refusal, _) = &error {
            explain(&mut details, refusal, longest);
        }
        details
    });
    status.set_source(Arc::new(error));
    status
}

/// A refusal by the transport, with no more than the `ErrorInfo`.
pub(super) fn refusal(
    code: Code,
    reason: ErrorReason,
    text: &str,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Status {
    let metadata: Vec<_> = metadata.into_iter().collect();
    fitted(code, text, |longest| {
        info(name(reason), metadata.iter().cloned(), longest)
    })
}

/// A refusal by the transport that waiting helps against.
pub(super) fn refusal_for_now(code: Code, reason: ErrorReason, text: &str) -> Status {
    fitted(code, text, |longest| {
        let mut details = info(name(reason), [], longest);
        details.set_retry_info(Some(RETRY_LATER));
        details
    })
}

/// A status that every client can take: values are shortened until it fits.
fn fitted(code: Code, text: &str, details: impl Fn(usize) -> ErrorDetails) -> Status {
    let text = shortened(text, TEXT_MAX, percent_encoded);
    let mut longest = VALUE_MAX;
    loop {
        let status = Status::with_error_details(code, text.clone(), details(longest));
        if longest < 16 || size(&status) <= STATUS_MAX {
            return with_pushback(status);
        }
        longest /= 2;
    }
}

/// Says to clients that retry as a service config tells them what `RetryInfo` says: how long to wait, or, where
/// waiting does not help, not to try again.
fn with_pushback(mut status: Status) -> Status {
    let pause = status
        .get_details_retry_info()
        .and_then(|it| it.retry_delay);
    let milliseconds = match pause {
        Some(pause) => i64::try_from(pause.as_millis()).unwrap_or(i64::MAX),
        None if status.code() == Code::ResourceExhausted => -1,
        None => return status,
    };
    let pushback = MetadataValue::from(milliseconds);
    status.metadata_mut().insert(PUSHBACK, pushback);
    status
}

/// What the text and the details take in the headers of an answer.
fn size(status: &Status) -> usize {
    let text: usize = status.message().chars().map(percent_encoded).sum();
    text + status.details().len().div_ceil(3) * 4
}

/// The bytes that a character takes in `grpc-message`.
const fn percent_encoded(c: char) -> usize {
    match c {
        ' ' | '"' | '#' | '%' | '<' | '>' | '`' | '?' | '{' | '}' => 3,
        '!'..='~' => 1,
        _ => 3 * c.len_utf8(),
    }
}

/// `text` as it is if it takes no more than `longest`, or what fits of its beginning and three dots.
fn shortened(text: &str, longest: usize, cost: impl Fn(char) -> usize) -> String {
    const DOTS: &str = "...";
    let (mut taken, mut fits) = (0, 0);
    for (at, c) in text.char_indices() {
        taken += cost(c);
        if taken <= longest.saturating_sub(DOTS.len()) {
            fits = at + c.len_utf8();
        }
        if taken > longest {
            return format!("{}{DOTS}", &text[..fits]);
        }
    }
    text.to_owned()
}

/// A value of the details.
fn value(text: impl AsRef<str>, longest: usize) -> String {
    shortened(text.as_ref(), longest, char::len_utf8)
}

fn info(
    reason: &str,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
    longest: usize,
) -> ErrorDetails {
    let metadata: HashMap<String, String> = metadata
        .into_iter()
        .map(|(key, text)| (key.to_owned(), value(text, longest)))
        .collect();
    ErrorDetails::with_error_info(reason, DOMAIN, metadata)
}

/// The reason as `ErrorInfo` has it.
fn name(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}

/// The gRPC code of an error.
pub(super) const fn code(error: &Error) -> Code {
    match error.kind() {
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::FailedPrecondition => Code::FailedPrecondition,
        ErrorKind::Aborted => Code::Aborted,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::OutOfRange => Code::OutOfRange,
        ErrorKind::DataLoss => Code::DataLoss,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Internal => Code::Internal,
    }
}

/// Adds the detail that fits the refusal beside its `ErrorInfo`.
fn explain(details: &mut ErrorDetails, refusal: &Refusal, longest: usize) {
    let text = || value(refusal.to_string(), longest);
    match refusal {
        Refusal::Invalid { fields } => return name_fields(details, fields, longest),
        Refusal::StaleRevision { uuid, .. } => {
            details.set_resource_info("revision", uuid.to_string(), "", text());
        }
        Refusal::RequestIdReused { request_id } => {
            details.set_resource_info("request_id", value(request_id, longest), "", "");
        }
        _ => {}
    }
    let Some(subject) = refusal.subject() else {
        return;
    };
    let (message, uuid) = match subject {
        Subject::Transfer(uuid) => ("tidegate.v1.Transfer", uuid.0),
        Subject::Connection(uuid) => ("tidegate.v1.Connection", uuid.0),
        Subject::Credential(uuid) => ("tidegate.v1.Credential", uuid.0),
        Subject::BulkOperation(uuid) => ("tidegate.v1.BulkOperation", uuid.0),
        Subject::Agent(uuid) => ("tidegate.v1.Agent", uuid.0),
    };
    if refusal.kind() == ErrorKind::NotFound {
        details.set_resource_info(message, uuid.to_string(), "", "");
    } else {
        let subject = format!("{message}/{uuid}");
        details.add_precondition_failure_violation(refusal.reason(), subject, text());
    }
}

/// Names the bad fields, as many as there is room for; a last entry without a field counts the others.
fn name_fields(details: &mut ErrorDetails, violations: &[Violation], longest: usize) {
    let room = VIOLATIONS_MAX * longest / VALUE_MAX;
    let mut taken = 0;
    for (index, violation) in violations.iter().enumerate() {
        let field = value(&violation.field, longest);
        let description = value(&violation.description, longest);
        taken += field.len() + description.len();
        if taken > room && index > 0 {
            let rest = format!("and {} more", violations.len() - index);
            details.add_bad_request_violation("", rest);
            return;
        }
        details.add_bad_request_violation(field, description);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_text_is_shortened_between_characters() {
        let cut = |text: &str, longest| shortened(text, longest, char::len_utf8);
        assert_eq!(cut("", 3), "");
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abc...");
        assert_eq!(cut("äöüäöü", 10), "äöü...");
        assert_eq!(shortened("%%%", 9, percent_encoded), "%%%");
        assert_eq!(shortened("%%%", 8, percent_encoded), "%...");
    }

    #[test]
    fn clients_that_retry_by_a_service_config_are_told_the_pause() {
        let pushback = |error: Error| {
            let status = status(error);
            let pushback = status.metadata().get(PUSHBACK);
            pushback.map(|it| it.to_str().expect("a number").to_owned())
        };
        let limited = Error::RateLimited(Duration::from_millis(1_500));
        assert_eq!(pushback(limited).as_deref(), Some("1500"));
        let beyond = refusal(
            Code::ResourceExhausted,
            ErrorReason::MetadataTooLarge,
            "",
            [],
        );
        let never = beyond.metadata().get(PUSHBACK);
        assert_eq!(never.map(|it| it.as_bytes()), Some(&b"-1"[..]));
        assert_eq!(pushback(Refusal::Unauthenticated.into()), None);
    }

    #[test]
    fn whatever_is_wrong_fits_and_says_so() {
        let violation = |n: usize| Violation {
            field: format!("policy.{}[{n}]", "\u{10fffd}".repeat(n)),
            description: format!("must not be {}", "\u{10fffd}%".repeat(n)),
        };
        for count in [1, 10, 1_000] {
            let fields = (0..count).map(violation).collect();
            let status = status(Refusal::Invalid { fields });
            assert!(size(&status) <= STATUS_MAX, "{count}: {}", size(&status));
            let bad = status.get_details_bad_request().expect("violations");
            assert!(!bad.field_violations.is_empty());
        }
    }
}
