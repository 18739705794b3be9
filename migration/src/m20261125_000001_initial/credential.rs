//! Who may call: credentials, their tokens, and the sessions that agents redeem for one.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let postgres = manager.get_database_backend() == DbBackend::Postgres;
    for table in [credential(), access_token(postgres), session()] {
        manager.create_table(table).await?;
    }
    // For the list, newest first.
    let listed = Index::create()
        .name("credential_inserted_at")
        .table("credential")
        .col("inserted_at")
        .col("uuid")
        .take();
    // The agents of a connection.
    let agents = Index::create()
        .name("credential_connection_uuid")
        .table("credential")
        .col("connection_uuid")
        .and_where(Expr::cust("connection_uuid IS NOT NULL"))
        .take();
    let tokens = Index::create()
        .name("access_token_credential_uuid")
        .table("access_token")
        .col("credential_uuid")
        .take();
    // What retention deletes: credentials by when they ended, and sessions.
    let revoked = Index::create()
        .name("credential_revoked_at")
        .table("credential")
        .col("revoked_at")
        .and_where(Expr::cust("revoked_at IS NOT NULL"))
        .take();
    let spent = Index::create()
        .name("credential_session")
        .table("credential")
        .col("inserted_at")
        .and_where(Expr::cust("session_code IS NOT NULL"))
        .and_where(Expr::cust("revoked_at IS NULL"))
        .take();
    let ended = Index::create()
        .name("session_expires_at")
        .table("session")
        .col("expires_at")
        .take();
    for index in [listed, agents, tokens, revoked, spent, ended] {
        manager.create_index(index).await?;
    }
    Ok(())
}

fn credential() -> TableCreateStatement {
    Table::create()
        .table("credential")
        .col(uuid("uuid").primary_key())
        .col(text("name"))
        .col(text("role"))
        .col(uuid_null("connection_uuid"))
        .col(boolean("acts_for_others"))
        .col(text_null("session_code"))
        .col(big_integer("inserted_at"))
        .col(big_integer_null("revoked_at"))
        .col(big_integer_null("last_used_at"))
        .col(text_null("last_used_address"))
        .col(big_integer("revision"))
        .check(Expr::cust(
            "role IN ('VIEWER', 'AGENT', 'APPROVER', 'ADMIN')",
        ))
        // An agent has a connection, and nobody else has one.
        .check(Expr::cust(
            "(role = 'AGENT') = (connection_uuid IS NOT NULL)",
        ))
        .check(Expr::cust("role <> 'AGENT' OR NOT acts_for_others"))
        .check(Expr::cust("revision >= 1"))
        .take()
}

fn access_token(postgres: bool) -> TableCreateStatement {
    let mut id = text("id");
    if postgres {
        // Sorts by its bytes, as it does on SQLite.
        id.extra("COLLATE \"C\"");
    }
    Table::create()
        .table("access_token")
        .col(id.primary_key())
        .col(uuid("credential_uuid"))
        .col(blob("digest"))
        .col(big_integer("inserted_at"))
        .col(big_integer("expires_at"))
        .check(Expr::cust("length(digest) = 32"))
        .take()
}

fn session() -> TableCreateStatement {
    Table::create()
        .table("session")
        .col(uuid("uuid").primary_key())
        .col(uuid("connection_uuid"))
        .col(blob("digest").unique_key())
        .col(big_integer("inserted_at"))
        .col(big_integer("expires_at"))
        .col(big_integer("token_expires_in"))
        .col(big_integer_null("redeemed_at"))
        .check(Expr::cust("length(digest) = 32"))
        .take()
}
