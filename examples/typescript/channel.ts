// How a server is reached by gRPC from Node, what is tried again, and what a refusal says.

import { readFileSync } from "node:fs";
import * as grpc from "@grpc/grpc-js";
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { ErrorInfo, RetryInfo } from "nice-grpc-error-details";
import { Status } from "nice-grpc-error-details/lib/proto/google/rpc/status.js";

// Beside dist/, where this file runs.
const SERVICE_CONFIG = new URL("../../../proto/service_config.json", import.meta.url);

/** The way from the generated descriptions of methods to calls of grpc-js. */
export class Channel {
  private readonly client: grpc.Client;
  private readonly metadata = new grpc.Metadata({ waitForReady: true });

  constructor({ address, ca, token }: { address: string; ca: string; token: string | undefined }) {
    const { host, protocol } = new URL(address);
    if (token) this.metadata.set("authorization", `Bearer ${token}`);
    const credentials = protocol === "https:"
      ? grpc.credentials.createSsl(ca ? readFileSync(ca) : null)
      : grpc.credentials.createInsecure();
    this.client = new grpc.Client(host, credentials, {
      "grpc.service_config": readFileSync(SERVICE_CONFIG, "utf8"),
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 5_000,
      // A peer that has vanished is noticed within half a minute.
      "grpc.keepalive_time_ms": 20_000,
      "grpc.keepalive_timeout_ms": 10_000,
    });
  }

  /** Waits for a connection unless told not to: then it says at once why there is none. */
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    waitForReady = true,
  ) {
    return new Promise<MessageShape<O>>((resolve, reject) => {
      const message = create(method.input, request);
      const metadata = this.metadata.clone();
      metadata.setOptions({ waitForReady });
      this.client.makeUnaryRequest(...wire<I, O>(method), message, metadata, (error, answer) =>
        error ? reject(error) : resolve(answer!),
      );
    });
  }

  watch<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
  ): AsyncIterable<MessageShape<O>> {
    return this.client.makeServerStreamRequest(...wire<I, O>(method), create(method.input, request), this.metadata);
  }

  stream<I extends DescMessage, O extends DescMessage>(method: DescMethodBiDiStreaming<I, O>) {
    return this.client.makeBidiStreamRequest(...wire<I, O>(method), this.metadata);
  }

  close(): void {
    this.client.close();
  }
}

/** The path of a method, and how its messages are written and read. */
function wire<I extends DescMessage, O extends DescMessage>(method: DescMethod) {
  const write = (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message));
  const read = (bytes: Buffer) => fromBinary(method.output, bytes) as MessageShape<O>;
  return [`/${method.parent.typeName}/${method.name}`, write, read] as const;
}

function detail(error: grpc.ServiceError, type: string): Uint8Array | undefined {
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const details = bytes ? Status.decode(bytes as Buffer).details : [];
  return details.find((it) => it.typeUrl.endsWith(`/${type}`))?.value;
}

/** Why the server refused; undefined when the status is not the server's: then the connection failed. */
export function reason(error: grpc.ServiceError): string | undefined {
  const info = detail(error, ErrorInfo.$type);
  return info && ErrorInfo.decode(info).reason;
}

/** What people are told. */
export function told(error: unknown): string {
  const { code, details } = error as grpc.ServiceError;
  if (code === undefined) return String(error);
  return `${details} (${[grpc.status[code], reason(error as grpc.ServiceError)].filter(Boolean).join(" ")})`;
}

/** How many milliseconds the server asks to wait; 0 when it does not. */
function askedPause(error: grpc.ServiceError | undefined): number {
  const info = error && detail(error, RetryInfo.$type);
  const delay = info && RetryInfo.decode(info).retryDelay;
  return delay ? delay.seconds * 1_000 + delay.nanos / 1e6 : 0;
}

/** The error of a stream that is worth opening again; throws any other. */
export function passing(error: unknown): grpc.ServiceError {
  const { UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED } = grpc.status;
  const broken = error as grpc.ServiceError;
  const isPassing =
    [UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED].includes(broken.code) ||
    (broken.code !== undefined && reason(broken) === undefined);
  if (!isPassing) throw error;
  return broken;
}

/** Pauses between tries: drawn from a range that doubles up to 5 s, and never shorter than the server asks for. */
export class Backoff {
  private ceiling = 100;

  startOver(): void {
    this.ceiling = 100;
  }

  async pause(error?: grpc.ServiceError): Promise<void> {
    const pause = Math.max(Math.random() * this.ceiling, Math.min(askedPause(error), 60_000));
    this.ceiling = Math.min(this.ceiling * 2, 5_000);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
