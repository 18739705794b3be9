//! The one place where an error gets its gRPC code and its details.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use uuid::Uuid;

use crate::{
    domain::{access::AccessRefusal, limit::ConnectionRefusal, refusal::Refusal},
    error::Error,
    ledger::chain,
};

/// The domain of every `ErrorInfo`.
pub(super) const DOMAIN: &str = "tidegate";

/// When a caller should come back after a full queue or a lost database.
const RETRY_SOON: Duration = Duration::from_millis(200);
/// When a caller should come back after the server went away or its streams were used up.
const RETRY_LATER: Duration = Duration::from_secs(1);

/// The status of an error, with exactly one `ErrorInfo` and the detail that fits.
pub(super) fn status(error: impl Into<Error>) -> Status {
    let error = error.into();
    let code = code(&error);
    let mut details = info(error.reason(), error.metadata());
    match &error {
        Error::Refused(refusal) => explain(&mut details, refusal),
        Error::QueueFull | Error::DatabaseUnavailable(_) => {
            details.set_retry_info(Some(RETRY_SOON));
        }
        Error::ShuttingDown
        | Error::TooManyStreams { .. }
        | Error::TooManyOwnStreams { .. }
        | Error::WatchTooSlow { .. } => {
            details.set_retry_info(Some(RETRY_LATER));
        }
        Error::RateLimited { retry_after } => {
            details.set_retry_info(Some(*retry_after));
        }
        Error::TooManyTransfers { .. }
        | Error::CursorExpired { .. }
        | Error::CursorAhead { .. } => {}
        Error::Internal(cause) => {
            let id = Uuid::new_v4().to_string();
            tracing::error!(incident = id, error = %chain(cause.as_ref()), "a call failed");
            details.set_request_info(id, "");
        }
    }
    Status::with_error_details(code, error.to_string(), details)
}

/// Details that hold no more than the `ErrorInfo`.
pub(super) fn info(
    reason: &str,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> ErrorDetails {
    let metadata: HashMap<String, String> = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
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
            | Refusal::ProgressRegressed { .. } => Code::FailedPrecondition,
            Refusal::RequestIdReused { .. } => Code::AlreadyExists,
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
        Error::DatabaseUnavailable(_) | Error::ShuttingDown => Code::Unavailable,
        Error::Internal(_) => Code::Internal,
    }
}

fn explain(details: &mut ErrorDetails, refusal: &Refusal) {
    match refusal {
        Refusal::Invalid(violations) => {
            for violation in violations {
                details.add_bad_request_violation(&violation.field, &violation.description);
            }
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
        | Refusal::ProgressRegressed { uuid, .. } => {
            details.add_precondition_failure_violation(
                refusal.reason(),
                format!("tidegate.v1.Transfer/{uuid}"),
                refusal.to_string(),
            );
        }
        Refusal::Connection(refusal) => {
            let subject = format!("tidegate.v1.Connection/{}", refusal.connection());
            details.add_precondition_failure_violation(
                refusal.reason(),
                subject,
                refusal.to_string(),
            );
        }
        Refusal::StaleRevision { uuid, .. } => {
            details.set_resource_info("revision", uuid.to_string(), "", refusal.to_string());
        }
        Refusal::Access(AccessRefusal::CredentialNotFound { uuid }) => {
            details.set_resource_info("tidegate.v1.Credential", uuid.to_string(), "", "");
        }
        Refusal::Access(AccessRefusal::CredentialRevoked { uuid }) => {
            details.add_precondition_failure_violation(
                refusal.reason(),
                format!("tidegate.v1.Credential/{uuid}"),
                refusal.to_string(),
            );
        }
        Refusal::Access(_) => {}
        Refusal::RequestIdReused { request_id } => {
            details.set_resource_info("request_id", request_id, "", "");
        }
    }
}
