"""What every client is put through: each method, lists to their ends, watches, deadlines, and each refusal.

A value `$name` stands for what an earlier step kept, or for one of the server's: `$east`, a connection. `by` says whose
token the call shows: admin, approver, viewer, agent (of east), or what an earlier step kept.
"""

import signal
from contextlib import contextmanager

from google.protobuf.json_format import ParseDict

from scenario import Case, In, OtherHours, Step, call, case, refused
from support import Server
from tidegate.v1 import transfer_service_pb2 as messages
from tidegate.v1.transfer_service_pb2_grpc import TransferServiceStub

UNKNOWN = "00000000-0000-4000-8000-000000000009"
HEALTH = "grpc.health.v1.Health"
REFLECTION = "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
# A credential may have so many watches open.
STREAMS = 64

# Reasons that no call from outside brings about by itself, and where they are tested.
NOT_FROM_OUTSIDE = {
    "QUEUE_FULL": "takes more load than one client makes; server/src/ledger",
    "VERIFICATION_BUSY": "takes a log that is verified for seconds; server/src/rpc/event/verify.rs",
    "TOO_MANY_TRANSFERS": "takes a thousand running transfers; tests/it/progress/report.rs",
    "TOO_MANY_AGENTS": "takes a thousand agents; tests/it/wire/agents.rs",
    "WATCH_TOO_SLOW": "takes a client that stops reading; tests/it/watch/bounds.rs",
    "ANSWERS_UNREAD": "takes a client that stops reading; tests/it/faults/wire/unread.rs",
    "CANCELLED": "a caller who cancels reads no answer; tests/it/faults/wire",
    "CURSOR_EXPIRED": "takes a log that is a day old; tests/it/log.rs",
    "DATABASE_UNAVAILABLE": "takes a broken database; tests/it/faults",
    "DATABASE_FULL": "takes a full disk; tests/it/faults/ledger",
    "ROW_LOCKED": "takes another program in the database; tests/it/faults/ledger/locked.rs",
    "TOO_MANY_BULK_OPERATIONS": "takes ten that run at once; server/src/ledger/batch/tests/bulk.rs",
    "INTERNAL": "takes a defect of the server; tests/it/cli/refusals.rs",
}


def declared(name: str = "it", **fields) -> Step:
    """A transfer, kept under that name."""
    request = {"direction": "DIRECTION_SEND", "tableName": "orders"} | fields
    return call("CreateTransfer", request, keep={name: "transfer.uuid"})


def running(name: str = "it", **fields) -> tuple[Step, Step]:
    return declared(name, **fields), call("StartTransfer", {"uuid": f"${name}"})


def asked(name: str = "it", by: str = "agent", **more) -> tuple[Step, Step]:
    """A transfer that waits for its approval."""
    request = {"direction": "DIRECTION_SEND", "tableName": "orders", "requiresApproval": True}
    return (
        call("CreateTransfer", request, by=by, keep={name: "transfer.uuid"}),
        call("RequestApproval", {"uuid": f"${name}", **more}, by=by),
    )


def site(name: str, policy: dict | None = None, **fields) -> Step:
    """A connection, kept as `site`."""
    request = {"name": name, "direction": "CONNECTION_DIRECTION_SENDER", "siteUrl": f"https://{name}.example"}
    more = {"policy": policy} if policy else {}
    return call("CreateConnection", request | more | fields, keep={"site": "connection.uuid"})


def on_site(**fields) -> dict:
    return {"direction": "DIRECTION_SEND", "tableName": "orders", "connectionUuid": "$site"} | fields


def status(name: str) -> dict:
    return {"transfer.status": f"TRANSFER_STATUS_{name}"}


def connection_is(name: str) -> dict:
    return {"connection.status": f"CONNECTION_STATUS_{name}"}


@contextmanager
def streams_taken(server: Server, token: str):
    """As many watches as the credential may have."""
    channel = server.connected(token)
    request = ParseDict({"includeExisting": True}, messages.WatchTransfersRequest())
    watches = [TransferServiceStub(channel).WatchTransfers(request) for _ in range(STREAMS)]
    for watch in watches:
        next(watch)
    yield
    channel.close()


def stop(server: Server) -> None:
    server.process.send(signal.SIGTERM)


