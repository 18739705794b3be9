//! Of any number of callers who want different things of one transfer at once, each is decided against the outcome of
//! the one before, and the log tells the same story as the answers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::join_all;
use rand::seq::SliceRandom as _;
use tidegate_proto::v1::{self, EventType, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, totals},
    request,
    transfer_action::TransferAction,
};
use tokio::sync::Barrier;
use tonic::{Code, Status};

const RACES: usize = 200;
const CONNECTIONS: usize = 8;

/// What a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Do(TransferAction),
    /// Expire whatever is overdue.
    Expire,
}

const APPROVE: Wish = Wish::Do(TransferAction::Approve);
const DENY: Wish = Wish::Do(TransferAction::Deny);
const CANCEL: Wish = Wish::Do(TransferAction::Cancel);
const START: Wish = Wish::Do(TransferAction::Start);
const PROGRESS: Wish = Wish::Do(TransferAction::UpdateProgress);
const COMPLETE: Wish = Wish::Do(TransferAction::Complete);
const FAIL: Wish = Wish::Do(TransferAction::Fail);

impl Wish {
    /// Asks for it. True when this very call did it.
    async fn ask(self, raw: &mut Raw, uuid: &str) -> Result<bool, Status> {
        match self {
            Self::Do(action) => action.attempt(raw, uuid).await.map(|()| true),
            Self::Expire => {
                let request = v1::ExpirePendingApprovalsRequest::default();
                let answer = raw.transfers.expire_pending_approvals(request).await?;
                let count = answer.into_inner().expired_count;
                assert!((0..=1).contains(&count), "{count} expired");
                Ok(count == 1)
            }
        }
    }

    /// The event that it leaves.
    const fn event_type(self) -> Option<EventType> {
        match self {
            Self::Expire => Some(EventType::Expired),
            Self::Do(TransferAction::Approve) => Some(EventType::Approved),
            Self::Do(TransferAction::Deny) => Some(EventType::Denied),
            Self::Do(TransferAction::Cancel) => Some(EventType::Cancelled),
            Self::Do(TransferAction::Complete) => Some(EventType::Completed),
            Self::Do(TransferAction::Fail) => Some(EventType::Failed),
            Self::Do(_) => None,
        }
    }
}

/// When the deadline passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deadline {
    Later,
    During,
    Before,
}

/// A world with connections to race on.
struct Track {
    world: World,
    connections: Vec<Raw>,
    home: Raw,
}

impl Track {
    async fn new() -> Self {
        let world = World::start_with(WorldOptions::still()).await;
        let connections = join_all((0..CONNECTIONS).map(|_| world.services())).await;
        let home = world.services().await;
        Self {
            world,
            connections,
            home,
        }
    }

    /// Lets all of `wishes` go at once, in an order of chance; each with what became of it.
    async fn race(
        &self,
        uuid: &str,
        wishes: &[Wish],
        deadline: Deadline,
    ) -> Vec<(Wish, Result<bool, Status>)> {
        let mut wishes = wishes.to_vec();
        wishes.shuffle(&mut rand::rng());
        let barrier = Arc::new(Barrier::new(wishes.len() + 1));
        let callers = wishes.into_iter().enumerate().map(|(number, wish)| {
            let mut raw = self.connections[number % CONNECTIONS].clone();
            let (barrier, uuid) = (Arc::clone(&barrier), uuid.to_owned());
            tokio::spawn(async move {
                barrier.wait().await;
                (wish, wish.ask(&mut raw, &uuid).await)
            })
        });
        let callers: Vec<_> = callers.collect();
        if deadline == Deadline::Before {
            self.world.clock.advance(Duration::from_secs(2));
        }
        barrier.wait().await;
        if deadline == Deadline::During {
            for _ in 0..rand::random_range(0..40) {
                tokio::task::yield_now().await;
            }
            self.world.clock.advance(Duration::from_secs(2));
        }
        let outcomes = join_all(callers).await;
        outcomes
            .into_iter()
            .map(|outcome| outcome.expect("no panic"))
            .collect()
    }
}

