//! The desk of an approver: for which site, who asks, and a decision that names nobody.

use serde_json::{Value, json};
use tidegate_tests::{
    Database, ServerProcess,
    process::{Finished, binary, command, on_terminal, run},
};
use tokio::process::Command;

use super::{id, says};

/// A server that wants tokens, with a site, its agent and an approver.
struct Office {
    server: ServerProcess,
    admin: String,
    agent: String,
    approver: String,
}

impl Office {
    async fn open() -> Self {
        let database = Database::fresh().await;
        let mut create = command(binary("tidegate-server"));
        create.args(["token", "create", "--role", "admin", "--name", "first"]);
        let admin = run(create.args(["--database-url", database.url()])).await;
        let admin = admin.stdout.trim_end();
        let server = ServerProcess::start(&database, 0, &["--auth", "required"]).await;
        let mut office = Self {
            server,
            admin: admin.to_owned(),
            agent: String::new(),
            approver: String::new(),
        };
        let site = "connection create --name north --direction sender --site-url https://n.example";
        office.text(admin, site).await;
        let agent = "credential create --name robot --role agent --connection north --plain";
        office.agent = office.text(admin, agent).await.trim_end().to_owned();
        let approver = "credential create --name bob --role approver --plain";
        office.approver = office.text(admin, approver).await.trim_end().to_owned();
        office
    }

    fn tidegate(&self, token: &str, line: &str) -> Command {
        let mut tidegate = command(binary("tidegate"));
        tidegate
            .env("TIDEGATE_ADDRESS", &self.server.address)
            .env("TIDEGATE_TOKEN", token)
            .args(line.split_whitespace());
        tidegate
    }

    async fn run(&self, token: &str, line: &str) -> Finished {
        run(&mut self.tidegate(token, line)).await
    }

    async fn text(&self, token: &str, line: &str) -> String {
        let ended = self.run(token, line).await;
        assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
        ended.stdout
    }

    /// A transfer of the agent that waits for a decision.
    async fn waiting(&self, table: &str) -> String {
        let create = format!("transfer create --direction send --table {table} -o name");
        let uuid = self.text(&self.agent, &create).await.trim_end().to_owned();
        let ask = format!("transfer request-approval {uuid}");
        self.text(&self.agent, &ask).await;
        uuid
    }
}

#[tokio::test]
async fn approvers_see_the_site_and_who_asks() {
    let office = Office::open().await;
    let uuid = office.waiting("orders").await;
    let listed = office.text(&office.approver, "approval list").await;
    says(
        &listed,
        &["SITE", "ASKED BY", &uuid, "north", "robot", "orders"],
    );
    let show = format!("approval show {uuid}");
    let shown = office.text(&office.approver, &show).await;
    says(
        &shown,
        &[
            "site               north",
            "asked by           robot",
            "decided by         approver or admin",
            "  but not by       robot, agents of connection",
            "  you              may approve it",
            "https://n.example",
        ],
    );
    // For programs it is the transfer.
    let json = office.text(&office.approver, "approval list -o json").await;
    let json: Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(id(&json[0]), uuid);
    assert_eq!(json[0]["connection"]["name"], "north");
    // Agents may not know the names of others, and see their own.
    let listed = office.text(&office.agent, "approval list").await;
    says(&listed, &[&uuid, "north"]);
    assert!(!listed.contains("robot"), "{listed}");
    let narrow = office.tidegate(&office.approver, "approval list");
    let narrow = on_terminal(narrow, 80, "").await.stdout;
    says(&narrow, &["north", "robot", "orders"]);
    assert!(
        narrow.lines().all(|line| line.chars().count() <= 80),
        "{narrow}"
    );
}

#[tokio::test]
async fn decisions_are_the_callers_own() {
    let office = Office::open().await;
    let (one, two, three) = (
        office.waiting("one").await,
        office.waiting("two").await,
        office.waiting("three").await,
    );
    let me = office.text(&office.approver, "whoami -o name").await;
    let approve = format!("approval approve {one} {two} --comment fine -o json");
    let approved = office.text(&office.approver, &approve).await;
    let approved: Value = serde_json::from_str(&approved).expect("it is JSON");
    for transfer in approved.as_array().expect("two") {
        assert_eq!(transfer["approvedByUuid"], json!(me.trim_end()));
    }
    let deny = format!("approval deny {three} --reason no");
    says(
        &office.text(&office.approver, &deny).await,
        &[&three, "is denied"],
    );
    let left = office
        .text(&office.approver, "approval list -o jsonl")
        .await;
    assert_eq!(left, "");
}

#[tokio::test]
async fn the_log_says_on_a_narrow_terminal_what_happened_and_who_did_it() {
    let office = Office::open().await;
    let approved = office.waiting("orders").await;
    office
        .text(&office.approver, &format!("transfer approve {approved}"))
        .await;
    office
        .text(&office.agent, &format!("transfer start {approved}"))
        .await;
    let fail = format!("transfer fail {approved} --error-message disk-full");
    office.text(&office.agent, &fail).await;
    // Names are for those who may see them.
    let admin = office.admin.clone();
    let list = office.tidegate(&admin, &format!("event list --transfer {approved}"));
    let shown = on_terminal(list, 80, "").await.stdout;
    let shown = anstream::adapter::strip_str(&shown).to_string();
    let (_, id) = approved.split_at(28);
    let masked = shown.replace(id, "transfer");
    let masked: Vec<String> = masked
        .lines()
        .map(|line| {
            let (before, rest) = line.split_at(3);
            let age = rest.split_once(" ago").map(|(_, after)| after);
            age.map_or(line.to_owned(), |after| format!("{before}  0s ago{after}"))
        })
        .collect();
    let wanted = [
        "SEQ  WHEN    OF        TABLE   TYPE                BY     DETAIL",
        "  5  0s ago  transfer  orders  created             robot",
        "  6  0s ago  transfer  orders  approval_requested  robot",
        "  7  0s ago  transfer  orders  approved            bob",
        "  8  0s ago  transfer  orders  started             robot  lease 1",
        "  9  0s ago  transfer  orders  failed              robot  disk-full",
    ];
    assert_eq!(masked, wanted, "{shown}");
}

#[tokio::test]
async fn why_a_transfer_does_not_start_is_said() {
    let office = Office::open().await;
    let uuid = office.waiting("orders").await;
    let start = format!("transfer start {uuid}");
    let refused = office.run(&office.agent, &start).await;
    let hint = format!("tidegate transfer explain {uuid} says what it waits for");
    says(&refused.stderr, &[&hint, "ILLEGAL_TRANSITION"]);
    let explain = format!("transfer explain {uuid}");
    let said = office.text(&office.approver, &explain).await;
    says(
        &said,
        &[
            "can start     no",
            "because       transfer",
            "an approver has to decide",
            "decided by    approver or admin",
            "but not by  robot, agents of connection",
            "you         may approve it",
            "by itself     it expires: in ",
        ],
    );
    let said = office.text(&office.agent, &explain).await;
    says(
        &said,
        &["may not approve it: the role AGENT may not call ApproveTransfer"],
    );
    let json = office
        .text(&office.agent, &format!("{explain} -o json"))
        .await;
    let read: Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(read["obstacles"][0]["reason"], json!("ILLEGAL_TRANSITION"));
    assert_eq!(
        read["upcoming"][0]["action"],
        json!("UPCOMING_ACTION_EXPIRE")
    );
}
