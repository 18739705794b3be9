//! Places in the log, and whether the log is still the one that somebody has read.
//!
//! Sequences alone do not tell: a ledger that was restored from a backup, or whose database failed over to a standby that
//! lacked the last commits, uses them again. The hash of an event covers everything before it, so it does.

use std::fmt;

use super::{
    chain::{GENESIS, Hash, Head},
    event::Event,
};

/// Where somebody wants to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The last event that they know.
    pub sequence: i64,
    /// Its hash, if they know it.
    pub hash: Option<Hash>,
}

impl From<Head> for Cursor {
    fn from(head: Head) -> Self {
        Self {
            sequence: head.sequence,
            hash: Some(head.hash),
        }
    }
}

/// Events that one commit appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// What they continue from.
    pub after: Head,
    /// The last of them.
    pub last: Head,
}

impl Appended {
    /// `events` that continue from `after`; `None` when there are none.
    pub fn new(after: Head, events: &[Event]) -> Option<Self> {
        let last = events.last()?.into();
        Some(Self { after, last })
    }

    /// The position of the first of them.
    pub const fn first(&self) -> i64 {
        self.after.sequence + 1
    }
}

impl Head {
    /// The one that stands later in the log.
    #[must_use]
    pub const fn later(self, other: Self) -> Self {
        if self.sequence < other.sequence {
            other
        } else {
            self
        }
    }

    /// The one that stands earlier in the log.
    #[must_use]
    pub const fn earlier(self, other: Self) -> Self {
        if other.sequence < self.sequence {
            other
        } else {
            self
        }
    }
}

impl From<&Event> for Head {
    fn from(event: &Event) -> Self {
        Self {
            sequence: event.sequence,
            hash: event.hash.unwrap_or(GENESIS),
        }
    }
}

/// The log is not the one that was read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// What was read before.
    pub known: Head,
    /// What is at that place now; the end of the log when it does not reach so far.
    pub found: Head,
}

impl fmt::Display for Divergence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { known, found } = self;
        let has = if found.sequence < known.sequence {
            "ends with"
        } else {
            "has"
        };
        write!(out, "{known} was known, and now it {has} {found}")
    }
}

/// The two ends of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogBounds {
    /// Everything up to this event was deleted by retention; position 0 when nothing was.
    pub floor: Head,
    /// The newest event; position 0 when nothing happened yet.
    pub last: Head,
}

/// The log as of one moment, seen from one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogView {
    /// Its ends.
    pub bounds: LogBounds,
    /// The event at the position, if it is there.
    pub event: Option<Head>,
}

/// Why nobody can go on from a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Events after it were deleted by retention.
    Removed,
    /// The log does not reach so far.
    Ahead,
    /// The log has another event there.
    Diverged(Divergence),
}

impl LogView {
    /// The place of `cursor`, at whose position this view was taken, if everything after it is in the log.
    ///
    /// # Errors
    /// [`Lost`] says what is wrong with it.
    pub fn find(&self, cursor: Cursor) -> Result<Head, Lost> {
        let Cursor { sequence, hash } = cursor;
        let LogBounds { floor, last } = self.bounds;
        if sequence < floor.sequence {
            return Err(Lost::Removed);
        }
        if sequence > last.sequence {
            return Err(Lost::Ahead);
        }
        let ends = [floor, last];
        let end = ends.into_iter().find(|end| end.sequence == sequence);
        let found = end.or(self.event).unwrap_or(Head {
            sequence,
            hash: GENESIS,
        });
        match hash {
            Some(hash) if hash != found.hash => Err(Lost::Diverged(Divergence {
                known: Head { sequence, hash },
                found,
            })),
            _ => Ok(found),
        }
    }

