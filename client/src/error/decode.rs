//! From a wire status, with its `google.rpc` details, to [`Error`]. The only file that reads error details.

use std::{error, sync::Arc};

use tidegate_proto::v1;
use tonic::{ConnectError, Status, TimeoutExpired};
use tonic_types::StatusExt as _;

use super::{Code, Error, FieldViolation, Inner, TlsProblem};

/// What a deadline that passed is told as, whoever noticed.
pub(super) const NO_ANSWER: &str = "no answer came in time";

impl Error {
    /// What a call that did not succeed came to.
    pub(crate) fn from_status(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        // Only what failed on this side has a cause: a status that the server sent comes without one.
        let local = error::Error::source(&status).is_some();
        let code = code_of(&status, local);
        let unexplained = code == Code::Unknown || code == Code::Cancelled;
        Self(Arc::new(Inner {
            code,
            message: message_of(&status, code, local),
            reason: info.map(|info| info.reason.clone()),
            metadata: info
                .map(|info| info.metadata.clone().into_iter().collect())
                .unwrap_or_default(),
            field_violations: violations_of(details.bad_request()),
            incident: details.request_info().map(|info| info.request_id.clone()),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            // The server explains every refusal, so one of these without a reason was made up underway, such as
            // for a stream that was reset before its status was sent.
            broken: (local || (unexplained && info.is_none())) && code != Code::DeadlineExceeded,
            source: if local { Some(Arc::new(status)) } else { None },
        }))
    }
}

/// The error that a report on the progress stream was answered with.
pub(crate) fn refused_report(refusal: v1::ReportProgressError) -> Error {
    Error(Arc::new(Inner {
        code: Code::from_number(refusal.code),
        message: refusal.message,
        reason: Some(refusal.reason).filter(|reason| !reason.is_empty()),
        metadata: refusal.metadata,
        field_violations: Vec::new(),
        // The wire allows negative ones.
        retry_after: refusal.retry_delay.and_then(|pause| pause.try_into().ok()),
        incident: None,
        broken: false,
        source: None,
    }))
}

/// The transport reports a broken connection under many codes, and its timeouts as `CANCELLED`.
fn code_of(status: &Status, local: bool) -> Code {
    let code = Code::from_number(status.code().into());
    let timed_out = if local {
        chain(status).any(|cause| cause.is::<TimeoutExpired>())
    } else {
        // A proxy or server built on tonic answers with these words when the deadline that it was given passes.
        code == Code::Cancelled && status.message() == TimeoutExpired(()).to_string()
    };
    match (timed_out, local) {
        (true, _) => Code::DeadlineExceeded,
        (false, true) => Code::Unavailable,
        (false, false) => code,
    }
}

fn message_of(status: &Status, code: Code, local: bool) -> String {
    if code == Code::DeadlineExceeded {
        return NO_ANSWER.to_owned();
    }
    if !local {
        return status.message().to_owned();
    }
    let meaning = TlsProblem::of(status).map(|problem| problem.meaning().to_owned());
    let mut parts: Vec<String> = meaning.into_iter().collect();
    for cause in chain(status).skip(1) {
        let text = cause.to_string();
        // Some layers repeat what another says; the outermost says no more than that something failed.
        let repeated = parts.iter().any(|part| part.contains(&text));
        if !repeated && text != "transport error" {
            parts.push(text);
        }
    }
    parts.join(": ")
}

fn violations_of(refusal: Option<&tonic_types::BadRequest>) -> Vec<FieldViolation> {
    refusal
        .into_iter()
        .flat_map(|refusal| &refusal.field_violations)
        .map(|violation| FieldViolation {
            field: violation.field.clone(),
            description: violation.description.clone(),
        })
        .collect()
}

/// Whether a connection could not be made at all.
pub(super) fn is_connect(error: &(dyn error::Error + Send + Sync + 'static)) -> bool {
    chain(error).any(|cause| cause.is::<ConnectError>())
}

/// The error and its causes, outermost first.
pub(super) fn chain<'a>(
    outermost: &'a (dyn error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn error::Error + 'static)> {
    std::iter::successors(Some(outermost), |cause| cause.source())
}
