//! The migrations, and that the entities fit what they make.

use sea_orm::{ConnectionTrait, DbBackend, EntityName as _, EntityTrait, Statement};
use sea_orm_migration::MigratorTrait;
use tidegate_entity::event_counter;
use tidegate_migration::Migrator;

use super::{
    super::{Store, sql::classify::RACED, tables::each_table, transfer::PROGRESS},
    fixture::Fixture,
};

async fn objects(store: &Store) -> Vec<String> {
    let sql =
        "SELECT type || ' ' || name || ' ' || COALESCE(sql, '') FROM sqlite_schema ORDER BY name";
    let statement = Statement::from_string(DbBackend::Sqlite, sql);
    let rows = store
        .writer()
        .query_all_raw(statement)
        .await
        .expect("the schema");
    rows.iter()
        .map(|row| row.try_get_by_index(0).expect("a line"))
        .collect()
}

async fn every_entity_selects(store: &Store) {
    let db = &store.writer();
    each_table!(T => drop(T::find().all(db).await.expect("rows")));
    let counter = event_counter::Entity::find()
        .all(db)
        .await
        .expect("event_counter");
    assert_eq!(
        counter,
        [event_counter::Model {
            id: 1,
            last_sequence: 0,
            floor_sequence: 0,
            floor_hash: None,
        }]
    );
}

#[tokio::test]
async fn migrations_go_up_down_and_up_again() {
    let fixture = Fixture::new().await;
    let before = objects(&fixture.store).await;
    every_entity_selects(&fixture.store).await;
    Migrator::down(&fixture.store.writer(), None)
        .await
        .expect("down");
    let left = objects(&fixture.store).await;
    assert!(
        left.iter().all(|line| line.contains("seaql_migrations")),
        "{left:?}"
    );
    Migrator::up(&fixture.store.writer(), None)
        .await
        .expect("up");
    assert_eq!(objects(&fixture.store).await, before);
    every_entity_selects(&fixture.store).await;
}

#[tokio::test]
async fn entities_and_tables_have_the_same_columns() {
    let fixture = Fixture::new().await;
    let mut tables = Vec::new();
    each_table!(T => tables.push((T::default().table_name(), columns::<T>())));
    for (table, mut columns) in tables {
        let sql = format!("SELECT name FROM pragma_table_info('{table}') ORDER BY name");
        let statement = Statement::from_string(DbBackend::Sqlite, sql);
        let rows = fixture
            .store
            .writer()
            .query_all_raw(statement)
            .await
            .expect("columns");
        let found: Vec<String> = rows
            .iter()
            .map(|row| row.try_get_by_index(0).expect("a name"))
            .collect();
        columns.sort();
        assert_eq!(found, columns, "{table}");
    }
}

fn columns<E: EntityTrait>() -> Vec<String> {
    use sea_orm::{Iterable as _, sea_query::Iden as _};
    E::Column::iter().map(|column| column.to_string()).collect()
}

#[tokio::test]
async fn no_index_holds_what_progress_changes() {
    use sea_orm::sea_query::Iden as _;
    let fixture = Fixture::new().await;
    let sql =
        "SELECT DISTINCT c.name FROM pragma_index_list('transfer') i, pragma_index_info(i.name) c";
    let statement = Statement::from_string(DbBackend::Sqlite, sql);
    let rows = fixture
        .store
        .writer()
        .query_all_raw(statement)
        .await
        .expect("columns");
    let indexed: Vec<String> = rows
        .iter()
        .map(|row| row.try_get_by_index(0).expect("a name"))
        .collect();
    assert!(indexed.contains(&"inserted_at".to_owned()));
    for column in PROGRESS {
        assert!(
            !indexed.contains(&column.to_string()),
            "{}",
            column.to_string()
        );
    }
}

#[tokio::test]
async fn the_indexes_that_writers_race_on_are_the_only_unique_ones() {
    let fixture = Fixture::new().await;
    let unique: Vec<_> = objects(&fixture.store)
        .await
        .into_iter()
        .filter(|line| line.contains("CREATE UNIQUE INDEX"))
        .collect();
    assert_eq!(unique.len(), RACED.len(), "{unique:?}");
    for name in RACED {
        let named = format!("\"{name}\"");
        assert!(
            unique.iter().any(|it| it.contains(&named)),
            "{name}: {unique:?}"
        );
    }
}

#[tokio::test]
async fn constraints_keep_out_what_has_no_meaning() {
    let fixture = Fixture::new().await;
    fixture.insert(&[super::fixture::plain(1)]).await;
    for change in [
        "status = 'DONE'",
        "direction = 'send'",
        "conflict_strategy = ''",
        "records_transferred = -1",
        "bytes_transferred = -1",
        "revision = 0",
        "approved_at = 5",
        "denied_by_uuid = x'00'",
        "heartbeat_timeout = -1",
        "max_attempts = 0",
        "priority = 101",
        "priority = -101",
        "start_within = 0",
        "retry_number = -1",
        "finish_within = 0",
        "lease_epoch = -1",
        "pauses = -1",
        "stop_grace = -1",
        "superseded = TRUE",
    ] {
        let sql = format!("UPDATE transfer SET {change}");
        let result = fixture.store.writer().execute_unprepared(&sql).await;
        assert!(result.is_err(), "{change}");
    }
    for sql in [
        "INSERT INTO event_counter (id, last_sequence) VALUES (2, 0)",
        "UPDATE event_counter SET last_sequence = -1",
        "UPDATE event_counter SET id = 2",
    ] {
        assert!(
            fixture
                .store
                .writer()
                .execute_unprepared(sql)
                .await
                .is_err(),
            "{sql}"
        );
    }
}