    /// How the log differs from one that had the event `known`, at whose position this view was taken. `None` when it does
    /// not, as far as can be seen.
    pub fn divergence(&self, known: Head) -> Option<Divergence> {
        match self.find(known.into()) {
            Ok(_) | Err(Lost::Removed) => None,
            Err(Lost::Ahead) => Some(Divergence {
                known,
                found: self.bounds.last,
            }),
            Err(Lost::Diverged(divergence)) => Some(divergence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::event;

    fn head(sequence: i64, byte: u8) -> Head {
        Head {
            sequence,
            hash: [byte; 32],
        }
    }

    fn view(event: Option<Head>) -> LogView {
        let bounds = LogBounds {
            floor: head(10, 1),
            last: head(20, 2),
        };
        LogView { bounds, event }
    }

    fn bare(sequence: i64) -> Cursor {
        Cursor {
            sequence,
            hash: None,
        }
    }

    #[test]
    fn what_was_appended_begins_after_what_it_continues_from() {
        let mut newest = event(12);
        newest.hash = Some([4; 32]);
        let appended = Appended::new(head(10, 1), &[event(11), newest]).expect("two events");
        assert_eq!(appended.first(), 11);
        assert_eq!((appended.after, appended.last), (head(10, 1), head(12, 4)));
        assert_eq!(Appended::new(head(10, 1), &[]), None);
        // What is not chained yet stands there without a hash.
        assert_eq!(
            Head::from(&event(11)),
            Head {
                sequence: 11,
                hash: GENESIS
            }
        );
    }

    #[test]
    fn of_two_heads_the_sequence_tells_which_is_later() {
        let (one, other) = (head(10, 9), head(11, 1));
        for (a, b) in [(one, other), (other, one)] {
            assert_eq!((a.earlier(b), a.later(b)), (one, other));
        }
        // Of two at the same place the first is kept.
        let twin = head(10, 2);
        assert_eq!((one.earlier(twin), one.later(twin)), (one, one));
    }

    #[test]
    fn a_divergence_says_whether_the_log_ends_or_goes_on_otherwise() {
        let says = |known, found| Divergence { known, found }.to_string();
        let (known, digits) = (head(12, 0xab), ["ab", "01"].map(|byte| byte.repeat(32)));
        let [was, is] = digits;
        assert_eq!(
            says(known, head(11, 1)),
            format!("12:{was} was known, and now it ends with 11:{is}")
        );
        assert_eq!(
            says(known, head(12, 1)),
            format!("12:{was} was known, and now it has 12:{is}")
        );
    }

    #[test]
    fn a_place_within_the_log_is_found_with_its_hash() {
        for (place, event) in [
            (head(10, 1), None),
            (head(15, 5), Some(head(15, 5))),
            (head(20, 2), Some(head(20, 2))),
        ] {
            assert_eq!(view(event).find(place.into()), Ok(place));
            assert_eq!(view(event).find(bare(place.sequence)), Ok(place));
            assert_eq!(view(event).divergence(place), None);
        }
    }

    #[test]
    fn a_place_outside_is_said_to_be_so_whatever_its_hash() {
        assert_eq!(view(None).find(head(9, 1).into()), Err(Lost::Removed));
        assert_eq!(view(None).find(bare(9)), Err(Lost::Removed));
        assert_eq!(view(None).find(head(21, 1).into()), Err(Lost::Ahead));
        assert_eq!(view(None).divergence(head(9, 1)), None);
        let gone_back = Divergence {
            known: head(21, 1),
            found: head(20, 2),
        };
        assert_eq!(view(None).divergence(head(21, 1)), Some(gone_back));
    }

    #[test]
    fn another_hash_is_another_log() {
        for (sequence, event) in [(10, None), (15, Some(head(15, 5))), (20, Some(head(20, 2)))] {
            let known = head(sequence, 9);
            let found = view(event).find(bare(sequence)).expect("it is there");
            let divergence = Divergence { known, found };
            let diverged = Err(Lost::Diverged(divergence));
            assert_eq!(view(event).find(known.into()), diverged);
            assert_eq!(view(event).divergence(known), Some(divergence));
        }
        // An event in the middle that is gone has no hash that anybody could know.
        assert!(view(None).divergence(head(15, 5)).is_some());
    }
}
