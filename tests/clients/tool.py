"""The driver of our own client, by way of the tool: which command makes which call, and which flag says which field."""

import base64
import json
import os
import re
import subprocess
from collections.abc import Callable

from calls import Call, Outcome, catalogue, is_known, normal
from support import PATIENCE, ROOT, Server

PREFIX = "tidegate.v1."
CATALOGUE = catalogue()
# The command of each method, and the field of its answer that the tool prints.
COMMANDS = {
    "BulkService/StartBulkOperation": ("bulk start --yes", "operation"),
    "BulkService/GetBulkOperation": ("bulk get", "operation"),
    "BulkService/ListBulkOperations": ("bulk list", "operations"),
    "BulkService/ListBulkOutcomes": ("bulk outcomes", "outcomes"),
    "BulkService/StopBulkOperation": ("bulk stop", "operation"),
    "ConnectionService/CreateConnection": ("connection create", "connection"),
    "ConnectionService/GetConnection": ("connection get", "connection"),
    "ConnectionService/ListConnections": ("connection list", "connections"),
    "ConnectionService/UpdateConnection": ("connection update", "connection"),
    "ConnectionService/ApproveConnection": ("connection approve", "connection"),
    "ConnectionService/SuspendConnection": ("connection suspend", "connection"),
    "ConnectionService/ReactivateConnection": ("connection reactivate", "connection"),
    "ConnectionService/RevokeConnection": ("connection revoke --yes", "connection"),
    "ConnectionService/RotateConnectionToken": ("connection rotate-token", None),
    "ConnectionService/DeleteConnection": ("connection delete --yes", ""),
    "CredentialService/GetCaller": ("whoami", "credential"),
    "CredentialService/CreateCredential": ("credential create", None),
    "CredentialService/GetCredential": ("credential get", "credential"),
    "CredentialService/ListCredentials": ("credential list", "credentials"),
    "CredentialService/RotateCredential": ("credential rotate", None),
    "CredentialService/RevokeCredential": ("credential revoke --yes", "credential"),
    "CredentialService/CreateSession": ("session create", None),
    "CredentialService/RedeemSession": ("session redeem", None),
    "EventService/ListEvents": ("event list", "events"),
    "EventService/VerifyLog": ("event verify", None),
    "EventService/WatchEvents": ("event watch", "event"),
    "TransferService/CreateTransfer": ("transfer create", "transfer"),
    "TransferService/GetTransfer": ("transfer get", "transfer"),
    "TransferService/ExplainTransfer": ("transfer explain", None),
    "TransferService/RetryTransfer": ("transfer retry", "transfer"),
    "TransferService/ListTransfers": ("transfer list", "transfers"),
    "TransferService/ExportTransfers": ("transfer export", None),
    "TransferService/CountTransfers": ("transfer count", None),
    "TransferService/DeleteTransfer": ("transfer delete", ""),
    "TransferService/StartTransfer": ("transfer start", "transfer"),
    "TransferService/ClaimTransfers": ("transfer claim", "transfers"),
    "TransferService/RegisterAgent": ("agent register", "agent"),
    "TransferService/GetAgent": ("agent get", "agent"),
    "TransferService/ListAgents": ("agent list", "agents"),
    "TransferService/ListAttempts": ("transfer attempts", "attempts"),
    "TransferService/UpdateProgress": ("transfer progress", "transfer"),
    "TransferService/CompleteTransfer": ("transfer complete", "transfer"),
    "TransferService/FailTransfer": ("transfer fail", "transfer"),
    "TransferService/SubmitReceipt": ("transfer submit-receipt", "transfer"),
    "TransferService/CancelTransfer": ("transfer cancel", "transfer"),
    "TransferService/PauseTransfer": ("transfer pause", "transfer"),
    "TransferService/ResumeTransfer": ("transfer resume", "transfer"),
    "TransferService/AcknowledgeStop": ("transfer acknowledge-stop", "transfer"),
    "TransferService/RequestApproval": ("transfer request-approval", "transfer"),
    "TransferService/ApproveTransfer": ("transfer approve", "transfer"),
    "TransferService/DenyTransfer": ("transfer deny", "transfer"),
    "TransferService/ExpirePendingApprovals": ("approval expire", None),
    "TransferService/ListPendingApprovals": ("approval list", "transfers"),
    "TransferService/GetConnectionStats": ("stats connection", None),
    "TransferService/ListTableStats": ("stats table", "stats"),
    "TransferService/WatchTransfer": ("transfer watch", "transfer"),
}
# Methods without a command, and where what they give is to be seen.
WITHOUT = {
    "TransferService/ReportProgress": "agents report by it, with the Rust client",
    "TransferService/ListRecentTransfers": "`transfer list` asks for the newest by itself",
    "TransferService/ListActiveTransfers": "`top` shows them, on a terminal",
    "TransferService/WatchTransfers": "`transfer watch --all` reconnects and has no end",
}
# Fields with names and values, of which each pair is a flag.
TAGS = ("engines", "labels")
# Fields whose flag is not their name.
FLAGS = {
    "tableName": "table",
    "tableNames": "table",
    "engines": "engine",
    "labels": "label",
    "transferUuid": "transfer",
    "connectionUuid": "connection",
    "initiatedByUuid": "initiated-by",
    "retryOfUuid": "retry-of",
    "correlationUuid": "correlation",
    "planUuid": "plan",
    "adminUserUuid": "admin",
    "address": "agent-ip",
    "leaseEpoch": "lease",
    "afterSequence": "after",
    "recordsTransferred": "records",
    "recordsCreated": "created",
    "recordsUpdated": "updated",
    "recordsSkipped": "skipped",
    "recordsFailed": "failed",
    "bytesTransferred": "bytes",
    "allowedTables": "allow-table",
    "excludedTables": "exclude-table",
    "allowedHours": "hours",
    "ipAllowlist": "ip-allow",
    "rateLimitRequestsPerMinute": "rate-limit",
}
POSITIONAL = (
    "uuid",
    "verb",
    "CredentialService/RedeemSession.sessionCode",
    "TransferService/GetConnectionStats.connectionUuid",
)
# Said by the command itself.
IMPLIED = ("updateMask", "pageSize", "pageToken")
NO_FLAG = ("afterHash", "preload", "positions", "recordProblems", "beforeEpoch")
# What the client does not give up at.
PATIENT = ("RATE_LIMITED", "TOO_MANY_STREAMS", "SHUTTING_DOWN")
ENUM = re.compile(
    r"^(CONNECTION_DIRECTION|DIRECTION|TRANSFER_STATUS|CONNECTION_STATUS|ROLE|APPROVAL_MODE|CONFLICT_STRATEGY|PHASE"
    r"|FAILURE_CODE|SORT_ORDER|VERIFICATION_RESULT|RECONCILIATION_STATE|BULK_VERB|BULK_RESULT)_(\w+)$"
)
REFUSED = re.compile(r"\(([A-Z]+(?:_[A-Z]+)*)(?: ([A-Z_]+))?\)$", re.MULTILINE)


