//! Characters that nobody sees, or that make a text look like another one.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

/// Why a text cannot be a name, to be read after the field; `None` when it can.
///
/// Names are told apart by people and compared by policies, so that two that look alike must be one. What has no shape of
/// its own is refused: control and format characters, what Unicode lets a font leave out
/// (`Default_Ignorable_Code_Point`), ends of lines, and every space but the plain one, which may not stand at an end.
pub fn fault_in_name(text: &str) -> Option<String> {
    if let Some(fault) = fault(text, |c| is_unseen(c) || (c.is_whitespace() && c != ' ')) {
        return Some(fault);
    }
    (text.trim() != text).then(|| "must not begin or end with a space".to_owned())
}

/// Why a text cannot be a remark, to be read after the field; `None` when it can.
///
/// A remark is read and never compared. Lines may break in it, and joiners and selectors of variants are part of how
/// people write; the rest of what is not seen could hide a part of it or turn it round.
pub fn fault_in_remark(text: &str) -> Option<String> {
    fault(text, |c| {
        is_unseen(c)
            && !is_break(c)
            && !matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
    })
}

/// Whether a character breaks lines or moves to a stop, as paragraphs do.
pub const fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\t')
}

fn fault(text: &str, is_bad: impl Fn(char) -> bool) -> Option<String> {
    // Most text is this, and needs no tables.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    let bad = text.chars().find(|c| is_bad(*c))?;
    Some(if bad.is_control() {
        "must not contain NUL or control characters".to_owned()
    } else {
        format!(
            "must not contain U+{:04X}, which cannot be seen or told from a plain space",
            u32::from(bad)
        )
    })
}

fn is_unseen(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_part_that_is_not_seen() {
        for good in [
            "",
            "users",
            "two words",
            "Größe",
            "表",
            "قائمة",
            "o'brien",
            "❤",
        ] {
            assert_eq!(fault_in_name(good), None, "{good}");
        }
        for bad in [
            "us\u{200b}ers",
            "us\u{200d}ers",
            "us\u{ad}ers",
            "\u{feff}users",
            "users\u{e0041}",
            "users\u{fe0f}",
            "users\u{e0100}",
            "users\u{3164}",
            "us\u{202e}ers",
            "us\u{2028}ers",
            "us\ners",
            "users\u{a0}x",
            "\u{7f}",
        ] {
            assert!(fault_in_name(bad).is_some(), "{bad:?}");
        }
        for bad in [" users", "users ", " "] {
            let fault = fault_in_name(bad).expect("it has a space at an end");
            assert_eq!(fault, "must not begin or end with a space");
        }
        let fault = fault_in_name("us\u{200b}ers").expect("it is not seen");
        assert!(fault.contains("U+200B"), "{fault}");
    }

    #[test]
    fn a_remark_may_break_lines_and_join_letters() {
        for good in ["two\r\n\tlines", "می‌شود", "❤\u{fe0f}", "a\u{a0}b", " ends "] {
            assert_eq!(fault_in_remark(good), None, "{good}");
        }
        for bad in [
            "\u{0}",
            "\u{85}",
            "\u{202e}",
            "\u{2066}",
            "\u{e0041}",
            "\u{feff}",
            "\u{200b}",
        ] {
            assert!(fault_in_remark(bad).is_some(), "{bad:?}");
        }
    }
}
