//! Transfers in a batch.

use std::sync::Arc;

use uuid::Uuid;

use super::{BatchState, ChangeSet, EventRefs, Row};
use crate::ledger::Outcome;
use tidegate_domain::{
    authorize,
    command::{Submission, Verb},
    decide::{Change, aftermath, creation},
    event::{EventBody, EventType},
    refusal::Refusal,
    transfer::{NewTransfer, Transfer},
};
use tidegate_store::{Effect, StoreError, WriteTransaction};

impl BatchState {
    pub(super) fn create(
        &mut self,
        submission: &Submission,
        new: &NewTransfer,
        uuid: Uuid,
    ) -> Result<Outcome, Refusal> {
        let connection = new.connection_uuid.map(|uuid| self.connection(uuid));
        let connection = connection.transpose()?.map(Arc::as_ref);
        let transfer =
            authorize::create(uuid, new.clone(), connection, &submission.caller, self.now)?;
        if let Some(uuid) = new.retry_of_uuid {
            let earlier = self.current(uuid)?;
            if !submission.caller.sees(earlier.declared.connection_uuid) {
                return Err(Refusal::TransferNotFound { uuid });
            }
            authorize::retry(earlier, new)?;
        }
        let transfer = Arc::new(transfer);
        let body = creation(transfer.declared.initiated_by_uuid);
        self.log_transfer(&transfer, body, Some(submission));
        self.rows.insert(uuid, Row::created(Arc::clone(&transfer)));
        Ok(Outcome::Transfer(transfer))
    }

    pub(super) fn apply(
        &mut self,
        submission: &Submission,
        uuid: Uuid,
        verb: &Verb,
    ) -> Result<Outcome, Refusal> {
        let transfer = Arc::clone(self.current(uuid)?);
        let connection = transfer
            .declared
            .connection_uuid
            .and_then(|uuid| self.connection(uuid).ok());
        let connection = connection.map(Arc::as_ref);
        match authorize::authorize(&transfer, connection, verb, &submission.caller, self.now) {
            Ok(verdict) => {
                if let (Some(uuid), Some(used)) =
                    (transfer.declared.connection_uuid, verdict.charged)
                {
                    self.charge(uuid, used);
                }
                Ok(self.keep(&transfer, verdict.change, Some(submission)))
            }
            Err(refusal) => {
                let change = aftermath(&transfer, &refusal, self.now);
                self.keep(&transfer, change, None);
                Err(refusal)
            }
        }
    }

    /// Takes a change into the batch; `submission` is what caused it, `None` when the rules themselves did.
    fn keep(
        &mut self,
        before: &Arc<Transfer>,
        change: Change,
        submission: Option<&Submission>,
    ) -> Outcome {
        let (after, transitioned) = match change {
            Change::Nothing => return Outcome::Transfer(Arc::clone(before)),
            Change::Progress(after) => (Some(Arc::new(after)), false),
            Change::Transition(after, body) => {
                let after = Arc::new(after);
                self.log_transfer(&after, body, submission);
                (Some(after), true)
            }
            Change::Removal(body) => {
                self.log_transfer(before, body, submission);
                (None, true)
            }
        };
        if let Some(row) = self.rows.get_mut(&before.uuid) {
            row.after.clone_from(&after);
            row.transitioned |= transitioned;
        }
        after.map_or(Outcome::Deleted, Outcome::Transfer)
    }

    pub(in crate::ledger) fn current(&self, uuid: Uuid) -> Result<&Arc<Transfer>, Refusal> {
        self.rows
            .get(&uuid)
            .and_then(|row| row.after.as_ref())
            .ok_or(Refusal::TransferNotFound { uuid })
    }

    fn log_transfer(
        &mut self,
        transfer: &Transfer,
        body: EventBody,
        submission: Option<&Submission>,
    ) {
        let effect = Effect::Transfer {
            uuid: transfer.uuid,
            deleted_by_it: body.event_type == EventType::Deleted,
        };
        self.remember(submission, effect);
        let refs = EventRefs {
            transfer_uuid: Some(transfer.uuid),
            connection_uuid: transfer.declared.connection_uuid,
            subject_uuid: None,
            revision: transfer.revision,
        };
        self.log(refs, body, submission);
    }

    pub(super) async fn write_transfers(
        &self,
        transaction: &WriteTransaction,
    ) -> Result<(), StoreError> {
        let changes = ChangeSet::of(&self.rows);
        if !changes.created.is_empty() {
            transaction.insert_transfers(&changes.created).await?;
        }
        if !changes.changed.is_empty() {
            transaction.update_transfers(&changes.changed).await?;
        }
        if !changes.touched.is_empty() {
            transaction.update_progress(&changes.touched).await?;
        }
        if !changes.deleted.is_empty() {
            transaction.delete_transfers(&changes.deleted).await?;
        }
        Ok(())
    }
}
