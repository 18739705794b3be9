//! Clients that watch, and record all that they are told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tidegate_proto::v1::{
    self, watch_events_response::Update as EventUpdate,
    watch_transfers_response::Update as TransferUpdate,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::{Status, transport::Endpoint};

use super::outcome;
use crate::{
    change::{self, CallFailure},
    checker::Acknowledged,
    statuses::Statuses,
};
use tidegate_tests::raw::Raw;

/// Time between the end of a watch and the next one.
const PAUSE: Duration = Duration::from_millis(50);

/// What watchers were told.
#[derive(Debug, Default)]
pub struct Observed {
    /// Events, by whoever watches the log.
    pub events: Vec<v1::Event>,
    /// Transfers, by whoever watches those.
    pub transfers: Vec<Acknowledged>,
    /// Transfers that were deleted.
    pub deleted: Vec<String>,
    /// How watches ended.
    pub statuses: Statuses,
    /// What no watcher should be told.
    pub findings: Vec<String>,
}

/// A client that watches one server, and another one when that ends the watch.
pub struct Observer {
    stop: CancellationToken,
    reached: Arc<AtomicI64>,
    task: JoinHandle<Observed>,
}

#[derive(Clone, Copy)]
enum What {
    Events,
    Transfers,
}

struct Watcher {
    what: What,
    addresses: Vec<String>,
    reached: Arc<AtomicI64>,
    told: Observed,
}

impl Observer {
    /// Watches the log from its beginning.
    pub fn of_events(addresses: &[String]) -> Self {
        Self::start(What::Events, addresses)
    }

    /// Watches all transfers.
    pub fn of_transfers(addresses: &[String]) -> Self {
        Self::start(What::Transfers, addresses)
    }

    fn start(what: What, addresses: &[String]) -> Self {
        let stop = CancellationToken::new();
        let reached = Arc::<AtomicI64>::default();
        let watcher = Watcher {
            what,
            addresses: addresses.to_owned(),
            reached: Arc::clone(&reached),
            told: Observed::default(),
        };
        let task = tokio::spawn(watcher.run(stop.clone()));
        Self {
            stop,
            reached,
            task,
        }
    }

    /// The event that it was told last.
    pub fn reached(&self) -> i64 {
        self.reached.load(Ordering::SeqCst)
    }

    /// All that it was told.
    pub async fn end(self) -> Observed {
        self.stop.cancel();
        self.task.await.unwrap_or_else(|error| Observed {
            findings: vec![error.to_string()],
            ..Observed::default()
        })
    }
}

impl Watcher {
    async fn run(mut self, stop: CancellationToken) -> Observed {
        for address in self.addresses.clone().into_iter().cycle() {
            let endpoint = Endpoint::from_shared(address).expect("the address is one");
            let raw = Raw::on(endpoint.connect_lazy());
            let watch = async {
                match self.what {
                    What::Events => self.events(raw).await,
                    What::Transfers => self.transfers(raw).await,
                }
            };
            let ended = tokio::select! {
                () = stop.cancelled() => break,
                ended = watch => ended,
            };
            match ended {
                Ok(()) => self
                    .told
                    .statuses
                    .wrong("a watch", "an end without a status"),
                Err(status) => self.ended(&status),
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.told
    }

    fn ended(&mut self, status: &Status) {
        self.told.statuses.note("a watch", status);
        if !matches!(change::classify(status), CallFailure::Unknown) {
            let finding = format!("a watch ended: {}", outcome::brief(status));
            self.told.findings.push(finding);
        }
    }

    async fn events(&mut self, mut raw: Raw) -> Result<(), Status> {
        let request = v1::WatchEventsRequest {
            after_sequence: self.reached.load(Ordering::SeqCst),
            ..Default::default()
        };
        let mut updates = raw.events.watch_events(request).await?.into_inner();
        while let Some(update) = updates.message().await? {
            let Some(EventUpdate::Event(event)) = update.update else {
                continue;
            };
            let before = self.reached.swap(event.sequence, Ordering::SeqCst);
            if event.sequence != before + 1 {
                let finding = format!("told event {} after {before}", event.sequence);
                self.told.findings.push(finding);
            }
            self.told.events.push(event);
        }
        Ok(())
    }

    async fn transfers(&mut self, mut raw: Raw) -> Result<(), Status> {
        let request = v1::WatchTransfersRequest {
            include_existing: true,
            ..Default::default()
        };
        let mut updates = raw.transfers.watch_transfers(request).await?.into_inner();
        while let Some(update) = updates.message().await? {
            match update.update {
                Some(TransferUpdate::Transfer(transfer)) => {
                    self.told.transfers.push(Acknowledged::of(&transfer));
                }
                Some(TransferUpdate::DeletedUuid(uuid)) => self.told.deleted.push(uuid),
                Some(TransferUpdate::CaughtUp(_)) | None => {}
            }
        }
        Ok(())
    }
}
