//! Bulk operations: one verb for every transfer that a filter means, carried out step by step.

use std::{net::IpAddr, time::Duration};

use super::{
    caller::{Caller, Identity, Role},
    command::{TransferCommand, Verb},
    event::{EventBody, EventDetail, EventType},
    page::Position,
    query::TransferFilter,
    rule::Action,
    status::{TransferStatus, named},
    stop::{StopCause, StopKind, StopOrder},
    time::Timestamp,
    transfer::Transfer,
};
use crate::id::{BulkOperationId, CredentialId, TransferId};

/// Most operations that may run at once.
pub const RUNNING_MAX: i64 = 10;
/// Most transfers that one step carries out the verb on.
pub const STEP_MAX: u32 = 100;

named! {
    /// What is done to each transfer.
    BulkVerb {
        /// It is cancelled.
        Cancel = "CANCEL",
        /// It is tried again.
        Retry = "RETRY",
        /// Its row is deleted.
        Delete = "DELETE",
    }
}

named! {
    /// How far an operation is.
    BulkState {
        /// It goes on.
        Running = "RUNNING",
        /// Every transfer had its turn.
        Completed = "COMPLETED",
        /// Somebody stopped it.
        Stopped = "STOPPED",
    }
}

named! {
    /// What came of one transfer.
    BulkResult {
        /// The verb was carried out.
        Succeeded = "SUCCEEDED",
        /// It was refused.
        Refused = "REFUSED",
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBulkOperation {
    /// What is done to each.
    pub verb: BulkVerb,
    /// Which transfers are meant.
    pub filter: TransferFilter,
    /// Why, for a cancellation; may be empty.
    pub reason: String,
    /// How long whoever runs a transfer has to confirm that it stops; `None` as the policy or the server says.
    pub grace: Option<Duration>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkOperation {
    /// Identity.
    pub uuid: BulkOperationId,
    /// What was asked for.
    pub declared: NewBulkOperation,
    /// How far it is.
    pub state: BulkState,
    /// How many transfers were found just before it was started.
    pub matched: i64,
    /// How many the verb was carried out on.
    pub succeeded: i64,
    /// How many it was refused for.
    pub refused: i64,
    /// The last transfer that has had its turn.
    pub after: Option<Position>,
    /// In what role it was started.
    pub actor: String,
    /// The credential that started it; `None` where callers need none.
    pub created_by_uuid: Option<CredentialId>,
    /// Where that call came from.
    pub address: Option<IpAddr>,
    /// When it was started: what is declared later is not covered.
    pub inserted_at: Timestamp,
    /// When it last went on.
    pub updated_at: Timestamp,
    /// When it was through, or stopped.
    pub ended_at: Option<Timestamp>,
    /// One higher with every change.
    pub revision: i64,
}

/// What came of one transfer of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkOutcome {
    /// The operation.
    pub operation_uuid: BulkOperationId,
    /// Its place among those of the operation: 1, 2, 3 and so on.
    pub number: i64,
    /// The transfer.
    pub transfer_uuid: TransferId,
    /// What came of it.
    pub result: BulkResult,
    /// The name of the refusal.
    pub reason: Option<String>,
    /// What tries it again.
    pub retried_by_uuid: Option<TransferId>,
}

impl NewBulkOperation {
    /// Which transfers it looks for. Where the filter names no status, these are the ones that the verb is meant for: what
    /// would only be refused is not gone through.
    pub fn search(&self) -> TransferFilter {
        let mut filter = self.filter.clone();
        if filter.status.is_empty() {
            filter.status = match self.verb {
                BulkVerb::Cancel => Action::Cancel.rule().from.to_vec(),
                BulkVerb::Delete => Action::Delete.rule().from.to_vec(),
                // Of what else has ended, nobody said that it went wrong.
                BulkVerb::Retry => vec![TransferStatus::Failed],
            };
        }
        filter
    }

    /// What is asked of the ledger for one transfer: the same as by the call for a single one.
    pub fn command(&self, uuid: TransferId) -> TransferCommand {
        let verb = match self.verb {
            BulkVerb::Retry => return TransferCommand::Retry { uuid, due: false },
            BulkVerb::Delete => Verb::Delete,
            BulkVerb::Cancel => Verb::Stop(StopOrder {
                kind: StopKind::Cancel,
                cause: StopCause::Request,
                reason: self.reason.clone(),
                grace: self.grace,
                by: None,
            }),
        };
        TransferCommand::Change { uuid, verb }
    }
}

impl BulkOperation {
    /// A new one, which goes on from the oldest transfer.
    pub fn start(
        uuid: BulkOperationId,
        declared: NewBulkOperation,
        matched: i64,
        caller: &Caller,
        now: Timestamp,
    ) -> Self {
        Self {
            uuid,
            declared,
            state: BulkState::Running,
            matched,
            succeeded: 0,
            refused: 0,
            after: None,
            actor: caller.actor.clone(),
            created_by_uuid: caller.credential(),
            address: caller.address,
            inserted_at: now,
            updated_at: now,
            ended_at: None,
            revision: 1,
        }
    }

    /// Which transfers have their turn still, as far as a filter can say: none that was declared once it ran, so that it
    /// ends, whatever it declares itself.
    pub fn search(&self) -> TransferFilter {
        let mut filter = self.declared.search();
        let latest = Timestamp::from_micros(self.inserted_at.as_micros() - 1);
        filter.to = Some(filter.to.map_or(latest, |to| to.min(latest)));
        filter
    }

    /// Whether a transfer that was found is still what the filter means. It may have changed since somebody looked.
    pub fn covers(&self, transfer: &Transfer) -> bool {
        self.declared.filter.matches(transfer)
    }

    /// In whose name it goes on: of whoever started it, as an admin, since nobody else may.
    pub fn caller(&self) -> Caller {
        let identity = self.created_by_uuid.map(|credential_uuid| Identity {
            credential_uuid,
            role: Role::Admin,
            connection_uuid: None,
            acts_for_others: false,
            session_code: String::new(),
        });
        Caller {
            actor: self.actor.clone(),
            identity,
            address: self.address,
        }
    }

    /// How many transfers have had their turn and an outcome.
    pub const fn done(&self) -> i64 {
        self.succeeded + self.refused
    }

    /// The outcome of its next transfer, counted.
    pub fn note(
        &mut self,
        transfer_uuid: TransferId,
        outcome: Result<Option<TransferId>, &str>,
    ) -> BulkOutcome {
        let (result, count) = match outcome {
            Ok(_) => (BulkResult::Succeeded, &mut self.succeeded),
            Err(_) => (BulkResult::Refused, &mut self.refused),
        };
        *count += 1;
        BulkOutcome {
            operation_uuid: self.uuid,
            number: self.done(),
            transfer_uuid,
            result,
            reason: outcome.err().map(str::to_owned),
            retried_by_uuid: outcome.ok().flatten(),
        }
    }

    /// It, once it went on or ended at `now`.
    #[must_use]
    pub fn moved(mut self, state: BulkState, now: Timestamp) -> Self {
        self.state = state;
        self.updated_at = now;
        self.revision += 1;
        if state != BulkState::Running {
            self.ended_at = Some(now);
        }
        self
    }

    /// What the log tells of its start or its end.
    pub fn told(&self, event_type: EventType) -> EventBody {
        EventBody {
            event_type,
            from_status: None,
            to_status: None,
            actor_uuid: None,
            detail: Some(EventDetail::BulkOperation {
                verb: self.declared.verb,
                state: self.state,
                matched: self.matched,
                succeeded: self.succeeded,
                refused: self.refused,
            }),
        }
    }
}

impl TransferFilter {
    /// Whether it leaves anything out.
    pub fn is_restricted(&self) -> bool {
        *self != Self::default()
    }
}

#[cfg(test)]
mod tests;
