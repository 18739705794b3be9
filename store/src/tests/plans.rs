//! How SQLite carries out each query: through which index, and whether it has to sort.

mod beside;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, QueryTrait, Select,
    Statement,
};
use tidegate_entity::{event as event_entity, transfer};
use uuid::Uuid;

use super::{
    super::{
        agent, bulk_operation, connection, credential, event, request,
        sql::bulk::{self, Bulk},
        stats,
        transfer::{self as transfers, rows::to_row},
    },
    fixture::{Fixture, at, first, plain},
};
use tidegate_domain::{
    bulk::BulkResult,
    caller::ConnectionScope,
    claim::{ClaimFilter, ClaimPosition},
    fixtures::{id, registration},
    page::Position,
    query::{
        ApprovalFilter, ConnectionFilter, CredentialFilter, EventFilter, SortOrder, StatsFilter,
        TransferFilter, Window,
    },
    reconcile::ReconciliationState,
    stats::Period,
    status::TransferStatus,
};

const SORT: &str = "USE TEMP B-TREE FOR ORDER BY";

async fn plan<E: EntityTrait>(fixture: &Fixture, select: &Select<E>) -> String {
    explain(&fixture.store.reader(), select.build(DbBackend::Sqlite)).await
}

async fn explain(pool: &DatabaseConnection, statement: Statement) -> String {
    let sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
    let rows = pool
        .query_all_raw(Statement { sql, ..statement })
        .await
        .expect("a plan");
    let lines = rows
        .iter()
        .map(|row| row.try_get::<String>("", "detail").expect("a line"));
    lines.collect::<Vec<_>>().join("; ")
}

fn later(limit: u32) -> Window {
    Window {
        after: Some(Position {
            micros: 5,
            uuid: id(0),
        }),
        skip: 3,
        limit,
    }
}

#[tokio::test]
async fn lists_follow_an_index_and_need_no_sort() {
    let fixture = Fixture::new().await;
    let any = TransferFilter::default();
    let site = TransferFilter {
        connections: ConnectionScope::Only(id(0)),
        ..any.clone()
    };
    let span = TransferFilter {
        from: Some(at(1)),
        to: Some(at(9)),
        ..any.clone()
    };
    let active = TransferFilter {
        status: vec![TransferStatus::InProgress],
        ..any.clone()
    };
    let movement = TransferFilter {
        correlation_uuid: Some(id(1)),
        connections: ConnectionScope::All,
        ..any.clone()
    };
    let diverged = TransferFilter {
        reconciliation: Some(ReconciliationState::Diverged),
        ..any.clone()
    };
    let plan_of_work = TransferFilter {
        plan_uuid: Some(id(1)),
        ..any.clone()
    };
    for (filter, index) in [
        (
            movement,
            "USING INDEX transfer_correlation (correlation_uuid=?",
        ),
        (plan_of_work, "USING INDEX transfer_plan (plan_uuid=?"),
        (
            diverged,
            "USING INDEX transfer_reconciliation (reconciliation=?",
        ),
        (any, "USING INDEX transfer_inserted_at"),
        (
            span,
            "USING INDEX transfer_inserted_at (inserted_at>? AND inserted_at<?)",
        ),
        (site, "USING INDEX transfer_connection (connection_uuid=?"),
        (active, "USING INDEX transfer_active (status=?"),
    ] {
        for order in [SortOrder::Ascending, SortOrder::Descending] {
            for window in [first(50), later(50)] {
                let plan = plan(&fixture, &transfers::select::list(&filter, order, window)).await;
                assert!(plan.contains(index), "{filter:?}: {plan}");
                assert!(!plan.contains(SORT), "{filter:?}: {plan}");
            }
        }
    }
}

#[tokio::test]
async fn a_later_page_begins_where_the_earlier_ended() {
    let fixture = Fixture::new().await;
    let any = TransferFilter::default();
    let page = plan(
        &fixture,
        &transfers::select::list(&any, SortOrder::Descending, later(9)),
    )
    .await;
    assert!(page.contains("(inserted_at,uuid)<(?,?)"), "{page}");
    let all = ApprovalFilter::default();
    let page = transfers::select::pending_approvals(&all, at(1), later(9));
    let page = plan(&fixture, &page).await;
    assert!(page.contains("approval_expires_at"), "{page}");
}

