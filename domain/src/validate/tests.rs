use serde_json::{Map, Value, json};

use super::*;

fn violations(check: impl FnOnce(&mut Check)) -> Vec<Violation> {
    let mut collected = Check::default();
    check(&mut collected);
    match collected.finish(()) {
        Ok(()) => Vec::new(),
        Err(Refusal::Invalid { fields }) => fields,
        Err(other) => panic!("a check cannot refuse with {other:?}"),
    }
}

fn refuses(check: impl FnOnce(&mut Check)) -> bool {
    violations(check).len() == 1
}

fn accepts(check: impl FnOnce(&mut Check)) -> bool {
    violations(check).is_empty()
}

#[test]
fn every_bad_field_is_reported_at_once() {
    let found = violations(|check| {
        check.uuid::<Uuid>("uuid", "");
        check.line("table_name", "a\0b", 255);
        check.count("records_requested", -1);
    });
    let fields: Vec<_> = found
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(fields, ["uuid", "table_name", "records_requested"]);
}

#[test]
fn a_uuid_has_one_form() {
    let good = "0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b";
    assert!(accepts(|check| _ = check.uuid::<Uuid>("uuid", good)));
    assert!(accepts(
        |check| _ = check.uuid::<Uuid>("uuid", &good.to_uppercase())
    ));
    for bad in [
        good.replace('-', ""),
        format!("{{{good}}}"),
        format!("urn:uuid:{good}"),
        good.replace('0', "g"),
        "1".to_owned(),
        format!("{good} "),
    ] {
        assert!(
            refuses(|check| _ = check.optional_uuid::<Uuid>("uuid", &bad)),
            "{bad}"
        );
    }
}

#[test]
fn text_is_counted_in_characters() {
    assert!(accepts(
        |check| _ = check.line("name", &"é".repeat(255), NAME_MAX)
    ));
    assert!(refuses(
        |check| _ = check.line("name", &"é".repeat(256), NAME_MAX)
    ));
}

#[test]
fn control_characters_are_refused_but_for_line_breaks_in_paragraphs() {
    for bad in ["\0", "\u{1b}[2J", "\u{7f}", "\u{85}"] {
        assert!(refuses(|check| _ = check.line("name", bad, 255)), "{bad:?}");
        assert!(
            refuses(|check| _ = check.paragraph("reason", bad, 255)),
            "{bad:?}"
        );
    }
    assert!(accepts(
        |check| _ = check.paragraph("reason", "one\r\n\ttwo", 255)
    ));
    assert!(refuses(|check| _ = check.line("name", "one\ntwo", 255)));
}

#[test]
fn addresses_are_web_addresses() {
    for good in ["", "https://b.example", "http://10.0.0.1:8080/path?x=1"] {
        assert!(
            accepts(|check| _ = check.site_url("site_url", good)),
            "{good}"
        );
    }
    for bad in [
        "b.example",
        "ftp://b.example",
        "https://",
        "javascript:alert(1)",
    ] {
        assert!(
            refuses(|check| _ = check.site_url("site_url", bad)),
            "{bad}"
        );
    }
}

#[test]
fn request_ids_are_short_and_printable() {
    assert!(accepts(|check| assert_eq!(check.request_id(""), None)));
    assert!(accepts(|check| assert!(
        check.request_id(&"x".repeat(36)).is_some()
    )));
    for bad in [
        "x".repeat(37),
        "a b".to_owned(),
        "é".to_owned(),
        "a\nb".to_owned(),
    ] {
        assert!(
            refuses(|check| assert_eq!(check.request_id(&bad), None)),
            "{bad:?}"
        );
    }
}

#[test]
fn page_sizes_are_capped_not_refused() {
    assert!(accepts(|check| assert_eq!(
        check.page_size("page_size", 0, 50),
        50
    )));
    assert!(accepts(|check| assert_eq!(
        check.page_size("page_size", i32::MAX, 50),
        PAGE_MAX
    )));
    assert!(refuses(|check| _ = check.page_size("page_size", -1, 50)));
    assert!(refuses(|check| _ = check.skip(-1)));
    assert!(refuses(|check| _ = check.skip(100_001)));
}