def kebab(name: str) -> str:
    return re.sub("([A-Z])", lambda it: f"-{it.group(1).lower()}", name)


def written(value) -> str:
    """A value as the tool takes it."""
    if isinstance(value, dict) and "code" in value:
        return f"{written(value['code'])}={value['count']}"
    if isinstance(value, dict) and "recordsTransferred" in value:
        return stated(value)
    if isinstance(value, dict):
        return json.dumps(value)
    if named := ENUM.match(str(value)):
        return named.group(2).lower().replace("_", "-")
    return str(value)


def stated(statement: dict) -> str:
    """What one side states, in the parts in which the tool takes it."""
    parts = []
    for name, value in statement.items():
        if name == "digest":
            parts.append(f"digest={statement['digestAlgorithm']}:{base64.b64decode(value).hex()}")
        elif name == "schemaDigest":
            parts.append(f"schema={base64.b64decode(value).hex()}")
        elif name != "digestAlgorithm":
            parts.append(f"{FLAGS[name]}={value}")
    return ",".join(parts)


def fields(request: dict):
    """The fields of a request, those of messages in it among them."""
    for name, value in request.items():
        if isinstance(value, dict) and name not in ("metadata", "own", "peer", *TAGS):
            yield from fields(value)
        else:
            yield name, value


