//! A transfer as it stands, and what is derived from it.

use std::{net::IpAddr, time::Duration};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    outcome::{Failure, PhaseStart, RecordProblems},
    pace::Pace,
    progress::Totals,
    receipt::Receipt,
    reconcile::Reconciliation,
    status::{ConflictStrategy, Direction, ExpiryReason, TransferStatus},
    stop::{Stop, StopKind},
    time::Timestamp,
};
use crate::id::{ConnectionId, CredentialId, TransferId};

/// What a caller declares; every field is checked.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTransfer {
    /// Which way the rows flow.
    pub direction: Direction,
    /// The table that is moved.
    pub table_name: String,
    /// The connection that it belongs to.
    pub connection_uuid: Option<ConnectionId>,
    /// Code of the session that asked for it.
    pub session_code: String,
    /// Address of the other site.
    pub remote_site_url: String,
    /// Rows expected; 0 when unknown.
    pub records_requested: i64,
    /// What happens to rows that the target already holds.
    pub conflict_strategy: Option<ConflictStrategy>,
    /// Whether it may start only after an approval.
    pub requires_approval: bool,
    /// Address of the caller, as the caller gives it; empty when none is given.
    pub requester_ip: String,
    /// User agent of the caller.
    pub requester_user_agent: String,
    /// On whose behalf it is created.
    pub initiated_by_uuid: Option<Uuid>,
    /// The caller's notes.
    pub metadata: Map<String, Value>,
    /// The movement that it is one side of; `None` is its own uuid.
    pub correlation_uuid: Option<Uuid>,
    /// What it is grouped by.
    pub plan_uuid: Option<Uuid>,
    /// The transfer that this one tries again.
    pub retry_of_uuid: Option<TransferId>,
    /// How often it may be started in all before a lost heartbeat fails it; `None` is once.
    pub max_attempts: Option<i64>,
    /// When it may be started at the earliest.
    pub not_before: Option<Timestamp>,
    /// When it has to be started for the first time.
    pub start_by: Option<Timestamp>,
    /// When it has to be at its end.
    pub finish_by: Option<Timestamp>,
    /// Which of several is claimed first: the one with the highest.
    pub priority: i64,
}

/// Who runs a transfer, and until when nobody else may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// 1 for the first start of the transfer, one more for every later one.
    pub epoch: i64,
    /// The credential that started it; `None` where callers need none.
    pub owner_uuid: Option<CredentialId>,
    /// What the agent calls itself, to tell agents of one credential apart; may be empty.
    pub agent_instance: String,
    /// When it ends unless progress arrives before; `None` for never, or when the transfer has ended.
    pub expires_at: Option<Timestamp>,
}

impl std::fmt::Display for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.owner_uuid {
            Some(uuid) => write!(f, "credential {uuid}")?,
            None => write!(f, "an agent without a credential")?,
        }
        if !self.agent_instance.is_empty() {
            write!(f, " ({})", self.agent_instance)?;
        }
        write!(f, " with lease {}", self.epoch)?;
        match self.expires_at {
            Some(at) => write!(f, " until {at}"),
            None => Ok(()),
        }
    }
}

/// Who runs transfers: a credential, and what the agent calls itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The credential; `None` where callers need none.
    pub owner_uuid: Option<CredentialId>,
    /// Tells agents of one credential apart; may be empty.
    pub instance: String,
}

/// Yes or no, by whom and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// When it was taken.
    pub at: Timestamp,
    /// Who took it.
    pub by: Uuid,
}

