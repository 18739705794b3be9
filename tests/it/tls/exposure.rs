//! A server that others could reach starts only when that is safe, or when its operator takes the risk.

use tidegate_tests::{
    certificates::{Authority, Folder, NAMES},
    process::{address, binary, command, heard, run},
};
use tokio::process::Command;

use super::builder;

fn server(folder: &Folder, listen: &str) -> Command {
    let url = format!("sqlite://{}?mode=rwc", folder.path("tidegate.db").display());
    let mut server = command(binary("tidegate-server"));
    server.args(["--listen", listen, "--database-url", &url]);
    server
}

fn folder() -> Folder {
    let authority = Authority::default();
    Folder::of(&authority, &authority.server(&NAMES))
}

/// The port of a server that has to start.
async fn port(server: &mut Command) -> (tokio::process::Child, String) {
    let mut child = server.spawn().expect("it starts");
    let stderr = child.stderr.take().expect("stderr is piped");
    let (found, _) = heard("the server's word that it serves", stderr, address).await;
    let (_, port) = found.rsplit_once(':').expect("a port");
    (child, port.to_owned())
}

#[tokio::test]
async fn without_tls_and_authentication_it_does_not_start() {
    let folder = folder();
    let tls = folder.arguments();
    let tls: Vec<&str> = tls.iter().map(String::as_str).collect();
    let with = |more: &[&'static str]| [&tls[..], more].concat();
    for (arguments, missing) in [
        (vec![], "needs TLS: "),
        (vec!["--auth", "off"], "needs TLS and authentication: "),
        (vec!["--auth", "required"], "needs TLS: "),
        (with(&["--auth", "off"]), "needs authentication: "),
    ] {
        for listen in ["0.0.0.0:0", "[::]:0"] {
            let ended = run(server(&folder, listen).args(&arguments)).await;
            assert_eq!(ended.code, Some(1), "{ended:?}");
            assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
            for word in [missing, listen, "--insecure"] {
                assert!(ended.stderr.contains(word), "{word}: {ended:?}");
            }
            assert!(!folder.path("tidegate.db").exists(), "it had begun already");
        }
    }
}

#[tokio::test]
async fn the_operators_word_is_enough() {
    let folder = folder();
    let mut server = server(&folder, "0.0.0.0:0");
    let (_child, port) = port(server.args(["--insecure", "--auth", "off"])).await;
    let client = builder(&format!("http://127.0.0.1:{port}"));
    client.connect().await.expect("it serves");
    // The tool knows 0.0.0.0 for no loopback address, and keeps its token.
    let token = builder(&format!("http://0.0.0.0:{port}")).token("tg_s3cret");
    let error = token.connect().await.expect_err("in clear text");
    assert!(error.message().contains("clear text"), "{error}");
}

#[tokio::test]
async fn tls_and_authentication_are_enough() {
    let folder = folder();
    let mut server = server(&folder, "0.0.0.0:0");
    port(server.args(folder.arguments()).args(["--auth", "required"])).await;
}
