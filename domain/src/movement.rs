//! The two sides of one movement: a transfer that sends and one that receives, known to belong together by their
//! correlation.
//!
//! A movement lies within one connection, or among the transfers that have none. An agent sees no other connection than its
//! own, so nobody learns of a movement, joins it or stands in its way who may not see it.

use uuid::Uuid;

use super::{
    reconcile::reconcile, refusal::Refusal, status::Direction, time::Timestamp, transfer::Transfer,
};
use crate::id::ConnectionId;

/// What both sides have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Movement {
    /// What they agreed upon.
    pub correlation_uuid: Uuid,
    /// The connection of both.
    pub connection_uuid: Option<ConnectionId>,
}

/// One side of a movement.
pub type Side = (Movement, Direction);

/// The newest transfers of a movement, of which each may be missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sides<'a> {
    /// The one whose place a new one takes.
    pub same: Option<&'a Transfer>,
    /// The one across.
    pub other: Option<&'a Transfer>,
}

impl Transfer {
    /// The movement that it is one side of.
    pub fn movement(&self) -> Movement {
        Movement {
            correlation_uuid: self.correlation_uuid(),
            connection_uuid: self.declared.connection_uuid,
        }
    }

    /// What it has in common with its counterpart: as given, or else its own identity.
    pub fn correlation_uuid(&self) -> Uuid {
        self.declared.correlation_uuid.unwrap_or(self.uuid.0)
    }

    /// It, as the newest of its direction in its movement, in which `sides` are the newest so far.
    ///
    /// # Errors
    /// [`Refusal::CorrelationInUse`] while the one whose place it would take has not ended.
    pub fn take_side(mut self, sides: Sides<'_>) -> Result<Self, Refusal> {
        if let Some(same) = sides.same.filter(|same| !same.status.is_terminal()) {
            return Err(Refusal::CorrelationInUse {
                uuid: same.uuid,
                correlation_uuid: self.correlation_uuid(),
                direction: self.declared.direction,
            });
        }
        self.counterpart_uuid = sides.other.map(|other| other.uuid);
        self.reconciliation = reconcile(&self, sides.other);
        Ok(self)
    }

    /// It, once a newer one has taken its place, which nobody is told.
    #[must_use]
    pub fn superseded(&self) -> Self {
        Self {
            superseded: true,
            ..self.clone()
        }
    }

    /// It, once `other` is the side across.
    #[must_use]
    pub fn paired(&self, other: &Self, now: Timestamp) -> Self {
        Self {
            counterpart_uuid: Some(other.uuid),
            ..self.compared(other, now)
        }
    }

    /// It, compared with the side across.
    #[must_use]
    pub fn compared(&self, other: &Self, now: Timestamp) -> Self {
        Self {
            reconciliation: reconcile(self, Some(other)),
            updated_at: now,
            revision: self.revision + 1,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::{id, transfer as sample},
        status::TransferStatus,
    };

    fn standing(number: u128, status: TransferStatus) -> Transfer {
        Transfer {
            uuid: id(number),
            status,
            ..sample()
        }
    }

    #[test]
    fn a_movement_is_its_first_transfer_unless_said_otherwise() {
        let mut transfer = sample();
        assert_eq!(transfer.correlation_uuid(), transfer.uuid.0);
        transfer.declared.correlation_uuid = Some(id(20));
        transfer.declared.connection_uuid = Some(id(3));
        let expected = Movement {
            correlation_uuid: id(20),
            connection_uuid: Some(id(3)),
        };
        assert_eq!(transfer.movement(), expected);
    }

    #[test]
    fn a_side_is_taken_once_who_had_it_has_ended() {
        let mut new = sample();
        new.declared.correlation_uuid = Some(id(20));
        for status in TransferStatus::ALL {
            let same = standing(8, *status);
            let sides = Sides {
                same: Some(&same),
                other: None,
            };
            let taken = new.clone().take_side(sides);
            let expected = if status.is_terminal() {
                Ok(new.clone())
            } else {
                Err(Refusal::CorrelationInUse {
                    uuid: id(8),
                    correlation_uuid: id(20),
                    direction: Direction::Send,
                })
            };
            assert_eq!(taken, expected, "{status}");
        }
    }

    #[test]
    fn both_sides_name_each_other() {
        let other = standing(8, TransferStatus::Completed);
        let sides = Sides {
            same: None,
            other: Some(&other),
        };
        let new = sample().take_side(sides).expect("the side is free");
        assert_eq!(new.counterpart_uuid, Some(other.uuid));
        let now = Timestamp::from_micros(5_000_000);
        let paired = other.paired(&new, now);
        let expected = Transfer {
            counterpart_uuid: Some(new.uuid),
            updated_at: now,
            revision: 2,
            ..other.clone()
        };
        assert_eq!(paired, expected);
        let expected = Transfer {
            superseded: true,
            ..paired.clone()
        };
        assert_eq!(paired.superseded(), expected, "it keeps what it had");
    }
}
