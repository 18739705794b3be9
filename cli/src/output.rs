//! Where results go: data on stdout in the format asked for, everything else on stderr. Knows no command.

use std::io::{self, IsTerminal, Write};
use std::pin::pin;

use chrono::{DateTime, Utc};
use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};
use futures::{Stream, StreamExt};
use serde::Serialize;

use crate::failure::Failure;
use crate::text::{self, escape, is_disturbing};

/// The form in which data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: an array for a list, an object for one thing, an object a line for a watch.
    Json,
    /// For scripts: the uuid of each thing on a line of its own. What has none is printed as for people.
    Uuid,
}

/// A column of a table of `T`: its title and how its cells are made, given the present time.
pub(crate) struct Column<T> {
    title: &'static str,
    alignment: CellAlignment,
    cell: fn(&T, DateTime<Utc>) -> String,
}

impl<T> Column<T> {
    /// A column of words.
    pub(crate) const fn text(title: &'static str, cell: fn(&T, DateTime<Utc>) -> String) -> Self {
        Self {
            title,
            alignment: CellAlignment::Left,
            cell,
        }
    }

    /// A column of numbers.
    pub(crate) const fn number(title: &'static str, cell: fn(&T, DateTime<Utc>) -> String) -> Self {
        Self {
            title,
            alignment: CellAlignment::Right,
            cell,
        }
    }
}

/// The data that a command prints.
pub(crate) struct Output {
    format: Format,
    out: Box<dyn Write + Send>,
}

impl Output {
    /// Prints to stdout.
    pub(crate) fn stdout(format: Format) -> Self {
        Self {
            format,
            out: Box::new(io::stdout()),
        }
    }

    /// The form asked for.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Prints one line of text at once.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.out, "{}", escape(text))?;
        Ok(self.out.flush()?)
    }

    /// Prints one thing as a line of JSON at once.
    pub(crate) fn json_line(&mut self, thing: &impl Serialize) -> Result<(), Failure> {
        writeln!(self.out, "{}", disarm(&serde_json::to_string(thing)?))?;
        Ok(self.out.flush()?)
    }

    /// Prints one thing: as JSON, or in the words given.
    pub(crate) fn thing(
        &mut self,
        thing: &impl Serialize,
        words: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.object(thing),
            Format::Uuid => match uuid(thing)? {
                Some(uuid) => self.line(&uuid),
                None => self.line(&words()),
            },
            Format::Table => self.line(&words()),
        }
    }

    /// Prints one thing: as JSON, or as a list of its named values.
    pub(crate) fn details(
        &mut self,
        thing: &impl Serialize,
        values: impl FnOnce() -> Vec<(&'static str, String)>,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => return self.object(thing),
            Format::Uuid => {
                if let Some(uuid) = uuid(thing)? {
                    return self.line(&uuid);
                }
            }
            Format::Table => {}
        }
        let mut table = plain_table();
        for (name, value) in values() {
            table.add_row([name, &escape(&value)]);
        }
        self.table(&mut table)
    }

    /// Prints a stream of things up to a limit (0: all of them), as a JSON array or as a table.
    ///
    /// # Errors
    /// The first error of the stream; what came before it is printed all the same.
    pub(crate) async fn list<T: Serialize>(
        &mut self,
        things: impl Stream<Item = Result<T, tidegate_client::Error>>,
        limit: usize,
        columns: &[Column<T>],
        none: &str,
    ) -> Result<(), Failure> {
        let mut things = pin!(things);
        let mut printed = 0;
        let mut table = headed_table(columns);
        let now = text::now();
        while let Some(thing) = things.next().await {
            let thing = match thing {
                Ok(thing) => thing,
                Err(error) => {
                    if !table.is_empty() {
                        self.table(&mut table)?;
                    }
                    return Err(error.into());
                }
            };
            if limit > 0 && printed == limit {
                note("there are more; --limit 0 lists all");
                break;
            }
            let bare = if self.format == Format::Uuid {
                uuid(&thing)?
            } else {
                None
            };
            match (self.format, bare) {
                (Format::Json, _) => self.element(&thing, printed == 0)?,
                (_, Some(uuid)) => self.line(&uuid)?,
                (Format::Table | Format::Uuid, None) => {
                    let cells = columns
                        .iter()
                        .map(|column| escape(&(column.cell)(&thing, now)));
                    table.add_row(cells);
                }
            }
            printed += 1;
        }
        match self.format {
            Format::Json => writeln!(self.out, "{}", if printed == 0 { "[]" } else { "\n]" })?,
            Format::Table | Format::Uuid if printed == 0 => note(none),
            Format::Table | Format::Uuid if !table.is_empty() => self.table(&mut table)?,
            Format::Table | Format::Uuid => {}
        }
        Ok(self.out.flush()?)
    }

    fn object(&mut self, thing: &impl Serialize) -> Result<(), Failure> {
        writeln!(
            self.out,
            "{}",
            disarm(&serde_json::to_string_pretty(thing)?)
        )?;
        Ok(self.out.flush()?)
    }

    /// One element of an array, on a line of its own; the array is not held in memory.
    fn element(&mut self, thing: &impl Serialize, first: bool) -> Result<(), Failure> {
        let before = if first { "[" } else { "," };
        Ok(write!(
            self.out,
            "{before}\n{}",
            disarm(&serde_json::to_string(thing)?)
        )?)
    }

    fn table(&mut self, table: &mut Table) -> Result<(), Failure> {
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        writeln!(self.out, "{}", table.trim_fmt())?;
        Ok(self.out.flush()?)
    }
}

