//! The closed vocabularies: statuses, directions and the like, each with its lower snake case word. Serialized they have
//! the names of the contract, as in protobuf's JSON.
//!
//! The server may learn new values before the client does: every vocabulary that it answers with keeps an unknown one
//! as its number.

use std::{error, fmt, str::FromStr};

use serde::{Serialize, Serializer};
use tidegate_proto::v1;

/// A text that is none of a vocabulary's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWord {
    given: String,
    known: Vec<&'static str>,
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not one of {}",
            self.given,
            self.known.join(", ")
        )
    }
}

impl error::Error for UnknownWord {}

/// A value that is a number on the wire.
pub(crate) trait Wire: Sized {
    fn from_wire(number: i32) -> Self;

    /// The value of a field in which 0 says that there is none.
    fn from_wire_if_set(number: i32) -> Option<Self> {
        (number != 0).then(|| Self::from_wire(number))
    }

    fn to_wire(self) -> i32;
}

/// Gives a type the list of its values, and its words in `FromStr`.
macro_rules! spoken {
    ($name:ident { $($value:ident = $word:literal,)+ }) => {
        impl $name {
            /// Every value that this version of the client knows, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$value),)+
                    _ => Err(UnknownWord { given: text.to_owned(), known: vec![$($word),+] }),
                }
            }
        }
    };
}

/// Declares a vocabulary of the wire, with the words of its values and `Unknown` for numbers that have none.
macro_rules! vocabulary {
    (
        $(#[$doc:meta])*
        $name:ident from $wire:ident { $($(#[$value_doc:meta])* $value:ident = $word:literal,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$value_doc])* $value,)+
            /// A value that this version of the client does not know, by its number on the wire; 0 is none at all.
            Unknown(i32),
        }

        spoken!($name { $($value = $word,)+ });

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$value => f.pad($word),)+
                    Self::Unknown(number) => f.pad(&format!("unknown_{number}")),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match v1::$wire::try_from(self.to_wire()) {
                    Ok(known) => serializer.serialize_str(known.as_str_name()),
                    Err(_) => serializer.serialize_i32(self.to_wire()),
                }
            }
        }

        impl Wire for $name {
            fn from_wire(number: i32) -> Self {
                match v1::$wire::try_from(number) {
                    $(Ok(v1::$wire::$value) => Self::$value,)+
                    Ok(v1::$wire::Unspecified) | Err(_) => Self::Unknown(number),
                }
            }

            fn to_wire(self) -> i32 {
                match self {
                    $(Self::$value => v1::$wire::$value.into(),)+
                    Self::Unknown(number) => number,
                }
            }
        }
    };
}

mod agent;
mod bulk;
mod receipt;
mod stop;

pub use agent::AgentState;
pub use bulk::{BulkResult, BulkState, BulkVerb};
pub use receipt::{ReconciliationState, VerificationResult};
pub use stop::{StopCause, StopKind};

vocabulary! {
    /// Which way the rows flow, seen from the site whose agent runs the transfer.
    Direction from Direction {
        /// The agent's site gives the rows.
        Send = "send",
        /// The agent's site takes the rows.
        Receive = "receive",
    }
}

vocabulary! {
    /// What the receiving agent does with a row whose key the target already holds.
    ConflictStrategy from ConflictStrategy {
        /// Keep the existing row, count the new one as skipped.
        Skip = "skip",
        /// Replace the existing row.
        Overwrite = "overwrite",
        /// Write the new values, keep existing ones where the new one is null.
        Merge = "merge",
        /// Insert the row under a new key.
        Append = "append",
    }
}

vocabulary! {
    /// Where a transfer stands.
    TransferStatus from TransferStatus {
        /// Declared, not yet started and not waiting for a decision.
        Pending = "pending",
        /// Waiting for an approver, until `approval_expires_at`.
        PendingApproval = "pending_approval",
        /// Approved and ready to start.
        Approved = "approved",
        /// Denied by an approver. Terminal.
        Denied = "denied",
        /// An agent is moving rows.
        InProgress = "in_progress",
        /// All rows were moved. Terminal.
        Completed = "completed",
        /// The agent gave up, or its heartbeat was lost. Terminal.
        Failed = "failed",
        /// Called off. Terminal.
        Cancelled = "cancelled",
        /// Nobody decided before the deadline. Terminal.
        Expired = "expired",
    }
}

