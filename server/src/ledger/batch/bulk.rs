//! Bulk operations in a batch: each step is a number of the commands for single transfers, decided as those are.

use std::sync::Arc;

use uuid::Uuid;

use super::{BatchState, Cause, ChangeSet, EventRefs, Row};
use crate::{
    error::Error,
    ledger::{
        execute::{Execute, Identities},
        load::LockPlan,
    },
};
use tidegate_domain::{
    bulk::{BulkOperation, BulkState, NewBulkOperation, RUNNING_MAX},
    command::{BulkCommand, BulkStep, Submission, TransferCommand},
    event::EventType,
    id::{BulkOperationId, TransferId},
    refusal::Refusal,
};
use tidegate_store::{Effect, StoreError, WriteTransaction};

impl Execute for BulkCommand {
    fn subject(&self) -> Option<Uuid> {
        match self {
            Self::Start { .. } => None,
            Self::Stop { uuid } | Self::Step(BulkStep { uuid, .. }) => Some(uuid.0),
        }
    }

    fn plan<'a>(&'a self, plan: &mut LockPlan<'a>) {
        match self {
            Self::Start { .. } => plan.start_bulk(),
            Self::Stop { uuid } => plan.bulk_operation(*uuid),
            Self::Step(step) => {
                plan.bulk_operation(step.uuid);
                step.commands.iter().for_each(|it| it.plan(plan));
            }
        }
    }

    fn is_held(&self, state: &BatchState) -> bool {
        let held = &state.held.bulk_operations;
        match self {
            Self::Start { .. } => false,
            Self::Stop { uuid } => held.contains(uuid),
            Self::Step(step) => {
                let waits = !step.leaves_locked;
                held.contains(&step.uuid)
                    || waits && step.commands.iter().any(|it| it.is_held(state))
            }
        }
    }

    fn decide(
        submission: &Submission<Self>,
        state: &mut BatchState,
        identities: Identities<'_>,
    ) -> Result<Self::Answer, Refusal> {
        let cause = Cause::of(submission);
        match &submission.command {
            Self::Start { new, matched } => {
                state.start_bulk(cause, new, *matched, identities().into())
            }
            Self::Stop { uuid } => state.stop_bulk(cause, *uuid),
            Self::Step(step) => state.step_bulk(step, identities),
        }
    }

    fn repeated(state: &BatchState, effect: &Effect) -> Option<Result<Self::Answer, Refusal>> {
        match effect {
            Effect::BulkOperation(uuid) => Some(state.bulk_operation(*uuid).cloned()),
            _ => None,
        }
    }
}

impl BatchState {
    fn start_bulk(
        &mut self,
        cause: Cause<'_>,
        new: &NewBulkOperation,
        matched: i64,
        uuid: BulkOperationId,
    ) -> Result<Arc<BulkOperation>, Refusal> {
        if self.bulk_running >= RUNNING_MAX {
            return Err(Refusal::TooManyBulkOperations { limit: RUNNING_MAX });
        }
        self.bulk_running += 1;
        let (caller, now) = (cause.caller, self.now);
        let operation = Arc::new(BulkOperation::start(
            uuid,
            new.clone(),
            matched,
            caller,
            now,
        ));
        let row = Row::created(Arc::clone(&operation));
        self.bulk_operations.insert(uuid, row);
        self.log_bulk(&operation, EventType::BulkOperationStarted, cause);
        Ok(operation)
    }

    fn stop_bulk(
        &mut self,
        cause: Cause<'_>,
        uuid: BulkOperationId,
    ) -> Result<Arc<BulkOperation>, Refusal> {
        let operation = Arc::clone(self.bulk_operation(uuid)?);
        if operation.state != BulkState::Running {
            return Ok(operation);
        }
        let stopped = BulkOperation::clone(&operation).moved(BulkState::Stopped, self.now);
        let stopped = self.keep_bulk(stopped);
        self.log_bulk(&stopped, EventType::BulkOperationEnded, cause);
        Ok(stopped)
    }

