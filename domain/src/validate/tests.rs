use serde_json::json;

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
