//! What callers can ask of the ledger.

use std::time::Duration;

use uuid::Uuid;

use super::{
    connection::NewConnection, event::RequestMark, progress::Report, rule::Action,
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
    },
    /// Say no.
    Deny {
        /// Who says it.
        admin_user_uuid: Uuid,
        /// Why.
        reason: String,
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
    Create(Box<NewTransfer>),
    /// Do something to a transfer.
    Do {
        /// Which one.
        uuid: Uuid,
        /// What.
        verb: Verb,
    },
    /// Create a connection.
    Connect(NewConnection),
}

/// A command with who asks and how a repetition is recognised.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// What to do.
    pub command: Command,
    /// In what role it is asked.
    pub actor: String,
    /// The request's id and digest, where it carries an id.
    pub request: Option<RequestMark>,
}
