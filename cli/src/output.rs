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
use crate::text::{cut_end, escape};

mod live;
mod look;
mod machine;
mod table;
#[cfg(test)]
mod tests;

use self::live::Live;
pub(crate) use self::{
    look::{Look, colour, painted},
    machine::{Machine, Template},
    table::{Column, Grid, lay_out},
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
    /// For programs that read line by line: an object a line.
    Jsonl,
    /// For programs and people: a sequence for a list, a document each for a watch.
    Yaml,
    /// For scripts: the uuid of each thing on a line of its own. What has none is printed as for people.
    #[value(alias = "uuid")]
    Name,
}

/// Who reads it.
enum Reader {
    Person { wide: bool },
    Script,
    Program(Machine),
}

/// The data that a command prints.
pub(crate) struct Output {
    reader: Reader,
    /// The columns of the terminal; none where it is none.
    width: Option<usize>,
    /// How many of a series were printed; none when what is printed is no part of one.
    series: Option<usize>,
    /// What is drawn below what was printed.
    live: Live,
    out: Box<dyn Write + Send>,
}

impl Output {
    /// Prints to stdout, in a form or by a template.
    pub(crate) fn stdout(format: Format, template: Option<Template>) -> Self {
        let stdout = io::stdout();
        let width = stdout.is_terminal().then(|| {
            terminal_size_of(&stdout).map_or(USUAL_WIDTH, |(Width(width), _)| width.into())
        });
        let reader = match (format, template) {
            (_, Some(template)) => Reader::Program(Machine::Template(Box::new(template))),
            (Format::Table, None) => Reader::Person { wide: false },
            (Format::Wide, None) => Reader::Person { wide: true },
            (Format::Json, None) => Reader::Program(Machine::Json),
            (Format::Jsonl, None) => Reader::Program(Machine::Jsonl),
            (Format::Yaml, None) => Reader::Program(Machine::Yaml),
            (Format::Name, None) => Reader::Script,
        };
        Self {
            reader,
            width: width.filter(|width| *width > 0),
            series: None,
            live: Live::default(),
            out: Box::new(AutoStream::auto(stdout)),
        }
    }

    /// Whether a program reads it, which wants every change.
    pub(crate) fn is_for_programs(&self) -> bool {
        matches!(self.reader, Reader::Program(_))
    }

    /// Whether a person sees both what is printed and what is drawn on stderr.
    pub(crate) fn can_draw(&self) -> bool {
        self.limit().is_some() && io::stderr().is_terminal() && !is_dumb()
    }

    /// Draws things as a table in the place of the one before, with a line below it. What there is no room for is counted.
    pub(crate) fn draw<T>(
        &mut self,
        things: &[T],
        columns: &[Column<T>],
        line: &str,
    ) -> Result<(), Failure> {
        let limit = self.limit();
        // Titles, two lines at the end, and where the cursor stands.
        let room = Live::height().saturating_sub(4).max(1);
        let shown = things.get(..room).unwrap_or(things);
        let mut text = String::new();
        if !shown.is_empty() {
            text = table::table(shown, columns, false, limit, self.look());
        }
        let more = things.len() - shown.len();
        if more > 0 {
            text.push_str(&format!("and {more} more\n"));
        }
        if !line.is_empty() {
            let line = escape(line);
            text.push_str(&limit.map_or(line.clone(), |limit| cut_end(&line, limit)));
        }
        if !has_colour(&io::stderr()) {
            text = anstream::adapter::strip_str(&text).to_string();
        }
        Ok(self.live.draw(&text)?)
    }

    /// Takes away what was drawn, so that something can be printed.
    pub(crate) fn undraw(&mut self) -> Result<(), Failure> {
        Ok(self.live.clear()?)
    }

    /// How single values are to be shown.
    pub(crate) fn look(&self) -> Look {
        Look::new(self.is_short())
    }

    /// Whether a person at a terminal reads it, who did not ask for more.
    pub(crate) fn is_short(&self) -> bool {
        self.limit().is_some()
    }

    /// How wide a line may be.
    fn limit(&self) -> Option<usize> {
        let fits = matches!(self.reader, Reader::Person { wide: false });
        self.width.filter(|_| fits)
    }

