//! What callers can ask of the ledger.

use std::{fmt, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    bulk::{BulkOperation, NewBulkOperation},
    caller::Caller,
    connection::{Connection, ConnectionVerb, NewConnection},
    credential::{Credential, CredentialVerb, NewCredential, NewSession, NewToken, Session},
    event::{About, IdempotencyKey},
    outcome::Failure,
    page::Position,
    progress::Report,
    reachable::Reachable,
    receipt::NewReceipt,
    rule::Action,
    stop::{StopCause, StopKind, StopOrder},
    time::Timestamp,
    transfer::{NewTransfer, Transfer},
};
use crate::id::{BulkOperationId, ConnectionId, CredentialId, TransferId};

/// The start of the message when an agent fell silent.
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
    /// Note that nobody decided or started it in time. Does nothing to a transfer that is not overdue.
    Expire,
    /// Begin to move rows.
    Start {
        /// How long the agent may stay silent; `None` as the policy or the server says, zero for ever.
        heartbeat_timeout: Option<Duration>,
        /// What the agent calls itself; may be empty.
        agent_instance: String,
        /// The credential that will hold the lease: the caller's, whatever is said here.
        owner_uuid: Option<CredentialId>,
    },
    /// Report totals, and how the run goes.
    UpdateProgress {
        /// What is reported.
        report: Report,
        /// Where the agent would resume; `None` leaves the stored one.
        checkpoint: Option<Vec<u8>>,
        /// The lease that the caller believes to hold, where they name it.
        lease_epoch: Option<i64>,
    },
    /// All rows were moved.
    Complete {
        /// The lease that the caller believes to hold, where they name it.
        lease_epoch: Option<i64>,
        /// Final totals.
        report: Report,
    },
    /// Give up.
    Fail {
        /// The lease that the caller believes to hold, where they name it.
        lease_epoch: Option<i64>,
        /// What went wrong, in words.
        error_message: String,
        /// What went wrong, in names.
        failure: Failure,
        /// Final totals.
        report: Report,
    },
    /// End a run whose time is over: of an agent that did not stop as it was asked to, or that fell silent. The latter is
    /// queued again while there are attempts left, and fails otherwise. A run that has not finished in time is asked to
    /// stop. Does nothing to a run that is not overdue, or whose agent may have tried to report in vain.
    EndOverdue {
        /// Since when agents could report.
        reachable: Reachable,
        /// How long who is asked to stop has to confirm; `None` as the policy or the server says.
        grace: Option<Duration>,
    },
    /// Call off, or let wait: at once, or as soon as whoever runs it confirms.
    Stop(StopOrder),
    /// Say that it runs no more, as was asked.
    AcknowledgeStop {
        /// The lease that the caller believes to hold, where they name it.
        lease_epoch: Option<i64>,
        /// Final totals.
        report: Report,
        /// Where the next agent would resume; `None` leaves the stored one.
        checkpoint: Option<Vec<u8>>,
    },
    /// State what its side of the movement counted and saw.
    SubmitReceipt {
        /// The lease that the caller believes to hold, where they name it.
        lease_epoch: Option<i64>,
        /// What is stated.
        receipt: Box<NewReceipt>,
        /// The credential that it comes with: the caller's, whatever is said here.
        by: Option<CredentialId>,
    },
    /// Take a pause back. Does nothing to a transfer that is not paused.
    Resume {
        /// Only a pause that has this cause.
        only: Option<StopCause>,
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
            Self::Fail { .. } | Self::EndOverdue { .. } => Action::Fail,
            Self::Stop(order) => match order.kind {
                StopKind::Cancel => Action::Cancel,
                StopKind::Pause => Action::Pause,
            },
            Self::AcknowledgeStop { .. } => Action::AcknowledgeStop,
            Self::SubmitReceipt { .. } => Action::SubmitReceipt,
            Self::Resume { .. } => Action::Resume,
            Self::Delete => Action::Delete,
        }
    }
}

/// Something that can be asked of the ledger.
pub trait Command: fmt::Debug + Send + Sync + 'static {
    /// What an accepted one is answered with.
    type Answer: Clone + fmt::Debug + Send + Sync + 'static;
}

/// A change of a transfer.
#[derive(Clone, Debug, PartialEq)]
pub enum TransferCommand {
    /// Declare another try of one that has ended.
    Retry {
        /// The one that has ended.
        uuid: TransferId,
        /// Whether the server does so by itself: only where it is due, and once more later where it is refused.
        due: bool,
    },
    /// Declare one.
    Create(Box<NewTransfer>),
    /// Do something to one.
    Change {
        /// Which one.
        uuid: TransferId,
        /// What.
        verb: Verb,
    },
}

impl Command for TransferCommand {
    /// The transfer as it is now; `None` when it was deleted.
    type Answer = Option<Arc<Transfer>>;
}

