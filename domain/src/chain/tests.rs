use std::net::IpAddr;

use super::*;
use crate::{
    caller::Role,
    event::{About, EventType},
    fixtures::{event, id, receipt},
    receipt::{Digest, Quarantined, Receipt, VerificationResult},
    time::Timestamp,
};

mod details;

/// Events 1 to `count`.
fn log(count: i64) -> (Books, Vec<Found>) {
    let mut previous = GENESIS;
    let found = (1..=count).map(|sequence| {
        let mut event = event(sequence);
        previous = link(&previous, &event);
        event.hash = Some(previous);
        Found {
            sequence,
            event: Some(event),
        }
    });
    let found = found.collect();
    let books = Books {
        last: count,
        floor: 0,
        floor_hash: None,
    };
    (books, found)
}

fn audit(books: Books, found: &[Found], expected: Option<Head>) -> Result<Summary, Fault> {
    let mut audit = Audit::begin(books, expected)?;
    found.iter().try_for_each(|row| audit.next(row))?;
    audit.finish()
}

fn head(found: &[Found]) -> Head {
    let last = found.last().and_then(|row| row.event.as_ref());
    let event = last.expect("an event");
    Head {
        sequence: event.sequence,
        hash: event.hash.expect("a hash"),
    }
}

#[test]
fn the_encoding_is_the_one_that_logs_were_written_with() {
    let mut bare = event(1);
    bare.transfer_uuid = None;
    bare.connection_uuid = None;
    bare.subject_uuid = None;
    bare.about = About::default();
    bare.body.from_status = None;
    bare.body.to_status = None;
    bare.body.actor_uuid = None;
    bare.request = None;
    bare.address = None;
    let first = link(&GENESIS, &bare);
    let second = link(&first, &event(2));
    let shown = [first, second].map(|hash| Head { sequence: 0, hash }.to_string());
    assert_eq!(
        shown,
        [
            "0:22428cbc40a189a51dfe42af7487715f9338beaa23b2333e05bb3c533cd208c6",
            "0:22dc9cc7b9aca90d1c6db9cca7865bf1115618f19b2c6338392a2ab2c332088f",
        ]
    );
}

type Edit = fn(&mut Event);

/// A change of each value that is stored.
const EDITS: [Edit; 31] = [
    |it| it.sequence += 1,
    |it| it.transfer_uuid = None,
    |it| it.transfer_uuid = Some(id(9)),
    |it| it.connection_uuid = None,
    |it| it.subject_uuid = None,
    |it| it.about.table_name = None,
    |it| it.about.table_name = Some("public.orders".to_owned()),
    |it| it.about.direction = None,
    |it| it.about.connection_name = None,
    |it| it.about.lease = None,
    |it| it.about.lease.as_mut().expect("a lease").epoch = 2,
    |it| it.about.lease.as_mut().expect("a lease").owner_uuid = None,
    |it| {
        it.about
            .lease
            .as_mut()
            .expect("a lease")
            .agent_instance
            .clear()
    },
    |it| it.about.self_approval = false,
    |it| it.about.overridden = true,
    // The same bytes, differently divided.
    |it| {
        it.about.table_name = Some("public.user".to_owned());
        it.about.connection_name = Some("snorth".to_owned());
    },
    |it| it.body.event_type = EventType::Denied,
    |it| it.body.from_status = None,
    |it| it.body.to_status = None,
    |it| it.body.to_status = Some(TransferStatus::Denied),
    |it| it.body.actor_uuid = None,
    |it| it.actor.push('x'),
    |it| it.body.detail = None,
    |it| it.request = None,
    |it| it.revision = 4,
    |it| it.occurred_at = Timestamp::from_micros(0),
    |it| it.address = None,
    |it| it.address = Some(IpAddr::from([127, 0, 0, 1])),
    // The same bytes, differently divided.
    |it| {
        it.actor = "anonymou".to_owned();
        it.body.detail = EventDetail::comment("sja, gęś");
    },
    |it| it.request.as_mut().expect("a mark").request_id.push('1'),
    |it| it.request.as_mut().expect("a mark").digest[31] = 8,
];

