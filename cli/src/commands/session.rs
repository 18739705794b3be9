//! `tidegate session`: short codes that agents redeem for a token.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tidegate_client::{Client, SessionCode};

use super::{With, credential, resolve};
use crate::args::SessionCommand;
use crate::failure::Failure;
use crate::output::{Output, note};

/// What is printed of a session.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Opened<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    session_code: Option<&'a str>,
    expires_at: DateTime<Utc>,
}

/// Runs one of the commands.
pub(super) async fn run(
    client: &Client,
    command: SessionCommand,
    out: &mut Output,
) -> Result<(), Failure> {
    match command {
        SessionCommand::Create {
            connection,
            expires_in,
            token_expires_in,
            shown,
            request,
        } => {
            let create = client
                .sessions()
                .create(resolve::connection(client, connection).await?)
                .with(expires_in, |create, time| create.expires_in(time))
                .with(token_expires_in, |create, time| {
                    create.token_expires_in(time)
                })
                .with(request.request_id, |create, id| create.request_id(id));
            let session = create.await?;
            let session_code = session.session_code.as_ref().map(SessionCode::reveal);
            match session_code {
                Some(code) if shown.plain => return out.line(code),
                Some(_) => note("the code is shown this once"),
                None => note("the call was a repetition: its code was shown before"),
            }
            if shown.plain {
                return Ok(());
            }
            let opened = Opened {
                session_code,
                expires_at: session.expires_at,
            };
            out.details(&opened, |look| {
                let mut values = Vec::new();
                values.extend(session_code.map(|code| ("session code", code.to_owned())));
                let expires = look.moment(session.expires_at);
                values.push(("expires", expires));
                values
            })
        }
        SessionCommand::Redeem { code, shown } => {
            let issued = client.sessions().redeem(code.0).await?;
            credential::show(&issued, shown, out)
        }
    }
}
