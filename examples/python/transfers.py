"""Finds a transfer that may start, or declares one and waits until it is approved."""

import sys
import uuid

import grpc

from channel import Backoff, is_passing
from tidegate.v1 import transfer_pb2 as model
from tidegate.v1 import transfer_service_pb2 as messages
from tidegate.v1.transfer_service_pb2_grpc import TransferServiceStub


def name(status: int) -> str:
    return model.TransferStatus.Name(status)


async def find(transfers: TransferServiceStub, table: str) -> model.Transfer | None:
    """The oldest transfer of the table that may start."""
    request = messages.ListTransfersRequest(order=model.SORT_ORDER_ASC)
    request.filter.table_names.append(table)
    request.filter.status.extend([model.TRANSFER_STATUS_PENDING, model.TRANSFER_STATUS_APPROVED])
    while True:
        # The first call of all: it says at once why there is no connection, where later ones wait for the next one.
        page = await transfers.ListTransfers(request, wait_for_ready=False)
        for transfer in page.transfers:
            if transfer.status == model.TRANSFER_STATUS_APPROVED or not transfer.requires_approval:
                return transfer
        if not page.next_page_token:
            return None
        request.page_token = page.next_page_token


async def declare(transfers: TransferServiceStub, args) -> model.Transfer:
    """A new transfer that may start: one that has been approved where that is required."""
    request = messages.CreateTransferRequest(
        direction=model.DIRECTION_SEND,
        table_name=args.table,
        records_requested=args.rows,
        requires_approval=args.requires_approval,
        max_attempts=3,
        # The same in every try, so that the transfer is declared once.
        request_id=str(uuid.uuid4()),
    )
    request.metadata.update({"program": "agent.py", "attempts": 3})
    transfer = (await transfers.CreateTransfer(request)).transfer
    if not transfer.requires_approval:
        return transfer
    request = messages.RequestApprovalRequest(uuid=transfer.uuid, request_id=str(uuid.uuid4()))
    await transfers.RequestApproval(request)
    print(f"{transfer.uuid} waits for its approval", flush=True)
    return await approved(transfers, transfer.uuid)


async def approved(transfers: TransferServiceStub, transfer: str) -> model.Transfer:
    """The transfer once it is approved. A watch tells the state first, so it can be opened again at any time."""
    backoff = Backoff()
    while True:
        broken = None
        try:
            async for update in transfers.WatchTransfer(messages.WatchTransferRequest(uuid=transfer)):
                if update.transfer.status == model.TRANSFER_STATUS_APPROVED:
                    return update.transfer
                if update.transfer.status != model.TRANSFER_STATUS_PENDING_APPROVAL:
                    sys.exit(f"{transfer} is {name(update.transfer.status)}")
        except grpc.aio.AioRpcError as error:
            if not is_passing(error):
                raise
            broken = error
        await backoff.pause(broken)
