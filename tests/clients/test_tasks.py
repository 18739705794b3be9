"""docs/tasks.md does what it says: each task by the tool and by grpcurl, and what people read when it goes wrong."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from google.protobuf.json_format import ParseDict

from calls import kinds
from scenario import full_name
from support import PATIENCE, ROOT, Server, new_id

PAGE = (ROOT / "docs" / "tasks.md").read_text()
SECTION = re.compile(
    r"^### (?P<title>[^\n]+)\n\n<!-- task (?P<state>\w+): (?P<word>\S*) ?-->\n```sh\n(?P<commands>.*?)```\n"
    r"<!-- refused (?P<other>\w+) -->\n```console\n(?P<wrong>.*?)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Task:
    title: str
    state: str
    word: str
    """What both show, in letters of any size."""
    commands: list[str]
    other: str
    """The state for the wrong use."""
    wrong: list[tuple[str, str]]
    """Each wrong command with what it prints."""


def tasks() -> Iterator[Task]:
    for it in SECTION.finditer(PAGE):
        commands = it["commands"].replace("\\\n", " ").splitlines()
        wrong = re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", it["wrong"], re.MULTILINE)
        yield Task(it["title"], it["state"], it["word"], commands, it["other"], wrong)


TASKS = list(tasks())
# What leads a transfer into each state: methods, and what they take beside its uuid.
START = ("StartTransfer", {})
ASK = ("RequestApproval", {})
STATES = {
    "pending": [],
    "needs": [],
    "waiting": [ASK],
    "own": [ASK],
    "approved": [ASK, ("ApproveTransfer", {})],
    "running": [START],
    "failed": [START, ("FailTransfer", {"errorMessage": "disk full"})],
    "completed": [START, ("CompleteTransfer", {})],
    "diverged": [START, ("SubmitReceipt", {"own": {"recordsTransferred": 9}, "peer": {"recordsTransferred": 8}})],
    "cancelling": [START, ("CancelTransfer", {"grace": "600s"})],
    "paused": [("PauseTransfer", {"reason": "maintenance"})],
}
WITH_APPROVAL = ("needs", "waiting", "own", "approved")


class Desk:
    """A server, and a shell with what the page asks for."""

    def __init__(self) -> None:
        self.server = Server()
        self.tokens = {"admin": self.server.admin, "agent": self.server.token("AGENT", self.server.connection)}

    def call(self, by: str, method: str, request: dict):
        method = full_name(method)
        asked, told = kinds(method)
        channel = self.server.connected(self.tokens[by])
        with channel:
            stub = channel.unary_unary(f"/{method}", asked.SerializeToString, told.FromString)
            return stub(ParseDict(request, asked()))

    def transfer(self, state: str) -> str:
        """A new transfer in that state; the agent has declared all but the admin's own."""
        declarer = "admin" if state == "own" else "agent"
        request = {"direction": "DIRECTION_SEND", "tableName": "orders", "requiresApproval": state in WITH_APPROVAL}
        uuid = self.call(declarer, "CreateTransfer", request).transfer.uuid
        for method, more in STATES[state]:
            by = "admin" if method in ("ApproveTransfer", "PauseTransfer") else declarer
            self.call(by, method, {"uuid": uuid} | more)
        return uuid

    def types(self, command: str, state: str) -> subprocess.CompletedProcess:
        request = {"name": new_id(), "role": "ROLE_VIEWER"}
        names = {
            "id": self.transfer(state) if state != "none" else "",
            "who": self.call("admin", "CreateCredential", request).credential.uuid,
            "east": self.server.connection,
        }
        env = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")} | names
        programs = [ROOT / "target" / "debug", ROOT / "target" / "tools" / "bin"]
        env |= {
            "PATH": ":".join([*map(str, programs), os.environ["PATH"]]),
            "HOME": str(self.server.folder),
            "TIDEGATE_DATABASE_URL": self.server.ledger.url,
        }
        preamble = re.search(r"<!-- preamble -->\n```sh\n(.*?)```", PAGE, re.DOTALL).group(1)
        for example, ours in (
            ("localhost:50051", f"localhost:{self.server.port}"),
            ("ca.pem", str(self.server.folder / "ca.pem")),
            ("tdg_…", self.server.admin),
        ):
            assert example in preamble
            preamble = preamble.replace(example, ours)
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{preamble}\n{command}"],
            env=env,
            cwd=self.server.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )


@pytest.fixture(scope="class")
def desk() -> Iterator[Desk]:
    opened = Desk()
    yield opened
    opened.server.stop()


def each_task(test):
    return pytest.mark.parametrize("task", TASKS, ids=lambda it: it.title.replace(" ", "-"))(test)


class Done:
    """Each task by one program, on a server of its own."""

    @each_task
    def test_is_done(self, task: Task, desk: Desk) -> None:
        commands = [command for command in task.commands if command.split()[0] in self.programs]
        # What a server does with its database is no call.
        assert len(commands) == 1 or "tidegate-server" in task.commands[0], task
        for command in commands:
            ended = desk.types(command, task.state)
            assert ended.returncode == 0, f"{command}: {ended}"
            said = re.sub("[ -]", "_", (ended.stdout + ended.stderr).lower())
            assert task.word in said, f"{command}: {ended}"


class TestTool(Done):
    programs = ("tidegate", "tidegate-server")


class TestGrpcurl(Done):
    programs = ("call",)


class TestPage:
    def test_every_section_is_a_task(self) -> None:
        assert [task.title for task in TASKS] == re.findall(r"^### (.+)$", PAGE, re.MULTILINE)
        assert len(TASKS) >= 25

    @each_task
    def test_what_goes_wrong_is_told_with_what_to_do(self, task: Task, desk: Desk) -> None:
        assert task.wrong
        for command, told in task.wrong:
            ended = desk.types(command, task.other)
            assert ended.returncode != 0, f"{command}: {ended}"
            # What the parser of the command line adds to all of its complaints.
            said = ended.stderr.removesuffix("\nFor more information, try '--help'.\n")
            pattern = ".*?".join(re.escape(part) for part in told.split("…"))
            assert told.strip() and re.fullmatch(pattern, said, re.DOTALL), f"{command}: {said}"