TRANSFERS = [
    case(
        "a transfer is declared, run and completed",
        declared(
            tableName="life",
            connectionUuid="$east",
            recordsRequested="1500",
            conflictStrategy="CONFLICT_STRATEGY_SKIP",
            metadata={"ticket": "OPS-1", "tags": ["a", "b"]},
        ),
        call(
            "GetTransfer",
            {"uuid": "$it"},
            by="viewer",
            answer=status("PENDING")
            | {
                "transfer.recordsRequested": "1500",
                "transfer.metadata": {"ticket": "OPS-1", "tags": ["a", "b"]},
                "transfer.conflictStrategy": "CONFLICT_STRATEGY_SKIP",
                "transfer.connectionUuid": "$east",
            },
        ),
        call(
            "StartTransfer",
            {"uuid": "$it", "agentInstance": "host/1", "heartbeatTimeout": "60s"},
            by="agent",
            answer=status("IN_PROGRESS") | {"transfer.leaseEpoch": "1"},
        ),
        call(
            "UpdateProgress",
            {
                "uuid": "$it",
                "leaseEpoch": "1",
                "progress": {"recordsTransferred": "1000", "recordsCreated": "1000", "phase": "PHASE_TRANSFERRING"},
                "checkpoint": "MTAwMA==",
            },
            by="agent",
            answer={"transfer.progress.recordsTransferred": "1000", "transfer.checkpoint": "MTAwMA=="},
        ),
        call(
            "CompleteTransfer",
            {"uuid": "$it", "leaseEpoch": "1", "progress": {"recordsTransferred": "1500", "recordsCreated": "1500"}},
            by="agent",
            answer=status("COMPLETED"),
        ),
        call("ListAttempts", {"uuid": "$it"}, answer={"attempts.0.end": "ATTEMPT_END_COMPLETED"}),
        call(
            "SubmitReceipt",
            {
                "uuid": "$it",
                "own": {"recordsTransferred": "1500", "bytesTransferred": "81920", "digest": "CgsM", "digestAlgorithm": "x"},
                "peer": {"recordsTransferred": "1500", "schemaDigest": "CgsM"},
                "verification": "VERIFICATION_RESULT_PASSED",
                "quarantined": [{"code": "FAILURE_CODE_DATA", "count": "3"}],
            },
            by="agent",
            answer={"transfer.reconciliation.state": "RECONCILIATION_STATE_MATCHED"},
        ),
        call("GetConnectionStats", {"connectionUuid": "$east"}, answer={"completed": "1", "totalRecords": "1500"}),
        call("ListTableStats", {"connectionUuid": "$east"}, answer={"stats.0.tableName": "life"}),
        call("DeleteTransfer", {"uuid": "$it"}),
        refused("TRANSFER_NOT_FOUND", "GetTransfer", {"uuid": "$it"}),
        call("GetConnectionStats", {"connectionUuid": "$east"}, answer={"completed": "1"}),
    ),
    case(
        "an agent claims what there is to start",
        site("claims"),
        call(
            "RegisterAgent",
            {
                "connectionUuid": "$site",
                "agentInstance": "host/1",
                "version": "1.4.0",
                "host": "copy-1",
                "engines": {"postgres": "17.2"},
                "slots": 4,
                "labels": {"rack": "7"},
            },
            keep={"runner": "agent.uuid"},
            answer={"agent.state": "AGENT_STATE_ALIVE", "agent.engines": {"postgres": "17.2"}, "agent.slots": 4},
        ),
        call("CreateTransfer", on_site(), keep={"later": "transfer.uuid"}),
        call("CreateTransfer", on_site(priority=5), keep={"first": "transfer.uuid"}),
        call(
            "ClaimTransfers",
            {"connectionUuid": "$site", "tableNames": ["orders"], "max": 2, "agentInstance": "host/1", "wait": "5s"},
            answer={
                "transfers.0.uuid": "$first",
                "transfers.0.status": "TRANSFER_STATUS_IN_PROGRESS",
                "transfers.0.leaseEpoch": "1",
                "transfers.1.uuid": "$later",
            },
        ),
        refused("CONNECTION_NOT_FOUND", "ClaimTransfers", {"connectionUuid": UNKNOWN}),
        call(
            "GetAgent",
            {"uuid": "$runner"},
            by="viewer",
            answer={"agent.runs": "2", "agent.freeSlots": "2", "agent.runUuids.0": "$later"},
        ),
        call(
            "ListAgents",
            {"connectionUuid": "$site", "aliveOnly": True},
            by="approver",
            answer={"agents.0.uuid": "$runner", "agents.0.runs": "2"},
        ),
        refused("AGENT_NOT_FOUND", "GetAgent", {"uuid": UNKNOWN}),
    ),
    case(
        "a transfer is explained, called off and tried again",
        declared(requiresApproval=True),
        call(
            "ExplainTransfer",
            {"uuid": "$it", "address": "192.0.2.7"},
            by="viewer",
            answer={"obstacles.0.reason": "APPROVAL_REQUIRED", "decision.callerReason": "PERMISSION_DENIED"},
        ),
        call(
            "CreateTransfer",
            {"direction": "DIRECTION_RECEIVE", "tableName": "orders", "correlationUuid": "$it", "planUuid": UNKNOWN},
            answer={"transfer.counterpartUuid": "$it", "transfer.correlationUuid": "$it", "transfer.planUuid": UNKNOWN},
        ),
        call("CancelTransfer", {"uuid": "$it"}, answer=status("CANCELLED")),
        call(
            "RetryTransfer",
            {"uuid": "$it"},
            answer=status("PENDING") | {"transfer.retryOfUuid": "$it", "transfer.retryNumber": "1"},
        ),
        refused("RETRY_NOT_ALLOWED", "RetryTransfer", {"uuid": "$it"}),
    ),
    case(
        "a transfer is approved, and another is denied",
        *asked("yes"),
        call(
            "ApproveTransfer",
            {"uuid": "$yes", "comment": "as agreed"},
            by="approver",
            answer=status("APPROVED"),
        ),
        *asked("no"),
        call(
            "DenyTransfer",
            {"uuid": "$no", "reason": "not today"},
            by="approver",
            answer=status("DENIED") | {"transfer.denialReason": "not today"},
        ),
        call("ExpirePendingApprovals"),
    ),
    case(
        "a run fails, is cancelled, is paused and goes on",
        *running("failed"),
        call(
            "FailTransfer",
            {"uuid": "$failed", "errorMessage": "disk full", "code": "FAILURE_CODE_TARGET", "retryable": True},
            answer=status("FAILED") | {"transfer.failureCode": "FAILURE_CODE_TARGET"},
        ),
        *running("paused"),
        call("PauseTransfer", {"uuid": "$paused", "reason": "maintenance"}, answer=status("IN_PROGRESS")),
        call("AcknowledgeStop", {"uuid": "$paused"}, answer=status("PENDING")),
        call("ResumeTransfer", {"uuid": "$paused"}, answer=status("PENDING")),
        call("CancelTransfer", {"uuid": "$paused", "reason": "wrong table"}, answer=status("CANCELLED")),
    ),
    case(
        "a run reports on a stream",
        *running(),
        call(
            "ReportProgress",
            [{"uuid": "$it", "leaseEpoch": "1", "progress": {"recordsTransferred": "7"}}],
            answer={"0.uuid": "$it", "0.status": "TRANSFER_STATUS_IN_PROGRESS"},
            take=1,
        ),
        call("ReportProgress", [{"uuid": UNKNOWN}], take=1, answer={"0.error.reason": "TRANSFER_NOT_FOUND"}),
    ),
    case(
        "transfers that run are listed and counted",
        *running(tableName="running"),
        call(
            "CountTransfers",
            {"filter": {"status": ["TRANSFER_STATUS_IN_PROGRESS"], "tableNames": ["running"]}},
            answer={"count": "1"},
        ),
        call("ListActiveTransfers", {"pageSize": 1}, answer={"transfers.0.uuid": "$it"}),
    ),
    case(
        "the newest transfers are listed",
        declared(),
        call("ListRecentTransfers", {"limit": 1}, answer={"transfers.0.uuid": "$it"}),
    ),
    case(
        "lists are read to their ends",
        *[declared(tableName="many") for _ in range(5)],
        *[step for number in range(3) for step in asked(f"pending{number}")],
        *[step for number in range(3) for step in running(f"active{number}")],
        call("ListTransfers", {"filter": {"tableNames": ["many"]}, "pageSize": 2}, pages=("transfers", 5)),
        call("ListPendingApprovals", {"pageSize": 2}, pages=("transfers", 3)),
        call("ListActiveTransfers", {"pageSize": 2}, pages=("transfers", 3)),
        call("ListCredentials", {"pageSize": 2}, pages=("credentials", 4)),
        *[site(f"page{number}") for number in range(3)],
        call("ListConnections", {"pageSize": 2}, pages=("connections", 4)),
        refused("INVALID_FIELDS", "ListTransfers", {"pageToken": "nonsense"}),
        call("CountTransfers", {"filter": {"tableNames": ["many"]}}, answer={"count": "5"}),
        call(
            "ExportTransfers",
            {"filter": {"tableNames": ["many"]}},
            take=1,
            answer={"0.transfers.4.tableName": "many"},
        ),
    ),
]

