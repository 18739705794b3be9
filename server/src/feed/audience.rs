//! Which events of others have to be told here: a row that nobody watches need not be read.

use super::{Feed, Registry, log_follower::changes_beside};
use tidegate_domain::{chain::Head, event::Event};

/// Those who are to be told, as of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AudienceAt(u64);

impl Feed {
    /// Parts events into those that may concern somebody, and the others.
    pub(super) fn concerning<'a>(
        &self,
        events: Vec<&'a Event>,
    ) -> (Vec<&'a Event>, Vec<&'a Event>, AudienceAt) {
        let registry = self.registry();
        let audience = Audience::of(&registry);
        let (concerning, others) = events.into_iter().partition(|it| audience.may_hear(it));
        (concerning, others, AudienceAt(registry.joined))
    }

    /// As [`has_read`](Self::has_read), unless somebody has joined who may have to be told of what was left out. Answers
    /// whether it did.
    pub(super) fn has_read_for(&self, last: Head, audience: AudienceAt) -> bool {
        let mut registry = self.registry();
        let is_same = audience == AudienceAt(registry.joined);
        if is_same {
            self.note_read(&mut registry, last);
        }
        is_same
    }
}

struct Audience<'a> {
    registry: &'a Registry,
    everything: bool,
}

impl<'a> Audience<'a> {
    fn of(registry: &'a Registry) -> Self {
        Self {
            registry,
            everything: registry.by_filter.has_any_connection(),
        }
    }

    fn may_hear(&self, event: &Event) -> bool {
        let Registry {
            by_filter, by_uuid, ..
        } = self.registry;
        let nobody = !self.everything && !by_filter.has_one_connection() && by_uuid.is_empty();
        // Of the transfer beside its own an event says nothing.
        if changes_beside(event) && !nobody {
            return true;
        }
        self.everything
            || (event.connection_uuid).is_some_and(|one| by_filter.has_connection(one))
            || (event.transfer_uuid).is_some_and(|uuid| by_uuid.contains_key(&uuid))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{at_site, head},
        *,
    };
    use tidegate_domain::{
        event::EventType,
        fixtures::{event, id},
        id::TransferId,
        query::TransferFilter,
    };

    fn of(transfer: u128, connection: u128, event_type: EventType) -> Event {
        let mut event = event(1);
        event.transfer_uuid = Some(id(transfer));
        event.connection_uuid = Some(id(connection));
        event.body.event_type = event_type;
        event
    }

    fn heard(feed: &Feed, event: &Event) -> bool {
        let (concerning, others, _) = feed.concerning(vec![event]);
        assert_eq!(concerning.len() + others.len(), 1);
        others.is_empty()
    }

    #[test]
    fn what_nobody_watches_is_left_out() {
        let feed = Feed::default();
        let started = of(1, 2, EventType::Started);
        let created = of(1, 2, EventType::Created);
        assert!(!heard(&feed, &started) && !heard(&feed, &created));
        let elsewhere = feed.subscribe_matching(at_site(3));
        assert!(!heard(&feed, &started));
        assert!(heard(&feed, &created), "the other side may be watched");
        let here = feed.subscribe_to_transitions(at_site(2));
        assert!(heard(&feed, &started));
        drop((elsewhere, here));
        assert!(!heard(&feed, &started));
        let mut one = feed.subscribe();
        one.follow(id::<TransferId>(4));
        assert!(!heard(&feed, &started));
        one.follow(id(1));
        assert!(heard(&feed, &started));
        one.unfollow(id(1));
        let all = feed.subscribe_matching(TransferFilter::default());
        assert!(heard(&feed, &started));
        drop(all);
    }

    #[test]
    fn what_was_left_out_is_not_told_while_somebody_joins() {
        let feed = Feed::default();
        let started = of(1, 2, EventType::Started);
        let (_, _, audience) = feed.concerning(vec![&started]);
        let watcher = feed.subscribe_matching(at_site(2));
        assert!(!feed.has_read_for(head(1), audience));
        assert_eq!(watcher.since(), Head::default());
        let (concerning, _, audience) = feed.concerning(vec![&started]);
        assert_eq!(concerning, [&started]);
        let mut one = feed.subscribe();
        one.follow(id(1));
        assert!(!feed.has_read_for(head(1), audience));
        let (_, _, audience) = feed.concerning(vec![&started]);
        assert!(feed.has_read_for(head(1), audience));
        assert_eq!(feed.subscribe().since(), Head::default());
        assert_eq!(feed.subscribe_matching(at_site(2)).since(), head(1));
    }
}
