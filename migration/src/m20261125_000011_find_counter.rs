//! Finds the counter's row on PostgreSQL by its number alone, the newest version first.
//!
//! Versions of a row that a long snapshot still sees, such as that of a dump, stay in every index of the table. By a key
//! that never changes each change would go through all of them, slower and slower until the snapshot ends.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

/// This change.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        alter(
            manager,
            &[
                "CREATE UNIQUE INDEX event_counter_last_sequence ON event_counter (last_sequence)",
                // Only the migrations make and delete the row.
                "ALTER TABLE event_counter DROP CONSTRAINT event_counter_pkey",
                // Versions that nobody sees any more are cleared away before there are many.
                "ALTER TABLE event_counter SET (autovacuum_vacuum_threshold = 1000, \
                 autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        alter(
            manager,
            &[
                "ALTER TABLE event_counter RESET (autovacuum_vacuum_threshold, \
                 autovacuum_vacuum_scale_factor, autovacuum_vacuum_cost_delay)",
                "ALTER TABLE event_counter ADD PRIMARY KEY (id)",
                "DROP INDEX event_counter_last_sequence",
            ],
        )
        .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn alter(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    // An embedded database has no snapshots of others to keep old versions for.
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    for statement in statements {
        manager
            .get_connection()
            .execute_unprepared(statement)
            .await?;
    }
    Ok(())
}
