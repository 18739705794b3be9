//! What the client gives and takes: plain values with chrono times and UUIDs, serializable for output as
//! protobuf's JSON of the messages that they are read from.
//!
//! Nothing here knows the wire; `convert` translates.

mod agent;
mod bulk;
mod connection;
mod credential;
mod event;
mod explanation;
mod filter;
mod outcome;
mod policy;
mod position;
mod progress;
mod receipt;
mod run;
mod stats;
mod stop;
mod text;
mod transfer;
mod words;

pub use self::{
    agent::{Agent, Registered},
    bulk::{BulkOperation, BulkOutcome, BulkPreview},
    connection::Connection,
    credential::{Credential, IssuedToken, OpenedSession, SessionCode, Token},
    event::{Event, EventDetail, EventLease, LogVerification},
    explanation::{DecisionRule, Explanation, Obstacle, Upcoming},
    filter::{TimeRange, TransferFilter},
    outcome::{Failure, PhaseTime, RecordProblem, RecordProblems},
    policy::ConnectionPolicy,
    position::{LogPosition, NoLogPosition},
    progress::{Progress, Totals},
    receipt::{QuarantinedRecords, Receipt, ReceiptStatement, Reconciliation},
    run::Run,
    stats::{ConnectionStats, TableStats, TransferDurations},
    stop::Stop,
    transfer::{Attempt, Transfer},
    words::{
        AgentState, ApprovalMode, AttemptEnd, BulkResult, BulkState, BulkVerb, ConflictStrategy,
        ConnectionDirection, ConnectionStatus, Direction, EstimateUnknownReason, EventType,
        ExpiryReason, FailureCode, Phase, ReconciliationState, Role, SortOrder, StopCause,
        StopKind, TableCase, TransferHealth, TransferStatus, UnknownWord, UpcomingAction,
        VerificationResult,
    },
};
pub(crate) use self::{policy::policy_setters, words::Wire};
