//! Transfers in the draft.

use std::sync::Arc;

use uuid::Uuid;

use super::{About, Draft, Row, Sorted};
use crate::{
    domain::{
        command::{Order, Verb},
        decide::{Change, aftermath, creation},
        event::{EventType, Occurrence},
        govern,
        refusal::Refusal,
        transfer::{NewTransfer, Transfer},
    },
    ledger::Outcome,
    store::{Batch, Effect, StoreError},
};

impl Draft {
    pub(super) fn create(
        &mut self,
        order: &Order,
        new: &NewTransfer,
        uuid: Uuid,
    ) -> Result<Outcome, Refusal> {
        let connection = new.connection_uuid.map(|uuid| self.connection(uuid));
        let connection = connection.transpose()?.map(Arc::as_ref);
        let transfer = govern::create(uuid, new.clone(), connection, &order.caller, self.now)?;
        if let Some(uuid) = new.retry_of_uuid {
            let earlier = self.current(uuid)?;
            if !order.caller.sees(earlier.declared.connection_uuid) {
                return Err(Refusal::TransferNotFound { uuid });
            }
            govern::retry(earlier, new)?;
        }
        let transfer = Arc::new(transfer);
        let occurrence = creation(transfer.declared.initiated_by_uuid);
        self.log_transfer(&transfer, occurrence, Some(order));
        self.rows.insert(uuid, Row::created(Arc::clone(&transfer)));
        Ok(Outcome::Transfer(transfer))
    }

    pub(super) fn apply(
        &mut self,
        order: &Order,
        uuid: Uuid,
        verb: &Verb,
    ) -> Result<Outcome, Refusal> {
        let transfer = Arc::clone(self.current(uuid)?);
        let connection = transfer
            .declared
            .connection_uuid
            .and_then(|uuid| self.connection(uuid).ok());
        let connection = connection.map(Arc::as_ref);
        match govern::govern(&transfer, connection, verb, &order.caller, self.now) {
            Ok(verdict) => {
                if let (Some(uuid), Some(used)) =
                    (transfer.declared.connection_uuid, verdict.charged)
                {
                    self.charge(uuid, used);
                }
                Ok(self.keep(&transfer, verdict.change, Some(order)))
            }
            Err(refusal) => {
                let change = aftermath(&transfer, &refusal, self.now);
                self.keep(&transfer, change, None);
                Err(refusal)
            }
        }
    }

    /// Takes a change into the draft; `order` is what caused it, `None` when the rules themselves did.
    fn keep(&mut self, before: &Arc<Transfer>, change: Change, order: Option<&Order>) -> Outcome {
        let (after, transitioned) = match change {
            Change::Nothing => return Outcome::Transfer(Arc::clone(before)),
            Change::Progress(after) => (Some(Arc::new(after)), false),
            Change::Transition(after, occurrence) => {
                let after = Arc::new(after);
                self.log_transfer(&after, occurrence, order);
                (Some(after), true)
            }
            Change::Removal(occurrence) => {
                self.log_transfer(before, occurrence, order);
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

    fn log_transfer(&mut self, transfer: &Transfer, occurrence: Occurrence, order: Option<&Order>) {
        let effect = Effect::Transfer {
            uuid: transfer.uuid,
            deleted_by_it: occurrence.event_type == EventType::Deleted,
        };
        self.remember(order, effect);
        let about = About {
            transfer_uuid: Some(transfer.uuid),
            connection_uuid: transfer.declared.connection_uuid,
            subject_uuid: None,
            revision: transfer.revision,
        };
        self.log(about, occurrence, order);
    }

    pub(super) async fn write_transfers(&self, transaction: &Batch) -> Result<(), StoreError> {
        let sorted = Sorted::of(&self.rows);
        if !sorted.created.is_empty() {
            transaction.insert_transfers(&sorted.created).await?;
        }
        if !sorted.changed.is_empty() {
            transaction.update_transfers(&sorted.changed).await?;
        }
        if !sorted.touched.is_empty() {
            transaction.update_progress(&sorted.touched).await?;
        }
        if !sorted.deleted.is_empty() {
            transaction.delete_transfers(&sorted.deleted).await?;
        }
        Ok(())
    }
}