#[tokio::test]
async fn the_sides_of_a_movement_are_found_through_what_keeps_them_unique() {
    let fixture = Fixture::new().await;
    for (linked, index) in [(true, "transfer_side"), (false, "transfer_side_alone")] {
        let among = transfer::Column::CorrelationUuid.is_in([Uuid::nil()]);
        let plan = plan(&fixture, &transfers::movement::newest(among, linked)).await;
        let expected = format!("USING INDEX {index} (correlation_uuid=?");
        assert!(plan.contains(&expected), "{plan}");
    }
}

#[tokio::test]
async fn deadlines_are_found_through_the_partial_indexes() {
    let fixture = Fixture::new().await;
    let all = ApprovalFilter::default();
    let table = ApprovalFilter {
        table_name: Some("a".to_owned()),
        connections: ConnectionScope::All,
    };
    for select in [
        transfers::select::pending_approvals(&all, at(5), first(9)),
        transfers::select::pending_approvals(&all, at(5), later(9)),
        transfers::select::pending_approvals(&table, at(5), later(9)),
        transfers::select::overdue_approvals(at(5), 9),
    ] {
        let plan = plan(&fixture, &select).await;
        assert!(
            plan.contains("INDEX transfer_pending_approval (status=? AND "),
            "{plan}"
        );
        assert!(plan.contains("approval_expires_at"), "{plan}");
        assert!(!plan.contains(SORT), "{plan}");
    }
    let plan_of_starts = plan(&fixture, &transfers::select::overdue_starts(at(5), 9)).await;
    assert!(
        plan_of_starts.contains("INDEX transfer_start_expires_at (start_expires_at<"),
        "{plan_of_starts}"
    );
    assert!(!plan_of_starts.contains(SORT), "{plan_of_starts}");
    let plan_of_retention = plan(&fixture, &transfers::select::ended(at(5), 9)).await;
    assert!(
        plan_of_retention.contains("INDEX transfer_inserted_at (inserted_at<"),
        "{plan_of_retention}"
    );
    assert!(!plan_of_retention.contains(SORT), "{plan_of_retention}");
    let plan_of_retries = plan(&fixture, &transfers::select::due_retries(at(5), 9)).await;
    assert!(
        plan_of_retries.contains("INDEX transfer_retry_at (retry_at<"),
        "{plan_of_retries}"
    );
    assert!(!plan_of_retries.contains(SORT), "{plan_of_retries}");
    for select in [
        transfers::select::overdue_runs(at(5), at(1), 9),
        transfers::select::moved(at(5), None, 9),
        transfers::select::moved(at(5), later(9).after, 9),
    ] {
        let plan = plan(&fixture, &select).await;
        assert!(
            plan.contains("USING INDEX transfer_active (status=?"),
            "{plan}"
        );
        assert!(!plan.contains(SORT), "{plan}");
    }
}

#[tokio::test]
async fn what_may_be_started_is_found_in_its_order() {
    let fixture = Fixture::new().await;
    let after = ClaimPosition {
        priority: 7,
        created: later(9).after.expect("a position"),
    };
    for connection_uuid in [Some(id(0)), None] {
        let filter = ClaimFilter {
            connection_uuid,
            ..ClaimFilter::default()
        };
        let one = transfer::Column::TableName.is_in(["a"]);
        let some = transfer::Column::TableName.is_in(["a", "b"]);
        for select in [
            transfers::select::startable(&filter, None, at(5), None, 9),
            transfers::select::startable(&filter, Some(one), at(5), Some(after), 9),
            transfers::select::next_start(&filter, Some(some), at(5)),
        ] {
            let plan = plan(&fixture, &select).await;
            let index = "USING INDEX transfer_queued (connection_uuid=?";
            assert!(plan.contains(index), "{plan}");
            assert!(!plan.contains(SORT), "{plan}");
        }
    }
}

