//! `config check` and `config print`: what a server would start with, and whether it could.

use std::fs;

use serde_json::Value;
use tidegate_client::Client;
use tidegate_tests::{
    Database, ServerProcess,
    certificates::{Authority, Folder, NAMES},
    metrics,
    process::{Finished, Launch, address, heard, signal},
    soon,
};

use super::{Home, printed};

const GOOD: &str = "a server can start with these settings\n";

fn assert_good(checked: &Finished) {
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert_eq!(checked.stdout, GOOD);
    assert_eq!(checked.stderr, "");
}

/// The lines of a check that found something.
fn faults(checked: &Finished) -> Vec<&str> {
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert_eq!(checked.stdout, "");
    let lines = checked.stderr.lines();
    lines
        .map(|line| {
            line.strip_prefix("tidegate-server: ")
                .unwrap_or_else(|| panic!("{line}"))
        })
        .collect()
}

#[tokio::test]
async fn a_good_file_is_good_and_nothing_is_opened() {
    let home = Home::new("listen = '127.0.0.1:0'\ndatabase-url = 'sqlite://here.db?mode=rwc'\n");
    assert_good(&home.run(&["config", "check"]).await);
    let files = fs::read_dir(home.path("."))
        .expect("it can be listed")
        .count();
    assert_eq!(files, 1, "only the file of settings is there");
}

#[tokio::test]
async fn whatever_a_server_would_stumble_on_is_a_line() {
    let home = Home::new(
        "listen = '0.0.0.0:0'\n\
         tls-cert = 'no.pem'\n\
         tls-key = 'no.key'\n\
         auth = 'off'\n\
         token-pepper-file = 'no.pepper'\n\
         database-password-file = 'no.password'\n\
         database-url = 'mysql://root:S3CRET@db/x'\n",
    );
    let checked = home.run(&["config", "check"]).await;
    let faults = faults(&checked);
    assert_eq!(faults.len(), 5, "{faults:?}");
    for word in [
        "needs authentication",
        "TLS cannot be used: no.pem",
        "the pepper in no.pepper",
        "the password in no.password",
        "database URL mysql://…: must begin with",
    ] {
        assert!(
            faults.iter().any(|line| line.contains(word)),
            "{word}: {faults:?}"
        );
    }
    assert!(!checked.stderr.contains("S3CRET"), "{checked:?}");
    // Each mended, it is good.
    let authority = Authority::default();
    let folder = Folder::of(&authority, &authority.server(&NAMES));
    fs::write(home.path("pepper"), "x".repeat(32)).expect("it can be written");
    fs::write(home.path("password"), "x").expect("it can be written");
    let arguments = folder.arguments();
    let mut flags = vec![
        "config",
        "check",
        "--auth=required",
        "--token-pepper-file=pepper",
        "--database-password-file=password",
        "--database-url=postgres://root@db/x",
    ];
    flags.extend(arguments.iter().map(String::as_str));
    assert_good(&home.run(&flags).await);
}

#[tokio::test]
async fn passwords_are_not_printed() {
    let home = Home::new(
        "database-url = 'postgres://ledger:S3CRET@db.example/ledger?sslmode=require'\n\
         database-direct-url = 'postgres://ledger:S3C#RET@db.example/ledger'\n",
    );
    let print = home.run(&["config", "print"]).await;
    assert!(!print.stdout.contains("S3C"), "{print:?}");
    let place = format!("{}:1", home.file().display());
    let line = format!(
        "database-url = \"postgres://ledger@db.example/ledger?sslmode=require\" # {place}, without its password\n"
    );
    assert!(print.stdout.contains(&line), "{}", print.stdout);
    let hidden = "# database-direct-url is not shown: it may hold a password";
    assert!(print.stdout.contains(hidden), "{}", print.stdout);
    assert_eq!(print.stderr, "");
}

#[tokio::test]
async fn a_password_in_a_file_that_everybody_can_read_is_warned_of() {
    let home = Home::new("database-url = 'postgres://ledger:S3CRET@127.0.0.1:1/ledger'\n");
    home.set_mode(0o644);
    let checked = home.run(&["config", "check"]).await;
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(0), GOOD));
    let warning = format!(
        "tidegate-server: warning: {}: database-url holds a password",
        home.file().display()
    );
    assert!(checked.stderr.starts_with(&warning), "{checked:?}");
    assert!(!checked.stderr.contains("S3CRET"), "{checked:?}");
    home.set_mode(0o640);
    assert_good(&home.run(&["config", "check"]).await);
    home.set_mode(0o644);
    home.write("database-url = 'postgres://ledger@127.0.0.1:1/ledger'\n");
    assert_good(&home.run(&["config", "check"]).await);
    // A server logs it, if another place does not say what the password is for.
    home.write("database-direct-url = 'postgres://ledger:S3CRET@127.0.0.1:1/ledger'\n");
    let launch = Launch {
        variables: vec![("TIDEGATE_CONFIG", home.file().display().to_string())],
        ..Launch::default()
    };
    // A file, so that nobody goes to that address.
    let ledger = Database::file(&home.path("ledger.db"));
    let server = ServerProcess::launch(&ledger, launch).await;
    let line = server.logged("database-direct-url holds a password").await;
    assert!(line.contains("WARN"), "{line}");
    assert!(!server.log().contains("S3CRET"));
    server.kill().await;
}

#[tokio::test]
async fn a_file_alone_is_enough_for_a_server_and_its_other_roles() {
    let home = Home::new(
        "listen = 'localhost:0'\n\
         database-url = 'sqlite://ledger.db?mode=rwc'\n\
         auth = 'required'\n\
         max-streams = 77\n\
         drain-delay = '0s'\n",
    );
    let created = home
        .run(&["token", "create", "--role", "admin", "--name", "first"])
        .await;
    assert_eq!(created.code, Some(0), "{created:?}");
    let mut child = home
        .server(&["--metrics-listen", "localhost:0"])
        .spawn()
        .expect("it starts");
    let stderr = child.stderr.take().expect("stderr is piped");
    let (address, said) = heard("its address", stderr, address).await;
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let client = Client::builder(format!("http://{address}"))
        .token(created.stdout.trim())
        .connect()
        .await
        .expect("it serves");
    client
        .transfers()
        .count()
        .await
        .expect("the token is known");
    let listens = said.so_far();
    let listens = listens
        .lines()
        .find(|line| line.contains("metrics and health"));
    let listens: Value = serde_json::from_str(listens.expect("it says so")).expect("JSON");
    let listens = listens["address"].as_str().expect("an address");
    let limit = metrics::sample(listens, "tidegate_streams_limit").await;
    assert_eq!(limit, 77.0);
    let ready = home.run(&["ready", "--metrics-listen", listens]).await;
    assert_eq!(ready.code, Some(0), "{ready:?}");
    signal(&child, "TERM").await;
    let status = soon("its end", child.wait()).await.expect("it is ours");
    assert_eq!(status.code(), Some(0));
    let verified = home.run(&["audit", "verify"]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
}

#[tokio::test]
async fn roles_say_where_their_settings_are_from() {
    let home = Home::new("log = 'warn'\n");
    let print = home.run(&["config", "print", "--log-format", "json"]).await;
    let found = printed(&print);
    assert_eq!(
        found["log-format"],
        ("\"json\"".to_owned(), "flag".to_owned())
    );
    assert_eq!(found["listen"].1, "default");
    assert!(
        print.stdout.contains("# metrics-listen is not set\n"),
        "{print:?}"
    );
}
