//! `tidegate transfer watch`: transfers to their ends, or all of them until interrupted.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream::SelectAll};
use serde_json::json;
use tidegate_client::{
    Client, Error, Transfer, TransferStatus, TransferWatch, TransfersWatch, WatchUpdate,
};
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::{away::Away, resolve};
use crate::args::WatchArgs;
use crate::board::{Board, Followed};
use crate::failure::Failure;
use crate::output::{Look, Output};
use crate::progress::line;
use crate::text;
use crate::view::followed::COLUMNS;

/// What is drawn or told about transfers that were named comes at most so often.
const LINE_INTERVAL: Duration = Duration::from_secs(1);
const DRAW_INTERVAL: Duration = Duration::from_millis(100);

const RESTARTED: &str = "what was shown may not have happened: the ledger went back or has another past; all that \
     exists follows";

/// Follows what is meant.
///
/// # Errors
/// [`Failure::Ended`] when what was named came to another end than COMPLETED; for all transfers always, in the end.
pub(super) async fn run(client: &Client, args: WatchArgs, out: &mut Output) -> Result<(), Failure> {
    let watched = if args.ids.is_empty() {
        let request = client
            .transfers()
            .watch_all()
            .filter(resolve::filter(client, args.filter).await?)
            .include_existing(args.include_existing);
        Watched::All(request.into_stream())
    } else {
        let found = resolve::transfers(client, &args.ids).await?;
        let uuids: BTreeSet<Uuid> = found.into_iter().collect::<Result<_, _>>()?;
        Watched::Named(
            uuids
                .into_iter()
                .map(|uuid| client.transfers().watch(uuid))
                .collect(),
        )
    };
    let mut follower = Follower::new(watched, out);
    follower.follow(out).await
}

/// Where the news come from.
enum Watched {
    Named(SelectAll<TransferWatch>),
    All(TransfersWatch),
}

impl Watched {
    async fn next(&mut self) -> Option<Result<WatchUpdate, Error>> {
        match self {
            Self::Named(watches) => {
                let transfer = watches.next().await?;
                Some(transfer.map(|transfer| WatchUpdate::Transfer(Box::new(transfer))))
            }
            Self::All(watch) => watch.next().await,
        }
    }

    fn interruption(&self) -> Option<Error> {
        match self {
            Self::Named(watches) => watches.iter().find_map(TransferWatch::interruption),
            Self::All(watch) => watch.interruption(),
        }
    }
}

/// How the changes are shown.
enum Shown {
    /// Each on a line.
    Each,
    /// A line for each transfer at most every second, and one at its end.
    Lines,
    /// A table of what is under way, and a line above it for what has ended.
    Table,
}

struct Follower {
    watched: Watched,
    shown: Shown,
    /// Whether lines have to say which transfer they are about.
    is_alone: bool,
    board: Board,
    /// What is to be told when it is time.
    due: BTreeSet<Uuid>,
    ends: BTreeMap<Uuid, TransferStatus>,
    away: Away,
}

impl Follower {
    fn new(watched: Watched, out: &Output) -> Self {
        let is_named = matches!(watched, Watched::Named(_));
        let shown = if out.is_for_programs() {
            Shown::Each
        } else if out.can_draw() {
            Shown::Table
        } else if is_named {
            Shown::Lines
        } else {
            Shown::Each
        };
        Self {
            is_alone: matches!(&watched, Watched::Named(watches) if watches.len() == 1),
            watched,
            shown,
            board: Board::default(),
            due: BTreeSet::new(),
            ends: BTreeMap::new(),
            away: Away::default(),
        }
    }

