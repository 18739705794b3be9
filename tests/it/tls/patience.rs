//! Connections that take their time are cut, with and without TLS, however slowly they speak.

use std::time::{Duration, Instant};

use tidegate_tests::certificates::shake;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Gate, started};

const CUT: std::ops::Range<Duration> = Duration::from_secs(9)..Duration::from_secs(15);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// SETTINGS, and a HEADERS frame of 200 bytes that does not get far.
const BEGUN: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\xc8\x01\x04\0\0\0\x01";

/// Says `first` at once and `then` a byte at a time; how long it is listened to.
async fn heard_for(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    first: &[u8],
    then: &[u8],
) -> Duration {
    let began = Instant::now();
    stream.write_all(first).await.expect("it is taken");
    let (mut from, mut to) = tokio::io::split(&mut stream);
    let talk = async {
        for byte in then {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if to.write_all(&[*byte]).await.is_err() || to.flush().await.is_err() {
                return;
            }
        }
        std::future::pending().await
    };
    let listen = async {
        let mut answer = [0; 1_024];
        while from.read(&mut answer).await.is_ok_and(|bytes| bytes > 0) {}
    };
    let cut = async {
        tokio::select! {
            () = talk => {}
            () = listen => {}
        }
    };
    let cut = tokio::time::timeout(2 * CUT.end, cut).await;
    assert!(cut.is_ok(), "it was never cut");
    began.elapsed()
}

#[tokio::test]
async fn the_first_request_must_come_in_time() {
    let server = started(&[]).await;
    let connect = || async {
        let stream = TcpStream::connect(server.authority()).await;
        stream.expect("the server listens")
    };
    let begun = [PREFACE, BEGUN].concat();
    let text = b"POST /x HTTP/1.1\r\nHost: x\r\n";
    let (silent, preface, idle, head, http_1) = tokio::join!(
        async { heard_for(connect().await, b"", b"").await },
        async { heard_for(connect().await, b"", PREFACE).await },
        async { heard_for(connect().await, PREFACE, b"").await },
        async { heard_for(connect().await, &begun, &[0x82; 30]).await },
        async { heard_for(connect().await, text, &[b'a'; 30]).await },
    );
    for took in [silent, preface, idle, head, http_1] {
        assert!(
            CUT.contains(&took),
            "{:?}",
            [silent, preface, idle, head, http_1]
        );
    }
}

#[tokio::test]
async fn so_must_a_handshake_and_what_comes_after_it() {
    let gate = Gate::new().await;
    let connect = || async {
        let stream = TcpStream::connect(gate.server.authority()).await;
        stream.expect("the server listens")
    };
    let shaken = || async {
        let tls = shake(connect().await, &gate.authority.pem(), &["h2"]).await;
        tls.expect("a handshake")
    };
    // A record that promises 512 bytes, with a ClientHello in it.
    let hello = [&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], &[7; 30]].concat();
    let (silent, slow, after, dribble) = tokio::join!(
        async { heard_for(connect().await, b"", b"").await },
        async { heard_for(connect().await, b"", &hello).await },
        async { heard_for(shaken().await, b"", b"").await },
        async { heard_for(shaken().await, b"", PREFACE).await },
    );
    for took in [silent, slow, after, dribble] {
        assert!(CUT.contains(&took), "{:?}", [silent, slow, after, dribble]);
    }
    // Who asked in time is left alone.
    gate.builder().connect().await.expect("it is let in");
}
