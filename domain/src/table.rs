//! Names of tables, and the patterns of policies.
//!
//! A name is a table, or a schema and a table, or more, parted by dots: `secrets`, `public.secrets`. A pattern is a name in
//! which `*` stands for any characters of one part: `public.*`, `*.secrets`, `audit_*`.
//!
//! Nobody but the agent knows which table a name without a schema means, and databases differ in what they make of upper
//! and lower case. Each list is therefore read in the way that lets less through:
//!
//! - An exclusion is compared from the last part backwards, as far as both go, without regard to case or to forms of a
//!   letter that Unicode calls compatible. `secrets` excludes `public.Secrets`; `public.secrets` excludes `secrets`, which
//!   may be that table; `audit.*` excludes every name without a schema.
//! - A table that is allowed, or needs no approval, must be named with as many parts as the pattern has, in the same case.
//!
//! A policy can say otherwise about case, for all of its lists at once.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

use super::status::named;

named! {
    /// Whether upper and lower case differ in the names of tables.
    TableCase {
        /// They do, in every list.
        Sensitive = "SENSITIVE",
        /// They do not, in any list.
        Insensitive = "INSENSITIVE",
    }
}

/// Why a text cannot name the table of a transfer, to be read after the field; `None` when it can.
pub fn fault_in_table(name: &str) -> Option<&'static str> {
    if name.contains('*') {
        return Some("must not contain *, which only the patterns of a policy have");
    }
    fault_in_pattern(name)
}

/// As [`fault_in_table`], for an entry of a policy.
pub fn fault_in_pattern(pattern: &str) -> Option<&'static str> {
    if pattern.contains(['"', '`', '[', ']']) {
        return Some("must be the bare name, without quotation marks or brackets");
    }
    let mut parts = pattern.split('.');
    if parts.clone().any(str::is_empty) {
        return Some("must not have an empty part before, between or after dots");
    }
    parts
        .any(|part| part.trim() != part)
        .then_some("must not have a space beside a dot")
}

/// Whether one of the `patterns` excludes `table`.
pub fn is_excluded(table: &str, patterns: &[String], case: Option<TableCase>) -> bool {
    let form = |text| match case {
        Some(TableCase::Sensitive) => Cow::Borrowed(text),
        Some(TableCase::Insensitive) | None => folded(text),
    };
    let table = form(table);
    patterns.iter().any(|pattern| {
        let pattern = form(pattern);
        let mut pairs = pattern.rsplit('.').zip(table.rsplit('.'));
        pairs.all(|(pattern, part)| fits(pattern, part))
    })
}

/// Whether one of the `patterns` is exactly for `table`.
pub fn is_listed(table: &str, patterns: &[String], case: Option<TableCase>) -> bool {
    let form = |text| match case {
        Some(TableCase::Insensitive) => folded(text),
        Some(TableCase::Sensitive) | None => Cow::Borrowed(text),
    };
    let table = form(table);
    patterns.iter().any(|pattern| {
        let pattern = form(pattern);
        let (mut pattern, mut table) = (pattern.split('.'), table.split('.'));
        loop {
            match (pattern.next(), table.next()) {
                (None, None) => return true,
                (Some(pattern), Some(part)) if fits(pattern, part) => {}
                _ => return false,
            }
        }
    })
}

/// The same text for all that differ in case, or in forms that Unicode calls compatible.
fn folded(text: &str) -> Cow<'_, str> {
    if text
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
    {
        return Cow::Borrowed(text);
    }
    if text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    let normal = ComposingNormalizerBorrowed::new_nfkc();
    // By way of upper case, since some letters have one capital in common, and only that; from lower case, since the capital
    // of ß is two letters and its own is one. Letter by letter, since the lower case of a whole word can depend on what
    // stands before it.
    let lower = |text: &str| {
        text.chars()
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    let lower = lower(&lower(&normal.normalize(text)).to_uppercase());
    Cow::Owned(normal.normalize(&lower).into_owned())
}

