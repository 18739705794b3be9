//! Why a command was not carried out, in words and in names that programs can rely on. One entry a case, for all of them.

use std::net::IpAddr;

use thiserror::Error;
use uuid::Uuid;

use super::{
    connection::{ConnectionAction, ConnectionStatus},
    outcome::Phase,
    policy::AllowedHours,
    progress::{Imbalance, Regression},
    rule::Action,
    status::{Direction, TransferStatus, named},
    stop::StopCause,
    time::Timestamp,
    transfer::Lease,
    validate::Violation,
};
use crate::id::{AgentId, BulkOperationId, ConnectionId, CredentialId, TransferId};

mod reasons;

pub use reasons::{Metadata, MetadataValue, Named};

named! {
    /// What kind of no it is: what a caller can do about it. The names are those of gRPC.
    ErrorKind {
        /// The request is wrong, whatever the ledger holds.
        InvalidArgument = "INVALID_ARGUMENT",
        /// What it names is not there.
        NotFound = "NOT_FOUND",
        /// What it would make is there.
        AlreadyExists = "ALREADY_EXISTS",
        /// The ledger is not in the state for it.
        FailedPrecondition = "FAILED_PRECONDITION",
        /// Somebody else was faster.
        Aborted = "ABORTED",
        /// Nobody knows who asks.
        Unauthenticated = "UNAUTHENTICATED",
        /// Whoever asks may not.
        PermissionDenied = "PERMISSION_DENIED",
        /// A limit is reached.
        ResourceExhausted = "RESOURCE_EXHAUSTED",
        /// A position beyond the ends of the log.
        OutOfRange = "OUT_OF_RANGE",
        /// Something that was on record is not any more.
        DataLoss = "DATA_LOSS",
        /// Not now; the same call may work later.
        Unavailable = "UNAVAILABLE",
        /// A defect.
        Internal = "INTERNAL",
    }
}

/// What a refusal is about, where its answer has a detail for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A transfer.
    Transfer(TransferId),
    /// A connection.
    Connection(ConnectionId),
    /// A credential.
    Credential(CredentialId),
    /// A bulk operation.
    BulkOperation(BulkOperationId),
    /// An agent.
    Agent(AgentId),
}

