//! Connections and their policies, with every field checked.

use std::time::Duration;

use tidegate_proto::v1;

use super::{Mutation, duration, revision, statuses, timestamp, value};
use crate::rpc::{caller::Caller, metadata};
use tidegate_domain::{
    command::ConnectionCommand,
    connection::{
        ConnectionDirection, ConnectionField, ConnectionValues, ConnectionVerb, NewConnection,
    },
    policy::{ADDRESSES_MAX, AllowedHours, Policy, RATE_MAX, TABLES_MAX, parse_block},
    query::ConnectionFilter,
    refusal::Refusal,
    stop::GRACE,
    validate::{Check, HEARTBEAT_TIMEOUT, NAME_MAX, RETRY_BACKOFF, WITHIN},
};

/// Bad entries of one list that an answer names, so that it stays small.
const NAMED_MAX: usize = 10;

impl Mutation for v1::CreateConnectionRequest {
    type Command = ConnectionCommand;
    type Made = ();
    const METHOD: &'static str = "CreateConnection";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn command(self, check: &mut Check, _: &Caller, (): ()) -> ConnectionCommand {
        check.required("name", &self.name);
        check.required("site_url", &self.site_url);
        let direction = value(check, "direction", self.direction);
        if direction.is_none() && self.direction == 0 {
            check.add("direction", "is required");
        }
        ConnectionCommand::Create {
            new: Box::new(NewConnection {
                name: check.name("name", &self.name, NAME_MAX),
                direction: direction.unwrap_or(ConnectionDirection::Sender),
                site_url: check.site_url("site_url", &self.site_url),
                policy: policy(check, self.policy),
                metadata: metadata::from_wire(check, self.metadata),
            }),
            pending: self.pending,
            allow_duplicate: self.allow_duplicate,
        }
    }
}

impl Mutation for v1::UpdateConnectionRequest {
    type Command = ConnectionCommand;
    type Made = ();
    const METHOD: &'static str = "UpdateConnection";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn command(self, check: &mut Check, _: &Caller, (): ()) -> ConnectionCommand {
        let wire = self.connection.unwrap_or_default();
        let uuid = check.uuid("connection.uuid", &wire.uuid);
        let paths = self.update_mask.unwrap_or_default().paths;
        let fields = mask(check, &paths);
        let asked: Vec<_> = fields.iter().map(|field| field.path()).collect();
        let to = check.within("connection.", |check| {
            check.only(&asked, |check| {
                check.required("name", &wire.name);
                check.required("site_url", &wire.site_url);
                ConnectionValues {
                    name: check.name("name", &wire.name, NAME_MAX),
                    site_url: check.site_url("site_url", &wire.site_url),
                    policy: policy(check, wire.policy),
                    metadata: metadata::from_wire(check, wire.metadata),
                }
            })
        });
        let verb = ConnectionVerb::Update {
            fields,
            to: Box::new(to),
            revision: revision(check, self.revision),
            allow_duplicate: self.allow_duplicate,
        };
        ConnectionCommand::Change { uuid, verb }
    }
}

/// Declares a request that does something to a connection: which one, and what its fields make of the verb.
macro_rules! verb {
    ($message:ident, $method:literal, |$self:ident, $check:ident| $verb:expr) => {
        impl Mutation for v1::$message {
            type Command = ConnectionCommand;
            type Made = ();
            const METHOD: &'static str = $method;
            fn request_id(&mut self) -> &mut String {
                &mut self.request_id
            }
            fn command($self, $check: &mut Check, _: &Caller, (): ()) -> ConnectionCommand {
                let uuid = $check.uuid("uuid", &$self.uuid);
                ConnectionCommand::Change { uuid, verb: $verb }
            }
        }
    };
}

verb!(
    ApproveConnectionRequest,
    "ApproveConnection",
    |self, check| ConnectionVerb::Approve
);
verb!(
    SuspendConnectionRequest,
    "SuspendConnection",
    |self, check| ConnectionVerb::Suspend {
        reason: check.remark("reason", &self.reason, NAME_MAX),
    }
);
verb!(
    ReactivateConnectionRequest,
    "ReactivateConnection",
    |self, check| ConnectionVerb::Reactivate
);
verb!(
    RevokeConnectionRequest,
    "RevokeConnection",
    |self, check| ConnectionVerb::Revoke {
        reason: check.remark("reason", &self.reason, NAME_MAX),
    }
);
verb!(
    DeleteConnectionRequest,
    "DeleteConnection",
    |self, check| ConnectionVerb::Delete
);

/// Which connections a list is to hold.
pub(in crate::rpc) fn connection_filter(
    check: &mut Check,
    request: &v1::ListConnectionsRequest,
) -> ConnectionFilter {
    ConnectionFilter {
        direction: value(check, "direction", request.direction),
        status: statuses(check, "status", &request.status),
    }
}

/// The fields that a mask names, each once; `policy` stands for all of its fields.
fn mask(check: &mut Check, paths: &[String]) -> Vec<ConnectionField> {
    if paths.is_empty() {
        check.add("update_mask", "is required");
    }
    let mut fields = Vec::new();
    let mut strangers = 0;
    for (index, path) in paths.iter().enumerate() {
        let named = ConnectionField::at(path);
        if named.is_empty() {
            strangers += 1;
            if strangers <= NAMED_MAX {
                let description = "must name a field of a connection that can be changed";
                check.add(&format!("update_mask.paths[{index}]"), description);
            }
        }
        fields.extend(named);
    }
    if strangers > NAMED_MAX {
        let description = format!("names {} more unknown fields", strangers - NAMED_MAX);
        check.add("update_mask", description);
    }
    fields.sort_unstable();
    fields.dedup();
    fields
}

