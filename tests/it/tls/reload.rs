//! Files that change under a running server: new connections see what is new, old ones notice nothing, and what is no
//! good changes nothing.

use futures::StreamExt as _;
use tidegate_client::Direction;
use tidegate_tests::{
    certificates::{NAMES, shake},
    soon,
};
use tokio::net::TcpStream;

use super::{Gate, until};

/// The certificate that a new connection is shown.
async fn shown(gate: &Gate) -> Vec<u8> {
    let stream = TcpStream::connect(gate.server.authority()).await;
    let stream = stream.expect("the server listens");
    let tls = shake(stream, &gate.authority.pem(), &["h2"])
        .await
        .expect("a handshake");
    let chain = tls.get_ref().1.peer_certificates().expect("certificates");
    chain[0].to_vec()
}

/// How often the log says so.
fn said(gate: &Gate, words: &str) -> usize {
    gate.server.log().matches(words).count()
}

const USED: &str = "the changed files are in use";
const REFUSED: &str = "the changed files cannot be used";

#[tokio::test]
async fn new_connections_see_a_new_certificate_while_an_old_stream_lives_on() {
    let gate = Gate::new().await;
    let client = gate.builder().connect().await.expect("it is let in");
    let created = client.transfers().create(Direction::Send, "orders").await;
    let uuid = created.expect("it is created").uuid;
    let mut watch = client.transfers().watch(uuid);
    soon("the first update", watch.next())
        .await
        .expect("it tells")
        .expect("no failure");

    let before = shown(&gate).await;
    gate.folder.put("server", &gate.authority.server(&NAMES));
    until("a new certificate", async || shown(&gate).await != before).await;
    until("the word of it", async || said(&gate, USED) == 1).await;

    let other = gate.builder().connect().await.expect("it is let in");
    other.transfers().start(uuid).await.expect("it is started");
    let update = soon("an update on the old stream", watch.next()).await;
    let update = update.expect("it lives").expect("no failure");
    assert_eq!(update.revision, 2);
}

#[tokio::test]
async fn a_broken_file_keeps_the_old_one_and_is_told_once() {
    let gate = Gate::new().await;
    let before = shown(&gate).await;
    let fresh = gate.authority.server(&NAMES);
    // The key of another certificate, and then nothing at all.
    gate.folder.write("server.key", &fresh.key);
    until("a warning", async || said(&gate, REFUSED) == 1).await;
    assert_eq!(shown(&gate).await, before);
    gate.folder.write("server.key", "");
    until("another warning", async || said(&gate, REFUSED) == 2).await;
    assert_eq!(shown(&gate).await, before);

    gate.folder.put("server", &fresh);
    until("the new certificate", async || shown(&gate).await != before).await;
    until("the word of it", async || said(&gate, USED) > 0).await;
    // Each of the broken ones was looked at more than once meanwhile.
    assert_eq!((said(&gate, REFUSED), said(&gate, USED)), (2, 1));
    let secret = fresh.key.lines().nth(1).expect("a line of the key");
    assert!(!gate.server.log().contains(secret), "a key in the log");
}

#[tokio::test]
async fn a_signal_has_the_files_read_at_once() {
    let gate = Gate::new().await;
    gate.server.signal("HUP").await;
    until("an answer", async || {
        said(&gate, "the files have not changed") == 1
    })
    .await;
    gate.folder.write("server.pem", "nothing");
    gate.server.signal("HUP").await;
    until("a warning", async || said(&gate, REFUSED) == 1).await;
    shown(&gate).await;
}
