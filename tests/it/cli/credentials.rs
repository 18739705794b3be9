//! Credentials, tokens and sessions at the desk.

use serde_json::json;
use tidegate_tests::{
    Database, ServerProcess,
    process::{Finished, binary, command, run},
};

use super::{Desk, UNKNOWN, id, says};

#[tokio::test]
async fn credentials_are_created_shown_listed_rotated_and_revoked() {
    let desk = Desk::new().await;
    let create = "credential create --name desk --role approver --acts-for-others --expires-in 1h";
    let created = desk.json(create).await;
    let token = created["token"].as_str().expect("a token").to_owned();
    assert!(token.starts_with("tdg_"));
    let credential = created["credential"].clone();
    let uuid = id(&credential);
    let (text, shown) = desk.both(&format!("credential get {uuid}")).await;
    says(&text, &[&uuid, "desk", "approver", "acts for others"]);
    assert!(!text.contains("tdg_"), "{text}");
    assert_eq!(shown, credential);
    let (text, listed) = desk.both("credential list --role approver").await;
    says(&text, &["ID", "LAST USED", &uuid, "59m", "never"]);
    assert_eq!(listed, json!([credential]));
    assert_eq!(desk.json("credential list --role agent").await, json!([]));

    let rotate = format!("credential rotate {uuid} --overlap 1h --plain");
    let second = desk.text(&rotate).await;
    assert!(second.starts_with("tdg_") && second.lines().count() == 1);
    assert_ne!(second.trim_end(), token);
    let (text, revoked) = desk
        .change(&format!("credential revoke {uuid} --reason lost"))
        .await;
    says(&text, &["revoked"]);
    assert_eq!(revoked["revision"], "3");
    assert_ne!(revoked["revokedAt"], json!(null));
    let refused = desk.run(&rotate).await;
    assert_eq!(refused.code, Some(73), "{refused:?}");
    let unknown = desk.run(&format!("credential get {UNKNOWN}")).await;
    assert_eq!(unknown.code, Some(69), "{unknown:?}");
    let wrong = desk
        .run("credential create --name north --role agent")
        .await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[tokio::test]
async fn a_repetition_shows_no_token_and_says_so() {
    let desk = Desk::new().await;
    let create = "credential create --name desk --role viewer --request-id once";
    let first = desk.run(create).await;
    assert!(first.stdout.contains("tdg_"), "the token is in the table");
    says(&first.stderr, &["shown this once"]);
    let again = desk.run(create).await;
    assert_eq!(again.code, Some(0));
    assert!(!again.stdout.contains("tdg_"));
    says(&again.stderr, &["repetition"]);
    let plain = desk.run(&format!("{create} --plain")).await;
    assert_eq!((plain.code, plain.stdout.as_str()), (Some(0), ""));
    assert_eq!(desk.json(create).await["token"], json!(null));
}

#[tokio::test]
async fn a_site_gets_its_token_by_hand_or_by_a_code() {
    let desk = Desk::new().await;
    let site = "connection create --name north --direction sender --site-url https://n.example";
    let connection = id(&desk.json(site).await);
    let issued = desk
        .json(&format!("connection rotate-token {connection}"))
        .await;
    assert_eq!(issued["credential"]["name"], "agent of north");
    assert_eq!(issued["credential"]["connectionUuid"], json!(connection));
    let open = format!("session create --connection {connection} --expires-in 5m");
    let opened = desk.run(&open).await;
    says(&opened.stdout, &["session code", "expires"]);
    let code = desk.text(&format!("{open} --plain")).await;
    let code = code.trim_end();
    assert_eq!(code.len(), 8, "only the code is printed");
    let redeemed = desk.json(&format!("session redeem {code}")).await;
    assert_eq!(redeemed["credential"]["sessionCode"], json!(code));
    assert!(redeemed["token"].is_string());
    let again = desk.run(&format!("session redeem {code}")).await;
    assert_eq!(again.code, Some(80), "{again:?}");
    assert!(!again.stderr.contains(code), "{again:?}");
    let nobody = desk.text("whoami").await;
    says(&nobody, &["nobody"]);
}

#[tokio::test]
async fn whoami_says_whose_token_it_is() {
    let database = Database::fresh().await;
    let mut create = command(binary("tidegate-server"));
    create.args(["token", "create", "--role", "admin", "--name", "first"]);
    let created = run(create.args(["--database-url", database.url()])).await;
    let server = ServerProcess::start(&database, 0, &["--auth", "required"]).await;
    let ask = async |token: Option<&str>| -> Finished {
        let mut whoami = command(binary("tidegate"));
        whoami
            .arg("whoami")
            .env("TIDEGATE_ADDRESS", &server.address)
            .envs(token.map(|token| ("TIDEGATE_TOKEN", token)));
        run(&mut whoami).await
    };
    let me = ask(Some(created.stdout.trim_end())).await;
    assert_eq!(me.code, Some(0), "{me:?}");
    says(&me.stdout, &["first", "admin"]);
    assert_eq!(ask(None).await.code, Some(80));
}