def arguments(method: str, request: dict) -> list[str]:
    found = []
    for name, value in fields(request):
        if name in IMPLIED or value is False:
            continue
        if name in POSITIONAL or f"{method}.{name}" in POSITIONAL:
            found.append(written(value))
            continue
        if name == "checkpoint":
            value = base64.b64decode(value).decode()
        if name in TAGS:
            value = [f"{tag}={said}" for tag, said in value.items()]
        flag = f"--{FLAGS.get(name) or kebab(name)}"
        if value is True:
            found.append(flag)
        else:
            found += [f"{flag}={written(it)}" for it in (value if isinstance(value, list) else [value])]
    return found


class Tool:
    name = "tidegate"

    def __init__(self, server: Server) -> None:
        self.server = server

    def close(self) -> None:
        pass

    def lacks(self, call: Call, reason: str | None = None) -> str | None:
        if reason in PATIENT:
            return "it waits, and tries again"
        method = call.method.removeprefix(PREFIX)
        if (
            call.raw is not None
            or call.compressed
            or set(call.headers) - {"authorization"}
            or not is_known(call.method)
        ):
            return "it makes no such calls"
        if method not in COMMANDS:
            return WITHOUT.get(method, "it has no command for it")
        for name, _ in fields(call.messages[0]):
            if name in NO_FLAG:
                return f"it has no flag for {name}"
        if reason == "DEADLINE_EXCEEDED":
            return "its watches have no deadline"
        return None

    def make(self, call: Call, on_answer: Callable[[], None]) -> Outcome:
        method = call.method.removeprefix(PREFIX)
        command, key = COMMANDS[method]
        [request] = call.messages
        several = method.rsplit("/", 1)[1].startswith(("List", "Claim"))
        words = [*command.split(), *arguments(method, request), *(["--limit=0"] if "pageSize" in request else [])]
        env = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")} | {
            "TIDEGATE_ADDRESS": f"https://localhost:{self.server.port}",
            "TIDEGATE_CA": str(self.server.folder / "ca.pem"),
            "TIDEGATE_TOKEN": call.headers.get("authorization", "").removeprefix("Bearer "),
            "HOME": str(self.server.folder),
        }
        tool = [str(ROOT / "target" / "debug" / "tidegate"), "--output", "jsonl", *words]
        child = subprocess.Popen(tool, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        try:
            printed = []
            for line in child.stdout:
                printed.append(json.loads(line))
                on_answer()
                if len(printed) == call.take:
                    child.kill()
                    return Outcome("OK", [normal(call.method, {key: it}, ignore_unknown=True) for it in printed])
            complaint = child.stderr.read()
            status = child.wait(PATIENCE)
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
            child.stderr.close()
        watched = command in ("transfer watch", "event watch")
        if status and not (watched and 10 <= status <= 14):
            told = REFUSED.search(complaint)
            assert told, f"{' '.join(tool)}: {status}: {complaint}"
            code, reason = told.groups()
            # A reason that is the code's own name is said once.
            return Outcome(code, [], complaint, reason or (code if code in CATALOGUE else None))
        if several:
            printed = [{key: printed}]
        elif key == "":
            printed = [{}]
        elif key:
            printed = [{key: it} for it in printed]
        return Outcome("OK", [normal(call.method, it, ignore_unknown=True) for it in printed])