#[tokio::test]
async fn events_and_connections_follow_their_keys() {
    let fixture = Fixture::new().await;
    let all = EventFilter {
        after_sequence: 4,
        ..EventFilter::default()
    };
    let transfer = EventFilter {
        transfer_uuid: Some(id(0)),
        ..all
    };
    let site = EventFilter {
        connections: ConnectionScope::Only(id(0)),
        ..all
    };
    for (filter, index) in [
        (all, "USING INTEGER PRIMARY KEY (rowid>?)"),
        (
            transfer,
            "USING INDEX event_transfer (transfer_uuid=? AND sequence>?)",
        ),
        (
            site,
            "USING INDEX event_connection (connection_uuid=? AND sequence>?)",
        ),
    ] {
        let plan = plan(&fixture, &event::select::list(&filter, 9)).await;
        assert!(plan.contains(index), "{plan}");
        assert!(!plan.contains(SORT), "{plan}");
    }
    let oldest = plan(&fixture, &event::select::oldest(4, 9)).await;
    assert!(
        oldest.contains("USING INTEGER PRIMARY KEY (rowid>?)"),
        "{oldest}"
    );
    assert!(!oldest.contains(SORT), "{oldest}");
    let plan = plan(
        &fixture,
        &connection::select::list(&ConnectionFilter::default(), later(9)),
    )
    .await;
    assert!(
        plan.contains("USING INDEX connection_inserted_at"),
        "{plan}"
    );
    assert!(!plan.contains(SORT), "{plan}");
}

#[tokio::test]
async fn statistics_read_sums_edges_and_what_is_open() {
    const KEPT: &str = "transfer_stats USING PRIMARY KEY (period=? AND ";
    const ENDS: &str = "inserted_at>? AND inserted_at<?";
    const OPEN: &str = "INDEX transfer_active_of_connection (connection_uuid=? AND status=?";
    let fixture = Fixture::new().await;
    let all = StatsFilter::default();
    let site = StatsFilter {
        connections: ConnectionScope::Only(id(0)),
        ..all.clone()
    };
    let hour = Period::Hour.micros();
    let span = StatsFilter {
        from: Some(at(1)),
        to: Some(at(30 * hour)),
        ..site.clone()
    };
    let pool = fixture.store.reader();
    let select = |filter| stats::facts::by_status(DbBackend::Sqlite, filter);
    let of_site = explain(&pool, DbBackend::Sqlite.build(&select(&site))).await;
    let of_span = explain(&pool, DbBackend::Sqlite.build(&select(&span))).await;
    let tables = |filter| stats::facts::by_table(DbBackend::Sqlite, filter, 9);
    let of_tables = explain(&pool, DbBackend::Sqlite.build(&tables(&all))).await;
    let span_of_all = StatsFilter {
        connections: ConnectionScope::All,
        ..span
    };
    let tables_of_span = explain(&pool, DbBackend::Sqlite.build(&tables(&span_of_all))).await;
    assert_eq!(of_site.matches(&format!("{OPEN})")).count(), 4, "{of_site}");
    let kept = format!("{KEPT}starts_at=? AND connection_uuid=?)");
    assert!(of_site.contains(&kept), "{of_site}");
    let kept = format!("{KEPT}starts_at>? AND starts_at<?)");
    assert!(of_span.contains(&kept), "{of_span}");
    let open = format!("{OPEN} AND {ENDS})");
    assert_eq!(of_span.matches(&open).count(), 4, "{of_span}");
    let of_connection = format!("INDEX transfer_connection (connection_uuid=? AND {ENDS})");
    let of_any = format!("INDEX transfer_inserted_at ({ENDS})");
    for (plan, edge) in [(&of_span, of_connection), (&tables_of_span, of_any)] {
        let deleted = format!("INDEX deleted_transfer_inserted_at ({ENDS})");
        assert_eq!(plan.matches(&edge).count(), 2, "{plan}");
        assert_eq!(plan.matches(&deleted).count(), 2, "{plan}");
    }
    for plan in [of_site, of_span, of_tables, tables_of_span] {
        assert!(plan.contains(KEPT), "{plan}");
        for table in ["transfer", "deleted_transfer", "transfer_stats"] {
            for end in [";", " USING"] {
                assert!(!plan.contains(&format!("SCAN {table}{end}")), "{plan}");
            }
        }
    }
}

#[tokio::test]
async fn counts_read_only_their_part() {
    let fixture = Fixture::new().await;
    let active = TransferFilter {
        status: vec![TransferStatus::Pending],
        ..TransferFilter::default()
    };
    let active = plan(&fixture, &stats::select_count(&active)).await;
    assert!(
        active.contains("USING COVERING INDEX transfer_active (status=?)"),
        "{active}"
    );
}

