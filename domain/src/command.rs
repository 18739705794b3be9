//! What callers can ask of the ledger.

use std::time::Duration;

use uuid::Uuid;

use super::{
    caller::Caller,
    connection::{ConnectionVerb, NewConnection},
    credential::{CredentialVerb, NewCredential, NewSession, NewToken},
    event::IdempotencyKey,
    progress::Report,
    rule::Action,
    time::Timestamp,
    transfer::NewTransfer,
};

/// The reason on the event and the start of the message when an agent fell silent.
pub const HEARTBEAT_LOST: &str = "HEARTBEAT_LOST";

/// Something to do to one existing transfer, with what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Ask for a decision.
    RequestApproval {
        /// Time left to decide.
        expires_in: Duration,
    },
    /// Say yes.
    Approve {
        /// Who says it.
        admin_user_uuid: Uuid,
        /// Remark for the log.
        comment: String,
        /// The revision that was looked at; `None` for whichever is current.
        revision: Option<i64>,
    },
    /// Say no.
    Deny {
        /// Who says it.
        admin_user_uuid: Uuid,
        /// Why.
        reason: String,
        /// The revision that was looked at; `None` for whichever is current.
        revision: Option<i64>,
    },
    /// Note that nobody decided in time. Does nothing to a transfer that is not overdue.
    Expire,
    /// Begin to move rows.
    Start {
        /// How long the agent may stay silent; `None` for ever.
        heartbeat_timeout: Option<Duration>,
    },
    /// Report totals.
    UpdateProgress {
        /// The totals.
        report: Report,
        /// Where the agent would resume; `None` leaves the stored one.
        checkpoint: Option<Vec<u8>>,
    },
    /// All rows were moved.
    Complete {
        /// Final totals.
        report: Report,
    },
    /// Give up.
    Fail {
        /// What went wrong.
        error_message: String,
        /// Final totals.
        report: Report,
    },
    /// Give up for an agent that fell silent. Does nothing to a transfer that is not overdue.
    LoseHeartbeat,
    /// Call off.
    Cancel {
        /// Why.
        reason: String,
    },
    /// Remove the row.
    Delete,
}

impl Verb {
    /// Its line in the rule table.
    pub const fn action(&self) -> Action {
        match self {
            Self::RequestApproval { .. } => Action::RequestApproval,
            Self::Approve { .. } => Action::Approve,
            Self::Deny { .. } => Action::Deny,
            Self::Expire => Action::Expire,
            Self::Start { .. } => Action::Start,
            Self::UpdateProgress { .. } => Action::UpdateProgress,
            Self::Complete { .. } => Action::Complete,
            Self::Fail { .. } | Self::LoseHeartbeat => Action::Fail,
            Self::Cancel { .. } => Action::Cancel,
            Self::Delete => Action::Delete,
        }
    }
}

/// One change that somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Declare a transfer.
    CreateTransfer(Box<NewTransfer>),
    /// Do something to a transfer.
    ChangeTransfer {
        /// Which one.
        uuid: Uuid,
        /// What.
        verb: Verb,
    },
    /// Create a connection.
    CreateConnection {
        /// What was asked for.
        new: Box<NewConnection>,
        /// Whether it waits for its approval.
        pending: bool,
        /// Whether there may be another one to the same site.
        allow_duplicate: bool,
    },
    /// Do something to a connection.
    ChangeConnection {
        /// Which one.
        uuid: Uuid,
        /// What.
        verb: ConnectionVerb,
    },
    /// Create a credential.
    CreateCredential {
        /// What was asked for.
        new: Box<NewCredential>,
        /// Its first token.
        token: NewToken,
    },
    /// Do something to a credential.
    ChangeCredential {
        /// Which one.
        uuid: Uuid,
        /// What.
        verb: CredentialVerb,
    },
    /// Give the agent of a connection a new token, and make the agent where there is none.
    RotateAgent {
        /// The connection.
        connection_uuid: Uuid,
        /// The token.
        token: NewToken,
        /// How long the one before stays good.
        overlap: Duration,
    },
    /// Open a session.
    OpenSession(NewSession),
    /// Redeem a session code.
    RedeemSession {
        /// Digest of the code.
        digest: Vec<u8>,
        /// The code.
        code: String,
        /// The public part of the agent's token.
        token_id: String,
        /// Digest of its secret.
        token_digest: Vec<u8>,
    },
    /// Note that a credential was used. No event.
    NoteUse {
        /// Which one.
        uuid: Uuid,
        /// When, by the server's clock.
        at: Timestamp,
    },
    /// Note that the caller was refused a change before the ledger was asked.
    NoteRefusal {
        /// The reason and the call.
        reason: String,
    },
}

/// A command with who asks and how a repetition is recognised.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// What to do.
    pub command: Command,
    /// Who asks.
    pub caller: Caller,
    /// The request's id and digest, where it carries an id.
    pub request: Option<IdempotencyKey>,
}