fn policy(check: &mut Check, wire: Option<v1::ConnectionPolicy>) -> Policy {
    let Some(wire) = wire else {
        return Policy::default();
    };
    check.within("policy.", |check| {
        let mut limit = |field, limit: Option<i64>| limit.map(|limit| check.count(field, limit));
        let [max_transfers, max_records_total, max_records_per_request] = [
            limit("max_transfers", wire.max_transfers),
            limit("max_records_total", wire.max_records_total),
            limit("max_records_per_request", wire.max_records_per_request),
        ];
        if max_records_per_request == Some(0) {
            let description = "must be at least 1: a transfer that may move nothing is none";
            check.add("max_records_per_request", description);
        }
        Policy {
            approval_mode: value(check, "approval_mode", wire.approval_mode).unwrap_or_default(),
            allowed_tables: tables(check, "allowed_tables", &wire.allowed_tables),
            excluded_tables: tables(check, "excluded_tables", &wire.excluded_tables),
            auto_approve_tables: tables(check, "auto_approve_tables", &wire.auto_approve_tables),
            table_case: value(check, "table_case", wire.table_case),
            expires_at: timestamp(check, "expires_at", wire.expires_at),
            max_transfers,
            max_records_total,
            max_records_per_request,
            rate_limit_requests_per_minute: rate(check, wire.rate_limit_requests_per_minute),
            ip_allowlist: entries(
                check,
                "ip_allowlist",
                &wire.ip_allowlist,
                ADDRESSES_MAX,
                |text| parse_block(text).map_err(str::to_owned),
            ),
            allowed_hours: allowed_hours(check, &wire.allowed_hours),
            default_conflict_strategy: value(
                check,
                "default_conflict_strategy",
                wire.default_conflict_strategy,
            ),
            heartbeat_timeout: wire.heartbeat_timeout.map(|timeout| match timeout {
                prost_types::Duration {
                    seconds: 0,
                    nanos: 0,
                } => Duration::ZERO,
                some => duration(check, "heartbeat_timeout", some, HEARTBEAT_TIMEOUT),
            }),
            stop_grace: wire
                .stop_grace
                .map(|grace| duration(check, "stop_grace", grace, GRACE)),
            start_within: wire
                .start_within
                .map(|within| duration(check, "start_within", within, WITHIN)),
            finish_within: wire
                .finish_within
                .map(|within| duration(check, "finish_within", within, WITHIN)),
            max_retries: wire
                .max_retries
                .map(|most| check.retries("max_retries", most)),
            retry_backoff: wire
                .retry_backoff
                .map(|wait| duration(check, "retry_backoff", wait, RETRY_BACKOFF)),
            limit_to_requested: wire.limit_to_requested,
            max_running: wire.max_running.map(|most| check.runs("max_running", most)),
            max_running_per_agent: wire
                .max_running_per_agent
                .map(|most| check.runs("max_running_per_agent", most)),
            self_approval: wire.self_approval,
            max_attempts: wire
                .max_attempts
                .map(|most| check.attempts("max_attempts", most)),
        }
    })
}

fn tables(check: &mut Check, field: &str, wire: &[String]) -> Vec<String> {
    entries(check, field, wire, TABLES_MAX, |name| {
        let mut one = Check::default();
        one.required("", name);
        let name = one.table_pattern("", name);
        one.finish(name).map_err(|refusal| match refusal {
            Refusal::Invalid { fields } => fields
                .first()
                .map_or_else(String::new, |first| first.description.clone()),
            other => other.to_string(),
        })
    })
}

/// The values of a list, with the first few bad ones by their places.
fn entries<T>(
    check: &mut Check,
    field: &str,
    wire: &[String],
    max: usize,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    if wire.len() > max {
        check.add(field, format!("must have at most {max} entries"));
    }
    let (mut values, mut bad) = (Vec::with_capacity(wire.len().min(max)), 0);
    for (index, text) in wire.iter().enumerate().take(max) {
        match parse(text) {
            Ok(value) => values.push(value),
            Err(description) => {
                bad += 1;
                if bad <= NAMED_MAX {
                    check.add(&format!("{field}[{index}]"), description);
                }
            }
        }
    }
    if bad > NAMED_MAX {
        let description = format!("has {} more bad entries", bad - NAMED_MAX);
        check.add(field, description);
    }
    values
}

fn rate(check: &mut Check, wire: Option<i32>) -> Option<u32> {
    let rate = wire?;
    let good = u32::try_from(rate)
        .ok()
        .filter(|rate| (1..=RATE_MAX).contains(rate));
    if good.is_none() {
        let description = format!("must be from 1 to {RATE_MAX}");
        check.add("rate_limit_requests_per_minute", description);
    }
    good
}

fn allowed_hours(check: &mut Check, text: &str) -> Option<AllowedHours> {
    if text.is_empty() {
        return None;
    }
    text.parse()
        .map_err(|description: &str| check.add("allowed_hours", description))
        .ok()
}
