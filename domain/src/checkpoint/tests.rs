use super::*;

const KEY: PublicKey = [7; 32];

fn signed(sequence: i64, hash: u8) -> Signed {
    let checkpoint = Checkpoint {
        key: KEY,
        head: Head {
            sequence,
            hash: [hash; 32],
        },
        time: Timestamp::from_micros(1_764_000_000_000_001),
    };
    checkpoint.signed([9; 64])
}

#[test]
fn the_form_is_that_of_a_signed_note() {
    let note = signed(950, 1).to_string();
    let lines: Vec<_> = note.lines().collect();
    let [
        origin,
        "950",
        hash,
        "time 2025-11-24T16:00:00.000001Z",
        "",
        last,
    ] = lines[..]
    else {
        panic!("{note}");
    };
    assert_eq!(hash, BASE64.encode(&[1; 32]));
    let (name, signature) = last[DASH.len()..].split_once(' ').expect("two words");
    assert_eq!((name, last.len()), (origin, LAST_LINE));
    // By the definition of signed notes: SHA-256 of the name, a newline, the kind of key and the key.
    let spelt = [origin.as_bytes(), &[b'\n', 1], &KEY].concat();
    let bytes = BASE64.decode(signature.as_bytes()).expect("base64");
    assert_eq!(bytes[..4], Sha256::digest(spelt)[..4]);
    assert_eq!(bytes[4..], [9; 64]);
    assert!(note.starts_with(&signed(950, 1).text()) && signed(950, 1).text().ends_with("Z\n"));
    assert!(signed(1, 1).is_of(&KEY) && !signed(1, 1).is_of(&[8; 32]));
}

#[test]
fn a_file_is_read_and_what_was_cut_is_told_apart_wherever_it_was_cut() {
    let (one, two) = (signed(1, 1), signed(22, 2));
    let text = one.to_string();
    assert_eq!(
        parts(&format!("{one}\n{two}\n")),
        [Part::Whole(1, one.clone()), Part::Whole(8, two.clone())]
    );
    for end in (1..text.len()).filter(|end| text.is_char_boundary(*end)) {
        let cut = &text[..end];
        assert_eq!(parts(cut), [Part::Cut(1)], "{cut:?}");
        // Whoever writes next begins a line.
        let both = parts(&format!("{cut}\n{two}\n"));
        let is_all_but_the_newline = end + 1 == text.len();
        match both.first() {
            Some(Part::Cut(1)) => assert!(!is_all_but_the_newline, "{cut:?}"),
            Some(Part::Whole(1, first)) => assert!(is_all_but_the_newline && *first == one),
            other => panic!("{other:?} of {cut:?}"),
        }
        let last = both.last().expect("two parts");
        assert!(
            matches!(last, Part::Whole(_, last) if *last == two),
            "{both:?}"
        );
    }
}

#[test]
fn what_is_altered_is_another_checkpoint_or_none() {
    let text = signed(950, 1).to_string();
    for (at, _) in text.char_indices() {
        for new in ["0", "A", " ", "\n"] {
            let mut altered = text.clone();
            altered.replace_range(
                at..=at + text[at..].chars().next().map_or(0, char::len_utf8) - 1,
                new,
            );
            if altered == text {
                continue;
            }
            let found = parts(&altered);
            for part in &found {
                assert!(*part != Part::Whole(1, signed(950, 1)), "{altered:?}");
            }
        }
    }
    let padded = text.replacen("\n950\n", "\n0950\n", 1);
    assert_eq!(parts(&padded), [Part::Nonsense(1)]);
}

#[test]
fn a_log_is_compared_with_what_was_signed() {
    let mut comparison = Comparison::default();
    for (line, sequence) in [(1, 2), (8, 5), (15, 9)] {
        comparison.add(line, signed(sequence, 1));
    }
    let walk = |from: i64, last: i64, hash: u8| {
        let mut comparison = comparison.clone();
        for sequence in from..=last {
            comparison.meet(&signed(sequence, hash).head);
        }
        comparison.finish(from, last)
    };
    let agreed = walk(1, 9, 1).expect("the same log").to_string();
    assert_eq!(agreed, "3 checkpoints agree");
    let agreed = walk(5, 12, 1).expect("its beginning was removed");
    assert_eq!(agreed, Agreement { met: 2, removed: 1 });
    assert!(matches!(
        walk(1, 9, 2),
        Err(Mismatch::Rewritten {
            line: 1,
            sequence: 2,
            ..
        })
    ));
    assert!(matches!(
        walk(1, 8, 1),
        Err(Mismatch::Rewound {
            line: 15,
            sequence: 9,
            last: 8,
            ..
        })
    ));
}
