//! Profiles: what `tidegate login` keeps, and who uses it.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_client::Profiles;
use tidegate_tests::{
    Database, ServerProcess,
    process::{Finished, binary, command, finish, on_terminal, run},
};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// A server that wants tokens, and somebody with a folder for their profiles.
struct Home {
    server: ServerProcess,
    token: String,
    folder: TempDir,
}

impl Home {
    async fn new() -> Self {
        let database = Database::fresh().await;
        let token = first_token(&database).await;
        let server = ServerProcess::start(&database, 0, &["--auth", "required"]).await;
        Self {
            server,
            token,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("tidegate/profiles.toml")
    }

    fn tidegate(&self, line: &str) -> Command {
        let mut tidegate = command(binary("tidegate"));
        tidegate
            .env("XDG_CONFIG_HOME", self.folder.path())
            .args(line.split_whitespace());
        tidegate
    }

    async fn run(&self, line: &str) -> Finished {
        run(&mut self.tidegate(line)).await
    }

    async fn text(&self, line: &str) -> String {
        let ended = self.run(line).await;
        assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
        assert!(!ended.stdout.contains(&self.token), "{line}: {ended:?}");
        ended.stdout
    }

    /// How a program ends that calls `Client::from_env`.
    async fn example(&self) -> Option<i32> {
        let mut approve = command(binary("examples/approve"));
        approve
            .env("XDG_CONFIG_HOME", self.folder.path())
            .arg(super::ADMIN);
        run(&mut approve).await.code
    }

    /// Logs in with a token on stdin.
    async fn login(&self, line: &str, token: &str) -> Finished {
        let mut login = self.tidegate(line);
        login.stdin(std::process::Stdio::piped());
        let mut child = login.spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // Whoever does not ask for it closes it.
        _ = stdin.write_all(format!("{token}\n").as_bytes()).await;
        drop(stdin);
        finish(child).await
    }
}

async fn first_token(database: &Database) -> String {
    let mut create = command(binary("tidegate-server"));
    create
        .args(["token", "create", "--role", "admin", "--name", "me"])
        .args(["--database-url", database.url()]);
    let made = run(&mut create).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    made.stdout.trim().to_owned()
}

#[tokio::test]
async fn a_login_is_kept_until_a_logout() {
    let home = Home::new().await;
    let login = format!("login {}", home.server.authority());
    let ended = home.login(&login, &home.token).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("profile default is for"), "{ended:?}");
    assert!(ended.stdout.contains(" as admin me, for "), "{ended:?}");
    let file = std::fs::metadata(home.file()).expect("it is there");
    assert_eq!(file.permissions().mode() & 0o777, 0o600);

    let whoami = home.text("whoami -o json").await;
    let caller: Value = serde_json::from_str(&whoami).expect("an object");
    assert_eq!(caller["name"], "me");
    // Programs that use the client read the same file.
    assert_eq!(home.example().await, Some(0));
    let profiles = Profiles::load_from(home.file()).expect("it can be read");
    let profile = profiles.get("default").expect("it is there");
    assert_eq!(
        profile.token.as_ref().map(|it| it.reveal()),
        Some(&*home.token)
    );

    home.text("logout").await;
    assert_eq!(home.example().await, Some(1));
    let ended = home.run("whoami").await;
    assert_eq!(ended.code, Some(80), "{ended:?}");
    let text = std::fs::read_to_string(home.file()).expect("it is there");
    assert!(!text.contains(&home.token), "{text}");
    // It is forgotten here, and as good as before.
    let ended = home.login("login", &home.token).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    home.text("whoami").await;
}

#[tokio::test]
async fn a_bad_token_is_not_kept() {
    let home = Home::new().await;
    let login = format!("login {}", home.server.authority());
    for (token, code) in [("tdg_nonsense", 80), ("", 2)] {
        let ended = home.login(&login, token).await;
        assert_eq!(ended.code, Some(code), "{token}: {ended:?}");
        assert!(!ended.stderr.contains("nonsense"), "{ended:?}");
        assert!(!home.file().exists(), "{token}");
    }
}

