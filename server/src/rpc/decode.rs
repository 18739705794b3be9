//! Requests into commands and queries, with every field checked.

use std::{mem, time::Duration};

use prost::Message;
use sha2::{Digest as _, Sha256};
use tidegate_proto::v1;
use tonic::Request;
use uuid::Uuid;

use super::{caller::Caller, metadata, wire_enum::WireEnum};
use tidegate_domain::{
    caller,
    command::{Command, Submission, TransferCommand, Verb},
    event::IdempotencyKey,
    outcome::{Failure, FailureCode, RecordProblem, RecordProblems},
    progress::Report,
    query::SortOrder,
    refusal::Refusal,
    status::Direction,
    stop::{GRACE, StopCause, StopKind, StopOrder},
    time::Timestamp,
    transfer::NewTransfer,
    validate::{
        Check, ERROR_MESSAGE_MAX, EXPIRES_IN, EXPIRES_IN_DEFAULT, HEARTBEAT_TIMEOUT, NAME_MAX,
        REASON_MAX, SESSION_CODE_MAX,
    },
};

mod agent;
mod bulk;
mod claim;
mod connection;
mod credential;
mod filter;
mod receipt;

pub(super) use agent::agent_filter;
pub(super) use connection::connection_filter;
pub(super) use credential::{
    TokenDigest, credential_filter, new_code, redemption, session_submission, token_digest,
};
pub(super) use filter::{span, transfer_filter};

use filter::statuses;

/// A request that asks for a change.
pub(super) trait Mutation: Message + Default {
    /// What it asks for.
    type Command: Command;
    /// What was made for it beside its message, such as a token.
    type Made;
    /// The method's name, part of the digest so that one id cannot serve two methods.
    const METHOD: &'static str;
    /// Whether the ledger remembers its request id.
    const REMEMBERED: bool = true;

    fn request_id(&mut self) -> &mut String;
    fn command(self, check: &mut Check, caller: &Caller, made: Self::Made) -> Self::Command;
}

/// What a mutating call asks of the ledger.
pub(super) fn submission<M: Mutation<Made = ()>>(
    request: Request<M>,
) -> Result<Submission<M::Command>, Refusal> {
    submission_with(request, ())
}

/// What a mutating call asks of the ledger, with what was made for it.
pub(super) fn submission_with<M: Mutation>(
    request: Request<M>,
    made: M::Made,
) -> Result<Submission<M::Command>, Refusal> {
    let caller = Caller::of(&request);
    let mut message = request.into_inner();
    let mut check = Check::default();
    let request_id = check.request_id(&mem::take(message.request_id()));
    let request = request_id
        .filter(|_| M::REMEMBERED)
        .map(|request_id| IdempotencyKey {
            request_id,
            digest: digest(M::METHOD, &message),
        });
    let command = message.command(&mut check, &caller, made);
    check.finish(Submission {
        command,
        caller: caller.who,
        request,
    })
}

/// Equal messages encode equally: maps are ordered, and the id was taken out.
fn digest(method: &str, message: &impl Message) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(method.as_bytes());
    hash.update([0]);
    hash.update(message.encode_to_vec());
    hash.finalize().to_vec()
}

/// Declares a verb's request: which one, and what its fields make of the verb.
macro_rules! verb {
    ($message:ident, $method:literal, |$self:ident, $check:ident| $verb:expr) => {
        verb!($message, $method, |$self, $check, _caller| $verb);
    };
    ($message:ident, $method:literal, |$self:ident, $check:ident, $caller:ident| $verb:expr) => {
        impl Mutation for v1::$message {
            type Command = TransferCommand;
            type Made = ();
            const METHOD: &'static str = $method;
            fn request_id(&mut self) -> &mut String {
                &mut self.request_id
            }
            fn command($self, $check: &mut Check, $caller: &Caller, (): ()) -> TransferCommand {
                let uuid = $check.uuid("uuid", &$self.uuid);
                TransferCommand::Change { uuid, verb: $verb }
            }
        }
    };
}

