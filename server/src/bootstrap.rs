//! Creates a credential without a server: for the first one, which nobody could ask a server for.
//!
//! Goes through the same ledger as every call, so that it is in the log like any other.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    clock::Clock,
    config::{CreateToken, Database},
    error::Error,
    feed::Feed,
    ledger::{Ledger, secret},
    supervisor::Supervisor,
    time::Time,
};
use tidegate_domain::{
    authorize::RunDefaults,
    caller::Caller,
    command::{CredentialCommand, Submission},
    credential::{Credential, NewCredential, NewToken},
    token::Token,
    validate::Check,
};
use tidegate_store::{Migrate, OpenError, Store};

/// In what role the credential is created, for the log.
const ACTOR: &str = "console";
/// Time that the ledger has to end once it has answered.
const SETTLE: Duration = Duration::from_secs(2);

/// Creates the credential: it, and the token, which is in this answer and nowhere else.
///
/// # Errors
/// When a field is wrong, the pepper cannot be used, the database cannot be opened, or the ledger refuses.
pub async fn create_token(
    wanted: &CreateToken,
    clock: Clock,
) -> anyhow::Result<(Arc<Credential>, Token)> {
    let pepper = wanted.pepper.read()?;
    let mut check = Check::default();
    let connection = wanted.connection.as_ref().map(Uuid::to_string);
    let new = NewCredential::declare(
        &mut check,
        &wanted.name,
        wanted.role,
        connection.as_deref().unwrap_or_default(),
        wanted.acts_for_others,
    );
    let new = Box::new(check.finish(new).map_err(Error::from)?);
    let token = secret::new_token()?;
    let command = CredentialCommand::Create {
        new,
        token: NewToken {
            id: token.id().to_owned(),
            digest: token.digest(&pepper),
            expires_in: wanted.expires_in,
        },
    };
    let store = open(&wanted.database).await?;
    let outcome = submit(&store, clock, command).await;
    store.close().await;
    Ok((outcome?, token))
}

async fn open(database: &Database) -> anyhow::Result<Store> {
    match Store::open(&database.url, &database.options(Migrate::Auto)).await {
        Err(error @ OpenError::Locked { .. }) => Err(error).context(
            "the running server must create it: use `tidegate credential create`, or stop the server",
        ),
        other => Ok(other?),
    }
}

async fn submit(
    store: &Store,
    clock: Clock,
    command: CredentialCommand,
) -> anyhow::Result<Arc<Credential>> {
    if let Some(latest) = store.latest_time().await? {
        clock.not_before(latest);
    }
    let (supervisor, stop) = (Supervisor::default(), CancellationToken::new());
    let time = Time::new(clock, store.clone());
    let ledger = Ledger::start(
        store,
        &time,
        &Feed::default(),
        RunDefaults::default(),
        &Arc::default(),
        &supervisor,
        &stop,
    );
    let submission = Submission {
        command,
        caller: Caller {
            actor: ACTOR.to_owned(),
            identity: None,
            address: None,
        },
        request: None,
    };
    let outcome = ledger.submit(submission).await;
    stop.cancel();
    supervisor.wait(SETTLE).await;
    if let Some(fatal) = supervisor.fatal() {
        return Err(fatal.into());
    }
    Ok(outcome?)
}
