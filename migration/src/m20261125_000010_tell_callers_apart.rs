//! Who declared a transfer and from where, as the server saw it, beside what was said of both; and what case means to the
//! lists of tables.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

/// This change.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add(manager, "connection", text_null("table_case").take()).await?;
        add(manager, TRANSFER, text_null("observed_ip").take()).await?;
        let mut acted = uuid_null("acted_by_uuid").take();
        if manager.get_database_backend() == DbBackend::Sqlite {
            // The only way to add a constraint to a table that exists.
            acted.check(Expr::cust(HANDS));
            return add(manager, TRANSFER, acted).await;
        }
        add(manager, TRANSFER, acted).await?;
        let constraint = format!(
            "ALTER TABLE transfer ADD CONSTRAINT transfer_second_hand_check CHECK ({HANDS})"
        );
        manager
            .get_connection()
            .execute_unprepared(&constraint)
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() != DbBackend::Sqlite {
            let drop = "ALTER TABLE transfer DROP CONSTRAINT transfer_second_hand_check";
            manager.get_connection().execute_unprepared(drop).await?;
        }
        drop_column(manager, TRANSFER, "acted_by_uuid").await?;
        drop_column(manager, TRANSFER, "observed_ip").await?;
        drop_column(manager, "connection", "table_case").await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

const TRANSFER: &str = "transfer";

/// Whoever declared a transfer, in whosever name, has not approved it, unless its policy said that they may.
const HANDS: &str = "self_approval OR approved_by_uuid IS NULL OR acted_by_uuid IS NULL \
                     OR approved_by_uuid <> acted_by_uuid";

async fn add(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: ColumnDef,
) -> Result<(), DbErr> {
    manager
        .alter_table(Table::alter().table(table).add_column(column).take())
        .await
}

async fn drop_column(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: &'static str,
) -> Result<(), DbErr> {
    manager
        .alter_table(Table::alter().table(table).drop_column(column).take())
        .await
}
