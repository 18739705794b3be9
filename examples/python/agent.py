"""An agent: takes a transfer that may start or declares one, runs it under a lease, and says how far it is."""

import asyncio
import os
import socket
import sys
import uuid

import grpc
from google.protobuf.duration_pb2 import Duration

from channel import Backoff, arguments, connect, is_passing, reason, told
from channel import run as start
from tidegate.v1 import transfer_pb2 as model
from tidegate.v1 import transfer_service_pb2 as messages
from tidegate.v1.transfer_service_pb2_grpc import TransferServiceStub
from transfers import declare, find, name

BATCH = 1_000
# The transfer is somebody else's now, or nobody's.
STOPPED = 3
# The transfer is to be cancelled or paused, as soon as its agent has stopped.
ASKED = "asked to stop"
# Reports that were refused with these are heard another time.
PASSING = [code.value[0] for code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)]


async def copy(report: messages.ReportProgressRequest, args) -> None:
    """Here rows are moved: this copy counts them. It goes on at the checkpoint."""
    done = int(report.checkpoint or 0)
    while done < args.rows:
        await asyncio.sleep(args.pause / 1_000)
        batch = min(BATCH, args.rows - done)
        done += batch
        # Totals count from the start of this attempt.
        report.progress.records_transferred += batch
        report.progress.records_created += batch
        report.progress.bytes_transferred += batch * 100
        report.checkpoint = str(done).encode()


async def reports(report: messages.ReportProgressRequest, interval: float):
    """The totals as they are then, at each interval: that is the heartbeat, too."""
    while True:
        yield report
        await asyncio.sleep(interval)


async def tell(transfers: TransferServiceStub, report: messages.ReportProgressRequest, interval: float) -> str:
    """Reports, on a new stream when one breaks; ends with the reason why the agent has to stop."""
    backoff = Backoff()
    while True:
        broken = None
        stream = transfers.ReportProgress(reports(report, interval))
        try:
            async for answer in stream:
                if answer.HasField("error"):
                    if answer.error.code not in PASSING:
                        return answer.error.reason
                elif answer.status != model.TRANSFER_STATUS_IN_PROGRESS:
                    return name(answer.status)
                elif answer.HasField("stop"):
                    return ASKED
                backoff.start_over()
        except grpc.aio.AioRpcError as error:
            if not is_passing(error):
                raise
            broken = error
        finally:
            stream.cancel()
        await backoff.pause(broken)


async def acknowledge(transfers: TransferServiceStub, report: messages.ReportProgressRequest) -> str | None:
    """Says that it has stopped, and returns what it was stopped for; None when the request was taken back."""
    request = messages.AcknowledgeStopRequest(
        uuid=report.uuid,
        lease_epoch=report.lease_epoch,
        progress=report.progress,
        checkpoint=report.checkpoint,
        request_id=str(uuid.uuid4()),
    )
    try:
        stopped = (await transfers.AcknowledgeStop(request)).transfer
    except grpc.aio.AioRpcError as error:
        if reason(error) == "STOP_NOT_REQUESTED":
            return None
        raise
    return f"{model.StopKind.Name(stopped.stop.kind).removeprefix('STOP_KIND_')} {stopped.stop.reason}"


async def run(transfers: TransferServiceStub, transfer: model.Transfer, args) -> None:
    start = messages.StartTransferRequest(
        uuid=transfer.uuid,
        heartbeat_timeout=Duration(seconds=args.heartbeat),
        agent_instance=f"{socket.gethostname()}/{os.getpid()}",
        request_id=str(uuid.uuid4()),
    )
    transfer = (await transfers.StartTransfer(start)).transfer
    print(f"{transfer.uuid} runs, attempt {transfer.lease_epoch}", flush=True)
    lease = {"uuid": transfer.uuid, "lease_epoch": transfer.lease_epoch}
    report = messages.ReportProgressRequest(**lease, progress=model.Progress(), checkpoint=transfer.checkpoint)
    while True:
        copying = asyncio.create_task(copy(report, args))
        telling = asyncio.create_task(tell(transfers, report, min(args.heartbeat / 3, 1)))
        await asyncio.wait([copying, telling], return_when=asyncio.FIRST_COMPLETED)
        if not telling.done():
            telling.cancel()
            break
        # Nothing may be moved any more: with LEASE_LOST somebody else may run it already.
        copying.cancel()
        why = telling.result()
        if why != ASKED or (why := await acknowledge(transfers, report)):
            print(f"{transfer.uuid} has to stop: {why}", file=sys.stderr)
            sys.exit(STOPPED)
    lease.update(progress=report.progress, request_id=str(uuid.uuid4()))
    if problem := copying.exception():
        await transfers.FailTransfer(messages.FailTransferRequest(**lease, error_message=str(problem)))
        raise problem
    done = (await transfers.CompleteTransfer(messages.CompleteTransferRequest(**lease))).transfer
    print(f"{done.uuid} is {name(done.status)}, {done.progress.records_transferred} rows", flush=True)


async def main() -> None:
    parser = arguments(__doc__.split(":")[0])
    parser.add_argument("--table", default="orders")
    parser.add_argument("--rows", type=int, default=3_000)
    parser.add_argument("--requires-approval", action="store_true", help="of a transfer that has to be declared")
    parser.add_argument("--heartbeat", type=int, default=30, help="seconds that the agent may be silent")
    parser.add_argument("--pause", type=int, default=500, help="milliseconds that a batch takes")
    args = parser.parse_args()
    async with connect(args) as channel:
        transfers = TransferServiceStub(channel)
        try:
            transfer = await find(transfers, args.table) or await declare(transfers, args)
            await run(transfers, transfer, args)
        except grpc.aio.AioRpcError as error:
            sys.exit(told(error))


if __name__ == "__main__":
    start(main)
