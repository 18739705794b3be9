//! Transfers in a batch.

use std::sync::Arc;

use uuid::Uuid;

use super::{BatchState, Cause, ChangeSet, EventRefs, Row, movement};
use crate::ledger::{
    execute::{Execute, Identities},
    load::LockPlan,
};
use tidegate_domain::{
    attempt::Attempt,
    authorize,
    command::{Submission, Target, TransferCommand, Verb},
    decide::{Change, creation, on_refused},
    event::{About, EventBody, EventType},
    id::TransferId,
    refusal::Refusal,
    retry::{self, ByItself},
    transfer::{NewTransfer, Transfer},
};
use tidegate_store::{Effect, StoreError, WriteTransaction};

impl Execute for TransferCommand {
    fn subject(&self) -> Option<Uuid> {
        match self {
            Self::Create(new) => new.correlation_uuid,
            Self::Retry { uuid, .. } | Self::Change { uuid, .. } => Some(uuid.0),
        }
    }

    fn plan<'a>(&'a self, plan: &mut LockPlan<'a>) {
        match self {
            Self::Create(new) => {
                if let Some(earlier) = new.retry_of_uuid {
                    plan.transfer(earlier);
                    plan.movement_of(earlier);
                } else if let Some(movement) = movement::named(new) {
                    plan.movement(movement);
                }
                if let Some(connection) = new.connection_uuid {
                    plan.connection(connection, false);
                }
            }
            Self::Retry { uuid, .. } => {
                plan.transfer(*uuid);
                plan.movement_of(*uuid);
                plan.connection_of(*uuid);
            }
            Self::Change { uuid, verb } => {
                plan.transfer(*uuid);
                if matches!(verb, Verb::SubmitReceipt { .. }) {
                    plan.movement_of(*uuid);
                }
                if is_governed(verb) {
                    plan.connection_of(*uuid);
                }
                if matches!(verb, Verb::Start { .. }) {
                    plan.start();
                }
            }
        }
    }

    fn is_held(&self, state: &BatchState) -> bool {
        let held = &state.held;
        if state.has_held_side(self) {
            return true;
        }
        match self {
            Self::Create(new) => {
                held.has_connection(new.connection_uuid)
                    || new
                        .retry_of_uuid
                        .is_some_and(|uuid| held.transfers.contains(&uuid))
            }
            Self::Retry { uuid, .. } => {
                let earlier = state.current(*uuid).ok();
                let connection = earlier.and_then(|it| it.declared.connection_uuid);
                held.transfers.contains(uuid) || held.has_connection(connection)
            }
            Self::Change { uuid, verb } => {
                let of = |uuid| state.current(uuid).ok()?.declared.connection_uuid;
                held.transfers.contains(uuid) || is_governed(verb) && held.has_connection(of(*uuid))
            }
        }
    }

    fn decide(
        submission: &Submission<Self>,
        state: &mut BatchState,
        identities: Identities<'_>,
    ) -> Result<Self::Answer, Refusal> {
        state.perform(Cause::of(submission), &submission.command, identities)
    }

    fn target(&self, state: &BatchState) -> Target {
        let (transfer, connection) = match self {
            Self::Create(new) => (new.retry_of_uuid, new.connection_uuid),
            Self::Retry { uuid, .. } | Self::Change { uuid, .. } => (Some(*uuid), None),
        };
        let found = transfer.and_then(|uuid| state.current(uuid).ok());
        Target {
            named: transfer.map(Uuid::from).or(connection.map(Uuid::from)),
            transfer_uuid: found.map(|transfer| transfer.uuid),
            connection_uuid: match found {
                Some(transfer) => transfer.declared.connection_uuid,
                None => state.existing(connection),
            },
            ..Target::default()
        }
    }

    fn repeated(state: &BatchState, effect: &Effect) -> Option<Result<Self::Answer, Refusal>> {
        match effect {
            Effect::Transfer {
                deleted_by_it: true,
                ..
            } => Some(Ok(None)),
            Effect::Transfer { uuid, .. } => Some(state.current(*uuid).cloned().map(Some)),
            _ => None,
        }
    }
}

/// Whether the connection of a transfer has a say.
const fn is_governed(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::Start { .. }
            | Verb::Stop(_)
            | Verb::AcknowledgeStop { .. }
            | Verb::UpdateProgress { .. }
            | Verb::Complete { .. }
            | Verb::Fail { .. }
            | Verb::EndOverdue { .. }
    )
}

