//! What can go wrong in a command: what is said about it on stderr, and the exit code that scripts see.

use std::{io, time::Duration};

use tidegate_client::{Code, Error, Reason, TlsProblem, TransferStatus};

use crate::output::{complain, note};
use crate::text::escape;

/// Exit code after Ctrl-C, as of a process ended by SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;
/// Exit code when the reader of stdout went away, as of a process ended by SIGPIPE.
const OUTPUT_CLOSED: u8 = 141;
/// Exit code when time is up, as of timeout(1).
const TIMED_OUT: u8 = 124;
/// Exit code of a refused call, to which the gRPC code is added. Scripts written for grpcurl know it.
const REFUSED: u8 = 64;
/// The gRPC code of what is not there.
const NOT_FOUND: u8 = 5;
/// Exit code of wrong usage, as the parser of the command line has it.
const USAGE: u8 = 2;

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server or the way to it refused the call.
    Refused(Error),
    /// What was said on the command line, or a file that it names, cannot be used.
    Usage(String),
    /// Nothing is called that.
    NotFound(String),
    /// Several things are called that: what was said, and a line for each of them.
    Ambiguous(String, Vec<String>),
    /// Whoever was asked said no.
    Declined,
    /// What went wrong was told as it happened, and this is the exit code of it.
    Told(u8),
    /// The transfer that was watched came to another end than COMPLETED.
    Ended(TransferStatus),
    /// What was waited for did not come in time: the last status, and how long it was waited for.
    TimedOut(Option<TransferStatus>, Duration),
    /// Stdout cannot be written to.
    Output(io::Error),
    /// A watch ended though nothing had gone wrong and nothing was finished.
    WatchEnded,
}

impl Failure {
    /// What was set cannot be used; no server was asked.
    pub(crate) fn unusable(error: Error) -> Self {
        Self::Usage(error.message().to_owned())
    }

    /// The exit code, as the help lists them.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(error) => u8::try_from(error.code().number())
                .ok()
                .and_then(|code| REFUSED.checked_add(code))
                .unwrap_or(1),
            Self::Usage(_) | Self::Ambiguous(..) => USAGE,
            Self::NotFound(_) => REFUSED + NOT_FOUND,
            Self::Told(code) => *code,
            Self::TimedOut(..) => TIMED_OUT,
            Self::Ended(status) => match status {
                TransferStatus::Completed => 14,
                TransferStatus::Failed => 10,
                TransferStatus::Denied => 11,
                TransferStatus::Expired => 12,
                TransferStatus::Cancelled => 13,
                _ => 1,
            },
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => OUTPUT_CLOSED,
            Self::Output(_) | Self::WatchEnded | Self::Declined => 1,
        }
    }

    /// What to say on stderr: one line, and one more for each of several that it is about. Nothing when the output has said
    /// it already or nobody wants to know.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Refused(error) => refusal(error),
            Self::Usage(what) | Self::NotFound(what) => vec![format!("error: {}", escape(what))],
            Self::Ambiguous(what, which) => {
                let mut lines = vec![format!("error: {}; say which:", escape(what))];
                lines.extend(which.iter().map(|line| format!("  {}", escape(line))));
                lines
            }
            Self::Declined => vec!["error: nothing was done".to_owned()],
            Self::Output(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                vec![format!("error: {error}")]
            }
            Self::TimedOut(Some(status), longest) => {
                let longest = humantime::format_duration(*longest);
                vec![format!(
                    "error: the transfer is still {status} after {longest}"
                )]
            }
            Self::TimedOut(None, longest) => {
                let longest = humantime::format_duration(*longest);
                vec![format!(
                    "error: nothing was heard of the transfer within {longest}"
                )]
            }
            Self::WatchEnded => vec!["error: the watch ended before the transfer did".to_owned()],
            Self::Ended(_) | Self::Told(_) | Self::Output(_) => Vec::new(),
        }
    }
}

/// Says on stderr what went wrong, and which of several things it is about.
pub(crate) fn tell(failure: &Failure, about: Option<&str>) {
    for line in failure.lines() {
        match (line.strip_prefix("error: "), about) {
            (Some(what), Some(about)) => complain(&format!("{}: {what}", escape(about))),
            (Some(what), None) => complain(what),
            (None, _) => note(&line),
        }
    }
}

/// One sentence with what to do, and the code at its end; then a line for each of several bad fields.
fn refusal(error: &Error) -> Vec<String> {
    let fields = error.field_violations();
    let mut sentence = match fields {
        _ if error.reason() == Some(Reason::Unauthenticated) => {
            "the server wants a valid token".to_owned()
        }
        [] => escape(error.message()),
        [only] if !only.field.is_empty() => {
            format!("{} {}", escape(&only.field), escape(&only.description))
        }
        _ => "these fields of the request are bad".to_owned(),
    };
    if let Some(remedy) = remedy(error) {
        sentence = format!("{sentence}; {remedy}");
    }
    let mut code = error.code().as_str().to_owned();
    if let Some(reason) = error.reason_name().filter(|reason| *reason != code) {
        code = format!("{code} {}", escape(reason));
    }
    let mut lines = vec![format!("error: {sentence} ({code})")];
    let several = fields.iter().filter(|_| fields.len() > 1);
    lines.extend(several.map(|violation| {
        let description = escape(&violation.description);
        // The one without a field counts those that are left out.
        match violation.field.as_str() {
            "" => format!("  {description}"),
            field => format!("  {}: {description}", escape(field)),
        }
    }));
    lines
}

