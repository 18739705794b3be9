"""A watcher: prints the events of the log, or the changes of transfers, as lines of JSON, from where it left off."""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import grpc
from google.protobuf.json_format import MessageToDict

from channel import Backoff, arguments, connect, is_passing, reason, run, told
from tidegate.v1 import event_service_pb2 as events
from tidegate.v1 import transfer_service_pb2 as transfers
from tidegate.v1.event_service_pb2_grpc import EventServiceStub
from tidegate.v1.transfer_service_pb2_grpc import TransferServiceStub

# The log is not the one that the position is of: what was seen before may not have happened, or not be all.
START_ANEW = ("CURSOR_EXPIRED", "CURSOR_AHEAD", "LOG_DIVERGED")


class Position(NamedTuple):
    """A place in the log. Any replica goes on from there, and says so when its log has another event there."""

    sequence: int
    hash: bytes


class Bookmark:
    """Keeps the position in a file, so that the next run goes on, too."""

    def __init__(self, path: str | None) -> None:
        self.path = Path(path) if path else None
        self.position: Position | None = None
        if self.path and self.path.exists():
            kept = json.loads(self.path.read_text())
            self.position = Position(kept["sequence"], bytes.fromhex(kept["hash"]))

    def keep(self, position) -> None:
        self.position = Position(position.sequence, position.hash)
        if self.path:
            beside = self.path.with_suffix(".new")
            beside.write_text(json.dumps({"sequence": position.sequence, "hash": position.hash.hex()}))
            beside.replace(self.path)


def show(message) -> None:
    """In JSON as Protobuf defines it: an int64 is a string there."""
    print(json.dumps(MessageToDict(message)), flush=True)


def watch_events(channel: grpc.aio.Channel, position: Position | None):
    start = position or Position(0, b"")
    request = events.WatchEventsRequest(after_sequence=start.sequence, after_hash=start.hash)
    return EventServiceStub(channel).WatchEvents(request)


def handle_event(message: events.WatchEventsResponse, bookmark: Bookmark) -> None:
    if message.HasField("event"):
        # Dealt with first and kept then: who ends in between sees it again, and misses nothing.
        show(message.event)
    bookmark.keep(message.event if message.HasField("event") else message.bookmark)


def watch_transfers(channel: grpc.aio.Channel, position: Position | None):
    request = transfers.WatchTransfersRequest(include_existing=True, positions=True)
    if position:
        request.after_sequence, request.after_hash = position
    return TransferServiceStub(channel).WatchTransfers(request)


def handle_transfer(message: transfers.WatchTransfersResponse, bookmark: Bookmark) -> None:
    update = message.WhichOneof("update")
    if update == "transfer":
        show(message.transfer)
    elif update == "deleted_uuid":
        print(json.dumps({"deletedUuid": message.deleted_uuid}), flush=True)
    if message.HasField("position"):
        bookmark.keep(message.position)


WATCHES = {"events": (watch_events, handle_event), "transfers": (watch_transfers, handle_transfer)}


async def follow(channel: grpc.aio.Channel, what: str, bookmark: Bookmark) -> None:
    """Watches for ever: whatever ends a stream, the next one goes on from the last position."""
    watch, handle = WATCHES[what]
    backoff = Backoff()
    while True:
        broken = None
        try:
            async for message in watch(channel, bookmark.position):
                backoff.start_over()
                handle(message, bookmark)
        except grpc.aio.AioRpcError as error:
            if reason(error) in START_ANEW:
                sys.exit(f"{error.details()} ({reason(error)}): decide what that means, then start without a bookmark")
            if not is_passing(error):
                sys.exit(told(error))
            print(f"reconnecting: {error.details()}", file=sys.stderr)
            broken = error
        await backoff.pause(broken)


async def main() -> None:
    parser = arguments(__doc__.split(":")[0])
    parser.add_argument("what", choices=WATCHES)
    parser.add_argument("--bookmark", help="the file that keeps the position")
    args = parser.parse_args()
    async with connect(args) as channel:
        await follow(channel, args.what, Bookmark(args.bookmark))


if __name__ == "__main__":
    run(main)
