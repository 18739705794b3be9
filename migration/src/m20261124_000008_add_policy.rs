//! What connections let their transfers do, and what of it was decided for each transfer.

use sea_orm_migration::{
    prelude::*,
    schema::*,
    sea_orm::{ConnectionTrait, DbBackend, Statement},
};

/// This change.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in policy() {
            add(manager, "connection", column).await?;
        }
        add(
            manager,
            TRANSFER,
            boolean("self_approval").default(false).take(),
        )
        .await?;
        let db = manager.get_connection();
        mark_self_approvals(manager).await?;
        let mut revision = big_integer("policy_revision").default(0).take();
        if manager.get_database_backend() == DbBackend::Sqlite {
            // The only way to add a constraint to a table that exists.
            revision.check(Expr::cust(EYES));
            return add(manager, TRANSFER, revision).await;
        }
        add(manager, TRANSFER, revision).await?;
        db.execute_unprepared(&format!(
            "ALTER TABLE transfer ADD CONSTRAINT transfer_second_eyes_check CHECK ({EYES})"
        ))
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() != DbBackend::Sqlite {
            let drop = "ALTER TABLE transfer DROP CONSTRAINT transfer_second_eyes_check";
            manager.get_connection().execute_unprepared(drop).await?;
        }
        for column in ["policy_revision", "self_approval"] {
            drop_column(manager, TRANSFER, column).await?;
        }
        for column in POLICY.into_iter().rev() {
            drop_column(manager, "connection", column).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Rows that one statement marks.
const CHUNK: u32 = 20_000;

/// Approvals from before the rule stand, marked as what they are.
async fn mark_self_approvals(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let (db, backend) = (manager.get_connection(), manager.get_database_backend());
    if backend == DbBackend::Sqlite {
        let sql =
            "UPDATE transfer SET self_approval = TRUE WHERE approved_by_uuid = initiated_by_uuid";
        return db.execute_unprepared(sql).await.map(drop);
    }
    let (mut after, mut marked) = (String::new(), 0_i64);
    loop {
        let sql = format!(
            "WITH chunk AS (SELECT uuid FROM transfer \
               WHERE uuid > COALESCE(NULLIF('{after}', '')::uuid, '00000000-0000-0000-0000-000000000000') \
               AND approved_by_uuid = initiated_by_uuid ORDER BY uuid LIMIT {CHUNK}), \
             marked AS (UPDATE transfer SET self_approval = TRUE FROM chunk WHERE transfer.uuid = chunk.uuid) \
             SELECT count(*), COALESCE(max(uuid::text), '') FROM chunk"
        );
        let row = db
            .query_one_raw(Statement::from_string(backend, sql))
            .await?;
        let row = row.ok_or_else(|| DbErr::Migration("a count has a row".to_owned()))?;
        let count: i64 = row.try_get_by_index(0)?;
        if count == 0 {
            return Ok(());
        }
        after = row.try_get_by_index(1)?;
        marked += count;
        tracing::info!(marked, "approvals of one's own transfers are marked");
    }
}

const TRANSFER: &str = "transfer";

/// Whoever initiated a transfer has not approved it, unless its policy said that he may.
const EYES: &str = "self_approval OR approved_by_uuid IS NULL OR initiated_by_uuid IS NULL \
                    OR approved_by_uuid <> initiated_by_uuid";

const POLICY: [&str; 18] = [
    "approval_mode",
    "allowed_tables",
    "excluded_tables",
    "auto_approve_tables",
    "expires_at",
    "max_downloads",
    "max_records_total",
    "max_records_per_request",
    "rate_limit_requests_per_minute",
    "ip_allowlist",
    "allowed_hours",
    "default_conflict_strategy",
    "heartbeat_timeout",
    "self_approval",
    "metadata",
    "status_reason",
    "downloads_used",
    "records_used",
];

/// The columns, in the order of their names above. Lists are JSON arrays of text.
fn policy() -> Vec<ColumnDef> {
    let list = |name: &'static str| text(name).default("[]").take();
    vec![
        text("approval_mode").default("AUTO_APPROVE").take(),
        list("allowed_tables"),
        list("excluded_tables"),
        list("auto_approve_tables"),
        big_integer_null("expires_at").take(),
        big_integer_null("max_downloads").take(),
        big_integer_null("max_records_total").take(),
        big_integer_null("max_records_per_request").take(),
        integer_null("rate_limit_requests_per_minute").take(),
        list("ip_allowlist"),
        text_null("allowed_hours").take(),
        text_null("default_conflict_strategy").take(),
        big_integer_null("heartbeat_timeout").take(),
        boolean("self_approval").default(false).take(),
        text("metadata").default("{}").take(),
        text("status_reason").default("").take(),
        big_integer("downloads_used").default(0).take(),
        big_integer("records_used").default(0).take(),
    ]
}

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