verb!(DeleteTransferRequest, "DeleteTransfer", |self, check| {
    Verb::Delete
});
verb!(StartTransferRequest, "StartTransfer", |self, check| {
    Verb::Start {
        heartbeat_timeout: self
            .heartbeat_timeout
            .map(|timeout| duration(check, "heartbeat_timeout", timeout, HEARTBEAT_TIMEOUT)),
        agent_instance: check.name("agent_instance", &self.agent_instance, NAME_MAX),
        owner_uuid: None,
    }
});
verb!(
    CompleteTransferRequest,
    "CompleteTransfer",
    |self, check| Verb::Complete {
        lease_epoch: lease_epoch(check, self.lease_epoch),
        report: report(check, self.progress, self.record_problems),
    }
);
verb!(FailTransferRequest, "FailTransfer", |self, check| {
    check.required("error_message", &self.error_message);
    Verb::Fail {
        lease_epoch: lease_epoch(check, self.lease_epoch),
        error_message: check.paragraph("error_message", &self.error_message, ERROR_MESSAGE_MAX),
        failure: Failure {
            code: failure_code(check, "code", self.code),
            retryable: self.retryable,
        },
        report: report(check, self.progress, self.record_problems),
    }
});
verb!(CancelTransferRequest, "CancelTransfer", |self, check| {
    stop(check, StopKind::Cancel, &self.reason, self.grace)
});
verb!(PauseTransferRequest, "PauseTransfer", |self, check| {
    stop(check, StopKind::Pause, &self.reason, self.grace)
});
verb!(ResumeTransferRequest, "ResumeTransfer", |self, check| {
    Verb::Resume { only: None }
});
verb!(AcknowledgeStopRequest, "AcknowledgeStop", |self, check| {
    Verb::AcknowledgeStop {
        lease_epoch: lease_epoch(check, self.lease_epoch),
        report: report(check, self.progress, self.record_problems),
        checkpoint: check.checkpoint(self.checkpoint),
    }
});
verb!(RequestApprovalRequest, "RequestApproval", |self, check| {
    Verb::RequestApproval {
        expires_in: self.expires_in.map_or(EXPIRES_IN_DEFAULT, |time| {
            duration(check, "expires_in", time, EXPIRES_IN)
        }),
    }
});
verb!(
    ApproveTransferRequest,
    "ApproveTransfer",
    |self, check, caller| {
        Verb::Approve {
            admin_user_uuid: decider(check, &self.admin_user_uuid, caller),
            comment: check.remark("comment", &self.comment, REASON_MAX),
            revision: revision(check, self.revision),
        }
    }
);
verb!(
    DenyTransferRequest,
    "DenyTransfer",
    |self, check, caller| {
        Verb::Deny {
            admin_user_uuid: decider(check, &self.admin_user_uuid, caller),
            reason: check.remark("reason", &self.reason, REASON_MAX),
            revision: revision(check, self.revision),
        }
    }
);

impl Mutation for v1::UpdateProgressRequest {
    type Command = TransferCommand;
    type Made = ();
    const METHOD: &'static str = "UpdateProgress";
    const REMEMBERED: bool = false;

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn command(self, check: &mut Check, _: &Caller, (): ()) -> TransferCommand {
        let uuid = check.uuid("uuid", &self.uuid);
        let verb = Verb::UpdateProgress {
            report: report(check, self.progress, self.record_problems),
            checkpoint: check.checkpoint(self.checkpoint),
            lease_epoch: lease_epoch(check, self.lease_epoch),
        };
        TransferCommand::Change { uuid, verb }
    }
}

