//! Where log lines end: stderr, and the count of those that it did not take.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use tracing_appender::non_blocking::ErrorCounter;
use tracing_subscriber::fmt::MakeWriter;

use super::Look;

/// Least time between two words on lines that were dropped, while more are.
const QUIET: Duration = Duration::from_secs(5);

/// What is known of lines that never reached the sink; set once the queue before it is made.
pub(super) type Dropped = Arc<OnceLock<ErrorCounter>>;

/// Writes lines to `target`. Those that it does not take are counted, and told of once it takes lines again.
pub(super) struct Sink<W> {
    target: W,
    look: Look,
    /// Dropped because too many were waiting.
    crowded_out: Dropped,
    /// Not taken by the target.
    failed: usize,
    told: usize,
    told_at: Option<Instant>,
    /// A line was cut off in its midst.
    is_cut: bool,
}

impl<W: Write> Sink<W> {
    pub(super) fn new(target: W, look: Look) -> (Self, Dropped) {
        let crowded_out = Dropped::default();
        let sink = Self {
            target,
            look,
            crowded_out: Arc::clone(&crowded_out),
            failed: 0,
            told: 0,
            told_at: None,
            is_cut: false,
        };
        (sink, crowded_out)
    }

    fn put(&mut self, mut line: &[u8]) -> io::Result<()> {
        if self.is_cut {
            self.target.write_all(b"\n")?;
            self.is_cut = false;
        }
        while !line.is_empty() {
            match self.target.write(line) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    line = &line[count..];
                    self.is_cut = !line.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says how many lines were dropped since it said so before.
    fn tell(&mut self) {
        let crowded_out = self
            .crowded_out
            .get()
            .map_or(0, ErrorCounter::dropped_lines);
        let dropped = crowded_out.saturating_add(self.failed);
        if dropped == self.told {
            return;
        }
        let line = line(dropped - self.told, self.look);
        if self.put(&line).is_ok() {
            self.told = dropped;
            self.told_at = Some(Instant::now());
        }
    }
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line)?;
        Ok(line.len())
    }

    /// Takes one line; never an error, which nobody could do anything about.
    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        if self.put(line).is_err() {
            self.failed = self.failed.saturating_add(1);
        } else if self.told_at.is_none_or(|told| told.elapsed() > QUIET) {
            self.tell();
        }
        Ok(())
    }

    /// No more lines wait just now.
    fn flush(&mut self) -> io::Result<()> {
        self.tell();
        Ok(())
    }
}

/// The line that says it, in the form of all others.
fn line(lines_dropped: usize, look: Look) -> Vec<u8> {
    let page = Page::default();
    let builder = tracing_subscriber::fmt()
        .log_internal_errors(false)
        .with_writer(page.clone());
    let say = || tracing::warn!(lines_dropped, "log lines were dropped: nobody took them");
    match look {
        Look::Coloured | Look::Plain => {
            let builder = builder.with_target(false).with_ansi(look == Look::Coloured);
            tracing::subscriber::with_default(builder.finish(), say);
        }
        Look::Json => {
            let builder = builder.json().flatten_event(true);
            tracing::subscriber::with_default(builder.finish(), say);
        }
    }
    let mut written = page.0.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut *written)
}

/// Keeps what is written.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Page {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then none until there is room again.
    struct Disk {
        page: Page,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let count = text.len().min(self.room);
            self.room -= count;
            self.page.write(&text[..count])
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_were_not_taken_are_counted_and_told_of_once() {
        let page = Page::default();
        let disk = Disk {
            page: page.clone(),
            room: 8,
        };
        let (mut sink, _) = Sink::new(disk, Look::Json);
        for line in ["first\n", "second\n", "third\n"] {
            sink.write_all(line.as_bytes()).expect("never an error");
        }
        sink.flush().expect("never an error");
        sink.target.room = 10_000;
        for line in ["fourth\n", "fifth\n"] {
            sink.write_all(line.as_bytes()).expect("never an error");
            sink.flush().expect("never an error");
        }
        let written = page.0.lock().expect("no panic").clone();
        let written = String::from_utf8(written).expect("text");
        let lines: Vec<&str> = written.lines().collect();
        assert_eq!(lines[..3], ["first", "se", "fourth"], "{written}");
        assert!(lines[3].contains(r#""lines_dropped":2"#), "{written}");
        assert_eq!(lines[4..], ["fifth"], "{written}");
    }
}
