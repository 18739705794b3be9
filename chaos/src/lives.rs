//! Load through the client crate: transfers that live from their creation to their completion. Nothing disturbs them, so
//! whatever the client reports as an error is one.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tidegate_client::{Client, Direction, Error, Progress};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Events that one life leaves.
pub const EVENTS: u64 = 3;

/// Lives under way.
pub struct Lives {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    evening: CancellationToken,
    lived: AtomicU64,
    errors: Mutex<Vec<String>>,
}

impl Lives {
    /// So many clients of the server at `address`, with so many lives at a time each.
    ///
    /// # Panics
    /// When a client cannot be made.
    pub fn begin(address: &str, clients: usize, at_once: usize) -> Self {
        let shared = Arc::<Shared>::default();
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            let client = Client::builder(address).connect_lazy();
            let client = client.expect("the address is one");
            for _ in 0..at_once {
                tasks.spawn(go_on(client.clone(), Arc::clone(&shared)));
            }
        }
        Self { shared, tasks }
    }

    /// Lives that have come to their end.
    pub fn lived(&self) -> u64 {
        self.shared.lived.load(Ordering::SeqCst)
    }

    /// Lets the present lives end and begins no more; how many there were, and what the clients reported as errors.
    pub async fn end(self) -> (u64, Vec<String>) {
        let Self { shared, tasks } = self;
        shared.evening.cancel();
        _ = tasks.join_all().await;
        let errors = shared.errors.lock().unwrap_or_else(PoisonError::into_inner);
        (shared.lived.load(Ordering::SeqCst), errors.clone())
    }
}

async fn go_on(client: Client, shared: Arc<Shared>) {
    while !shared.evening.is_cancelled() {
        match live(&client).await {
            Ok(()) => _ = shared.lived.fetch_add(1, Ordering::SeqCst),
            Err(error) => shared
                .errors
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(format!("{error}: {error:?}")),
        }
    }
}

async fn live(client: &Client) -> Result<(), Error> {
    let made = client.create_transfer(Direction::Send, "rows").await?;
    client.start_transfer(made.uuid).await?;
    let progress = Progress {
        records_transferred: Some(7),
        ..Progress::default()
    };
    client.update_progress(made.uuid, progress).await?;
    client.complete_transfer(made.uuid).await?;
    Ok(())
}
