//! The lines of an export, each with its number, and none without a bound.

use std::io::{self, BufRead, Read as _};

use crate::error::ImportError;

/// Bytes of the longest line: no row is as long, not even a policy that names as many tables as it may.
const LONGEST: u64 = 16 << 20;

pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
    /// Whether the line is still to be taken.
    is_next: bool,
    /// Whether there are no more.
    is_over: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
            number: 0,
            is_next: false,
            is_over: false,
        }
    }

    /// The number of the line that was read last, from 1 on; after the last one, of the line that is missing.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What is wrong with that line.
    pub(super) fn problem(&self, problem: impl Into<String>) -> ImportError {
        ImportError::Line {
            number: self.number,
            problem: problem.into(),
        }
    }

    /// The next line without its end; `None` after the last one.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, ImportError> {
        let is_there = self.look()?;
        self.is_next = false;
        Ok(is_there.then_some(&self.line))
    }

    /// The next line if it begins with `opening`.
    pub(super) fn next_with(&mut self, opening: &[u8]) -> Result<Option<&[u8]>, ImportError> {
        if self.look()? && self.line.starts_with(opening) {
            self.next()
        } else {
            Ok(None)
        }
    }

    /// Reads a line unless one waits; whether there is one.
    fn look(&mut self) -> Result<bool, ImportError> {
        if self.is_next || self.is_over {
            return Ok(self.is_next);
        }
        self.number += 1;
        self.line.clear();
        let read = (&mut self.input)
            .take(LONGEST)
            .read_until(b'\n', &mut self.line);
        read.map_err(|error| self.unreadable(error))?;
        if self.line.is_empty() {
            self.is_over = true;
            return Ok(false);
        }
        if self.line.pop() != Some(b'\n') {
            return Err(self.problem(if self.line.len() as u64 + 1 < LONGEST {
                "it has no end: the export was cut"
            } else {
                "it is too long for an export"
            }));
        }
        self.is_next = true;
        Ok(true)
    }

    fn unreadable(&self, source: io::Error) -> ImportError {
        ImportError::Read {
            number: self.number,
            source,
        }
    }
}
