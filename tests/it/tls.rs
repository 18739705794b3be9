//! TLS: who is let in and who is not, what people are told, and certificates that change under a running server.

mod clients;
mod exposure;
mod mutual;
mod patience;
mod refusals;
mod reload;

use std::time::Duration;

use tidegate_client::{Client, ClientBuilder, Error};
use tidegate_tests::{
    Database, SOON, ServerProcess,
    certificates::{Authority, Folder, NAMES, Signed},
    process::{Finished, binary, command, run},
};

/// A server behind TLS, and the authority that its certificate is from.
struct Gate {
    server: ServerProcess,
    authority: Authority,
    folder: Folder,
}

impl Gate {
    async fn new() -> Self {
        let authority = Authority::default();
        let certificate = authority.server(&NAMES);
        Self::with(authority, &certificate, &[]).await
    }

    async fn with(authority: Authority, certificate: &Signed, arguments: &[&str]) -> Self {
        let folder = Folder::of(&authority, certificate);
        let mut all = folder.arguments();
        all.extend(arguments.iter().map(ToString::to_string));
        Self {
            server: started(&all).await,
            authority,
            folder,
        }
    }

    fn address(&self) -> String {
        format!("https://{}", self.server.authority())
    }

    /// A client that trusts the authority.
    fn builder(&self) -> ClientBuilder {
        builder(&self.address()).ca_certificate(self.authority.pem())
    }

    /// A client that is to be refused, and why it was.
    async fn refusal(&self, builder: ClientBuilder) -> Error {
        let refused = builder.connect().await;
        refused.expect_err("it is refused")
    }

    /// The tool, with arguments as people type them.
    async fn tool(&self, line: &str) -> Finished {
        tool(&self.address(), line).await
    }
}

async fn started(arguments: &[String]) -> ServerProcess {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    ServerProcess::start(&Database::fresh().await, 0, &arguments).await
}

fn builder(address: &str) -> ClientBuilder {
    Client::builder(address).timeout(Duration::from_secs(5))
}

async fn tool(address: &str, line: &str) -> Finished {
    let mut tool = command(binary("tidegate"));
    tool.env("TIDEGATE_ADDRESS", address);
    run(tool.args(line.split_whitespace())).await
}

/// Asks until it is so, but not for ever.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let so = tokio::time::timeout(SOON, asking).await;
    assert!(so.is_ok(), "it did not come to this: {what}");
}
