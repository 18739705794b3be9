//! Tokens from their making to their end: how they are made, what is kept of them, and where they are never seen.

use tidegate_proto::v1::{self, credential_service_client::CredentialServiceClient};
use tidegate_tests::{
    Database,
    actors::bearing,
    process::{Finished, binary, command, run},
};
use tonic::{Status, transport::Channel};

mod canary;
mod create;
mod life;
mod retention;
mod stored;

/// Runs `tidegate-server token create` on `database`.
async fn create(database: &Database, arguments: &[&str]) -> Finished {
    let mut create = command(binary("tidegate-server"));
    create
        .args(["token", "create", "--database-url", database.url()])
        .args(arguments);
    run(&mut create).await
}

/// The token that it printed.
fn printed(finished: &Finished) -> String {
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let token = finished.stdout.trim_end().to_owned();
    assert!(
        token.starts_with("tdg_") && !token.contains(char::is_whitespace),
        "only the token is printed"
    );
    token
}

/// Whose token it is.
async fn caller(channel: &Channel, token: &str) -> Result<v1::Credential, Status> {
    let mut credentials = CredentialServiceClient::new(channel.clone());
    let answer = credentials.get_caller(bearing(token, v1::GetCallerRequest {}));
    let caller = answer.await?.into_inner().credential;
    Ok(caller.expect("a caller with a token"))
}

/// The part of a token that nobody else may know.
fn secret(token: &str) -> &str {
    token.split('_').nth(2).expect("a token has a secret")
}
