//! Who may call what: one line for each method. A method that is not here may be called by nobody.

use std::{collections::HashMap, sync::LazyLock};

use crate::config::Reflection;
use tidegate_domain::caller::Role;

/// Whom a method is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rpc) enum Who {
    /// Everybody, without a token.
    Anybody,
    /// Everybody who has a good token.
    Known,
    /// These roles. Admins are never named: they may do everything.
    Only(&'static [Role]),
}

/// What a method does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rpc) enum Effect {
    /// It only looks.
    Reads,
    /// It changes something; who is refused it is worth a place in the log.
    Changes,
    /// It changes something that tokens may depend on.
    ChangesRights,
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rpc) struct Access {
    /// Whom it is for.
    pub(in crate::rpc) who: Who,
    /// What it does.
    pub(in crate::rpc) effect: Effect,
}

impl Access {
    /// Whether somebody in `role` may call it.
    pub(in crate::rpc) fn allows(self, role: Role) -> bool {
        match self.who {
            Who::Anybody | Who::Known => true,
            Who::Only(roles) => role == Role::Admin || roles.contains(&role),
        }
    }
}

use Effect::{Changes, ChangesRights, Reads};

/// Whoever may look.
const READERS: Who = Who::Only(&[Role::Viewer, Role::Agent, Role::Approver]);
/// Whoever may look at what is not a connection's.
const OVERSEERS: Who = Who::Only(&[Role::Viewer, Role::Approver]);
const AGENTS: Who = Who::Only(&[Role::Agent]);
const APPROVERS: Who = Who::Only(&[Role::Approver]);
const ADMINS: Who = Who::Only(&[]);

/// The service and the method, whom it is for, and what it does.
const TABLE: &[(&str, &str, Who, Effect)] = &[
    ("TransferService", "CreateTransfer", AGENTS, Changes),
    ("TransferService", "GetTransfer", READERS, Reads),
    ("TransferService", "ExplainTransfer", READERS, Reads),
    ("TransferService", "ListTransfers", READERS, Reads),
    ("TransferService", "ExportTransfers", READERS, Reads),
    ("TransferService", "CountTransfers", READERS, Reads),
    ("TransferService", "DeleteTransfer", ADMINS, Changes),
    ("TransferService", "StartTransfer", AGENTS, Changes),
    ("TransferService", "ClaimTransfers", AGENTS, Changes),
    ("TransferService", "RegisterAgent", AGENTS, Changes),
    ("TransferService", "GetAgent", READERS, Reads),
    ("TransferService", "ListAgents", READERS, Reads),
    ("TransferService", "ListAttempts", READERS, Reads),
    ("TransferService", "UpdateProgress", AGENTS, Changes),
    ("TransferService", "ReportProgress", AGENTS, Changes),
    ("TransferService", "CompleteTransfer", AGENTS, Changes),
    ("TransferService", "FailTransfer", AGENTS, Changes),
    ("TransferService", "SubmitReceipt", AGENTS, Changes),
    ("TransferService", "RetryTransfer", AGENTS, Changes),
    ("TransferService", "CancelTransfer", AGENTS, Changes),
    ("TransferService", "PauseTransfer", ADMINS, Changes),
    ("TransferService", "ResumeTransfer", ADMINS, Changes),
    ("TransferService", "AcknowledgeStop", AGENTS, Changes),
    ("TransferService", "RequestApproval", AGENTS, Changes),
    ("TransferService", "ApproveTransfer", APPROVERS, Changes),
    ("TransferService", "DenyTransfer", APPROVERS, Changes),
    ("TransferService", "ExpirePendingApprovals", ADMINS, Changes),
    ("TransferService", "ListPendingApprovals", READERS, Reads),
    ("TransferService", "GetConnectionStats", READERS, Reads),
    ("TransferService", "ListTableStats", READERS, Reads),
    ("TransferService", "ListRecentTransfers", READERS, Reads),
    ("TransferService", "ListActiveTransfers", READERS, Reads),
    ("TransferService", "WatchTransfer", READERS, Reads),
    ("TransferService", "WatchTransfers", READERS, Reads),
    ("EventService", "ListEvents", READERS, Reads),
    ("EventService", "WatchEvents", READERS, Reads),
    ("EventService", "VerifyLog", OVERSEERS, Reads),
    ("ConnectionService", "CreateConnection", ADMINS, Changes),
    ("ConnectionService", "GetConnection", READERS, Reads),
    ("ConnectionService", "ListConnections", READERS, Reads),
    (
        "ConnectionService",
        "UpdateConnection",
        ADMINS,
        ChangesRights,
    ),
    ("ConnectionService", "ApproveConnection", ADMINS, Changes),
    ("ConnectionService", "SuspendConnection", ADMINS, Changes),
    ("ConnectionService", "ReactivateConnection", ADMINS, Changes),
    (
        "ConnectionService",
        "RevokeConnection",
        ADMINS,
        ChangesRights,
    ),
    (
        "ConnectionService",
        "RotateConnectionToken",
        ADMINS,
        ChangesRights,
    ),
    (
        "ConnectionService",
        "DeleteConnection",
        ADMINS,
        ChangesRights,
    ),
    ("CredentialService", "GetCaller", Who::Known, Reads),
    ("CredentialService", "CreateCredential", ADMINS, Changes),
    ("CredentialService", "GetCredential", OVERSEERS, Reads),
    ("CredentialService", "ListCredentials", OVERSEERS, Reads),
    (
        "CredentialService",
        "RotateCredential",
        ADMINS,
        ChangesRights,
    ),
    (
        "CredentialService",
        "RevokeCredential",
        ADMINS,
        ChangesRights,
    ),
    ("CredentialService", "CreateSession", ADMINS, Changes),
    ("CredentialService", "RedeemSession", Who::Anybody, Changes),
    ("BulkService", "StartBulkOperation", ADMINS, Changes),
    ("BulkService", "GetBulkOperation", OVERSEERS, Reads),
    ("BulkService", "ListBulkOperations", OVERSEERS, Reads),
    ("BulkService", "ListBulkOutcomes", OVERSEERS, Reads),
    ("BulkService", "StopBulkOperation", ADMINS, Changes),
];

