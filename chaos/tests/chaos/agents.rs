//! Agents that are killed, and that the comparison of their runs notices each damage to a sound story.

use std::collections::BTreeMap;

use tidegate_chaos::agents::{
    self,
    runs::{Attempt, Entry, Fault, What, check},
};
use tidegate_client::AttemptEnd;
use tidegate_tests::database::kind;

const SUBJECT: &str = "the transfer";
const SECOND: i64 = 1_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_is_followed_by_one_that_goes_on() {
    agents::run(kind(), 8, rand::random()).await.assert_passed();
}

fn told(instance: &str, epoch: i64, what: What, rows: i64, seconds: i64) -> Entry {
    Entry {
        instance: instance.to_owned(),
        transfer: SUBJECT.to_owned(),
        epoch,
        what,
        rows,
        before: seconds * SECOND,
        after: seconds * SECOND + 1_000,
    }
}

fn attempt(epoch: i64, instance: &str, from: i64, to: i64, end: AttemptEnd) -> Attempt {
    Attempt {
        epoch,
        instance: instance.to_owned(),
        started: from * SECOND,
        ended: Some(to * SECOND),
        end,
    }
}

type Story = (Vec<Entry>, Vec<Attempt>);

/// One agent reports and dies, the next one goes on.
fn sound() -> Story {
    let entries = vec![
        told("one", 1, What::Claimed, 0, 10),
        told("one", 1, What::Reported, 7, 11),
        told("two", 2, What::Claimed, 7, 13),
        told("two", 2, What::Completed, 20, 14),
    ];
    let attempts = vec![
        attempt(1, "one", 10, 12, AttemptEnd::Requeued),
        attempt(2, "two", 13, 14, AttemptEnd::Completed),
    ];
    (entries, attempts)
}

fn faults(damage: impl FnOnce(&mut Story)) -> Vec<Fault> {
    let mut story = sound();
    damage(&mut story);
    check(&story.0, &BTreeMap::from([(SUBJECT.to_owned(), story.1)]))
}

#[test]
fn a_sound_story_has_no_fault() {
    assert_eq!(faults(|_| {}), []);
}

#[test]
fn each_damage_is_noticed() {
    let transfer = || SUBJECT.to_owned();
    let (epoch, end) = (2, AttemptEnd::Failed);
    assert_eq!(
        faults(|it| it.1[1].end = AttemptEnd::Failed),
        [Fault::End {
            transfer: transfer(),
            epoch,
            end
        }]
    );
    assert_eq!(
        faults(|it| it.1[1].started = 11 * SECOND),
        [Fault::Overlap {
            transfer: transfer(),
            epoch
        }]
    );
    let both = faults(|it| it.1[1].epoch = 3);
    let found = vec![1, 3];
    assert!(
        both.contains(&Fault::Epochs {
            transfer: transfer(),
            found
        }),
        "{both:?}"
    );
    let none = faults(|it| it.1.clear());
    assert!(
        none.contains(&Fault::Epochs {
            transfer: transfer(),
            found: Vec::new()
        }),
        "{none:?}"
    );

    let late = told("one", 1, What::Reported, 7, 13);
    assert_eq!(
        faults(|it| it.0.push(late.clone())),
        [Fault::Late(late.clone())]
    );
    let early = told("one", 1, What::Lost, 7, 11);
    assert_eq!(
        faults(|it| it.0.push(early.clone())),
        [Fault::Late(early.clone())]
    );
    let stranger = told("three", 1, What::Reported, 7, 11);
    assert_eq!(
        faults(|it| it.0.push(stranger.clone())),
        [Fault::Stranger(stranger.clone())]
    );
    let hasty = faults(|it| it.1[0].ended = Some(11 * SECOND + 500_000));
    assert_eq!(hasty, [Fault::Hasty(told("one", 1, What::Reported, 7, 11))]);
    let claim = told("two", 2, What::Claimed, 6, 13);
    let forgotten = Fault::Forgotten {
        claim: claim.clone(),
        rows: 7,
    };
    assert_eq!(faults(|it| it.0[2] = claim), [forgotten]);
    let again = faults(|it| {
        it.0.push(told("one", 1, What::Completed, 7, 11));
    });
    assert_eq!(
        again,
        [Fault::CompletedTwice {
            transfer: transfer()
        }]
    );
}
