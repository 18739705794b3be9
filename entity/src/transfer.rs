//! A transfer as it stands now. How it got there is in `event`.

use sea_orm::entity::prelude::*;
use serde_json::{Map, Value as Json};
use std::net::IpAddr;
use tidegate_domain::{
    id::{ConnectionId, CredentialId, TransferId},
    outcome::{FailureCode, PhaseStart, RecordProblems},
    pace::Pace,
    receipt::Receipt,
    reconcile::{DivergedField, ReconciliationState},
    status::{ConflictStrategy, Direction, TransferStatus},
    stop::Stop,
};

use crate::by_place::by_place;
use crate::stored::{JsonText, Stored, StoredId};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "transfer")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: StoredId<TransferId>,
    /// Which way the rows flow.
    pub direction: Stored<Direction>,
    /// The connection that it belongs to.
    pub connection_uuid: Option<StoredId<ConnectionId>>,
    /// Code of the session that asked for it.
    pub session_code: Option<String>,
    /// Address of the other site.
    pub remote_site_url: Option<String>,
    /// The table that is moved.
    pub table_name: String,
    /// Rows expected; 0 when unknown.
    pub records_requested: i64,
    /// What happens to rows that the target already holds.
    pub conflict_strategy: Option<Stored<ConflictStrategy>>,
    /// Where it stands.
    pub status: Stored<TransferStatus>,
    /// Whether it may start only after an approval.
    pub requires_approval: bool,
    /// Rows read from the source.
    pub records_transferred: i64,
    /// Rows that the target did not have.
    pub records_created: i64,
    /// Rows that changed one in the target.
    pub records_updated: i64,
    /// Rows left out.
    pub records_skipped: i64,
    /// Rows that the target refused.
    pub records_failed: i64,
    /// Bytes moved.
    pub bytes_transferred: i64,
    /// When it was approved.
    pub approved_at: Option<i64>,
    /// Who approved it; set together with `approved_at`.
    pub approved_by_uuid: Option<Uuid>,
    /// When it was denied.
    pub denied_at: Option<i64>,
    /// Who denied it; set together with `denied_at`.
    pub denied_by_uuid: Option<Uuid>,
    /// Why it was denied.
    pub denial_reason: Option<String>,
    /// Until when it can be decided.
    pub approval_expires_at: Option<i64>,
    /// When it may be started at the earliest.
    pub not_before: Option<i64>,
    /// When it has to be started for the first time.
    pub start_by: Option<i64>,
    /// How long the policy lets it wait for that, in microseconds.
    pub start_within: Option<i64>,
    /// Until when it can be started, or started again.
    pub start_expires_at: Option<i64>,
    /// How long the policy gives it from its first start on, in microseconds.
    pub finish_within: Option<i64>,
    /// When whoever runs it is asked to stop.
    pub finish_expires_at: Option<i64>,
    /// Address of the caller, as the caller gave it.
    pub requester_ip: Option<String>,
    /// Address that the declaration came from, as the server saw it.
    pub observed_ip: Option<Stored<IpAddr>>,
    /// User agent of the caller.
    pub requester_user_agent: Option<String>,
    /// On whose behalf it was created.
    pub initiated_by_uuid: Option<Uuid>,
    /// The credential that declared it.
    pub acted_by_uuid: Option<StoredId<CredentialId>>,
    /// Why it failed.
    pub error_message: Option<String>,
    /// Where the cause of the failure lies.
    pub failure_code: Option<Stored<FailureCode>>,
    /// Whether it may well succeed if it is tried again; NULL unless it has failed.
    pub failure_retryable: Option<bool>,
    /// The phases of its latest run.
    pub phases: JsonText<Vec<PhaseStart>>,
    /// Records of that run that made trouble.
    pub problems: JsonText<Vec<RecordProblems>>,
    /// How fast that run is; NULL before it and while it is queued again.
    pub pace: Option<JsonText<Pace>>,
    /// Why it was cancelled.
    pub cancel_reason: Option<String>,
    /// When an agent started it.
    pub started_at: Option<i64>,
    /// When it ended.
    pub completed_at: Option<i64>,
    /// When it was created.
    pub inserted_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// The caller's notes: a JSON object.
    pub metadata: JsonText<Map<String, Json>>,
    /// Where the agent would resume.
    pub checkpoint: Vec<u8>,
    /// How long the agent may stay silent, in microseconds.
    pub heartbeat_timeout: Option<i64>,
    /// When it fails unless progress arrives before.
    pub heartbeat_expires_at: Option<i64>,
    /// The movement that it is one side of.
    pub correlation_uuid: Uuid,
    /// What it is grouped by.
    pub plan_uuid: Option<Uuid>,
    /// The transfer that this one tries again.
    pub retry_of_uuid: Option<StoredId<TransferId>>,
    /// How often it may be started; NULL is once.
    pub max_attempts: Option<i64>,
    /// How often it was started.
    pub lease_epoch: i64,
    /// The credential that holds the latest lease.
    pub lease_owner_uuid: Option<StoredId<CredentialId>>,
    /// What the agent that holds it calls itself.
    pub agent_instance: Option<String>,
    /// The latest stop, asked for or done.
    pub stop: Option<JsonText<Stop>>,
    /// How long whoever runs it has to confirm that, in microseconds; for queries.
    pub stop_grace: Option<i64>,
    /// When that ends; for queries.
    pub stop_expires_at: Option<i64>,
    /// How often it was paused while it ran.
    pub pauses: i64,
    /// Whether its initiator may approve it.
    pub self_approval: bool,
    /// Revision of the connection whose policy it was created under; 0 without a connection.
    pub policy_revision: i64,
    /// How many were tried before it.
    pub retry_number: i64,
    /// The transfer that tries it again.
    pub retried_by_uuid: Option<StoredId<TransferId>>,
    /// Which of several is claimed first: the one with the highest.
    pub priority: i64,
    /// When the server tries it again by itself.
    pub retry_at: Option<i64>,
    /// The other side of its movement.
    pub counterpart_uuid: Option<StoredId<TransferId>>,
    /// Whether a newer transfer has taken its place in the movement.
    pub superseded: bool,
    /// What its side stated last.
    pub receipt: Option<JsonText<Receipt>>,
    /// Whether both sides of its movement agree; NULL while neither has said anything.
    pub reconciliation: Option<Stored<ReconciliationState>>,
    /// Where they do not.
    pub diverged: JsonText<Vec<DivergedField>>,
    /// 1 when created, one more with every change.
    pub revision: i64,
}

/// No relations: what a transfer names may be gone.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

by_place! {
    uuid, direction, connection_uuid, session_code, remote_site_url, table_name, records_requested,
    conflict_strategy, status, requires_approval, records_transferred, records_created,
    records_updated, records_skipped, records_failed, bytes_transferred, approved_at,
    approved_by_uuid, denied_at, denied_by_uuid, denial_reason, approval_expires_at, not_before,
    start_by, start_within, start_expires_at, finish_within, finish_expires_at, requester_ip,
    observed_ip, requester_user_agent, initiated_by_uuid, acted_by_uuid, error_message,
    failure_code, failure_retryable, phases, problems, pace, cancel_reason, started_at,
    completed_at, inserted_at, updated_at, metadata, checkpoint, heartbeat_timeout,
    heartbeat_expires_at, correlation_uuid, plan_uuid, retry_of_uuid, max_attempts, lease_epoch,
    lease_owner_uuid, agent_instance, stop, stop_grace, stop_expires_at, pauses, self_approval,
    policy_revision, retry_number, retried_by_uuid, priority, retry_at, counterpart_uuid,
    superseded, receipt, reconciliation, diverged, revision,
}