#[tokio::test]
async fn what_a_connection_is_asked_for_reads_only_its_part() {
    let fixture = Fixture::new().await;
    let usage = plan(&fixture, &stats::select_usage(id(0))).await;
    let open = plan(&fixture, &transfers::select::open(id(0), 9)).await;
    let running = plan(&fixture, &transfers::select::running(id(0))).await;
    let index = "INDEX transfer_running (connection_uuid=?)";
    assert!(running.contains(index), "{running}");
    for plan in [usage, open] {
        assert!(
            plan.contains("INDEX transfer_connection (connection_uuid=?"),
            "{plan}"
        );
    }
    let some = transfer::Column::Uuid.is_in([id::<Uuid>(0), id(u128::MAX)]);
    let peeks = DbBackend::Sqlite.build(&connection::select::peeks(some));
    let peeks = explain(&fixture.store.reader(), peeks).await;
    for key in ["transfer", "connection"] {
        let index = format!("INDEX sqlite_autoindex_{key}_1 (uuid=?)");
        assert!(peeks.contains(&index), "{peeks}");
    }
}

#[tokio::test]
async fn requests_and_updates_go_straight_to_their_rows() {
    let fixture = Fixture::new().await;
    let event = plan(
        &fixture,
        &request::select(event_entity::Column::RequestId.is_in(["a", "b"])),
    )
    .await;
    assert!(
        event.contains("INDEX event_request_key (request_id=?)"),
        "{event}"
    );
    let rows: Vec<_> = (0..4).map(|number| to_row(&plain(number))).collect();
    let key = transfer::Column::Uuid;
    let update =
        bulk::update::<transfer::Entity>(DbBackend::Sqlite, key, &transfers::PROGRESS, &rows);
    let Ok(Bulk::Values(update)) = update else {
        panic!("SQLite takes values");
    };
    let update = explain(&fixture.store.writer(), update).await;
    assert!(
        update.contains("INDEX sqlite_autoindex_transfer_1 (uuid=?)"),
        "{update}"
    );
}

#[tokio::test]
async fn a_token_is_looked_up_by_keys_alone() {
    let fixture = Fixture::new().await;
    let siblings = plan(&fixture, &credential::select::siblings("id")).await;
    assert!(
        siblings.contains("USING INDEX access_token_credential_uuid (credential_uuid=?)"),
        "{siblings}"
    );
    assert!(siblings.contains("(id=?)"), "{siblings}");
    let owner = credential::select::with_connection(id(0));
    let owner = explain(&fixture.store.reader(), owner.build(DbBackend::Sqlite)).await;
    assert_eq!(owner.matches("(uuid=?)").count(), 2, "{owner}");
    for plan in [siblings, owner] {
        assert!(!plan.contains("SCAN"), "{plan}");
    }
}

#[tokio::test]
async fn credentials_are_listed_along_an_index() {
    let fixture = Fixture::new().await;
    for window in [first(50), later(50)] {
        let any = CredentialFilter::default();
        let plan = plan(&fixture, &credential::select::list(&any, window)).await;
        assert!(
            plan.contains("USING INDEX credential_inserted_at"),
            "{plan}"
        );
        assert!(!plan.contains(SORT), "{plan}");
    }
}

#[tokio::test]
async fn what_has_ended_is_found_along_an_index() {
    let fixture = Fixture::new().await;
    let revoked = plan(&fixture, &credential::select::revoked(at(9), 5)).await;
    let index = "INDEX credential_revoked_at (revoked_at<?)";
    assert!(revoked.contains(index), "{revoked}");
    let spent = plan(&fixture, &credential::select::spent_agents(at(9), 5)).await;
    let index = "INDEX credential_session (inserted_at<?)";
    assert!(spent.contains(index), "{spent}");
    let token = "INDEX access_token_credential_uuid (credential_uuid=?)";
    assert!(spent.contains(token), "{spent}");
    let sessions = plan(&fixture, &credential::select::ended_sessions(at(9), 5)).await;
    let index = "INDEX session_expires_at (expires_at<?)";
    assert!(sessions.contains(index), "{sessions}");
    for plan in [revoked, spent, sessions] {
        assert!(!plan.contains("SCAN") && !plan.contains(SORT), "{plan}");
    }
}