impl Mutation for v1::CreateTransferRequest {
    type Command = TransferCommand;
    type Made = ();
    const METHOD: &'static str = "CreateTransfer";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn command(self, check: &mut Check, caller: &Caller, (): ()) -> TransferCommand {
        let direction = value(check, "direction", self.direction);
        if direction.is_none() && self.direction == 0 {
            check.add("direction", "is required");
        }
        check.required("table_name", &self.table_name);
        let requester_ip = check.ip("requester_ip", &self.requester_ip);
        let agent = check.name("requester_user_agent", &self.requester_user_agent, NAME_MAX);
        TransferCommand::Create(Box::new(NewTransfer {
            direction: direction.unwrap_or(Direction::Send),
            table_name: check.table("table_name", &self.table_name),
            connection_uuid: check
                .optional_uuid("connection_uuid", &self.connection_uuid)
                .or(caller.who.own_connection()),
            session_code: check.name("session_code", &self.session_code, SESSION_CODE_MAX),
            remote_site_url: check.site_url("remote_site_url", &self.remote_site_url),
            records_requested: check.count("records_requested", self.records_requested),
            conflict_strategy: value(check, "conflict_strategy", self.conflict_strategy),
            requires_approval: self.requires_approval,
            requester_ip,
            requester_user_agent: or(agent, &caller.user_agent),
            initiated_by_uuid: check.optional_uuid("initiated_by_uuid", &self.initiated_by_uuid),
            metadata: metadata::from_wire(check, self.metadata),
            correlation_uuid: check.optional_uuid("correlation_uuid", &self.correlation_uuid),
            plan_uuid: check.optional_uuid("plan_uuid", &self.plan_uuid),
            retry_of_uuid: check.optional_uuid("retry_of_uuid", &self.retry_of_uuid),
            max_attempts: (self.max_attempts != 0)
                .then(|| check.attempts("max_attempts", self.max_attempts)),
            not_before: timestamp(check, "not_before", self.not_before),
            start_by: timestamp(check, "start_by", self.start_by),
            finish_by: timestamp(check, "finish_by", self.finish_by),
            priority: check.priority("priority", self.priority),
        }))
    }
}

impl Mutation for v1::RetryTransferRequest {
    type Command = TransferCommand;
    type Made = ();
    const METHOD: &'static str = "RetryTransfer";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn command(self, check: &mut Check, _: &Caller, (): ()) -> TransferCommand {
        TransferCommand::Retry {
            uuid: check.uuid("uuid", &self.uuid),
            due: false,
        }
    }
}

/// In whose name overdue approvals are to expire. The request's id is checked, and not needed: a repetition finds less.
pub(super) fn expiry(
    request: Request<v1::ExpirePendingApprovalsRequest>,
) -> Result<caller::Caller, Refusal> {
    let caller = Caller::of(&request).who;
    let mut check = Check::default();
    check.request_id(&request.get_ref().request_id);
    check.finish(caller)
}

/// The revision that a change is meant for.
fn revision(check: &mut Check, wire: Option<i64>) -> Option<i64> {
    wire.map(|revision| check.count("revision", revision))
}

/// The lease that a report names; `None` where it names none.
pub(super) fn lease_epoch(check: &mut Check, wire: i64) -> Option<i64> {
    let epoch = check.count("lease_epoch", wire);
    (epoch != 0).then_some(epoch)
}

fn stop(
    check: &mut Check,
    kind: StopKind,
    reason: &str,
    grace: Option<prost_types::Duration>,
) -> Verb {
    Verb::Stop(StopOrder {
        kind,
        cause: StopCause::Request,
        reason: check.remark("reason", reason, REASON_MAX),
        grace: grace.map(|grace| duration(check, "grace", grace, GRACE)),
        by: None,
    })
}

/// Who decides: whom the request names, or the caller where a token says who that is.
fn decider(check: &mut Check, named: &str, caller: &Caller) -> Uuid {
    const FIELD: &str = "admin_user_uuid";
    match caller.who.credential() {
        Some(own) if named.is_empty() => own.into(),
        None if named.is_empty() => {
            check.add(FIELD, "is required where callers show no token");
            Uuid::nil()
        }
        _ => check.uuid(FIELD, named),
    }
}

