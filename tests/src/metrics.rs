//! The listener for those who look after a server, as a monitoring system sees it.

use std::collections::BTreeMap;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{ServerProcess, soon};

/// What it answered.
#[derive(Clone, Debug)]
pub struct Page {
    /// The status of HTTP.
    pub status: u16,
    /// The lines of the head, in lower case.
    pub head: String,
    /// The content.
    pub body: String,
}

/// Where a server of its own process says that its second listener is.
///
/// # Panics
/// When it has none.
pub async fn address(server: &ServerProcess) -> String {
    let line = server.logged("metrics and health over HTTP").await;
    let line: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
    line["address"].as_str().expect("an address").to_owned()
}

/// What HTTP/1.1 answers to a GET at `address`, such as `127.0.0.1:9464`.
///
/// # Panics
/// When nobody answers in time.
pub async fn get(address: &str, path: &str) -> Page {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let answer = soon("an answer", async {
        let mut socket = TcpStream::connect(address).await.expect("it listens");
        socket
            .write_all(request.as_bytes())
            .await
            .expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("a text");
        answer
    });
    page(&answer.await)
}

/// An answer of HTTP/1.1 in its parts.
///
/// # Panics
/// When it is none.
pub fn page(answer: &str) -> Page {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Page {
        status: status.unwrap_or_else(|| panic!("no status: {head}")),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

/// Every sample at `address`, by its name and labels as they are written.
///
/// # Panics
/// When there are none.
pub async fn samples(address: &str) -> BTreeMap<String, f64> {
    let page = get(address, "/metrics").await;
    assert_eq!(page.status, 200, "{page:?}");
    let lines = page.body.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    lines.map(sample).collect()
}

/// One sample at `address`; 0 when there is none yet.
pub async fn sample(address: &str, name: &str) -> f64 {
    samples(address).await.get(name).copied().unwrap_or(0.0)
}
