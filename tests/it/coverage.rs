//! No method without a wire test: the contract's descriptors are compared with the tests in [`wire`](crate::wire).
//!
//! The table names a test for each method. A name alone proves nothing, so the sources are read: the test has to exist,
//! to be one that runs, and to call the method through the generated client of its service.

use std::{collections::BTreeMap, path::Path};

use tidegate_tests::dynamic;

/// Each method with the test, as `module::function` in `wire`, that walks it.
const COVERED: &[(&str, &str)] = &[
    (
        "BulkService.StartBulkOperation",
        "bulk::what_is_not_said_clearly_is_refused",
    ),
    (
        "BulkService.GetBulkOperation",
        "bulk::what_is_not_said_clearly_is_refused",
    ),
    (
        "BulkService.ListBulkOperations",
        "bulk::what_has_failed_is_tried_again_and_what_has_ended_is_deleted",
    ),
    (
        "BulkService.ListBulkOutcomes",
        "bulk::what_is_not_said_clearly_is_refused",
    ),
    (
        "BulkService.StopBulkOperation",
        "bulk::one_that_is_stopped_goes_no_further",
    ),
    (
        "ConnectionService.CreateConnection",
        "connections::a_connection_is_active_at_once_and_read_back_as_created",
    ),
    (
        "ConnectionService.GetConnection",
        "connections::a_connection_is_active_at_once_and_read_back_as_created",
    ),
    (
        "ConnectionService.ListConnections",
        "connections::connections_are_listed_newest_first_by_direction",
    ),
    (
        "ConnectionService.UpdateConnection",
        "connection_update::only_what_the_mask_names_is_changed",
    ),
    (
        "ConnectionService.ApproveConnection",
        "connection_life::a_pending_connection_is_approved",
    ),
    (
        "ConnectionService.SuspendConnection",
        "connection_life::a_connection_is_suspended_and_reactivated",
    ),
    (
        "ConnectionService.ReactivateConnection",
        "connection_life::a_connection_is_suspended_and_reactivated",
    ),
    (
        "ConnectionService.RevokeConnection",
        "connection_life::a_revoked_connection_is_deleted_and_its_past_stays",
    ),
    (
        "ConnectionService.DeleteConnection",
        "connection_life::a_revoked_connection_is_deleted_and_its_past_stays",
    ),
    (
        "ConnectionService.RotateConnectionToken",
        "credentials::a_connections_token_is_rotated_for_its_own_agent",
    ),
    (
        "CredentialService.GetCaller",
        "credentials::a_caller_is_told_who_they_are",
    ),
    (
        "CredentialService.CreateCredential",
        "credentials::a_repetition_answers_without_the_token",
    ),
    (
        "CredentialService.GetCredential",
        "credentials::an_unknown_credential_is_not_found",
    ),
    (
        "CredentialService.ListCredentials",
        "credentials::credentials_are_listed_newest_first_by_role_and_connection",
    ),
    (
        "CredentialService.RotateCredential",
        "credentials::a_rotation_changes_the_token_and_its_end",
    ),
    (
        "CredentialService.RevokeCredential",
        "credentials::a_revoked_credential_stays_so",
    ),
    (
        "CredentialService.CreateSession",
        "sessions::a_session_is_opened_and_redeemed_for_an_agent",
    ),
    (
        "CredentialService.RedeemSession",
        "sessions::a_session_is_opened_and_redeemed_for_an_agent",
    ),
    (
        "EventService.ListEvents",
        "events::the_log_tells_a_life_step_by_step",
    ),
    (
        "EventService.VerifyLog",
        "verify::the_log_is_verified_page_by_page_and_from_a_position_on",
    ),
    (
        "EventService.WatchEvents",
        "events::the_log_is_followed_from_a_position_on",
    ),
    (
        "TransferService.RegisterAgent",
        "agents::an_agent_is_read_back_as_it_registered_with_what_it_runs",
    ),
    (
        "TransferService.GetAgent",
        "agents::an_agent_is_read_back_as_it_registered_with_what_it_runs",
    ),
    (
        "TransferService.ListAgents",
        "agents::agents_are_listed_by_connection_and_by_whether_they_are_heard",
    ),
    (
        "TransferService.CreateTransfer",
        "create::a_transfer_is_created_with_everything_it_was_given",
    ),
    (
        "TransferService.GetTransfer",
        "create::a_transfer_is_read_with_its_connection_only_when_asked",
    ),
    (
        "TransferService.ListTransfers",
        "lists::transfers_are_listed_as_filter_and_order_say",
    ),
    (
        "TransferService.CountTransfers",
        "lists::transfers_are_counted_as_the_filter_says",
    ),
    (
        "TransferService.DeleteTransfer",
        "life::a_deleted_transfer_is_gone_and_its_events_stay",
    ),
    ("TransferService.StartTransfer", "life::a_transfer_starts"),
    (
        "TransferService.ClaimTransfers",
        "claims::what_may_be_started_is_started_in_its_order",
    ),
    (
        "TransferService.ExplainTransfer",
        "explain::all_that_keeps_it_from_being_started_is_told",
    ),
    (
        "TransferService.SubmitReceipt",
        "receipts::a_receipt_is_kept_with_all_that_it_says",
    ),
    (
        "TransferService.RetryTransfer",
        "retry::another_try_is_declared_once",
    ),
    (
        "TransferService.ListAttempts",
        "leases::every_attempt_is_listed_with_how_it_ended",
    ),
    ("TransferService.UpdateProgress", "life::a_transfer_reports"),
    (
        "TransferService.ReportProgress",
        "streams::reports_on_a_stream_are_acknowledged_and_kept",
    ),
    (
        "TransferService.CompleteTransfer",
        "life::a_transfer_completes",
    ),
    (
        "TransferService.FailTransfer",
        "life::a_failed_transfer_keeps_its_message_and_its_totals",
    ),
    (
        "TransferService.CancelTransfer",
        "life::a_transfer_is_cancelled_from_every_status_that_is_not_terminal",
    ),
    (
        "TransferService.PauseTransfer",
        "stops::a_run_is_paused_and_goes_on_from_its_checkpoint",
    ),
    (
        "TransferService.ResumeTransfer",
        "stops::a_run_is_paused_and_goes_on_from_its_checkpoint",
    ),
    (
        "TransferService.AcknowledgeStop",
        "stops::a_run_is_cancelled_once_its_agent_has_stopped",
    ),
    (
        "TransferService.RequestApproval",
        "approval::a_request_for_approval_sets_the_deadline",
    ),
    (
        "TransferService.ApproveTransfer",
        "approval::an_approved_transfer_may_start",
    ),
    (
        "TransferService.DenyTransfer",
        "approval::a_denied_transfer_says_by_whom_and_why",
    ),
    (
        "TransferService.ExpirePendingApprovals",
        "approval::expiring_counts_what_this_very_call_expired",
    ),
    (
        "TransferService.ListPendingApprovals",
        "approval::pending_approvals_come_nearest_deadline_first_without_the_overdue",
    ),
    (
        "TransferService.GetConnectionStats",
        "stats::a_connection_is_summed_up_over_all_statuses",
    ),
    (
        "TransferService.ListTableStats",
        "stats::tables_are_summed_up_most_transfers_first_then_by_name",
    ),
    (
        "TransferService.ListRecentTransfers",
        "lists::recent_transfers_are_the_newest_ten_or_as_many_as_told",
    ),
    (
        "TransferService.ListActiveTransfers",
        "lists::active_transfers_are_those_in_progress_newest_first",
    ),
    (
        "TransferService.ExportTransfers",
        "export::pieces_that_were_cut_off_go_on_where_they_ended",
    ),
    (
        "TransferService.WatchTransfer",
        "streams::a_watched_transfer_is_shown_at_once_and_followed_to_its_end",
    ),
    (
        "TransferService.WatchTransfers",
        "streams::all_transfers_are_watched_from_the_existing_ones_on",
    ),
];

