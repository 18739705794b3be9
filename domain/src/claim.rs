//! Claims: an agent asks for what it may start, and is given it started.

use std::{sync::Arc, time::Duration};

use super::{
    command::{Command, Verb},
    page::Position,
    status::Direction,
    transfer::Transfer,
};
use crate::id::{ConnectionId, TransferId};

/// Most transfers that one claim may start.
pub const MAX: u32 = 100;
/// Most tables that one may name.
pub const TABLES_MAX: usize = 100;
/// Shortest and longest time that one may wait.
pub const WAIT: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(60));

/// Which transfers a claim is about. Unset is no condition, but for the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimFilter {
    /// Only those of this connection; `None` is those without one.
    pub connection_uuid: Option<ConnectionId>,
    /// Only this direction.
    pub direction: Option<Direction>,
    /// Only these tables; empty is any.
    pub table_names: Vec<String>,
}

impl ClaimFilter {
    /// Whether `transfer` is meant, and waits for nothing but its time.
    pub fn awaits(&self, transfer: &Transfer) -> bool {
        let declared = &transfer.declared;
        declared.connection_uuid == self.connection_uuid
            && self.direction.is_none_or(|it| it == declared.direction)
            && (self.table_names.is_empty() || self.table_names.contains(&declared.table_name))
            && transfer.is_queued()
    }
}

/// A place in the order in which transfers are claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimPosition {
    /// The highest comes first.
    pub priority: i64,
    /// Among those the oldest.
    pub created: Position,
}

impl From<&Transfer> for ClaimPosition {
    fn from(transfer: &Transfer) -> Self {
        Self {
            priority: transfer.declared.priority,
            created: Position {
                micros: transfer.inserted_at.as_micros(),
                uuid: transfer.uuid.into(),
            },
        }
    }
}

/// Start what may be started of some transfers, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which are meant.
    pub filter: ClaimFilter,
    /// The most to start.
    pub max: u32,
    /// How long the agent may stay silent, as in [`Verb::Start`].
    pub heartbeat_timeout: Option<Duration>,
    /// What the agent calls itself; may be empty.
    pub agent_instance: String,
    /// Those that could be started when somebody looked.
    pub candidates: Vec<TransferId>,
}

impl Claim {
    /// What is done to each.
    pub fn start(&self) -> Verb {
        Verb::Start {
            heartbeat_timeout: self.heartbeat_timeout,
            agent_instance: self.agent_instance.clone(),
            owner_uuid: None,
        }
    }
}

impl Command for Claim {
    /// Those that were started, in the order in which they were chosen. A repetition names those that still exist.
    type Answer = Vec<Arc<Transfer>>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decide::decide,
        fixtures::{id, stop_order, transfer as sample},
        status::TransferStatus,
        stop::StopKind,
        time::Timestamp,
    };

    #[test]
    fn a_claim_waits_for_what_its_filter_means() {
        let all = ClaimFilter::default();
        let narrow = ClaimFilter {
            connection_uuid: None,
            direction: Some(Direction::Send),
            table_names: vec!["orders".to_owned(), "characters".to_owned()],
        };
        let transfer = sample();
        assert!(all.awaits(&transfer) && narrow.awaits(&transfer));
        let mut other = sample();
        other.declared.table_name = "Characters".to_owned();
        assert!(all.awaits(&other) && !narrow.awaits(&other));
        let mut other = sample();
        other.declared.direction = Direction::Receive;
        assert!(all.awaits(&other) && !narrow.awaits(&other));
        let mut other = sample();
        other.declared.connection_uuid = Some(id(1));
        assert!(!all.awaits(&other), "one that belongs to a connection");
    }

    #[test]
    fn what_waits_for_somebody_is_not_claimed() {
        let all = ClaimFilter::default();
        for (status, asks, awaited) in [
            (TransferStatus::Pending, false, true),
            (TransferStatus::Pending, true, false),
            (TransferStatus::PendingApproval, true, false),
            (TransferStatus::Approved, true, true),
            (TransferStatus::InProgress, false, false),
            (TransferStatus::Cancelled, false, false),
        ] {
            let mut transfer = sample();
            (transfer.status, transfer.requires_approval) = (status, asks);
            assert_eq!(all.awaits(&transfer), awaited, "{status} {asks}");
        }
        let pause = Verb::Stop(stop_order(StopKind::Pause));
        let paused = decide(&sample(), &pause, Timestamp::from_micros(1_000_000));
        let Ok(crate::decide::Change::Transition(paused, _)) = paused else {
            panic!("it can be paused: {paused:?}");
        };
        assert!(!all.awaits(&paused), "it is paused");
    }
}
