//! Every method for everybody: the code and the reason of each pair.

use std::time::Duration;

use prost_reflect::{DynamicMessage, MethodDescriptor};
use tidegate_proto::v1::{
    self, Role, credential_service_client::CredentialServiceClient,
    transfer_service_client::TransferServiceClient,
};
use tidegate_tests::{
    World, WorldOptions,
    actors::{Actors, bearing, channel_from, issue, revoke, with_wrong_secret},
    assert_refused,
    dynamic::{self, call_as},
    raw::{done, plain, told, wire_duration},
    soon,
};
use tonic::{Code, Status, transport::Channel};

use super::actors_with;
use requests::{about, empty};

mod requests;

/// Whom a method is for, other than admins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Anybody,
    Known,
    Readers,
    Overseers,
    Agents,
    Approvers,
    Admins,
}

/// What an empty request of somebody who may call comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Empty {
    Answered,
    Invalid,
    /// It names no session code, and whatever is wrong with one is not told.
    BadCode,
}

/// What the agent of another connection is told about a transfer or connection that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stranger {
    /// There is no such transfer.
    NoTransfer,
    /// There is no such connection.
    NoConnection,
    /// There is no such agent.
    NoAgent,
    /// An answer, without anything in it that is not theirs.
    Answered,
    /// It is not for agents.
    Denied,
}

use Empty::{Answered as Ok_, BadCode, Invalid};
use For::{Admins, Agents, Anybody, Approvers, Known, Overseers, Readers};
use Stranger::{Answered, Denied, NoAgent, NoConnection, NoTransfer};