impl TransferStatus {
    /// Whether nothing leaves this status any more. An unknown status is taken not to be terminal.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Denied | Self::Completed | Self::Failed | Self::Cancelled | Self::Expired => true,
            Self::Pending
            | Self::PendingApproval
            | Self::Approved
            | Self::InProgress
            | Self::Unknown(_) => false,
        }
    }
}

vocabulary! {
    /// What happened, to a transfer unless the name says otherwise.
    EventType from EventType {
        /// It was created.
        Created = "created",
        /// A decision was asked for.
        ApprovalRequested = "approval_requested",
        /// It was approved.
        Approved = "approved",
        /// It was denied.
        Denied = "denied",
        /// Its approval deadline passed.
        Expired = "expired",
        /// An agent started it.
        Started = "started",
        /// The agent completed it.
        Completed = "completed",
        /// The agent failed it, or its heartbeat was lost.
        Failed = "failed",
        /// It was cancelled.
        Cancelled = "cancelled",
        /// Its row was deleted; its events stay.
        Deleted = "deleted",
        /// A connection was created.
        ConnectionCreated = "connection_created",
        /// Fields of a connection or of its policy were changed.
        ConnectionUpdated = "connection_updated",
        /// A connection was put into use.
        ConnectionApproved = "connection_approved",
        /// A connection was paused.
        ConnectionSuspended = "connection_suspended",
        /// A connection was put into use again.
        ConnectionReactivated = "connection_reactivated",
        /// A connection was ended.
        ConnectionRevoked = "connection_revoked",
        /// A connection's end has passed.
        ConnectionExpired = "connection_expired",
        /// A connection's row was deleted.
        ConnectionDeleted = "connection_deleted",
        /// A credential was created.
        CredentialCreated = "credential_created",
        /// A credential got a new token.
        CredentialRotated = "credential_rotated",
        /// A credential was revoked.
        CredentialRevoked = "credential_revoked",
        /// A session was opened.
        SessionCreated = "session_created",
        /// A session code was redeemed.
        SessionRedeemed = "session_redeemed",
        /// A known caller asked for a change and was refused.
        Refused = "refused",
        /// The heartbeat was lost, and the transfer waits for its next start.
        Requeued = "requeued",
        /// Its agent was asked to stop, for it is to be cancelled.
        CancelRequested = "cancel_requested",
        /// Its agent was asked to stop, for it is to be paused.
        PauseRequested = "pause_requested",
        /// It was paused.
        Paused = "paused",
        /// A pause, or the request for one, was taken back.
        Resumed = "resumed",
        /// The row of a credential that had ended was deleted.
        CredentialDeleted = "credential_deleted",
        /// The row of a session that was over was deleted.
        SessionDeleted = "session_deleted",
        /// It was tried again by another transfer.
        Retried = "retried",
        /// The server did not try it again: its `retry_at` has changed.
        RetryPostponed = "retry_postponed",
        /// A side of a movement stated what it counted and saw.
        ReceiptSubmitted = "receipt_submitted",
        /// A bulk operation was started.
        BulkOperationStarted = "bulk_operation_started",
        /// A bulk operation was through, or was stopped.
        BulkOperationEnded = "bulk_operation_ended",
        /// An agent said for the first time who it is, or that it has another version.
        AgentRegistered = "agent_registered",
        /// The row of an agent that had not called for long was deleted.
        AgentRemoved = "agent_removed",
    }
}

vocabulary! {
    /// What the server does about a transfer by itself.
    UpcomingAction from UpcomingAction {
        /// It expires.
        Expire = "expire",
        /// Whoever runs it is asked to stop, since its time is over.
        RequestStop = "request_stop",
        /// It is stopped, as was asked, without the word of whoever runs it.
        ForceStop = "force_stop",
        /// Its lease ends: it fails, or is queued again.
        EndLease = "end_lease",
        /// Its connection expires, and it cannot be started any more.
        EndConnection = "end_connection",
        /// It is tried again, by another transfer.
        Retry = "retry",
    }
}

vocabulary! {
    /// How an attempt at a transfer has ended.
    AttemptEnd from AttemptEnd {
        /// It has not.
        Running = "running",
        /// Its agent completed the transfer.
        Completed = "completed",
        /// Its agent failed the transfer, or fell silent in the last attempt.
        Failed = "failed",
        /// The transfer was cancelled.
        Cancelled = "cancelled",
        /// Its agent fell silent, and the transfer was queued again.
        Requeued = "requeued",
        /// The transfer was paused.
        Paused = "paused",
    }
}