crate::reasons! {
    /// A well-explained no. It changed nothing, and asking again without a change elsewhere gives the same answer.
    #[derive(Clone, Debug, PartialEq, Eq, Error)]
    pub enum Refusal, subject: Subject {
        /// All fields outside their limits.
        #[error("invalid request: {}", described(.fields))]
        Invalid { fields: Vec<Violation> } => InvalidArgument "INVALID_FIELDS";

        #[error("request_id {request_id} was used for another request")]
        RequestIdReused { request_id: String } => AlreadyExists "REQUEST_ID_REUSED";

        #[error("{uuid} is at revision {current}, not {given}: look again")]
        StaleRevision { uuid: Uuid, given: i64, current: i64 } => Aborted "STALE_REVISION";

        // Transfers.

        #[error("there is no transfer {uuid}")]
        TransferNotFound { uuid: TransferId } => NotFound "TRANSFER_NOT_FOUND", Subject::Transfer(*uuid);

        /// Where somebody else was faster to start it, their lease is told.
        #[error("transfer {uuid} is {status}{}; {action} is possible from {}", run_by(.lease), .action.allowed_from())]
        IllegalTransition { uuid: TransferId, status: TransferStatus, action: Action, lease: Option<Lease> }
            => FailedPrecondition "ILLEGAL_TRANSITION", Subject::Transfer(*uuid);

        /// The caller does not hold the lease, or not any more.
        #[error("{}", lost(.uuid, .given, .lease))]
        LeaseLost { uuid: TransferId, given: Option<i64>, lease: Option<Lease> }
            => Aborted "LEASE_LOST", Subject::Transfer(*uuid);

        #[error("transfer {uuid} is paused{}; resume it first", because(.cause, .reason))]
        TransferPaused { uuid: TransferId, cause: StopCause, reason: String }
            => FailedPrecondition "TRANSFER_PAUSED", Subject::Transfer(*uuid);

        /// Nothing else can be done about its run until then.
        #[error("transfer {uuid} is about to be cancelled{}", by_then(.cancel_expires_at))]
        CancelRequested { uuid: TransferId, cancel_expires_at: Option<Timestamp> }
            => FailedPrecondition "CANCEL_REQUESTED", Subject::Transfer(*uuid);

        #[error("nobody has asked transfer {uuid} to stop, or the request was taken back")]
        StopNotRequested { uuid: TransferId }
            => FailedPrecondition "STOP_NOT_REQUESTED", Subject::Transfer(*uuid);

        #[error("transfer {uuid} may start only after it was approved; request approval first")]
        ApprovalRequired { uuid: TransferId, status: TransferStatus, action: Action }
            => FailedPrecondition "APPROVAL_REQUIRED", Subject::Transfer(*uuid);

        /// The decision came too late. A row of long ago may not know its deadline.
        #[error("the time to decide on transfer {uuid} {}", ended(.approval_expires_at))]
        ApprovalExpired {
            uuid: TransferId,
            status: TransferStatus,
            action: Action,
            approval_expires_at: Option<Timestamp>,
        } => FailedPrecondition "APPROVAL_EXPIRED", Subject::Transfer(*uuid);

        /// Nobody started it in time.
        #[error("the time to start transfer {uuid} {}", ended(.start_expires_at))]
        StartExpired {
            uuid: TransferId,
            status: TransferStatus,
            action: Action,
            start_expires_at: Option<Timestamp>,
        } => FailedPrecondition "START_EXPIRED", Subject::Transfer(*uuid);

        #[error("transfer {uuid} may be started at {not_before} or later")]
        TooEarly { uuid: TransferId, not_before: Timestamp }
            => FailedPrecondition "TOO_EARLY", Subject::Transfer(*uuid);

        #[error(
            "{} of transfer {uuid} stands at {} and cannot go down to {}",
            .regression.field, .regression.stored, .regression.reported
        )]
        ProgressRegressed { uuid: TransferId, regression: Regression }
            => FailedPrecondition "PROGRESS_REGRESSED", Subject::Transfer(*uuid);

        /// The totals cannot be true.
        #[error("the totals of transfer {uuid} contradict each other: {imbalance}")]
        TotalsInconsistent { uuid: TransferId, imbalance: Imbalance }
            => InvalidArgument "TOTALS_INCONSISTENT", Subject::Transfer(*uuid);

        #[error("transfer {uuid} is in the phase {stored} and cannot go back to {reported}")]
        PhaseRegressed { uuid: TransferId, stored: Phase, reported: Phase }
            => FailedPrecondition "PHASE_REGRESSED", Subject::Transfer(*uuid);

        /// It is no second try of the transfer that it names.
        #[error("transfer {uuid} cannot be tried again like this: its {field} is {:?}", .value.value)]
        RetryNotAllowed { uuid: TransferId, field: &'static str, value: Named<String> }
            => FailedPrecondition "RETRY_NOT_ALLOWED", Subject::Transfer(*uuid);

        #[error("transfer {uuid} is the {direction} side of movement {correlation_uuid} until it has ended")]
        CorrelationInUse { uuid: TransferId, correlation_uuid: Uuid, direction: Direction }
            => AlreadyExists "CORRELATION_IN_USE", Subject::Transfer(*uuid);

        // Connections, and what their policies do not allow.

        #[error("there is no connection {uuid}")]
        ConnectionNotFound { uuid: ConnectionId } => NotFound "CONNECTION_NOT_FOUND", Subject::Connection(*uuid);

        #[error("connection {connection_uuid} is {status}; {action} is possible from {}", .action.allowed_from())]
        IllegalConnectionTransition { connection_uuid: ConnectionId, status: ConnectionStatus, action: ConnectionAction }
            => FailedPrecondition "ILLEGAL_TRANSITION", Subject::Connection(*connection_uuid);

        #[error("connection {connection_uuid} has transfers that have not ended; cancel them first")]
        ConnectionInUse { connection_uuid: ConnectionId }
            => FailedPrecondition "CONNECTION_IN_USE", Subject::Connection(*connection_uuid);

        #[error(
            "connection {connection_uuid} leads to the same site in the same direction; ask for a duplicate if it is meant"
        )]
        DuplicateConnection { connection_uuid: ConnectionId }
            => AlreadyExists "DUPLICATE_CONNECTION", Subject::Connection(*connection_uuid);

        #[error("connection {connection_uuid} is {status}, not ACTIVE")]
        ConnectionNotActive { connection_uuid: ConnectionId, status: ConnectionStatus }
            => FailedPrecondition "CONNECTION_NOT_ACTIVE", Subject::Connection(*connection_uuid);

        /// Its end has passed, which the policy may not hold any more.
        #[error("connection {connection_uuid} {}", ended(.expires_at))]
        ConnectionExpired { connection_uuid: ConnectionId, expires_at: Option<Timestamp> }
            => FailedPrecondition "CONNECTION_EXPIRED", Subject::Connection(*connection_uuid);

        #[error("connection {connection_uuid} does not allow the table {table_name:?}")]
        TableNotAllowed { connection_uuid: ConnectionId, table_name: String }
            => FailedPrecondition "TABLE_NOT_ALLOWED", Subject::Connection(*connection_uuid);

        #[error("connection {connection_uuid} {}", not_from(.address))]
        IpNotAllowed { connection_uuid: ConnectionId, address: Option<IpAddr> }
            => PermissionDenied "IP_NOT_ALLOWED", Subject::Connection(*connection_uuid);

        #[error("connection {connection_uuid} is open {allowed_hours} UTC, and it is {now}")]
        OutsideAllowedHours { connection_uuid: ConnectionId, allowed_hours: AllowedHours, now: Timestamp }
            => FailedPrecondition "OUTSIDE_ALLOWED_HOURS", Subject::Connection(*connection_uuid);

        #[error("connection {connection_uuid} has used up its {max_transfers} transfers")]
        TransferLimitReached { connection_uuid: ConnectionId, max_transfers: i64 }
            => FailedPrecondition "TRANSFER_LIMIT_REACHED", Subject::Connection(*connection_uuid);

        #[error(
            "connection {connection_uuid} has {remaining} records left of {} {}",
            .limit.name, .limit.value
        )]
        RecordLimitReached { connection_uuid: ConnectionId, limit: Named<i64>, remaining: i64 }
            => FailedPrecondition "RECORD_LIMIT_REACHED", Subject::Connection(*connection_uuid);

        #[error(
            "connection {connection_uuid} runs as many transfers as {} {} allows; try again when one has ended",
            .limit.name, .limit.value
        )]
        RunLimitReached { connection_uuid: ConnectionId, limit: Named<i64> }
            => FailedPrecondition "RUN_LIMIT_REACHED", Subject::Connection(*connection_uuid);

        // Callers and credentials.

        /// Nothing says what is wrong with the token.
        #[error("the call needs a valid token in its metadata, as authorization: Bearer TOKEN")]
        Unauthenticated => Unauthenticated "UNAUTHENTICATED";

        #[error("the role {role} may not call {method}")]
        PermissionDenied { role: &'static str, method: String } => PermissionDenied "PERMISSION_DENIED";

        #[error(
            "transfer {uuid} must be approved by somebody else than who initiated it, and with another credential \
             than declared it"
        )]
        SelfApproval { uuid: TransferId } => PermissionDenied "SELF_APPROVAL";

        #[error("{field} names {named}, but this credential acts for nobody but itself")]
        ActorMismatch { field: &'static str, named: Uuid } => PermissionDenied "ACTOR_MISMATCH";

        #[error("there is no credential {uuid}")]
        CredentialNotFound { uuid: CredentialId } => NotFound "CREDENTIAL_NOT_FOUND", Subject::Credential(*uuid);

        #[error("there is no agent {uuid}")]
        AgentNotFound { uuid: AgentId } => NotFound "AGENT_NOT_FOUND", Subject::Agent(*uuid);

        #[error("the connection has {limit} agents; one that is silent is removed after 7 days")]
        TooManyAgents { limit: i64 } => ResourceExhausted "TOO_MANY_AGENTS";

        #[error("credential {uuid} was revoked")]
        CredentialRevoked { uuid: CredentialId }
            => FailedPrecondition "CREDENTIAL_REVOKED", Subject::Credential(*uuid);

        /// Nothing says which.
        #[error("the session code is wrong, was redeemed already or has expired")]
        SessionCodeInvalid => Unauthenticated "SESSION_CODE_INVALID";

        // Bulk operations.

        #[error("there is no bulk operation {uuid}")]
        BulkOperationNotFound { uuid: BulkOperationId }
            => NotFound "BULK_OPERATION_NOT_FOUND", Subject::BulkOperation(*uuid);

        #[error("{limit} bulk operations run already; start another one when one has ended")]
        TooManyBulkOperations { limit: i64 } => FailedPrecondition "TOO_MANY_BULK_OPERATIONS";
    }
}

