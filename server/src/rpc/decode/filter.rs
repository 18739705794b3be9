//! Which transfers a request means.

use std::time::Duration;

use tidegate_proto::v1;

use super::{WireEnum, timestamp, unknown, value};
use tidegate_domain::{
    caller::ConnectionScope,
    query::{TimeRange, TransferFilter},
    time::Timestamp,
    validate::{Check, FILTER_STATUS_MAX, FILTER_TABLES_MAX, NAME_MAX},
};

/// The filter of a request, narrowed to `scope`, which is what the caller may see: page tokens and live changes are bound to
/// it.
pub(in crate::rpc) fn transfer_filter(
    check: &mut Check,
    scope: ConnectionScope,
    wire: Option<v1::TransferFilter>,
) -> TransferFilter {
    let wire = wire.unwrap_or_default();
    check.within("filter.", |check| {
        let (from, to) = span(check, wire.from, wire.to);
        let table_prefix = check.line("table_prefix", &wire.table_prefix, NAME_MAX);
        TransferFilter {
            direction: value(check, "direction", wire.direction),
            status: statuses(check, "status", &wire.status),
            connections: scope.and(ConnectionScope::from(
                check.optional_uuid("connection_uuid", &wire.connection_uuid),
            )),
            tables: tables(check, &wire.table_names),
            table_prefix: (!table_prefix.is_empty()).then_some(table_prefix),
            requires_approval: wire.requires_approval,
            from,
            to,
            started: range(check, "started.", wire.started),
            ended: range(check, "ended.", wire.ended),
            updated: range(check, "updated.", wire.updated),
            initiated_by_uuid: check.optional_uuid("initiated_by_uuid", &wire.initiated_by_uuid),
            decided_by_uuid: check.optional_uuid("decided_by_uuid", &wire.decided_by_uuid),
            lease_owner_uuid: check.optional_uuid("lease_owner_uuid", &wire.lease_owner_uuid),
            partial: wire.partial,
            correlation_uuid: check.optional_uuid("correlation_uuid", &wire.correlation_uuid),
            plan_uuid: check.optional_uuid("plan_uuid", &wire.plan_uuid),
            reconciliation: value(check, "reconciliation", wire.reconciliation),
        }
    })
}

fn range(check: &mut Check, prefix: &'static str, wire: Option<v1::TimeRange>) -> TimeRange {
    let wire = wire.unwrap_or_default();
    let (from, to) = check.within(prefix, |check| span(check, wire.from, wire.to));
    TimeRange { from, to }
}

/// The tables that a filter names.
fn tables(check: &mut Check, names: &[String]) -> Vec<String> {
    if names.len() > FILTER_TABLES_MAX {
        check.add(
            "table_names",
            format!("must name at most {FILTER_TABLES_MAX} tables"),
        );
        return Vec::new();
    }
    let look = |(index, name): (usize, &String)| {
        let field = format!("table_names[{index}]");
        check.required(&field, name);
        check.line(&field, name, NAME_MAX)
    };
    names.iter().enumerate().map(look).collect()
}

/// The times from `from` to `to`, both included. They may be finer than those that are kept: nothing outside of them is
/// let in.
pub(in crate::rpc) fn span(
    check: &mut Check,
    from: Option<prost_types::Timestamp>,
    to: Option<prost_types::Timestamp>,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let between = from.is_some_and(|from| from.nanos % 1_000 != 0);
    let (from, to) = (timestamp(check, "from", from), timestamp(check, "to", to));
    check.range("", from, to);
    let from = from.map(|from| match between {
        true => from.after(Duration::from_micros(1)),
        false => from,
    });
    (from, to)
}

/// The statuses that a filter names; UNSPECIFIED is none.
pub(super) fn statuses<E: WireEnum>(check: &mut Check, field: &str, numbers: &[i32]) -> Vec<E> {
    if numbers.len() > FILTER_STATUS_MAX {
        let description = format!("must name at most {FILTER_STATUS_MAX} statuses");
        check.add(field, description);
    }
    let mut known = Vec::new();
    for number in numbers.iter().take(FILTER_STATUS_MAX) {
        match E::from_wire(*number) {
            Ok(Some(status)) => known.push(status),
            _ => unknown(check, field, *number),
        }
    }
    known
}