vocabulary! {
    /// What part a run is in. They follow each other in this order, and each may be left out.
    Phase from Phase {
        /// The agent looks at source and target.
        Preparing = "preparing",
        /// Records are moved.
        Transferring = "transferring",
        /// What was moved is compared.
        Verifying = "verifying",
        /// The agent tidies up.
        Finalizing = "finalizing",
    }
}

vocabulary! {
    /// Where the cause of a failure lies.
    FailureCode from FailureCode {
        /// In how the agent or the transfer is set up.
        Config = "config",
        /// In the site that gives the records.
        Source = "source",
        /// In the site that takes the records.
        Target = "target",
        /// Between the two.
        Network = "network",
        /// In the records.
        Data = "data",
        /// In what was moved, which is not what it should be.
        Verification = "verification",
        /// In what one of the sites allows.
        Policy = "policy",
        /// Somebody stopped the agent.
        Cancelled = "cancelled",
        /// The agent did not report in time: said by the server alone.
        HeartbeatLost = "heartbeat_lost",
        /// In the agent.
        Internal = "internal",
    }
}

vocabulary! {
    /// Why a transfer has expired.
    ExpiryReason from ExpiryReason {
        /// Nobody decided on it in time.
        ApprovalExpired = "approval_expired",
        /// It was approved, and nobody started it in time.
        ApprovalLapsed = "approval_lapsed",
        /// Nobody started it in time, nor had approved it.
        NotStarted = "not_started",
        /// It was started, and queued again, and its time was over before anybody started it once more.
        NotFinished = "not_finished",
    }
}

vocabulary! {
    /// Whether a run is well.
    TransferHealth from TransferHealth {
        /// Nothing is wrong that could be seen.
        Healthy = "healthy",
        /// It is much slower than it was on average.
        Slow = "slow",
        /// Its totals stand still.
        NoProgress = "no_progress",
        /// Its agent does not report.
        Silent = "silent",
    }
}

vocabulary! {
    /// Why it is not known when a transfer will be complete.
    EstimateUnknownReason from EstimateUnknownReason {
        /// It does not run.
        NotRunning = "not_running",
        /// It was not said how many rows there are.
        TotalUnknown = "total_unknown",
        /// All of them were moved, or its agent is past moving them.
        AllRecordsMoved = "all_records_moved",
        /// Its agent does not report.
        Silent = "silent",
        /// Its totals stand still.
        NoProgress = "no_progress",
        /// Nothing has moved yet, or not for long enough.
        TooFewReports = "too_few_reports",
    }
}

vocabulary! {
    /// The part that the local site plays on a connection.
    ConnectionDirection from ConnectionDirection {
        /// The local site gives tables to the other one.
        Sender = "sender",
        /// The local site takes tables from the other one.
        Receiver = "receiver",
    }
}

vocabulary! {
    /// Where a connection stands.
    ConnectionStatus from ConnectionStatus {
        /// Proposed, not yet in use.
        Pending = "pending",
        /// In use.
        Active = "active",
        /// Paused by an operator.
        Suspended = "suspended",
        /// Ended by an operator. Terminal.
        Revoked = "revoked",
        /// Past its end.
        Expired = "expired",
    }
}

vocabulary! {
    /// Which transfers of a connection start only after an approval.
    ApprovalMode from ApprovalMode {
        /// None.
        AutoApprove = "auto_approve",
        /// All.
        RequireApproval = "require_approval",
        /// All but those of some tables.
        PerTable = "per_table",
    }
}

vocabulary! {
    /// Whether upper and lower case differ in the names of tables.
    TableCase from TableCase {
        /// They do, in every list of a policy.
        Sensitive = "sensitive",
        /// They do not, in any list of a policy.
        Insensitive = "insensitive",
    }
}

vocabulary! {
    /// What a credential may do.
    Role from Role {
        /// Reads everything.
        Viewer = "viewer",
        /// Creates, runs and cancels the transfers of its own connection, and sees nothing else.
        Agent = "agent",
        /// Reads everything, approves and denies.
        Approver = "approver",
        /// May do everything.
        Admin = "admin",
    }
}

/// Order of a list by creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SortOrder {
    /// Oldest first.
    Asc,
    /// Newest first.
    #[default]
    Desc,
}

spoken!(SortOrder { Asc = "asc", Desc = "desc", });

impl fmt::Display for SortOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        })
    }
}

impl SortOrder {
    pub(crate) fn to_wire(self) -> i32 {
        match self {
            Self::Asc => v1::SortOrder::Asc.into(),
            Self::Desc => v1::SortOrder::Desc.into(),
        }
    }
}