const EXPECTED: &[(&str, For, Empty, Stranger)] = &[
    (
        "TransferService.CreateTransfer",
        Agents,
        Invalid,
        NoConnection,
    ),
    ("TransferService.GetTransfer", Readers, Invalid, NoTransfer),
    ("TransferService.ListTransfers", Readers, Ok_, Answered),
    ("TransferService.CountTransfers", Readers, Ok_, Answered),
    ("TransferService.DeleteTransfer", Admins, Invalid, Denied),
    ("TransferService.StartTransfer", Agents, Invalid, NoTransfer),
    ("TransferService.ClaimTransfers", Agents, Ok_, NoConnection),
    (
        "TransferService.RegisterAgent",
        Agents,
        Invalid,
        NoConnection,
    ),
    ("TransferService.GetAgent", Readers, Invalid, NoAgent),
    ("TransferService.ListAgents", Readers, Ok_, Answered),
    ("TransferService.SubmitReceipt", Agents, Invalid, NoTransfer),
    ("TransferService.RetryTransfer", Agents, Invalid, NoTransfer),
    (
        "TransferService.ExplainTransfer",
        Readers,
        Invalid,
        NoTransfer,
    ),
    ("TransferService.ListAttempts", Readers, Invalid, NoTransfer),
    (
        "TransferService.UpdateProgress",
        Agents,
        Invalid,
        NoTransfer,
    ),
    ("TransferService.ReportProgress", Agents, Ok_, Answered),
    (
        "TransferService.CompleteTransfer",
        Agents,
        Invalid,
        NoTransfer,
    ),
    ("TransferService.FailTransfer", Agents, Invalid, NoTransfer),
    (
        "TransferService.CancelTransfer",
        Agents,
        Invalid,
        NoTransfer,
    ),
    ("TransferService.PauseTransfer", Admins, Invalid, Denied),
    ("TransferService.ResumeTransfer", Admins, Invalid, Denied),
    (
        "TransferService.AcknowledgeStop",
        Agents,
        Invalid,
        NoTransfer,
    ),
    (
        "TransferService.RequestApproval",
        Agents,
        Invalid,
        NoTransfer,
    ),
    (
        "TransferService.ApproveTransfer",
        Approvers,
        Invalid,
        Denied,
    ),
    ("TransferService.DenyTransfer", Approvers, Invalid, Denied),
    (
        "TransferService.ExpirePendingApprovals",
        Admins,
        Ok_,
        Denied,
    ),
    (
        "TransferService.ListPendingApprovals",
        Readers,
        Ok_,
        Answered,
    ),
    (
        "TransferService.GetConnectionStats",
        Readers,
        Invalid,
        Answered,
    ),
    ("TransferService.ListTableStats", Readers, Ok_, Answered),
    (
        "TransferService.ListRecentTransfers",
        Readers,
        Ok_,
        Answered,
    ),
    (
        "TransferService.ListActiveTransfers",
        Readers,
        Ok_,
        Answered,
    ),
    (
        "TransferService.WatchTransfer",
        Readers,
        Invalid,
        NoTransfer,
    ),
    ("TransferService.ExportTransfers", Readers, Ok_, Answered),
    ("TransferService.WatchTransfers", Readers, Ok_, Answered),
    ("EventService.ListEvents", Readers, Ok_, Answered),
    ("EventService.WatchEvents", Readers, Ok_, Answered),
    ("EventService.VerifyLog", Overseers, Ok_, Denied),
    (
        "ConnectionService.CreateConnection",
        Admins,
        Invalid,
        Denied,
    ),
    (
        "ConnectionService.GetConnection",
        Readers,
        Invalid,
        NoConnection,
    ),
    ("ConnectionService.ListConnections", Readers, Ok_, Answered),
    (
        "ConnectionService.UpdateConnection",
        Admins,
        Invalid,
        Denied,
    ),
    (
        "ConnectionService.ApproveConnection",
        Admins,
        Invalid,
        Denied,
    ),
    (
        "ConnectionService.SuspendConnection",
        Admins,
        Invalid,
        Denied,
    ),
    (
        "ConnectionService.ReactivateConnection",
        Admins,
        Invalid,
        Denied,
    ),
    (
        "ConnectionService.RevokeConnection",
        Admins,
        Invalid,
        Denied,
    ),
    (
        "ConnectionService.RotateConnectionToken",
        Admins,
        Invalid,
        Denied,
    ),
    (
        "ConnectionService.DeleteConnection",
        Admins,
        Invalid,
        Denied,
    ),
    ("CredentialService.GetCaller", Known, Ok_, Answered),
    (
        "CredentialService.CreateCredential",
        Admins,
        Invalid,
        Denied,
    ),
    (
        "CredentialService.GetCredential",
        Overseers,
        Invalid,
        Denied,
    ),
    ("CredentialService.ListCredentials", Overseers, Ok_, Denied),
    (
        "CredentialService.RotateCredential",
        Admins,
        Invalid,
        Denied,
    ),
    (
        "CredentialService.RevokeCredential",
        Admins,
        Invalid,
        Denied,
    ),
    ("CredentialService.CreateSession", Admins, Invalid, Denied),
    ("CredentialService.RedeemSession", Anybody, BadCode, Denied),
    ("BulkService.StartBulkOperation", Admins, Invalid, Denied),
    ("BulkService.GetBulkOperation", Overseers, Invalid, Denied),
    ("BulkService.ListBulkOperations", Overseers, Ok_, Denied),
    ("BulkService.ListBulkOutcomes", Overseers, Invalid, Denied),
    ("BulkService.StopBulkOperation", Admins, Invalid, Denied),
];

fn name(method: &MethodDescriptor) -> String {
    format!("{}.{}", method.parent_service().name(), method.name())
}

fn expected(method: &MethodDescriptor) -> (For, Empty, Stranger) {
    let name = name(method);
    let found = EXPECTED.iter().find(|(method, ..)| *method == name);
    let (_, whom, empty, stranger) =
        found.unwrap_or_else(|| panic!("nothing is expected of {name}"));
    (*whom, *empty, *stranger)
}

