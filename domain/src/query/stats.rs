//! Statistics: which transfers they are of, and what they say.

use super::TransferFilter;
use crate::{
    caller::ConnectionScope,
    stats::Durations,
    status::{Direction, TransferStatus},
    time::Timestamp,
};

/// The sums of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Transfers by status; statuses that do not occur are left out.
    pub by_status: Vec<(TransferStatus, i64)>,
    /// Sum of `records_transferred`, at most the largest i64.
    pub total_records: i64,
    /// Sum of `bytes_transferred`, at most the largest i64.
    pub total_bytes: i64,
    /// How long completed transfers took.
    pub durations: Option<Durations>,
    /// When the last of them was completed.
    pub last_completed_at: Option<Timestamp>,
}

impl ConnectionStats {
    /// Transfers in every status.
    pub fn total(&self) -> i64 {
        self.by_status.iter().map(|(_, count)| count).sum()
    }

    /// The completed among those that have ended; `None` when none has.
    pub fn success_rate(&self) -> Option<f64> {
        let ended = self.by_status.iter().filter(|(it, _)| it.is_terminal());
        let ended = ended.map(|(_, count)| count).sum();
        ratio(self.count(TransferStatus::Completed), ended)
    }

    /// Transfers in one status.
    pub fn count(&self, status: TransferStatus) -> i64 {
        self.by_status
            .iter()
            .find_map(|(each, count)| (*each == status).then_some(*count))
            .unwrap_or(0)
    }
}

/// `part` of `whole`, from 0 to 1; `None` of nothing.
#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
pub fn ratio(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Which transfers to sum up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatsFilter {
    /// Only this direction.
    pub direction: Option<Direction>,
    /// Only those of these connections.
    pub connections: ConnectionScope,
    /// Only those created then or later.
    pub from: Option<Timestamp>,
    /// Only those created then or earlier.
    pub to: Option<Timestamp>,
}

impl StatsFilter {
    /// Those in one status.
    pub fn of(&self, status: TransferStatus) -> TransferFilter {
        TransferFilter {
            direction: self.direction,
            status: vec![status],
            connections: self.connections,
            from: self.from,
            to: self.to,
            ..TransferFilter::default()
        }
    }
}

/// The sums of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// The table.
    pub table_name: String,
    /// Completed transfers of it.
    pub count: i64,
    /// Sum of their `records_transferred`, at most the largest i64.
    pub records: i64,
    /// Sum of their `bytes_transferred`, at most the largest i64.
    pub bytes: i64,
    /// Transfers of it that have ended, completed or not.
    pub ended: i64,
    /// How long completed transfers took.
    pub durations: Option<Durations>,
    /// When the last of them was completed.
    pub last_completed_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_of_a_connection_are_told_by_status() {
        let stats = ConnectionStats {
            by_status: vec![(TransferStatus::Pending, 2), (TransferStatus::Failed, 3)],
            ..ConnectionStats::default()
        };
        assert_eq!(stats.total(), 5);
        assert_eq!(stats.count(TransferStatus::Failed), 3);
        assert_eq!(stats.count(TransferStatus::Denied), 0);
        assert_eq!(stats.success_rate(), Some(0.0));
        let by_status = vec![
            (TransferStatus::Pending, 5),
            (TransferStatus::Completed, 3),
            (TransferStatus::Expired, 1),
        ];
        let stats = ConnectionStats { by_status, ..stats };
        assert_eq!(stats.success_rate(), Some(0.75));
        assert_eq!(ConnectionStats::default().success_rate(), None);
    }
}