/// The sources of the wire tests by module.
type Sources = BTreeMap<String, String>;

fn sources() -> Sources {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/wire");
    let entries = std::fs::read_dir(folder).expect("the folder of the wire tests");
    let read = entries.map(|entry| {
        let path = entry.expect("an entry").path();
        let module = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        (module, std::fs::read_to_string(path).expect("a source"))
    });
    read.collect()
}

/// `Service.Method` of the whole contract.
fn contract() -> Vec<String> {
    let name = |method: prost_reflect::MethodDescriptor| {
        format!("{}.{}", method.parent_service().name(), method.name())
    };
    dynamic::methods().into_iter().map(name).collect()
}

/// What is wrong with the coverage of `contract`; empty when nothing is.
fn complaints(contract: &[String], covered: &[(&str, &str)], sources: &Sources) -> Vec<String> {
    let mut complaints = Vec::new();
    for method in contract {
        let Some((_, test)) = covered.iter().find(|(name, _)| name == method) else {
            complaints.push(format!("{method} has no wire test"));
            continue;
        };
        match body(test, sources) {
            None => complaints.push(format!("{method}: there is no test {test} that runs")),
            Some(body) if !body.contains(&call(method)) => {
                complaints.push(format!("{method}: {test} never says {}", call(method)));
            }
            Some(_) => {}
        }
    }
    let known = |name: &str| contract.iter().any(|method| method == name);
    let stale = covered.iter().filter(|(name, _)| !known(name));
    complaints.extend(stale.map(|(name, _)| format!("the contract has no {name}")));
    complaints
}

