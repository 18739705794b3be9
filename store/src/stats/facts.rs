//! What is counted, and how it is summed up, as SQL that both databases take.
//!
//! A transfer that has ended does not change any more. So it is counted once, when it ends, and found in the sums from then
//! on, whether its row was deleted or not. All that is summed up has the same columns, in the order of [`columns`].

use sea_orm::{
    ColumnTrait, Condition, DbBackend,
    sea_query::{
        CommonTableExpression, Expr, ExprTrait as _, IntoCondition as _, Order, Query,
        SelectStatement, UnionType, WithClause, WithQuery,
    },
};
use tidegate_domain::{
    query::StatsFilter,
    stats::{CLASSES, Cover, NO_CLASS, Period, STEPS},
    status::TransferStatus,
};
use tidegate_entity::{deleted_transfer, transfer, transfer_stats};

use crate::sql::condition;

/// What sums are kept for, within a period.
const KEY: [&str; 5] = [
    "connection_uuid",
    "table_name",
    "direction",
    "status",
    "duration_class",
];
pub(super) const SUMS: [&str; 7] = [
    "transfers",
    "records_high",
    "records_low",
    "bytes_high",
    "bytes_low",
    "duration_high",
    "duration_low",
];
pub(super) const LATEST: &str = "last_completed_at";
/// A sum of 64-bit numbers fails on SQLite when it overflows and becomes a decimal on PostgreSQL. So the upper and the
/// lower 32 bits are summed apart, neither of which can overflow below two thousand million rows.
pub(super) const HALF: i64 = 1 << 32;
/// When something was created, or its period begins.
const SINCE: &str = "since";

fn cust(sql: impl Into<String>) -> Expr {
    Expr::cust(sql.into())
}

/// How long a transfer took, in microseconds.
const DURATION: &str =
    "CASE WHEN completed_at > started_at THEN completed_at - started_at ELSE 0 END";

/// The class of a duration: see [`STEPS`].
fn duration_class() -> String {
    let digits = format!("CAST({DURATION} AS TEXT)");
    // One digit stands for itself and a zero.
    let lead = format!("CAST(SUBSTR({digits} || '0', 1, 2) AS BIGINT)");
    let steps = (0..).zip(&STEPS[1..]);
    let steps = steps.map(|(index, step)| format!("WHEN {lead} < {step} THEN {index}"));
    let steps = steps.collect::<Vec<_>>().join(" ");
    let last = CLASSES - 1;
    format!("LENGTH({digits}) * {CLASSES} + CASE {steps} ELSE {last} END")
}

/// `value` of transfers that were completed, `otherwise` of others.
fn if_completed(value: &str, otherwise: &str) -> Expr {
    let completed = TransferStatus::Completed.name();
    let is_run = "started_at IS NOT NULL AND completed_at IS NOT NULL";
    cust(format!(
        "CAST(CASE WHEN status = '{completed}' AND {is_run} THEN {value} ELSE {otherwise} END AS BIGINT)"
    ))
}

/// The transfers of a table that `condition` means, one a row, with what [`counted`] makes facts of.
fn each(table: &'static str, condition: Condition) -> SelectStatement {
    Query::select()
        .columns([
            "inserted_at",
            "connection_uuid",
            "table_name",
            "direction",
            "status",
            "records_transferred",
            "bytes_transferred",
            "started_at",
            "completed_at",
        ])
        .from(table)
        .cond_where(condition)
        .take()
}

/// What is summed up of transfers: told once for all of them, since each time that a statement tells it is planned.
fn counted(backend: DbBackend, transfers: SelectStatement) -> SelectStatement {
    let nobody = match backend {
        DbBackend::Postgres => "'00000000-0000-0000-0000-000000000000'::uuid",
        _ => "X'00000000000000000000000000000000'",
    };
    let half = |column: &str, operator: char| cust(format!("{column} {operator} {HALF}"));
    let duration = |operator| if_completed(&format!("({DURATION}) {operator} {HALF}"), "0");
    Query::select()
        .expr_as(cust("inserted_at"), SINCE)
        .expr_as(cust(format!("COALESCE(connection_uuid, {nobody})")), KEY[0])
        .columns([KEY[1], KEY[2], KEY[3]])
        .expr_as(
            if_completed(&duration_class(), &NO_CLASS.to_string()),
            KEY[4],
        )
        .expr_as(cust("1"), SUMS[0])
        .expr_as(half("records_transferred", '/'), SUMS[1])
        .expr_as(half("records_transferred", '%'), SUMS[2])
        .expr_as(half("bytes_transferred", '/'), SUMS[3])
        .expr_as(half("bytes_transferred", '%'), SUMS[4])
        .expr_as(duration("/"), SUMS[5])
        .expr_as(duration("%"), SUMS[6])
        .expr_as(if_completed("completed_at", "NULL"), LATEST)
        .from_subquery(transfers, "transfers_meant")
        .take()
}

