//! How far this replica knows the log without a gap, and what it has written itself beyond that.

use std::{collections::BTreeMap, ops::RangeInclusive};

#[derive(Debug, Default)]
pub(super) struct Position {
    /// Everything up to here was told to the watchers of this replica.
    known: i64,
    /// What this replica has written after events of others that it has not read yet: first to last.
    written: BTreeMap<i64, i64>,
    /// What this replica is about to commit, and will tell itself.
    announced: BTreeMap<i64, i64>,
    /// The first of what was revoked since the reader began its page: what it has left out may begin there.
    revoked: Option<i64>,
}

impl Position {
    #[cfg(test)]
    pub(super) const fn known(&self) -> i64 {
        self.known
    }

    /// Where the reader goes on, which now begins a page.
    pub(super) const fn begin_page(&mut self) -> i64 {
        self.revoked = None;
        self.known
    }

    /// Everything up to here has been told. Never goes back, unlike what is known, which passes by what this replica is
    /// still about to tell.
    pub(super) fn told(&self) -> i64 {
        let announced = self.announced.keys().next();
        announced.map_or(self.known, |first| self.known.min(first - 1))
    }

    /// Notes events that this replica is about to commit.
    pub(super) fn announce(&mut self, events: &RangeInclusive<i64>) {
        self.announced.insert(*events.start(), *events.end());
    }

    /// Takes an announcement back. Whether the commit failed or only its answer was lost, what is at these positions must
    /// be read, again if need be.
    pub(super) fn revoke(&mut self, events: &RangeInclusive<i64>) {
        self.announced.remove(events.start());
        self.known = self.known.min(*events.start() - 1);
        let first = self.revoked.unwrap_or(i64::MAX);
        self.revoked = Some(first.min(*events.start()));
    }

    /// Notes events that this replica has committed.
    pub(super) fn written(&mut self, events: RangeInclusive<i64>) {
        self.announced.remove(events.start());
        if *events.end() > self.known {
            self.written.insert(*events.start(), *events.end());
            self.close_up();
        }
    }

    /// Notes that a page up to `last` was told, but for what this replica was about to tell.
    pub(super) fn read(&mut self, last: i64) {
        let told = self.revoked.map_or(last, |first| last.min(first - 1));
        self.known = self.known.max(told);
        self.close_up();
    }

    /// Whether the event has been told, or is this replica's own and will be.
    pub(super) fn is_told(&self, sequence: i64) -> bool {
        let within = |ranges: &BTreeMap<i64, i64>| {
            let before = ranges.range(..=sequence).next_back();
            before.is_some_and(|(_, last)| sequence <= *last)
        };
        sequence <= self.known || within(&self.written) || within(&self.announced)
    }

    fn close_up(&mut self) {
        while let Some(next) = self.written.first_entry() {
            if *next.key() > self.known + 1 {
                break;
            }
            self.known = self.known.max(next.remove());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_events_need_no_reading_unless_others_lie_between() {
        let mut position = Position::default();
        position.read(10);
        position.written(11..=12);
        assert_eq!(position.known(), 12);
        position.written(15..=16);
        position.written(18..=18);
        assert_eq!(position.known(), 12);
        assert_eq!(
            [13, 14, 15, 16, 17, 18, 19].map(|each| position.is_told(each)),
            [false, false, true, true, false, true, false]
        );
        position.read(14);
        assert_eq!(position.known(), 16);
        position.read(17);
        assert_eq!(position.known(), 18);
        assert!(position.written.is_empty());
    }

    #[test]
    fn what_was_read_before_it_was_noted_leaves_nothing_behind() {
        let mut position = Position::default();
        position.read(5);
        position.written(4..=5);
        assert_eq!((position.known(), position.written.len()), (5, 0));
        position.written(5..=7);
        assert_eq!((position.known(), position.written.len()), (7, 0));
    }

    #[test]
    fn an_announcement_that_came_to_nothing_is_read_again() {
        let mut position = Position::default();
        position.announce(&(1..=3));
        assert!(position.is_told(2));
        // Somebody else took the positions, and the reader passed them by.
        position.read(4);
        position.revoke(&(1..=3));
        assert_eq!(position.known(), 0);
        assert!(!position.is_told(2));
        position.announce(&(1..=3));
        position.written(1..=3);
        assert_eq!(position.known(), 3);
        assert!(position.announced.is_empty());
    }

    #[test]
    fn what_is_revoked_while_a_page_is_told_is_not_passed_by() {
        let mut position = Position::default();
        position.announce(&(2..=3));
        assert_eq!(position.begin_page(), 0);
        assert!(position.is_told(2));
        position.revoke(&(2..=3));
        position.read(4);
        assert_eq!((position.begin_page(), position.told()), (1, 1));
        position.read(4);
        assert_eq!((position.known(), position.told()), (4, 4));
    }

    #[test]
    fn what_is_about_to_be_told_is_not_told() {
        let mut position = Position::default();
        position.read(1);
        position.announce(&(2..=3));
        position.announce(&(5..=5));
        position.read(5);
        assert_eq!((position.known(), position.told()), (5, 1));
        position.written(2..=3);
        assert_eq!(position.told(), 4);
        position.revoke(&(5..=5));
        assert_eq!((position.known(), position.told()), (4, 4));
    }
}
