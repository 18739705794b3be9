//! What a person sees at a terminal, and how that differs from what a pipe gets.

use tidegate_tests::process::on_terminal;

use super::{Desk, id};

const LONG: &str = "warehouse.a_rather_long_table_name_of_orders_2026";

impl Desk {
    /// What a command shows on a terminal of so many columns.
    async fn shown(&self, columns: u16, line: &str) -> String {
        let ended = on_terminal(self.tidegate(line), columns, "").await;
        assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
        ended.stdout
    }
}

/// The text without its colours.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// A desk with a long name, ids that begin alike, and everything that a list can show.
async fn busy() -> (Desk, Vec<String>) {
    let desk = Desk::new().await;
    let site = "connection create --name Warehouse-North-of-the-River --direction sender \
                --site-url https://north.warehouse.example.com/tidegate/v1";
    let site = id(&desk.json(site).await);
    let mut ids = Vec::new();
    for table in ["public.node", LONG, "orders"] {
        let create = format!(
            "transfer create --direction receive --table {table} --connection {site} \
             --records-requested 123456789 --conflict-strategy overwrite"
        );
        ids.push(id(&desk.json(&create).await));
    }
    desk.text(&format!("transfer request-approval {}", ids[1]))
        .await;
    desk.text(&format!("transfer start {}", ids[0])).await;
    desk.text(&format!(
        "transfer fail {} --error-message disk-full",
        ids[0]
    ))
    .await;
    (desk, ids)
}

#[tokio::test]
async fn tables_fit_the_terminal() {
    let (desk, ids) = busy().await;
    for columns in [60, 80, 120] {
        for list in [
            "transfer list",
            "approval list",
            "event list",
            "connection list",
            "stats table",
        ] {
            let shown = plain(&desk.shown(columns, list).await);
            for line in shown.lines() {
                let width = line.chars().count();
                assert!(width <= columns.into(), "{list} at {columns}: {line}");
            }
        }
    }
    let narrow = plain(&desk.shown(80, "transfer list").await);
    assert!(narrow.contains('…') && !narrow.contains(LONG), "{narrow}");
    for uuid in &ids {
        let (_, last) = uuid.split_at(28);
        assert!(narrow.contains(&format!("\n{last}  ")), "{narrow}");
        assert!(!narrow.contains(uuid), "{narrow}");
    }
}

#[tokio::test]
async fn pipes_and_those_who_ask_get_everything() {
    let (desk, ids) = busy().await;
    let piped = desk.text("transfer list").await;
    let wide = plain(&desk.shown(80, "transfer list -o wide").await);
    for text in [&piped, &wide] {
        assert!(text.contains(LONG), "{text}");
        for uuid in &ids {
            assert!(text.contains(uuid), "{text}");
        }
    }
    assert!(wide.contains("CONNECTION") && wide.contains("disk-full"));
    assert!(!piped.contains("CONNECTION"), "{piped}");
}

#[tokio::test]
async fn colours_mean_something_and_can_be_turned_off() {
    const RED: &str = "\u{1b}[31m";
    let (desk, _) = busy().await;
    let shown = desk.shown(80, "transfer list").await;
    assert!(shown.contains(&format!("{RED}failed")), "{shown:?}");
    let refused = on_terminal(
        desk.tidegate("transfer list --status failed --skip 100001"),
        80,
        "",
    )
    .await;
    assert!(
        refused.stdout.contains("\u{1b}[1m\u{1b}[31merror:"),
        "{refused:?}"
    );

    let never = desk.shown(80, "transfer list --color never").await;
    assert!(!never.contains('\u{1b}') && never.contains("failed"));
    let always = desk.text("transfer list --color always").await;
    assert!(always.contains(RED), "{always:?}");
    for (variable, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let mut list = std::process::Command::new("env");
        // The terminal of the test sets both.
        list.arg(format!("{variable}={value}"))
            .arg(tidegate_tests::process::binary("tidegate"))
            .args(["transfer", "list"])
            .env("TIDEGATE_ADDRESS", &desk.server.address);
        let shown = on_terminal(list.into(), 80, "").await;
        assert!(!shown.stdout.contains('\u{1b}'), "{variable}: {shown:?}");
        assert!(shown.stdout.contains("failed"), "{variable}: {shown:?}");
    }
}

#[tokio::test]
async fn times_are_local_on_a_terminal_and_utc_elsewhere() {
    let (desk, ids) = busy().await;
    let get = format!("transfer get {}", ids[0]);
    let mut command = desk.tidegate(&get);
    command.env("TZ", "IST-5:30");
    let shown = on_terminal(command, 80, "").await;
    assert!(shown.stdout.contains(" +05:30 ("), "{shown:?}");
    let mut command = desk.tidegate(&get);
    command.env("TZ", "IST-5:30");
    let piped = tidegate_tests::process::run(&mut command).await.stdout;
    assert!(
        piped.contains("Z (") && !piped.contains("+05:30"),
        "{piped}"
    );
}
