//! A relay between a client and a server that a test makes silent or slow, and cuts.
//!
//! What it holds back is not lost: it is passed on later, as TCP would send it again. To the kernels of both sides every
//! connection is in order all the time, so that no keepalive finds out.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::{JoinHandle, JoinSet},
};

mod pump;

/// How many connections may wait to be accepted, usually.
const BACKLOG: i32 = 1_024;
/// A connection that is not made within that time is not answered.
const UNANSWERED: Duration = Duration::from_millis(200);

/// From whom to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
    /// Both.
    Both,
}

/// What a relay does.
#[derive(Clone, Debug)]
struct State {
    target: String,
    to_server: Road,
    to_client: Road,
    /// Of the connections every other one is not delayed.
    by_half: bool,
    /// Connections below this number are silent for ever.
    forgotten: usize,
    /// Whether connections are reset as soon as they are made.
    refuses: bool,
    /// Whether connections are not even made; they wait with those that fill the queue.
    unanswered: bool,
    fillers: HashSet<SocketAddr>,
    /// How often all connections were closed, and how often they were reset.
    closed: u64,
    resets: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Road {
    silent: bool,
    delay: Duration,
}

impl State {
    fn new(target: &str) -> Self {
        Self {
            target: target.trim_start_matches("http://").to_owned(),
            to_server: Road::default(),
            to_client: Road::default(),
            by_half: false,
            forgotten: 0,
            refuses: false,
            unanswered: false,
            fillers: HashSet::new(),
            closed: 0,
            resets: 0,
        }
    }

    fn road(&self, number: usize, direction: Direction) -> Road {
        let mut road = match direction {
            Direction::ToServer => self.to_server,
            Direction::ToClient | Direction::Both => self.to_client,
        };
        road.silent |= number < self.forgotten;
        if self.by_half && number.is_multiple_of(2) {
            road.delay = Duration::ZERO;
        }
        road
    }

    fn change(&mut self, direction: Direction, change: impl Fn(&mut Road)) {
        if direction != Direction::ToClient {
            change(&mut self.to_server);
        }
        if direction != Direction::ToServer {
            change(&mut self.to_client);
        }
    }
}

/// Passes bytes on in both directions until it is told otherwise. Ends with its drop.
#[derive(Debug)]
pub struct Relay {
    /// Where clients connect, as `http://127.0.0.1:port`.
    pub address: String,
    opened: Arc<AtomicUsize>,
    state: watch::Sender<State>,
    listener: Arc<TcpListener>,
    fillers: Vec<TcpStream>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Relay {
    /// A relay to `target`, an address such as `http://127.0.0.1:50051`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        let listener = Arc::new(listener);
        let opened = Arc::<AtomicUsize>::default();
        let (state, _) = watch::channel(State::new(target));
        let (stop, stopped) = oneshot::channel();
        let accepting = accept(
            Arc::clone(&listener),
            Arc::clone(&opened),
            state.clone(),
            stopped,
        );
        Self {
            address: format!("http://127.0.0.1:{port}"),
            opened,
            state,
            listener,
            fillers: Vec::new(),
            stop,
            task: tokio::spawn(accepting),
        }
    }

    /// Host and port, without the scheme.
    pub fn authority(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    /// Connections that clients have opened so far.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// Cuts every connection that is open now; new ones are passed on.
    pub fn sever(&self) {
        self.state.send_modify(|state| state.closed += 1);
    }

    /// Resets every connection that is open now, to both sides; new ones are passed on.
    pub fn reset(&self) {
        self.state.send_modify(|state| state.resets += 1);
    }

    /// Resets every connection that is open now, and each new one as soon as it is made.
    pub fn refuse(&self) {
        self.state.send_modify(|state| {
            state.resets += 1;
            state.refuses = true;
        });
    }

    /// Keeps every connection, new ones too, and passes nothing on.
    pub fn silence(&self, direction: Direction) {
        self.state
            .send_modify(|state| state.change(direction, |road| road.silent = true));
    }

    /// Keeps every connection that is open now and never passes anything on for it again, [healed](Self::heal) or not; new
    /// ones are passed on. So does a firewall that was restarted.
    pub fn forget(&self) {
        let opened = self.opened();
        self.state.send_modify(|state| state.forgotten = opened);
    }

    /// Passes everything on so much later.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.state
            .send_modify(|state| state.change(direction, |road| road.delay = delay));
    }

    /// Passes on so much later what every other connection says, so that it arrives after what the others said later.
    pub fn delay_half(&self, delay: Duration) {
        self.state.send_modify(|state| {
            state.change(Direction::Both, |road| road.delay = delay);
            state.by_half = true;
        });
    }

    /// Passes new connections on to `target` from now on. Those that are open stay with whom they have.
    pub fn retarget(&self, target: &str) {
        let target = State::new(target).target;
        self.state.send_modify(|state| state.target = target);
    }

    /// Cuts every connection that is open now, and passes new ones on to `target`.
    pub fn lead_to(&self, target: &str) {
        self.retarget(target);
        self.sever();
    }

    /// Does not even answer who connects from now on, as if nobody were there. What is open stays as it is.
    ///
    /// # Panics
    /// When the system refuses.
    pub async fn ignore(&mut self) {
        self.state.send_modify(|state| state.unanswered = true);
        // Who connects while the queue of the listener is full is not answered.
        rustix::net::listen(&*self.listener, 0).expect("a listener can be told again");
        loop {
            let filler = TcpStream::connect(self.authority());
            let Ok(filler) = tokio::time::timeout(UNANSWERED, filler).await else {
                return;
            };
            let filler = filler.expect("the listener is there");
            let address = filler.local_addr().expect("a connection has an address");
            self.state
                .send_modify(|state| _ = state.fillers.insert(address));
            self.fillers.push(filler);
        }
    }

    /// Passes everything on at once, to the present target. What was held back comes first.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn heal(&mut self) {
        self.fillers.clear();
        rustix::net::listen(&*self.listener, BACKLOG).expect("a listener can be told again");
        self.state.send_modify(|state| {
            state.to_server = Road::default();
            state.to_client = Road::default();
            state.by_half = false;
            state.refuses = false;
            state.unanswered = false;
        });
    }

    /// Cuts every connection, without a word to either side, and accepts no more.
    pub async fn cut(self) {
        _ = self.stop.send(());
        _ = self.task.await;
    }
}

async fn accept(
    listener: Arc<TcpListener>,
    opened: Arc<AtomicUsize>,
    state: watch::Sender<State>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    let mut seen = state.subscribe();
    loop {
        let unanswered = seen.borrow_and_update().unanswered;
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            _ = seen.changed() => {}
            accepted = listener.accept(), if !unanswered => {
                let Ok((client, address)) = accepted else { break };
                if state.send_if_modified(|state| state.fillers.remove(&address)) {
                    continue;
                }
                let number = opened.fetch_add(1, Ordering::SeqCst);
                if state.borrow().refuses {
                    _ = client.set_zero_linger();
                    continue;
                }
                connections.spawn(pump::pass_on(number, client, state.subscribe()));
                while connections.try_join_next().is_some() {}
            }
        }
    }
    // Once the tasks are gone their sockets are closed.
    connections.shutdown().await;
}