BULK = [
    case(
        "many are done by one operation",
        *[declared(tableName="bulk") for _ in range(2)],
        call(
            "StartBulkOperation",
            {"verb": "BULK_VERB_CANCEL", "filter": {"tableNames": ["bulk"]}, "reason": "off"},
            keep={"bulk": "operation.uuid"},
            answer={"operation.verb": "BULK_VERB_CANCEL", "operation.matched": "2"},
        ),
        call("GetBulkOperation", {"uuid": "$bulk"}, answer={"operation.reason": "off"}),
        call("ListBulkOperations", {"pageSize": 1}, answer={"operations.0.uuid": "$bulk"}),
        call("ListBulkOutcomes", {"uuid": "$bulk", "result": "BULK_RESULT_REFUSED"}),
        call("StopBulkOperation", {"uuid": "$bulk"}, answer={"operation.uuid": "$bulk"}),
        refused(
            "INVALID_FIELDS",
            "StartBulkOperation",
            {"verb": "BULK_VERB_DELETE", "filter": {"tableNames": ["bulk"]}, "reason": "off"},
        ),
        refused("BULK_OPERATION_NOT_FOUND", "GetBulkOperation", {"uuid": UNKNOWN}),
        refused(
            "PERMISSION_DENIED",
            "StartBulkOperation",
            {"verb": "BULK_VERB_DELETE", "filter": {"tableNames": ["bulk"]}},
            by="agent",
        ),
    ),
]

