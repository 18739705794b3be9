//! The newest events, shared by all who have caught up with the log: however many they are, each event is read once.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::Mutex;

use super::watch::PAGE;
use crate::error::Error;
use tidegate_domain::{
    caller::Caller, chain::Head, event::Event, log::LogView, query::EventFilter,
};
use tidegate_store::{Readers, ScopedReader};

/// Events that are kept.
const KEPT: usize = 10 * PAGE as usize;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct RecentEvents {
    /// Reads whatever anybody may see; who is given what is read narrows it by their filter.
    reader: ScopedReader,
    recent: Arc<Mutex<Recent>>,
}

impl RecentEvents {
    pub(super) fn new(readers: &Readers) -> Self {
        Self {
            reader: readers.as_seen_by(&Caller::server()),
            recent: Arc::default(),
        }
    }

    /// What comes after `at` in a log that is committed up to `head`, at most a page of it, whomever it concerns. Empty when
    /// it has to be read from the log itself: it is too old, or the log may not be the one that `at` is of.
    pub(super) async fn after(&self, at: Head, head: Head) -> Result<Vec<Arc<Event>>, Error> {
        // One reads on; the others wait for what is read.
        let mut recent = self.recent.lock().await;
        recent.begin_at(at, head);
        if recent.end().sequence < head.sequence {
            let end = recent.end();
            let filter = EventFilter {
                after_sequence: end.sequence,
                ..EventFilter::default()
            };
            let events = self.reader.events(&filter, PAGE).await?;
            // Read after the events: then nothing after `end` is missing, and they are of the same log.
            let view = self.reader.look(end.sequence).await?;
            recent.append(events, &view);
        }
        Ok(recent.after(at))
    }
}

/// Events one after the other, without gaps.
#[derive(Default)]
struct Recent {
    /// What comes before the first of them.
    before: Head,
    events: VecDeque<Arc<Event>>,
}

impl Recent {
    fn end(&self) -> Head {
        self.events
            .back()
            .map_or(self.before, |event| Head::from(&**event))
    }

    /// How many of them come before the place, if it is among them.
    fn find(&self, at: Head) -> Option<usize> {
        let number = usize::try_from(at.sequence.checked_sub(self.before.sequence)?).ok()?;
        let found = match number.checked_sub(1) {
            None => self.before,
            Some(index) => Head::from(&**self.events.get(index)?),
        };
        (found == at).then_some(number)
    }

    /// Begins anew at `at` unless it comes before what is kept, or is among it; and where what is kept is of another log, as
    /// that which is committed up to `head` does not reach so far.
    fn begin_at(&mut self, at: Head, head: Head) {
        let is_before = at.sequence < self.before.sequence;
        let is_of_another = head.sequence < self.before.sequence;
        if is_of_another || (!is_before && self.find(at).is_none()) {
            *self = Self {
                before: at,
                events: VecDeque::new(),
            };
        }
    }

    /// Takes in what was read after the end, with a look from there at the log.
    fn append(&mut self, events: Vec<Event>, view: &LogView) {
        if super::still(self.end(), view).is_err() {
            *self = Self::default();
            return;
        }
        self.events.extend(events.into_iter().map(Arc::new));
        while self.events.len() > KEPT {
            if let Some(oldest) = self.events.pop_front() {
                self.before = Head::from(&*oldest);
            }
        }
    }

    fn after(&self, at: Head) -> Vec<Arc<Event>> {
        let Some(number) = self.find(at) else {
            return Vec::new();
        };
        let page = self.events.iter().skip(number).take(PAGE as usize);
        page.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_domain::{chain::Hash, fixtures, log::LogBounds};

    fn head(sequence: i64) -> Head {
        Head {
            sequence,
            hash: hash(sequence),
        }
    }

    /// The hash of the event there, in the log that these tests are about.
    fn hash(sequence: i64) -> Hash {
        [u8::try_from(sequence % 251).expect("small"); 32]
    }

    fn events(sequences: std::ops::RangeInclusive<i64>) -> Vec<Event> {
        let event = |sequence| Event {
            hash: Some(hash(sequence)),
            ..fixtures::event(sequence)
        };
        sequences.map(event).collect()
    }

    fn view(floor: i64, at: Head, last: i64) -> LogView {
        LogView {
            bounds: LogBounds {
                floor: head(floor),
                last: head(last),
            },
            event: Some(at),
        }
    }

    /// With the events from 11 to 20.
    fn recent() -> Recent {
        let mut recent = Recent::default();
        recent.begin_at(head(10), head(20));
        recent.append(events(11..=20), &view(0, head(10), 20));
        recent
    }

    fn after(recent: &Recent, at: i64) -> Vec<i64> {
        let after = recent.after(head(at));
        after.iter().map(|event| event.sequence).collect()
    }

    #[test]
    fn whoever_is_among_them_goes_on_from_there() {
        let mut recent = recent();
        assert_eq!(after(&recent, 10), Vec::from_iter(11..=20));
        assert_eq!(after(&recent, 18), [19, 20]);
        assert!(after(&recent, 20).is_empty());
        recent.append(events(21..=22), &view(0, head(20), 22));
        assert_eq!(after(&recent, 20), [21, 22]);
        assert!(after(&recent, 9).is_empty(), "too old");
        recent.begin_at(head(9), head(22));
        assert_eq!(recent.end(), head(22), "nobody takes them from the others");
    }

    #[test]
    fn of_many_the_newest_are_kept_and_a_page_is_given() {
        let (page, kept) = (i64::from(PAGE), i64::try_from(KEPT).expect("few"));
        let mut recent = recent();
        recent.append(events(21..=kept + 15), &view(0, head(20), kept + 15));
        assert_eq!(recent.before, head(15));
        assert!(after(&recent, 14).is_empty());
        assert_eq!(after(&recent, 15), Vec::from_iter(16..=15 + page));
    }

    #[test]
    fn whoever_is_ahead_of_them_begins_anew() {
        let mut recent = recent();
        recent.begin_at(head(30), head(31));
        assert_eq!(recent.end(), head(30));
        recent.append(events(31..=31), &view(0, head(30), 31));
        assert_eq!(after(&recent, 30), [31]);
    }

    #[test]
    fn nothing_of_another_log_is_given() {
        let other = Head {
            sequence: 15,
            hash: [255; 32],
        };
        let mut recent = recent();
        assert!(recent.after(other).is_empty());
        recent.begin_at(other, head(20));
        assert_eq!(recent.end(), other);
        // A shorter one.
        let mut recent = self::recent();
        recent.begin_at(head(5), head(6));
        assert_eq!(recent.end(), head(5));
    }

    #[test]
    fn nothing_is_taken_in_that_may_have_a_gap_or_be_of_another_log() {
        let forked = Head {
            sequence: 20,
            hash: [255; 32],
        };
        for view in [
            view(21, head(20), 22),
            view(0, forked, 22),
            view(0, head(19), 19),
        ] {
            let mut recent = recent();
            recent.append(events(21..=22), &view);
            assert!(after(&recent, 20).is_empty(), "{view:?}");
            assert_eq!(recent.end(), Head::default());
        }
    }
}
