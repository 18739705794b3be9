//! What can go wrong, in terms of the contract; how a wire status becomes one is `error::decode`'s alone.

mod code;
mod decode;
#[cfg(test)]
mod tests;
mod tls;

#[cfg(feature = "tls")]
use std::io;
use std::{collections::BTreeMap, error, fmt, sync::Arc, time::Duration};

use crate::{TransferStatus, token::Cause};

pub(crate) use self::decode::refused_report;
pub use self::{
    code::{Code, Reason},
    tls::TlsProblem,
};

/// Why a call failed.
///
/// Decide by the predicates, by [`reason`](Error::reason) or by [`code`](Error::code), never by the text: texts may
/// change. Cloning is cheap. `Display` is one line, such as
/// `NOT_FOUND TRANSFER_NOT_FOUND: no transfer 0199…`. For a failed connection the message names every layer's complaint,
/// and [`source`](error::Error::source) is the root cause, such as an [`std::io::Error`].
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    code: Code,
    message: String,
    reason: Option<String>,
    metadata: BTreeMap<String, String>,
    field_violations: Vec<FieldViolation>,
    retry_after: Option<Duration>,
    incident: Option<String>,
    /// The connection broke or was never made: whether the server saw the call is not known.
    broken: bool,
    source: Option<Arc<dyn error::Error + Send + Sync>>,
}

/// A field of the request that the server refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldViolation {
    /// The field, as the contract names it; with dots and indices inside messages and lists. Empty in a last entry that
    /// counts the fields which are left out.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

