//! `tidegate top`: a whole screen, its keys, and a terminal that is given back.

use serde_json::json;
use tidegate_tests::process::{on_terminal, play};

use super::{ADMIN, Desk, says};

/// What a terminal is told to give its own screen back.
const LEAVES: &str = "\u{1b}[?1049l";

#[tokio::test]
async fn what_is_chosen_is_cancelled_and_approved() {
    let desk = Desk::new().await;
    let running = desk.declare("public.orders").await;
    desk.text(&format!("transfer start {running}")).await;
    let waiting = desk.declare("invoices").await;
    desk.text(&format!("transfer request-approval {waiting}"))
        .await;
    let denied = desk.declare("salaries").await;
    desk.text(&format!(
        "transfer request-approval {denied} --expires-in 2h"
    ))
    .await;

    let top = desk.tidegate(&format!("top --admin {ADMIN}"));
    let steps = [
        ("public.orders", "c"),
        ("reason,", "wrong table\r"),
        ("cancelling", "\t"),
        // The nearest deadline is first.
        ("", "d"),
        ("reason,", "not now\r"),
        ("denied", "a"),
        ("comment", "fine\r"),
        ("approved", "q"),
    ];
    let ended = play(top, 100, &steps).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains(LEAVES), "{ended:?}");

    let cancelled = desk.json(&format!("transfer get {running}")).await;
    assert_eq!(cancelled["stop"]["reason"], json!("wrong table"));
    let denied = desk.json(&format!("transfer get {denied}")).await;
    assert_eq!(denied["denialReason"], json!("not now"));
    let approved = desk.json(&format!("transfer get {waiting}")).await;
    assert_eq!(approved["status"], json!("TRANSFER_STATUS_APPROVED"));
}

#[tokio::test]
async fn a_refusal_is_said_and_nothing_else_happens() {
    let desk = Desk::new().await;
    let waiting = desk.declare("invoices").await;
    desk.text(&format!("transfer request-approval {waiting}"))
        .await;
    // Nobody's token says who approves.
    let steps = [
        ("invoices", "\ta"),
        ("comment", "\r"),
        ("admin_user_uuid", "q"),
    ];
    let ended = play(desk.tidegate("top"), 100, &steps).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let waiting = desk.json(&format!("transfer get {waiting}")).await;
    assert_eq!(waiting["status"], json!("TRANSFER_STATUS_PENDING_APPROVAL"));
}

#[tokio::test]
async fn the_terminal_is_given_back_after_control_c_and_signals() {
    let desk = Desk::new().await;
    let ended = play(desk.tidegate("top"), 80, &[("quit", "\u{3}")]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains(LEAVES), "{ended:?}");
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let mut shell = tidegate_tests::process::command("/bin/sh");
        let tool = tidegate_tests::process::binary("tidegate");
        let script = format!("(sleep 1; kill -{name} $$) & exec {} top", tool.display());
        shell
            .args(["-c", &script])
            .env("TIDEGATE_ADDRESS", &desk.server.address);
        let ended = on_terminal(shell, 80, "").await;
        assert_eq!(ended.code, Some(code), "{name}: {ended:?}");
        assert!(ended.stdout.contains(LEAVES), "{name}: {ended:?}");
    }
}

#[tokio::test]
async fn colours_can_be_turned_off() {
    let desk = Desk::new().await;
    let running = desk.declare("public.orders").await;
    desk.text(&format!("transfer start {running}")).await;
    let cyan = "\u{1b}[38;5;6";
    let steps = [("public.orders", "q")];
    let coloured = play(desk.tidegate("top"), 80, &steps).await;
    assert!(coloured.stdout.contains(cyan), "{coloured:?}");
    let plain = play(desk.tidegate("top --color never"), 80, &steps).await;
    assert!(!plain.stdout.contains(cyan), "{plain:?}");
}

#[tokio::test]
async fn it_needs_a_terminal() {
    let desk = Desk::new().await;
    let ended = desk.run("top").await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    says(&ended.stderr, &["top needs a terminal", "watch --all"]);
}