#[tokio::test]
async fn a_token_is_typed_unseen() {
    let home = Home::new().await;
    let login = home.tidegate(&format!("login {}", home.server.authority()));
    let typed = format!("{}x\u{7f}\r", home.token);
    let ended = on_terminal(login, 80, &typed).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("token for "), "{ended:?}");
    // What was typed before the question may be shown by the terminal itself.
    let (_, after) = ended.stdout.split_once("token for ").expect("it asks");
    assert!(!after.contains(&home.token), "{ended:?}");
    home.text("whoami").await;
}

#[tokio::test]
async fn flags_beat_variables_and_these_beat_profiles() {
    let home = Home::new().await;
    let authority = home.server.authority().to_owned();
    let file = home.folder.path().join("token");
    std::fs::write(&file, &home.token).expect("it is written");
    let login = format!("login {authority} --token-file {}", file.display());
    home.text(&format!("{login} --profile good")).await;
    // Another server on the same machine, which nobody answers for.
    let mut profiles = Profiles::load_from(home.file()).expect("it can be read");
    let mut gone = profiles.get("good").expect("it is there").clone();
    gone.address = "127.0.0.1:1".to_owned();
    profiles.set("gone", gone).expect("a good name");
    profiles.save().expect("it is written");

    home.text("whoami").await;
    home.text("profile use gone").await;
    assert_eq!(home.run("whoami").await.code, Some(78));
    home.text("whoami --profile good").await;
    let mut named = home.tidegate("whoami");
    named.env("TIDEGATE_PROFILE", "good");
    assert_eq!(run(&mut named).await.code, Some(0));
    let mut beaten = home.tidegate("whoami --profile gone");
    beaten.env("TIDEGATE_PROFILE", "good");
    assert_eq!(run(&mut beaten).await.code, Some(78));
    // Who names an address does not mean the default profile: its token goes to its own address alone.
    let named = home.run(&format!("whoami --address {authority}")).await;
    assert_eq!(named.code, Some(80), "{named:?}");
    let mut variables = home.tidegate("whoami --profile good");
    variables.env("TIDEGATE_ADDRESS", "127.0.0.1:1");
    let refused = run(&mut variables).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("its secrets do not go to 127.0.0.1:1"),
        "{refused:?}"
    );
    let mut token = home.tidegate(&format!("whoami --address {authority}"));
    token.env("TIDEGATE_TOKEN", &home.token);
    assert_eq!(run(&mut token).await.code, Some(0));
}

#[tokio::test]
async fn profiles_are_listed_shown_and_deleted() {
    let home = Home::new().await;
    let none = home.run("profile list").await;
    assert!(none.stderr.contains("tidegate login makes one"), "{none:?}");
    assert_eq!(home.run("profile show").await.code, Some(2));
    let login = format!("login {} --profile north", home.server.authority());
    assert_eq!(home.login(&login, &home.token).await.code, Some(0));
    let listed: Value =
        serde_json::from_str(&home.text("profile list -o json").await).expect("a list");
    let address = home.server.authority();
    let wanted = json!([
        { "name": "north", "isDefault": true, "address": address, "hasToken": true }
    ]);
    assert_eq!(listed, wanted);
    let shown = home.text("profile show").await;
    assert!(shown.contains("north") && shown.contains("kept"), "{shown}");
    let missing = home.run("profile use south").await;
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(
        missing.stderr.contains("there is no profile \"south\""),
        "{missing:?}"
    );

    let mut broken = std::fs::read_to_string(home.file()).expect("it is there");
    broken.push_str("tokn = 5\n");
    std::fs::write(home.file(), &broken).expect("it is written");
    let refused = home.run("whoami").await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("unknown field `tokn`"),
        "{refused:?}"
    );
    std::fs::write(home.file(), broken.replace("tokn = 5\n", "")).expect("it is written");

    home.text("profile delete north").await;
    assert_eq!(home.text("profile list -o json").await, "[]\n");
}

#[tokio::test]
async fn a_server_without_authentication_needs_no_token() {
    let desk = super::Desk::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut login = desk.tidegate("login");
    let ended = run(login.env("XDG_CONFIG_HOME", folder.path())).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("does not require"), "{ended:?}");
    let profiles = Profiles::load_from(folder.path().join("tidegate/profiles.toml"));
    let profiles = profiles.expect("it can be read");
    let profile = profiles.get("default").expect("it is there");
    assert!(profile.token.is_none() && profile.is_for(&desk.server.address));
}