    /// Prints one line of text at once.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.out, "{}", escape(text))?;
        Ok(self.out.flush()?)
    }

    /// Prints one thing as a line of JSON at once, whatever form was asked for.
    pub(crate) fn json_line(&mut self, thing: &impl Serialize) -> Result<(), Failure> {
        Machine::Jsonl.news(&mut self.out, thing)?;
        Ok(self.out.flush()?)
    }

    /// Prints one of many that go on, at once: for people as a line no longer than the terminal is wide, with the status in
    /// it coloured.
    pub(crate) fn news(
        &mut self,
        thing: &impl Serialize,
        line: impl FnOnce(&Look) -> String,
        status: &str,
    ) -> Result<(), Failure> {
        if let Reader::Program(machine) = &self.reader {
            machine.news(&mut self.out, thing)?;
            return Ok(self.out.flush()?);
        }
        let mut text = escape(&line(&self.look()));
        if let Some(limit) = self.limit() {
            text = cut_end(&text, limit);
        }
        let coloured = painted(status, colour(status));
        writeln!(self.out, "{}", text.replacen(status, &coloured, 1))?;
        Ok(self.out.flush()?)
    }

    /// From here on each thing is one of several.
    pub(crate) fn begin_series(&mut self) {
        self.series = Some(0);
    }

    /// There are no more of them.
    pub(crate) fn end_series(&mut self) -> Result<(), Failure> {
        let printed = self.series.take().unwrap_or(0);
        if let Reader::Program(machine) = &self.reader {
            machine.end(&mut self.out, printed == 0)?;
        }
        Ok(self.out.flush()?)
    }

    /// Prints one thing: for people in the words given.
    pub(crate) fn thing(
        &mut self,
        thing: &impl Serialize,
        words: impl FnOnce(&Look) -> String,
    ) -> Result<(), Failure> {
        if self.is_printed(thing)? {
            return Ok(());
        }
        self.line(&words(&self.look()))
    }

    /// Prints one thing: for people as a list of its named values.
    pub(crate) fn details(
        &mut self,
        thing: &impl Serialize,
        values: impl FnOnce(&Look) -> Vec<(&'static str, String)>,
    ) -> Result<(), Failure> {
        if self.is_printed(thing)? {
            return Ok(());
        }
        let values = values(&self.look());
        if let Some(printed) = &mut self.series {
            *printed += 1;
            if *printed > 1 {
                writeln!(self.out)?;
            }
        }
        write!(self.out, "{}", table::details(&values, self.limit()))?;
        Ok(self.out.flush()?)
    }

    /// Prints one thing for whoever does not want words; whether that was so.
    fn is_printed(&mut self, thing: &impl Serialize) -> Result<bool, Failure> {
        match &self.reader {
            Reader::Person { .. } => Ok(false),
            Reader::Script => match name(thing)? {
                Some(name) => self.line(&name).map(|()| true),
                None => Ok(false),
            },
            Reader::Program(machine) => {
                match &mut self.series {
                    None => machine.thing(&mut self.out, thing)?,
                    Some(printed) => {
                        machine.element(&mut self.out, thing, *printed == 0)?;
                        *printed += 1;
                    }
                }
                self.out.flush()?;
                Ok(true)
            }
        }
    }

    /// Prints a stream of things up to a limit (0: all of them).
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
            if let Some(row) = self.element(thing, printed == 0)? {
                rows.push(row);
            }
            printed += 1;
        }
        let wide = matches!(self.reader, Reader::Person { wide: true });
        if !rows.is_empty() {
            let table = table::table(&rows, columns, wide, self.limit(), self.look());
            write!(self.out, "{table}")?;
        }
        if let Some(error) = failed {
            self.out.flush()?;
            return Err(error.into());
        }
        match &self.reader {
            Reader::Program(machine) => machine.end(&mut self.out, printed == 0)?,
            Reader::Person { .. } | Reader::Script if printed == 0 => note(none),
            Reader::Person { .. } | Reader::Script => {}
        }
        Ok(self.out.flush()?)
    }

    /// Prints one of a list at once, and gives back what has to wait for the others to become a table.
    fn element<T: Serialize>(&mut self, thing: T, is_first: bool) -> Result<Option<T>, Failure> {
        match &self.reader {
            Reader::Person { .. } => Ok(Some(thing)),
            Reader::Script => match name(&thing)? {
                Some(name) => self.line(&name).map(|()| None),
                None => Ok(Some(thing)),
            },
            Reader::Program(machine) => {
                machine.element(&mut self.out, &thing, is_first)?;
                Ok(None)
            }
        }
    }
}

/// Says when colours are used, from here on.
pub(crate) fn use_colour(when: ColorChoice) {
    match when {
        // Whatever else a build machine says of itself.
        ColorChoice::Auto if is_dumb() => anstream::ColorChoice::Never,
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

/// Whether the terminal can do nothing but go on.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Whether colours are shown there.
pub(crate) fn has_colour(stream: &impl anstream::stream::RawStream) -> bool {
    AutoStream::choice(stream) != anstream::ColorChoice::Never
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

/// What a script calls a thing: its uuid, also when it was just deleted.
fn name(thing: &impl Serialize) -> Result<Option<String>, Failure> {
    let value = serde_json::to_value(thing)?;
    let uuid = value.get("uuid").or_else(|| value.get("deletedUuid"));
    Ok(uuid.and_then(|uuid| uuid.as_str()).map(str::to_owned))
}