    fn step_bulk(
        &mut self,
        step: &BulkStep,
        identities: Identities<'_>,
    ) -> Result<Arc<BulkOperation>, Refusal> {
        let before = Arc::clone(self.bulk_operation(step.uuid)?);
        if before.revision != step.revision || before.state != BulkState::Running {
            return Ok(before);
        }
        let caller = before.caller();
        let cause = Cause {
            caller: &caller,
            request: None,
            operation: Some(step.uuid),
        };
        let mut operation = BulkOperation::clone(&before);
        for command in &step.commands {
            let Some(uuid) = named(command) else { continue };
            if command.is_held(self) {
                let outcome = operation.note(uuid, Err(Error::RowLocked.reason()));
                self.bulk_outcomes.push(outcome);
                continue;
            }
            if self.current(uuid).is_ok_and(|it| !operation.covers(it)) {
                continue;
            }
            let outcome = match self.perform(cause, command, identities) {
                Ok(after) => operation.note(uuid, Ok(made(command, after.map(|it| it.uuid)))),
                Err(refusal) => operation.note(uuid, Err(refusal.reason())),
            };
            self.bulk_outcomes.push(outcome);
        }
        operation.after = step.upto.or(operation.after);
        let state = if step.is_last {
            BulkState::Completed
        } else {
            BulkState::Running
        };
        let operation = self.keep_bulk(operation.moved(state, self.now));
        if step.is_last {
            self.log_bulk(&operation, EventType::BulkOperationEnded, cause);
        }
        Ok(operation)
    }

    fn bulk_operation(&self, uuid: BulkOperationId) -> Result<&Arc<BulkOperation>, Refusal> {
        self.bulk_operations
            .get(&uuid)
            .and_then(|row| row.after.as_ref())
            .ok_or(Refusal::BulkOperationNotFound { uuid })
    }

    fn keep_bulk(&mut self, operation: BulkOperation) -> Arc<BulkOperation> {
        let operation = Arc::new(operation);
        if let Some(row) = self.bulk_operations.get_mut(&operation.uuid) {
            row.after = Some(Arc::clone(&operation));
            row.transitioned = true;
        }
        operation
    }

    fn log_bulk(&mut self, operation: &BulkOperation, event_type: EventType, cause: Cause<'_>) {
        self.remember(Some(cause), Effect::BulkOperation(operation.uuid));
        let refs = EventRefs {
            subject_uuid: Some(operation.uuid.into()),
            revision: operation.revision,
            ..EventRefs::default()
        };
        self.log(refs, operation.told(event_type), Some(cause));
    }

    pub(super) async fn write_bulk(
        &self,
        transaction: &WriteTransaction,
    ) -> Result<(), StoreError> {
        let changes = ChangeSet::of(&self.bulk_operations);
        if !changes.created.is_empty() {
            transaction.insert_bulk_operations(&changes.created).await?;
        }
        if !changes.changed.is_empty() {
            transaction.update_bulk_operations(&changes.changed).await?;
        }
        if !self.bulk_outcomes.is_empty() {
            transaction
                .insert_bulk_outcomes(&self.bulk_outcomes)
                .await?;
        }
        Ok(())
    }
}

/// The transfer that a command is about.
const fn named(command: &TransferCommand) -> Option<TransferId> {
    match command {
        TransferCommand::Retry { uuid, .. } | TransferCommand::Change { uuid, .. } => Some(*uuid),
        TransferCommand::Create(_) => None,
    }
}

/// What tries a transfer again, where that was asked for.
const fn made(command: &TransferCommand, after: Option<TransferId>) -> Option<TransferId> {
    match command {
        TransferCommand::Retry { .. } => after,
        TransferCommand::Create(_) | TransferCommand::Change { .. } => None,
    }
}
