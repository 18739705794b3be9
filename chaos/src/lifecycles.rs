//! Load through the client crate: whole lifecycles of transfers, from creation to completion. Nothing interferes with them,
//! so whatever the client reports as an error is one.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tidegate_client::{Client, Direction, Error, Progress};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Events of one lifecycle.
pub const EVENTS: u64 = 3;

/// Clients that run lifecycles.
pub struct Lifecycles {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    stop: CancellationToken,
    completed: AtomicU64,
    errors: Mutex<Vec<String>>,
}

impl Lifecycles {
    /// Starts so many clients of the server at `address`, with so many lifecycles at a time each.
    ///
    /// # Panics
    /// When a client cannot be made.
    pub fn start(address: &str, clients: usize, at_once: usize) -> Self {
        let shared = Arc::<Shared>::default();
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            let client = Client::builder(address).connect_lazy();
            let client = client.expect("the address is one");
            for _ in 0..at_once {
                tasks.spawn(run_until_stopped(client.clone(), Arc::clone(&shared)));
            }
        }
        Self { shared, tasks }
    }

    /// Lifecycles that are complete.
    pub fn completed(&self) -> u64 {
        self.shared.completed.load(Ordering::SeqCst)
    }

    /// Starts no more and waits for the present ones; how many there were, and what the clients reported as errors.
    pub async fn stop(self) -> (u64, Vec<String>) {
        let Self { shared, tasks } = self;
        shared.stop.cancel();
        _ = tasks.join_all().await;
        let errors = shared.errors.lock().unwrap_or_else(PoisonError::into_inner);
        (shared.completed.load(Ordering::SeqCst), errors.clone())
    }
}

async fn run_until_stopped(client: Client, shared: Arc<Shared>) {
    while !shared.stop.is_cancelled() {
        match run_one(&client).await {
            Ok(()) => _ = shared.completed.fetch_add(1, Ordering::SeqCst),
            Err(error) => shared
                .errors
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(format!("{error}: {error:?}")),
        }
    }
}

async fn run_one(client: &Client) -> Result<(), Error> {
    let made = client.transfers().create(Direction::Send, "rows").await?;
    client.transfers().start(made.uuid).await?;
    let progress = Progress {
        records_transferred: Some(7),
        ..Progress::default()
    };
    client
        .transfers()
        .update_progress(made.uuid, progress)
        .await?;
    client.transfers().complete(made.uuid).await?;
    Ok(())
}
