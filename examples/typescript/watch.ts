// Follows the log of events over gRPC-Web; nothing here needs more than a browser.

import { toJson } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { ErrorInfo, RetryInfo } from "nice-grpc-error-details";
import { EventSchema } from "./gen/tidegate/v1/event_pb.js";
import { EventService } from "./gen/tidegate/v1/event_service_pb.js";

/** A place in the log. Any replica goes on from there, and says so when its log has another event there. */
export interface Position {
  sequence: bigint;
  hash: Uint8Array;
}

export interface Bookmark {
  position: Position | undefined;
  keep(position: Position): void;
}

// The log is not the one that the position is of: what was seen before may not have happened, or not be all.
const START_ANEW = ["CURSOR_EXPIRED", "CURSOR_AHEAD", "LOG_DIVERGED"];
const PASSING = [Code.Unavailable, Code.DeadlineExceeded, Code.ResourceExhausted];

function bearer(token: string | undefined): Interceptor {
  return (next) => (request) => {
    if (token) request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}

function detail(error: ConnectError, type: string): Uint8Array | undefined {
  for (const it of error.details) {
    if ("type" in it && it.type === type && it.value instanceof Uint8Array) return it.value;
  }
  return undefined;
}

/** Why the server refused; undefined when the status is not the server's: then the connection failed. */
function reason(error: ConnectError): string | undefined {
  const info = detail(error, ErrorInfo.$type);
  return info && ErrorInfo.decode(info).reason;
}

function askedPause(error: ConnectError): number {
  const info = detail(error, RetryInfo.$type);
  const delay = info && RetryInfo.decode(info).retryDelay;
  return delay ? delay.seconds * 1_000 + delay.nanos / 1e6 : 0;
}

/** Watches for ever: whatever ends a stream, the next one goes on from the last position. */
export async function watchEvents(
  baseUrl: string,
  token: string | undefined,
  bookmark: Bookmark,
  show: (event: unknown) => void,
): Promise<never> {
  const events = createClient(EventService, createGrpcWebTransport({ baseUrl, interceptors: [bearer(token)] }));
  let ceiling = 100;
  for (;;) {
    let asked = 0;
    try {
      const { sequence = 0n, hash = new Uint8Array() } = bookmark.position ?? {};
      for await (const { update } of events.watchEvents({ afterSequence: sequence, afterHash: hash })) {
        ceiling = 100;
        // Dealt with first and kept then: who ends in between sees it again, and misses nothing.
        if (update.case === "event") show(toJson(EventSchema, update.value));
        if (update.value) bookmark.keep(update.value);
      }
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      const why = reason(error);
      if (why && START_ANEW.includes(why)) throw new Error(`${error.rawMessage} (${why}): start without a bookmark`);
      if (why && !PASSING.includes(error.code)) throw error;
      console.error(`reconnecting: ${error.rawMessage}`);
      asked = askedPause(error);
    }
    const pause = Math.max(Math.random() * ceiling, Math.min(asked, 60_000));
    ceiling = Math.min(ceiling * 2, 5_000);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
