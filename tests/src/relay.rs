//! A wire between a client and a server that a test can cut.

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Passes bytes on in both directions until it is cut.
#[derive(Debug)]
pub struct Relay {
    /// Where clients connect, as `http://127.0.0.1:port`.
    pub address: String,
    task: JoinHandle<()>,
}

impl Relay {
    /// A relay to `target`, an address such as `http://127.0.0.1:50051`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn to(target: &str) -> Self {
        let target = target.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        let task = tokio::spawn(async move {
            let mut wires = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let target = target.clone();
                wires.spawn(async move {
                    let mut server = TcpStream::connect(target).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self {
            address: format!("http://127.0.0.1:{port}"),
            task,
        }
    }

    /// Cuts every connection, without a word to either side.
    pub async fn cut(self) {
        self.task.abort();
        // Once the task is gone its sockets are closed.
        _ = self.task.await;
    }
}