/// Whether a person sees both what is printed and what is drawn.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// Says something on stderr. That nobody may be there to read it is no reason to fail.
pub(crate) fn note(text: &str) {
    _ = writeln!(io::stderr(), "{text}");
}

/// The uuid of a thing that has one.
fn uuid(thing: &impl Serialize) -> Result<Option<String>, Failure> {
    let value = serde_json::to_value(thing)?;
    Ok(value
        .get("uuid")
        .and_then(|uuid| uuid.as_str())
        .map(str::to_owned))
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn headed_table<T>(columns: &[Column<T>]) -> Table {
    let mut table = plain_table();
    table.set_header(columns.iter().map(|column| column.title));
    for (index, column) in columns.iter().enumerate() {
        if let Some(drawn) = table.column_mut(index) {
            drawn.set_cell_alignment(column.alignment);
        }
    }
    table
}

/// Escapes in JSON what it may hold literally but a terminal should not get. Such characters occur only in strings.
fn disarm(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        // All of them are below U+10000, so one escape is enough.
        if is_disturbing(c) && c != '\n' {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::stream;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    async fn listed(format: Format, items: &[&'static str], limit: usize) -> String {
        let buffer = Buffer::default();
        let mut out = Output {
            format,
            out: Box::new(buffer.clone()),
        };
        let columns = [
            Column::text("NAME", |name: &&str, _| (*name).to_owned()),
            Column::number("LENGTH", |name: &&str, _| name.len().to_string()),
        ];
        out.list(
            stream::iter(items.iter().copied().map(Ok)),
            limit,
            &columns,
            "none",
        )
        .await
        .unwrap();
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn scripts_get_the_bare_uuid() {
        let buffer = Buffer::default();
        let mut out = Output {
            format: Format::Uuid,
            out: Box::new(buffer.clone()),
        };
        let thing = serde_json::json!({ "uuid": "0190b7a2", "name": "x" });
        out.details(&thing, || vec![("name", "x".to_owned())])
            .unwrap();
        out.thing(&serde_json::json!({ "count": 3 }), || "three".to_owned())
            .unwrap();
        let printed = buffer.0.lock().unwrap().clone();
        assert_eq!(String::from_utf8(printed).unwrap(), "0190b7a2\nthree\n");
    }

    #[tokio::test]
    async fn a_table_is_aligned_and_harmless() {
        let table = listed(Format::Table, &["a\u{1b}[1A", "longer than that"], 0).await;
        assert_eq!(
            table,
            "NAME              LENGTH\na\\u{1b}[1A             5\nlonger than that      16\n"
        );
        assert_eq!(listed(Format::Table, &[], 0).await, "");
    }

    #[tokio::test]
    async fn json_lists_are_arrays_of_any_length() {
        assert_eq!(listed(Format::Json, &[], 0).await, "[]\n");
        for items in [&["a"][..], &["a", "b\u{9b}"], &["a", "b\u{9b}", "c"]] {
            let text = listed(Format::Json, items, 2).await;
            assert!(!text.contains('\u{9b}'));
            let array: Vec<String> = serde_json::from_str(&text).unwrap();
            assert_eq!(array, items[..items.len().min(2)]);
        }
    }
}