/// What the person at the keyboard can do, where what went wrong does not say so itself.
fn remedy(error: &Error) -> Option<String> {
    if let Some(incident) = error.incident() {
        let incident = escape(incident);
        return Some(format!(
            "its cause is in the server's log under incident {incident}"
        ));
    }
    let is_for_now = error.code() == Code::ResourceExhausted;
    if let Some(pause) = error.retry_after().filter(|_| is_for_now) {
        let pause = humantime::format_duration(Duration::from_secs(pause.as_secs().max(1)));
        return Some(format!("try again in {pause}"));
    }
    let named = |field: &str| {
        let fields = error.field_violations().iter();
        fields.clone().any(|violation| violation.field == field)
    };
    if named("admin_user_uuid") {
        return Some("say who decides with --admin UUID".to_owned());
    }
    let told = error.metadata();
    let is_start = told.get("action").is_some_and(|action| action == "START");
    if let Some(uuid) = told.get("uuid").filter(|_| is_start) {
        let uuid = escape(uuid);
        return Some(format!(
            "tidegate transfer explain {uuid} says what it waits for"
        ));
    }
    let said = match error.reason() {
        Some(reason) => by_reason(reason)?,
        None if is_refused_connection(error) => {
            "is tidegate-server running there? see --address and TIDEGATE_ADDRESS"
        }
        None => by_tls(error.tls_problem()?)?,
    };
    Some(said.to_owned())
}

fn by_reason(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::Unauthenticated => {
            "show one with tidegate login, --token-file FILE or TIDEGATE_TOKEN"
        }
        Reason::PermissionDenied => "tidegate whoami says whose token it is",
        Reason::TransferNotFound => "tidegate transfer list shows those that there are",
        Reason::ConnectionNotFound => "tidegate connection list shows those that there are",
        Reason::CredentialNotFound => "tidegate credential list shows those that there are",
        Reason::CredentialRevoked => "create another with tidegate credential create",
        Reason::SessionCodeInvalid => "ask for a new one, which tidegate session create makes",
        Reason::ApprovalExpired | Reason::StartExpired => "declare a new transfer",
        Reason::PhaseRegressed => "a run goes on to the next phase, or fails",
        Reason::TotalsInconsistent => "give all totals since the start, with --records",
        Reason::ProgressRegressed => "give totals since the start",
        Reason::RequestIdReused => "give every new request an id of its own",
        Reason::CursorExpired => "begin anew with --after 0",
        Reason::CursorAhead => "check --address, since this may be another log, or begin anew",
        Reason::LogDiverged => DIVERGED,
        _ => return None,
    })
}

fn is_refused_connection(error: &Error) -> bool {
    let cause = std::error::Error::source(error);
    let cause = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}

const DIVERGED: &str = "a backup was restored, or a standby took over that lacked the last commits, so what was read so far may \
     not have happened: read anew from the beginning, or from an event that both logs have";

fn by_tls(problem: TlsProblem) -> Option<&'static str> {
    match problem {
        TlsProblem::UnknownIssuer => Some(
            "name the file of the authority that signed it with --ca FILE or TIDEGATE_CA, if you trust it",
        ),
        TlsProblem::Expired => Some(
            "check this machine's clock; if it is right, the server's certificate has to be renewed",
        ),
        TlsProblem::WrongName => {
            Some("use a name that the certificate is for in --address or TIDEGATE_ADDRESS")
        }
        TlsProblem::NotTls => Some(
            "check host and port; if the server is meant to have no TLS, write http:// in --address or TIDEGATE_ADDRESS",
        ),
        TlsProblem::ClientCertificateRequired => Some(
            "name your certificate with --cert FILE and --key FILE, or TIDEGATE_CERT and TIDEGATE_KEY",
        ),
        TlsProblem::ClientCertificateRefused => Some(
            "use a certificate, with --cert FILE and --key FILE, that the server's authority signed and that has not expired",
        ),
        _ => None,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_end_has_the_code_of_its_status() {
        let codes = [
            (TransferStatus::Completed, 14),
            (TransferStatus::Failed, 10),
            (TransferStatus::Denied, 11),
            (TransferStatus::Expired, 12),
            (TransferStatus::Cancelled, 13),
            (TransferStatus::Unknown(99), 1),
        ];
        for (status, code) in codes {
            assert_eq!(Failure::Ended(status).exit_code(), code, "{status}");
            assert!(Failure::Ended(status).lines().is_empty());
        }
    }

    #[test]
    fn a_closed_pipe_is_silent_and_other_errors_are_not() {
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((closed.exit_code(), closed.lines().len()), (141, 0));
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!((full.exit_code(), full.lines().len()), (1, 1));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_refused_with_78() {
        let connected = tidegate_client::Client::connect("http://127.0.0.1:1").await;
        let error = connected.expect_err("nobody listens there");
        let failure = Failure::from(error);
        assert_eq!(failure.exit_code(), 78);
        assert!(
            failure.lines()[0].contains("is tidegate-server running there?"),
            "{:?}",
            failure.lines()
        );
        assert!(failure.lines()[0].ends_with(" (UNAVAILABLE)"));
        assert_eq!(failure.lines().len(), 1);
    }
}
