//! The transfer: one declared movement of one table from one site to another.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    AttemptEnd, ConflictStrategy, Connection, Direction, EstimateUnknownReason, ExpiryReason,
    FailureCode, Phase, PhaseTime, Reconciliation, RecordProblems, Stop, StopKind, Totals,
    TransferHealth, TransferStatus, text,
};

/// One declared movement of one table, as the server knew it when it answered.
///
/// What was never given, or has not happened yet, is `None`. Times are the server's, in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Transfer {
    /// Identity, made by the server.
    pub uuid: Uuid,
    /// Which way the rows flow, seen from the site whose agent runs the transfer.
    pub direction: Direction,
    /// The connection that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_uuid: Option<Uuid>,
    /// Short code of the session that asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_code: Option<String>,
    /// Address of the other site, as the caller gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_site_url: Option<String>,
    /// The table that is moved.
    pub table_name: String,
    /// Rows the caller expects to move; 0 when unknown.
    #[serde(serialize_with = "text::number")]
    pub records_requested: i64,
    /// What happens to rows that the target already holds; `None` leaves it to the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict_strategy: Option<ConflictStrategy>,
    /// Where the transfer stands.
    pub status: TransferStatus,
    /// Whether it may start only after an approval.
    pub requires_approval: bool,
    /// How far it has come.
    pub progress: Totals,
    /// When it was approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<DateTime<Utc>>,
    /// Who approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by_uuid: Option<Uuid>,
    /// When it was denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_at: Option<DateTime<Utc>>,
    /// Who denied it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_by_uuid: Option<Uuid>,
    /// Why it was denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denial_reason: Option<String>,
    /// Until when it can be approved or denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_expires_at: Option<DateTime<Utc>>,
    /// Address of whoever asked for it, as the caller gave it: nobody has checked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requester_ip: Option<String>,
    /// The address that it was created from, as the server saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ip: Option<String>,
    /// User agent of the caller that created it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requester_user_agent: Option<String>,
    /// The person or agent on whose behalf it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiated_by_uuid: Option<Uuid>,
    /// The credential that created it, whomever it was created for; `None` where callers need none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acted_by_uuid: Option<Uuid>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Where the cause of the failure lies, where it was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_code: Option<FailureCode>,
    /// Whether the same transfer may well succeed if it is tried again, as whoever failed it says.
    pub failure_retryable: bool,
    /// The part that its run is in, or ended in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The phases of the latest run, in the order in which they were entered.
    pub phases: Vec<PhaseTime>,
    /// Records of the latest run that made trouble, as its agent reported them last.
    pub record_problems: Vec<RecordProblems>,
    /// Why it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<String>,
    /// When it entered `InProgress`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// When it entered its terminal status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<DateTime<Utc>>,
    /// When it was created.
    pub inserted_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// The caller's own notes. Numbers have gone through a double.
    pub metadata: Map<String, Value>,
    /// Where the agent would resume; opaque, empty when never given. Serialized as base64.
    #[serde(serialize_with = "text::bytes")]
    pub checkpoint: Vec<u8>,
    /// How long the agent may stay silent before it loses the lease; `None`: for ever, and while the transfer does not run.
    /// Serialized as `30s`.
    #[serde(
        serialize_with = "text::duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub heartbeat_timeout: Option<Duration>,
    /// When the lease ends unless progress arrives before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_expires_at: Option<DateTime<Utc>>,
    /// The lease under which it runs, or ran last: 1 for its first start, one more for every later one; 0 before.
    #[serde(serialize_with = "text::number")]
    pub lease_epoch: i64,
    /// The credential that holds the lease; `None` where callers need none, and while the transfer does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_owner_uuid: Option<Uuid>,
    /// What the agent that holds the lease calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_instance: Option<String>,
    /// How often it may be started in all before a lost heartbeat fails it.
    pub max_attempts: i32,
    /// Which of several is claimed first: the one with the highest.
    pub priority: i32,
    /// The latest request to cancel or to pause it, and what came of it; `None` when there was none, and once it was
    /// resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// When it may be started at the earliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<DateTime<Utc>>,
    /// Until when it can be started, or started again; then it expires. `None`: for ever, and while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_expires_at: Option<DateTime<Utc>>,
    /// When whoever runs it is asked to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_expires_at: Option<DateTime<Utc>>,
    /// Which deadline has passed; set when it has expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry_reason: Option<ExpiryReason>,
    /// The movement that it is one side of: its own uuid where none was given.
    pub correlation_uuid: Uuid,
    /// The other side: when both were the newest of their direction in the movement, the transfer of the other direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counterpart_uuid: Option<Uuid>,
    /// Whether both sides agree, as far as their receipts say.
    pub reconciliation: Reconciliation,
    /// What it was grouped by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_uuid: Option<Uuid>,
    /// The transfer that this one tries again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_of_uuid: Option<Uuid>,
    /// How many transfers were tried before it: 0 unless it is a retry.
    #[serde(serialize_with = "text::number")]
    pub retry_number: i64,
    /// The transfer that tries this one again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retried_by_uuid: Option<Uuid>,
    /// When the server tries it again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<DateTime<Utc>>,
    /// 1 when created, one more with every change.
    #[serde(serialize_with = "text::number")]
    pub revision: i64,
    /// Whether its initiator, and the credential that created it, may approve it, as the connection's policy was when it was created.
    pub self_approval: bool,
    /// Revision of the connection whose policy it was created under; 0 without a connection.
    #[serde(serialize_with = "text::number")]
    pub policy_revision: i64,
    /// The connection, when asked for with `with_connection` and there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Box<Connection>>,
    /// `completed_at` minus `started_at`, once both are known. Serialized as `1.5s`.
    #[serde(
        serialize_with = "text::duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub duration: Option<Duration>,
    /// (created + updated) / transferred rows; 0 when nothing was transferred.
    pub success_rate: f64,
    /// Whether records failed: what was to be moved is not all there, even where the transfer is completed.
    pub partial: bool,
    /// Rows a second: recently while it runs, on average once it has ended; `None` where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records_per_second: Option<f64>,
    /// Bytes a second, in the same way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<f64>,
    /// When all rows that were asked for will have been moved, if it goes on as in the last minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_completion: Option<DateTime<Utc>>,
    /// The same at the best; set together with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_completion_earliest: Option<DateTime<Utc>>,
    /// The same at the worst; set together with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_completion_latest: Option<DateTime<Utc>>,
    /// Why `estimated_completion` is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate_unknown_reason: Option<EstimateUnknownReason>,
    /// Whether its run is well, as it was when the server answered: a watch sends nothing when this alone changes. `None`
    /// while it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<TransferHealth>,
    /// Since when: of silence the last report, of no progress the last movement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_since: Option<DateTime<Utc>>,
}

impl Transfer {
    /// Whether whoever runs it is asked to stop.
    #[must_use]
    pub fn is_asked_to_stop(&self) -> bool {
        self.status == TransferStatus::InProgress && self.stop.is_some()
    }

    /// Whether it cannot be started before it is resumed.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        let waits = !self.status.is_terminal() && self.status != TransferStatus::InProgress;
        let stop = self.stop.as_ref();
        waits && stop.is_some_and(|stop| stop.kind == StopKind::Pause)
    }
}

/// One run of a transfer, from a start to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Attempt {
    /// The lease under which it ran: 1 for the first.
    #[serde(serialize_with = "text::number")]
    pub lease_epoch: i64,
    /// The credential that started it; `None` where callers need none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_owner_uuid: Option<Uuid>,
    /// What the agent called itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_instance: Option<String>,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// When it ended; `None` while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub end: AttemptEnd,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// How far it came.
    pub progress: Totals,
    /// Where its agent would have resumed. Serialized as base64.
    #[serde(serialize_with = "text::bytes")]
    pub checkpoint: Vec<u8>,
}
