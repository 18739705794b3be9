"""The agents of examples/: each does what docs/clients.md says of it, with a real server and its failures."""

import signal
import unittest

import grpc
import trustme

from support import Process, Server, node, python, soon
from tidegate.v1 import credential_service_pb2 as credentials
from tidegate.v1 import transfer_pb2 as model
from tidegate.v1 import transfer_service_pb2 as messages
from tidegate.v1.transfer_service_pb2_grpc import TransferServiceStub

# What an agent ends with when its transfer is not its own any more.
STOPPED = 3
FAST = ("--pause", "50")


class Agents:
    """Every test, for one agent; `program` says which."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server()
        cls.addClassCleanup(cls.server.stop)
        cls.token = cls.server.token("AGENT", cls.server.connection)

    def agent(self, *flags: str, token: str | None = None) -> Process:
        table = ("--table", self._testMethodName)
        process = self.server.run(self.program, token or self.token, *table, *flags)
        self.addCleanup(process.kill)
        return process

    def transfer(self) -> model.Transfer | None:
        """The newest transfer of this test's table."""
        request = messages.ListTransfersRequest(page_size=1)
        request.filter.table_names.append(self._testMethodName)
        found = self.server.transfers.ListTransfers(request).transfers
        return found[0] if found else None

    def moves(self, records: int) -> model.Transfer:
        """The transfer once that many records were reported."""

        def found():
            transfer = self.transfer()
            return transfer if transfer and transfer.progress.records_transferred >= records else None

        return soon(f"{records} records", found)

    def attempts(self, transfer: model.Transfer) -> list[model.Attempt]:
        request = messages.ListAttemptsRequest(uuid=transfer.uuid)
        return list(self.server.transfers.ListAttempts(request).attempts)

    def has_completed(self, agent: Process, records: int) -> model.Transfer:
        self.assertEqual(agent.ends(), 0, agent.complained())
        transfer = self.transfer()
        self.assertEqual(model.TransferStatus.Name(transfer.status), "TRANSFER_STATUS_COMPLETED")
        totals = transfer.progress
        self.assertEqual(totals.records_transferred, records)
        self.assertEqual(totals.records_created, records)
        self.assertEqual(totals.bytes_transferred, records * 100)
        return transfer

    def test_declares_waits_for_the_approval_and_completes(self) -> None:
        agent = self.agent("--rows", "2500", "--requires-approval", *FAST)
        agent.says("waits for its approval")
        waiting = self.transfer()
        self.assertEqual(waiting.status, model.TRANSFER_STATUS_PENDING_APPROVAL)
        self.server.transfers.ApproveTransfer(messages.ApproveTransferRequest(uuid=waiting.uuid))
        done = self.has_completed(agent, 2_500)
        self.assertEqual(done.uuid, waiting.uuid)
        self.assertEqual(done.connection_uuid, self.server.connection)
        # Nothing of the metadata was dropped on the way.
        self.assertEqual(dict(done.metadata), {"program": self.name, "attempts": 3})
        [attempt] = self.attempts(done)
        self.assertEqual(attempt.lease_epoch, 1)
        self.assertTrue(attempt.agent_instance.endswith(f"/{agent.child.pid}"), attempt)

    def test_takes_the_oldest_transfer_that_may_start(self) -> None:
        uuids = []
        for _ in range(2):
            request = messages.CreateTransferRequest(
                direction=model.DIRECTION_SEND, table_name=self._testMethodName, requires_approval=True
            )
            request.connection_uuid = self.server.connection
            uuid = self.transfers_of_agent().CreateTransfer(request).transfer.uuid
            self.server.transfers.RequestApproval(messages.RequestApprovalRequest(uuid=uuid))
            self.server.transfers.ApproveTransfer(messages.ApproveTransferRequest(uuid=uuid))
            uuids.append(uuid)
        self.assertEqual(self.agent(*FAST).ends(), 0)
        request = messages.ListTransfersRequest(order=model.SORT_ORDER_ASC)
        request.filter.table_names.append(self._testMethodName)
        states = {it.uuid: it.status for it in self.server.transfers.ListTransfers(request).transfers}
        expected = (model.TRANSFER_STATUS_COMPLETED, model.TRANSFER_STATUS_APPROVED)
        self.assertEqual(states, dict(zip(uuids, expected, strict=True)))

    def transfers_of_agent(self) -> TransferServiceStub:
        channel = self.server.connected(self.token)
        self.addCleanup(channel.close)
        return TransferServiceStub(channel)

    def test_survives_a_crash_of_the_server(self) -> None:
        agent = self.agent("--rows", "12000", "--pause", "300")
        self.moves(1_000)
        self.server.crash()
        done = self.has_completed(agent, 12_000)
        self.assertEqual(len(self.attempts(done)), 1, "it was one run all the time")

    def test_completes_when_the_server_is_back(self) -> None:
        agent = self.agent("--rows", "6000", "--pause", "300")
        self.assertLess(self.moves(1_000).progress.records_transferred, 6_000)
        # Longer than all pauses between tries: the last call has to wait for the connection.
        self.server.crash(away=5)
        self.has_completed(agent, 6_000)

    def test_stops_when_the_lease_is_lost_and_the_next_one_goes_on(self) -> None:
        late = self.agent("--rows", "60000", "--heartbeat", "2", "--pause", "100")
        self.moves(2_000)
        late.send(signal.SIGSTOP)
        soon("the end of the lease", lambda: self.transfer().status == model.TRANSFER_STATUS_PENDING)
        late.send(signal.SIGCONT)
        self.assertEqual(late.ends(), STOPPED, late.complained())
        self.assertIn("has to stop: LEASE_LOST", late.complained())
        queued = self.transfer()
        done = int(queued.checkpoint)
        self.assertGreaterEqual(done, 2_000)
        next_one = self.agent("--rows", "60000", "--pause", "10")
        next_one.says("attempt 2")
        # Totals are those of the attempt, which began at the checkpoint.
        transfer = self.has_completed(next_one, 60_000 - done)
        self.assertEqual(transfer.uuid, queued.uuid)
        ends = [model.AttemptEnd.Name(it.end) for it in self.attempts(transfer)]
        self.assertEqual(ends, ["ATTEMPT_END_REQUEUED", "ATTEMPT_END_COMPLETED"])

    def test_stops_when_the_transfer_is_cancelled(self) -> None:
        agent = self.agent("--rows", "60000", "--pause", "100")
        transfer = self.moves(1_000)
        request = messages.CancelTransferRequest(uuid=transfer.uuid, reason="wrong table")
        self.server.transfers.CancelTransfer(request)
        self.assertEqual(agent.ends(), STOPPED, agent.complained())
        self.assertIn("has to stop: CANCEL wrong table", agent.complained())
        cancelled = self.transfer()
        self.assertEqual(cancelled.status, model.TRANSFER_STATUS_CANCELLED)
        self.assertFalse(cancelled.stop.forced, "it has confirmed")

    def test_stops_when_the_transfer_is_paused_and_the_next_one_goes_on(self) -> None:
        agent = self.agent("--rows", "60000", "--pause", "100")
        transfer = self.moves(1_000)
        self.server.transfers.PauseTransfer(messages.PauseTransferRequest(uuid=transfer.uuid))
        self.assertEqual(agent.ends(), STOPPED, agent.complained())
        paused = self.transfer()
        self.assertEqual(paused.status, model.TRANSFER_STATUS_PENDING)
        self.assertFalse(paused.stop.forced, "it has confirmed")
        done = int(paused.checkpoint)
        self.assertEqual(done, paused.progress.records_transferred)
        self.server.transfers.ResumeTransfer(messages.ResumeTransferRequest(uuid=transfer.uuid))
        next_one = self.agent("--rows", "60000", "--pause", "10")
        completed = self.has_completed(next_one, 60_000 - done)
        self.assertEqual(completed.uuid, paused.uuid)

    def test_stops_when_its_token_is_revoked(self) -> None:
        agent = self.agent(
            "--rows", "600000", "--pause", "100", token=self.server.token("AGENT", self.server.connection)
        )
        self.moves(1_000)
        newest = credentials.ListCredentialsRequest(page_size=1)
        [newest] = self.server.credentials.ListCredentials(newest).credentials
        self.server.credentials.RevokeCredential(credentials.RevokeCredentialRequest(uuid=newest.uuid))
        self.assertEqual(agent.ends(), 1, agent.complained())
        self.assertIn("(UNAUTHENTICATED UNAUTHENTICATED)", agent.complained())

    def test_says_why_it_is_refused(self) -> None:
        stranger = self.server.run(self.program, "tg_nothing")
        self.addCleanup(stranger.kill)
        self.assertEqual(stranger.ends(), 1)
        self.assertIn("(UNAUTHENTICATED UNAUTHENTICATED)", stranger.complained())

    def test_says_at_once_why_there_is_no_connection(self) -> None:
        other = self.server.folder / "other.pem"
        trustme.CA().cert_pem.write_to_path(other)
        for flags, words in (
            (("--address", "https://localhost:1"), "refused"),
            (("--ca", str(other)), "certificate"),
        ):
            agent = self.agent(*flags)
            self.assertEqual(agent.child.wait(15), 1)
            self.assertIn("(UNAVAILABLE)", agent.complained())
            self.assertIn(words, agent.complained().lower())

    def test_shows_no_token_in_clear_text(self) -> None:
        agent = self.agent("--address", "http://tidegate.example.com")
        self.assertEqual(agent.child.wait(15), 1)
        self.assertIn("a token travels through TLS or to the loopback", agent.complained())


