//! The one place where an error gets its gRPC code and its details.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use uuid::Uuid;

use crate::{error::Error, ledger::chain};
use tidegate_domain::{
    access::AccessRefusal, limit::ConnectionRefusal, refusal::Refusal, validate::Violation,
};

/// The domain of every `ErrorInfo`.
pub(super) const DOMAIN: &str = "tidegate";

/// When a caller should come back after a full queue or a lost database.
const RETRY_SOON: Duration = Duration::from_millis(200);
/// When a caller should come back after the server went away or its streams were used up.
const RETRY_LATER: Duration = Duration::from_secs(1);

/// What clients of grpc-core take is 8 KiB of headers; this much of it the text and the details may have.
const STATUS_MAX: usize = 7 * 1024;
/// Encoded bytes that the text may have.
const TEXT_MAX: usize = 1024;
/// Bytes that a value in the details may have; fewer when there are many.
const VALUE_MAX: usize = 512;
/// Bytes that the violations of fields may have together.
const VIOLATIONS_MAX: usize = 2 * 1024;

/// The status of an error, with exactly one `ErrorInfo` and the detail that fits.
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
    fitted(code(&error), &text, |longest| {
        let mut details = info(error.reason(), error.metadata(), longest);
        if let Some(id) = &incident {
            details.set_request_info(id, "");
        }
        if let Some(pause) = pause(&error) {
            details.set_retry_info(Some(pause));
        }
        if let Error::Refused(refusal) = &error {
            explain(&mut details, refusal, longest);
        }
        details
    })
}

