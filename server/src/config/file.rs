//! A file of settings: TOML whose keys are the names of the flags.

use std::{fs, path::Path};

use toml::de::{DeTable, DeValue};

/// A key of the file with what it is set to.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where it stands, from 1.
    pub(super) line: usize,
    pub(super) value: Value,
}

/// What a key is set to, as text that a flag could have.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(String),
    Switch(bool),
    List(Vec<String>),
    /// Nothing that a setting can be.
    Other,
}

/// The entries of a file in its order.
///
/// # Errors
/// What is wrong with it as a whole, each with its place.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, Vec<String>> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| vec![format!("{name}: {error}")])?;
    let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let (table, errors) = DeTable::parse_recoverable(&text);
    if !errors.is_empty() {
        let told = errors.iter().map(|error| {
            let at = error.span().map_or(0, |span| span.start);
            format!("{name}:{}: {}", line(at), error.message())
        });
        return Err(told.collect());
    }
    let mut entries: Vec<_> = table
        .get_ref()
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            line: line(key.span().start),
            value: Value::of(value.get_ref()),
        })
        .collect();
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

impl Value {
    fn of(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Boolean(is_so) => Self::Switch(*is_so),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Self::Other, |number| Self::Number(number.to_string())),
            DeValue::Array(items) => items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .map_or(Self::Other, Self::List),
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Entry>, Vec<String>> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.toml");
        fs::write(&path, text).expect("written");
        super::read(&path)
    }

    #[test]
    fn values_are_what_flags_could_have() {
        let text =
            "a = 'x'\n\n# words\nb = 0x1F\nc = true\nd = [\"y\", \"z\"]\ne = [1]\nf = 1.5\n[g]\n";
        let entries = read(text).expect("it is TOML");
        let found: Vec<_> = entries
            .iter()
            .map(|it| (it.key.as_str(), it.line, &it.value))
            .collect();
        let list = Value::List(vec!["y".to_owned(), "z".to_owned()]);
        assert_eq!(
            found,
            [
                ("a", 1, &Value::Text("x".to_owned())),
                ("b", 4, &Value::Number("31".to_owned())),
                ("c", 5, &Value::Switch(true)),
                ("d", 6, &list),
                ("e", 7, &Value::Other),
                ("f", 8, &Value::Other),
                ("g", 9, &Value::Other),
            ]
        );
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        let told = read("a = 1\nb = \na = 2\n").expect_err("no TOML");
        assert!(
            told.iter().any(|line| line.contains("x.toml:2: ")),
            "{told:?}"
        );
        assert!(
            told.iter().any(|line| line.contains("x.toml:3: ")),
            "{told:?}"
        );
        let told = super::read(Path::new("/nowhere/x.toml")).expect_err("no file");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("/nowhere/x.toml: "), "{told:?}");
    }
}
