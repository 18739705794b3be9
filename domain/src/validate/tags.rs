//! Names with values.

use std::collections::BTreeMap;

use super::{Check, NAME_MAX};

/// Most names of one map.
pub const TAGS_MAX: usize = 16;
/// Longest of these names.
pub const TAG_MAX: usize = 64;

impl Check {
    /// A few names, each with a value that may be empty.
    pub fn tags(
        &mut self,
        field: &str,
        tags: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        if tags.len() > TAGS_MAX {
            self.add(field, format!("must have at most {TAGS_MAX} names"));
            return BTreeMap::new();
        }
        for (name, value) in &tags {
            if name.is_empty() {
                self.add(field, "must not have an empty name");
            }
            // A name may be anything, so the field is told without it.
            self.name(field, name, TAG_MAX);
            self.name(field, value, NAME_MAX);
        }
        tags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(tags: &[(&str, &str)]) -> bool {
        let mut check = Check::default();
        let tags = tags
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        check.tags("labels", tags.collect());
        check.finish(()).is_err()
    }

    #[test]
    fn names_and_values_have_limits() {
        assert!(!refused(&[]) && !refused(&[("postgres", "17.2"), ("gpu", "")]));
        let longest = ("n".repeat(TAG_MAX), "v".repeat(NAME_MAX));
        assert!(!refused(&[(&longest.0, &longest.1)]));
        assert!(refused(&[("", "v")]), "no name");
        assert!(refused(&[(&"n".repeat(TAG_MAX + 1), "")]));
        assert!(refused(&[("n", &"v".repeat(NAME_MAX + 1))]));
        assert!(refused(&[("a\nb", "")]) && refused(&[("a", "\u{7}")]));
        let names: Vec<_> = (0..=TAGS_MAX).map(|number| number.to_string()).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
        assert!(refused(&many) && !refused(&many[1..]));
    }
}