/// A change of a bulk operation.
#[derive(Clone, Debug, PartialEq)]
pub enum BulkCommand {
    /// Start one.
    Start {
        /// What was asked for.
        new: Box<NewBulkOperation>,
        /// How many transfers were found.
        matched: i64,
    },
    /// Let it go no further. Does nothing to one that has ended.
    Stop {
        /// Which one.
        uuid: BulkOperationId,
    },
    /// Go on with it. Does nothing if somebody else has meanwhile.
    Step(BulkStep),
}

/// The next transfers of a bulk operation.
#[derive(Clone, Debug, PartialEq)]
pub struct BulkStep {
    /// The operation.
    pub uuid: BulkOperationId,
    /// Its revision when the transfers were looked for.
    pub revision: i64,
    /// What is to be done: [`NewBulkOperation::command`] of each transfer that was found.
    pub commands: Vec<TransferCommand>,
    /// The place of the last of them.
    pub upto: Option<Position>,
    /// Whether there are no more.
    pub is_last: bool,
    /// Whether those are left out whose rows somebody else has locked, rather than waited for.
    pub leaves_locked: bool,
}

impl Command for BulkCommand {
    /// The operation as it is now.
    type Answer = Arc<BulkOperation>;
}

/// A change of a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum ConnectionCommand {
    /// Create one.
    Create {
        /// What was asked for.
        new: Box<NewConnection>,
        /// Whether it waits for its approval.
        pending: bool,
        /// Whether there may be another one to the same site.
        allow_duplicate: bool,
    },
    /// Do something to one.
    Change {
        /// Which one.
        uuid: ConnectionId,
        /// What.
        verb: ConnectionVerb,
    },
    /// Note that its transfers have followed the change of its status. Does nothing if it has changed since.
    Settle {
        /// Which one.
        uuid: ConnectionId,
        /// The revision that they have followed.
        revision: i64,
    },
}

impl Command for ConnectionCommand {
    /// The connection as it is now; `None` when it was deleted.
    type Answer = Option<Arc<Connection>>;
}

/// A change of a credential.
#[derive(Clone, Debug, PartialEq)]
pub enum CredentialCommand {
    /// Create one.
    Create {
        /// What was asked for.
        new: Box<NewCredential>,
        /// Its first token.
        token: NewToken,
    },
    /// Do something to one.
    Change {
        /// Which one.
        uuid: CredentialId,
        /// What.
        verb: CredentialVerb,
    },
    /// Give the agent of a connection a new token, and make the agent where there is none.
    RotateAgent {
        /// The connection.
        connection_uuid: ConnectionId,
        /// The token.
        token: NewToken,
        /// How long the one before stays good.
        overlap: Duration,
    },
    /// Redeem a session code for the agent's credential.
    Redeem(Redemption),
}

impl Command for CredentialCommand {
    /// The credential as it is now.
    type Answer = Arc<Credential>;
}

/// What a session code is redeemed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redemption {
    /// Digest of the code.
    pub digest: Vec<u8>,
    /// The code.
    pub code: String,
    /// The public part of the agent's token.
    pub token_id: String,
    /// Digest of its secret.
    pub token_digest: Vec<u8>,
}

/// Open a session.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenSession(pub NewSession);

/// What comes of opening a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Opened {
    /// The session as it is now.
    Session(Arc<Session>),
    /// Nothing was opened: another session has this code. The caller makes another one.
    CodeTaken,
}

impl Command for OpenSession {
    type Answer = Opened;
}

/// Remove the row of a session, if it was over before that time.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteSession {
    /// The digest of its code.
    pub digest: Vec<u8>,
    /// Since when it must have been over.
    pub ended_before: Timestamp,
}

impl Command for DeleteSession {
    /// Whether it was.
    type Answer = bool;
}

/// Something to note about a caller.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// That a credential was used. No event.
    Use {
        /// Which one.
        uuid: CredentialId,
        /// When, by the server's clock.
        at: Timestamp,
    },
    /// That the caller was refused a change before the ledger was asked.
    Refusal {
        /// The name of the refusal.
        reason: &'static str,
        /// The call.
        method: String,
        /// What it was asked of.
        target: Box<Target>,
        /// How many more of the caller's were left out of the log since the one before.
        dropped: i64,
    },
}

impl Command for Note {
    type Answer = ();
}

/// What a refused command was asked of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// What the command named, whether or not it exists.
    pub named: Option<Uuid>,
    /// The transfer, if the caller may see it.
    pub transfer_uuid: Option<TransferId>,
    /// What is told of that transfer.
    pub about: About,
    /// That transfer's connection, or the one that was named; for a caller who sees a single connection always that one.
    pub connection_uuid: Option<ConnectionId>,
    /// The credential.
    pub subject_uuid: Option<Uuid>,
}

/// A command with who asks and how a repetition is recognised.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission<C> {
    /// What to do.
    pub command: C,
    /// Who asks.
    pub caller: Caller,
    /// The request's id and digest, where it carries an id.
    pub request: Option<IdempotencyKey>,
}
