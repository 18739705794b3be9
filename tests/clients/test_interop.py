"""The cases, by every client with the same expectations; and that no method and no reason is without one."""

from collections.abc import Iterator

import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from calls import catalogue, second_details
from cases import CASES, NOT_FROM_OUTSIDE
from drivers import Buf, Grpcio, Grpcurl, Node
from scenario import Case, run
from support import Server
from tool import COMMANDS, WITHOUT, Tool

OPEN = {
    "grpcurl": Grpcurl,
    "buf-grpc": lambda server: Buf(server, "grpc"),
    "buf-grpcweb": lambda server: Buf(server, "grpcweb"),
    "grpcio": Grpcio,
    "tidegate": Tool,
} | {name: lambda server, name=name: Node(server, name) for name in Node.LIBRARIES}


@pytest.fixture(scope="class")
def world(request: pytest.FixtureRequest) -> Iterator[tuple]:
    """The client of the class, a server of its own, and the names that steps may use."""
    server = Server()
    names = {"admin": server.admin, "east": server.connection}
    for role in ("approver", "viewer"):
        names[role] = server.token(role.upper())
    names["agent"] = server.token("AGENT", server.connection)
    driver = OPEN[request.cls.client](server)
    yield driver, server, names
    driver.close()
    server.stop()


class Interop:
    @pytest.mark.parametrize("case", CASES, ids=lambda it: it.name.replace(" ", "-"))
    def test_case(self, case: Case, world: tuple) -> None:
        driver, server, names = world
        for step in case.steps:
            if lack := driver.lacks(step.call(names), step.reason):
                pytest.skip(f"{driver.name}: {step.method}: {lack}")
        run(case, driver, server, names)


for name in OPEN:
    # A class each, so that each has its server and they run at the same time.
    title = "Test" + name.title().replace("-", "")
    globals()[title] = type(title, (Interop,), {"client": name})


def methods_of(server: Server) -> set[str]:
    """Every method of the contract as the server itself tells it."""
    stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)

    def ask(**question) -> reflection_pb2.ServerReflectionResponse:
        return next(stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(**question)])))

    services = [it.name for it in ask(list_services="").list_services_response.service]
    found = set()
    for name in services:
        for content in ask(file_containing_symbol=name).file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(content)
            for service in file.service:
                found |= {f"{file.package}.{service.name}/{method.name}" for method in service.method}
    assert len(found) > 48, found
    return found


class TestCompleteness:
    def test_every_method_that_the_server_has_is_called(self) -> None:
        server = Server()
        try:
            served = methods_of(server)
        finally:
            server.stop()
        called = set().union(*(case.methods() for case in CASES))
        # The two versions of reflection are one service.
        left_out = {it for it in served - called if not it.startswith("grpc.reflection.")}
        assert left_out == set(), "each wants a case in cases.py"

    def test_every_reason_is_provoked_or_says_why_not(self) -> None:
        provoked = set().union(*(case.reasons() for case in CASES))
        assert provoked | set(NOT_FROM_OUTSIDE) == set(catalogue()), "each wants a case, or a line of NOT_FROM_OUTSIDE"
        assert provoked & set(NOT_FROM_OUTSIDE) == set()
        assert set(catalogue()) == set(second_details()) - {"UNSPECIFIED"}

    def test_the_tool_has_a_command_for_a_method_or_says_why_not(self) -> None:
        called = set().union(*(case.methods() for case in CASES))
        ours = {it.removeprefix("tidegate.v1.") for it in called if it.startswith("tidegate.v1.")}
        assert set(COMMANDS) | set(WITHOUT) == ours - {"TransferService/TeleportTransfer"}
        assert set(COMMANDS) & set(WITHOUT) == set()