/// All rows of all of them; `None` of nothing.
fn together(parts: impl IntoIterator<Item = SelectStatement>) -> Option<SelectStatement> {
    parts.into_iter().reduce(|mut all, part| {
        all.union(UnionType::All, part);
        all
    })
}

/// Transfers that have ended, deleted or not, as two conditions say.
fn ended(kept: Condition, deleted: Condition) -> [SelectStatement; 2] {
    let names = TransferStatus::ALL.iter().filter(|it| it.is_terminal());
    let names = names.map(|status| Expr::Constant(status.name().into()));
    let has_ended = Expr::col(transfer::Column::Status).is_in(names);
    [
        each("transfer", kept.add(has_ended)),
        each("deleted_transfer", deleted),
    ]
}

/// Adds up the columns of [`SUMS`] and [`LATEST`].
fn add_up(select: &mut SelectStatement) {
    for sum in SUMS {
        select.expr_as(cust(format!("CAST(SUM({sum}) AS BIGINT)")), sum);
    }
    select.expr_as(cust(format!("MAX({LATEST})")), LATEST);
}

/// The sums of transfers that have ended for every period that they are in: rows of `transfer_stats`.
fn by_period(backend: DbBackend, kept: Condition, deleted: Condition) -> SelectStatement {
    let one = |period: &Period| {
        Query::select()
            .expr_as(cust(format!("'{period}'")), "period")
            .expr_as(cust(period.micros().to_string()), "micros")
            .take()
    };
    let mut periods = one(&Period::All);
    for period in &Period::ALL[1..] {
        periods.union(UnionType::All, one(period));
    }
    let [mut transfers, of_deleted] = ended(kept, deleted);
    transfers.union(UnionType::All, of_deleted);
    let starts_at = format!(
        "CASE WHEN micros = 0 THEN 0 ELSE {SINCE} - (({SINCE} % micros) + micros) % micros END"
    );
    let mut select = Query::select();
    select
        .column("period")
        .expr_as(cust(starts_at), "starts_at")
        .columns(KEY)
        .from_subquery(counted(backend, transfers), "each")
        .from_subquery(periods, "periods")
        // By their places.
        .add_group_by((1..=2 + KEY.len()).map(|place| cust(place.to_string())));
    add_up(&mut select);
    select
}

/// The sums of those among the transfers that have ended.
pub(super) fn of(backend: DbBackend, kept: Expr, deleted: Expr) -> SelectStatement {
    by_period(backend, kept.into_condition(), deleted.into_condition())
}

/// The sums of all transfers that have ended, from their rows, in the order of their key: PostgreSQL then keeps together
/// what is read together.
pub(super) fn of_all(backend: DbBackend) -> SelectStatement {
    let mut sums = by_period(backend, Condition::all(), Condition::all());
    for place in 1..=2 + KEY.len() {
        sums.order_by_expr(cust(place.to_string()), Order::Asc);
    }
    sums
}

/// What differs between the sums that are kept and those of the transfers, at most `limit`.
pub(super) fn wrong(backend: DbBackend, limit: u32) -> SelectStatement {
    let side = |number: &str| {
        Query::select()
            .columns(columns())
            .expr_as(cust(number), "side")
            .take()
    };
    let mut both = side("1").from("transfer_stats").take();
    let found = side("2").from_subquery(of_all(backend), "found").take();
    both.union(UnionType::All, found);
    let of = |side: u8, column: &str| format!("CASE WHEN side = {side} THEN {column} ELSE 0 END");
    let differ = |column| {
        let (kept, found) = (of(1, column), of(2, column));
        cust(format!("SUM({kept}) <> SUM({found})"))
    };
    let count = |side| cust(format!("CAST(SUM({}) AS BIGINT)", of(side, SUMS[0])));
    let mut select = Query::select();
    select
        .columns(key())
        .expr_as(count(1), "kept")
        .expr_as(count(2), "found")
        .from_subquery(both, "sides")
        .group_by_columns(key())
        // There is one row of each side at most.
        .cond_having(any_of(SUMS.into_iter().chain([LATEST]).map(differ)));
    for column in key() {
        select.order_by(column, Order::Asc);
    }
    select.limit(u64::from(limit)).take()
}

/// Columns of `transfer_stats` in the order of [`by_period`].
pub(super) fn columns() -> impl Iterator<Item = &'static str> {
    key().chain(SUMS).chain([LATEST])
}

/// The key of `transfer_stats`.
pub(super) fn key() -> impl Iterator<Item = &'static str> {
    ["period", "starts_at"].into_iter().chain(KEY)
}

