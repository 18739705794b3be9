//! `tidegate credential` and `tidegate whoami`: who may call.

use serde::Serialize;
use tidegate_client::{Client, Credential, IssuedToken};

use super::{With, resolve, several::confirm};
use crate::args::{CredentialCommand, RotationArgs, ShownArgs};
use crate::failure::Failure;
use crate::output::{Output, note};
use crate::view::credential::{COLUMNS, details};

/// What is printed of a credential with its new token.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Issued<'a> {
    credential: &'a Credential,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

/// Runs one of the commands.
pub(super) async fn run(
    client: &Client,
    command: CredentialCommand,
    out: &mut Output,
) -> Result<(), Failure> {
    match command {
        CredentialCommand::Create {
            name,
            role,
            connection,
            acts_for_others,
            life,
            shown,
            request,
        } => {
            let connection = resolve::any_connection(client, connection).await?;
            let create = client
                .credentials()
                .create(name, role)
                .acts_for_others(acts_for_others)
                .with(connection, |create, uuid| create.connection(uuid))
                .with(life.expires_in, |create, time| create.expires_in(time))
                .with(request.request_id, |create, id| create.request_id(id));
            show(&create.await?, shown, out)
        }
        CredentialCommand::Get { credential } => {
            let uuid = resolve::credential(client, credential.credential).await?;
            let credential = client.credentials().get(uuid).await?;
            out.details(&credential, |look| details(&credential, look))
        }
        CredentialCommand::List {
            role,
            connection,
            limit,
        } => {
            let connection = resolve::any_connection(client, connection).await?;
            let request = client
                .credentials()
                .list()
                .page_size(limit.page_size())
                .with(role, |request, role| request.role(role))
                .with(connection, |request, uuid| request.connection(uuid));
            out.list(request.items(), limit.count(), COLUMNS, "no credentials")
                .await
        }
        CredentialCommand::Rotate {
            credential,
            rotation,
        } => {
            let uuid = resolve::credential(client, credential.credential).await?;
            let RotationArgs {
                overlap,
                life,
                shown,
                request,
            } = rotation;
            let rotate = client
                .credentials()
                .rotate(uuid)
                .with(overlap, |rotate, time| rotate.overlap(time))
                .with(life.expires_in, |rotate, time| rotate.expires_in(time))
                .with(request.request_id, |rotate, id| rotate.request_id(id));
            show(&rotate.await?, shown, out)
        }
        CredentialCommand::Revoke {
            credential,
            reason,
            confirm: asked,
            request,
        } => {
            let said = credential.credential.to_string();
            let uuid = resolve::credential(client, credential.credential).await?;
            let what = format!("revoke for good credential {said}, with all its tokens");
            confirm(asked, &what).await?;
            let revoke = client
                .credentials()
                .revoke(uuid)
                .with(reason, |revoke, reason| revoke.reason(reason))
                .with(request.request_id, |revoke, id| revoke.request_id(id));
            let credential = revoke.await?;
            out.details(&credential, |look| details(&credential, look))
        }
    }
}

/// Shows whose token this is.
pub(super) async fn whoami(client: &Client, out: &mut Output) -> Result<(), Failure> {
    match client.credentials().caller().await? {
        Some(credential) => out.details(&credential, |look| details(&credential, look)),
        None => out.thing(&None::<Credential>, |_| {
            "nobody: the server does not require authentication".to_owned()
        }),
    }
}

/// Prints a credential with the token that was made for it.
pub(super) fn show(
    issued: &IssuedToken,
    shown: ShownArgs,
    out: &mut Output,
) -> Result<(), Failure> {
    let token = issued.token.as_ref().map(tidegate_client::Token::reveal);
    match token {
        Some(token) if shown.plain => return out.line(token),
        Some(_) => note("the token is shown this once: keep it now"),
        None => {
            note("the call was a repetition: its token was shown before; rotate if it was lost")
        }
    }
    if shown.plain {
        return Ok(());
    }
    let thing = Issued {
        credential: &issued.credential,
        token,
    };
    out.details(&thing, |look| {
        let mut values = details(&issued.credential, look);
        values.extend(token.map(|token| ("token", token.to_owned())));
        values
    })
}