fn is_for(whom: For, role: Role) -> bool {
    role == Role::Admin
        || match whom {
            Anybody | Known => true,
            Readers => true,
            Overseers => role != Role::Agent,
            Agents => role == Role::Agent,
            Approvers => role == Role::Approver,
            Admins => false,
        }
}

#[test]
fn something_is_expected_of_every_method() {
    let methods = dynamic::methods();
    for method in &methods {
        expected(method);
    }
    assert_eq!(methods.len(), EXPECTED.len());
}

async fn ask(
    channel: &Channel,
    token: Option<&str>,
    method: &MethodDescriptor,
    message: &DynamicMessage,
) -> Result<Option<DynamicMessage>, Status> {
    let authorization = token.map(|token| format!("Bearer {token}"));
    let call = call_as(channel, authorization.as_deref(), method, message);
    soon(&name(method), call).await
}

/// A token that has ended by itself, and one that was revoked.
async fn bad_tokens(world: &World, actors: &Actors) -> (String, String) {
    let channel = world.channel().await;
    let revoked = issue(&channel, &actors.admin, Role::Admin, "").await;
    let done = revoke(&channel, &actors.admin, &revoked.uuid).await;
    done.expect("it is revoked");
    let request = v1::CreateCredentialRequest {
        name: "short".to_owned(),
        role: Role::Admin.into(),
        expires_in: Some(wire_duration(Duration::from_secs(60))),
        ..v1::CreateCredentialRequest::default()
    };
    let mut credentials = CredentialServiceClient::new(channel);
    let short = told(credentials.create_credential(bearing(&actors.admin, request))).await;
    world.clock.advance(Duration::from_secs(60));
    (short.token, revoked.token)
}

#[tokio::test]
async fn without_a_good_token_every_method_says_the_same() {
    let (world, actors) = actors_with(WorldOptions {
        auth: WorldOptions::guarded().auth,
        ..WorldOptions::still()
    })
    .await;
    let (expired, revoked) = bad_tokens(&world, &actors).await;
    let wrong = with_wrong_secret(&actors.admin);
    let kinds = [
        None,
        Some("malformed"),
        Some(wrong.as_str()),
        Some(expired.as_str()),
        Some(revoked.as_str()),
    ];
    // Bad tokens are counted by address, wrong secrets the most strictly.
    for (host, methods) in (2..).zip(dynamic::methods().chunks(4)) {
        let channel = channel_from(&world.address, host).await;
        for method in methods.iter().filter(|it| expected(it).0 != Anybody) {
            let mut texts = Vec::new();
            for token in kinds {
                let refused = ask(&channel, token, method, &empty(method)).await;
                let refusal = refused.expect_err(&name(method));
                let said = assert_refused(&refusal, Code::Unauthenticated, "UNAUTHENTICATED");
                assert!(said.metadata.is_empty(), "{refusal:?}");
                texts.push((refusal.message().to_owned(), refusal.details().to_vec()));
            }
            texts.dedup();
            assert_eq!(texts.len(), 1, "{texts:?}");
        }
    }
}

