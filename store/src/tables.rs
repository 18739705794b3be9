//! The tables of a ledger, each once, for whatever goes through all of them.

use sea_orm::{EntityTrait, IdenStatic as _, Iterable as _, QuerySelect as _, TryIntoModel};
use tidegate_domain::chain::{Audit, Fault};
use tidegate_entity::{
    access_token, agent, attempt, bulk_operation, bulk_outcome, connection, credential,
    deleted_transfer, event, event_counter, session, transfer, transfer_stats,
};

use crate::{
    WriteTransaction,
    error::{Inconsistency, StoreError},
    event::{rows, select},
};

/// Does the same for each table, called `$table`. The counter comes before the events that it counts.
macro_rules! each_table {
    ($table:ident => $work:expr) => {
        each_table! { $table => $work, [
            event_counter connection credential access_token session transfer attempt
            deleted_transfer transfer_stats bulk_operation bulk_outcome agent event
        ] }
    };
    ($table:ident => $work:expr, [$($module:ident)+]) => {
        $({
            type $table = ::tidegate_entity::$module::Entity;
            $work
        })+
    };
}

pub(crate) use each_table;

/// A table of which every row can be carried over to another database.
pub(crate) trait Table:
    EntityTrait<ActiveModel: TryIntoModel<<Self as EntityTrait>::Model>>
{
    /// Looks whether the log may go on with the row, if it is of the log.
    fn follow(_: &Self::Model, _: &mut Option<Audit>) -> Result<(), Fault> {
        Ok(())
    }

    /// Whether nothing was ever stored in it.
    async fn is_empty(transaction: &WriteTransaction) -> Result<bool, StoreError> {
        let row = Self::find().limit(1).one(&transaction.transaction).await?;
        Ok(row.is_none())
    }

    /// Stores rows of a database in which the table was empty.
    async fn store(transaction: &WriteTransaction, rows: &[Self::Model]) -> Result<(), StoreError> {
        transaction.insert(rows, Self::Model::clone).await
    }
}

macro_rules! plain_tables {
    ($($module:ident)+) => {
        $(impl Table for $module::Entity {})+
    };
}

plain_tables! {
    connection credential access_token session transfer attempt deleted_transfer transfer_stats
    bulk_operation bulk_outcome agent
}

impl Table for event::Entity {
    fn follow(row: &event::Model, audit: &mut Option<Audit>) -> Result<(), Fault> {
        let audit = audit.as_mut().ok_or(Fault::Counter("it has no row"))?;
        audit.next(&rows::found(row))
    }
}

/// The migrations make its row, and it is locked by whoever changes anything.
impl Table for event_counter::Entity {
    fn follow(row: &event_counter::Model, audit: &mut Option<Audit>) -> Result<(), Fault> {
        if audit.is_some() {
            return Err(Fault::Counter("it has more than one row"));
        }
        let books = rows::books(row.clone());
        let books = books.map_err(|_| Fault::Counter("its hash is none"))?;
        *audit = Some(Audit::begin(books, None)?);
        Ok(())
    }

    async fn is_empty(transaction: &WriteTransaction) -> Result<bool, StoreError> {
        let row = select::counter().lock_exclusive();
        let row = row.one(&transaction.transaction).await?;
        Ok(row.ok_or(Inconsistency::NoCounter)?.last_sequence == 0)
    }

    async fn store(
        transaction: &WriteTransaction,
        rows: &[event_counter::Model],
    ) -> Result<(), StoreError> {
        let key = event_counter::Column::Id;
        let columns: Vec<_> = event_counter::Column::iter()
            .filter(|column| column.as_str() != key.as_str())
            .collect();
        let copy = event_counter::Model::clone;
        transaction
            .update::<Self, _>(key, &columns, rows, copy)
            .await
    }
}
