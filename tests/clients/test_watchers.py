"""The watchers of examples/: nothing is missed and no event seen twice, whoever goes away in between."""

import json
import signal
import unittest

from support import Process, Server, node, python, soon
from tidegate.v1 import event_service_pb2
from tidegate.v1 import transfer_pb2 as model
from tidegate.v1 import transfer_service_pb2 as messages


def lines(*watchers: Process) -> list[dict]:
    return [json.loads(line) for watcher in watchers for line in watcher.said().splitlines()]


class Watchers(unittest.TestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.addCleanup(self.server.stop)
        self.token = self.server.token("VIEWER")

    def watcher(self, program: list, *flags: str) -> Process:
        process = self.server.run(program, self.token, *flags)
        self.addCleanup(process.kill)
        return process

    def change(self, count: int) -> list[str]:
        """That many transfers, cancelled at once: two events each."""
        uuids = []
        for number in range(count):
            request = messages.CreateTransferRequest(direction=model.DIRECTION_SEND, table_name=f"table_{number}")
            uuids.append(self.server.transfers.CreateTransfer(request).transfer.uuid)
            self.server.transfers.CancelTransfer(messages.CancelTransferRequest(uuid=uuids[-1]))
        return uuids

    def log(self) -> list[int]:
        """The sequences of all events."""
        request = event_service_pb2.ListEventsRequest(page_size=1_000)
        return [event.sequence for event in self.server.events.ListEvents(request).events]

    def sees_all(self, *watchers: Process) -> None:
        last = self.log()[-1]

        def newest():
            watchers[-1].has_failed()
            seen = lines(*watchers)
            return seen and int(seen[-1]["sequence"]) >= last

        soon(f"event {last}", newest)
        self.assertEqual([int(event["sequence"]) for event in lines(*watchers)], self.log())

    def follows_the_log(self, program: list, *flags: str) -> None:
        bookmark = ("--bookmark", str(self.server.folder / "bookmark"))
        self.change(3)
        watcher = self.watcher(program, *flags, *bookmark)
        self.sees_all(watcher)
        self.server.process.kill()
        self.server.start()
        self.change(3)
        self.sees_all(watcher)
        self.assertIn("reconnecting: ", watcher.complained())
        watcher.send(signal.SIGTERM)
        watcher.ends()
        self.change(3)
        self.sees_all(watcher, self.watcher(program, *flags, *bookmark))

    def test_python_sees_every_event_once(self) -> None:
        self.follows_the_log(python("watcher"), "events")

    def test_typescript_sees_every_event_once_over_grpc_web(self) -> None:
        self.follows_the_log(node("watcher"))

    def test_a_position_that_the_log_does_not_have_ends_them(self) -> None:
        bookmark = self.server.folder / "bookmark"
        bookmark.write_text(json.dumps({"sequence": 1_000_000, "hash": ""}))
        for program in ([*python("watcher"), "events"], node("watcher")):
            watcher = self.watcher(program, "--bookmark", str(bookmark))
            self.assertEqual(watcher.ends(), 1)
            self.assertIn("CURSOR_AHEAD", watcher.complained())

    def test_python_sees_the_last_state_of_every_transfer(self) -> None:
        flags = ("transfers", "--bookmark", str(self.server.folder / "bookmark"))
        uuids = self.change(2)
        watcher = self.watcher(python("watcher"), *flags)
        self.shows(uuids, watcher)
        self.server.process.kill()
        self.server.start()
        uuids += self.change(2)
        self.shows(uuids, watcher)
        watcher.send(signal.SIGTERM)
        watcher.ends()
        gone = uuids.pop(0)
        self.server.transfers.DeleteTransfer(messages.DeleteTransferRequest(uuid=gone))
        uuids += self.change(2)
        next_one = self.watcher(python("watcher"), *flags)
        self.shows(uuids, watcher, next_one)
        soon("the deletion", lambda: {"deletedUuid": gone} in lines(next_one))

    def shows(self, uuids: list[str], *watchers: Process) -> None:
        def last_states():
            watchers[-1].has_failed()
            states = {line["uuid"]: line["status"] for line in lines(*watchers) if "uuid" in line}
            return all(states.get(uuid) == "TRANSFER_STATUS_CANCELLED" for uuid in uuids)

        soon("the last states", last_states)
