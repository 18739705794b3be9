//! The policy of a connection.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{ApprovalMode, ConflictStrategy, TableCase, text};

/// What a connection's transfers may do. The default lets them do everything.
///
/// The server applies it when a transfer is created and when it is started; the limits on records also to every report.
///
/// ```
/// use tidegate_client::ConnectionPolicy;
///
/// let policy = ConnectionPolicy::default()
///     .allowed_tables(["public.orders", "public.items"])
///     .max_transfers(10)
///     .allowed_hours("22:00-06:00");
/// assert_eq!(policy.max_transfers, Some(10));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[must_use = "a policy does nothing until a connection has it"]
pub struct ConnectionPolicy {
    /// Which transfers start only after an approval.
    pub approval_mode: ApprovalMode,
    /// The tables that may be moved, as patterns such as `public.*`; empty is all.
    pub allowed_tables: Vec<String>,
    /// Tables that may not be moved, as patterns, whatever is allowed.
    pub excluded_tables: Vec<String>,
    /// The tables that need no approval where the mode is by table.
    pub auto_approve_tables: Vec<String>,
    /// Whether case matters to the lists of tables. Unless set, exclusions hold in any case, and what is allowed must be
    /// in the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_case: Option<TableCase>,
    /// When the connection ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// How many transfers may be started.
    #[serde(
        serialize_with = "text::optional_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_transfers: Option<i64>,
    /// How many records all transfers together may move.
    #[serde(
        serialize_with = "text::optional_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_records_total: Option<i64>,
    /// How many records one transfer may ask for and move.
    #[serde(
        serialize_with = "text::optional_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_records_per_request: Option<i64>,
    /// How many calls the connection's agents may make in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_requests_per_minute: Option<i32>,
    /// Addresses and CIDR blocks that may create and start transfers; empty is all.
    pub ip_allowlist: Vec<String>,
    /// When transfers may be created and started: `HH:MM-HH:MM` in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_hours: Option<String>,
    /// The conflict strategy of transfers that are created without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_conflict_strategy: Option<ConflictStrategy>,
    /// The heartbeat timeout of transfers that are started without one. Serialized as `30s`.
    #[serde(
        serialize_with = "text::duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub heartbeat_timeout: Option<Duration>,
    /// Whether whoever initiated a transfer may approve it, too.
    pub self_approval: bool,
    /// How often a transfer that names no number may be started before a lost heartbeat fails it; `None`: once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<i32>,
    /// How long a run that is asked to stop has to confirm it, zero for not at all; `None`: as the server is set.
    /// Serialized as `30s`.
    #[serde(
        serialize_with = "text::duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub stop_grace: Option<Duration>,
    /// How long a transfer may wait for its first start once it may be started; `None`: as the transfer says. Serialized
    /// as `3600s`.
    #[serde(
        serialize_with = "text::duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub start_within: Option<Duration>,
    /// How long a transfer may take from its first start on; `None`: as the transfer says. Serialized as `3600s`.
    #[serde(
        serialize_with = "text::duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub finish_within: Option<Duration>,
    /// How often the server tries a transfer again that failed and may pass; `None`: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<i32>,
    /// How long the server waits before the first retry; `None`: 1 minute. Serialized as `60s`.
    #[serde(
        serialize_with = "text::duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_backoff: Option<Duration>,
    /// Whether a transfer that says how many records it asks for may transfer no more.
    pub limit_to_requested: bool,
    /// How many transfers may run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_running: Option<i32>,
    /// How many transfers one agent may run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_running_per_agent: Option<i32>,
}

impl Default for ConnectionPolicy {
    fn default() -> Self {
        Self {
            approval_mode: ApprovalMode::AutoApprove,
            allowed_tables: Vec::new(),
            excluded_tables: Vec::new(),
            auto_approve_tables: Vec::new(),
            table_case: None,
            expires_at: None,
            max_transfers: None,
            max_records_total: None,
            max_records_per_request: None,
            rate_limit_requests_per_minute: None,
            ip_allowlist: Vec::new(),
            allowed_hours: None,
            default_conflict_strategy: None,
            heartbeat_timeout: None,
            self_approval: false,
            max_attempts: None,
            stop_grace: None,
            start_within: None,
            finish_within: None,
            max_retries: None,
            retry_backoff: None,
            limit_to_requested: false,
            max_running: None,
            max_running_per_agent: None,
        }
    }
}

