//! Counters of a transfer: absolute totals that never shrink and do not contradict each other.

use super::{
    outcome::{Phase, RecordProblems},
    status::named,
};

/// What a report says: totals since the start, and more; what it leaves out stays as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows read from the source.
    pub records_transferred: Option<i64>,
    /// Rows that the target did not have.
    pub records_created: Option<i64>,
    /// Rows that changed one in the target.
    pub records_updated: Option<i64>,
    /// Rows left out.
    pub records_skipped: Option<i64>,
    /// Rows that the target refused.
    pub records_failed: Option<i64>,
    /// Bytes moved.
    pub bytes_transferred: Option<i64>,
    /// The part that the run is in.
    pub phase: Option<Phase>,
    /// Records that made trouble, all since the start; empty when they are left out.
    pub problems: Vec<RecordProblems>,
}

/// What is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows read from the source.
    pub records_transferred: i64,
    /// Rows that the target did not have.
    pub records_created: i64,
    /// Rows that changed one in the target.
    pub records_updated: i64,
    /// Rows left out.
    pub records_skipped: i64,
    /// Rows that the target refused.
    pub records_failed: i64,
    /// Bytes moved.
    pub bytes_transferred: i64,
}

/// A reported total that is lower than the stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regression {
    /// The counter's name.
    pub field: &'static str,
    /// What is stored.
    pub stored: i64,
    /// What was reported.
    pub reported: i64,
}

named! {
    /// What the totals of a transfer have to obey.
    TotalsRule {
        /// No row has two outcomes: those created, updated, skipped and failed are at most those transferred.
        OutcomesWithinTransferred = "OUTCOMES_WITHIN_TRANSFERRED",
        /// At completion every row has one, where outcomes are counted at all.
        OutcomesMakeTransferred = "OUTCOMES_MAKE_TRANSFERRED",
        /// No more rows are transferred than were asked for, where the policy says so.
        TransferredWithinRequested = "TRANSFERRED_WITHIN_REQUESTED",
    }
}

/// Totals that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imbalance {
    /// The rule that they break.
    pub rule: TotalsRule,
    /// What it limits.
    pub sum: i64,
    /// The limit.
    pub limit: i64,
}

impl std::fmt::Display for Imbalance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rule, sum, limit } = self;
        match rule {
            TotalsRule::OutcomesWithinTransferred => write!(
                f,
                "created, updated, skipped and failed are {sum} records, of {limit} transferred"
            ),
            TotalsRule::OutcomesMakeTransferred => write!(
                f,
                "created, updated, skipped and failed are {sum} records, of {limit} transferred: at completion they must \
                 be equal"
            ),
            TotalsRule::TransferredWithinRequested => {
                write!(f, "{sum} records are transferred, of {limit} requested")
            }
        }
    }
}

impl Report {
    /// The counters by name, in the order of the wire.
    pub fn fields(&self) -> [(&'static str, Option<i64>); 6] {
        [
            ("records_transferred", self.records_transferred),
            ("records_created", self.records_created),
            ("records_updated", self.records_updated),
            ("records_skipped", self.records_skipped),
            ("records_failed", self.records_failed),
            ("bytes_transferred", self.bytes_transferred),
        ]
    }

    /// Joins a newer report of the same transfer onto this one, so that one write does for both.
    ///
    /// # Errors
    /// The first counter that would go down; nothing is joined then.
    pub fn join(&self, newer: &Self) -> Result<Self, Regression> {
        let pairs = self.fields().into_iter().zip(newer.fields());
        for ((field, earlier), (_, later)) in pairs {
            if let (Some(stored), Some(reported)) = (earlier, later)
                && reported < stored
            {
                return Err(Regression {
                    field,
                    stored,
                    reported,
                });
            }
        }
        Ok(Self {
            records_transferred: newer.records_transferred.or(self.records_transferred),
            records_created: newer.records_created.or(self.records_created),
            records_updated: newer.records_updated.or(self.records_updated),
            records_skipped: newer.records_skipped.or(self.records_skipped),
            records_failed: newer.records_failed.or(self.records_failed),
            bytes_transferred: newer.bytes_transferred.or(self.bytes_transferred),
            phase: newer.phase.or(self.phase),
            problems: match newer.problems.is_empty() {
                true => self.problems.clone(),
                false => newer.problems.clone(),
            },
        })
    }
}

impl Totals {
    /// The totals after `report`.
    ///
    /// # Errors
    /// The first counter that would go down.
    pub fn advance(&self, report: &Report) -> Result<Self, Regression> {
        let joined = Report::from(*self).join(report)?;
        Ok(Self {
            records_transferred: joined
                .records_transferred
                .unwrap_or(self.records_transferred),
            records_created: joined.records_created.unwrap_or(self.records_created),
            records_updated: joined.records_updated.unwrap_or(self.records_updated),
            records_skipped: joined.records_skipped.unwrap_or(self.records_skipped),
            records_failed: joined.records_failed.unwrap_or(self.records_failed),
            bytes_transferred: joined.bytes_transferred.unwrap_or(self.bytes_transferred),
        })
    }
}

impl Totals {
    /// The records of which it is told what became of them.
    fn outcomes(&self) -> i128 {
        [
            self.records_created,
            self.records_updated,
            self.records_skipped,
            self.records_failed,
        ]
        .map(i128::from)
        .iter()
        .sum()
    }

