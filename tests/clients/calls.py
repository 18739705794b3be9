"""A call and its outcome, the same whichever client makes it."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.empty_pb2 import Empty
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from support import ROOT
from tidegate.v1 import (
    bulk_service_pb2,
    connection_service_pb2,
    credential_service_pb2,
    event_service_pb2,
    transfer_service_pb2,
)

# Their files, and those that these import, are all that the clients know of messages.
KNOWN = (
    bulk_service_pb2,
    connection_service_pb2,
    credential_service_pb2,
    event_service_pb2,
    transfer_service_pb2,
    health_pb2,
    reflection_pb2,
    error_details_pb2,
)
CODES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
    "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
    "UNAUTHENTICATED"
).split()
Json = dict


@dataclass(frozen=True)
class Call:
    method: str
    """`package.Service/Method`."""
    messages: list[Json]
    headers: dict[str, str] = field(default_factory=dict)
    deadline: float = 20
    take: int | None = None
    """The client ends a stream after so many answers."""
    raw: bytes | None = None
    """The request message as it is on the wire, in the place of `messages`."""
    compressed: bool = False
    """With another compression than gzip."""


@dataclass
class Outcome:
    code: str
    answers: list[Json]
    text: str = ""
    reason: str | None = None
    details: set[str] | None = None
    """The kinds of details; None where the client does not show them."""


class Driver(Protocol):
    name: str

    def lacks(self, call: Call, reason: str | None) -> str | None:
        """Why the client cannot make such a call, or hear of such a refusal."""

    def make(self, call: Call, on_answer: Callable[[], None]) -> Outcome: ...

    def close(self) -> None: ...


def kinds(method: str):
    """The classes of a method's messages; those of an unknown method are empty."""
    service, name = method.split("/")
    try:
        found = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    except KeyError:
        return Empty, Empty
    return message_factory.GetMessageClass(found.input_type), message_factory.GetMessageClass(found.output_type)


def is_known(method: str) -> bool:
    return kinds(method)[0] is not Empty


def is_stream_of_requests(method: str) -> bool:
    service, name = method.split("/")
    return (
        is_known(method) and descriptor_pool.Default().FindServiceByName(service).methods_by_name[name].client_streaming
    )


def normal(method: str, answer: Json, ignore_unknown: bool = False) -> Json:
    """The answer in one form, whatever fields without a value a client prints; refuses what is no such message."""
    message = json_format.ParseDict(answer, kinds(method)[1](), ignore_unknown_fields=ignore_unknown)
    return json_format.MessageToDict(message)


def refusal(code: str, text: str, details: list[tuple[str, bytes]], answers: list[Json]) -> Outcome:
    """An outcome with details as they are on the wire."""
    reason = None
    for kind, value in details:
        if kind == "google.rpc.ErrorInfo":
            info = error_details_pb2.ErrorInfo.FromString(value)
            assert info.domain == "tidegate", info
            reason = info.reason
    return Outcome(code, answers, text, reason, {kind.rsplit(".", 1)[1] for kind, _ in details})


def unpacked(status: status_pb2.Status) -> list[tuple[str, bytes]]:
    packed: list[any_pb2.Any] = list(status.details)
    return [(it.TypeName(), it.value) for it in packed]


def from_base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))


def descriptors() -> bytes:
    """All files of the contract, health and reflection as a FileDescriptorSet, each after those that it imports."""
    files = {}

    def add(file) -> None:
        for imported in file.dependencies:
            add(imported)
        files.setdefault(file.name, file)

    for module in KNOWN:
        add(module.DESCRIPTOR)
    found = descriptor_pb2.FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(added := found.file.add())
        # Python leaves out what the others want to be told.
        for message in added.message_type:
            name_for_json(message, file.message_types_by_name[message.name])
    return found.SerializeToString()


def name_for_json(message: descriptor_pb2.DescriptorProto, known) -> None:
    for field_ in message.field:
        field_.json_name = known.fields_by_name[field_.name].json_name
    for nested in message.nested_type:
        name_for_json(nested, known.nested_types_by_name[nested.name])


def catalogue() -> dict[str, str]:
    """Every reason of docs/errors.md with its code."""
    page = (ROOT / "docs" / "errors.md").read_text()
    return dict(re.findall(r"^\| `([A-Z_]+)` \| (\w+) \|", page, re.MULTILINE))


def second_details() -> dict[str, str]:
    """Every reason of the contract with the detail that it has beside ErrorInfo, if any."""
    proto = (ROOT / "proto" / "tidegate" / "v1" / "common.proto").read_text()
    found = {}
    for comment, reason in re.findall(r"((?:  //.*\n)+)  ERROR_REASON_(\w+) = \d+;", proto):
        text = re.sub(r"\s*//\s*", " ", comment)
        named = re.search(r"(?:\(|; )(BadRequest|PreconditionFailure|ResourceInfo|RetryInfo)\)", text)
        found[reason] = named.group(1) if named else ""
    return found
