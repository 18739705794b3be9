//! Commands that are refused: by the server, for want of one, or for what they say.

use tidegate_tests::{
    Database, ServerProcess,
    process::{binary, command, run},
};

use super::{Desk, UNKNOWN, says};

#[tokio::test]
async fn refusals_have_their_codes_and_say_why_on_stderr() {
    let desk = Desk::new().await;
    let pending = desk.declare("orders").await;
    let create = "transfer create --direction send --table";
    desk.text(&format!("{create} one --request-id same")).await;
    for (line, code, words) in [
        (
            format!("transfer get {UNKNOWN}"),
            69,
            &[
                "; tidegate transfer list shows",
                "(NOT_FOUND TRANSFER_NOT_FOUND)\n",
                UNKNOWN,
            ][..],
        ),
        (
            format!("transfer watch {UNKNOWN}"),
            69,
            &["TRANSFER_NOT_FOUND"],
        ),
        (
            format!("connection get {UNKNOWN}"),
            69,
            &["CONNECTION_NOT_FOUND"],
        ),
        (
            format!("transfer complete {pending}"),
            73,
            &["(FAILED_PRECONDITION ILLEGAL_TRANSITION)\n", "PENDING"],
        ),
        (
            format!("transfer delete {pending}"),
            73,
            &["ILLEGAL_TRANSITION"],
        ),
        (
            format!("{create} one --remote-site-url gopher://b --session-code {UNKNOWN}"),
            67,
            &[
                "error: these fields of the request are bad (INVALID_ARGUMENT INVALID_FIELDS)",
                "\n  remote_site_url: ",
                "\n  session_code: ",
            ],
        ),
        // Nobody's token says who approves.
        (
            format!("transfer approve {pending}"),
            67,
            &[
                "error: admin_user_uuid ",
                "; say who decides with --admin UUID (INVALID_",
            ],
        ),
        (
            format!("{create} two --request-id same"),
            70,
            &["(ALREADY_EXISTS REQUEST_ID_REUSED)\n", "same"],
        ),
    ] {
        let ended = desk.run(&line).await;
        assert_eq!(ended.code, Some(code), "{line}: {ended:?}");
        assert_eq!(ended.stdout, "", "{line}");
        assert!(ended.stderr.starts_with("error: "), "{line}: {ended:?}");
        says(&ended.stderr, words);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_so() {
    let mut tidegate = command(binary("tidegate"));
    // Nothing listens on port 1.
    tidegate.args(["--address", "127.0.0.1:1", "transfer", "list"]);
    let ended = run(&mut tidegate).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    says(
        &ended.stderr,
        &["is tidegate-server running there?", " (UNAVAILABLE)\n"],
    );
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
}

#[tokio::test]
async fn wrong_usage_ends_with_2_and_help_with_0() {
    let approve = format!("transfer approve {UNKNOWN} --admin me");
    for (line, code) in [
        ("", 2),
        ("transfer get not-a-uuid", 2),
        ("transfer create --direction sideways --table t", 2),
        (
            "transfer create --direction send --table t --metadata [1]",
            2,
        ),
        (&approve, 2),
        ("no-such-noun", 2),
        ("-o xml transfer list", 2),
        ("transfer watch --help", 0),
        ("--version", 0),
    ] {
        let ended = run(command(binary("tidegate")).args(line.split_whitespace())).await;
        assert_eq!(ended.code, Some(code), "{line}: {ended:?}");
    }
}

#[tokio::test]
async fn a_defect_is_told_with_its_incident() {
    use sea_orm::ConnectionTrait as _;

    let desk = Desk::new().await;
    desk.declare("orders").await;
    let database = desk.server.database().connect().await;
    let rename = "ALTER TABLE connection RENAME TO lost";
    database
        .execute_unprepared(rename)
        .await
        .expect("it is done");
    let ended = desk.run("connection list").await;
    assert_eq!(ended.code, Some(64 + 13), "{ended:?}");
    let (before, after) = ended
        .stderr
        .split_once("under incident ")
        .expect("an incident");
    assert!(before.starts_with("error: internal error; "), "{ended:?}");
    let (incident, rest) = after.split_at(36);
    incident.parse::<uuid::Uuid>().expect("an id");
    assert_eq!(rest, " (INTERNAL)\n");
}

#[tokio::test]
async fn who_shows_no_token_is_told_how() {
    let database = Database::fresh().await;
    let server = ServerProcess::start(&database, 0, &["--auth", "required"]).await;
    let whoami = async |variables: &[(&str, &str)]| {
        let mut whoami = command(binary("tidegate"));
        whoami
            .args(["whoami", "--address", server.authority()])
            .envs(variables.iter().copied());
        run(&mut whoami).await
    };
    for empty in [
        &[][..],
        &[
            ("TIDEGATE_TOKEN", ""),
            ("TIDEGATE_TOKEN_FILE", ""),
            ("TIDEGATE_CA", ""),
        ],
    ] {
        let ended = whoami(empty).await;
        assert_eq!(ended.code, Some(80), "{ended:?}");
        assert_eq!(
            ended.stderr,
            "error: the server wants a valid token; show one with tidegate login, --token-file FILE or TIDEGATE_TOKEN \
             (UNAUTHENTICATED)\n"
        );
    }
}

#[tokio::test]
async fn usage_does_not_depend_on_variables() {
    let mut tidegate = command(binary("tidegate"));
    tidegate
        .args(["transfer", "approve"])
        .env("TIDEGATE_ADDRESS", "http://127.0.0.1:1")
        .env("TIDEGATE_TOKEN_FILE", "x");
    let ended = run(&mut tidegate).await;
    let usage = ended
        .stderr
        .lines()
        .find(|line| line.starts_with("Usage: "));
    assert_eq!(
        usage,
        Some("Usage: tidegate transfer approve <ID>..."),
        "{ended:?}"
    );
}