    async fn follow(&mut self, out: &mut Output) -> Result<(), Failure> {
        let pause = if matches!(self.shown, Shown::Table) {
            DRAW_INTERVAL
        } else {
            LINE_INTERVAL
        };
        let mut tick = interval(pause);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                update = self.watched.next() => match update {
                    Some(update) => self.tell(update?, out)?,
                    None => break,
                },
                _ = tick.tick() => self.tick(out)?,
            }
        }
        out.undraw()?;
        self.outcome()
    }

    fn tell(&mut self, update: WatchUpdate, out: &mut Output) -> Result<(), Failure> {
        match update {
            WatchUpdate::Transfer(transfer) => self.changed(*transfer, out),
            WatchUpdate::Deleted(uuid) => {
                self.board.forget(uuid);
                let deleted = json!({ "deletedUuid": uuid });
                let words = |look: &Look| format!("{}  deleted", look.id(uuid));
                print(out, |out| out.news(&deleted, words, "deleted"))
            }
            WatchUpdate::Restarted => {
                self.board.clear();
                let words = |_: &Look| RESTARTED.to_owned();
                let restarted = json!({ "restarted": true });
                print(out, |out| {
                    out.news(&restarted, words, "may not have happened")
                })
            }
            _ => Ok(()),
        }
    }

    fn changed(&mut self, transfer: Transfer, out: &mut Output) -> Result<(), Failure> {
        let (uuid, now) = (transfer.uuid, Instant::now());
        if matches!(self.shown, Shown::Each) {
            // One at a time, so that nothing has to be remembered.
            return self.print(&Followed::new(transfer, now), out);
        }
        let Some(ended) = self.board.tell(transfer, now) else {
            self.due.insert(uuid);
            return Ok(());
        };
        self.due.remove(&uuid);
        self.print(&ended, out)
    }

    /// A line about one.
    fn print(&mut self, followed: &Followed, out: &mut Output) -> Result<(), Failure> {
        let transfer = &followed.transfer;
        if transfer.status.is_terminal() {
            self.ends.insert(transfer.uuid, transfer.status);
        }
        let words = |look: &Look| {
            let line = line(transfer, look);
            if self.is_alone {
                line
            } else {
                format!("{}  {line}", look.id(transfer.uuid))
            }
        };
        let status = transfer.status.to_string();
        print(out, |out| out.news(transfer, words, &status))
    }

    fn tick(&mut self, out: &mut Output) -> Result<(), Failure> {
        self.board.tick(Instant::now(), text::now());
        let away = self.away.look(self.watched.interruption());
        if matches!(self.shown, Shown::Table) {
            let words = match away {
                Some(words) => words,
                // What was named is heard of at once.
                None if self.board.rows().is_empty() && self.is_endless() => {
                    "nothing heard of yet that is under way".to_owned()
                }
                None => String::new(),
            };
            return out.draw(self.board.rows(), COLUMNS, &words);
        }
        self.away.say();
        let due = std::mem::take(&mut self.due);
        let board = std::mem::take(&mut self.board);
        for followed in board.rows() {
            if due.contains(&followed.transfer.uuid) {
                self.print(followed, out)?;
            }
        }
        self.board = board;
        Ok(())
    }

    fn is_endless(&self) -> bool {
        matches!(self.watched, Watched::All(_))
    }

    /// What the ends of those that were named mean.
    fn outcome(&self) -> Result<(), Failure> {
        if self.is_endless() || self.ends.is_empty() {
            return Err(Failure::WatchEnded);
        }
        let others = self.ends.values();
        let others: Vec<TransferStatus> = others
            .filter(|status| **status != TransferStatus::Completed)
            .copied()
            .collect();
        match others.as_slice() {
            [] => Ok(()),
            [first, rest @ ..] if rest.iter().all(|status| status == first) => {
                Err(Failure::Ended(*first))
            }
            _ => Err(Failure::Told(1)),
        }
    }
}

/// Prints something above what is drawn.
fn print(
    out: &mut Output,
    print: impl FnOnce(&mut Output) -> Result<(), Failure>,
) -> Result<(), Failure> {
    out.undraw()?;
    print(out)
}
