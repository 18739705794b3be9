//! A TCP load balancer between clients and replicas: picks a replica for each connection by a seed, and resets connections
//! when it is told to.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// Forwards connections to replicas until it is dropped.
#[derive(Debug)]
pub struct Balancer {
    /// Where clients connect, as `http://127.0.0.1:port`.
    pub address: String,
    opened: Arc<AtomicUsize>,
    cuts: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Balancer {
    /// A balancer of `targets`, addresses such as `http://127.0.0.1:50051`. Each connection goes to one that accepts it.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn to(targets: &[String], seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let local = listener.local_addr();
        let port = local.expect("a bound socket has an address").port();
        let targets: Vec<String> = targets
            .iter()
            .map(|target| target.trim_start_matches("http://").to_owned())
            .collect();
        let (cuts, _) = watch::channel(0);
        let opened = Arc::<AtomicUsize>::default();
        let (counter, cut) = (Arc::clone(&opened), cuts.clone());
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        let task = tokio::spawn(async move {
            let mut balancers = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let mut targets = targets.clone();
                targets.shuffle(&mut *random.lock().unwrap_or_else(PoisonError::into_inner));
                balancers.spawn(forward(client, targets, cut.subscribe()));
                while balancers.try_join_next().is_some() {}
            }
        });
        Self {
            address: format!("http://127.0.0.1:{port}"),
            opened,
            cuts,
            task,
        }
    }

    /// Connections that clients have opened so far.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// Resets every connection. New ones are taken at once.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(mut client: TcpStream, targets: Vec<String>, mut cuts: watch::Receiver<u64>) {
    for target in targets {
        let Ok(mut server) = TcpStream::connect(&target).await else {
            continue;
        };
        // Small messages must not wait for each other.
        _ = (client.set_nodelay(true), server.set_nodelay(true));
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => {}
            _ = cuts.changed() => {
                // A reset instead of an orderly end.
                _ = (client.set_zero_linger(), server.set_zero_linger());
            }
        }
        return;
    }
}