#[test]
fn metadata_has_a_size_and_a_depth() {
    let text = |length: usize| match json!({ "k": "x".repeat(length) }) {
        Value::Object(map) => map,
        other => panic!("{other} is an object"),
    };
    // {"k":""} has eight bytes.
    assert!(accepts(|check| _ = check.metadata(text(METADATA_MAX - 8))));
    assert!(refuses(|check| _ = check.metadata(text(METADATA_MAX - 7))));

    let nested = |levels: usize| {
        let mut map = Map::new();
        for _ in 1..levels {
            map = Map::from_iter([("k".to_owned(), Value::Object(map))]);
        }
        map
    };
    assert!(accepts(
        |check| _ = check.metadata(nested(METADATA_DEPTH_MAX))
    ));
    assert!(refuses(
        |check| _ = check.metadata(nested(METADATA_DEPTH_MAX + 1))
    ));
    assert!(refuses(
        |check| _ = check.metadata(Map::from_iter([("a\0".to_owned(), Value::Null)]))
    ));
}

#[test]
fn durations_have_limits() {
    let limits = EXPIRES_IN;
    for good in [limits.0, limits.1] {
        assert!(accepts(
            |check| _ = check.duration("expires_in", good, limits)
        ));
    }
    for bad in [Duration::ZERO, limits.1 + Duration::from_nanos(1)] {
        assert!(refuses(
            |check| _ = check.duration("expires_in", bad, limits)
        ));
    }
}

#[test]
fn a_stretch_of_time_does_not_end_before_it_begins() {
    let (early, late) = (Timestamp::from_micros(1), Timestamp::from_micros(2));
    assert!(accepts(|check| check.range("", Some(early), Some(early))));
    assert!(accepts(|check| check.range("", Some(late), None)));
    assert!(refuses(|check| check.range(
        "filter.",
        Some(late),
        Some(early)
    )));
}

#[test]
fn what_is_not_asked_for_is_not_checked() {
    let found = violations(|check| {
        check.only(&["name", "policy.hours"], |check| {
            for field in [
                "name",
                "policy.hours[3]",
                "names",
                "policy",
                "policy.ho",
                "url",
            ] {
                check.add(field, "is bad");
            }
        });
    });
    let fields: Vec<_> = found.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["name", "policy.hours[3]"]);
}

#[test]
fn limits_are_as_the_contract_says() {
    const DAY: u64 = 86_400;
    assert_eq!((METADATA_MAX, CHECKPOINT_MAX), (16_384, 4_096));
    let seconds =
        |(shortest, longest): (Duration, Duration)| (shortest.as_secs(), longest.as_secs());
    assert_eq!(seconds(EXPIRES_IN), (1, 90 * DAY));
    assert_eq!(seconds(HEARTBEAT_TIMEOUT), (1, DAY));
    assert_eq!(EXPIRES_IN_DEFAULT.as_secs(), DAY);
}

/// What a check makes of a sound value.
fn value<T>(check: impl FnOnce(&mut Check) -> T) -> T {
    let mut collected = Check::default();
    let value = check(&mut collected);
    collected.finish(value).expect("nothing is wrong")
}

#[test]
fn what_is_sound_is_taken_as_it_is() {
    let uuid = "0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b";
    let read: Uuid = value(|check| check.uuid("uuid", uuid));
    assert_eq!(read.to_string(), uuid);
    let none: Option<Uuid> = value(|check| check.optional_uuid("uuid", ""));
    assert_eq!(none, None);
    let texts = value(|check| {
        [
            check.line("line", "one line", 10),
            check.name("name", "two words", 10),
            check.table("table", "public.users"),
            check.table_pattern("pattern", "public.*"),
            check.remark("remark", "one\ntwo", 10),
            check.paragraph("paragraph", "one\ntwo", 10),
            check.site_url("site_url", "https://b.example"),
        ]
    });
    let expected = [
        "one line",
        "two words",
        "public.users",
        "public.*",
        "one\ntwo",
        "one\ntwo",
        "https://b.example",
    ];
    assert_eq!(texts, expected);
    let checkpoint = Some(vec![7; CHECKPOINT_MAX]);
    assert_eq!(
        value(|check| check.checkpoint(checkpoint.clone())),
        checkpoint
    );
    assert_eq!(value(|check| check.checkpoint(None)), None);
    assert_eq!(
        value(|check| check.request_id("r-1")).as_deref(),
        Some("r-1")
    );
    let report = Report {
        records_created: Some(3),
        bytes_transferred: Some(0),
        ..Report::default()
    };
    assert_eq!(value(|check| check.report(report.clone())), report);
    let metadata = Map::from_iter([("k".to_owned(), json!([1, "two\n", null]))]);
    assert_eq!(value(|check| check.metadata(metadata.clone())), metadata);
    let wait = Duration::from_secs(7);
    assert_eq!(
        value(|check| check.duration("expires_in", wait, EXPIRES_IN)),
        wait
    );
}