/// The log after the race as types of events, each with the statuses that it led from and to.
fn story(events: &[v1::Event]) -> Vec<(EventType, TransferStatus, TransferStatus)> {
    let legs = events
        .iter()
        .map(|event| (event.r#type(), event.from_status(), event.to_status()));
    legs.collect()
}

fn count(outcomes: &[(Wish, Result<bool, Status>)], wish: Wish) -> usize {
    outcomes
        .iter()
        .filter(|(each, outcome)| *each == wish && matches!(outcome, Ok(true)))
        .count()
}

/// Every refusal fits the end of the story.
fn assert_refusals(outcomes: &[(Wish, Result<bool, Status>)], legs: &[TransferStatus]) {
    for (wish, outcome) in outcomes {
        let Err(refusal) = outcome else { continue };
        let expired = legs.contains(&TransferStatus::Expired);
        let deciding = matches!(*wish, APPROVE | DENY);
        let reason = if expired && deciding {
            "APPROVAL_EXPIRED"
        } else {
            "ILLEGAL_TRANSITION"
        };
        let refused = assert_refused(refusal, Code::FailedPrecondition, reason);
        let told = refused.metadata.get("status").map(String::as_str);
        let names: Vec<_> = legs.iter().map(|status| status.as_str_name()).collect();
        let names = names
            .iter()
            .map(|name| name.trim_start_matches("TRANSFER_STATUS_"));
        assert!(
            names.clone().any(|name| Some(name) == told),
            "{wish:?} was told {told:?}"
        );
    }
}

/// One race of 32 for a decision; the type of the event that ended the wait.
async fn decision(track: &mut Track, number: usize) -> EventType {
    let uuid = track.home.declared().await.uuid;
    track.home.ask(&uuid, Duration::from_secs(1)).await;
    let wishes = [APPROVE, DENY, CANCEL, Wish::Expire].repeat(8);
    assert_eq!(wishes.len(), 32);
    let deadline = match number % 4 {
        0 => Deadline::Before,
        1 | 2 => Deadline::During,
        _ => Deadline::Later,
    };
    let outcomes = track.race(&uuid, &wishes, deadline).await;
    let now = track.home.now(&uuid).await;
    let events = track.home.events_of(&uuid).await;
    let legs = story(&events);
    let (first, rest) = legs[2..].split_first().expect("somebody took it out");
    assert_eq!(first.1, TransferStatus::PendingApproval);
    // Approved ones may still be called off; nothing else follows anything.
    match rest {
        [] => {}
        [(EventType::Cancelled, TransferStatus::Approved, TransferStatus::Cancelled)] => {
            assert_eq!(first.0, EventType::Approved);
        }
        other => panic!("{first:?} was followed by {other:?}"),
    }
    assert_eq!(Some(now.status()), legs.last().map(|leg| leg.2));
    assert_eq!(now.revision, i64::try_from(legs.len()).expect("few"));
    for wish in [APPROVE, DENY, CANCEL, Wish::Expire] {
        let told = legs
            .iter()
            .filter(|leg| Some(leg.0) == wish.event_type())
            .count();
        let answered = count(&outcomes, wish);
        // A decision that comes too late expires the transfer itself; then no sweep may claim it.
        let by_decision = wish == Wish::Expire && events[2].actor == "sweeper";
        assert_eq!(
            answered + usize::from(by_decision),
            told,
            "{wish:?}: {outcomes:?}\n{legs:?}"
        );
    }
    let statuses: Vec<_> = legs[2..].iter().map(|leg| leg.2).collect();
    assert_refusals(&outcomes, &statuses);
    if deadline == Deadline::Before {
        assert!(
            matches!(first.0, EventType::Expired | EventType::Cancelled),
            "{first:?}"
        );
    }
    first.0
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_of_many_decides() {
    let mut track = Track::new().await;
    let mut winners = BTreeMap::new();
    for number in 0..RACES {
        *winners
            .entry(decision(&mut track, number).await)
            .or_insert(0) += 1;
    }
    let kinds: Vec<_> = winners.keys().copied().collect();
    let all = [
        EventType::Approved,
        EventType::Denied,
        EventType::Expired,
        EventType::Cancelled,
    ];
    assert_eq!(kinds, all, "these were no races: {winners:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_of_many_starts() {
    let mut track = Track::new().await;
    for number in 0..40 {
        let uuid = track.home.declared().await.uuid;
        if number % 2 == 0 {
            track.home.ask(&uuid, Duration::from_secs(60)).await;
            track.home.approve(&uuid).await;
        }
        let outcomes = track.race(&uuid, &[START; 32], Deadline::Later).await;
        assert_eq!(count(&outcomes, START), 1);
        assert_refusals(&outcomes, &[TransferStatus::InProgress]);
        let events = track.home.events_of(&uuid).await;
        let started = events
            .iter()
            .filter(|event| event.r#type() == EventType::Started);
        assert_eq!(started.count(), 1);
        assert_eq!(
            track.home.now(&uuid).await.revision,
            events.last().expect("events").revision
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_of_many_ends_a_running_transfer() {
    let mut track = Track::new().await;
    let mut winners = BTreeMap::new();
    for _ in 0..40 {
        let uuid = track.home.running().await.uuid;
        let wishes = [COMPLETE, FAIL, CANCEL, PROGRESS].repeat(8);
        let outcomes = track.race(&uuid, &wishes, Deadline::Later).await;
        let events = track.home.events_of(&uuid).await;
        let legs = story(&events);
        assert_eq!(legs.len(), 3, "one end: {legs:?}");
        let last = legs[2];
        assert_eq!(last.1, TransferStatus::InProgress);
        for wish in [COMPLETE, FAIL, CANCEL] {
            let expected = usize::from(wish.event_type() == Some(last.0));
            assert_eq!(count(&outcomes, wish), expected, "{wish:?}: {outcomes:?}");
        }
        assert_refusals(&outcomes, &[last.2]);
        let now = track.home.now(&uuid).await;
        assert_eq!(now.status(), last.2);
        // The same totals change nothing the second time, and nothing is written after the end.
        let reported = count(&outcomes, PROGRESS) > 0;
        assert_eq!(now.progress, Some(totals(i64::from(reported))));
        assert_eq!(now.revision, 3 + i64::from(reported));
        assert_eq!(
            events[2].revision, now.revision,
            "the end is the last change"
        );
        *winners.entry(last.0).or_insert(0) += 1;
    }
    assert!(winners.len() > 1, "these were no races: {winners:?}");
}

/// Reports one record more at a time until it is refused; the last total that was acknowledged.
async fn report_on(mut raw: Raw, uuid: String) -> i64 {
    let mut acknowledged = 0;
    loop {
        let report = request::reporting(&uuid, totals(acknowledged + 1));
        match raw.transfers.update_progress(report).await {
            Ok(_) => acknowledged += 1,
            Err(refusal) => {
                assert_refused(&refusal, Code::FailedPrecondition, "ILLEGAL_TRANSITION");
                return acknowledged;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_and_cancellation_never_undo_each_other() {
    let mut track = Track::new().await;
    for _ in 0..20 {
        let uuid = track.home.running().await.uuid;
        let reporter = tokio::spawn(report_on(track.connections[0].clone(), uuid.clone()));
        for _ in 0..rand::random_range(0..200) {
            tokio::task::yield_now().await;
        }
        let cancelled = track.connections[1].cancel(&uuid).await;
        let acknowledged = reporter.await.expect("no panic");
        let kept = cancelled.progress;
        assert_eq!(
            kept,
            Some(totals(acknowledged)),
            "nothing acknowledged is lost"
        );
        let now = track.home.now(&uuid).await;
        assert_eq!(now, cancelled, "and nothing comes after");
        assert_eq!(cancelled.revision, acknowledged + 3);
    }
}
