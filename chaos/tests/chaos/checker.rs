//! Damage to a sound history, to see that the checker notices each.

use tidegate_chaos::checker::{
    Acknowledged, Entry, Fault, History, Row, Snapshot, Transition, check,
};
use tidegate_domain::{
    event::EventType,
    status::TransferStatus::{self, Completed, InProgress, Pending},
};

const SUBJECT: &str = "the transfer";

fn entry(
    sequence: i64,
    event_type: EventType,
    from: Option<TransferStatus>,
    to: TransferStatus,
    revision: i64,
) -> Entry {
    let request_id = format!("request {sequence}");
    Entry {
        sequence,
        transfer: SUBJECT.to_owned(),
        event_type,
        from,
        to: Some(to),
        request_id,
        revision,
    }
}

fn told(
    revision: i64,
    status: TransferStatus,
    transition: Option<(i64, EventType)>,
) -> Acknowledged {
    let transition = transition.map(|(request, event_type)| Transition {
        request_id: format!("request {request}"),
        event_type,
        repeated: false,
    });
    Acknowledged {
        transfer: SUBJECT.to_owned(),
        revision,
        status,
        totals: Some([revision; 6]),
        transition,
    }
}

/// Created, started, reported once, completed: everything in order.
fn sound() -> (History, Snapshot) {
    let entries = vec![
        entry(1, EventType::Created, None, Pending, 1),
        entry(2, EventType::Started, Some(Pending), InProgress, 2),
        entry(3, EventType::Completed, Some(InProgress), Completed, 4),
    ];
    let acknowledged = vec![
        told(1, Pending, Some((1, EventType::Created))),
        told(2, InProgress, Some((2, EventType::Started))),
        told(3, InProgress, None),
        told(4, Completed, Some((3, EventType::Completed))),
    ];
    let row = Row {
        status: Completed,
        revision: 4,
        totals: [4; 6],
    };
    let rows = [(SUBJECT.to_owned(), Some(row))].into();
    let history = History {
        acknowledged,
        refused: vec!["request 9".to_owned()],
    };
    (
        history,
        Snapshot {
            entries,
            rows,
            row_count: Some(1),
        },
    )
}

/// What the checker says after some damage.
fn check_after(damage: impl FnOnce(&mut History, &mut Snapshot)) -> Vec<Fault> {
    let (mut history, mut snapshot) = sound();
    damage(&mut history, &mut snapshot);
    check(&history, &snapshot)
}

fn row(snapshot: &mut Snapshot) -> &mut Row {
    snapshot
        .rows
        .get_mut(SUBJECT)
        .and_then(Option::as_mut)
        .expect("the row is there")
}

#[test]
fn what_is_in_order_passes() {
    assert_eq!(check_after(|_, _| {}), []);
}

#[test]
fn a_missing_event_is_noticed() {
    let faults = check_after(|_, snapshot| {
        snapshot.entries.remove(1);
        snapshot.entries[1].sequence = 2;
    });
    assert!(
        faults
            .iter()
            .any(|fault| matches!(fault, Fault::IllegalPath { .. })),
        "{faults:?}"
    );
    assert!(
        faults
            .iter()
            .any(|fault| matches!(fault, Fault::Lost { revision: 2, .. })),
        "{faults:?}"
    );
}

#[test]
fn a_missing_last_event_is_noticed() {
    let faults = check_after(|_, snapshot| _ = snapshot.entries.pop());
    assert!(
        faults
            .iter()
            .any(|fault| matches!(fault, Fault::RowDiffers { .. })),
        "{faults:?}"
    );
}

#[test]
fn a_gap_is_noticed() {
    let faults = check_after(|_, snapshot| snapshot.entries[2].sequence = 4);
    assert_eq!(
        faults,
        [Fault::Gap {
            wanted: 3,
            found: 4
        }]
    );
}

#[test]
fn an_illegal_edge_is_noticed() {
    let faults = check_after(|history, snapshot| {
        snapshot.entries.remove(1);
        snapshot.entries[1] = entry(2, EventType::Completed, Some(Pending), Completed, 4);
        history.acknowledged.clear();
    });
    let problem = "the action may not leave that status";
    assert_eq!(
        faults,
        [Fault::IllegalPath {
            transfer: SUBJECT.to_owned(),
            sequence: 2,
            problem
        }]
    );
}

