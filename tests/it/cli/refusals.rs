//! Commands that are refused: by the server, for want of one, or for what they say.

use tidegate_tests::process::{binary, command, run};

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
            &["NOT_FOUND TRANSFER_NOT_FOUND", UNKNOWN][..],
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
            &["FAILED_PRECONDITION ILLEGAL_TRANSITION", "PENDING"],
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
                "INVALID_ARGUMENT INVALID_FIELDS",
                "\n  remote_site_url: ",
                "\n  session_code: ",
            ],
        ),
        // Nobody's token says who approves.
        (
            format!("transfer approve {pending}"),
            67,
            &["INVALID_ARGUMENT INVALID_FIELDS", "\n  admin_user_uuid: "],
        ),
        (
            format!("{create} two --request-id same"),
            70,
            &["ALREADY_EXISTS REQUEST_ID_REUSED", "same"],
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
    tidegate.args(["--address", "http://127.0.0.1:1", "transfer", "list"]);
    let ended = run(&mut tidegate).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.starts_with("error: UNAVAILABLE"), "{ended:?}");
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
