//! How far this replica knows the log without a gap, and what it has written itself beyond that.

use std::collections::BTreeMap;

use tidegate_domain::{
    chain::Head,
    event::Event,
    log::{Appended, Divergence},
};

#[derive(Debug, Default)]
pub(super) struct Position {
    /// Everything up to here was told to the watchers of this replica.
    known: Head,
    /// What this replica has written after events of others that it has not read yet, by the first.
    written: BTreeMap<i64, Appended>,
    /// What this replica is about to commit, and will tell itself, by the first.
    announced: BTreeMap<i64, Appended>,
    /// What lies before the first of what was revoked since the reader began its page: what it has left out may begin there.
    revoked: Option<Head>,
}

impl Position {
    #[cfg(test)]
    pub(super) const fn known(&self) -> i64 {
        self.known.sequence
    }

    /// A position that knows everything up to the end of the log.
    pub(super) fn at(end: Head) -> Self {
        Self {
            known: end,
            ..Self::default()
        }
    }

    /// Where the reader goes on, which now begins a page.
    pub(super) const fn begin_page(&mut self) -> Head {
        self.revoked = None;
        self.known
    }

    /// Everything up to here has been told. Never goes back, unlike what is known, which passes by what this replica is
    /// still about to tell.
    pub(super) fn told(&self) -> Head {
        let announced = self.announced.values().next();
        announced.map_or(self.known, |first| self.known.earlier(first.after))
    }

    /// Notes events that this replica is about to commit. Whether they continue the log that is known: if not, it is
    /// another one.
    pub(super) fn begin_commit(&mut self, events: Appended) -> bool {
        self.announced.insert(events.first(), events);
        let (known, after) = (self.known, events.after);
        after.sequence > known.sequence || after == known
    }

    /// Takes an announcement back. Whether the commit failed or only its answer was lost, what is at these positions must
    /// be read, again if need be.
    pub(super) fn revoke(&mut self, events: &Appended) {
        // Another one at the same place, or none after a new beginning, leaves nothing to take back.
        if self.announced.get(&events.first()) != Some(events) {
            return;
        }
        self.announced.remove(&events.first());
        self.known = self.known.earlier(events.after);
        let revoked = self.revoked.unwrap_or(events.after);
        self.revoked = Some(revoked.earlier(events.after));
    }

    /// Notes events that this replica has committed.
    pub(super) fn written(&mut self, events: Appended) {
        self.announced.remove(&events.first());
        if events.last.sequence > self.known.sequence {
            self.written.insert(events.first(), events);
            self.close_up();
        }
    }

    /// Notes that a page up to `last` was told, but for what this replica was about to tell.
    pub(super) fn read(&mut self, last: Head) {
        let told = self.revoked.map_or(last, |before| last.earlier(before));
        self.known = self.known.later(told);
        self.close_up();
    }

    /// How a page of the log disagrees with what this replica has written.
    pub(super) fn contradicted_by(&self, page: &[Event]) -> Option<Divergence> {
        self.written.values().find_map(|written| {
            let known = written.last;
            let place = page
                .binary_search_by_key(&known.sequence, |event| event.sequence)
                .ok()?;
            let found = Head::from(page.get(place)?);
            (found != known).then_some(Divergence { known, found })
        })
    }

    /// Whether the event has been told, or is this replica's own and will be.
    pub(super) fn is_told(&self, sequence: i64) -> bool {
        let within = |ranges: &BTreeMap<i64, Appended>| {
            let before = ranges.range(..=sequence).next_back();
            before.is_some_and(|(_, events)| sequence <= events.last.sequence)
        };
        sequence <= self.known.sequence || within(&self.written) || within(&self.announced)
    }

