//! The frozen history of the schema, one change a file, applied in the order of this list.
//!
//! Never imports `tidegate-entity`: entities move on, a migration must not. See README.md before adding one.

use sea_orm_migration::prelude::*;

mod m20261125_000001_initial;

/// Applies the migrations that a database does not have yet.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20261125_000001_initial::Migration)]
    }
}
