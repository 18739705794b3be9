//! The work of `VerifyLog`: an audit of a part of the log, beside whoever writes it.
//!
//! No moment is kept, as that would hold up the database: each page and the counter are read by a statement of their own.
//! What was written or removed in between is told apart from what is wrong.

use std::{sync::Arc, time::Duration};

use tidegate_proto::v1;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::encode;
use crate::error::Error;
use tidegate_domain::{
    chain::{Audit, Fault, Found, Head},
    log::{Cursor, Divergence},
};
use tidegate_store::ScopedReader;

/// Events that are read at once.
const PAGE: u32 = 500;
/// Pages of one call.
const PAGES: usize = 20;
/// Longest wait for whoever verifies already.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lets one caller verify at a time; cheap to clone.
#[derive(Clone)]
pub(super) struct VerifyPermits(Arc<Semaphore>);

impl Default for VerifyPermits {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl VerifyPermits {
    /// Waits for a turn.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let turn = Arc::clone(&self.0).acquire_owned();
        let turn = tokio::time::timeout(PATIENCE, turn).await;
        turn.ok()
            .and_then(Result::ok)
            .ok_or(Error::VerificationBusy)
    }
}

/// How far the log is sound after a position, whether that is its end, and what is wrong with what follows.
pub(super) struct Verdict {
    after: i64,
    head: Head,
    done: bool,
    fault: Option<Fault>,
}

impl Verdict {
    fn faulty(after: i64, head: Head, fault: Fault) -> Self {
        Self {
            after,
            head,
            done: true,
            fault: Some(fault),
        }
    }

    pub(super) fn to_wire(&self) -> v1::VerifyLogResponse {
        v1::VerifyLogResponse {
            after_sequence: self.after,
            sequence: self.head.sequence,
            hash: encode::hash(&self.head),
            done: self.done,
            fault: self
                .fault
                .as_ref()
                .map_or_else(String::new, Fault::to_string),
        }
    }
}

/// Verifies what follows a place, as far as one call goes.
pub(super) async fn verify(reader: &ScopedReader, cursor: Cursor) -> Result<Verdict, Error> {
    let mut audit = match begin(reader, cursor).await? {
        Ok(audit) => audit,
        Err(fault) => {
            let place = Head {
                sequence: cursor.sequence,
                hash: cursor.hash.unwrap_or_default(),
            };
            return Ok(Verdict::faulty(cursor.sequence, place, fault));
        }
    };
    let after = audit.head().sequence;
    // From the very beginning, rows that do not belong may have any number.
    let mut read = if cursor.sequence == 0 {
        i64::MIN
    } else {
        after
    };
    for _ in 0..PAGES {
        // Before the page: what the counter has numbered by then must be in it.
        grow(reader, &mut audit).await?;
        let page = reader.found(read, PAGE).await?;
        let head = audit.head();
        let Some(last) = page.last() else {
            let fault = audit.finish().err();
            return Ok(Verdict {
                after,
                head,
                done: true,
                fault,
            });
        };
        read = last.sequence;
        // And after it: what was written meanwhile may be in it, too.
        grow(reader, &mut audit).await?;
        if let Err(fault) = page.iter().try_for_each(|row| audit.next(row)) {
            return found(reader, after, audit.head(), fault).await;
        }
    }
    Ok(Verdict {
        after,
        head: audit.head(),
        done: false,
        fault: None,
    })
}

/// An audit from the place on.
async fn begin(reader: &ScopedReader, cursor: Cursor) -> Result<Result<Audit, Fault>, Error> {
    let Some(books) = reader.books().await? else {
        return Ok(Err(Fault::Counter("it cannot be read")));
    };
    let audit = match Audit::begin(books, None) {
        Ok(audit) => audit,
        Err(fault) => return Ok(Err(fault)),
    };
    let Cursor { sequence, hash } = cursor;
    if sequence == 0 {
        return Ok(Ok(audit));
    }
    if sequence < books.floor {
        return Err(expired(sequence, books.floor));
    }
    if sequence > books.last {
        return Err(Error::CursorAhead {
            after_sequence: sequence,
            newest_sequence: books.last,
        });
    }
    let place = if sequence == books.floor {
        audit.head()
    } else {
        match reader.found(sequence - 1, 1).await?.pop() {
            Some(Found {
                sequence: at,
                event: Some(event),
            }) if at == sequence => Head::from(&event),
            Some(found) if found.sequence == sequence => return Ok(Err(Fault::Altered(sequence))),
            _ => {
                let (from, to) = (sequence, sequence);
                return Ok(Err(Fault::Missing { from, to }));
            }
        }
    };
    match hash {
        Some(hash) if hash != place.hash => {
            let known = Head { sequence, hash };
            let divergence = Divergence {
                known,
                found: place,
            };
            Err(Error::LogDiverged { divergence })
        }
        _ => Ok(Ok(audit.after(place))),
    }
}

async fn grow(reader: &ScopedReader, audit: &mut Audit) -> Result<(), Error> {
    if let Some(books) = reader.books().await? {
        audit.extend(books.last);
    }
    Ok(())
}

/// What to say of a fault, unless retention has removed what is missing.
async fn found(
    reader: &ScopedReader,
    after: i64,
    head: Head,
    fault: Fault,
) -> Result<Verdict, Error> {
    let floor = reader.books().await?.map_or(0, |books| books.floor);
    if matches!(fault, Fault::Missing { .. }) && floor > head.sequence {
        return Err(expired(head.sequence, floor));
    }
    Ok(Verdict::faulty(after, head, fault))
}

const fn expired(after_sequence: i64, floor: i64) -> Error {
    Error::CursorExpired {
        after_sequence,
        oldest_sequence: floor + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_verifies_and_who_waits_too_long_is_told_when_to_come_back() {
        let permits = VerifyPermits::default();
        let turn = permits.turn().await.expect("nobody verifies");
        let refused = permits.turn().await.expect_err("somebody verifies");
        assert_eq!(refused.reason(), "VERIFICATION_BUSY");
        assert!(refused.retry_after().is_some());
        let waits = permits.clone();
        let waits = tokio::spawn(async move { waits.turn().await.is_ok() });
        tokio::time::sleep(PATIENCE / 2).await;
        drop(turn);
        assert!(waits.await.expect("it ends"));
    }
}
