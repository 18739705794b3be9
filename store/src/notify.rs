//! The word between replicas that something was committed. It carries nothing, may be lost, and is sent outside every
//! transaction: inside one, it would make all commits of the database wait for each other.

use futures::{Stream, StreamExt as _, stream, stream::BoxStream};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, RuntimeErr, SqlxError,
    sqlx::postgres::{PgListener, PgPoolOptions},
};

use crate::{error::StoreError, open::postgres::Source, sql::classify::connecting};

/// What replicas listen to; names are a database's own.
const CHANNEL: &str = "tidegate";
/// The listening connection's name in `pg_stat_activity`.
const APPLICATION: &str = "tidegate feed";

/// Hears the notifications of all replicas, this one included, on a connection of its own.
pub struct Listener(BoxStream<'static, Result<(), StoreError>>);

impl Listener {
    /// One that hears what comes out of `notifications`, and is lost when they end.
    pub fn of(notifications: impl Stream<Item = Result<(), StoreError>> + Send + 'static) -> Self {
        Self(notifications.boxed())
    }

    /// The next notification. May be dropped and asked again without losing one.
    ///
    /// # Errors
    /// [`StoreError`] when the connection is lost, and with it any number of notifications: listen again.
    pub async fn next(&mut self) -> Result<(), StoreError> {
        match self.0.next().await {
            Some(notification) => notification,
            None => Err(lost()),
        }
    }
}

/// Tells the replicas on PostgreSQL; does nothing on SQLite, which has none.
pub(super) async fn send<C: ConnectionTrait>(db: &C) -> Result<(), StoreError> {
    if db.get_database_backend() == DbBackend::Postgres {
        db.execute_unprepared(&format!("NOTIFY {CHANNEL}")).await?;
    }
    Ok(())
}

/// Begins to listen on PostgreSQL; `None` on SQLite, and where there is nothing but sessions that others share: they
/// would hear what is meant for us.
pub(super) async fn listen(source: Option<&Source>) -> Result<Option<Listener>, StoreError> {
    let options = source.and_then(Source::direct);
    let Some(options) = options.transpose().map_err(failed)? else {
        return Ok(None);
    };
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_with(options.application_name(APPLICATION))
        .await
        .map_err(failed)?;
    let mut listener = PgListener::connect_with(&pool).await.map_err(failed)?;
    // It is made anew by its owner, who knows what to do about what was missed.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await.map_err(failed)?;
    let notifications = stream::unfold(listener, |mut listener| async {
        let notification = match listener.try_recv().await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(lost()),
            Err(error) => Err(failed(error)),
        };
        Some((notification, listener))
    });
    Ok(Some(Listener::of(notifications)))
}

fn failed(error: SqlxError) -> StoreError {
    connecting(error).into()
}

fn lost() -> StoreError {
    let text = "the connection that listens was lost".to_owned();
    StoreError::Unavailable(DbErr::Conn(RuntimeErr::Internal(text)))
}