/// A transfer as the ledger holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// Identity.
    pub uuid: TransferId,
    /// What was declared.
    pub declared: NewTransfer,
    /// The credential that declared it, in whosever name; `None` where callers need none.
    pub acted_by_uuid: Option<CredentialId>,
    /// The address that the declaration came from, as the server saw it.
    pub observed_ip: Option<IpAddr>,
    /// Where it stands.
    pub status: TransferStatus,
    /// Whether it may start only after an approval: as declared, or since approval was requested.
    pub requires_approval: bool,
    /// How far it has come.
    pub totals: Totals,
    /// The approval.
    pub approved: Option<Decision>,
    /// The denial.
    pub denied: Option<Decision>,
    /// Why it was denied.
    pub denial_reason: String,
    /// Until when it can be decided.
    pub approval_expires_at: Option<Timestamp>,
    /// How long it may wait for its first start once it may be started, as the policy was when it was created.
    pub start_within: Option<Duration>,
    /// Until when it can be started, or started again; `None` is for ever, and while it runs.
    pub start_expires_at: Option<Timestamp>,
    /// How long it may take from its first start on, as the policy was when it was created.
    pub finish_within: Option<Duration>,
    /// When whoever runs it is asked to stop.
    pub finish_expires_at: Option<Timestamp>,
    /// Why it failed, in words.
    pub error_message: String,
    /// Why it failed, in names; `None` unless it has.
    pub failure: Option<Failure>,
    /// The parts of the latest run, in the order in which they were entered.
    pub phases: Vec<PhaseStart>,
    /// Records of the latest run that made trouble.
    pub problems: Vec<RecordProblems>,
    /// How fast the latest run is; `None` before it and while it is queued again.
    pub pace: Option<Pace>,
    /// Why it was cancelled.
    pub cancel_reason: String,
    /// When it entered `IN_PROGRESS`.
    pub started_at: Option<Timestamp>,
    /// When it entered its terminal status.
    pub completed_at: Option<Timestamp>,
    /// When it was created.
    pub inserted_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Where the agent would resume.
    pub checkpoint: Vec<u8>,
    /// How long the agent may stay silent.
    pub heartbeat_timeout: Option<Duration>,
    /// When it fails unless progress arrives before.
    pub heartbeat_expires_at: Option<Timestamp>,
    /// How often it was started; the number of its latest lease.
    pub lease_epoch: i64,
    /// The credential that holds the latest lease; `None` where callers need none, and while it is queued again.
    pub lease_owner_uuid: Option<CredentialId>,
    /// What the holder calls itself.
    pub agent_instance: String,
    /// The latest stop, asked for or done; `None` once it was resumed.
    pub stop: Option<Stop>,
    /// How often it was paused while it ran.
    pub pauses: i64,
    /// Whether its initiator may approve it, as the policy was when it was created.
    pub self_approval: bool,
    /// Revision of the connection whose policy it was created under; 0 without a connection.
    pub policy_revision: i64,
    /// How many were tried before it: 0 unless it is a retry.
    pub retry_number: i64,
    /// The transfer that tries it again.
    pub retried_by_uuid: Option<TransferId>,
    /// When the server tries it again by itself.
    pub retry_at: Option<Timestamp>,
    /// The other side of its movement, when both were the newest of their direction.
    pub counterpart_uuid: Option<TransferId>,
    /// Whether a newer transfer of its direction has taken its place in the movement.
    pub superseded: bool,
    /// What its side stated last.
    pub receipt: Option<Box<Receipt>>,
    /// Whether both sides of its movement agree.
    pub reconciliation: Reconciliation,
    /// 1 when created, one more with every change.
    pub revision: i64,
}

impl Transfer {
    /// A transfer that was just declared.
    pub fn create(uuid: TransferId, declared: NewTransfer, now: Timestamp) -> Self {
        Self {
            uuid,
            acted_by_uuid: None,
            observed_ip: None,
            status: TransferStatus::Pending,
            requires_approval: declared.requires_approval,
            start_within: None,
            start_expires_at: earliest(declared.start_by, declared.finish_by),
            finish_within: None,
            finish_expires_at: declared.finish_by,
            declared,
            totals: Totals::default(),
            approved: None,
            denied: None,
            denial_reason: String::new(),
            approval_expires_at: None,
            error_message: String::new(),
            failure: None,
            phases: Vec::new(),
            problems: Vec::new(),
            pace: None,
            cancel_reason: String::new(),
            started_at: None,
            completed_at: None,
            inserted_at: now,
            updated_at: now,
            checkpoint: Vec::new(),
            heartbeat_timeout: None,
            heartbeat_expires_at: None,
            lease_epoch: 0,
            lease_owner_uuid: None,
            agent_instance: String::new(),
            stop: None,
            pauses: 0,
            self_approval: false,
            policy_revision: 0,
            retry_number: 0,
            retried_by_uuid: None,
            retry_at: None,
            counterpart_uuid: None,
            superseded: false,
            receipt: None,
            reconciliation: Reconciliation::default(),
            revision: 1,
        }
    }

    /// The lease under which it runs, or ran last; `None` before the first start and while it is queued again.
    pub fn lease(&self) -> Option<Lease> {
        self.started_at.map(|_| Lease {
            epoch: self.lease_epoch,
            owner_uuid: self.lease_owner_uuid,
            agent_instance: self.agent_instance.clone(),
            expires_at: self.heartbeat_expires_at,
        })
    }

    /// Who runs it now.
    pub fn runner(&self) -> Option<Agent> {
        (self.status == TransferStatus::InProgress).then(|| Agent {
            owner_uuid: self.lease_owner_uuid,
            instance: self.agent_instance.clone(),
        })
    }

    /// Whether whoever reports under `lease_epoch` has lost it: it was queued again, or somebody else has started it since.
    /// Who names no lease means the first. After the end nobody is asked any more.
    pub fn has_left_lease(&self, lease_epoch: Option<i64>) -> bool {
        let lease_epoch = lease_epoch.unwrap_or(1);
        match self.status {
            TransferStatus::InProgress => self.lease_epoch > lease_epoch,
            TransferStatus::Pending | TransferStatus::Approved => self.lease_epoch >= lease_epoch,
            _ => false,
        }
    }

    /// How often it may be started before a lost heartbeat fails it.
    pub fn max_attempts(&self) -> i64 {
        self.declared.max_attempts.unwrap_or(1)
    }

    /// Whether it may be started again after a lost heartbeat. A run that was paused is none of its attempts.
    pub fn has_attempts_left(&self) -> bool {
        self.lease_epoch - self.pauses < self.max_attempts()
    }

