//! The first schema.
//!
//! Nothing is a foreign key. The log must outlive the rows that it names, a retry may name a transfer that was deleted, and
//! on PostgreSQL every insert would take a row lock on what it refers to.

use sea_orm_migration::prelude::*;

mod agent;
mod bulk;
mod connection;
mod credential;
mod event;
mod stats;
mod transfer;

/// This change.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        connection::up(manager).await?;
        transfer::up(manager).await?;
        event::up(manager).await?;
        credential::up(manager).await?;
        stats::up(manager).await?;
        bulk::up(manager).await?;
        agent::up(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            "bulk_outcome",
            "bulk_operation",
            "transfer_stats",
            "deleted_transfer",
            "agent",
            "session",
            "access_token",
            "credential",
            "event_counter",
            "event",
            "attempt",
            "transfer",
            "connection",
        ] {
            manager
                .drop_table(Table::drop().table(table).take())
                .await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
