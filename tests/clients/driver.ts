// Makes the calls of the interop tests: one a line on stdin as JSON; answers and the end of each go to stdout as lines.
// driver.js LIBRARY URL CA CONTRACT

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import {
  createFileRegistry,
  fromBinary,
  fromJson,
  toBinary,
  toJson,
  type DescMessage,
  type DescMethod,
  type JsonValue,
  type Message,
} from "@bufbuild/protobuf";
import { EmptySchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { compressionBrotli, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { createGrpcWebTransport as createFetchTransport } from "@connectrpc/connect-web";
import * as grpc from "@grpc/grpc-js";
import { Status } from "nice-grpc-error-details/lib/proto/google/rpc/status.js";

interface Call {
  method: string;
  messages: JsonValue[];
  headers: Record<string, string>;
  deadline: number;
  take: number | null;
  raw: string | null;
  compressed: boolean;
}

interface End {
  code: number;
  text: string;
  details: { type: string; value: string }[];
}

type Library = (call: Call, method: DescMethod, requests: Message[]) => AsyncIterable<Message>;

const [, , library = "", url = "", ca = "", contract = ""] = process.argv;
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(contract)));
const UNKNOWN = registry.getService("grpc.health.v1.Health")!.method["check"]!;

/** The method as the contract has it; one that it does not have takes and gives nothing. */
function find(path: string, isRaw: boolean): DescMethod {
  const [service = "", name = ""] = path.split("/");
  const parent = registry.getService(service);
  const found = parent?.methods.find((it) => it.name === name);
  if (!found) return { ...UNKNOWN, parent: parent ?? UNKNOWN.parent, name, input: EmptySchema, output: EmptySchema };
  // Bytes that are no such message are fields that an empty one does not know, and are written as they came.
  return isRaw ? ({ ...found, input: EmptySchema } as DescMethod) : found;
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

function grpcJs(): { make: Library; end: (error: unknown) => End } {
  const credentials = grpc.credentials.createSsl(readFileSync(ca));
  const options = { "grpc.enable_retries": 0 };
  const plain = new grpc.Client(new URL(url).host, credentials, options);
  const DEFLATE = 1;
  const compressing = { ...options, "grpc.default_compression_algorithm": DEFLATE };
  const compressed = new grpc.Client(new URL(url).host, credentials, compressing);
  async function* make(call: Call, method: DescMethod, requests: Message[]) {
    const metadata = new grpc.Metadata({ waitForReady: true });
    for (const [name, value] of Object.entries(call.headers)) metadata.set(name, value);
    const stream = (call.compressed ? compressed : plain).makeBidiStreamRequest(
      `/${call.method}`,
      (message: Message) => Buffer.from(toBinary(method.input, message)),
      (bytes: Buffer) => fromBinary(method.output, bytes),
      metadata,
      { deadline: Date.now() + call.deadline * 1_000 },
    );
    for (const request of requests) stream.write(request);
    stream.end();
    try {
      yield* stream as AsyncIterable<Message>;
    } finally {
      stream.on("error", () => {});
      stream.cancel();
    }
  }
  function end(error: unknown): End {
    const { code, details, metadata } = error as grpc.ServiceError;
    if (code === undefined) throw error;
    const [bytes] = metadata?.get("grpc-status-details-bin") ?? [];
    const packed = bytes ? Status.decode(bytes as Buffer).details : [];
    const shown = packed.map((it) => ({ type: it.typeUrl.split("/").at(-1)!, value: base64(it.value) }));
    return { code, text: details, details: shown };
  }
  return { make, end };
}

function connect(plain: Transport, compressing: Transport): { make: Library; end: (error: unknown) => End } {
  async function* make(call: Call, method: DescMethod, requests: Message[]) {
    const transport = call.compressed ? compressing : plain;
    const milliseconds = call.deadline * 1_000;
    const stop = new AbortController();
    try {
      if (method.methodKind === "unary") {
        const [request] = requests as never[];
        const answer = await transport.unary(method as never, stop.signal, milliseconds, call.headers, request!);
        yield answer.message;
        return;
      }
      const sent = (async function* () {
        yield* requests;
      })();
      const answer = await transport.stream(method as never, stop.signal, milliseconds, call.headers, sent as never);
      yield* answer.message as AsyncIterable<Message>;
    } finally {
      stop.abort();
    }
  }
  function end(error: unknown): End {
    const { code, rawMessage, details } = ConnectError.from(error);
    if (code === Code.Unknown) throw error;
    const shown = details.flatMap((it) => ("type" in it ? [{ type: it.type, value: base64(it.value) }] : []));
    return { code, text: rawMessage, details: shown };
  }
  return { make, end };
}

function opened() {
  const nodeOptions = { ca: readFileSync(ca) };
  const brotli = { sendCompression: compressionBrotli, compressMinBytes: 0 };
  const base = { baseUrl: url, nodeOptions };
  const web = { ...base, httpVersion: "1.1" as const };
  switch (library) {
    case "grpc-js":
      return grpcJs();
    case "connect-node-grpc":
      return connect(createGrpcTransport(base), createGrpcTransport({ ...base, ...brotli }));
    case "connect-node-grpcweb":
      return connect(createGrpcWebTransport(web), createGrpcWebTransport({ ...web, ...brotli }));
    case "connect-web": {
      const fetching = createFetchTransport({ baseUrl: url });
      return connect(fetching, fetching);
    }
    default:
      throw new Error(`no library ${library}`);
  }
}

const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const { make, end } = opened();
for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line) as Call;
  const method = find(call.method, call.raw !== null);
  const input: DescMessage = method.input;
  const requests = call.raw !== null
    ? [fromBinary(input, Buffer.from(call.raw, "hex"))]
    : call.messages.map((it) => fromJson(input, it, { registry }));
  let answers = 0;
  let ended: End = { code: 0, text: "", details: [] };
  try {
    for await (const answer of make(call, method, requests)) {
      say({ answer: toJson(method.output, answer, { registry }) });
      answers += 1;
      if (answers === call.take) break;
    }
  } catch (error) {
    ended = end(error);
  }
  say(ended);
}
process.exit(0);
