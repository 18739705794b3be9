//! One connection of a relay.

use std::io;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{Direction, State};

/// Pieces of data that may be under way in a direction that is delayed.
const UNDER_WAY: usize = 1_024;
const PIECE: usize = 16_384;

/// Carries what both sides say until one of them is gone, or the relay closes or resets its connections.
pub(super) async fn pass_on(number: usize, mut client: TcpStream, state: watch::Receiver<State>) {
    let end = ended(state.clone());
    tokio::pin!(end);
    let server = tokio::select! {
        server = connect(number, state.clone()) => server,
        reset = &mut end => {
            if reset {
                _ = client.set_zero_linger();
            }
            return;
        }
    };
    let Ok(mut server) = server else { return };
    let is_reset = tokio::select! {
        () = carry(number, &mut client, &mut server, state) => false,
        reset = &mut end => reset,
    };
    if is_reset {
        _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Waits until the connections of now are closed; whether they are to be reset.
async fn ended(mut state: watch::Receiver<State>) -> bool {
    let (closed, resets) = {
        let state = state.borrow();
        (state.closed, state.resets)
    };
    let ended = state.wait_for(|now| now.closed > closed || now.resets > resets);
    ended.await.is_ok_and(|now| now.resets > resets)
}

/// Nobody is called before something can be said to them.
async fn connect(number: usize, mut state: watch::Receiver<State>) -> io::Result<TcpStream> {
    opened(number, Direction::ToServer, &mut state).await;
    let target = state.borrow().target.clone();
    TcpStream::connect(target).await
}

async fn carry(
    number: usize,
    client: &mut TcpStream,
    server: &mut TcpStream,
    state: watch::Receiver<State>,
) {
    // Small messages must not wait for each other.
    _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    let there = (number, Direction::ToServer);
    let there = one_way(there, from_client, to_server, state.clone());
    let back = (number, Direction::ToClient);
    let back = one_way(back, from_server, to_client, state);
    _ = tokio::try_join!(there, back);
}

async fn one_way(
    (number, direction): (usize, Direction),
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    state: watch::Receiver<State>,
) -> io::Result<()> {
    let (under_way, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let mut looking = state.clone();
    let take = async move {
        loop {
            opened(number, direction, &mut looking).await;
            let mut piece = vec![0; PIECE];
            let length = from.read(&mut piece).await?;
            if length == 0 {
                return Ok::<_, io::Error>(());
            }
            piece.truncate(length);
            let due = Instant::now() + looking.borrow().road(number, direction).delay;
            if under_way.send((due, piece)).await.is_err() {
                return Ok(());
            }
        }
    };
    let mut looking = state;
    let give = async move {
        while let Some((due, piece)) = arriving.recv().await {
            sleep_until(due).await;
            opened(number, direction, &mut looking).await;
            to.write_all(&piece).await?;
        }
        opened(number, direction, &mut looking).await;
        to.shutdown().await
    };
    tokio::try_join!(take, give).map(|_| ())
}

/// Waits until this direction of a connection is not silent.
async fn opened(number: usize, direction: Direction, state: &mut watch::Receiver<State>) {
    let open = state.wait_for(|state| !state.road(number, direction).silent);
    if open.await.is_err() {
        // The relay is gone, and so is this task soon.
        std::future::pending::<()>().await;
    }
}