CONNECTIONS = [
    case(
        "a connection lives and ends",
        site("north", policy={"maxTransfers": "3", "allowedTables": ["orders"]}, pending=True, metadata={"a": 1.5}),
        call("ApproveConnection", {"uuid": "$site"}, answer=connection_is("ACTIVE")),
        call(
            "UpdateConnection",
            {"connection": {"uuid": "$site", "policy": {"maxTransfers": "5"}}, "updateMask": "policy.maxTransfers"},
            answer={"connection.policy.maxTransfers": "5", "connection.policy.allowedTables": ["orders"]},
        ),
        call("SuspendConnection", {"uuid": "$site", "reason": "audit"}, answer=connection_is("SUSPENDED")),
        refused("CONNECTION_NOT_ACTIVE", "CreateTransfer", on_site()),
        call("ReactivateConnection", {"uuid": "$site"}, answer=connection_is("ACTIVE")),
        call("RotateConnectionToken", {"uuid": "$site", "overlap": "60s"}, keep={"new": "token"}),
        call("GetCaller", by="new", answer={"credential.connectionUuid": "$site"}),
        refused(
            "DUPLICATE_CONNECTION",
            "CreateConnection",
            {"name": "again", "direction": "CONNECTION_DIRECTION_SENDER", "siteUrl": "https://north.example"},
        ),
        call("CreateTransfer", on_site(), keep={"it": "transfer.uuid"}),
        call("StartTransfer", {"uuid": "$it"}),
        call("RevokeConnection", {"uuid": "$site"}, answer=connection_is("REVOKED")),
        refused("CONNECTION_IN_USE", "DeleteConnection", {"uuid": "$site"}),
        call("AcknowledgeStop", {"uuid": "$it"}, wait=1.5),
        call("DeleteConnection", {"uuid": "$site"}),
        refused("CONNECTION_NOT_FOUND", "GetConnection", {"uuid": "$site"}),
        call("GetConnection", {"uuid": "$east"}, by="viewer", answer={"connection.name": "east"}),
    ),
    case(
        "a policy refuses tables, hours, addresses and numbers",
        site("tables", policy={"allowedTables": ["invoices"], "maxRecordsPerRequest": "10", "maxTransfers": "1"}),
        refused("TABLE_NOT_ALLOWED", "CreateTransfer", on_site()),
        refused("RECORD_LIMIT_REACHED", "CreateTransfer", on_site(tableName="invoices", recordsRequested="11")),
        *[call("CreateTransfer", on_site(tableName="invoices"), keep={name: "transfer.uuid"}) for name in ("a", "b")],
        call("StartTransfer", {"uuid": "$a"}),
        refused("TRANSFER_LIMIT_REACHED", "StartTransfer", {"uuid": "$b"}),
        site("runs", policy={"maxRunning": 1}),
        *[call("CreateTransfer", on_site(), keep={name: "transfer.uuid"}) for name in ("c", "d")],
        call("StartTransfer", {"uuid": "$c"}),
        refused("RUN_LIMIT_REACHED", "StartTransfer", {"uuid": "$d"}),
        site("hours", policy={"allowedHours": OtherHours()}),
        refused("OUTSIDE_ALLOWED_HOURS", "CreateTransfer", on_site()),
        site("addresses", policy={"ipAllowlist": ["203.0.113.0/24"]}),
        refused("IP_NOT_ALLOWED", "CreateTransfer", on_site()),
    ),
    case(
        "a connection may call only so often",
        site("often", policy={"rateLimitRequestsPerMinute": 1}),
        call(
            "CreateCredential",
            {"name": "busy", "role": "ROLE_AGENT", "connectionUuid": "$site"},
            keep={"busy": "token"},
        ),
        refused("RATE_LIMITED", "CountTransfers", by="busy", tries=50),
    ),
]