#[test]
fn a_transition_with_two_events_is_noticed() {
    let faults = check_after(|_, snapshot| {
        let mut twice = snapshot.entries[2].clone();
        (twice.sequence, twice.revision, twice.request_id) = (4, 5, String::new());
        snapshot.entries.push(twice);
    });
    assert!(
        faults
            .iter()
            .any(|fault| matches!(fault, Fault::IllegalPath { sequence: 4, .. })),
        "{faults:?}"
    );
}

#[test]
fn a_revision_that_does_not_rise_is_noticed() {
    let faults = check_after(|history, snapshot| {
        snapshot.entries[1].revision = 1;
        history.acknowledged.clear();
    });
    let problem = "its revision does not rise";
    assert_eq!(
        faults,
        [Fault::IllegalPath {
            transfer: SUBJECT.to_owned(),
            sequence: 2,
            problem
        }]
    );
}

#[test]
fn a_lost_transition_is_noticed() {
    let faults = check_after(|_, snapshot| {
        snapshot.entries.pop();
        *row(snapshot) = Row {
            status: InProgress,
            revision: 3,
            totals: [3; 6],
        };
    });
    assert!(!faults.is_empty());
    assert!(
        faults
            .iter()
            .all(|fault| matches!(fault, Fault::Lost { revision: 4, .. })),
        "{faults:?}"
    );
}

#[test]
fn lost_progress_is_noticed() {
    let faults = check_after(|history, snapshot| {
        snapshot.entries.pop();
        history.acknowledged.pop();
        *row(snapshot) = Row {
            status: InProgress,
            revision: 2,
            totals: [2; 6],
        };
    });
    let problems = ["the stored revision is lower", "a stored total is lower"];
    let wanted = problems.map(|problem| Fault::Lost {
        transfer: SUBJECT.to_owned(),
        revision: 3,
        problem,
    });
    assert_eq!(faults, wanted);
}

#[test]
fn a_row_that_went_without_a_word_is_noticed() {
    let faults = check_after(|_, snapshot| {
        snapshot.rows.insert(SUBJECT.to_owned(), None);
        snapshot.row_count = Some(0);
    });
    let problem = "it is gone without a deletion";
    let row = Fault::RowDiffers {
        transfer: SUBJECT.to_owned(),
        problem,
    };
    assert_eq!(
        faults,
        [
            row,
            Fault::RowCount {
                wanted: 1,
                found: 0
            }
        ]
    );
}

#[test]
fn a_row_that_changed_after_its_end_is_noticed() {
    let faults = check_after(|_, snapshot| row(snapshot).revision = 5);
    let problem = "it changed after its end";
    assert_eq!(
        faults,
        [Fault::RowDiffers {
            transfer: SUBJECT.to_owned(),
            problem
        }]
    );
}

#[test]
fn a_doubled_request_is_noticed() {
    let faults = check_after(|_, snapshot| {
        let mut second = entry(4, EventType::Created, None, Pending, 1);
        (second.transfer, second.request_id) = ("another".to_owned(), "request 1".to_owned());
        snapshot.entries.push(second);
        snapshot.row_count = Some(2);
    });
    let request_id = "request 1".to_owned();
    assert_eq!(
        faults,
        [Fault::Effects {
            request_id,
            wanted: "at most one",
            found: 2
        }]
    );
}

#[test]
fn an_answer_with_two_subjects_is_noticed() {
    let faults = check_after(|history, snapshot| {
        let mut other = entry(4, EventType::Created, None, Pending, 1);
        other.transfer = "another".to_owned();
        snapshot.entries.push(other);
        snapshot.row_count = Some(2);
        let mut answer = told(1, Pending, Some((1, EventType::Created)));
        answer.transfer = "another".to_owned();
        history.acknowledged.push(answer);
    });
    let request_id = "request 1".to_owned();
    assert!(
        faults.contains(&Fault::Effects {
            request_id,
            wanted: "one transfer",
            found: 2
        }),
        "{faults:?}"
    );
}

#[test]
fn the_effect_of_a_refused_request_is_noticed() {
    let faults = check_after(|history, _| history.refused.push("request 2".to_owned()));
    let request_id = "request 2".to_owned();
    assert_eq!(
        faults,
        [Fault::Effects {
            request_id,
            wanted: "none",
            found: 1
        }]
    );
}
