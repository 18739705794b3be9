// An agent: takes a transfer that may start or declares one, runs it under a lease, and says how far it is.

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { status, type ServiceError } from "@grpc/grpc-js";
import { create } from "@bufbuild/protobuf";
import { Backoff, Channel, passing, reason, told } from "./channel.js";
import { flags } from "./flags.js";
import { StopKind, TransferStatus, type Transfer } from "./gen/tidegate/v1/transfer_pb.js";
import {
  ReportProgressRequestSchema,
  TransferService,
  type ReportProgressRequest,
} from "./gen/tidegate/v1/transfer_service_pb.js";
import { declare, find } from "./transfers.js";

const { method } = TransferService;
const BATCH = 1_000;
// The transfer is somebody else's now, or nobody's.
const STOPPED = 3;
// The transfer is to be cancelled or paused, as soon as its agent has stopped.
const ASKED = "asked to stop";

/** Here rows are moved: this copy counts them. It goes on at the checkpoint. */
async function copy(report: ReportProgressRequest, rows: number, pause: number, stop: AbortSignal) {
  let done = Number(new TextDecoder().decode(report.checkpoint) || 0);
  let totals = Number(report.progress!.recordsTransferred ?? 0);
  while (done < rows) {
    await sleep(pause, undefined, { signal: stop });
    const batch = Math.min(BATCH, rows - done);
    done += batch;
    // Totals count from the start of this attempt.
    totals += batch;
    const records = BigInt(totals);
    Object.assign(report.progress!, {
      recordsTransferred: records,
      recordsCreated: records,
      bytesTransferred: records * 100n,
    });
    report.checkpoint = new TextEncoder().encode(String(done));
  }
}

/**
 * Sends the totals at each interval, which is the heartbeat; on a new stream when one breaks. Ends with the reason why
 * the agent has to stop.
 */
async function tell(channel: Channel, report: ReportProgressRequest, interval: number, end: AbortSignal) {
  const backoff = new Backoff();
  while (!end.aborted) {
    let broken: ServiceError | undefined;
    const stream = channel.stream(method.reportProgress);
    const timer = setInterval(() => stream.writableNeedDrain || stream.write(report), interval);
    const cancel = () => stream.cancel();
    end.addEventListener("abort", cancel);
    try {
      stream.write(report);
      for await (const { error, status: state, stop } of stream) {
        const isRefused = error && ![status.UNAVAILABLE, status.RESOURCE_EXHAUSTED].includes(error.code);
        if (isRefused) return error.reason;
        if (!error && state !== TransferStatus.IN_PROGRESS) return TransferStatus[state];
        if (stop) return ASKED;
        backoff.startOver();
      }
    } catch (error) {
      broken = end.aborted ? undefined : passing(error);
    } finally {
      clearInterval(timer);
      end.removeEventListener("abort", cancel);
      stream.cancel();
    }
    await backoff.pause(broken);
  }
  return undefined;
}

/** Says that it has stopped, and returns what it was stopped for; undefined when the request was taken back. */
async function acknowledge(channel: Channel, report: ReportProgressRequest) {
  const { uuid, leaseEpoch, progress, checkpoint } = report;
  const request = { uuid, leaseEpoch, progress: progress!, checkpoint: checkpoint!, requestId: randomUUID() };
  try {
    const { stop } = (await channel.unary(method.acknowledgeStop, request)).transfer!;
    return `${StopKind[stop!.kind]} ${stop!.reason}`;
  } catch (error) {
    if (reason(error as ServiceError) === "STOP_NOT_REQUESTED") return undefined;
    throw error;
  }
}

async function run(channel: Channel, found: Transfer, rows: number, pause: number, heartbeat: number) {
  const started = await channel.unary(method.startTransfer, {
    uuid: found.uuid,
    heartbeatTimeout: { seconds: BigInt(heartbeat) },
    agentInstance: `${hostname()}/${process.pid}`,
    requestId: randomUUID(),
  });
  const { uuid, leaseEpoch, checkpoint } = started.transfer!;
  console.log(`${uuid} runs, attempt ${leaseEpoch}`);
  const report = create(ReportProgressRequestSchema, { uuid, leaseEpoch, progress: {}, checkpoint });
  let first;
  for (;;) {
    const end = new AbortController();
    const telling = tell(channel, report, Math.min((heartbeat * 1_000) / 3, 1_000), end.signal);
    const copying = copy(report, rows, pause, end.signal).catch((error: unknown) => ({ error }));
    // Whatever ends first ends the other.
    first = await Promise.race([copying, telling]).finally(() => end.abort());
    if (typeof first !== "string") break;
    // Nothing may be moved any more: with LEASE_LOST somebody else may run it already.
    const why = first === ASKED ? await acknowledge(channel, report) : first;
    if (!why) continue;
    console.error(`${uuid} has to stop: ${why}`);
    process.exit(STOPPED);
  }
  const last = { uuid, leaseEpoch, progress: report.progress!, requestId: randomUUID() };
  if (first) {
    await channel.unary(method.failTransfer, { ...last, errorMessage: String(first.error) });
    throw first.error;
  }
  const done = (await channel.unary(method.completeTransfer, last)).transfer!;
  console.log(`${uuid} is ${TransferStatus[done.status]}, ${done.progress!.recordsTransferred} rows`);
}

const args = flags({ table: "orders", rows: "3000", "requires-approval": false, heartbeat: "30", pause: "500" });
const channel = new Channel(args);
try {
  const rows = Number(args.rows);
  const found = await find(channel, args.table);
  const transfer = found ?? (await declare(channel, args.table, rows, args["requires-approval"]));
  await run(channel, transfer, rows, Number(args.pause), Number(args.heartbeat));
} catch (error) {
  console.error(told(error));
  process.exitCode = 1;
} finally {
  channel.close();
}