/// The source of a test without white space; `None` unless it is one that runs.
fn body(test: &str, sources: &Sources) -> Option<String> {
    let (module, function) = test.split_once("::")?;
    let source = sources.get(module)?;
    let start = source.find(&format!("async fn {function}("))?;
    let attributes = source[..start].rsplit("\n\n").next()?;
    if !attributes.contains("#[tokio::test") || attributes.contains("#[ignore") {
        return None;
    }
    let rest = &source[start..];
    let end = rest.find("\n}").unwrap_or(rest.len());
    let code = rest[..end]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    Some(
        code.flat_map(|line| line.chars().filter(|c| !c.is_whitespace()))
            .collect(),
    )
}

/// How a test calls a method: on the client of its service, by the generated name.
fn call(method: &str) -> String {
    let (service, method) = method.split_once('.').expect("a service and a method");
    let client = format!("{}s", service.trim_end_matches("Service").to_lowercase());
    let mut snake = String::new();
    for c in method.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    format!("{client}.{snake}(")
}

#[test]
fn every_method_has_a_wire_test() {
    let contract = contract();
    assert!(contract.len() >= 26, "the contract was read: {contract:?}");
    assert_eq!(complaints(&contract, COVERED, &sources()), [""; 0]);
}

#[test]
fn a_method_without_a_test_is_noticed() {
    let mut contract = contract();
    contract.push("TransferService.TeleportTransfer".to_owned());
    let found = complaints(&contract, COVERED, &sources());
    assert_eq!(found, ["TransferService.TeleportTransfer has no wire test"]);
}

#[test]
fn a_test_that_does_not_call_the_method_is_noticed() {
    let contract = ["TransferService.StartTransfer".to_owned()];
    let complain = |source: &str| {
        let sources = Sources::from([("life".to_owned(), source.to_owned())]);
        complaints(
            &contract,
            &[("TransferService.StartTransfer", "life::it_starts")],
            &sources,
        )
    };
    let good = "#[tokio::test]\nasync fn it_starts() {\n    raw\n        .transfers\n        .start_transfer(x);\n}\n";
    assert_eq!(complain(good), [""; 0]);
    for bad in [
        String::new(),
        good.replace("it_starts", "it_stops"),
        good.replace("start_transfer(", "get_transfer("),
        good.replace("        .start_transfer", "        // .start_transfer"),
        good.replace("raw\n        .transfers", "raw\n        .events"),
        good.replace("#[tokio::test]\n", ""),
        good.replace("#[tokio::test]", "#[tokio::test]\n#[ignore]"),
    ] {
        assert_eq!(complain(&bad).len(), 1, "{bad}");
    }
}

#[test]
fn a_line_for_a_method_that_is_gone_is_noticed() {
    let found = complaints(
        &[],
        &[("EventService.Forget", "events::x")],
        &Sources::new(),
    );
    assert_eq!(found, ["the contract has no EventService.Forget"]);
}