#[test]
fn numbers_are_taken_up_to_their_limits() {
    for count in [0, 1, i64::MAX] {
        assert_eq!(
            value(|check| check.count("records_requested", count)),
            count
        );
    }
    assert_eq!(value(|check| check.skip(100_000)), SKIP_MAX);
    let sizes = [1, 1_000, 1_001].map(|size| value(|check| check.page_size("limit", size, 50)));
    assert_eq!(sizes, [1, 1_000, 1_000]);
    let regressed = Report {
        records_failed: Some(-1),
        ..Report::default()
    };
    let found = violations(|check| _ = check.report(regressed.clone()));
    assert_eq!(found[0].field, "progress.records_failed");
    assert!(refuses(
        |check| _ = check.checkpoint(Some(vec![7; CHECKPOINT_MAX + 1]))
    ));
}

#[test]
fn names_and_tables_are_refused_once_with_what_is_wrong_first() {
    let only = |check: fn(&mut Check)| {
        let found = violations(check);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].to_string()
    };
    assert_eq!(
        only(|check| _ = check.name("name", "users ", 10)),
        "name must not begin or end with a space"
    );
    // Too long and with a space at its end.
    assert_eq!(
        only(|check| _ = check.name("name", "users ", 5)),
        "name must be at most 5 characters long"
    );
    // What is wrong with another field does not hide it.
    let two = violations(|check| {
        check.name("name", "users ", 10);
        check.name("title", "users ", 10);
        check.table("table", "a..b");
    });
    assert_eq!(two.len(), 3, "{two:?}");
    let star = "table must not contain *, which only the patterns of a policy have";
    assert_eq!(only(|check| _ = check.table("table", "public.*")), star);
    assert_eq!(
        only(|check| _ = check.table("table", "*.users ")),
        "table must not begin or end with a space"
    );
    assert!(refuses(|check| _ = check.table_pattern("pattern", "a..b")));
    assert!(accepts(|check| _ = check.table("table", "")));
    assert!(accepts(|check| _ = check.table_pattern("pattern", "")));
}

#[test]
fn a_remark_is_short_and_hides_nothing() {
    assert!(refuses(|check| _ = check.remark("reason", "abc", 2)));
    assert!(refuses(|check| _ = check.remark("reason", "a\u{202e}b", 9)));
}

#[test]
fn what_is_required_is_more_than_space() {
    for empty in ["", " ", "\t"] {
        assert!(refuses(|check| check.required("name", empty)), "{empty:?}");
    }
    assert!(accepts(|check| check.required("name", "a")));
}

#[test]
fn an_address_of_a_site_holds_no_secret() {
    for secret in ["https://user@b.example", "https://:pw@b.example"] {
        let found = violations(|check| _ = check.site_url("site_url", secret));
        assert_eq!(found.len(), 1, "{secret}");
        assert!(found[0].description.contains("password"), "{found:?}");
    }
}

#[test]
fn an_ip_address_is_kept_in_its_canonical_form() {
    let kept = ["", "192.0.2.1", "::ffff:192.0.2.1", "2001:DB8:0::1"]
        .map(|text| value(|check| check.ip("requester_ip", text)));
    assert_eq!(kept, ["", "192.0.2.1", "192.0.2.1", "2001:db8::1"]);
    for bad in ["192.0.2", "192.0.2.1/32", "b.example"] {
        assert!(refuses(|check| _ = check.ip("requester_ip", bad)), "{bad}");
    }
}

#[test]
fn metadata_is_looked_at_in_lists_and_objects_alike() {
    let metadata = |value| Map::from_iter([("k".to_owned(), value)]);
    for bad in [json!("a\0"), json!(["a\0"]), json!([{ "b": "a\0" }])] {
        assert!(
            refuses(|check| _ = check.metadata(metadata(bad.clone()))),
            "{bad}"
        );
    }
    let lists = |levels: usize| {
        let mut value = json!([]);
        for _ in 1..levels {
            value = json!([value]);
        }
        metadata(value)
    };
    assert!(accepts(
        |check| _ = check.metadata(lists(METADATA_DEPTH_MAX - 1))
    ));
    assert!(refuses(
        |check| _ = check.metadata(lists(METADATA_DEPTH_MAX))
    ));
}

#[test]
fn a_part_of_a_request_is_named_from_its_prefix_on() {
    let found = violations(|check| {
        let value = check.within("connection.", |check| {
            check.required("name", "");
            7
        });
        assert_eq!(value, 7);
    });
    assert_eq!(found[0].to_string(), "connection.name is required");
}
