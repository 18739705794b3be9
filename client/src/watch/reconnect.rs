//! One server stream that is opened again, with growing pauses, whenever it ends before its time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tonic::Streaming;

use crate::{
    Client, Error,
    error::Code,
    retry::{self, Endless},
};

/// A connection that stood for so long was a good one: the next pause is short again.
const STEADY: Duration = Duration::from_secs(10);

/// Why a watch has no connection at present, which its owner may ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Interruption(Arc<Mutex<Option<Error>>>);

impl Interruption {
    pub(super) fn get(&self) -> Option<Error> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, why: Option<Error>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

/// The connection side of a watch.
#[derive(Debug)]
pub(super) struct ReconnectingStream<M> {
    client: Client,
    stream: Option<Streaming<M>>,
    /// When the connection began that has not ended yet.
    opened_at: Option<Instant>,
    pauses: Endless,
    interruption: Interruption,
}

impl<M> ReconnectingStream<M> {
    pub(super) fn new(client: Client) -> Self {
        let pauses = client.retry().endless();
        Self {
            client,
            stream: None,
            opened_at: None,
            pauses,
            interruption: Interruption::default(),
        }
    }

    pub(super) fn interruption(&self) -> Interruption {
        self.interruption.clone()
    }

    pub(super) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// Takes the stream that was just opened, or waits before the next try.
    ///
    /// # Errors
    /// A refusal that no new try would change.
    pub(super) async fn opened(
        &mut self,
        stream: Result<Streaming<M>, Error>,
    ) -> Result<(), Error> {
        match stream {
            Ok(stream) => {
                self.stream = Some(stream);
                self.opened_at = Some(Instant::now());
                self.interruption.set(None);
                Ok(())
            }
            Err(error) => self.pause(Some(error)).await,
        }
    }

    /// The next message; `None` after the stream ended and a pause, when it is time to open it again.
    ///
    /// # Errors
    /// A refusal that no new try would change.
    pub(super) async fn message(&mut self) -> Result<Option<M>, Error> {
        let Some(stream) = &mut self.stream else {
            return Ok(None);
        };
        let end = match stream.message().await {
            Ok(Some(message)) => return Ok(Some(message)),
            Ok(None) => None,
            Err(status) => Some(Error::from_status(status)),
        };
        self.stream = None;
        match end {
            Some(end) if self.client.may_have_new_token(&end) => self.wait(Some(end)).await,
            end => self.pause(end).await?,
        }
        Ok(None)
    }

    /// Gives up a stream that has fallen silent, and waits before the next try.
    ///
    /// # Errors
    /// None: silence is no refusal.
    pub(super) async fn is_silent(&mut self) -> Result<(), Error> {
        self.stream = None;
        self.pause(Some(Error::no_answer())).await
    }

    /// Something new came: the connection is good.
    pub(super) fn was_useful(&mut self) {
        self.pauses.start_over();
        self.interruption.set(None);
    }

    /// Waits before whatever failed is tried again.
    ///
    /// # Errors
    /// The error itself, when no new try would change it.
    pub(super) async fn pause(&mut self, error: Option<Error>) -> Result<(), Error> {
        if let Some(error) = error
            .as_ref()
            .filter(|error| !retry::is_worth_reconnecting(error))
        {
            return Err(self.client.located(error.clone()));
        }
        self.wait(error).await;
        Ok(())
    }

    async fn wait(&mut self, error: Option<Error>) {
        // Once for each connection, and not for tries that fail after it.
        let opened_at = self.opened_at.take();
        if opened_at.is_some_and(|opened_at| opened_at.elapsed() >= STEADY) {
            self.pauses.start_over();
        }
        match &error {
            Some(error) => tracing::debug!(%error, "the watch was interrupted and is resumed"),
            None => tracing::debug!("the watch ended early and is resumed"),
        }
        let ended = || Error::local(Code::Unavailable, "the server ended the watch");
        let why = error.clone().unwrap_or_else(ended);
        self.interruption.set(Some(self.client.located(why)));
        self.pauses.wait(error.as_ref()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits of at most 5 s are 2.5 s long on average.
    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_away_is_asked_ever_more_seldom() {
        let client = Client::builder("http://127.0.0.1:1");
        let client = client.connect_lazy().expect("a good address");
        let mut connection = ReconnectingStream::<()>::new(client);
        connection.opened_at = Some(Instant::now());
        // As after a connection that stood for long.
        tokio::time::advance(2 * STEADY).await;
        let begun = Instant::now();
        let mut tries = 0;
        while begun.elapsed() < Duration::from_secs(120) {
            let away = Error::local(Code::Unavailable, "nobody is there");
            let paused = connection.opened(Err(away)).await;
            paused.expect("it is tried again");
            assert!(connection.interruption().get().is_some());
            tries += 1;
        }
        assert!((25..120).contains(&tries), "{tries} tries in two minutes");
    }
}