    /// Whether they can be true, and where `complete`, true of a transfer that is complete. Who counts no outcomes, as a
    /// sender may, has nothing to contradict.
    ///
    /// # Errors
    /// The rule that they break.
    pub fn balance(&self, complete: bool) -> Result<(), Imbalance> {
        let (sum, limit) = (self.outcomes(), self.records_transferred);
        let rule = match complete {
            _ if sum > limit.into() => TotalsRule::OutcomesWithinTransferred,
            true if sum > 0 && sum < limit.into() => TotalsRule::OutcomesMakeTransferred,
            _ => return Ok(()),
        };
        let sum = i64::try_from(sum).unwrap_or(i64::MAX);
        Err(Imbalance { rule, sum, limit })
    }
}

impl From<Totals> for Report {
    fn from(totals: Totals) -> Self {
        Self {
            records_transferred: Some(totals.records_transferred),
            records_created: Some(totals.records_created),
            records_updated: Some(totals.records_updated),
            records_skipped: Some(totals.records_skipped),
            records_failed: Some(totals.records_failed),
            bytes_transferred: Some(totals.bytes_transferred),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_counters_stay() {
        let stored = Totals {
            records_transferred: 5,
            bytes_transferred: 70,
            ..Totals::default()
        };
        let report = Report {
            records_transferred: Some(9),
            ..Report::default()
        };
        let after = stored.advance(&report).expect("it grows");
        assert_eq!(
            after,
            Totals {
                records_transferred: 9,
                ..stored
            }
        );
    }

    #[test]
    fn outcomes_are_of_what_was_transferred() {
        use TotalsRule::{OutcomesMakeTransferred, OutcomesWithinTransferred};
        for (transferred, outcomes, complete, rule) in [
            (0, [0; 4], true, None),
            (9, [0; 4], true, None),
            (9, [4, 3, 1, 1], true, None),
            (9, [4, 3, 1, 0], false, None),
            (9, [4, 3, 1, 0], true, Some(OutcomesMakeTransferred)),
            (9, [4, 3, 1, 2], false, Some(OutcomesWithinTransferred)),
            (9, [4, 3, 1, 2], true, Some(OutcomesWithinTransferred)),
            (0, [0, 0, 0, 1], false, Some(OutcomesWithinTransferred)),
            (i64::MAX, [i64::MAX, 0, 0, 0], true, None),
            (
                i64::MAX,
                [i64::MAX; 4],
                false,
                Some(OutcomesWithinTransferred),
            ),
        ] {
            let [
                records_created,
                records_updated,
                records_skipped,
                records_failed,
            ] = outcomes;
            let totals = Totals {
                records_transferred: transferred,
                records_created,
                records_updated,
                records_skipped,
                records_failed,
                bytes_transferred: 1,
            };
            let broken = totals.balance(complete).err().map(|it| it.rule);
            assert_eq!(broken, rule, "{transferred} {outcomes:?} {complete}");
        }
    }

    #[test]
    fn a_lower_total_is_named() {
        let stored = Totals {
            records_skipped: 5,
            ..Totals::default()
        };
        let report = Report {
            records_skipped: Some(4),
            ..Report::default()
        };
        let regression = stored.advance(&report).expect_err("it shrinks");
        assert_eq!(
            regression,
            Regression {
                field: "records_skipped",
                stored: 5,
                reported: 4
            }
        );
    }

    #[test]
    fn joined_reports_say_what_both_said() {
        let first = Report {
            records_created: Some(3),
            records_failed: Some(1),
            ..Report::default()
        };
        let second = Report {
            records_created: Some(4),
            ..Report::default()
        };
        let joined = first.join(&second).expect("it grows");
        assert_eq!(
            (joined.records_created, joined.records_failed),
            (Some(4), Some(1))
        );
        assert!(second.join(&first).is_err());
        assert_eq!(
            first.join(&first).as_ref(),
            Ok(&first),
            "no news is no step back"
        );
    }
}
