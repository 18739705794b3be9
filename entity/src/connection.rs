//! Another site that tables are exchanged with.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "connection")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    /// What people call it.
    pub name: String,
    /// The part that the local site plays.
    pub direction: String,
    /// Address of the other site.
    pub site_url: String,
    /// Where it stands.
    pub status: String,
    /// When it was created.
    pub inserted_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// 1 when created, one more with every change.
    pub revision: i64,
    /// Which of its transfers need an approval.
    pub approval_mode: String,
    /// The only tables that may be moved, as a JSON array; empty is all.
    pub allowed_tables: String,
    /// Tables that may not be moved, as a JSON array.
    pub excluded_tables: String,
    /// Tables that need no approval where the mode is by table, as a JSON array.
    pub auto_approve_tables: String,
    /// Whether case matters to these lists; absent where each is read by its own rule.
    pub table_case: Option<String>,
    /// When it ends by itself.
    pub expires_at: Option<i64>,
    /// Transfers that may be started.
    pub max_transfers: Option<i64>,
    /// Records that all transfers together may move.
    pub max_records_total: Option<i64>,
    /// Records that one transfer may ask for and move.
    pub max_records_per_request: Option<i64>,
    /// Calls in a minute that its agents may make.
    pub rate_limit_requests_per_minute: Option<i32>,
    /// The only addresses that may create and start, as a JSON array of CIDR blocks; empty is all.
    pub ip_allowlist: String,
    /// When transfers may be created and started.
    pub allowed_hours: Option<String>,
    /// The strategy of transfers that are created without one.
    pub default_conflict_strategy: Option<String>,
    /// The timeout of transfers that are started without one, in microseconds.
    pub heartbeat_timeout: Option<i64>,
    /// Whether an initiator may approve.
    pub self_approval: bool,
    /// The operators' notes, as JSON.
    pub metadata: String,
    /// Why it was suspended or revoked.
    pub status_reason: String,
    /// Transfers that count against the limit.
    pub transfers_used: i64,
    /// Records that count against the limit.
    pub records_used: i64,
}

/// No relations: transfers name connections that may be gone.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