class PythonAgent(Agents, unittest.TestCase):
    program, name = python("agent"), "agent.py"


class TypeScriptAgent(Agents, unittest.TestCase):
    program, name = node("agent"), "agent.ts"


class RateLimit(unittest.TestCase):
    """The pause that the server asks for is kept by gRPC itself, as the service config says."""

    def test_calls_beyond_the_limit_are_made_when_the_server_says(self) -> None:
        server = Server("--requests-per-minute", "30")
        self.addCleanup(server.stop)
        started = []
        for program in (python("agent"), node("agent")):
            token = server.token("AGENT", server.connection)
            self.use_up(server, token)
            started.append(server.run(program, token, "--rows", "1000", "--table", program[0].rsplit("/", 1)[-1]))
        for agent in started:
            self.addCleanup(agent.kill)
        for agent in started:
            self.assertEqual(agent.ends(), 0, agent.complained())
            self.assertIn("COMPLETED, 1000 rows", agent.said())

    def use_up(self, server: Server, token: str) -> None:
        """Makes calls until the next one would have to wait for some two seconds."""
        with server.connected(token) as channel:
            transfers = TransferServiceStub(channel)
            with self.assertRaises(grpc.RpcError) as refused:
                for _ in range(100):
                    transfers.CountTransfers(messages.CountTransfersRequest())
        self.assertEqual(refused.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
