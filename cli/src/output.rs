//! Where results go: data on stdout in the format asked for, everything else on stderr. Knows no command.

use std::io::{self, IsTerminal, Write};
use std::pin::pin;

use anstream::AutoStream;
use anstyle::{AnsiColor, Effects, Style};
use clap::{ColorChoice, ValueEnum};
use futures::{Stream, StreamExt};
use serde::Serialize;
use terminal_size::{Width, terminal_size_of};

use crate::failure::Failure;
use crate::text::{cut_end, escape, is_disturbing};

mod look;
mod table;

pub(crate) use self::{
    look::{Look, colour, painted},
    table::Column,
};

/// A terminal that does not say how wide it is is taken to be as wide as most are.
const USUAL_WIDTH: usize = 80;

/// The form in which data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: on a terminal it fits, with short ids.
    Table,
    /// For people who want everything: all columns, and all ids and names in full.
    Wide,
    /// For programs: an array for a list, an object for one thing, an object a line for a watch.
    Json,
    /// For scripts: the uuid of each thing on a line of its own. What has none is printed as for people.
    Uuid,
}

/// The data that a command prints.
pub(crate) struct Output {
    format: Format,
    /// The columns of the terminal; none where it is none.
    width: Option<usize>,
    out: Box<dyn Write + Send>,
}

impl Output {
    /// Prints to stdout.
    pub(crate) fn stdout(format: Format) -> Self {
        let stdout = io::stdout();
        let width = stdout.is_terminal().then(|| {
            terminal_size_of(&stdout).map_or(USUAL_WIDTH, |(Width(width), _)| width.into())
        });
        Self {
            format,
            width: width.filter(|width| *width > 0),
            out: Box::new(AutoStream::auto(stdout)),
        }
    }

    /// The form asked for.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// How single values are to be shown.
    pub(crate) fn look(&self) -> Look {
        Look::new(self.limit().is_some())
    }

    /// How wide a line may be.
    fn limit(&self) -> Option<usize> {
        self.width.filter(|_| self.format == Format::Table)
    }

    /// Prints one line of text at once.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.out, "{}", escape(text))?;
        Ok(self.out.flush()?)
    }

    /// Prints one line of what goes on at once, no longer than the terminal is wide, with the status in it coloured.
    pub(crate) fn news(&mut self, text: &str, status: &str) -> Result<(), Failure> {
        let mut text = escape(text);
        if let Some(limit) = self.limit() {
            text = cut_end(&text, limit);
        }
        let status = escape(status);
        let coloured = painted(&status, colour(&status));
        writeln!(self.out, "{}", text.replacen(&status, &coloured, 1))?;
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
        words: impl FnOnce(&Look) -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.object(thing),
            Format::Uuid => match uuid(thing)? {
                Some(uuid) => self.line(&uuid),
                None => self.line(&words(&self.look())),
            },
            Format::Table | Format::Wide => self.line(&words(&self.look())),
        }
    }

    /// Prints one thing: as JSON, or as a list of its named values.
    pub(crate) fn details(
        &mut self,
        thing: &impl Serialize,
        values: impl FnOnce(&Look) -> Vec<(&'static str, String)>,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => return self.object(thing),
            Format::Uuid => {
                if let Some(uuid) = uuid(thing)? {
                    return self.line(&uuid);
                }
            }
            Format::Table | Format::Wide => {}
        }
        let values = values(&self.look());
        write!(self.out, "{}", table::details(&values, self.limit()))?;
        Ok(self.out.flush()?)
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
        let mut rows = Vec::new();
        let mut failed = None;
        while let Some(thing) = things.next().await {
            let thing = match thing {
                Ok(thing) => thing,
                Err(error) => {
                    failed = Some(error);
                    break;
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
                (Format::Table | Format::Wide | Format::Uuid, None) => rows.push(thing),
            }
            printed += 1;
        }
        if !rows.is_empty() {
            let wide = self.format == Format::Wide;
            let table = table::table(&rows, columns, wide, self.limit(), self.look());
            write!(self.out, "{table}")?;
        }
        if let Some(error) = failed {
            self.out.flush()?;
            return Err(error.into());
        }
        match self.format {
            Format::Json => writeln!(self.out, "{}", if printed == 0 { "[]" } else { "\n]" })?,
            Format::Table | Format::Wide | Format::Uuid if printed == 0 => note(none),
            Format::Table | Format::Wide | Format::Uuid => {}
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
}

/// Says when colours are used, from here on.
pub(crate) fn use_colour(when: ColorChoice) {
    match when {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

/// Whether a person sees both what is printed and what is drawn.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// Says something on stderr. That nobody may be there to read it is no reason to fail.
pub(crate) fn note(text: &str) {
    _ = writeln!(anstream::stderr(), "{text}");
}

/// Says on stderr what went wrong.
pub(crate) fn complain(text: &str) {
    let error = painted("error:", ERROR);
    note(&format!("{error} {text}"));
}

const ERROR: Style = AnsiColor::Red.on_default().effects(Effects::BOLD);

/// The uuid of a thing that has one.
fn uuid(thing: &impl Serialize) -> Result<Option<String>, Failure> {
    let value = serde_json::to_value(thing)?;
    Ok(value
        .get("uuid")
        .and_then(|uuid| uuid.as_str())
        .map(str::to_owned))
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
            width: None,
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
            width: None,
            out: Box::new(buffer.clone()),
        };
        let thing = serde_json::json!({ "uuid": "0190b7a2", "name": "x" });
        out.details(&thing, |_| vec![("name", "x".to_owned())])
            .unwrap();
        out.thing(&serde_json::json!({ "count": 3 }), |_| "three".to_owned())
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
