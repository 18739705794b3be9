//! The relay, between a client and a server that gives back what it is told.

use std::{io::ErrorKind, time::Duration};

use tidegate_tests::{
    relay::{Direction, Relay},
    soon,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, timeout},
};

/// Longest wait for what should not happen.
const NEVER: Duration = Duration::from_millis(300);

/// A server that answers each byte by the one after it, or by itself plus `step`, and tells what it heard.
async fn echo(step: u8) -> (String, mpsc::UnboundedReceiver<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let (tell, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                while let Ok(byte) = client.read_u8().await {
                    _ = tell.send(byte);
                    if client.write_u8(byte + step).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, heard)
}

async fn connect(relay: &Relay) -> TcpStream {
    let connected = soon("a connection", TcpStream::connect(relay.authority())).await;
    connected.expect("the relay listens")
}

/// Says something and hears the answer.
async fn ask(client: &mut TcpStream, byte: u8) -> u8 {
    client.write_u8(byte).await.expect("it is open");
    answer(client).await
}

async fn answer(client: &mut TcpStream) -> u8 {
    soon("an answer", client.read_u8()).await.expect("a byte")
}

async fn is_silent(client: &mut TcpStream) -> bool {
    timeout(NEVER, client.read_u8()).await.is_err()
}

async fn is_reset(client: &mut TcpStream) -> bool {
    let read = soon("the reset", client.read_u8()).await;
    read.expect_err("no byte").kind() == ErrorKind::ConnectionReset
}

#[tokio::test]
async fn silence_holds_back_what_is_said_and_gives_it_back() {
    let (server, mut heard) = echo(1).await;
    let mut relay = Relay::to(&server).await;
    let mut client = connect(&relay).await;
    assert_eq!(ask(&mut client, 1).await, 2);
    assert_eq!(heard.recv().await, Some(1));

    relay.silence(Direction::Both);
    client.write_u8(3).await.expect("it is open");
    // New connections are accepted, and as silent.
    let mut second = connect(&relay).await;
    second.write_u8(5).await.expect("it is open");
    assert!(is_silent(&mut client).await && is_silent(&mut second).await);
    assert!(heard.try_recv().is_err());
    relay.heal();
    assert_eq!(answer(&mut client).await, 4);
    assert_eq!(answer(&mut second).await, 6);

    relay.silence(Direction::ToClient);
    while heard.try_recv().is_ok() {}
    client.write_u8(7).await.expect("it is open");
    assert_eq!(soon("a byte at the server", heard.recv()).await, Some(7));
    assert!(is_silent(&mut client).await);
    relay.heal();
    assert_eq!(answer(&mut client).await, 8);
}

#[tokio::test]
async fn a_forgotten_connection_stays_silent_and_a_new_one_is_not() {
    let (server, _heard) = echo(1).await;
    let mut relay = Relay::to(&server).await;
    let mut client = connect(&relay).await;
    assert_eq!(ask(&mut client, 1).await, 2);
    relay.forget();
    client.write_u8(3).await.expect("it is open");
    assert!(is_silent(&mut client).await);
    assert_eq!(ask(&mut connect(&relay).await, 5).await, 6);
    relay.heal();
    assert!(is_silent(&mut client).await);
    relay.sever();
    let ended = soon("its end", client.read_u8()).await;
    ended.expect_err("it was closed");
}

#[tokio::test]
async fn a_delay_is_of_its_direction_alone_and_may_overtake() {
    let (server, mut heard) = echo(1).await;
    let mut relay = Relay::to(&server).await;
    let (mut even, mut odd) = (connect(&relay).await, connect(&relay).await);
    assert_eq!(ask(&mut even, 1).await, 2);
    assert_eq!(ask(&mut odd, 1).await, 2);
    while heard.try_recv().is_ok() {}

    relay.delay(Direction::ToClient, Duration::from_millis(400));
    let began = Instant::now();
    even.write_u8(3).await.expect("it is open");
    assert_eq!(soon("a byte at the server", heard.recv()).await, Some(3));
    let there = began.elapsed();
    assert_eq!(answer(&mut even).await, 4);
    let back = began.elapsed();
    assert!(back >= Duration::from_millis(400), "{back:?}");
    assert!(back - there > Duration::from_millis(200), "{there:?}");

    relay.heal();
    relay.delay_half(Duration::from_millis(400));
    odd.write_u8(5).await.expect("it is open");
    even.write_u8(7).await.expect("it is open");
    assert_eq!(soon("a byte at the server", heard.recv()).await, Some(7));
    assert_eq!(soon("a byte at the server", heard.recv()).await, Some(5));
    relay.heal();
}

#[tokio::test]
async fn a_reset_is_one_and_a_refusal_goes_on() {
    let (server, _heard) = echo(1).await;
    let mut relay = Relay::to(&server).await;
    let mut client = connect(&relay).await;
    assert_eq!(ask(&mut client, 1).await, 2);
    relay.reset();
    assert!(is_reset(&mut client).await);
    let mut client = connect(&relay).await;
    assert_eq!(ask(&mut client, 1).await, 2);
    relay.refuse();
    assert!(is_reset(&mut client).await);
    assert!(is_reset(&mut connect(&relay).await).await);
    relay.heal();
    assert_eq!(ask(&mut connect(&relay).await, 1).await, 2);
}

#[tokio::test]
async fn new_connections_go_to_a_new_target_and_old_ones_stay() {
    let ((one, _heard), (other, _also)) = (echo(1).await, echo(2).await);
    let relay = Relay::to(&one).await;
    let mut client = connect(&relay).await;
    assert_eq!(ask(&mut client, 1).await, 2);
    relay.retarget(&format!("http://{other}"));
    assert_eq!(ask(&mut client, 1).await, 2);
    assert_eq!(ask(&mut connect(&relay).await, 1).await, 3);
}

#[tokio::test]
async fn who_is_ignored_does_not_even_connect() {
    let (server, _heard) = echo(1).await;
    let mut relay = Relay::to(&server).await;
    let mut client = connect(&relay).await;
    assert_eq!(ask(&mut client, 1).await, 2);
    relay.ignore().await;
    let new = timeout(NEVER, TcpStream::connect(relay.authority())).await;
    assert!(new.is_err(), "it was answered: {new:?}");
    assert_eq!(ask(&mut client, 3).await, 4, "what is open stays open");
    relay.heal();
    let opened = relay.opened();
    assert_eq!(ask(&mut connect(&relay).await, 5).await, 6);
    assert_eq!(relay.opened(), opened + 1, "nobody else came");
}
