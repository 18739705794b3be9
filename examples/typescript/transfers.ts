// Finds a transfer that may start, or declares one and waits until it is approved.

import { randomUUID } from "node:crypto";
import type { ServiceError } from "@grpc/grpc-js";
import { Backoff, passing, type Channel } from "./channel.js";
import { Direction, SortOrder, TransferStatus, type Transfer } from "./gen/tidegate/v1/transfer_pb.js";
import { TransferService } from "./gen/tidegate/v1/transfer_service_pb.js";

const { method } = TransferService;

/** The oldest transfer of the table that may start. */
export async function find(channel: Channel, tableName: string): Promise<Transfer | undefined> {
  const filter = { tableNames: [tableName], status: [TransferStatus.PENDING, TransferStatus.APPROVED] };
  let pageToken = "";
  do {
    // The first call of all: it says at once why there is no connection, where later ones wait for the next one.
    const page = await channel.unary(method.listTransfers, { filter, order: SortOrder.ASC, pageToken }, false);
    const found = page.transfers.find((it) => it.status === TransferStatus.APPROVED || !it.requiresApproval);
    if (found) return found;
    pageToken = page.nextPageToken;
  } while (pageToken);
  return undefined;
}

/** A new transfer that may start: one that has been approved where that is required. */
export async function declare(channel: Channel, tableName: string, rows: number, requiresApproval: boolean) {
  const answer = await channel.unary(method.createTransfer, {
    direction: Direction.SEND,
    tableName,
    recordsRequested: BigInt(rows),
    requiresApproval,
    maxAttempts: 3,
    metadata: { program: "agent.ts", attempts: 3 },
    // The same in every try, so that the transfer is declared once.
    requestId: randomUUID(),
  });
  const transfer = answer.transfer!;
  if (!transfer.requiresApproval) return transfer;
  await channel.unary(method.requestApproval, { uuid: transfer.uuid, requestId: randomUUID() });
  console.log(`${transfer.uuid} waits for its approval`);
  return approved(channel, transfer.uuid);
}

/** The transfer once it is approved; a watch tells the present state first, so it can be opened again at any time. */
async function approved(channel: Channel, uuid: string): Promise<Transfer> {
  const backoff = new Backoff();
  for (;;) {
    let broken: ServiceError | undefined;
    try {
      for await (const { transfer } of channel.watch(method.watchTransfer, { uuid })) {
        if (transfer!.status === TransferStatus.APPROVED) return transfer!;
        if (transfer!.status !== TransferStatus.PENDING_APPROVAL) {
          throw new Error(`${uuid} is ${TransferStatus[transfer!.status]}`);
        }
      }
    } catch (error) {
      broken = passing(error);
    }
    await backoff.pause(broken);
  }
}
