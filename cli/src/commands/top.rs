//! `tidegate top`: asks the server, listens to the keyboard, and does what `crate::top` says.

use std::{
    collections::HashMap,
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event},
};
use tidegate_client::{
    Client, Error, Transfer, TransferFilter, TransferStatus, TransfersWatch, WatchUpdate,
};
use tokio::{sync::mpsc, time::interval};
use uuid::Uuid;

use super::{With as _, approval::people, away::Away};
use crate::failure::Failure;
use crate::output::{Look, Output, has_colour};
use crate::text;
use crate::top::{Order, TICK, Top, Verb, draw};

/// Names are asked for at most so often.
const NAMES_INTERVAL: Duration = Duration::from_secs(10);
/// So many connections are asked for their names.
const MOST_NAMES: u32 = 1_000;
/// More often nobody looks.
const DRAW_INTERVAL: Duration = Duration::from_millis(50);
/// Exit code of a process that SIGTERM ends.
const TERMINATED: u8 = 143;

type Names = HashMap<Uuid, String>;

/// Shows what happens until somebody has seen enough.
pub(super) async fn run(client: &Client, admin: Option<Uuid>, out: &Output) -> Result<(), Failure> {
    let is_seen = io::stdin().is_terminal() && out.can_draw();
    if !is_seen {
        let text = "top needs a terminal; tidegate transfer watch --all goes anywhere";
        return Err(Failure::Usage(text.to_owned()));
    }
    // What is not active needs nobody's eye, and what has ended is in the lists.
    let statuses = TransferStatus::ALL.iter().copied().filter(|status| {
        let rests = matches!(status, TransferStatus::Pending | TransferStatus::Approved);
        !status.is_terminal() && !rests
    });
    let filter = TransferFilter {
        status: statuses.collect(),
        ..TransferFilter::default()
    };
    let watch = client.transfers().watch_all().filter(filter);
    let watch = watch.include_existing(true).into_stream();
    let screen = Screen::open()?;
    Desk::new(client, admin, watch, screen).serve().await
}

/// The terminal while it is ours. It is given back however this ends: by the end, by a signal, and by a panic, for which
/// there is a hook.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> Result<Self, Failure> {
        Ok(Self(ratatui::try_init()?))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

struct Desk {
    client: Client,
    admin: Option<Uuid>,
    watch: TransfersWatch,
    screen: Screen,
    top: Top,
    away: Away,
    has_colour: bool,
    names_asked: Option<Instant>,
    names: FuturesUnordered<BoxFuture<'static, Names>>,
    orders: FuturesUnordered<BoxFuture<'static, Result<Transfer, Error>>>,
}

impl Desk {
    fn new(client: &Client, admin: Option<Uuid>, watch: TransfersWatch, screen: Screen) -> Self {
        Self {
            client: client.clone(),
            admin,
            watch,
            screen,
            top: Top::new(client.address().to_owned()),
            away: Away::default(),
            has_colour: has_colour(&io::stdout()),
            names_asked: None,
            names: FuturesUnordered::new(),
            orders: FuturesUnordered::new(),
        }
    }

    async fn serve(mut self) -> Result<(), Failure> {
        let mut keys = keyboard();
        let mut tick = interval(TICK);
        let mut frame = interval(DRAW_INTERVAL);
        let mut is_new = true;
        let ended = terminated();
        tokio::pin!(ended);
        loop {
            tokio::select! {
                update = self.watch.next() => {
                    let update = update.ok_or(Failure::WatchEnded)?;
                    self.tell(update?);
                    is_new = true;
                }
                event = keys.recv() => {
                    let event = event.ok_or_else(|| io::Error::other("the keyboard is gone"))??;
                    if self.obey(event) {
                        return Ok(());
                    }
                    is_new = true;
                }
                Some(done) = self.orders.next() => {
                    self.report(done);
                    is_new = true;
                }
                Some(names) = self.names.next() => {
                    for (uuid, name) in names {
                        self.top.name(uuid, name);
                    }
                    is_new = true;
                }
                _ = tick.tick() => {
                    self.top.tick(Instant::now(), text::now());
                    let why = self.away.look(self.watch.interruption());
                    self.top.interrupted(why);
                    is_new = true;
                }
                _ = frame.tick(), if is_new => {
                    let Self { top, screen, has_colour, .. } = &mut self;
                    screen.0.draw(|frame| draw(frame, top, *has_colour))?;
                    is_new = false;
                }
                () = &mut ended => return Err(Failure::Told(TERMINATED)),
            }
        }
    }