CREDENTIALS = [
    case(
        "a credential is made, rotated and revoked",
        call(
            "CreateCredential",
            {"name": "bob", "role": "ROLE_APPROVER", "expiresIn": "3600s"},
            keep={"bob": "credential.uuid", "token": "token"},
        ),
        call("GetCaller", by="token", answer={"credential.name": "bob", "credential.role": "ROLE_APPROVER"}),
        call("GetCredential", {"uuid": "$bob"}, by="approver", answer={"credential.name": "bob"}),
        call("RotateCredential", {"uuid": "$bob"}, keep={"next": "token"}),
        call("GetCaller", by="next"),
        refused("UNAUTHENTICATED", "GetCaller", by="token"),
        call("RevokeCredential", {"uuid": "$bob", "reason": "left"}),
        refused("CREDENTIAL_REVOKED", "RotateCredential", {"uuid": "$bob"}),
        refused("CREDENTIAL_NOT_FOUND", "GetCredential", {"uuid": UNKNOWN}),
    ),
    case(
        "a session code is redeemed once, without a token",
        call("CreateSession", {"connectionUuid": "$east", "expiresIn": "60s"}, keep={"session": "sessionCode"}),
        call("RedeemSession", {"sessionCode": "$session"}, by=None, keep={"token": "token"}),
        call("GetCaller", by="token", answer={"credential.connectionUuid": "$east"}),
        refused("SESSION_CODE_INVALID", "RedeemSession", {"sessionCode": "$session"}, by=None),
    ),
    case(
        "nobody does what is not theirs",
        refused("UNAUTHENTICATED", "ListTransfers", by=None),
        refused("PERMISSION_DENIED", "CreateTransfer", {"direction": "DIRECTION_SEND", "tableName": "t"}, by="viewer"),
        *asked(),
        refused("ACTOR_MISMATCH", "ApproveTransfer", {"uuid": "$it", "adminUserUuid": UNKNOWN}, by="approver"),
        *asked("own", by="admin"),
        refused("SELF_APPROVAL", "ApproveTransfer", {"uuid": "$own"}),
    ),
]