fn described(violations: &[Violation]) -> String {
    let each: Vec<_> = violations.iter().map(ToString::to_string).collect();
    each.join("; ")
}

fn ended(at: &Option<Timestamp>) -> String {
    at.map_or_else(|| "has ended".to_owned(), |at| format!("ended at {at}"))
}

fn because(cause: &StopCause, reason: &str) -> String {
    let cause = match cause {
        StopCause::Request => "",
        StopCause::ConnectionSuspended => " with its connection",
        StopCause::ConnectionRevoked => " for its connection was revoked",
        StopCause::FinishBy => " for its time is over",
    };
    match reason {
        "" => cause.to_owned(),
        reason => format!("{cause} ({reason})"),
    }
}

fn by_then(at: &Option<Timestamp>) -> String {
    at.map_or_else(String::new, |at| format!(", at {at} at the latest"))
}

fn run_by(lease: &Option<Lease>) -> String {
    lease
        .as_ref()
        .map_or_else(String::new, |lease| format!(", run by {lease}"))
}

fn lost(uuid: &TransferId, given: &Option<i64>, lease: &Option<Lease>) -> String {
    let holder = lease.as_ref().map_or_else(
        || "waits for its next start".to_owned(),
        |lease| format!("is run by {lease}"),
    );
    match given {
        Some(epoch) => {
            format!("the caller does not hold lease {epoch} any more: transfer {uuid} {holder}")
        }
        None => format!(
            "transfer {uuid} {holder}: only that caller may report, and names the lease_epoch"
        ),
    }
}

