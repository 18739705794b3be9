//! The bound on open streams, and the word that ends them all when the server stops.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// Hands out places for streams; cheap to clone.
#[derive(Clone)]
pub(super) struct Streams {
    places: Arc<Semaphore>,
    limit: usize,
    stop: CancellationToken,
}

/// One open stream's place; given back with its drop.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    stop: CancellationToken,
}

impl Streams {
    pub(super) fn new(limit: usize, stop: CancellationToken) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limit)),
            limit,
            stop,
        }
    }

    /// A place for one more stream.
    pub(super) fn enter(&self) -> Result<Place, Error> {
        if self.stop.is_cancelled() {
            return Err(Error::ShuttingDown);
        }
        let permit = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Error::TooManyStreams { limit: self.limit })?;
        Ok(Place {
            _permit: permit,
            stop: self.stop.clone(),
        })
    }
}

impl Place {
    /// Waits for `work`, but no longer than the server lives.
    pub(super) async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Error::ShuttingDown),
            outcome = work => outcome,
        }
    }
}