/// Redeems a session code: the one call that takes no token.
pub(in crate::rpc) const REDEEM: &str = "/tidegate.v1.CredentialService/RedeemSession";

/// Approves a transfer.
pub(in crate::rpc) const APPROVE: &str = "/tidegate.v1.TransferService/ApproveTransfer";

static BY_PATH: LazyLock<HashMap<String, Access>> = LazyLock::new(|| {
    let line = |(service, method, who, effect): &(&str, &str, Who, Effect)| {
        let access = Access {
            who: *who,
            effect: *effect,
        };
        (format!("/tidegate.v1.{service}/{method}"), access)
    };
    TABLE.iter().map(line).collect()
});

/// The line of the method at `path`. What is unknown is for whoever has a good token, and does nothing.
pub(in crate::rpc) fn access(path: &str) -> Access {
    const HEALTH: &str = "/grpc.health.v1.Health/";
    if let Some(access) = BY_PATH.get(path) {
        return *access;
    }
    let who = if path.starts_with(HEALTH) {
        Who::Anybody
    } else {
        Who::Known
    };
    Access { who, effect: Reads }
}

/// The same, where `reflection` says who may ask for the contract.
pub(super) fn access_with(path: &str, reflection: Reflection) -> Access {
    const SERVICES: [&str; 2] = [
        "/grpc.reflection.v1.ServerReflection/",
        "/grpc.reflection.v1alpha.ServerReflection/",
    ];
    let access = access(path);
    let is_reflection = SERVICES.iter().any(|service| path.starts_with(service));
    if is_reflection && reflection == Reflection::Open {
        let who = Who::Anybody;
        return Access { who, ..access };
    }
    access
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// The path of every method of the contract.
    fn contract() -> BTreeSet<String> {
        let files = FileDescriptorSet::decode(tidegate_proto::FILE_DESCRIPTOR_SET);
        let files = files.expect("the descriptors decode").file;
        let ours = files.iter().filter(|file| file.package() == "tidegate.v1");
        let services = ours.flat_map(|file| &file.service);
        let paths = services.flat_map(|service| {
            let path = |method: &prost_types::MethodDescriptorProto| {
                format!("/tidegate.v1.{}/{}", service.name(), method.name())
            };
            service.method.iter().map(path)
        });
        paths.collect()
    }

    #[test]
    fn every_method_has_its_line_and_every_line_its_method() {
        let lines: BTreeSet<String> = BY_PATH.keys().cloned().collect();
        assert_eq!(lines, contract());
        assert_eq!(lines.len(), TABLE.len(), "no method has two lines");
        assert!(lines.len() > 40, "the contract was read");
    }

    #[test]
    fn what_only_looks_is_called_so() {
        for (_, method, who, effect) in TABLE {
            let looks = [
                "Get", "List", "Count", "Export", "Watch", "Explain", "Verify",
            ];
            let looks = looks.iter().any(|verb| method.starts_with(verb));
            assert_eq!(looks, *effect == Reads, "{method}");
            if looks {
                let is_for = |role| {
                    Access {
                        who: *who,
                        effect: *effect,
                    }
                    .allows(role)
                };
                assert!(is_for(Role::Viewer) && is_for(Role::Approver), "{method}");
            }
        }
    }

    #[test]
    fn admins_may_do_everything_and_viewers_change_nothing() {
        for (_, method, who, effect) in TABLE {
            let access = Access {
                who: *who,
                effect: *effect,
            };
            assert!(access.allows(Role::Admin), "{method}");
            if *effect != Reads && *who != Who::Anybody {
                assert!(!access.allows(Role::Viewer), "{method}");
            }
        }
    }

    #[test]
    fn one_method_takes_no_token() {
        let open: Vec<_> = BY_PATH
            .iter()
            .filter(|(_, access)| access.who == Who::Anybody)
            .map(|(path, _)| path.as_str())
            .collect();
        assert_eq!(open, [REDEEM]);
        for reflection in [Reflection::Open, Reflection::Authenticated, Reflection::Off] {
            let who = |path: &str| access_with(path, reflection).who;
            assert_eq!(who("/grpc.health.v1.Health/Check"), Who::Anybody);
            for path in [
                "/grpc.health.v1.Healthy/Check",
                "/grpc.reflection.v1.ServerReflections/ServerReflectionInfo",
                "/tidegate.v1.TransferService/GetTransfer",
                "/tidegate.v1.TransferService/Unknown",
                "",
            ] {
                assert_ne!(who(path), Who::Anybody, "{path}");
            }
            for version in ["v1", "v1alpha"] {
                let path =
                    format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
                let is_open = who(&path) == Who::Anybody;
                assert_eq!(is_open, reflection == Reflection::Open, "{path}");
            }
        }
    }
}