    fn close_up(&mut self) {
        while let Some(next) = self.written.first_entry() {
            if *next.key() > self.known.sequence + 1 {
                break;
            }
            self.known = self.known.later(next.remove().last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{appended, head},
        *,
    };
    use tidegate_domain::fixtures::event;

    #[test]
    fn own_events_need_no_reading_unless_others_lie_between() {
        let mut position = Position::default();
        position.read(head(10));
        position.written(appended(11..=12));
        assert_eq!(position.known(), 12);
        position.written(appended(15..=16));
        position.written(appended(18..=18));
        assert_eq!(position.known(), 12);
        assert_eq!(
            [13, 14, 15, 16, 17, 18, 19].map(|each| position.is_told(each)),
            [false, false, true, true, false, true, false]
        );
        position.read(head(14));
        assert_eq!(position.known, head(16));
        position.read(head(17));
        assert_eq!(position.known, head(18));
        assert!(position.written.is_empty());
    }

    #[test]
    fn what_was_read_before_it_was_noted_leaves_nothing_behind() {
        let mut position = Position::default();
        position.read(head(5));
        position.written(appended(4..=5));
        assert_eq!((position.known(), position.written.len()), (5, 0));
        position.written(appended(5..=7));
        assert_eq!((position.known(), position.written.len()), (7, 0));
    }

    #[test]
    fn an_announcement_that_came_to_nothing_is_read_again() {
        let mut position = Position::default();
        assert!(position.begin_commit(appended(1..=3)));
        assert!(position.is_told(2));
        // Somebody else took the positions, and the reader passed them by.
        position.read(head(4));
        position.revoke(&appended(1..=3));
        assert_eq!(position.known, Head::default());
        assert!(!position.is_told(2));
        position.begin_commit(appended(1..=3));
        position.written(appended(1..=3));
        assert_eq!(position.known(), 3);
        assert!(position.announced.is_empty());
    }

    #[test]
    fn what_is_revoked_while_a_page_is_told_is_not_passed_by() {
        let mut position = Position::default();
        position.begin_commit(appended(2..=3));
        assert_eq!(position.begin_page(), Head::default());
        assert!(position.is_told(2));
        position.revoke(&appended(2..=3));
        position.read(head(4));
        assert_eq!((position.begin_page(), position.told()), (head(1), head(1)));
        position.read(head(4));
        assert_eq!((position.known, position.told()), (head(4), head(4)));
    }

    #[test]
    fn what_is_about_to_be_told_is_not_told() {
        let mut position = Position::default();
        position.read(head(1));
        position.begin_commit(appended(2..=3));
        position.begin_commit(appended(5..=5));
        position.read(head(5));
        assert_eq!((position.known(), position.told()), (5, head(1)));
        position.written(appended(2..=3));
        assert_eq!(position.told(), head(4));
        position.revoke(&appended(5..=5));
        assert_eq!((position.known, position.told()), (head(4), head(4)));
    }

    #[test]
    fn events_that_continue_from_elsewhere_are_of_another_log() {
        let mut position = Position::at(head(5));
        assert!(position.begin_commit(appended(6..=7)));
        assert!(position.begin_commit(appended(9..=9)), "others lie between");
        assert!(!position.begin_commit(appended(5..=5)), "it went back");
        let mut forked = appended(6..=6);
        forked.after.hash = [9; 32];
        assert!(!position.begin_commit(forked));
    }

    #[test]
    fn what_was_announced_for_another_log_is_not_taken_back_from_this_one() {
        let mut position = Position::at(head(5));
        position.begin_commit(appended(6..=7));
        position = Position::at(head(3));
        let mut ours = appended(6..=6);
        ours.last.hash = [9; 32];
        position.begin_commit(ours);
        position.revoke(&appended(6..=7));
        assert_eq!(position.known, head(3));
        assert!(position.is_told(6));
    }

    #[test]
    fn a_page_with_other_events_than_were_written_contradicts_it() {
        let event = |sequence, byte| Event {
            hash: Some([byte; 32]),
            ..event(sequence)
        };
        let mut position = Position::at(head(5));
        let mut ours = appended(7..=8);
        ours.last.hash = [8; 32];
        position.written(ours);
        let ours = [event(6, 6), event(7, 7), event(8, 8)];
        assert_eq!(position.contradicted_by(&ours), None);
        assert_eq!(position.contradicted_by(&ours[..2]), None);
        let theirs = [event(6, 6), event(7, 0), event(8, 9)];
        let divergence = position.contradicted_by(&theirs).expect("it is another");
        assert_eq!(divergence.found, Head::from(&theirs[2]));
    }
}
