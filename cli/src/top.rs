//! `tidegate top`: what is active and what waits for approval, and the keys to decide about it. Calls no server: it is
//! told what happens, and answers with what is to be done.

mod draw;
mod keys;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tidegate_client::{Transfer, TransferStatus};
use uuid::Uuid;

pub(crate) use self::draw::draw;
use crate::board::{Board, Followed};
use crate::output::{Grid, Look, lay_out};
use crate::text;
use crate::view::approval::{self, Waiting};
use crate::view::followed;

/// One of the two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pane {
    Active,
    Waiting,
}

/// What can be done to a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Approve,
    Deny,
    Cancel,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Cancel => "cancel",
        }
    }

    /// What is to be typed before it is done.
    fn wants(self) -> &'static str {
        match self {
            Self::Approve => "comment or nothing, then Enter",
            Self::Deny | Self::Cancel => "reason, then Enter",
        }
    }
}

/// What is being typed.
#[derive(Clone, Debug)]
struct Asked {
    verb: Verb,
    uuid: Uuid,
    /// The revision that was looked at.
    revision: i64,
    about: String,
    typed: String,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Quit,
    Do {
        verb: Verb,
        uuid: Uuid,
        revision: i64,
        text: String,
    },
}

/// All that is known and shown.
#[derive(Default)]
pub(crate) struct Top {
    address: String,
    active: Board,
    /// Those that wait, nearest deadline first.
    waiting: Vec<Transfer>,
    /// What connections and credentials are called.
    names: HashMap<Uuid, String>,
    is_in_waiting: bool,
    chosen: [Option<Uuid>; 2],
    asked: Option<Asked>,
    said: (String, bool),
    interruption: Option<String>,
    has_begun: bool,
    /// The time at which this is looked at.
    clock: DateTime<Utc>,
}

impl Top {
    /// Nothing is known of this server yet.
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            clock: text::now(),
            ..Self::default()
        }
    }

    /// Takes note of a transfer.
    pub(crate) fn tell(&mut self, transfer: Transfer, now: Instant) {
        let uuid = transfer.uuid;
        self.waiting.retain(|it| it.uuid != uuid);
        match transfer.status {
            TransferStatus::PendingApproval => {
                self.active.forget(uuid);
                self.waiting.push(transfer);
                self.waiting
                    .sort_by_key(|it| (it.approval_expires_at, it.uuid));
            }
            // It has not begun, and needs nobody who decides.
            TransferStatus::Pending | TransferStatus::Approved => self.active.forget(uuid),
            _ => _ = self.active.tell(transfer, now),
        }
    }

    pub(crate) fn forget(&mut self, uuid: Uuid) {
        self.active.forget(uuid);
        self.waiting.retain(|it| it.uuid != uuid);
    }

    /// What was told may not have happened; everything follows anew.
    pub(crate) fn restart(&mut self) {
        self.active.clear();
        self.waiting.clear();
        self.say(
            "the ledger went back or has another past: this is read anew",
            true,
        );
    }

    /// Everything that existed is told.
    pub(crate) fn begin(&mut self) {
        self.has_begun = true;
    }

    /// The answer to an order, or what else is to be said.
    pub(crate) fn say(&mut self, text: impl Into<String>, failed: bool) {
        self.said = (text.into(), failed);
    }

    pub(crate) fn name(&mut self, uuid: Uuid, name: String) {
        self.names.insert(uuid, name);
    }

    /// Whether somebody or something is shown whose name is not known.
    pub(crate) fn lacks_names(&self) -> bool {
        let shown = self.waiting.iter();
        let mut ids = shown.flat_map(|it| [it.connection_uuid, approval::who(it)]);
        ids.any(|id| id.is_some_and(|id| !self.names.contains_key(&id)))
    }

    /// Why nothing is heard of the server, if so.
    pub(crate) fn interrupted(&mut self, why: Option<String>) {
        self.interruption = why;
    }

    /// Brings the moments up to date.
    pub(crate) fn tick(&mut self, now: Instant, clock: DateTime<Utc>) {
        self.active.tick(now, clock);
        self.clock = clock;
    }

    fn look(&self) -> Look {
        Look::at(true, self.clock)
    }

    fn address(&self) -> &str {
        &self.address
    }

    fn interruption(&self) -> Option<&str> {
        self.interruption.as_deref()
    }

    fn has_begun(&self) -> bool {
        self.has_begun
    }

    fn asked(&self) -> Option<&Asked> {
        self.asked.as_ref()
    }

    fn said(&self) -> (&str, bool) {
        (&self.said.0, self.said.1)
    }

    fn pane(&self) -> Pane {
        if self.is_in_waiting {
            Pane::Waiting
        } else {
            Pane::Active
        }
    }

    fn waiting(&self) -> &[Transfer] {
        &self.waiting
    }

    fn active(&self) -> &[Followed] {
        self.active.rows()
    }

    fn active_grid(&self, width: usize) -> Grid {
        lay_out(self.active(), followed::COLUMNS, Some(width), self.look())
    }

    fn waiting_grid(&self, width: usize) -> Grid {
        let waiting = self.waiting.iter().cloned();
        let waiting: Vec<Waiting> = waiting.map(|it| Waiting::new(it, &self.names)).collect();
        lay_out(&waiting, approval::COLUMNS, Some(width), self.look())
    }

    fn uuids(&self, pane: Pane) -> Vec<Uuid> {
        match pane {
            Pane::Active => self.active().iter().map(|it| it.transfer.uuid).collect(),
            Pane::Waiting => self.waiting.iter().map(|it| it.uuid).collect(),
        }
    }

    /// The row that is chosen in a list: the first one, where the chosen one is gone or nothing was chosen.
    fn chosen_row(&self, pane: Pane) -> Option<usize> {
        let uuids = self.uuids(pane);
        let chosen = self.chosen.get(pane as usize).copied().flatten();
        let row = uuids.iter().position(|uuid| Some(*uuid) == chosen);
        row.or_else(|| (!uuids.is_empty()).then_some(0))
    }

    fn chosen_transfer(&self) -> Option<&Transfer> {
        let row = self.chosen_row(self.pane())?;
        match self.pane() {
            Pane::Active => Some(&self.active().get(row)?.transfer),
            Pane::Waiting => self.waiting.get(row),
        }
    }
}

/// How often the moments are brought up to date.
pub(crate) const TICK: Duration = Duration::from_secs(1);