    /// The stop that whoever runs it has yet to confirm.
    pub fn pending_stop(&self) -> Option<&Stop> {
        let running = self.status == TransferStatus::InProgress;
        self.stop.as_ref().filter(|_| running)
    }

    /// The pause that keeps it from being started.
    pub fn pause(&self) -> Option<&Stop> {
        let waiting = !self.status.is_terminal() && self.status != TransferStatus::InProgress;
        self.stop
            .as_ref()
            .filter(|stop| waiting && stop.kind == StopKind::Pause)
    }

    /// Whether it could be started as far as its own state goes, now or at its time.
    pub fn is_queued(&self) -> bool {
        let is_decided = match self.status {
            TransferStatus::Pending => !self.requires_approval,
            status => status == TransferStatus::Approved,
        };
        is_decided && self.stop.is_none()
    }

    /// Why it is to expire at `at`; `None` when none of its deadlines has passed by then.
    pub(crate) fn expiry(&self, at: Timestamp) -> Option<ExpiryReason> {
        let has_passed = |deadline: Option<Timestamp>| deadline.is_some_and(|end| end <= at);
        if self.approved.is_none() && has_passed(self.approval_expires_at) {
            return Some(ExpiryReason::ApprovalExpired);
        }
        has_passed(self.start_expires_at).then_some(match self.approved {
            _ if self.lease_epoch > 0 => ExpiryReason::NotFinished,
            Some(_) => ExpiryReason::ApprovalLapsed,
            None => ExpiryReason::NotStarted,
        })
    }

    /// Why it has expired; `None` unless it has.
    pub fn expiry_reason(&self) -> Option<ExpiryReason> {
        if self.status != TransferStatus::Expired {
            return None;
        }
        let passed = self.completed_at.and_then(|at| self.expiry(at));
        // A row of long ago may not know its deadline.
        Some(passed.unwrap_or(ExpiryReason::ApprovalExpired))
    }

    /// Until when it can be decided on: there is nothing to decide about what cannot be started any more.
    pub fn decision_expires_at(&self) -> Option<Timestamp> {
        earliest(self.approval_expires_at, self.start_expires_at)
    }

    /// Has it wait for its first start from `now` on, and no longer than its limits say.
    pub(crate) fn await_start(&mut self, now: Timestamp) {
        let from = self.declared.not_before.map_or(now, |it| it.max(now));
        let within = self.start_within.map(|within| from.after(within));
        self.start_expires_at = earliest(
            within,
            earliest(self.declared.start_by, self.finish_expires_at),
        );
    }

    /// Whether records failed: what was to be moved is not all there, even where it is complete.
    pub const fn is_partial(&self) -> bool {
        self.totals.records_failed > 0
    }

    /// From start to end; `None` until both are known.
    pub fn duration(&self) -> Option<Duration> {
        Some(self.completed_at?.since(self.started_at?))
    }

    /// (created + updated) / transferred; 0 when nothing was transferred.
    pub fn success_rate(&self) -> f64 {
        if self.totals.records_transferred == 0 {
            return 0.0;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a ratio for people; 53 bits are plenty"
        )]
        let (good, all) = (
            self.totals.records_created as f64 + self.totals.records_updated as f64,
            self.totals.records_transferred as f64,
        );
        good / all
    }
}

/// The earlier of two deadlines, of which each may be missing.
pub(crate) fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::transfer as sample;

    #[test]
    fn the_success_rate_is_of_what_was_transferred() {
        let mut transfer = sample();
        assert!(transfer.success_rate().abs() < f64::EPSILON);
        transfer.totals.records_transferred = 10;
        transfer.totals.records_created = 8;
        transfer.totals.records_updated = 1;
        assert!((transfer.success_rate() - 0.9).abs() < 1e-12);
    }

    #[test]
    fn a_lease_is_left_by_what_comes_after_it() {
        use TransferStatus::{Approved, Completed, InProgress, Pending, PendingApproval};
        for (status, epoch, named, has_left) in [
            (InProgress, 1, None, false),
            (InProgress, 1, Some(1), false),
            (InProgress, 2, None, true),
            (InProgress, 2, Some(1), true),
            (InProgress, 2, Some(2), false),
            // Not started yet, and queued again.
            (Pending, 0, None, false),
            (PendingApproval, 0, Some(1), false),
            (Pending, 1, None, true),
            (Approved, 2, Some(2), true),
            (Completed, 2, Some(1), false),
        ] {
            let mut transfer = sample();
            (transfer.status, transfer.lease_epoch) = (status, epoch);
            assert_eq!(
                transfer.has_left_lease(named),
                has_left,
                "{status} {epoch} {named:?}"
            );
        }
    }

    #[test]
    fn a_duration_needs_both_ends() {
        let mut transfer = sample();
        transfer.completed_at = Some(Timestamp::from_micros(9));
        assert_eq!(transfer.duration(), None);
        transfer.started_at = Some(Timestamp::from_micros(4));
        assert_eq!(transfer.duration(), Some(Duration::from_micros(5)));
    }
}
