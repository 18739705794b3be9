//! What a refusal says, read from the wire.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// A refusal with its details.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The gRPC code.
    pub code: Code,
    /// The reason in `ErrorInfo`.
    pub reason: String,
    /// The metadata in `ErrorInfo`.
    pub metadata: HashMap<String, String>,
    /// The fields in `BadRequest`, in order.
    pub fields: Vec<String>,
    /// Whether `RetryInfo` is there.
    pub has_retry_info: bool,
}

/// Reads a status.
///
/// # Panics
/// When it carries no `ErrorInfo` of ours.
pub fn refused(status: &Status) -> Refused {
    let details = status.get_error_details();
    let info = details
        .error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "tidegate", "{status:?}");
    let bad = details.bad_request();
    Refused {
        code: status.code(),
        reason: info.reason.clone(),
        metadata: info.metadata.clone(),
        fields: bad
            .map(|bad| {
                bad.field_violations
                    .iter()
                    .map(|each| each.field.clone())
                    .collect()
            })
            .unwrap_or_default(),
        has_retry_info: details.retry_info().is_some(),
    }
}

/// Asserts code and reason, and returns the rest.
///
/// # Panics
/// When they differ.
pub fn assert_refused(status: &Status, code: Code, reason: &str) -> Refused {
    let refused = refused(status);
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (code, reason),
        "{status:?}"
    );
    refused
}