REFUSALS = [
    case(
        "what a transfer's status does not allow",
        declared(requiresApproval=True),
        refused("APPROVAL_REQUIRED", "StartTransfer", {"uuid": "$it"}),
        refused("ILLEGAL_TRANSITION", "CompleteTransfer", {"uuid": "$it"}),
        refused(
            "CORRELATION_IN_USE",
            "CreateTransfer",
            {"direction": "DIRECTION_SEND", "tableName": "orders", "correlationUuid": "$it"},
        ),
        call("RequestApproval", {"uuid": "$it"}),
        refused("STALE_REVISION", "ApproveTransfer", {"uuid": "$it", "revision": "1"}, by="approver"),
        refused(
            "RETRY_NOT_ALLOWED",
            "CreateTransfer",
            {"direction": "DIRECTION_SEND", "tableName": "orders", "retryOfUuid": "$it"},
        ),
        declared("later", notBefore=In(3_600)),
        refused("TOO_EARLY", "StartTransfer", {"uuid": "$later"}),
        call("PauseTransfer", {"uuid": "$later"}),
        refused("TRANSFER_PAUSED", "StartTransfer", {"uuid": "$later"}),
    ),
    case(
        "what a run may not say",
        *running(),
        refused("STOP_NOT_REQUESTED", "AcknowledgeStop", {"uuid": "$it"}),
        call("UpdateProgress", {"uuid": "$it", "progress": {"recordsTransferred": "9", "phase": "PHASE_VERIFYING"}}),
        refused("PROGRESS_REGRESSED", "UpdateProgress", {"uuid": "$it", "progress": {"recordsTransferred": "3"}}),
        refused("PHASE_REGRESSED", "UpdateProgress", {"uuid": "$it", "progress": {"phase": "PHASE_PREPARING"}}),
        refused("TOTALS_INCONSISTENT", "UpdateProgress", {"uuid": "$it", "progress": {"recordsCreated": "10"}}),
        refused(
            "LEASE_LOST", "UpdateProgress", {"uuid": "$it", "leaseEpoch": "7", "progress": {"recordsTransferred": "9"}}
        ),
        call("CancelTransfer", {"uuid": "$it", "grace": "600s"}, answer=status("IN_PROGRESS")),
        refused("CANCEL_REQUESTED", "PauseTransfer", {"uuid": "$it"}),
    ),
    case(
        "what comes too late",
        *asked(expiresIn="1s"),
        declared("late", startBy=In(1)),
        site("brief", policy={"expiresAt": In(1)}),
        refused("APPROVAL_EXPIRED", "ApproveTransfer", {"uuid": "$it"}, by="approver", wait=1.2),
        refused("START_EXPIRED", "StartTransfer", {"uuid": "$late"}),
        refused("CONNECTION_EXPIRED", "CreateTransfer", on_site()),
    ),
    case(
        "a request that cannot be read",
        refused(
            "INVALID_FIELDS",
            "CreateTransfer",
            {"direction": "DIRECTION_SEND", "tableName": "t", "remoteSiteUrl": "gopher://b"},
        ),
        refused(
            "MESSAGE_TOO_LARGE",
            "CreateTransfer",
            {"direction": "DIRECTION_SEND", "tableName": "t", "metadata": {"x": "y" * 70_000}},
        ),
        call("CreateTransfer", {"direction": "DIRECTION_SEND", "tableName": "t", "requestId": "same"}),
        refused(
            "REQUEST_ID_REUSED",
            "CreateTransfer",
            {"direction": "DIRECTION_SEND", "tableName": "u", "requestId": "same"},
        ),
    ),
    case("a message that does not decode", refused("MALFORMED_MESSAGE", "GetTransfer", raw=b"\x0a\x01\xff")),
    case(
        "a message in a compression that nobody knows",
        refused("UNSUPPORTED_ENCODING", "CountTransfers", compressed=True),
    ),
    case(
        "headers that are too large", refused("METADATA_TOO_LARGE", "CountTransfers", headers={"x-long": "y" * 9_000})
    ),
    case("a method that is not there", refused("UNKNOWN_METHOD", "tidegate.v1.TransferService/TeleportTransfer")),
    case(
        "too many streams",
        call("CreateCredential", {"name": "crowd", "role": "ROLE_VIEWER"}, keep={"crowd": "token"}),
        refused("TOO_MANY_STREAMS", "WatchTransfers", by="crowd", amid=streams_taken),
    ),
]