#[test]
fn everything_that_is_stored_is_covered() {
    let whole = link(&GENESIS, &event(1));
    assert_ne!(link(&whole, &event(1)), whole, "what came before");
    for (number, edit) in EDITS.iter().enumerate() {
        let mut changed = event(1);
        edit(&mut changed);
        assert_ne!(link(&GENESIS, &changed), whole, "edit {number}");
    }
    let mut linked = event(1);
    linked.hash = Some(whole);
    assert_eq!(link(&GENESIS, &linked), whole, "its own hash");
}

/// Details of every kind, each unlike the others in one thing or in how the same bytes are divided.
#[test]
fn what_an_event_is_about_is_read_as_it_is_serialized() {
    let read = |text: &str| serde_json::from_str::<About>(text);
    for about in [About::default(), event(1).about] {
        let text = serde_json::to_string(&about).expect("it is JSON");
        assert_eq!(read(&text).expect("it is read"), about, "{text}");
    }
    for text in [
        r#"{"direction":"UP"}"#,
        r#"{"table":"a"}"#,
        r#"{"lease":{}}"#,
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn a_log_is_verified_in_parts_while_it_grows() {
    let (books, found) = log(9);
    let half = Books { last: 5, ..books };
    let mut audit = Audit::begin(half, None).expect("sound");
    for row in &found[..5] {
        audit.next(row).expect("sound");
    }
    let middle = audit.head();
    assert_eq!(middle, head(&found[..5]));
    let beyond = Fault::Beyond {
        sequence: 6,
        last: 5,
    };
    assert_eq!(audit.clone().next(&found[5]), Err(beyond));
    audit.extend(9);
    assert_eq!(audit.next(&found[5]), Ok(()));

    let rest = |head| {
        let mut audit = Audit::begin(books, None).expect("sound").after(head);
        found[5..].iter().try_for_each(|row| audit.next(row))?;
        audit.finish()
    };
    assert_eq!(rest(middle).expect("sound").head, head(&found));
    let other = Head {
        hash: [7; 32],
        ..middle
    };
    assert_eq!(rest(other), Err(Fault::Altered(6)));
}

#[test]
fn a_sound_log_is_summed_up_in_one_line() {
    let (books, found) = log(9);
    let end = head(&found);
    let summary = audit(books, &found, Some(end)).expect("sound");
    assert_eq!(
        summary.to_string(),
        format!("events 1–9 verified, head {end}")
    );
    assert_eq!(audit(books, &found, Some(head(&found[..4]))), Ok(summary));

    let none = "0:".to_owned() + &"0".repeat(64);
    let (books, found) = log(0);
    let empty = audit(books, &found, none.parse().ok()).expect("sound");
    assert_eq!(
        empty.to_string(),
        format!("no events to verify, head {none}")
    );
}

#[test]
fn what_retention_removed_is_not_missed() {
    for floor in [1, 3, 9] {
        let (mut books, found) = log(9);
        let (gone, kept) = found.split_at(usize::try_from(floor).expect("small"));
        books.floor = floor;
        books.floor_hash = gone.last().and_then(|row| row.event.as_ref()?.hash);
        let summary = audit(books, kept, None).expect("sound");
        assert_eq!(summary.removed, floor);
        let told = format!("; {floor} removed by retention");
        assert!(summary.to_string().ends_with(&told), "{summary}");
        assert_eq!(summary.head.sequence, 9);
        let left = Head {
            sequence: floor,
            hash: books.floor_hash.expect("a hash"),
        };
        audit(books, kept, Some(left)).expect("the last that was removed is known");
        let older = Head {
            sequence: floor - 1,
            hash: GENESIS,
        };
        let forgotten = Fault::Forgotten {
            expected: floor - 1,
            floor,
        };
        assert_eq!(audit(books, kept, Some(older)), Err(forgotten));
    }
}

#[test]
fn the_first_thing_that_is_wrong_is_named() {
    let line = |books: Books, found: &[Found]| {
        let fault = audit(books, found, None).expect_err("it is wrong");
        fault.to_string()
    };
    let (books, sound) = log(9);
    let with = |edit: fn(&mut Vec<Found>)| {
        let mut found = sound.clone();
        edit(&mut found);
        line(books, &found)
    };
    assert_eq!(with(|it| drop(it.remove(4))), "event 5 is missing");
    assert_eq!(with(|it| drop(it.drain(..3))), "events 1 to 3 are missing");
    let tail = "events after 7 are missing: the counter says 9";
    assert_eq!(with(|it| it.truncate(7)), tail);
    assert_eq!(with(|it| it[5].event = None), "event 6 was altered");
    let unlinked = with(|it| it[5].event.as_mut().expect("one").hash = None);
    assert_eq!(unlinked, "event 6 was altered");
    for edit in EDITS {
        let mut found = sound.clone();
        edit(found[6].event.as_mut().expect("one"));
        assert_eq!(line(books, &found), "event 7 was altered");
    }
}

#[test]
fn a_counter_that_was_altered_is_noticed() {
    let (books, found) = log(9);
    let with = |edit: fn(&mut Books)| {
        let mut books = books;
        edit(&mut books);
        let fault = audit(books, &found, None).expect_err("it is wrong");
        fault.to_string()
    };
    for (line, wanted) in [
        (
            with(|it| it.last = 8),
            "event 9 is there although the counter says 8",
        ),
        (
            with(|it| it.last = 12),
            "events after 9 are missing: the counter says 12",
        ),
        (
            with(|it| (it.floor, it.floor_hash) = (2, Some([1; 32]))),
            "event 1 is there although the counter says that all up to 2 were removed",
        ),
        (
            with(|it| it.floor = -1),
            "the event counter was altered: its numbers contradict each other",
        ),
        (
            with(|it| it.floor = 10),
            "the event counter was altered: its numbers contradict each other",
        ),
    ] {
        assert_eq!(line, wanted);
    }
    let hash = with(|it| it.floor_hash = Some([1; 32]));
    assert!(hash.starts_with("the event counter was altered"), "{hash}");
    let floor = with(|it| it.floor = 5);
    assert!(
        floor.starts_with("the event counter was altered"),
        "{floor}"
    );
}

#[test]
fn a_head_that_was_kept_shows_what_the_log_cannot() {
    let (books, found) = log(9);
    let kept = head(&found);
    let (rewound, shorter) = log(6);
    let fault = audit(rewound, &shorter, Some(kept)).expect_err("shorter");
    assert_eq!(
        fault.to_string(),
        "events after 6 are missing: 9 is expected"
    );
    let mut rewritten = found;
    let mut previous = GENESIS;
    for row in &mut rewritten {
        let event = row.event.as_mut().expect("one");
        event.body.detail = EventDetail::comment("as if");
        previous = link(&previous, event);
        event.hash = Some(previous);
    }
    assert!(audit(books, &rewritten, None).is_ok());
    assert_eq!(
        audit(books, &rewritten, Some(kept)),
        Err(Fault::Rewritten(9))
    );
}

#[test]
fn a_log_of_one_event_has_been_verified_from_it_to_it() {
    let (books, found) = log(1);
    let summary = audit(books, &found, None).expect("sound");
    assert_eq!(
        summary.to_string(),
        format!("events 1–1 verified, head {}", head(&found))
    );
}

#[test]
fn heads_are_read_as_they_are_written() {
    let head = Head {
        sequence: 950,
        hash: link(&GENESIS, &event(1)),
    };
    assert_eq!(head.to_string().parse(), Ok(head));
    assert_eq!(head.to_string().to_uppercase().parse(), Ok(head));
    let hash = "0".repeat(64);
    for wrong in [
        String::new(),
        "950".to_owned(),
        hash.clone(),
        format!("x:{hash}"),
        format!("-1:{hash}"),
        format!("1:{hash}0"),
        format!("1:{}", &hash[1..]),
        format!("1:{}g", &hash[1..]),
        format!("1:{}é", &hash[2..]),
    ] {
        assert!(wrong.parse::<Head>().is_err(), "{wrong}");
    }
}

#[test]
fn a_head_is_read_in_both_forms_of_its_hash() {
    let head = Head {
        sequence: 7,
        hash: [0xfb; 32],
    };
    for text in [
        head.to_string(),
        format!("7:{}", "FB".repeat(32)),
        format!("7:{}", BASE64.encode(&[0xfb; 32])),
    ] {
        assert_eq!(text.parse(), Ok(head), "{text}");
    }
    for text in ["7", "7:", ":fb", "-1:fb", "7:fbfb", "7:+/v7", "x:y"] {
        assert!(text.parse::<Head>().is_err(), "{text}");
    }
}
