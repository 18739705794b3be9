//! Events carry the hash that chains them, and the address that a call came from; and an event may concern no transfer.
//!
//! The table no longer lists what may happen and between which states: the lists grow with the releases, and changing
//! one on SQLite would copy the log. The server checks what it reads.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

/// This change.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            blob_null("hash"),
            text_null("address"),
            uuid_null("subject_uuid"),
        ] {
            manager
                .alter_table(Table::alter().table(TABLE).add_column(column).take())
                .await?;
        }
        match manager.get_database_backend() {
            DbBackend::Sqlite => {
                let [before, after] = definitions();
                rewrite(manager, &before, &after).await
            }
            _ => {
                for (name, _) in checks() {
                    let drop = format!("ALTER TABLE {TABLE} DROP CONSTRAINT {name}");
                    manager.get_connection().execute_unprepared(&drop).await?;
                }
                constrain(manager, "transfer_event_revision_check", LOOSE).await
            }
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["subject_uuid", "address", "hash"] {
            manager
                .alter_table(Table::alter().table(TABLE).drop_column(column).take())
                .await?;
        }
        match manager.get_database_backend() {
            DbBackend::Sqlite => {
                let [before, after] = definitions();
                rewrite(manager, &after, &before).await
            }
            _ => {
                let drop =
                    format!("ALTER TABLE {TABLE} DROP CONSTRAINT transfer_event_revision_check");
                manager.get_connection().execute_unprepared(&drop).await?;
                for (name, check) in checks() {
                    constrain(manager, name, &check).await?;
                }
                Ok(())
            }
        }
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

const TABLE: &str = "transfer_event";

/// What is asked of a row from now on; an event that concerns no transfer has no revision.
const LOOSE: &str = "CHECK (revision >= 0)";

/// What was asked of a row before, with the names that PostgreSQL gave it, in the order of the table's definition.
fn checks() -> [(&'static str, String); 4] {
    let statuses = "('PENDING', 'PENDING_APPROVAL', 'APPROVED', 'DENIED', 'IN_PROGRESS', \
                    'COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED')";
    [
        (
            "transfer_event_action_check",
            "CHECK (action IN ('CREATED', 'APPROVAL_REQUESTED', 'APPROVED', 'DENIED', 'EXPIRED', \
             'STARTED', 'COMPLETED', 'FAILED', 'CANCELLED', 'DELETED'))"
                .to_owned(),
        ),
        (
            "transfer_event_from_status_check",
            format!("CHECK (from_status IN {statuses})"),
        ),
        (
            "transfer_event_to_status_check",
            format!("CHECK (to_status IN {statuses})"),
        ),
        (
            "transfer_event_revision_check",
            "CHECK (revision >= 1)".to_owned(),
        ),
    ]
}

/// What SQLite's definition says before and after. The one before the last stays.
fn definitions() -> [String; 2] {
    let [action, from, to, revision] = checks().map(|(_, check)| check);
    let kept = "CHECK ((request_id IS NULL) = (request_digest IS NULL))";
    [
        format!("{action}, {from}, {to}, {kept}, {revision}"),
        format!("{kept}, {LOOSE}"),
    ]
}

/// Not tested against the rows that are there: each was tested when it was written.
async fn constrain(manager: &SchemaManager<'_>, name: &str, check: &str) -> Result<(), DbErr> {
    let add = format!("ALTER TABLE {TABLE} ADD CONSTRAINT {name} {check} NOT VALID");
    manager.get_connection().execute_unprepared(&add).await?;
    Ok(())
}

/// Exchanges constraints in the stored definition, as SQLite's manual describes for changes that leave the content as
/// it is. The columns that were added or dropped before tell other connections that the definition is a new one.
async fn rewrite(manager: &SchemaManager<'_>, old: &str, new: &str) -> Result<(), DbErr> {
    let [old, new] = [old, new].map(|checks| checks.replace('\'', "''"));
    let db = manager.get_connection();
    db.execute_unprepared("PRAGMA writable_schema = ON").await?;
    let update = format!(
        "UPDATE sqlite_schema SET sql = replace(sql, '{old}', '{new}') \
         WHERE type = 'table' AND name = '{TABLE}' AND instr(sql, '{old}') > 0"
    );
    let updated = db.execute_unprepared(&update).await;
    // Switches it off again and reads the definition anew.
    db.execute_unprepared("PRAGMA writable_schema = RESET")
        .await?;
    match updated?.rows_affected() {
        1 => Ok(()),
        _ => Err(DbErr::Migration(format!(
            "the constraints of {TABLE} are not those that were expected"
        ))),
    }
}