/// What a report says; an absent message says nothing.
pub(super) fn report(
    check: &mut Check,
    wire: Option<v1::Progress>,
    problems: Vec<v1::RecordProblems>,
) -> Report {
    let wire = wire.unwrap_or_default();
    let problems = problems.into_iter().enumerate().map(|(place, each)| {
        let field = format!("record_problems[{place}].code");
        let code = failure_code(check, &field, each.code);
        if code.is_none() && each.code == 0 {
            check.add(&field, "is required");
        }
        let samples = each.samples.into_iter().map(|sample| RecordProblem {
            key: sample.key,
            reason: sample.reason,
        });
        RecordProblems {
            code: code.unwrap_or(FailureCode::Internal),
            count: each.count,
            samples: samples.collect(),
        }
    });
    let problems = problems.collect();
    let report = Report {
        records_transferred: wire.records_transferred,
        records_created: wire.records_created,
        records_updated: wire.records_updated,
        records_skipped: wire.records_skipped,
        records_failed: wire.records_failed,
        bytes_transferred: wire.bytes_transferred,
        phase: value(check, "progress.phase", wire.phase),
        problems,
    };
    check.report(report)
}

/// What an agent may give as a cause.
fn failure_code(check: &mut Check, field: &str, wire: i32) -> Option<FailureCode> {
    let code = value(check, field, wire);
    if code == Some(FailureCode::HeartbeatLost) {
        check.add(field, "is for the server alone to say");
    }
    code
}

pub(super) fn sort_order(check: &mut Check, number: i32) -> SortOrder {
    value(check, "order", number).unwrap_or_default()
}

/// Whether the connection is to be brought along.
pub(super) fn preload(check: &mut Check, values: &[i32]) -> bool {
    for value in values {
        if v1::Preload::try_from(*value) != Ok(v1::Preload::Connection) {
            unknown(check, "preload", *value);
            break;
        }
    }
    !values.is_empty()
}

/// A time, cut to the microseconds that are kept.
pub(super) fn timestamp(
    check: &mut Check,
    field: &str,
    wire: Option<prost_types::Timestamp>,
) -> Option<Timestamp> {
    let wire = wire?;
    let micros = wire
        .seconds
        .checked_mul(1_000_000)
        .filter(|_| (0..1_000_000_000).contains(&wire.nanos))
        .and_then(|micros| micros.checked_add(i64::from(wire.nanos / 1_000)))
        .map(Timestamp::from_micros)
        .filter(|time| (Timestamp::MIN..=Timestamp::MAX).contains(time));
    if micros.is_none() {
        check.add(field, "must be a time from the year 1 to the year 9999");
    }
    micros
}

/// The value of an enum; none for UNSPECIFIED.
pub(super) fn value<E: WireEnum>(check: &mut Check, field: &str, number: i32) -> Option<E> {
    E::from_wire(number).unwrap_or_else(|_| {
        unknown(check, field, number);
        None
    })
}

fn duration(
    check: &mut Check,
    field: &str,
    wire: prost_types::Duration,
    limits: (Duration, Duration),
) -> Duration {
    // prost's conversion would overflow on the lowest number.
    if wire.seconds < 0 || wire.nanos < 0 {
        check.add(field, "must not be negative");
        return limits.0;
    }
    let given = Duration::try_from(wire).unwrap_or_default();
    check.duration(field, given, limits);
    // The ledger's times are microseconds; an answer must not promise more than is kept.
    Duration::from_micros(u64::try_from(given.as_micros()).unwrap_or(u64::MAX))
}

fn unknown(check: &mut Check, field: &str, number: i32) {
    check.add(field, format!("has no value {number}"));
}

fn or(given: String, default: &str) -> String {
    if given.is_empty() {
        default.to_owned()
    } else {
        given
    }
}
