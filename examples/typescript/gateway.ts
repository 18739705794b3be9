// A gateway: takes the JSON of the Connect protocol, from curl or fetch, and passes it on as gRPC.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createContextKey, createContextValues, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { createAsyncIterable } from "@connectrpc/connect/protocol";
import { connectNodeAdapter, createGrpcTransport } from "@connectrpc/connect-node";
import type { DescMethodServerStreaming, DescMethodUnary, DescService, Message } from "@bufbuild/protobuf";
import { flags } from "./flags.js";
import { ConnectionService } from "./gen/tidegate/v1/connection_service_pb.js";
import { BulkService } from "./gen/tidegate/v1/bulk_service_pb.js";
import { CredentialService } from "./gen/tidegate/v1/credential_service_pb.js";
import { EventService } from "./gen/tidegate/v1/event_service_pb.js";
import { TransferService } from "./gen/tidegate/v1/transfer_service_pb.js";

const SERVICES: DescService[] = [TransferService, EventService, ConnectionService, CredentialService, BulkService];
// What a request may have at the server, too.
const MESSAGE_MAX = 64 * 1024;
const caller = createContextKey("");

const args = flags({ listen: "127.0.0.1:8080" });
const transport = createGrpcTransport({
  baseUrl: args.address,
  nodeOptions: args.ca ? { ca: readFileSync(args.ca) } : {},
});

/** The caller's token, and their address, which the server believes of those in --trusted-proxies. */
function headers(context: HandlerContext): Headers {
  const forwarded = new Headers({ "x-forwarded-for": context.values.get(caller) });
  const token = context.requestHeader.get("authorization");
  if (token) forwarded.set("authorization", token);
  return forwarded;
}

const unary = (method: DescMethodUnary) => async (request: Message, context: HandlerContext) => {
  const answer = await transport.unary(method, context.signal, context.timeoutMs(), headers(context), request);
  return answer.message;
};

const watch = (method: DescMethodServerStreaming) =>
  async function* (request: Message, context: HandlerContext) {
    const asked = createAsyncIterable([request]);
    const answer = await transport.stream(method, context.signal, context.timeoutMs(), headers(context), asked);
    yield* answer.message;
  };

/** Every method but ReportProgress, which sends both ways: HTTP/1.1 cannot. */
function routes(router: ConnectRouter): void {
  for (const method of SERVICES.flatMap((service) => service.methods)) {
    if (method.methodKind === "unary") router.rpc(method as DescMethodUnary, unary(method as DescMethodUnary));
    if (method.methodKind === "server_streaming") {
      router.rpc(method as DescMethodServerStreaming, watch(method as DescMethodServerStreaming));
    }
  }
}

const handler = connectNodeAdapter({
  routes,
  readMaxBytes: MESSAGE_MAX,
  contextValues: (request) => createContextValues().set(caller, request.socket.remoteAddress ?? ""),
});
const [host, port] = args.listen.split(/:(?=\d+$)/);
const server = createServer(handler).listen(Number(port), host, () => {
  const address = server.address() as { address: string; port: number };
  console.log(`http://${address.address}:${address.port}`);
});
