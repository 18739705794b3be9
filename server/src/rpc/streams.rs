//! The bounds on open streams, and what ends them: the server's stop, and the end of their caller's rights.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use super::places::{Place, Places};
use crate::{
    auth::{Authenticated, RevocationWatch, unauthenticated},
    config::Limits,
    error::Error,
    metrics::{ByLabel, Metrics},
};
use tidegate_domain::id::CredentialId;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Following transfers or events.
    Watch,
    /// Reporting progress.
    Progress,
    /// Waiting for something to start.
    Claim,
}

impl Kind {
    /// What it is called in metrics.
    const fn name(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Progress => "progress",
            Self::Claim => "claim",
        }
    }

    /// Streams of this kind that one credential may have open at one server.
    const fn limit(self) -> usize {
        match self {
            Self::Watch | Self::Claim => 64,
            Self::Progress => 16,
        }
    }
}

type Counts = Arc<Mutex<HashMap<(CredentialId, Kind), usize>>>;

/// Hands out places for streams; cheap to clone.
#[derive(Clone)]
pub(super) struct Streams {
    places: Arc<Places>,
    limits: watch::Receiver<Limits>,
    counts: Counts,
    stop: CancellationToken,
    open: ByLabel<Gauge>,
}

/// One open stream's place; given back with its drop.
pub(super) struct StreamPermit {
    _place: Place,
    /// Absent where authentication is off.
    caller: Option<(Arc<RevocationWatch>, CountGuard)>,
    stop: CancellationToken,
    _open: Open,
}

/// Counts one stream for as long as it is open.
struct Open(Option<Gauge>);

impl Open {
    fn of(open: &ByLabel<Gauge>, kind: Kind) -> Self {
        let gauge = open.get(kind.name());
        Self(gauge.inspect(|gauge| _ = gauge.inc()).cloned())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.as_ref().map(Gauge::dec);
    }
}

impl Streams {
    pub(super) fn new(
        limits: watch::Receiver<Limits>,
        stop: CancellationToken,
        metrics: &Metrics,
    ) -> Self {
        Self {
            open: metrics.streams_open.clone(),
            places: Arc::default(),
            limits,
            counts: Counts::default(),
            stop,
        }
    }

    /// A place for the stream that `request` asks for.
    pub(super) fn enter<T>(&self, kind: Kind, request: &Request<T>) -> Result<StreamPermit, Error> {
        if self.stop.is_cancelled() {
            return Err(Error::ShuttingDown);
        }
        let authenticated: Option<&Authenticated> = request.extensions().get();
        let guard = authenticated.map(|authenticated| {
            let uuid = authenticated.identity().credential_uuid;
            CountGuard::claim(&self.counts, uuid, kind)
        });
        let guard = guard.transpose()?;
        let limit = self.limits.borrow().max_streams;
        let place = self.places.take(limit);
        Ok(StreamPermit {
            _place: place.ok_or(Error::TooManyStreams { limit })?,
            caller: authenticated.map(Authenticated::watch).zip(guard),
            stop: self.stop.clone(),
            _open: Open::of(&self.open, kind),
        })
    }
}

impl StreamPermit {
    /// Waits for `work`, but no longer than the server lives and the caller may call.
    pub(super) async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let over = async {
            match &self.caller {
                Some((watch, _)) => watch.over().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Error::ShuttingDown),
            () = over => Err(unauthenticated()),
            outcome = work => outcome,
        }
    }
}

/// One stream's share of what its caller may have open.
struct CountGuard {
    counts: Counts,
    key: (CredentialId, Kind),
}

impl CountGuard {
    fn claim(counts: &Counts, credential: CredentialId, kind: Kind) -> Result<Self, Error> {
        let mut open = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (credential, kind);
        let count = open.entry(key).or_default();
        if *count >= kind.limit() {
            let limit = kind.limit();
            return Err(Error::TooManyOwnStreams { limit });
        }
        *count += 1;
        Ok(Self {
            counts: Arc::clone(counts),
            key,
        })
    }
}

impl Drop for CountGuard {
    fn drop(&mut self) {
        let mut open = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_domain::fixtures::id;

    #[test]
    fn a_credential_has_so_many_streams_of_each_kind() {
        let counts = Counts::default();
        let claim = |credential, kind| CountGuard::claim(&counts, id(credential), kind);
        let mut held: Vec<_> = (0..16).map(|_| claim(1, Kind::Progress).ok()).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(claim(1, Kind::Progress).is_err());
        assert!(claim(1, Kind::Watch).is_ok(), "another kind");
        assert!(claim(2, Kind::Progress).is_ok(), "another credential");
        held.pop();
        assert!(claim(1, Kind::Progress).is_ok(), "one has ended");
        drop(held);
        assert!(counts.lock().expect("no panic").is_empty());
    }
}