impl BatchState {
    pub(super) fn perform(
        &mut self,
        cause: Cause<'_>,
        command: &TransferCommand,
        identities: Identities<'_>,
    ) -> Result<Option<Arc<Transfer>>, Refusal> {
        match command {
            TransferCommand::Create(new) => self.create(cause, new, identities().into()),
            TransferCommand::Retry { uuid, due } => {
                self.retry(cause, *uuid, *due, identities().into())
            }
            TransferCommand::Change { uuid, verb } => self.apply(cause, *uuid, verb),
        }
    }

    fn create(
        &mut self,
        cause: Cause<'_>,
        new: &NewTransfer,
        uuid: TransferId,
    ) -> Result<Option<Arc<Transfer>>, Refusal> {
        let connection = new.connection_uuid.map(|uuid| self.connection(uuid));
        let connection = connection.transpose()?.map(Arc::as_ref);
        let transfer = authorize::create(uuid, new.clone(), connection, cause.caller, self.now)?;
        let Some(retried) = new.retry_of_uuid else {
            let sides = self.sides(transfer.movement(), new.direction);
            let transfer = transfer.take_side(sides)?;
            return Ok(Some(self.declare(cause, transfer)));
        };
        let earlier = Arc::clone(self.current(retried)?);
        if !cause.caller.sees(earlier.declared.connection_uuid) {
            return Err(Refusal::TransferNotFound { uuid: retried });
        }
        retry::admit(&earlier, new)?;
        let sides = self.sides(earlier.movement(), new.direction);
        let transfer = retry::succeed(transfer, &earlier).take_side(sides)?;
        self.note_retry(cause, &earlier, uuid);
        Ok(Some(self.declare(cause, transfer)))
    }

    fn declare(&mut self, cause: Cause<'_>, transfer: Transfer) -> Arc<Transfer> {
        self.join(&transfer);
        let transfer = Arc::new(transfer);
        let body = creation(transfer.declared.initiated_by_uuid);
        let about = About::transfer(&transfer);
        self.log_transfer(&transfer, about, body, Some(cause));
        let row = Row::created(Arc::clone(&transfer));
        self.rows.insert(transfer.uuid, row);
        transfer
    }

    /// Tries `earlier` again as `uuid`; `due` is whether the server does so by itself.
    fn retry(
        &mut self,
        cause: Cause<'_>,
        earlier: TransferId,
        due: bool,
        uuid: TransferId,
    ) -> Result<Option<Arc<Transfer>>, Refusal> {
        let earlier = Arc::clone(self.current(earlier)?);
        let connection = earlier.declared.connection_uuid;
        let connection = connection.and_then(|uuid| self.connection(uuid).ok());
        let connection = connection.map(Arc::as_ref);
        let sides = self.sides(earlier.movement(), earlier.declared.direction);
        let again = if due {
            match retry::by_itself(uuid, &earlier, connection, sides, self.now) {
                ByItself::Nothing => return Ok(None),
                ByItself::Tried(transfer) => transfer,
                ByItself::Postponed(after, refusal) => {
                    let body = retry::told_postponed(&earlier);
                    self.note_of(cause, &earlier, after, body);
                    return refusal.map_or(Ok(None), Err);
                }
            }
        } else {
            retry::again(uuid, &earlier, connection, sides, cause.caller, self.now)?
        };
        self.note_retry(cause, &earlier, uuid);
        Ok(Some(self.declare(cause, again)))
    }

    /// Has the earlier one tell that `uuid` tries it again. The request is the new one's, which answers a repetition.
    fn note_retry(&mut self, cause: Cause<'_>, earlier: &Arc<Transfer>, uuid: TransferId) {
        let after = retry::retried(earlier, uuid, self.now);
        self.note_of(cause, earlier, after, retry::told(earlier, uuid));
    }

    /// Changes the earlier one, with an event that is nobody's request.
    fn note_of(
        &mut self,
        cause: Cause<'_>,
        earlier: &Arc<Transfer>,
        after: Transfer,
        body: EventBody,
    ) {
        let change = Change::Transition(after, body);
        let cause = Cause {
            request: None,
            ..cause
        };
        self.keep(earlier, change, Some(cause));
    }

    /// Changes what is not told in the log.
    pub(super) fn amend(&mut self, before: &Arc<Transfer>, after: Transfer) {
        if let Some(row) = self.rows.get_mut(&before.uuid) {
            row.after = Some(Arc::new(after));
            row.transitioned = true;
        }
    }