#[tokio::test]
async fn with_a_good_token_every_method_is_for_the_roles_that_it_is_for() {
    let (world, actors) = super::actors().await;
    let channel = world.channel().await;
    let roles = [
        (Role::Viewer, &actors.viewer.token),
        (Role::Agent, &actors.agent.token),
        (Role::Approver, &actors.approver.token),
        (Role::Admin, &actors.admin),
    ];
    for method in dynamic::methods() {
        let (whom, comes_to, _) = expected(&method);
        for (role, token) in roles {
            let what = format!("{} by {role:?}", name(&method));
            let answer = ask(&channel, Some(token), &method, &empty(&method)).await;
            match (is_for(whom, role), comes_to) {
                (true, Ok_) => drop(answer.expect(&what)),
                (true, Invalid) => {
                    let refusal = answer.expect_err(&what);
                    assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS");
                }
                (true, BadCode) => {
                    let refusal = answer.expect_err(&what);
                    assert_refused(&refusal, Code::Unauthenticated, "SESSION_CODE_INVALID");
                }
                // Whatever else is wrong with the request: it is not looked at.
                (false, _) => {
                    let refusal = answer.expect_err(&what);
                    let said =
                        assert_refused(&refusal, Code::PermissionDenied, "PERMISSION_DENIED");
                    let role = role.as_str_name().trim_start_matches("ROLE_");
                    assert_eq!(said.metadata["role"], role, "{what}");
                    assert_eq!(said.metadata["method"], method.name(), "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_agent_of_another_connection_finds_nothing() {
    let (world, actors) = super::actors().await;
    let channel = world.channel().await;
    let mut transfers = TransferServiceClient::new(channel.clone());
    let request = v1::CreateTransferRequest {
        connection_uuid: actors.own.clone(),
        ..plain()
    };
    let uuid = done(transfers.create_transfer(actors.agent.asks(request)))
        .await
        .uuid;
    for method in dynamic::methods() {
        let (whom, _, expected) = expected(&method);
        if whom == Anybody {
            continue;
        }
        let message = about(&method, &uuid, &actors.own);
        let what = name(&method);
        let answer = ask(&channel, Some(&actors.stranger.token), &method, &message).await;
        match expected {
            NoTransfer => {
                let refusal = answer.expect_err(&what);
                assert_refused(&refusal, Code::NotFound, "TRANSFER_NOT_FOUND");
            }
            NoAgent => {
                let refusal = answer.expect_err(&what);
                assert_refused(&refusal, Code::NotFound, "AGENT_NOT_FOUND");
            }
            NoConnection => {
                let refusal = answer.expect_err(&what);
                assert_refused(&refusal, Code::NotFound, "CONNECTION_NOT_FOUND");
            }
            Denied => {
                let refusal = answer.expect_err(&what);
                assert_refused(&refusal, Code::PermissionDenied, "PERMISSION_DENIED");
            }
            Answered => {
                let answer = answer.expect(&what).expect("a message").to_string();
                let of_its_own = ["ReportProgress", "GetCaller"].contains(&method.name());
                assert!(of_its_own || !answer.contains(&uuid), "{what}: {answer}");
                assert!(!answer.contains(&actors.own), "{what}: {answer}");
            }
        }
    }
    let unharmed = v1::GetTransferRequest {
        uuid,
        ..v1::GetTransferRequest::default()
    };
    let found = done(transfers.get_transfer(actors.agent.asks(unharmed))).await;
    assert_eq!(found.revision, 1);
}

#[tokio::test]
async fn what_is_not_ours_is_open_or_for_whoever_is_known() {
    let (world, actors) = super::actors().await;
    let channel = world.channel().await;
    let known = format!("Bearer {}", actors.viewer.token);
    let ask = |path: &'static str, authorization: Option<&str>| {
        let (channel, authorization) = (channel.clone(), authorization.map(str::to_owned));
        async move {
            let empty = Vec::new();
            dynamic::call_bytes_as(&channel, authorization.as_deref(), path, empty).await
        }
    };
    ask("/grpc.health.v1.Health/Check", None)
        .await
        .expect("health is open");
    let unknown = "/tidegate.v1.TransferService/Unknown";
    let refused = ask(unknown, None).await.expect_err("nobody");
    assert_refused(&refused, Code::Unauthenticated, "UNAUTHENTICATED");
    let refused = ask(unknown, Some(&known)).await.expect_err("no method");
    assert_refused(&refused, Code::Unimplemented, "UNKNOWN_METHOD");
    for reflection in [
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ] {
        let refused = ask(reflection, None).await.expect_err("nobody");
        assert_refused(&refused, Code::Unauthenticated, "UNAUTHENTICATED");
        // An empty question is none of its own, but it was asked.
        let answer = ask(reflection, Some(&known)).await;
        let code = answer.err().map(|status| status.code());
        assert_ne!(code, Some(Code::Unauthenticated));
    }
}
