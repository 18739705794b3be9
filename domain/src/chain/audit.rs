//! Goes along the log as it is stored and says what is wrong with it first.

use std::fmt;

use super::{GENESIS, Hash, Head, link};
use crate::event::Event;

/// A row of the log as it was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its position.
    pub sequence: i64,
    /// What it says; `None` when that is nothing the server would have written.
    pub event: Option<Event>,
}

/// What the log says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Books {
    /// The newest position; 0 when nothing happened yet.
    pub last: i64,
    /// Everything up to this position was deleted by retention; 0 when nothing was.
    pub floor: i64,
    /// Hash of the event at `floor`; `None` when nothing was deleted.
    pub floor_hash: Option<Hash>,
}

/// What is wrong, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The counter contradicts itself.
    #[error("the event counter was altered: {0}")]
    Counter(&'static str),
    /// What is stored is not what was hashed, or not what the next event continues from.
    #[error("event {0} was altered")]
    Altered(i64),
    /// Events within the log are gone.
    #[error("{} missing", Range { from: *.from, to: *.to })]
    Missing {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// Events at the end of the log are gone.
    #[error("events after {after} are missing: the counter says {last}")]
    Truncated {
        /// The newest that is there.
        after: i64,
        /// The newest that was written.
        last: i64,
    },
    /// A row that the counter has never numbered.
    #[error("event {sequence} is there although the counter says {last}")]
    Beyond {
        /// Its position.
        sequence: i64,
        /// The newest that was written.
        last: i64,
    },
    /// A row that was deleted.
    #[error(
        "event {sequence} is there although the counter says that all up to {floor} were removed"
    )]
    Removed {
        /// Its position.
        sequence: i64,
        /// Everything up to here was deleted.
        floor: i64,
    },
    /// The log is sound in itself, but another one.
    #[error("event {0} does not have the hash that is expected: the log up to there was rewritten")]
    Rewritten(i64),
    /// The log is sound in itself, but shorter than it was.
    #[error("events after {last} are missing: {expected} is expected")]
    Rewound {
        /// The newest position.
        last: i64,
        /// The position that is expected.
        expected: i64,
    },
    /// What is expected was deleted by retention.
    #[error("event {expected}, whose hash is expected, was removed: the log begins after {floor}")]
    Forgotten {
        /// The position that is expected.
        expected: i64,
        /// Everything up to here was deleted.
        floor: i64,
    },
}

struct Range {
    from: i64,
    to: i64,
}

impl fmt::Display for Range {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            write!(out, "event {} is", self.from)
        } else {
            write!(out, "events {} to {} are", self.from, self.to)
        }
    }
}

/// What was found of a sound log; written in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The first event that was verified; beyond the head's when none was.
    pub first: i64,
    /// The end of the log.
    pub head: Head,
    /// Events that were deleted by retention.
    pub removed: i64,
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first > self.head.sequence {
            out.write_str("no events to verify")?;
        } else {
            write!(out, "events {}–{} verified", self.first, self.head.sequence)?;
        }
        write!(out, ", head {}", self.head)?;
        if self.removed > 0 {
            write!(out, "; {} removed by retention", self.removed)?;
        }
        Ok(())
    }
}

/// An audit on its way along the log.
#[derive(Clone, Debug)]
pub struct Audit {
    books: Books,
    expected: Option<Head>,
    /// How far it is.
    head: Head,
}

impl Audit {
    /// Begins before the oldest event that is kept; `expected` is a head from an earlier time.
    ///
    /// # Errors
    /// When the books alone show that something is wrong.
    pub fn begin(books: Books, expected: Option<Head>) -> Result<Self, Fault> {
        if !(0..=books.last).contains(&books.floor) {
            return Err(Fault::Counter("its numbers contradict each other"));
        }
        if books.floor_hash.is_some() != (books.floor > 0) {
            return Err(Fault::Counter(
                "the hash of the last event that was removed does not belong there",
            ));
        }
        let head = Head {
            sequence: books.floor,
            hash: books.floor_hash.unwrap_or(GENESIS),
        };
        let audit = Self {
            books,
            expected,
            head,
        };
        if let Some(expected) = expected.filter(|expected| expected.sequence < books.floor) {
            return Err(Fault::Forgotten {
                expected: expected.sequence,
                floor: books.floor,
            });
        }
        audit.compare()?;
        Ok(audit)
    }

    /// Begins after `head` instead, which is taken as given.
    #[must_use]
    pub fn after(self, head: Head) -> Self {
        Self { head, ..self }
    }

    /// Takes into account that the log has grown.
    pub fn extend(&mut self, last: i64) {
        self.books.last = self.books.last.max(last);
    }

    /// How far the log is sound.
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Takes the next row, in the order of the log.
    ///
    /// # Errors
    /// When it is not what must follow. The audit is over then.
    pub fn next(&mut self, found: &Found) -> Result<(), Fault> {
        let Books { last, floor, .. } = self.books;
        let sequence = found.sequence;
        if sequence <= floor {
            return Err(Fault::Removed { sequence, floor });
        }
        if sequence > last {
            self.is_whole()?;
            return Err(Fault::Beyond { sequence, last });
        }
        let wanted = self.head.sequence + 1;
        if sequence != wanted {
            return Err(Fault::Missing {
                from: wanted,
                to: sequence - 1,
            });
        }
        let event = found.event.as_ref().ok_or(Fault::Altered(sequence))?;
        let hash = link(&self.head.hash, event);
        if event.hash != Some(hash) {
            return Err(Fault::Altered(sequence));
        }
        self.head = Head { sequence, hash };
        self.compare()
    }

    /// Ends after the last row.
    ///
    /// # Errors
    /// When there should have been more.
    pub fn finish(self) -> Result<Summary, Fault> {
        self.is_whole()?;
        let Books { last, floor, .. } = self.books;
        if let Some(expected) = self.expected.filter(|expected| expected.sequence > last) {
            return Err(Fault::Rewound {
                last,
                expected: expected.sequence,
            });
        }
        Ok(Summary {
            first: floor + 1,
            head: self.head,
            removed: floor,
        })
    }

    fn is_whole(&self) -> Result<(), Fault> {
        let (after, last) = (self.head.sequence, self.books.last);
        if after == last {
            Ok(())
        } else {
            Err(Fault::Truncated { after, last })
        }
    }

    fn compare(&self) -> Result<(), Fault> {
        match self.expected {
            Some(expected) if expected.sequence == self.head.sequence && expected != self.head => {
                Err(Fault::Rewritten(expected.sequence))
            }
            _ => Ok(()),
        }
    }
}