/// Whether a part of a name fits a part of a pattern.
fn fits(pattern: &str, part: &str) -> bool {
    let Some((first, others)) = pattern.split_once('*') else {
        return pattern == part;
    };
    let (between, last) = others.rsplit_once('*').unwrap_or(("", others));
    let Some(mut rest) = part
        .strip_prefix(first)
        .and_then(|rest| rest.strip_suffix(last))
    else {
        return false;
    };
    // What stands between two stars is best taken where it comes first.
    between.split('*').all(|stretch| {
        rest.find(stretch)
            .map(|at| rest = &rest[at + stretch.len()..])
            .is_some()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn excluded(table: &str, pattern: &str) -> bool {
        is_excluded(table, &[pattern.to_owned()], None)
    }

    fn listed(table: &str, pattern: &str) -> bool {
        is_listed(table, &[pattern.to_owned()], None)
    }

    #[test]
    fn stars_stay_within_a_part() {
        for (pattern, part) in [
            ("*", ""),
            ("*", "a"),
            ("a*", "a"),
            ("a*", "ab"),
            ("*b", "ab"),
            ("a*c", "abc"),
            ("a*b*c", "axbxc"),
            ("*b*", "abc"),
            ("a**c", "ac"),
            ("a*ba*a", "ababaa"),
            ("*b*b*", "bab"),
        ] {
            assert!(fits(pattern, part), "{pattern} {part}");
        }
        for (pattern, part) in [
            ("", "a"),
            ("a", "b"),
            ("a*a", "a"),
            ("a*c", "ab"),
            ("*b*b", "ab"),
            ("a*bb*b", "abb"),
            ("*b*b*", "ab"),
        ] {
            assert!(!fits(pattern, part), "{pattern} {part}");
        }
        assert!(!listed("a.b", "*") && !listed("a", "*.*") && listed("a.b", "*.*"));
    }

    #[test]
    fn an_exclusion_is_not_passed_by_qualifying_or_by_case() {
        for table in [
            "secrets",
            "SECRETS",
            "public.Secrets",
            "a.b.secrets",
            "ſecrets",
            "ｓecrets",
        ] {
            assert!(excluded(table, "secrets"), "{table}");
            assert!(excluded(table, "Secrets"), "{table}");
            assert!(excluded(table, "*.secrets"), "{table}");
        }
        assert!(
            excluded("secrets", "public.secrets") && excluded("a.public.secrets", "public.secrets")
        );
        assert!(!excluded("other.secrets", "public.secrets"));
        assert!(excluded("anything", "audit.*") && excluded("AUDIT.log", "audit.*"));
        assert!(!excluded("public.anything", "audit.*"));
        assert!(
            excluded("straße", "STRASSE")
                && excluded("STRAẞE", "straße")
                && excluded("caf\u{e9}", "cafe\u{301}")
        );
        let sensitive = Some(TableCase::Sensitive);
        let secrets = ["secrets".to_owned()];
        assert!(!is_excluded("Secrets", &secrets, sensitive));
        assert!(is_excluded("public.secrets", &secrets, sensitive));
    }

    #[test]
    fn every_letter_is_the_same_in_either_case() {
        let mut letters = 0;
        // No letter with a case stands after these.
        for letter in '\0'..='\u{1ffff}' {
            let text = letter.to_string();
            let cases = [text.to_lowercase(), text.to_uppercase()];
            for other in cases.iter().filter(|other| **other != text) {
                assert_eq!(folded(other), folded(&text), "{letter} {other}");
                letters += 1;
            }
        }
        assert!(letters > 2_000, "{letters}");
    }

    #[test]
    fn a_table_is_listed_by_all_of_its_parts() {
        assert!(listed("orders", "orders") && listed("public.orders", "public.*"));
        for (table, pattern) in [
            ("public.orders", "orders"),
            ("orders", "public.orders"),
            ("Orders", "orders"),
            ("a.public.orders", "public.*"),
        ] {
            assert!(!listed(table, pattern), "{table} {pattern}");
        }
        let orders = ["Public.Orders".to_owned()];
        assert!(is_listed(
            "public.ORDERS",
            &orders,
            Some(TableCase::Insensitive)
        ));
    }

    #[test]
    fn names_are_bare_and_whole() {
        for good in ["a", "a.b", "a.b.c", "two words", "a-b", "größe", "o'brien"] {
            assert_eq!(fault_in_table(good), None, "{good}");
        }
        for bad in [
            ".", "a.", ".a", "a..b", "a .b", "a. b", "\"a\"", "[a]", "`a`", "a.*",
        ] {
            assert!(fault_in_table(bad).is_some(), "{bad}");
        }
        assert_eq!(fault_in_pattern("a.*"), None);
    }

    proptest! {
        #[test]
        fn a_name_is_excluded_by_itself_however_it_is_written(name in "\\PC{1,8}(\\.\\PC{1,8}){0,2}") {
            let lower = name.to_lowercase();
            for pattern in [&name, &lower, &name.to_uppercase()] {
                let patterns = [pattern.replace('*', "")];
                let table = name.replace('*', "");
                prop_assert!(is_excluded(&table, &patterns, None), "{table:?} {patterns:?}");
                let qualified = format!("x.{table}");
                prop_assert!(is_excluded(&qualified, &patterns, None), "{qualified:?}");
            }
            prop_assert!(is_listed(&name, std::slice::from_ref(&name), None));
        }
    }
}