/// Gives a type the setters of every field of a policy; `$set` stores one, named by its path.
macro_rules! policy_setters {
    ($set:ident) => {
        /// Which transfers start only after an approval.
        pub fn approval_mode(self, mode: $crate::ApprovalMode) -> Self {
            self.$set("approval_mode", |policy| policy.approval_mode = mode)
        }

        /// The only tables that may be moved, as patterns such as `public.*`: at most 1,000 of 255 characters; none is
        /// all.
        pub fn allowed_tables<T: Into<String>>(self, tables: impl IntoIterator<Item = T>) -> Self {
            let tables = tables.into_iter().map(Into::into).collect();
            self.$set("allowed_tables", |policy| policy.allowed_tables = tables)
        }

        /// Tables that may not be moved, as patterns, whatever is allowed: at most 1,000.
        pub fn excluded_tables<T: Into<String>>(self, tables: impl IntoIterator<Item = T>) -> Self {
            let tables = tables.into_iter().map(Into::into).collect();
            self.$set("excluded_tables", |policy| policy.excluded_tables = tables)
        }

        /// The tables that need no approval where the mode is by table: at most 1,000.
        pub fn auto_approve_tables<T: Into<String>>(
            self,
            tables: impl IntoIterator<Item = T>,
        ) -> Self {
            let tables = tables.into_iter().map(Into::into).collect();
            self.$set("auto_approve_tables", |policy| {
                policy.auto_approve_tables = tables;
            })
        }

        /// Whether case matters to the lists of tables; `None`: to what is allowed, not to exclusions.
        pub fn table_case(self, case: impl Into<Option<$crate::TableCase>>) -> Self {
            let case = case.into();
            self.$set("table_case", |policy| policy.table_case = case)
        }

        /// When the connection ends by itself; `None`: never.
        pub fn expires_at(self, end: impl Into<Option<chrono::DateTime<chrono::Utc>>>) -> Self {
            let end = end.into();
            self.$set("expires_at", |policy| policy.expires_at = end)
        }

        /// How many transfers may be started; `None`: any number.
        pub fn max_transfers(self, limit: impl Into<Option<i64>>) -> Self {
            let limit = limit.into();
            self.$set("max_transfers", |policy| policy.max_transfers = limit)
        }

        /// How many records all transfers together may move; `None`: any number.
        pub fn max_records_total(self, limit: impl Into<Option<i64>>) -> Self {
            let limit = limit.into();
            self.$set("max_records_total", |policy| {
                policy.max_records_total = limit
            })
        }

        /// How many records one transfer may ask for and move; `None`: any number.
        pub fn max_records_per_request(self, limit: impl Into<Option<i64>>) -> Self {
            let limit = limit.into();
            self.$set("max_records_per_request", |policy| {
                policy.max_records_per_request = limit;
            })
        }

        /// How many calls the connection's agents may make in a minute, 1 to 1,000,000; `None`: as the server is set.
        pub fn rate_limit_requests_per_minute(self, limit: impl Into<Option<i32>>) -> Self {
            let limit = limit.into();
            self.$set("rate_limit_requests_per_minute", |policy| {
                policy.rate_limit_requests_per_minute = limit;
            })
        }

        /// The only addresses that may create and start transfers: at most 100 IP addresses or CIDR blocks; none is all.
        pub fn ip_allowlist<T: Into<String>>(self, blocks: impl IntoIterator<Item = T>) -> Self {
            let blocks = blocks.into_iter().map(Into::into).collect();
            self.$set("ip_allowlist", |policy| policy.ip_allowlist = blocks)
        }

        /// When transfers may be created and started: `HH:MM-HH:MM` in UTC, the end excluded, over midnight where the
        /// end comes first; empty: at any time.
        pub fn allowed_hours(self, hours: impl Into<String>) -> Self {
            let hours = Some(hours.into()).filter(|hours| !hours.is_empty());
            self.$set("allowed_hours", |policy| policy.allowed_hours = hours)
        }

        /// The conflict strategy of transfers that are created without one.
        pub fn default_conflict_strategy(
            self,
            strategy: impl Into<Option<$crate::ConflictStrategy>>,
        ) -> Self {
            let strategy = strategy.into();
            self.$set("default_conflict_strategy", |policy| {
                policy.default_conflict_strategy = strategy;
            })
        }

        /// The heartbeat timeout of transfers that are started without one: 1 s to 1 day, or zero for none; `None`: as the
        /// server is set.
        pub fn heartbeat_timeout(self, timeout: impl Into<Option<std::time::Duration>>) -> Self {
            let timeout = timeout.into();
            self.$set("heartbeat_timeout", |policy| {
                policy.heartbeat_timeout = timeout
            })
        }

        /// Whether whoever initiated a transfer may approve it, too; by default somebody else must.
        pub fn self_approval(self, allowed: bool) -> Self {
            self.$set("self_approval", |policy| policy.self_approval = allowed)
        }

        /// How often a transfer that names no number may be started before a lost heartbeat fails it: 1 to 100; `None`:
        /// once.
        pub fn max_attempts(self, attempts: impl Into<Option<i32>>) -> Self {
            let attempts = attempts.into();
            self.$set("max_attempts", |policy| policy.max_attempts = attempts)
        }

        /// How long a run that is asked to stop has to confirm it: up to 1 day, zero for not at all; `None`: as the server
        /// is set.
        pub fn stop_grace(self, grace: impl Into<Option<std::time::Duration>>) -> Self {
            let grace = grace.into();
            self.$set("stop_grace", |policy| policy.stop_grace = grace)
        }

        /// How long a transfer may wait for its first start, from when it may be started: its creation, its approval where
        /// it needs one, or its `not_before` if that is later. 1 s to 366 days; `None`: as the transfer says.
        pub fn start_within(self, limit: impl Into<Option<std::time::Duration>>) -> Self {
            let limit = limit.into();
            self.$set("start_within", |policy| policy.start_within = limit)
        }

        /// How long a transfer may take from its first start on, further attempts and pauses included: 1 s to 366 days;
        /// `None`: as the transfer says.
        pub fn finish_within(self, limit: impl Into<Option<std::time::Duration>>) -> Self {
            let limit = limit.into();
            self.$set("finish_within", |policy| policy.finish_within = limit)
        }

        /// How often the server tries a transfer again that failed and may pass, 0 to 100; `None`: not at all.
        pub fn max_retries(self, retries: impl Into<Option<i32>>) -> Self {
            let retries = retries.into();
            self.$set("max_retries", |policy| policy.max_retries = retries)
        }

        /// How long the server waits before the first retry, 1 s to 1 day, and twice as long before each further one;
        /// `None`: 1 minute.
        pub fn retry_backoff(self, wait: impl Into<Option<std::time::Duration>>) -> Self {
            let wait = wait.into();
            self.$set("retry_backoff", |policy| policy.retry_backoff = wait)
        }

        /// Whether a transfer that says how many records it asks for may transfer no more; by default it may.
        pub fn limit_to_requested(self, limited: bool) -> Self {
            self.$set("limit_to_requested", |policy| {
                policy.limit_to_requested = limited;
            })
        }

        /// How many transfers may run at once, at least 1; `None`: any number.
        pub fn max_running(self, limit: impl Into<Option<i32>>) -> Self {
            let limit = limit.into();
            self.$set("max_running", |policy| policy.max_running = limit)
        }

        /// How many transfers one agent, a credential with its `agent_instance`, may run at once, at least 1; `None`: any
        /// number.
        pub fn max_running_per_agent(self, limit: impl Into<Option<i32>>) -> Self {
            let limit = limit.into();
            self.$set("max_running_per_agent", |policy| {
                policy.max_running_per_agent = limit;
            })
        }
    };
}

pub(crate) use policy_setters;

impl ConnectionPolicy {
    policy_setters!(with);

    fn with(mut self, _: &str, set: impl FnOnce(&mut Self)) -> Self {
        set(&mut self);
        self
    }
}