fn not_from(address: &Option<IpAddr>) -> String {
    address.map_or_else(
        || "allows known addresses only".to_owned(),
        |address| format!("does not allow the address {address}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chain::Head, fixtures::id, log::Divergence};

    fn violation(field: &str, description: &str) -> Violation {
        Violation {
            field: field.to_owned(),
            description: description.to_owned(),
        }
    }

    #[test]
    fn every_bad_field_is_told_with_what_is_wrong_with_it() {
        let fields = vec![
            violation("uuid", "is required"),
            violation("skip", "must not be negative"),
        ];
        let refusal = Refusal::Invalid { fields };
        assert_eq!(
            refusal.to_string(),
            "invalid request: uuid is required; skip must not be negative"
        );
        assert_eq!(refusal.metadata(), [("fields", "uuid, skip".to_owned())]);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let (uuid, connection_uuid) = (id::<TransferId>(0), id::<ConnectionId>(0));
        let late = |approval_expires_at| Refusal::ApprovalExpired {
            uuid,
            status: TransferStatus::Expired,
            action: Action::Approve,
            approval_expires_at,
        };
        let from = |address: Option<&str>| Refusal::IpNotAllowed {
            connection_uuid,
            address: address.and_then(|text| text.parse().ok()),
        };
        let end = "1970-01-01T00:00:00.000007Z";
        for (refusal, text, name, value) in [
            (
                late(Some(Timestamp::from_micros(7))),
                format!("the time to decide on transfer {uuid} ended at {end}"),
                "approval_expires_at",
                Some(end),
            ),
            (
                late(None),
                format!("the time to decide on transfer {uuid} has ended"),
                "approval_expires_at",
                None,
            ),
            (
                from(Some("192.0.2.1")),
                format!("connection {uuid} does not allow the address 192.0.2.1"),
                "address",
                Some("192.0.2.1"),
            ),
            (
                from(None),
                format!("connection {uuid} allows known addresses only"),
                "address",
                None,
            ),
        ] {
            assert_eq!(refusal.to_string(), text);
            let metadata = refusal.metadata();
            let found = metadata.iter().find(|(each, _)| *each == name);
            assert_eq!(found.map(|(_, it)| it.as_str()), value, "{metadata:?}");
        }
    }

    #[test]
    fn a_total_that_went_down_is_told_with_both_values() {
        let refusal = Refusal::ProgressRegressed {
            uuid: id(1),
            regression: Regression {
                field: "records_failed",
                stored: 5,
                reported: 4,
            },
        };
        let metadata = refusal.metadata();
        for pair in [
            ("field", "records_failed"),
            ("stored", "5"),
            ("reported", "4"),
        ] {
            assert!(
                metadata.contains(&(pair.0, pair.1.to_owned())),
                "{metadata:?}"
            );
        }
    }

    #[test]
    fn a_divergence_is_told_with_both_heads() {
        let head = |sequence, byte| Head {
            sequence,
            hash: [byte; 32],
        };
        let divergence = Divergence {
            known: head(12, 0xab),
            found: head(11, 1),
        };
        let mut metadata = Metadata::new();
        divergence.add_to("divergence", &mut metadata);
        let expected = [
            ("known_sequence", "12".to_owned()),
            ("known_hash", "ab".repeat(32)),
            ("found_sequence", "11".to_owned()),
            ("found_hash", "01".repeat(32)),
        ];
        assert_eq!(metadata, expected);
    }
}