    fn tell(&mut self, update: WatchUpdate) {
        match update {
            WatchUpdate::Transfer(transfer) => self.top.tell(*transfer, Instant::now()),
            WatchUpdate::Deleted(uuid) => self.top.forget(uuid),
            WatchUpdate::CaughtUp => self.top.begin(),
            WatchUpdate::Restarted => self.top.restart(),
            _ => {}
        }
        let is_due = self
            .names_asked
            .is_none_or(|asked| asked.elapsed() >= NAMES_INTERVAL);
        if is_due && self.top.lacks_names() {
            self.names_asked = Some(Instant::now());
            self.names.push(names(self.client.clone()).boxed());
        }
    }

    /// Does what a key says; whether that is the end.
    fn obey(&mut self, event: Event) -> bool {
        let Event::Key(key) = event else {
            return false;
        };
        match self.top.press(key) {
            Some(Order::Quit) => return true,
            Some(Order::Do {
                verb,
                uuid,
                revision,
                text,
            }) => {
                let text = Some(text).filter(|text| !text.is_empty());
                self.orders.push(self.order(verb, uuid, revision, text));
            }
            None => {}
        }
        false
    }

    fn order(
        &self,
        verb: Verb,
        uuid: Uuid,
        revision: i64,
        text: Option<String>,
    ) -> BoxFuture<'static, Result<Transfer, Error>> {
        let client = &self.client;
        match verb {
            Verb::Approve => client
                .approvals()
                .approve(uuid)
                .revision(revision)
                .with(self.admin, |call, person| call.on_behalf_of(person))
                .with(text, |call, text| call.comment(text))
                .into_future(),
            Verb::Deny => client
                .approvals()
                .deny(uuid)
                .revision(revision)
                .with(self.admin, |call, person| call.on_behalf_of(person))
                .with(text, |call, text| call.reason(text))
                .into_future(),
            Verb::Cancel => client
                .transfers()
                .cancel(uuid)
                .with(text, |call, text| call.reason(text))
                .into_future(),
        }
    }

    fn report(&mut self, done: Result<Transfer, Error>) {
        match done {
            Ok(transfer) => {
                let id = Look::new(true).id(transfer.uuid);
                let Transfer {
                    table_name, status, ..
                } = &transfer;
                self.top
                    .say(format!("{id} {table_name} is {status}"), false);
                self.top.tell(transfer, Instant::now());
            }
            Err(error) => {
                let lines = Failure::from(error).lines();
                let line = lines.first().map(String::as_str).unwrap_or_default();
                self.top.say(line.trim_start_matches("error: "), true);
            }
        }
    }
}

/// What the terminal tells, from a thread of its own: reading it cannot be given up.
fn keyboard() -> mpsc::UnboundedReceiver<io::Result<Event>> {
    let (tell, told) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        loop {
            let event = event::read();
            let is_last = event.is_err();
            if tell.send(event).is_err() || is_last {
                return;
            }
        }
    });
    told
}

/// What connections and the holders of credentials are called, as far as the caller may know.
async fn names(client: Client) -> Names {
    let mut names = people(&client).await;
    let connections = client.connections().list().page_size(MOST_NAMES).await;
    let known = connections.map(|page| page.items).unwrap_or_default();
    names.extend(known.into_iter().map(|it| (it.uuid, it.name)));
    names
}

/// Until somebody asks the process to end.
#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};

    let (Ok(mut terminate), Ok(mut hang_up)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}
