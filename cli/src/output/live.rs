//! Text on a terminal that is drawn anew in its place.

use std::fmt::Write as _;
use std::io::{self, Write};

use terminal_size::{Height, Width, terminal_size_of};

use super::table::width_of;

/// A terminal that does not say how high it is is taken to be as high as most were.
const USUAL_HEIGHT: usize = 24;

/// What was drawn last, on stderr.
#[derive(Debug, Default)]
pub(crate) struct Live {
    drawn: String,
}

impl Live {
    /// How many lines there is room for.
    pub(crate) fn height() -> usize {
        terminal_size_of(io::stderr()).map_or(USUAL_HEIGHT, |(_, Height(lines))| lines.into())
    }

    /// Draws these lines where the last ones were.
    pub(crate) fn draw(&mut self, text: &str) -> io::Result<()> {
        if text == self.drawn {
            return Ok(());
        }
        let mut drawing = self.back();
        for line in text.lines() {
            // A text cannot fail to be written to.
            _ = writeln!(drawing, "{line}\u{1b}[K");
        }
        drawing.push_str("\u{1b}[J");
        text.clone_into(&mut self.drawn);
        put(&drawing)
    }

    /// Makes room for what is printed.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        if self.drawn.is_empty() {
            return Ok(());
        }
        let drawing = format!("{}\u{1b}[J", self.back());
        self.drawn.clear();
        put(&drawing)
    }

    /// To the beginning of what was drawn. A terminal that was made narrower has wrapped it.
    fn back(&self) -> String {
        let width = terminal_size_of(io::stderr()).map_or(usize::MAX, |(Width(it), _)| it.into());
        let lines = self.drawn.lines().map(width_of);
        let lines: usize = lines.map(|line| line.div_ceil(width.max(1)).max(1)).sum();
        match lines {
            0 => String::new(),
            lines => format!("\r\u{1b}[{lines}A"),
        }
    }
}

/// Writes all at once, so that nothing half drawn is seen.
fn put(drawing: &str) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    stderr.write_all(drawing.as_bytes())?;
    stderr.flush()
}