WATCHES = [
    case(
        "a transfer is followed to its end",
        declared(),
        call("CancelTransfer", {"uuid": "$it"}),
        call("WatchTransfer", {"uuid": "$it"}, answer={"0.transfer.status": "TRANSFER_STATUS_CANCELLED"}),
        refused("TRANSFER_NOT_FOUND", "WatchTransfer", {"uuid": UNKNOWN}),
    ),
    case(
        "events are followed, and followed on from a position",
        declared(),
        call("CancelTransfer", {"uuid": "$it"}),
        call(
            "ListEvents",
            {"transferUuid": "$it"},
            answer={"events.0.type": "EVENT_TYPE_CREATED", "events.1.type": "EVENT_TYPE_CANCELLED"},
            keep={"first": "events.0.sequence"},
        ),
        call(
            "WatchEvents",
            {"transferUuid": "$it", "afterSequence": "$first"},
            take=1,
            answer={"0.event.type": "EVENT_TYPE_CANCELLED", "0.event.transferUuid": "$it"},
        ),
        refused("CURSOR_AHEAD", "WatchEvents", {"afterSequence": "1000000"}),
        refused("CURSOR_AHEAD", "ListEvents", {"afterSequence": "1000000"}),
    ),
    case(
        "a position has a hash, and another ledger has another",
        declared(),
        call("CancelTransfer", {"uuid": "$it"}),
        call(
            "WatchEvents",
            {"transferUuid": "$it", "afterSequence": "1"},
            take=1,
            keep={"sequence": "0.event.sequence", "hash": "0.event.hash"},
        ),
        call(
            "WatchEvents",
            {"transferUuid": "$it", "afterSequence": "$sequence", "afterHash": "$hash"},
            take=1,
            answer={"0.event.type": "EVENT_TYPE_CANCELLED"},
        ),
        refused("LOG_DIVERGED", "WatchEvents", {"afterSequence": "$sequence", "afterHash": "A" * 43 + "="}),
        call("VerifyLog", {"afterSequence": "$sequence", "afterHash": "$hash"}, answer={"done": True}),
        refused("LOG_DIVERGED", "VerifyLog", {"afterSequence": "$sequence", "afterHash": "A" * 43 + "="}),
        refused("CURSOR_AHEAD", "VerifyLog", {"afterSequence": "1000000"}),
    ),
    case(
        "transfers are watched, and watched on from a position",
        declared(tableName="watched"),
        call(
            "WatchTransfers",
            {"filter": {"tableNames": ["watched"]}, "includeExisting": True, "positions": True},
            take=2,
            answer={"0.transfer.uuid": "$it", "1.caughtUp": True},
            keep={"sequence": "1.position.sequence", "hash": "1.position.hash"},
        ),
        call("CancelTransfer", {"uuid": "$it"}),
        call(
            "WatchTransfers",
            {"filter": {"tableNames": ["watched"]}, "afterSequence": "$sequence", "afterHash": "$hash"},
            take=1,
            answer={"0.transfer.uuid": "$it", "0.transfer.status": "TRANSFER_STATUS_CANCELLED"},
        ),
    ),
    case(
        "a stream has a deadline",
        refused("DEADLINE_EXCEEDED", "WatchEvents", {"afterSequence": "1"}, deadline=2),
    ),
]

AROUND = [
    case(
        "health",
        call(f"{HEALTH}/Check", by=None, answer={"status": "SERVING"}),
        call(f"{HEALTH}/Check", {"service": "tidegate.v1.EventService"}, by=None, answer={"status": "SERVING"}),
        refused("TRANSPORT", f"{HEALTH}/Check", {"service": "nobody"}, by=None, code="NOT_FOUND"),
        call(f"{HEALTH}/Watch", by=None, take=1, answer={"0.status": "SERVING"}),
    ),
    case(
        "reflection",
        call(
            REFLECTION,
            [{"fileContainingSymbol": "tidegate.v1.TransferService"}],
            take=1,
            answer={"0.originalRequest.fileContainingSymbol": "tidegate.v1.TransferService"},
        ),
        refused("UNAUTHENTICATED", REFLECTION, [{"listServices": ""}], by=None),
    ),
]

# The last of all.
END = [case("the server stops", refused("SHUTTING_DOWN", "WatchTransfers", {"includeExisting": True}, during=stop))]

CASES: list[Case] = [*TRANSFERS, *BULK, *CONNECTIONS, *CREDENTIALS, *REFUSALS, *WATCHES, *AROUND, *END]