/// A refusal by the transport, with no more than the `ErrorInfo`.
pub(super) fn refusal(
    code: Code,
    reason: &str,
    text: &str,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Status {
    let metadata: Vec<_> = metadata.into_iter().collect();
    fitted(code, text, |longest| {
        info(reason, metadata.iter().cloned(), longest)
    })
}

/// A refusal by the transport that waiting helps against.
pub(super) fn refusal_for_now(code: Code, reason: &str, text: &str) -> Status {
    fitted(code, text, |longest| {
        let mut details = info(reason, [], longest);
        details.set_retry_info(Some(RETRY_LATER));
        details
    })
}

/// When the caller should come back, where that is known.
const fn pause(error: &Error) -> Option<Duration> {
    match error {
        Error::QueueFull | Error::DatabaseUnavailable(_) | Error::RowLocked => Some(RETRY_SOON),
        Error::ShuttingDown
        | Error::DatabaseFull(_)
        | Error::TooManyStreams { .. }
        | Error::TooManyOwnStreams { .. }
        | Error::WatchTooSlow { .. } => Some(RETRY_LATER),
        Error::RateLimited { retry_after } => Some(*retry_after),
        Error::Refused(_)
        | Error::TooManyTransfers { .. }
        | Error::CursorExpired { .. }
        | Error::CursorAhead { .. }
        | Error::LogDiverged(_)
        | Error::Internal(_) => None,
    }
}

/// A status that every client can take: values are shortened until it fits.
fn fitted(code: Code, text: &str, details: impl Fn(usize) -> ErrorDetails) -> Status {
    let text = shortened(text, TEXT_MAX, percent_encoded);
    let mut longest = VALUE_MAX;
    loop {
        let status = Status::with_error_details(code, text.clone(), details(longest));
        if longest < 16 || size(&status) <= STATUS_MAX {
            return status;
        }
        longest /= 2;
    }
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

/// The gRPC code of an error.
pub(super) const fn code(error: &Error) -> Code {
    match error {
        Error::Refused(refusal) => match refusal {
            Refusal::Invalid(_) => Code::InvalidArgument,
            Refusal::TransferNotFound { .. } | Refusal::ConnectionNotFound { .. } => Code::NotFound,
            Refusal::IllegalTransition { .. }
            | Refusal::ApprovalRequired { .. }
            | Refusal::ApprovalExpired { .. }
            | Refusal::ProgressRegressed { .. }
            | Refusal::RetryNotAllowed { .. } => Code::FailedPrecondition,
            Refusal::RequestIdReused { .. }
            | Refusal::Connection(ConnectionRefusal::Duplicate { .. }) => Code::AlreadyExists,
            Refusal::StaleRevision { .. } => Code::Aborted,
            Refusal::Connection(ConnectionRefusal::IpNotAllowed { .. }) => Code::PermissionDenied,
            Refusal::Connection(_) => Code::FailedPrecondition,
            Refusal::Access(refusal) => match refusal {
                AccessRefusal::Unauthenticated | AccessRefusal::SessionCodeInvalid => {
                    Code::Unauthenticated
                }
                AccessRefusal::PermissionDenied { .. }
                | AccessRefusal::SelfApproval { .. }
                | AccessRefusal::ActorMismatch { .. } => Code::PermissionDenied,
                AccessRefusal::CredentialNotFound { .. } => Code::NotFound,
                AccessRefusal::CredentialRevoked { .. } => Code::FailedPrecondition,
            },
        },
        Error::QueueFull
        | Error::RateLimited { .. }
        | Error::TooManyStreams { .. }
        | Error::TooManyOwnStreams { .. }
        | Error::WatchTooSlow { .. }
        | Error::TooManyTransfers { .. } => Code::ResourceExhausted,
        Error::CursorExpired { .. } | Error::CursorAhead { .. } => Code::OutOfRange,
        Error::LogDiverged(_) => Code::DataLoss,
        Error::DatabaseUnavailable(_)
        | Error::DatabaseFull(_)
        | Error::RowLocked
        | Error::ShuttingDown => Code::Unavailable,
        Error::Internal(_) => Code::Internal,
    }
}

fn explain(details: &mut ErrorDetails, refusal: &Refusal, longest: usize) {
    let text = || value(refusal.to_string(), longest);
    match refusal {
        Refusal::Invalid(violations) => {
            name(details, violations, longest);
        }
        Refusal::TransferNotFound { uuid } => {
            details.set_resource_info("tidegate.v1.Transfer", uuid.to_string(), "", "");
        }
        Refusal::ConnectionNotFound { uuid } => {
            details.set_resource_info("tidegate.v1.Connection", uuid.to_string(), "", "");
        }
        Refusal::IllegalTransition { uuid, .. }
        | Refusal::ApprovalRequired { uuid, .. }
        | Refusal::ApprovalExpired { uuid, .. }
        | Refusal::ProgressRegressed { uuid, .. }
        | Refusal::RetryNotAllowed { uuid, .. } => {
            details.add_precondition_failure_violation(
                refusal.reason(),
                format!("tidegate.v1.Transfer/{uuid}"),
                text(),
            );
        }
        Refusal::Connection(refusal) => {
            let subject = format!("tidegate.v1.Connection/{}", refusal.connection());
            details.add_precondition_failure_violation(refusal.reason(), subject, text());
        }
        Refusal::StaleRevision { uuid, .. } => {
            details.set_resource_info("revision", uuid.to_string(), "", text());
        }
        Refusal::Access(AccessRefusal::CredentialNotFound { uuid }) => {
            details.set_resource_info("tidegate.v1.Credential", uuid.to_string(), "", "");
        }
        Refusal::Access(AccessRefusal::CredentialRevoked { uuid }) => {
            details.add_precondition_failure_violation(
                refusal.reason(),
                format!("tidegate.v1.Credential/{uuid}"),
                text(),
            );
        }
        Refusal::Access(_) => {}
        Refusal::RequestIdReused { request_id } => {
            details.set_resource_info("request_id", value(request_id, longest), "", "");
        }
    }
}

/// Names the bad fields, as many as there is room for; a last entry without a field counts the others.
fn name(details: &mut ErrorDetails, violations: &[Violation], longest: usize) {
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
    fn whatever_is_wrong_fits_and_says_so() {
        let violation = |n: usize| Violation {
            field: format!("policy.{}[{n}]", "\u{10fffd}".repeat(n)),
            description: format!("must not be {}", "\u{10fffd}%".repeat(n)),
        };
        for count in [1, 10, 1_000] {
            let refused = Refusal::Invalid((0..count).map(violation).collect());
            let status = status(refused);
            assert!(size(&status) <= STATUS_MAX, "{count}: {}", size(&status));
            let bad = status.get_details_bad_request().expect("violations");
            assert!(!bad.field_violations.is_empty());
        }
    }
}
