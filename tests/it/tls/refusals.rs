//! Who must not get in does not, and is told why; so is an operator whose files are no good.

use std::path::Path;

use tidegate_client::TlsProblem;
use tidegate_tests::{
    ServerProcess,
    certificates::{Authority, Folder, NAMES},
    process::{Finished, binary, command, run},
};

use super::{Gate, builder, tool};

/// Asserts that the tool ended with the code of UNAVAILABLE, and said all `words`.
fn says(ended: &Finished, words: &[&str]) {
    assert_eq!(ended.code, Some(78), "{ended:?}");
    for word in words {
        assert!(
            ended.stderr.contains(word),
            "{word:?} is not in: {}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn a_certificate_of_somebody_else() {
    let gate = Gate::new().await;
    let stranger = Authority::new("a stranger").pem();
    let error = gate
        .refusal(builder(&gate.address()).ca_certificate(stranger))
        .await;
    assert!(error.is_unavailable(), "{error:?}");
    assert_eq!(
        error.tls_problem(),
        Some(TlsProblem::UnknownIssuer),
        "{error:?}"
    );
    // Those that browsers trust did not sign it either.
    let error = gate.refusal(builder(&gate.address())).await;
    assert_eq!(error.tls_problem(), Some(TlsProblem::UnknownIssuer));
    assert!(error.message().contains("not trusted here"), "{error}");
    let ended = gate.tool("transfer list").await;
    says(&ended, &["no connection", "not trusted here", "--ca FILE"]);
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let authority = Authority::default();
    let certificate = authority.server(&["gate.example"]);
    let gate = Gate::with(authority, &certificate, &[]).await;
    let error = gate.refusal(gate.builder()).await;
    assert_eq!(
        error.tls_problem(),
        Some(TlsProblem::WrongName),
        "{error:?}"
    );
    let line = format!("transfer list --ca {}", gate.folder.argument("ca.pem"));
    says(&gate.tool(&line).await, &["not for the name", "--address"]);
}

#[tokio::test]
async fn a_certificate_that_has_expired() {
    let authority = Authority::default();
    let certificate = authority.expired(&NAMES);
    let gate = Gate::with(authority, &certificate, &[]).await;
    let error = gate.refusal(gate.builder()).await;
    assert_eq!(error.tls_problem(), Some(TlsProblem::Expired), "{error:?}");
    let line = format!("transfer list --ca {}", gate.folder.argument("ca.pem"));
    says(
        &gate.tool(&line).await,
        &["not valid at this time", "clock"],
    );
}

#[tokio::test]
async fn clear_text_to_a_server_with_tls() {
    let gate = Gate::new().await;
    let address = gate.server.address.clone();
    let error = gate.refusal(builder(&address)).await;
    assert!(error.is_unavailable(), "{error:?}");
    assert!(error.message().contains("https://"), "{error}");
    says(&tool(&address, "transfer list").await, &["https://"]);
}

#[tokio::test]
async fn tls_to_a_server_without() {
    let server = ServerProcess::fresh().await;
    let address = format!("https://{}", server.authority());
    let ca = Authority::default().pem();
    let refused = builder(&address).ca_certificate(ca).connect().await;
    let error = refused.expect_err("it speaks no TLS");
    assert!(error.is_unavailable(), "{error:?}");
    assert_eq!(error.tls_problem(), Some(TlsProblem::NotTls), "{error:?}");
    let ended = tool(&address, "transfer list").await;
    says(&ended, &["does not speak TLS", "http://"]);
}

#[tokio::test]
async fn what_cannot_be_used_is_told_before_anybody_is_called() {
    let good = Authority::default();
    let client = good.client("a client");
    let other = good.client("another");
    let secure = "https://127.0.0.1:1";
    for (address, refused, word) in [
        (
            secure,
            builder(secure).ca_certificate("nothing"),
            "the CA bundle holds no certificate",
        ),
        (
            secure,
            builder(secure).identity("nothing", client.key.clone()),
            "certificate",
        ),
        (
            secure,
            builder(secure).identity(client.certificate.clone(), "nothing"),
            "private key",
        ),
        (
            secure,
            builder(secure).identity(client.certificate.clone(), other.key),
            "TLS cannot be used as it is set up",
        ),
        (
            "http://127.0.0.1:1",
            builder("http://127.0.0.1:1").ca_certificate(good.pem()),
            "https://",
        ),
    ] {
        let error = refused.connect_lazy().expect_err(address);
        assert!(error.is_invalid(), "{error:?}");
        assert!(error.message().contains(word), "{word}: {error}");
    }
    let ended = tool(secure, "transfer list --ca /nowhere/ca.pem").await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("/nowhere/ca.pem"), "{ended:?}");
}

/// The server's one line about files that it cannot use.
async fn refused(folder: &Folder, arguments: &[&str]) -> String {
    let database = folder.path("tidegate.db");
    let mut server = command(binary("tidegate-server"));
    server
        .args(["--listen", "127.0.0.1:0"])
        .arg("--database-url")
        .arg(format!("sqlite://{}?mode=rwc", database.display()))
        .args(folder.arguments())
        .args(arguments);
    let ended = run(&mut server).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(!Path::new(&database).exists(), "it had begun already");
    ended.stderr
}

#[tokio::test]
async fn files_that_cannot_be_used_keep_the_server_from_starting() {
    let authority = Authority::default();
    let certificate = authority.server(&NAMES);
    let stranger = authority.server(&NAMES);
    let folder = Folder::of(&authority, &certificate);

    folder.write("server.key", &stranger.key);
    let said = refused(&folder, &[]).await;
    assert!(
        said.contains("server.pem with") && said.contains("server.key"),
        "{said}"
    );
    // The secret part of a key, however its file is cut.
    let secret = certificate.key.lines().nth(1).expect("a line of the key");
    folder.write(
        "server.key",
        &certificate.key.replacen("-----\n", "-----", 1),
    );
    let said = refused(&folder, &[]).await;
    assert!(
        said.contains("server.key") && said.contains("private key"),
        "{said}"
    );
    assert!(!said.contains(secret), "{said}");
    folder.put("server", &certificate);
    folder.write("empty.pem", "");
    let said = refused(&folder, &["--tls-client-ca", &folder.argument("empty.pem")]).await;
    assert!(
        said.contains("empty.pem") && said.contains("certificate"),
        "{said}"
    );
    let said = refused(&folder, &["--tls-client-ca", "/nowhere/ca.pem"]).await;
    assert!(said.contains("/nowhere/ca.pem"), "{said}");
}

#[tokio::test]
async fn half_of_the_settings_is_wrong_usage() {
    for arguments in [
        &["--tls-cert", "x"][..],
        &["--tls-key", "x"],
        &["--tls-client-ca", "x"],
    ] {
        let ended = run(command(binary("tidegate-server")).args(arguments)).await;
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("--tls-"), "{ended:?}");
    }
}