impl Error {
    /// An error of the client's own making.
    pub(crate) fn local(code: Code, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            code,
            message: message.into(),
            reason: None,
            metadata: BTreeMap::new(),
            field_violations: Vec::new(),
            retry_after: None,
            incident: None,
            broken: false,
            source: None,
        }))
    }

    /// What the caller gave cannot be used.
    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self::local(Code::InvalidArgument, why)
    }

    /// The server's answer breaks the contract.
    pub(crate) fn malformed(what: &str) -> Self {
        Self::local(
            Code::Internal,
            format!("the server's answer is malformed: {what}"),
        )
    }

    #[cfg(test)]
    pub(crate) fn asking_for(mut self, pause: Duration) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.retry_after = Some(pause);
        }
        self
    }

    /// A transfer's revision went down, which it never does in one and the same ledger.
    pub(crate) fn diverged(known: i64, found: i64) -> Self {
        let text = format!(
            "the ledger went back: the transfer was at revision {known} and is at revision {found}"
        );
        let mut error = Self::local(Code::DataLoss, text);
        if let Some(inner) = Arc::get_mut(&mut error.0) {
            inner.reason = Some(Reason::LogDiverged.to_string());
            inner.metadata = [("known_revision", known), ("found_revision", found)]
                .map(|(name, revision)| (name.to_owned(), revision.to_string()))
                .into();
        }
        error
    }

    /// What waits for a report is told when the transfer is no longer in progress.
    pub(crate) fn left(status: TransferStatus) -> Self {
        let text = format!("the transfer is {status}");
        let mut error = Self::local(Code::FailedPrecondition, text);
        if let Some(inner) = Arc::get_mut(&mut error.0) {
            inner.reason = Some(Reason::IllegalTransition.to_string());
            inner.metadata = BTreeMap::from([("status".to_owned(), status.to_string())]);
        }
        error
    }

    /// The task behind a reporter is gone, as when its runtime shuts down.
    pub(crate) fn reporter_ended() -> Self {
        Self::local(Code::Cancelled, "the reporter has ended")
    }

    /// There was no token to show, so nothing was sent.
    pub(crate) fn no_token(cause: Cause) -> Self {
        let chain = decode::chain(&*cause).map(ToString::to_string);
        let why = chain.collect::<Vec<_>>().join(": ");
        let mut error = Self::local(
            Code::Unauthenticated,
            format!("there is no token to show: {why}"),
        );
        if let Some(inner) = Arc::get_mut(&mut error.0) {
            inner.source = Some(Arc::from(cause));
        }
        error
    }

    /// The client's own patience ended.
    pub(crate) fn no_answer() -> Self {
        Self::local(Code::DeadlineExceeded, decode::NO_ANSWER)
    }

    /// The same error with another text and cause in front of it.
    pub(crate) fn explained(&self, message: String) -> Self {
        Self(Arc::new(Inner {
            message,
            reason: self.0.reason.clone(),
            metadata: self.0.metadata.clone(),
            field_violations: self.0.field_violations.clone(),
            incident: self.0.incident.clone(),
            source: self.0.source.clone(),
            ..*self.0
        }))
    }

    /// The gRPC status code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The text for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The server's reason; `None` when the server gave none.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.reason_name().map(Reason::from_name)
    }

    /// The server's reason in upper snake case, such as `ILLEGAL_TRANSITION`, whether this version of the client knows it or
    /// not.
    #[must_use]
    pub fn reason_name(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// The values that belong to the reason, such as `status`, `action` and `allowed_from`.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }

    /// Every field of the request that was refused; empty for other errors.
    #[must_use]
    pub fn field_violations(&self) -> &[FieldViolation] {
        &self.0.field_violations
    }

    /// How long the server asks to wait before trying again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What a defect of the server goes by in the server's log, which has its cause; `None` for any other error.
    #[must_use]
    pub fn incident(&self) -> Option<&str> {
        self.0.incident.as_deref()
    }

    /// The transfer or connection does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.0.code == Code::NotFound
    }

    /// The caller showed no token, or none that is good (any more), or had none to show.
    #[must_use]
    pub fn is_unauthenticated(&self) -> bool {
        self.0.code == Code::Unauthenticated
    }

    /// The caller is known and may not do that.
    #[must_use]
    pub fn is_permission_denied(&self) -> bool {
        self.0.code == Code::PermissionDenied
    }

    /// The request is wrong in itself; see [`field_violations`](Self::field_violations).
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.0.code == Code::InvalidArgument
    }

    /// The transfer's status does not allow the change.
    #[must_use]
    pub fn is_illegal_transition(&self) -> bool {
        self.reason() == Some(Reason::IllegalTransition)
    }

    /// The caller does not hold the transfer's lease, or not any more: somebody else may run it.
    #[must_use]
    pub fn is_lease_lost(&self) -> bool {
        self.reason() == Some(Reason::LeaseLost)
    }

    /// A position in the log is none any more: its events were deleted, or the log is another one since a backup was
    /// restored. Nothing can go on from there: read all anew, from a list or from position 0.
    #[must_use]
    pub fn is_position_lost(&self) -> bool {
        use Reason::{CursorAhead, CursorExpired, LogDiverged};

        matches!(
            self.reason(),
            Some(CursorAhead | CursorExpired | LogDiverged)
        )
    }

    /// The transfer's present state does not allow the change, for whatever reason.
    #[must_use]
    pub fn is_precondition(&self) -> bool {
        self.0.code == Code::FailedPrecondition
    }

    /// The request id was used before for something else.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.0.code == Code::AlreadyExists
    }

    /// A limit of the server is reached.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.0.code == Code::ResourceExhausted
    }

    /// The server cannot be reached, or cannot serve at present.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.0.code == Code::Unavailable
    }

    /// No answer came in time. Whether a change was made is not known; repeating it with the same request id is safe.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.code == Code::DeadlineExceeded
    }

    /// The call was called off before it was answered.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.code == Code::Cancelled
    }

    /// What kept TLS from being spoken with the server; `None` for any other error.
    #[must_use]
    pub fn tls_problem(&self) -> Option<TlsProblem> {
        TlsProblem::of(self.0.source.as_deref()?)
    }

    /// There was no token to show. What a server refuses has no cause on this side.
    pub(crate) fn is_without_token(&self) -> bool {
        self.is_unauthenticated() && self.0.source.is_some()
    }

    /// The connection was never made, so the server saw nothing of the call.
    pub(crate) fn is_connect(&self) -> bool {
        self.0.source.as_deref().is_some_and(decode::is_connect)
    }

    /// The connection was made and then ended, and nobody said why.
    #[cfg(feature = "tls")]
    pub(crate) fn is_unexplained(&self) -> bool {
        self.is_broken() && !self.is_connect() && self.tls_problem().is_none()
    }

    /// What a server said instead of, or after, a handshake; `None` when it is about something else than TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn from_handshake(error: io::Error) -> Option<Self> {
        let meaning = TlsProblem::of(&error)?.meaning();
        let mut told = Self::local(Code::Unavailable, format!("{meaning}: {error}"));
        let inner = Arc::get_mut(&mut told.0)?;
        inner.broken = true;
        inner.source = Some(Arc::new(error));
        Some(told)
    }

    /// The connection broke, was never made, or ended without an answer of the server.
    pub(crate) fn is_broken(&self) -> bool {
        self.0.broken
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code().as_str())?;
        let named = self.reason_name();
        if let Some(reason) = named.filter(|reason| *reason != self.code().as_str()) {
            write!(f, " {}", OneLine(reason))?;
        }
        write!(f, ": {}", OneLine(self.message()))?;
        for (index, violation) in self.field_violations().iter().enumerate() {
            let before = if index == 0 { " (" } else { "; " };
            let FieldViolation { field, description } = violation;
            write!(f, "{before}{}: {}", OneLine(field), OneLine(description))?;
        }
        if !self.field_violations().is_empty() {
            f.write_str(")")?;
        }
        if let Some(incident) = self.incident() {
            write!(f, " (incident {})", OneLine(incident))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.code())
            .field("reason", &self.0.reason)
            .field("message", &self.0.message)
            .field("metadata", &self.0.metadata)
            .field("field_violations", &self.0.field_violations)
            .field("retry_after", &self.0.retry_after)
            .field("incident", &self.0.incident)
            .field("source", &self.0.source)
            .finish()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        // The message tells the layers in between; the root cause is what a caller may want to look into.
        let outermost: &(dyn error::Error + 'static) = self.0.source.as_deref()?;
        decode::chain(outermost).last()
    }
}

/// Text that may come from afar: a line break or terminal escape in it must not reach a log or terminal.
pub(crate) struct OneLine<'a>(pub(crate) &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(char::is_control) {
            match part.strip_suffix(char::is_control) {
                Some(text) => write!(f, "{text} ")?,
                None => f.write_str(part)?,
            }
        }
        Ok(())
    }
}
