//! What a server is told, and what it says of that when it starts.

use serde_json::Value;
use tidegate_tests::{
    process::{Launch, address, heard},
    soon,
};
use tokio::net::UnixDatagram;

use super::*;

/// Every variable of the server, as `--help` names them.
async fn variables(arguments: &[&str]) -> Vec<String> {
    let help = run(command(binary("tidegate-server")).args(arguments)).await;
    let names = help.stdout.split("[env: ").skip(1);
    let names = names.filter_map(|rest| rest.split(['=', ']']).next());
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn an_empty_variable_is_not_set() {
    let names = variables(&["--help"]).await;
    assert!(names.len() > 20 && names.iter().all(|name| name.starts_with("TIDEGATE_")));
    let database = Database::fresh().await;
    let empty = names.iter().map(|name| (name.as_str(), String::new()));
    let launch = Launch {
        variables: empty.collect(),
        ..Launch::default()
    };
    let server = ServerProcess::launch(&database, launch).await;
    create(&server).await;
    assert!(!server.log().contains("metrics"), "{}", server.log());
    server.kill().await;
    // The roles, too: this one says what it misses.
    let mut token = command(binary("tidegate-server"));
    token.args(["token", "create", "--role", "admin", "--name", "x"]);
    token.env("TIDEGATE_DATABASE_URL", "sqlite:///nowhere/at/all.db");
    token
        .env("TIDEGATE_TOKEN_PEPPER_FILE", "")
        .env("TIDEGATE_DATABASE_PASSWORD_FILE", "");
    says_no(&mut token, &["/nowhere/at/all.db"]).await;
    let mut ready = command(binary("tidegate-server"));
    let ended = run(ready.arg("ready").env("TIDEGATE_METRICS_LISTEN", "")).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("--metrics-listen"), "{ended:?}");
}

#[tokio::test]
async fn the_first_line_says_how_it_serves() {
    let database = Database::fresh().await;
    let server = ServerProcess::start(&database, 0, &[]).await;
    let line: Value = serde_json::from_str(&server.logged("\"serving\"").await).expect("JSON");
    let (kind, replicas) = match database.is_shared() {
        true => ("postgresql", "any"),
        false => ("sqlite", "one"),
    };
    assert_eq!(line["database"], kind, "{line}");
    assert_eq!(line["replicas"], replicas, "{line}");
    assert_eq!(line["tls"], false, "{line}");
    assert_eq!(line["auth"], "off", "{line}");
    assert_eq!(line["api"], "tidegate.v1", "{line}");
    assert!(
        line["schema"]
            .as_str()
            .is_some_and(|it| it.starts_with("m20")),
        "{line}"
    );
    server.kill().await;
    let server = ServerProcess::start(&database, 0, &["--auth", "required"]).await;
    let line: Value = serde_json::from_str(&server.logged("\"serving\"").await).expect("JSON");
    assert_eq!(line["auth"], "required", "{line}");
    server.kill().await;
}

#[tokio::test]
async fn the_form_of_the_log_can_be_chosen() {
    let database = Database::fresh().await;
    let mut server = server(database.url());
    let mut child = server
        .args(["--log-format", "text"])
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let stderr = child.stderr.take().expect("stderr is piped");
    let serving = |line: &str| line.contains("serving").then(|| line.to_owned());
    let (line, _) = heard("the server's word that it serves", stderr, serving).await;
    assert!(address(&line).is_none() && !line.contains('{'), "{line}");
    assert!(
        line.contains("INFO") && line.contains("address=127.0.0.1:"),
        "{line}"
    );
    assert!(
        !line.contains('\u{1b}'),
        "no colours where nobody sees them: {line:?}"
    );
    child.kill().await.expect("it ends");
    let ended = run(self::server(database.url()).args(["--log-format", "xml"])).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for word in ["xml", "--log-format", "auto", "text", "json"] {
        assert!(ended.stderr.contains(word), "{word}: {ended:?}");
    }
}

#[tokio::test]
async fn systemd_is_told_when_it_serves_and_when_it_stops() {
    let folder = folder();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let said = || async {
        let mut word = [0; 256];
        let length = soon("a word", socket.recv(&mut word))
            .await
            .expect("it is read");
        String::from_utf8_lossy(&word[..length]).into_owned()
    };
    let database = Database::fresh().await;
    let launch = Launch {
        variables: vec![("NOTIFY_SOCKET", path.display().to_string())],
        ..Launch::default()
    };
    let server = ServerProcess::launch(&database, launch).await;
    assert_eq!(said().await.trim(), "READY=1");
    server.begin_drain().await;
    assert_eq!(said().await.trim(), "STOPPING=1");
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_health_check_asks_a_running_server() {
    let database = Database::fresh().await;
    let arguments = ["--metrics-listen", "127.0.0.1:0"];
    let server = ServerProcess::start(&database, 0, &arguments).await;
    let line = server.logged("metrics and health over HTTP").await;
    let line: Value = serde_json::from_str(&line).expect("JSON");
    let listens = line["address"].as_str().expect("an address").to_owned();
    let ask = |listen: String| async move {
        let mut ready = command(binary("tidegate-server"));
        run(ready.arg("ready").env("TIDEGATE_METRICS_LISTEN", listen)).await
    };
    let (_, port) = listens.rsplit_once(':').expect("a port");
    for listen in [listens.clone(), format!("0.0.0.0:{port}")] {
        let asked = ask(listen).await;
        assert_eq!(asked.code, Some(0), "{asked:?}");
        assert_eq!((asked.stdout.as_str(), asked.stderr.as_str()), ("", ""));
    }
    server.kill().await;
    let asked = ask(listens.clone()).await;
    assert_eq!(asked.code, Some(1), "{asked:?}");
    assert!(asked.stderr.contains(&listens), "{asked:?}");
    assert_eq!(asked.stderr.lines().count(), 1, "{asked:?}");
}
