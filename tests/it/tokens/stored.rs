//! What the database holds of tokens and codes: digests, with a pepper or without, and never more of them than are good.

use std::path::Path;

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use sha2::{Digest as _, Sha256};
use tidegate_proto::v1;
use tidegate_tests::{
    Database, World, WorldOptions,
    actors::bearing,
    assert_refused,
    process::{ServerProcess, binary, command, run},
    raw::{Raw, told},
};
use tonic::Code;

use super::{caller, create, printed, secret};

const ADMIN: &[&str] = &["--role", "admin", "--name", "first"];

/// Digests of a table.
async fn digests(database: &Database, table: &str) -> Vec<Vec<u8>> {
    let pool = database.connect().await;
    let kind = if database.is_shared() {
        DbBackend::Postgres
    } else {
        DbBackend::Sqlite
    };
    let select = Statement::from_string(kind, format!("SELECT digest FROM {table}"));
    let rows = pool.query_all_raw(select).await.expect("rows");
    let digest = |row: sea_orm::QueryResult| row.try_get_by_index(0).expect("a digest");
    rows.into_iter().map(digest).collect()
}

/// SHA-256 over the purpose, a zero byte and the secret, as anybody can compute it.
fn plain(purpose: &str, secret: &str) -> Vec<u8> {
    let text = [purpose.as_bytes(), &[0], secret.as_bytes()].concat();
    Sha256::digest(text).to_vec()
}

fn pepper(folder: &Path, name: &str, letter: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, format!("{}\n", letter.repeat(32))).expect("written");
    path.display().to_string()
}

#[tokio::test]
async fn without_a_pepper_digests_are_plain_sha256() {
    let database = Database::fresh().await;
    let token = printed(&create(&database, ADMIN).await);
    assert_eq!(
        digests(&database, "access_token").await,
        [plain("token", secret(&token))]
    );
    let world = World::on(database.clone(), WorldOptions::default()).await;
    let mut raw = world.services().await;
    let connection_uuid = raw.connection("north").await;
    let request = v1::CreateSessionRequest {
        connection_uuid,
        ..v1::CreateSessionRequest::default()
    };
    let code = told(raw.credentials.create_session(request))
        .await
        .session_code;
    assert_eq!(
        digests(&database, "session").await,
        [plain("session", &code)]
    );
}

#[tokio::test]
async fn with_a_pepper_digests_depend_on_it_and_another_one_lets_nobody_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let (own, other) = (
        pepper(folder.path(), "own", "a"),
        pepper(folder.path(), "other", "b"),
    );
    let database = Database::fresh().await;
    let with = [ADMIN, &["--token-pepper-file", &own]].concat();
    let token = printed(&create(&database, &with).await);
    let stored = digests(&database, "access_token").await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].len(), 32);
    assert_ne!(stored, [plain("token", secret(&token))]);
    for (file, is_good) in [(Some(&own), true), (Some(&other), false), (None, false)] {
        let mut arguments = vec!["--auth", "required"];
        if let Some(file) = file {
            arguments.extend(["--token-pepper-file", file.as_str()]);
        }
        let server = ServerProcess::start(&database, 0, &arguments).await;
        let answer = caller(&server.channel().await, &token).await;
        if is_good {
            assert_eq!(answer.expect("the same pepper").name, "first");
        } else {
            let refusal = answer.expect_err("another pepper");
            assert_refused(&refusal, Code::Unauthenticated, "UNAUTHENTICATED");
        }
        server.kill().await;
    }
}

#[tokio::test]
async fn a_pepper_that_can_be_guessed_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("short");
    std::fs::write(&path, "hunter2\n").expect("written");
    let path = path.display().to_string();
    let database = Database::fresh().await;
    let arguments = ["--token-pepper-file", &path];
    let mut serve = command(binary("tidegate-server"));
    serve
        .args(["--database-url", database.url(), "--listen", "127.0.0.1:0"])
        .args(arguments);
    for refused in [
        create(&database, &[ADMIN, &arguments].concat()).await,
        run(&mut serve).await,
    ] {
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("needs 32"), "{refused:?}");
        assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
    }
}

#[tokio::test]
async fn tokens_that_ended_are_deleted_with_the_next_change() {
    let database = Database::fresh().await;
    let token = printed(&create(&database, ADMIN).await);
    let server = ServerProcess::start(&database, 0, &["--auth", "required"]).await;
    let channel = server.channel().await;
    let me = caller(&channel, &token).await.expect("the token is good");
    let mut raw = Raw::on(channel);
    let rotate = v1::RotateCredentialRequest {
        uuid: me.uuid.clone(),
        ..v1::RotateCredentialRequest::default()
    };
    let rotate = raw.credentials.rotate_credential(bearing(&token, rotate));
    let token = told(rotate).await.token;
    assert_eq!(
        digests(&database, "access_token").await,
        [plain("token", secret(&token))]
    );
    let revoke = v1::RevokeCredentialRequest {
        uuid: me.uuid,
        ..v1::RevokeCredentialRequest::default()
    };
    told(raw.credentials.revoke_credential(bearing(&token, revoke))).await;
    assert!(digests(&database, "access_token").await.is_empty());
}
