//! Who runs transfers.

use sea_orm_migration::{prelude::*, schema::*};

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(agent()).await?;
    // For the list, those that came last first.
    let listed = Index::create()
        .name("agent_registered_at")
        .table("agent")
        .col("registered_at")
        .col("uuid")
        .take();
    let of_connection = Index::create()
        .name("agent_connection_uuid")
        .table("agent")
        .col("connection_uuid")
        .col("registered_at")
        .col("uuid")
        .take();
    // For those that are gone.
    let gone = Index::create()
        .name("agent_last_beat_at")
        .table("agent")
        .col("last_beat_at")
        .take();
    for index in [listed, of_connection, gone] {
        manager.create_index(index).await?;
    }
    Ok(())
}

fn agent() -> TableCreateStatement {
    Table::create()
        .table("agent")
        .col(uuid("uuid").primary_key())
        .col(uuid_null("connection_uuid"))
        .col(uuid_null("owner_uuid"))
        .col(text("instance"))
        .col(text_null("version"))
        .col(text_null("host"))
        .col(text_null("engines"))
        .col(big_integer_null("slots"))
        .col(text_null("labels"))
        .col(big_integer("registered_at"))
        .col(big_integer("last_beat_at"))
        .check(Expr::cust("slots >= 1"))
        .take()
}
