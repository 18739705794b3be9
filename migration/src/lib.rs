//! The frozen history of the schema, one change a file, applied in the order of this list.
//!
//! Never imports `tidegate-entity`: entities move on, a migration must not. See README.md before adding one.

use sea_orm_migration::prelude::*;

mod m20261123_000001_create_connection;
mod m20261123_000002_create_transfer;
mod m20261123_000003_create_transfer_event;
mod m20261123_000004_create_event_counter;
mod m20261123_000005_add_event_counter_floor;
mod m20261124_000006_chain_events;
mod m20261124_000007_chain_start;
mod m20261124_000008_add_policy;
mod m20261124_000009_create_credential;
mod m20261125_000010_tell_callers_apart;
mod m20261125_000011_find_counter;

/// Applies the migrations that a database does not have yet.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_create_connection::Migration),
            Box::new(m20261123_000002_create_transfer::Migration),
            Box::new(m20261123_000003_create_transfer_event::Migration),
            Box::new(m20261123_000004_create_event_counter::Migration),
            Box::new(m20261123_000005_add_event_counter_floor::Migration),
            Box::new(m20261124_000006_chain_events::Migration),
            Box::new(m20261124_000007_chain_start::Migration),
            Box::new(m20261124_000008_add_policy::Migration),
            Box::new(m20261124_000009_create_credential::Migration),
            Box::new(m20261125_000010_tell_callers_apart::Migration),
            Box::new(m20261125_000011_find_counter::Migration),
        ]
    }
}
