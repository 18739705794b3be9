"""A real server with TLS and tokens, and the programs of examples/ that call it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import trustme

from tidegate.v1 import connection_pb2, connection_service_pb2, credential_pb2, credential_service_pb2
from tidegate.v1.connection_service_pb2_grpc import ConnectionServiceStub
from tidegate.v1.credential_service_pb2_grpc import CredentialServiceStub
from tidegate.v1.event_service_pb2_grpc import EventServiceStub
from tidegate.v1.transfer_service_pb2_grpc import TransferServiceStub

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "target" / "clients" / "examples"
BINARY = ROOT / "target" / "debug" / "tidegate-server"
# The longest that anything here may take.
PATIENCE = 40


def soon(what: str, found):
    """What `found` returns once it returns anything."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {PATIENCE} s")


def new_id() -> str:
    return str(uuid.uuid4())


class Process:
    """A program that was started here, with what it writes kept in files."""

    def __init__(self, folder: Path, command: list, env: dict[str, str]) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
        name = f"{Path(command[-1]).name}-{new_id()[:8]}"
        self.out, self.err = folder / f"{name}.out", folder / f"{name}.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=clean | env)

    def said(self) -> str:
        return self.out.read_text()

    def complained(self) -> str:
        return self.err.read_text()

    def says(self, words: str) -> None:
        soon(f"{words!r} of {self.child.args}", lambda: words in self.said() or self.has_failed())

    def has_failed(self) -> bool:
        if self.child.poll():
            raise AssertionError(f"{self.child.args} ended with {self.child.returncode}: {self.complained()}")
        return False

    def ends(self) -> int:
        return self.child.wait(PATIENCE)

    def send(self, number: int) -> None:
        self.child.send_signal(number)

    def kill(self) -> None:
        """By its id, as the handle has it."""
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


class Database:
    """Where a server keeps its ledger: a file, or a database of its own on the PostgreSQL of the run."""

    def __init__(self, folder: Path) -> None:
        kind = os.environ.get("TIDEGATE_TEST_DATABASE", "sqlite")
        self.postgres = os.environ["TIDEGATE_TEST_POSTGRES"] if kind == "postgres" else None
        self.name = f"clients_{uuid.uuid4().hex}"
        if not self.postgres:
            assert kind == "sqlite", f"TIDEGATE_TEST_DATABASE is sqlite or postgres, not {kind}"
            self.url = f"sqlite://{folder}/tidegate.db?mode=rwc"
            return
        self.url = urlsplit(self.postgres)._replace(path=f"/{self.name}").geturl()
        self.tell(f"CREATE DATABASE {self.name}")

    def tell(self, sql: str) -> None:
        command = ["psql", "--quiet", "--no-psqlrc", "--command", sql, self.postgres]
        subprocess.run(command, check=True, timeout=PATIENCE)

    def drop(self) -> None:
        if self.postgres:
            self.tell(f"DROP DATABASE {self.name} WITH (FORCE)")


class Server:
    """A server that can be killed and started again, at the same port and with the same ledger."""

    def __init__(self, *flags: str) -> None:
        self.temporary = tempfile.TemporaryDirectory(prefix="tidegate-clients-")
        self.folder = Path(self.temporary.name)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.folder / "ca.pem")
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(self.folder / "server.pem")
        self.ledger = Database(self.folder)
        self.database = ["--database-url", self.ledger.url]
        first = ["token", "create", "--role", "admin", "--name", "tests", *self.database]
        self.admin = subprocess.run([BINARY, *first], check=True, capture_output=True, text=True).stdout.strip()
        pem = str(self.folder / "server.pem")
        self.flags = ["--auth", "required", "--tls-cert", pem, "--tls-key", pem, "--drain-delay", "0s", *flags]
        self.port = 0
        self.process = None
        self.start()
        self.channel = self.connected(self.admin)
        self.transfers = TransferServiceStub(self.channel)
        self.events = EventServiceStub(self.channel)
        self.credentials = CredentialServiceStub(self.channel)
        site = connection_service_pb2.CreateConnectionRequest(
            name="east", direction=connection_pb2.CONNECTION_DIRECTION_SENDER, site_url="https://east.example.com"
        )
        self.connection = ConnectionServiceStub(self.channel).CreateConnection(site).connection.uuid

    def start(self) -> None:
        command = [str(BINARY), *self.flags, *self.database, "--listen", f"127.0.0.1:{self.port}"]
        self.process = Process(self.folder, command, {"TIDEGATE_LOG_FORMAT": "json"})
        self.port = soon("the server's word that it serves", self.address)

    def address(self) -> int | None:
        self.process.has_failed()
        lines = (self.process.said() + self.process.complained()).splitlines()
        for line in lines:
            if '"message":"serving"' in line:
                return int(json.loads(line)["address"].rsplit(":", 1)[1])
        return None

    def connected(self, token: str) -> grpc.Channel:
        credentials = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials((self.folder / "ca.pem").read_bytes()),
            grpc.access_token_call_credentials(token),
        )
        # Calls of the tests themselves are repeated by nobody but for a connection that is new.
        waits = json.dumps({"methodConfig": [{"name": [{}], "waitForReady": True, "timeout": "20s"}]})
        options = [("grpc.service_config", waits), ("grpc.max_reconnect_backoff_ms", 500)]
        return grpc.secure_channel(f"localhost:{self.port}", credentials, options)

    def token(self, role: str, connection: str = "") -> str:
        request = credential_service_pb2.CreateCredentialRequest(
            role=credential_pb2.Role.Value(f"ROLE_{role}"), name=new_id(), connection_uuid=connection
        )
        return self.credentials.CreateCredential(request).token

    def crash(self, away: float = 1) -> None:
        """Killed without a word, and back after so many seconds."""
        self.process.kill()
        time.sleep(away)
        self.start()

    def run(self, program: list, token: str, *flags: str) -> Process:
        env = {
            "TIDEGATE_ADDRESS": f"https://localhost:{self.port}",
            "TIDEGATE_CA": str(self.folder / "ca.pem"),
            "TIDEGATE_TOKEN": token,
            "NODE_EXTRA_CA_CERTS": str(self.folder / "ca.pem"),
        }
        return Process(self.folder, [*program, *flags], env)

    def stop(self) -> None:
        self.channel.close()
        self.process.send(signal.SIGTERM)
        code = self.process.ends()
        self.ledger.drop()
        self.temporary.cleanup()
        assert code == 0, f"the server ended with {code}"


def python(name: str) -> list:
    return [sys.executable, str(PROGRAMS / "python" / f"{name}.py")]


def node(name: str) -> list:
    return ["node", str(PROGRAMS / "typescript" / "dist" / f"{name}.js")]
