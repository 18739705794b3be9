//! A server that asks for client certificates lets in those who have one of the right authority, and nobody else.

use tidegate_client::{Direction, TlsProblem};
use tidegate_tests::{
    certificates::{Authority, NAMES},
    needs::Need,
    process::{command, run},
    skip_without,
    tools::tool,
};

use super::Gate;

/// The gate, and the authority of the clients that may pass.
async fn gate() -> (Gate, Authority) {
    let clients = Authority::new("the authority of clients");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("clients.pem");
    std::fs::write(&path, clients.pem()).expect("it can be written");
    let authority = Authority::default();
    let certificate = authority.server(&NAMES);
    let path = path.to_str().expect("a plain name");
    let gate = Gate::with(authority, &certificate, &["--tls-client-ca", path]).await;
    gate.folder.put("client", &clients.client("an agent"));
    gate.folder.put(
        "stranger",
        &Authority::new("a stranger").client("a stranger"),
    );
    (gate, clients)
}

#[tokio::test]
async fn the_right_certificate_is_let_in() {
    let (gate, clients) = gate().await;
    let own = clients.client("an agent");
    let client = gate.builder().identity(own.certificate, own.key);
    let client = client.connect().await.expect("it is let in");
    let created = client.transfers().create(Direction::Send, "orders").await;
    created.expect("it is created");
}

#[tokio::test]
async fn none_is_refused() {
    let (gate, _) = gate().await;
    let error = gate.refusal(gate.builder()).await;
    assert!(error.is_unavailable(), "{error:?}");
    let problem = Some(TlsProblem::ClientCertificateRequired);
    assert_eq!(error.tls_problem(), problem, "{error:?}");
}

#[tokio::test]
async fn one_of_another_authority_is_refused() {
    let (gate, _) = gate().await;
    let stranger = Authority::new("a stranger").client("a stranger");
    // The server's own authority does not vouch for clients.
    let wrong = gate.authority.client("no agent");
    // Nor is a server's certificate one for clients.
    for signed in [stranger, wrong] {
        let builder = gate.builder().identity(signed.certificate, signed.key);
        let error = gate.refusal(builder).await;
        let problem = Some(TlsProblem::ClientCertificateRefused);
        assert_eq!(error.tls_problem(), problem, "{error:?}");
    }
}

#[tokio::test]
async fn a_server_certificate_is_none_for_clients() {
    let (gate, clients) = gate().await;
    let signed = clients.server(&["gate.example"]);
    let builder = gate.builder().identity(signed.certificate, signed.key);
    let error = gate.refusal(builder).await;
    assert!(error.tls_problem().is_some(), "{error:?}");
}

#[tokio::test]
async fn the_tools_show_theirs() {
    skip_without!(Need::Tool("grpcurl"));
    let (gate, _) = gate().await;
    let file = |name: &str| gate.folder.argument(name);
    let ca = file("ca.pem");
    let line = |pair: &str| {
        let [certificate, key] = ["pem", "key"].map(|kind| file(&format!("{pair}.{kind}")));
        format!("transfer list --ca {ca} --cert {certificate} --key {key}")
    };
    let listed = gate.tool(&line("client")).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    for (ended, words) in [
        (gate.tool(&line("stranger")).await, "does not accept"),
        (
            gate.tool(&format!("transfer list --ca {ca}")).await,
            "--cert FILE",
        ),
    ] {
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.stderr.contains(words), "{ended:?}");
    }
    let mut grpcurl = command(tool("grpcurl"));
    grpcurl
        .args(["-max-time", "15", "-cacert", &ca])
        .args(["-cert", &file("client.pem"), "-key", &file("client.key")])
        .args([gate.server.authority(), "list"]);
    let listed = run(&mut grpcurl).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
}