/// Adds a condition for each part of a filter that is set, of any table.
fn within<C: ColumnTrait>(filter: &StatsFilter, connection: C, direction: C) -> Condition {
    Condition::all()
        .add_option(condition::within(connection, filter.connections))
        .add_option(filter.direction.map(|it| direction.eq(it.name())))
}

fn any_of(ranges: impl IntoIterator<Item = Expr>) -> Condition {
    ranges.into_iter().fold(Condition::any(), Condition::add)
}

/// What `filter` means: sums of whole periods, ended transfers beside these, and those in the statuses of `open`.
fn meant(backend: DbBackend, filter: &StatsFilter, open: &[TransferStatus]) -> SelectStatement {
    let cover = Cover::new(filter.from, filter.to);
    let mut transfers = Vec::new();
    // Each by itself: of two ranges at once SQLite would rather read all transfers of a connection.
    for range in &cover.edges {
        use deleted_transfer::Column as Deleted;
        use transfer::Column as Kept;
        let kept = within(filter, Kept::ConnectionUuid, Kept::Direction)
            .add(Kept::InsertedAt.gte(range.start))
            .add(Kept::InsertedAt.lt(range.end));
        let deleted = within(filter, Deleted::ConnectionUuid, Deleted::Direction)
            .add(Deleted::InsertedAt.gte(range.start))
            .add(Deleted::InsertedAt.lt(range.end));
        transfers.extend(ended(kept, deleted));
    }
    for status in open {
        transfers.push(each("transfer", condition::transfers(&filter.of(*status))));
    }
    let sums = (!cover.periods.is_empty()).then(|| kept_sums(filter, &cover));
    let transfers = together(transfers).map(|transfers| counted(backend, transfers));
    // A span that ends before it begins means nothing.
    let nothing = || each("deleted_transfer", Condition::all().add(cust("1 = 0")));
    together(sums.into_iter().chain(transfers)).unwrap_or_else(|| counted(backend, nothing()))
}

fn kept_sums(filter: &StatsFilter, cover: &Cover) -> SelectStatement {
    use transfer_stats::Column;
    let periods = cover.periods.iter().map(|(period, range)| {
        let starts_at = match period {
            Period::All => Column::StartsAt.eq(range.start),
            _ => (Column::StartsAt.gte(range.start)).and(Column::StartsAt.lt(range.end)),
        };
        let is_it = Expr::col(Column::Period).eq(Expr::Constant(period.name().into()));
        is_it.and(starts_at)
    });
    let one = within(filter, Column::ConnectionUuid, Column::Direction);
    Query::select()
        .expr_as(cust("starts_at"), SINCE)
        .columns(KEY)
        .columns(SUMS)
        .column(LATEST)
        .from("transfer_stats")
        .cond_where(one.add(any_of(periods)))
        .take()
}

/// The sums by status and class of durations, with transfers that have not ended.
pub(crate) fn by_status(backend: DbBackend, filter: &StatsFilter) -> SelectStatement {
    let open = TransferStatus::ALL.iter().copied();
    let open: Vec<_> = open.filter(|status| !status.is_terminal()).collect();
    let mut select = Query::select();
    select
        .columns(["status", "duration_class"])
        .from_subquery(meant(backend, filter, &open), "meant")
        .group_by_columns(["status", "duration_class"]);
    add_up(&mut select);
    select
}

/// The sums of ended transfers by table, status and class of durations, of the `limit` tables with the most completed
/// transfers; these first, then by name.
pub(crate) fn by_table(backend: DbBackend, filter: &StatsFilter, limit: u32) -> WithQuery {
    let names = ["table_name", "status", "duration_class"];
    let mut summed = Query::select();
    summed
        .columns(names)
        .from_subquery(meant(backend, filter, &[]), "meant")
        .group_by_columns(names);
    add_up(&mut summed);
    let completed = TransferStatus::Completed.name();
    let ranked = Query::select()
        .column("table_name")
        .expr_as(cust("SUM(transfers)"), "completed")
        .from("summed")
        .and_where(cust(format!("status = '{completed}'")))
        .group_by_col("table_name")
        .order_by_expr(cust("2"), Order::Desc)
        .order_by("table_name", Order::Asc)
        .limit(u64::from(limit))
        .take();
    let mut select = Query::select();
    select.columns(names.map(|name| ("summed", name)));
    select
        .columns(SUMS)
        .column(LATEST)
        .from("ranked")
        .inner_join(
            "summed",
            Expr::col(("summed", "table_name")).equals(("ranked", "table_name")),
        );
    select
        .order_by("completed", Order::Desc)
        .order_by(("summed", "table_name"), Order::Asc);
    let named = |name, query| {
        CommonTableExpression::new()
            .query(query)
            .table_name(name)
            .to_owned()
    };
    let mut with = WithClause::new();
    with.cte(named("summed", summed))
        .cte(named("ranked", ranked));
    select.with(with)
}
