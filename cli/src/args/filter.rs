//! Transfers by what they have in common.

use chrono::{DateTime, Utc};
use clap::Args;
use tidegate_client::{Direction, ReconciliationState, TimeRange, TransferFilter, TransferStatus};
use uuid::Uuid;

use super::{Which, value, which};

/// Which transfers are meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct FilterArgs {
    /// Only this direction.
    #[arg(long, value_parser = value::direction())]
    direction: Option<Direction>,
    /// Only these statuses, e.g. failed; may be repeated or separated by commas.
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = value::status)]
    status: Vec<TransferStatus>,
    /// Only those of this connection, by name or id.
    #[arg(long, value_name = "CONNECTION", value_parser = which::id_or_name)]
    pub(crate) connection: Option<Which>,
    /// Only those of this table; may be repeated.
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,
    /// Only those of tables whose names begin with this.
    #[arg(long, value_name = "TEXT")]
    table_prefix: Option<String>,
    /// Only those that require an approval, or do not.
    #[arg(long, value_name = "true|false")]
    requires_approval: Option<bool>,
    /// Only those created at this time or later, e.g. 2h ago as 2h, yesterday, or 2026-01-31T08:00:00Z.
    #[arg(long, visible_alias = "since", value_name = "TIME", value_parser = value::past)]
    from: Option<DateTime<Utc>>,
    /// Only those created at this time or earlier, e.g. 2h ago as 2h, yesterday, or 2026-01-31T08:00:00Z.
    #[arg(long, visible_alias = "until", value_name = "TIME", value_parser = value::past)]
    to: Option<DateTime<Utc>>,
    /// Only those started at this time or later.
    #[arg(long, value_name = "TIME", value_parser = value::past)]
    started_from: Option<DateTime<Utc>>,
    /// Only those started at this time or earlier.
    #[arg(long, value_name = "TIME", value_parser = value::past)]
    started_to: Option<DateTime<Utc>>,
    /// Only those that ended at this time or later.
    #[arg(long, value_name = "TIME", value_parser = value::past)]
    ended_from: Option<DateTime<Utc>>,
    /// Only those that ended at this time or earlier.
    #[arg(long, value_name = "TIME", value_parser = value::past)]
    ended_to: Option<DateTime<Utc>>,
    /// Only those that changed last at this time or later.
    #[arg(long, value_name = "TIME", value_parser = value::past)]
    updated_from: Option<DateTime<Utc>>,
    /// Only those that changed last at this time or earlier.
    #[arg(long, value_name = "TIME", value_parser = value::past)]
    updated_to: Option<DateTime<Utc>>,
    /// Only those that this person or agent asked for.
    #[arg(long, value_name = "UUID")]
    initiated_by: Option<Uuid>,
    /// Only those that this person approved or denied.
    #[arg(long, value_name = "UUID")]
    decided_by: Option<Uuid>,
    /// Only those that this credential runs, or ran last.
    #[arg(long, value_name = "UUID")]
    owner: Option<Uuid>,
    /// Only those in which records failed, or none did.
    #[arg(long, value_name = "true|false")]
    partial: Option<bool>,
    /// Only those of this movement: both sides, and the tries of each.
    #[arg(long, value_name = "UUID")]
    correlation: Option<Uuid>,
    /// Only those of this plan.
    #[arg(long, value_name = "UUID")]
    plan: Option<Uuid>,
    /// Only those whose sides agree like this, as far as their receipts say.
    #[arg(long, value_parser = value::reconciliation())]
    reconciliation: Option<ReconciliationState>,
}

impl FilterArgs {
    /// The same in the client's words, with the connection that is meant.
    pub(crate) fn to_filter(&self, connection: Option<Uuid>) -> TransferFilter {
        TransferFilter {
            direction: self.direction,
            status: self.status.clone(),
            connection_uuid: connection,
            tables: self.table.clone(),
            table_prefix: self.table_prefix.clone(),
            requires_approval: self.requires_approval,
            from: self.from,
            to: self.to,
            started: TimeRange {
                from: self.started_from,
                to: self.started_to,
            },
            ended: TimeRange {
                from: self.ended_from,
                to: self.ended_to,
            },
            updated: TimeRange {
                from: self.updated_from,
                to: self.updated_to,
            },
            initiated_by_uuid: self.initiated_by,
            decided_by_uuid: self.decided_by,
            lease_owner_uuid: self.owner,
            partial: self.partial,
            correlation_uuid: self.correlation,
            plan_uuid: self.plan,
            reconciliation: self.reconciliation,
        }
    }
}

/// Transfers that something is done to: those that are named, or all that a filter means and that it can be done to.
#[derive(Clone, Debug, Args)]
pub(crate) struct MeantArgs {
    /// The transfers: their ids, or 6 or more characters of each that no other transfer's id has. Without any, all that
    /// the filter means.
    #[arg(
        value_name = "ID",
        required_unless_present = "FilterArgs",
        conflicts_with = "FilterArgs",
        value_parser = which::id
    )]
    pub(crate) ids: Vec<Which>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Lists those that the filter means, and does nothing.
    #[arg(long, requires = "FilterArgs")]
    pub(crate) dry_run: bool,
}
