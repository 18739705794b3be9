//! What a connection lets its transfers do.
//!
//! The parts of a policy and the questions that one part answers. [`authorize`](super::authorize) asks them for commands.

use std::{
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use super::{
    status::{ConflictStrategy, named},
    table::{TableCase, is_excluded, is_listed},
    time::Timestamp,
};

/// Most tables in a list.
pub const TABLES_MAX: usize = 1_000;
/// Most blocks in an allow-list of addresses.
pub const ADDRESSES_MAX: usize = 100;
/// Most calls in a minute that a limit may allow.
pub const RATE_MAX: u32 = 1_000_000;

mod hours;

pub use hours::AllowedHours;

named! {
    /// Which transfers start only after an approval.
    #[derive(Default)]
    ApprovalMode {
        /// None.
        #[default]
        AutoApprove = "AUTO_APPROVE",
        /// All.
        RequireApproval = "REQUIRE_APPROVAL",
        /// All but those of some tables.
        PerTable = "PER_TABLE",
    }
}

/// Declares the policy: each field once, with the name that it has as a value of [`PolicyField`].
macro_rules! policy {
    ($($(#[$doc:meta])* $field:ident ($name:ident): $type:ty,)+) => {
        /// What the transfers of a connection may do. The default lets them do everything.
        ///
        /// It is stored as it is serialized. A field that is missing is as by default, and one that is as by default is left
        /// out, so that a version that does not know it yet can go on as long as nobody has set it. One that is set and not
        /// known may forbid what would then be let through, so such a policy is not read at all.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Policy {
            $($(#[$doc])* #[serde(skip_serializing_if = "is_default")] pub $field: $type,)+
        }

        /// A field of a policy.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum PolicyField { $($(#[$doc])* $name,)+ }

        impl PolicyField {
            /// Every field, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its path from the connection on.
            pub const fn path(self) -> &'static str {
                match self { $(Self::$name => concat!("policy.", stringify!($field)),)+ }
            }

            /// Sets it as it is in `from`.
            pub fn set(self, policy: &mut Policy, from: &Policy) {
                match self { $(Self::$name => policy.$field.clone_from(&from.$field),)+ }
            }
        }
    };
}

policy! {
    /// Which transfers need an approval.
    approval_mode (ApprovalMode): ApprovalMode,
    /// Patterns of the only tables that may be moved; empty is all.
    allowed_tables (AllowedTables): Vec<String>,
    /// Patterns of tables that may not be moved, whatever is allowed.
    excluded_tables (ExcludedTables): Vec<String>,
    /// Patterns of the tables that need no approval where the mode is by table.
    auto_approve_tables (AutoApproveTables): Vec<String>,
    /// Whether case matters to these lists; unless set, each is read in the way that lets less through.
    table_case (TableCase): Option<TableCase>,
    /// When the connection ends by itself.
    expires_at (ExpiresAt): Option<Timestamp>,
    /// Transfers that may be started.
    max_transfers (MaxTransfers): Option<i64>,
    /// Records that all transfers together may move.
    max_records_total (MaxRecordsTotal): Option<i64>,
    /// Records that one transfer may ask for and move.
    max_records_per_request (MaxRecordsPerRequest): Option<i64>,
    /// Calls in a minute that its agents may make.
    rate_limit_requests_per_minute (RateLimitRequestsPerMinute): Option<u32>,
    /// The only addresses that may create and start; empty is all.
    ip_allowlist (IpAllowlist): Vec<IpNet>,
    /// When transfers may be created and started.
    allowed_hours (AllowedHours): Option<AllowedHours>,
    /// The strategy of transfers that are created without one.
    default_conflict_strategy (DefaultConflictStrategy): Option<ConflictStrategy>,
    /// The timeout of transfers that are started without one; zero is none.
    heartbeat_timeout (HeartbeatTimeout): Option<Duration>,
    /// Whether an initiator may approve.
    self_approval (SelfApproval): bool,
    /// How often a transfer that names no number may be started.
    max_attempts (MaxAttempts): Option<i64>,
    /// How long a run that is asked to stop has to confirm it; zero for not at all.
    stop_grace (StopGrace): Option<Duration>,
    /// How long a transfer may wait for its first start once it may be started.
    start_within (StartWithin): Option<Duration>,
    /// How long a transfer may take from its first start on.
    finish_within (FinishWithin): Option<Duration>,
    /// How often the server tries a transfer again that failed and may pass.
    max_retries (MaxRetries): Option<i64>,
    /// How long it waits before the first of these; twice as long before each further one.
    retry_backoff (RetryBackoff): Option<Duration>,
    /// Whether a transfer that says how many records it asks for may move no more.
    limit_to_requested (LimitToRequested): bool,
    /// Transfers that may run at once.
    max_running (MaxRunning): Option<i64>,
    /// Transfers that one agent may run at once.
    max_running_per_agent (MaxRunningPerAgent): Option<i64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Policy {
    /// Whether a transfer of `table` starts only after an approval.
    pub fn requires_approval(&self, table: &str) -> bool {
        match self.approval_mode {
            ApprovalMode::AutoApprove => false,
            ApprovalMode::RequireApproval => true,
            ApprovalMode::PerTable => !is_listed(table, &self.auto_approve_tables, self.table_case),
        }
    }

    /// Whether `table` may not be moved, whatever is allowed.
    pub fn excludes_table(&self, table: &str) -> bool {
        is_excluded(table, &self.excluded_tables, self.table_case)
    }

    /// Whether `table` may be moved: an exclusion wins, an empty list of allowed tables allows all.
    pub fn admits_table(&self, table: &str) -> bool {
        !self.excludes_table(table)
            && (self.allowed_tables.is_empty()
                || is_listed(table, &self.allowed_tables, self.table_case))
    }

    /// Whether a caller at `address` may create and start. One without an address is let in only where all are.
    pub fn admits_address(&self, address: Option<IpAddr>) -> bool {
        self.ip_allowlist.is_empty()
            || address.is_some_and(|address| {
                // An IPv4 caller on a dual-stack listener is still an IPv4 caller.
                let address = address.to_canonical();
                self.ip_allowlist.iter().any(|net| net.contains(&address))
            })
    }

    /// Whether transfers may be created and started at `now`.
    pub fn admits_time(&self, now: Timestamp) -> bool {
        self.allowed_hours.is_none_or(|hours| hours.contain(now))
    }

    /// Whether the connection has ended by itself at `now`. At the moment itself it has.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Whether anything is counted: then starts and reports take turns on the connection.
    pub const fn has_budget(&self) -> bool {
        self.max_transfers.is_some() || self.max_records_total.is_some() || self.limits_runs()
    }

    /// Whether it matters how many transfers run.
    pub const fn limits_runs(&self) -> bool {
        self.max_running.is_some() || self.max_running_per_agent.is_some()
    }
}

/// A block of addresses from its text: `192.0.2.0/24`, or one address such as `2001:db8::7`.
///
/// What is written in IPv4-mapped form, as `::ffff:192.0.2.0/120`, is the IPv4 block, since callers are compared by their IPv4 address.
///
/// # Errors
/// When it is neither, or holds all of IPv4 and some of IPv6.
pub fn parse_block(text: &str) -> Result<IpNet, &'static str> {
    if let Ok(address) = IpAddr::from_str(text) {
        return Ok(IpNet::from(address.to_canonical()));
    }
    match IpNet::from_str(text) {
        Ok(net) if net.trunc() != net => Err("has bits set beyond its prefix"),
        Ok(net) => canonical(net).ok_or(
            "holds IPv4 addresses in their mapped form and others: name 0.0.0.0/0 and blocks of IPv6 apart",
        ),
        Err(_) => Err("must be an IP address or a CIDR block such as 192.0.2.0/24"),
    }
}

/// The block as callers' addresses are compared with it; `None` when it holds the IPv4-mapped addresses and more.
pub fn canonical(net: IpNet) -> Option<IpNet> {
    let IpNet::V6(block) = net else {
        return Some(net);
    };
    if let (Some(address), Some(prefix)) = (
        block.network().to_ipv4_mapped(),
        block.prefix_len().checked_sub(96),
    ) {
        return Ipv4Net::new(address, prefix).map(IpNet::V4).ok();
    }
    const MAPPED: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0);
    (!block.contains(&MAPPED)).then_some(net)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_over_from_its_end_on() {
        let end = Timestamp::from_micros(7);
        let policy = Policy {
            expires_at: Some(end),
            ..Policy::default()
        };
        let over = [6, 7, 8].map(|micros| policy.is_over(Timestamp::from_micros(micros)));
        assert_eq!(over, [false, true, true]);
        assert!(!Policy::default().is_over(Timestamp::MAX));
    }

    #[test]
    fn transfers_or_records_that_are_limited_are_a_budget() {
        let has_budget = |max_transfers, max_records_total| {
            let policy = Policy {
                max_transfers,
                max_records_total,
                ..Policy::default()
            };
            policy.has_budget()
        };
        assert!(!has_budget(None, None));
        assert!(has_budget(Some(1), None) && has_budget(None, Some(1)));
        let all = Policy {
            max_running: Some(1),
            ..Policy::default()
        };
        let agent = Policy {
            max_running_per_agent: Some(1),
            ..Policy::default()
        };
        assert!(all.has_budget() && agent.has_budget());
    }

    #[test]
    fn a_policy_is_stored_without_what_it_does_not_say() {
        let text = |policy: &Policy| serde_json::to_string(policy).expect("it is JSON");
        assert_eq!(text(&Policy::default()), "{}");
        let policy = Policy {
            approval_mode: ApprovalMode::PerTable,
            allowed_tables: vec!["a".to_owned()],
            excluded_tables: vec!["b".to_owned()],
            auto_approve_tables: vec!["c".to_owned()],
            table_case: Some(TableCase::Sensitive),
            expires_at: Some(Timestamp::from_micros(7)),
            max_transfers: Some(1),
            max_records_total: Some(2),
            max_records_per_request: Some(3),
            rate_limit_requests_per_minute: Some(4),
            ip_allowlist: vec![parse_block("192.0.2.0/24").expect("a block")],
            allowed_hours: Some("22:00-06:00".parse().expect("it is well formed")),
            default_conflict_strategy: Some(ConflictStrategy::Skip),
            heartbeat_timeout: Some(Duration::from_micros(1_500_001)),
            self_approval: true,
            max_attempts: Some(5),
            stop_grace: Some(Duration::from_secs(9)),
            start_within: Some(Duration::from_secs(10)),
            finish_within: Some(Duration::from_secs(11)),
            max_retries: Some(12),
            retry_backoff: Some(Duration::from_secs(13)),
            limit_to_requested: true,
            max_running: Some(14),
            max_running_per_agent: Some(15),
        };
        let stored = r#"{"approval_mode":"PER_TABLE","allowed_tables":["a"],"excluded_tables":["b"],"auto_approve_tables":["c"],"table_case":"SENSITIVE","expires_at":7,"max_transfers":1,"max_records_total":2,"max_records_per_request":3,"rate_limit_requests_per_minute":4,"ip_allowlist":["192.0.2.0/24"],"allowed_hours":"22:00-06:00","default_conflict_strategy":"SKIP","heartbeat_timeout":{"secs":1,"nanos":500001000},"self_approval":true,"max_attempts":5,"stop_grace":{"secs":9,"nanos":0},"start_within":{"secs":10,"nanos":0},"finish_within":{"secs":11,"nanos":0},"max_retries":12,"retry_backoff":{"secs":13,"nanos":0},"limit_to_requested":true,"max_running":14,"max_running_per_agent":15}"#;
        assert_eq!(text(&policy), stored);
        for policy in [policy, Policy::default()] {
            let read: Policy = serde_json::from_str(&text(&policy)).expect("it is read");
            assert_eq!(read, policy);
        }
    }

    #[test]
    fn a_policy_that_is_not_understood_is_not_read() {
        let read = serde_json::from_str::<Policy>;
        assert_eq!(read("{}").ok(), Some(Policy::default()));
        for text in [
            r#"{"weekdays":"MON-FRI"}"#,
            r#"{"approval_mode":"SOMETIMES"}"#,
            r#"{"max_transfers":"1"}"#,
            r#"{"ip_allowlist":["example.org"]}"#,
            r#"{"allowed_hours":"9-17"}"#,
            r#"{"max_transfers":1,"max_transfers":2}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_exclusion_wins() {
        let policy = Policy {
            allowed_tables: vec!["users".to_owned(), "orders".to_owned()],
            excluded_tables: vec!["users".to_owned()],
            ..Policy::default()
        };
        assert!(policy.admits_table("orders"));
        assert!(!policy.admits_table("users"), "excluded");
        assert!(!policy.admits_table("items"), "not among the allowed");
        assert!(!policy.admits_table("Orders"), "what is allowed is exact");
        assert!(!policy.admits_table("public.Users"), "an exclusion is not");
        assert!(Policy::default().admits_table("anything"));
    }

    #[test]
    fn a_table_needs_an_approval_as_the_mode_says() {
        let policy = |approval_mode| Policy {
            approval_mode,
            auto_approve_tables: vec!["orders".to_owned()],
            ..Policy::default()
        };
        let needs = |mode| ["orders", "users"].map(|table| policy(mode).requires_approval(table));
        assert_eq!(needs(ApprovalMode::AutoApprove), [false, false]);
        assert_eq!(needs(ApprovalMode::RequireApproval), [true, true]);
        assert_eq!(needs(ApprovalMode::PerTable), [false, true]);
    }

    #[test]
    fn addresses_are_matched_by_block() {
        let policy = Policy {
            ip_allowlist: ["192.0.2.0/24", "2001:db8::7", "::ffff:10.0.0.1"]
                .map(|text| parse_block(text).expect(text))
                .to_vec(),
            ..Policy::default()
        };
        let admits = |text: &str| policy.admits_address(text.parse().ok());
        assert!(admits("192.0.2.255") && admits("::ffff:192.0.2.1") && admits("2001:db8::7"));
        assert!(admits("10.0.0.1"), "a mapped address is an IPv4 address");
        let mapped = parse_block("::ffff:192.0.2.0/120").map(|net| net.to_string());
        assert_eq!(mapped.as_deref(), Ok("192.0.2.0/24"));
        let all = parse_block("::ffff:0:0/96").map(|net| net.to_string());
        assert_eq!(all.as_deref(), Ok("0.0.0.0/0"));
        assert!(parse_block("::/97").is_ok() && parse_block("2000::/3").is_ok());
        assert!(!admits("192.0.3.0") && !admits("2001:db8::8"));
        assert!(!policy.admits_address(None), "nobody knows where from");
        assert!(Policy::default().admits_address(None));
        for text in [
            "",
            "192.0.2.0/33",
            "192.0.2.1/24",
            "example.org",
            "192.0.2.0/24 ",
            "::ffff:192.0.2.1/120",
            "::/0",
            "::/80",
            "::8000:0:0/81",
        ] {
            assert!(parse_block(text).is_err(), "{text}");
        }
    }
}
