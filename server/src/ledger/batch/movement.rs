//! The sides of movements in a batch.

use std::sync::Arc;

use super::BatchState;
use tidegate_domain::{
    command::{TransferCommand, Verb},
    decide::Change,
    event::EventType,
    id::TransferId,
    movement::{Movement, Sides},
    reconcile::reconcile,
    status::Direction,
    transfer::{NewTransfer, Transfer},
};

/// The movement that a declaration names; `None` where it begins one.
pub(super) fn named(new: &NewTransfer) -> Option<Movement> {
    new.correlation_uuid.map(|correlation_uuid| Movement {
        correlation_uuid,
        connection_uuid: new.connection_uuid,
    })
}

impl BatchState {
    /// Whether somebody else has locked a side of the movement that `command` adds a transfer to.
    pub(super) fn has_held_side(&self, command: &TransferCommand) -> bool {
        let of = |uuid: TransferId| self.current(uuid).ok().map(|it| it.movement());
        let movement = match command {
            TransferCommand::Create(new) => new.retry_of_uuid.map_or_else(|| named(new), of),
            TransferCommand::Retry { uuid, .. } => of(*uuid),
            TransferCommand::Change { uuid, verb } => {
                let is_receipt = matches!(verb, Verb::SubmitReceipt { .. });
                is_receipt.then(|| of(*uuid)).flatten()
            }
        };
        let sides = movement.into_iter().flat_map(|it| self.sides_of(it));
        sides
            .into_iter()
            .any(|uuid| self.held.transfers.contains(&uuid))
    }

    /// What the newest transfers of the movement of `new` are, as `new` sees them.
    pub(super) fn sides(&self, movement: Movement, direction: Direction) -> Sides<'_> {
        let newest = |direction| {
            let uuid = self.sides.get(&(movement, direction))?;
            self.current(*uuid).ok().map(Arc::as_ref)
        };
        Sides {
            same: newest(direction),
            other: newest(direction.opposite()),
        }
    }

    /// Gives a new transfer its place in its movement.
    pub(super) fn join(&mut self, new: &Transfer) {
        let (movement, direction) = (new.movement(), new.declared.direction);
        let sides = self.sides_of(movement);
        for uuid in sides {
            let Some(before) = self.current(uuid).ok().cloned() else {
                continue;
            };
            let after = if before.declared.direction == direction {
                before.superseded()
            } else {
                before.paired(new, self.now)
            };
            self.amend(&before, after);
        }
        self.sides.insert((movement, direction), new.uuid);
    }

    /// Has a receipt compared with the side across, which stands then as it does. One that was superseded has none any more.
    pub(super) fn reconcile(&mut self, change: Change) -> Change {
        let (after, body) = match change {
            Change::Transition(after, body) if body.event_type == EventType::ReceiptSubmitted => {
                (after, body)
            }
            change => return change,
        };
        let sides = self.sides(after.movement(), after.declared.direction);
        let across = sides.other.filter(|_| !after.superseded);
        let reconciliation = reconcile(&after, across);
        let after = Transfer {
            reconciliation,
            ..after
        };
        if let Some(other) = across.map(|across| across.uuid)
            && let Ok(before) = self.current(other).cloned()
        {
            self.amend(&before, before.compared(&after, self.now));
        }
        Change::Transition(after, body)
    }

    fn sides_of(&self, movement: Movement) -> Vec<TransferId> {
        let sides = Direction::ALL
            .iter()
            .map(|direction| (movement, *direction));
        sides
            .filter_map(|side| self.sides.get(&side).copied())
            .collect()
    }
}
