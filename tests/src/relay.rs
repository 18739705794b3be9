//! A wire between a client and a server that a test can cut.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

type Target = Arc<Mutex<String>>;
type Wires = Arc<Mutex<JoinSet<std::io::Result<(u64, u64)>>>>;

/// Passes bytes on in both directions until it is cut.
#[derive(Debug)]
pub struct Relay {
    /// Where clients connect, as `http://127.0.0.1:port`.
    pub address: String,
    target: Target,
    opened: Arc<AtomicUsize>,
    wires: Wires,
    task: JoinHandle<()>,
}

impl Relay {
    /// A relay to `target`, an address such as `http://127.0.0.1:50051`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn to(target: &str) -> Self {
        let target = Target::new(Mutex::new(authority(target)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        let opened = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&opened);
        let wires = Wires::default();
        let held = Arc::clone(&wires);
        let current = Arc::clone(&target);
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let target = read(&current);
                let mut wires = held.lock().unwrap_or_else(PoisonError::into_inner);
                wires.spawn(async move {
                    let mut server = TcpStream::connect(target).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self {
            address: format!("http://127.0.0.1:{port}"),
            target,
            opened,
            wires,
            task,
        }
    }

    /// Cuts every connection, and passes new ones on to another `target`.
    pub fn lead_to(&self, target: &str) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = authority(target);
        self.sever();
    }

    /// Connections that clients have opened so far.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// Cuts every connection that is open now; new ones are passed on.
    pub fn sever(&self) {
        let mut wires = self.wires.lock().unwrap_or_else(PoisonError::into_inner);
        wires.abort_all();
    }

    /// Cuts every connection, without a word to either side.
    pub async fn cut(self) {
        self.task.abort();
        _ = self.task.await;
        // Once the tasks are gone their sockets are closed.
        let mut wires =
            std::mem::take(&mut *self.wires.lock().unwrap_or_else(PoisonError::into_inner));
        wires.shutdown().await;
    }
}

fn read(target: &Target) -> String {
    target
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

fn authority(address: &str) -> String {
    address.trim_start_matches("http://").to_owned()
}
