//! What a person at a terminal is told while a watch has no connection.

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use tidegate_client::Error;

use crate::output::note;
use crate::text;

/// Interruptions that are shorter are nobody's business: servers end connections at times.
const WORTH_A_WORD: Duration = Duration::from_secs(1);

/// Since when a watch has no connection, and why.
#[derive(Debug, Default)]
pub(super) struct Away {
    since: Option<Instant>,
    why: String,
    is_said: bool,
}

impl Away {
    /// How often to look.
    pub(super) const TICK: Duration = Duration::from_secs(1);

    /// Takes note of how it is; what there is to say about it, if it has lasted.
    pub(super) fn look(&mut self, interruption: Option<Error>) -> Option<String> {
        let Some(error) = interruption else {
            *self = Self::default();
            return None;
        };
        error.message().clone_into(&mut self.why);
        let since = *self.since.get_or_insert_with(Instant::now);
        (since.elapsed() >= WORTH_A_WORD).then(|| self.words(since))
    }

    /// Says it on stderr, once for each interruption, where there is somebody to read it.
    pub(super) fn say(&mut self) {
        let lasts = self.since.filter(|since| since.elapsed() >= WORTH_A_WORD);
        let Some(since) = lasts.filter(|_| !self.is_said) else {
            return;
        };
        self.is_said = true;
        if io::stderr().is_terminal() {
            note(&text::escape(&self.words(since)));
        }
    }

    fn words(&self, since: Instant) -> String {
        let seconds = text::span(since.elapsed());
        format!("reconnecting for {seconds}: {}", self.why)
    }
}