    pub(super) fn apply(
        &mut self,
        cause: Cause<'_>,
        uuid: TransferId,
        verb: &Verb,
    ) -> Result<Option<Arc<Transfer>>, Refusal> {
        let transfer = Arc::clone(self.current(uuid)?);
        let connection = transfer
            .declared
            .connection_uuid
            .and_then(|uuid| self.connection(uuid).ok())
            .map(|connection| self.counted(connection, verb, cause));
        let verdict = authorize::authorize(
            &transfer,
            connection.as_deref(),
            verb,
            cause.caller,
            self.defaults,
            self.now,
        );
        match verdict {
            Ok(verdict) => {
                if let (Some(uuid), Some(used)) =
                    (transfer.declared.connection_uuid, verdict.charged)
                {
                    self.charge(uuid, used);
                }
                let change = self.reconcile(verdict.change);
                Ok(self.keep(&transfer, change, Some(cause)))
            }
            Err(refusal) => {
                let change = on_refused(&transfer, &refusal, self.now);
                self.keep(&transfer, change, None);
                Err(refusal)
            }
        }
    }

    /// Takes a change into the batch; `cause` is what caused it, `None` when the rules themselves did.
    fn keep(
        &mut self,
        before: &Arc<Transfer>,
        change: Change,
        cause: Option<Cause<'_>>,
    ) -> Option<Arc<Transfer>> {
        let caller = cause.map(|cause| cause.caller);
        let (after, transitioned) = match change {
            Change::Nothing => return Some(Arc::clone(before)),
            Change::Progress(after) => {
                // The statement for totals leaves out what hardly ever changes.
                let more = after.phases != before.phases || after.problems != before.problems;
                (Some(Arc::new(after)), more)
            }
            Change::Transition(after, body) => {
                self.attempts
                    .extend(Attempt::given_up(before, &after, &body));
                let after = Arc::new(after);
                let about = About::change(before, Some(&after), &body, caller);
                self.log_transfer(&after, about, body, cause);
                if after.status.is_terminal() && !before.status.is_terminal() {
                    self.ended.push(after.uuid);
                }
                (Some(after), true)
            }
            Change::Removal(body) => {
                let about = About::change(before, None, &body, caller);
                self.log_transfer(before, about, body, cause);
                self.deleted.push(Arc::clone(before));
                (None, true)
            }
        };
        if let Some(row) = self.rows.get_mut(&before.uuid) {
            row.after.clone_from(&after);
            row.transitioned |= transitioned;
        }
        after
    }

    pub(in crate::ledger) fn current(&self, uuid: TransferId) -> Result<&Arc<Transfer>, Refusal> {
        self.rows
            .get(&uuid)
            .and_then(|row| row.after.as_ref())
            .ok_or(Refusal::TransferNotFound { uuid })
    }

    fn log_transfer(
        &mut self,
        transfer: &Transfer,
        about: About,
        body: EventBody,
        cause: Option<Cause<'_>>,
    ) {
        let effect = Effect::Transfer {
            uuid: transfer.uuid,
            deleted_by_it: body.event_type == EventType::Deleted,
        };
        self.remember(cause, effect);
        let refs = EventRefs {
            transfer_uuid: Some(transfer.uuid),
            connection_uuid: transfer.declared.connection_uuid,
            subject_uuid: cause.and_then(|cause| cause.operation).map(Uuid::from),
            about,
            revision: transfer.revision,
        };
        self.log(refs, body, cause);
    }

    pub(super) async fn write_transfers(
        &self,
        transaction: &WriteTransaction,
    ) -> Result<(), StoreError> {
        let changes = ChangeSet::of(&self.rows);
        if !self.attempts.is_empty() {
            transaction.insert_attempts(&self.attempts).await?;
        }
        // What is new may take the place of what goes, or gives way.
        if !changes.deleted.is_empty() {
            transaction.delete_transfers(&changes.deleted).await?;
        }
        if !changes.changed.is_empty() {
            transaction.update_transfers(&changes.changed).await?;
        }
        if !changes.touched.is_empty() {
            transaction.update_progress(&changes.touched).await?;
        }
        if !changes.created.is_empty() {
            transaction.insert_transfers(&changes.created).await?;
        }
        if !self.deleted.is_empty() {
            transaction.keep_deleted(&self.deleted).await?;
        }
        Ok(())
    }
}
