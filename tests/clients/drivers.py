"""One driver for each client: grpcurl, buf curl, grpcio, and what runs in Node (driver.ts)."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator

import grpc
from google.protobuf import json_format
from grpc_status import rpc_status

from calls import (
    CODES,
    Call,
    Outcome,
    descriptors,
    from_base64,
    is_known,
    is_stream_of_requests,
    kinds,
    normal,
    refusal,
    unpacked,
)
from support import PATIENCE, PROGRAMS, ROOT, Server

TOOLS = ROOT / "target" / "tools"


def documents(text: str) -> list[dict]:
    """The JSON documents of a text, one after the other."""
    found, decoder, text = [], json.JSONDecoder(), text.lstrip()
    while text:
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:].lstrip()
    return found


class Program:
    """A program that makes one call and prints answers as JSON, and a refusal as JSON on stderr."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.ca = str(server.folder / "ca.pem")

    def close(self) -> None:
        pass

    def lacks(self, call: Call, reason: str | None = None) -> str | None:
        if call.raw is not None:
            return "it writes no broken messages"
        if call.compressed:
            return "it does not compress"
        if not is_known(call.method):
            return "it does not call what is not in the contract"
        return None

    def make(self, call: Call, on_answer: Callable[[], None]) -> Outcome:
        errors = self.server.folder / f"{self.name}.stderr"
        with errors.open("w+") as stderr:
            child = subprocess.Popen(
                self.command(call), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
            )
            try:
                child.stdin.write("".join(json.dumps(self.written(it)) for it in call.messages))
                child.stdin.close()
                answers = []
                for answer in self.printed(child):
                    answers.append(normal(call.method, answer))
                    on_answer()
                    if len(answers) == call.take:
                        return Outcome("OK", answers)
                status = child.wait(PATIENCE)
            finally:
                child.kill()
                child.wait()
                child.stdout.close()
            complaint = errors.read_text()
        return self.refused(complaint, answers) if status else Outcome("OK", answers)

    def written(self, message: dict) -> dict:
        """A request as the program reads it."""
        return message

    @staticmethod
    def printed(child: subprocess.Popen) -> Iterator[dict]:
        text, decoder = "", json.JSONDecoder()
        for line in child.stdout:
            text = (text + line).lstrip()
            try:
                document, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                continue
            text = text[end:]
            yield document
        assert not text.strip(), f"no JSON: {text}"


class Grpcurl(Program):
    """Asks the server by reflection for the messages."""

    name = "grpcurl"

    def written(self, message: dict) -> dict:
        # It takes a FieldMask as any other message, and not as JSON has it.
        if mask := message.get("updateMask"):
            paths = re.sub("([A-Z])", lambda it: f"_{it.group(1).lower()}", mask).split(",")
            return message | {"updateMask": {"paths": paths}}
        return message

    def command(self, call: Call) -> list[str]:
        headers = [word for name, value in call.headers.items() for word in ("-rpc-header", f"{name}: {value}")]
        asks = ["-reflect-header", f"authorization: Bearer {self.server.admin}"]
        flags = ["-cacert", self.ca, "-max-time", str(call.deadline), "-format-error", *asks, *headers, "-d", "@"]
        return [str(TOOLS / "bin" / "grpcurl"), *flags, f"localhost:{self.server.port}", call.method]

    def refused(self, complaint: str, answers: list[dict]) -> Outcome:
        assert complaint.startswith("{"), complaint
        [status] = documents(complaint)
        parsed = json_format.ParseDict(status, rpc_status.status_pb2.Status())
        return refusal(CODES[parsed.code], parsed.message, unpacked(parsed), answers)


class Buf(Program):
    """Takes the messages from a file, since gRPC-Web cannot ask for them."""

    def __init__(self, server: Server, protocol: str) -> None:
        super().__init__(server)
        self.protocol, self.name = protocol, f"buf-{protocol}"
        self.schema = server.folder / "contract.binpb"
        self.schema.write_bytes(descriptors())
        # Not the script in Node that finds it.
        [self.buf] = (TOOLS / "npm" / "node_modules" / "@bufbuild").glob("buf-*/bin/buf")

    def lacks(self, call: Call, reason: str | None = None) -> str | None:
        if self.protocol == "grpcweb" and is_stream_of_requests(call.method):
            return "gRPC-Web has no streams of requests"
        return super().lacks(call, reason)

    def command(self, call: Call) -> list[str]:
        headers = [word for name, value in call.headers.items() for word in ("--header", f"{name}: {value}")]
        flags = ["--cacert", self.ca, "--protocol", self.protocol, "--schema", str(self.schema), *headers]
        url = f"https://localhost:{self.server.port}/{call.method}"
        return [str(self.buf), "curl", "--timeout", f"{call.deadline}s", *flags, "--data", "@-", url]

    def refused(self, complaint: str, answers: list[dict]) -> Outcome:
        if "context deadline exceeded" in complaint and not complaint.startswith("{"):
            return Outcome("DEADLINE_EXCEEDED", answers, complaint, None, set())
        assert complaint.startswith("{"), complaint
        [status] = documents(complaint)
        details = [(it["type"], from_base64(it["value"])) for it in status.get("details", [])]
        return refusal(status["code"].upper().replace("CANCELED", "CANCELLED"), status["message"], details, answers)


class Grpcio:
    name = "grpcio"

    def __init__(self, server: Server) -> None:
        credentials = grpc.ssl_channel_credentials((server.folder / "ca.pem").read_bytes())
        # What the server says, and no tries of the library's own.
        self.channel = grpc.secure_channel(f"localhost:{server.port}", credentials, [("grpc.enable_retries", 0)])

    def close(self) -> None:
        self.channel.close()

    def lacks(self, _call: Call, _reason: str | None) -> str | None:
        return None

    def make(self, call: Call, on_answer: Callable[[], None]) -> Outcome:
        asked, told = kinds(call.method)
        messages = (
            [call.raw]
            if call.raw is not None
            else [json_format.ParseDict(it, asked()).SerializeToString() for it in call.messages]
        )
        stream = self.channel.stream_stream(f"/{call.method}", bytes, told.FromString)(
            iter(messages),
            timeout=call.deadline,
            metadata=tuple(call.headers.items()),
            wait_for_ready=True,
            compression=grpc.Compression.Deflate if call.compressed else None,
        )
        answers = []
        try:
            for answer in stream:
                answers.append(normal(call.method, json_format.MessageToDict(answer)))
                on_answer()
                if len(answers) == call.take:
                    break
        except grpc.RpcError as error:
            status = rpc_status.from_call(error)
            return refusal(error.code().name, error.details(), unpacked(status) if status else [], answers)
        finally:
            stream.cancel()
        return Outcome("OK", answers)


class Node:
    """driver.ts, which takes calls line by line and goes on until its input ends."""

    LIBRARIES = ("grpc-js", "connect-node-grpc", "connect-node-grpcweb", "connect-web")

    def __init__(self, server: Server, name: str) -> None:
        self.name = name
        schema = server.folder / f"{name}.binpb"
        schema.write_bytes(descriptors())
        ca = str(server.folder / "ca.pem")
        program = str(PROGRAMS / "typescript" / "dist" / "driver.js")
        self.child = subprocess.Popen(
            ["node", program, name, f"https://localhost:{server.port}", ca, str(schema)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"NODE_EXTRA_CA_CERTS": ca},
        )

    def close(self) -> None:
        self.child.stdin.close()
        self.child.wait(PATIENCE)
        self.child.stdout.close()

    def lacks(self, call: Call, reason: str | None = None) -> str | None:
        if "web" in self.name and is_stream_of_requests(call.method):
            return "gRPC-Web has no streams of requests"
        if self.name == "connect-web" and call.compressed:
            return "it does not compress"
        return None

    def make(self, call: Call, on_answer: Callable[[], None]) -> Outcome:
        raw = call.raw.hex() if call.raw is not None else None
        self.child.stdin.write(json.dumps(vars(call) | {"raw": raw}) + "\n")
        self.child.stdin.flush()
        answers = []
        for line in self.child.stdout:
            said = json.loads(line)
            if "answer" in said:
                answers.append(normal(call.method, said["answer"]))
                on_answer()
            elif said["code"] == 0:
                return Outcome("OK", answers)
            else:
                details = [(it["type"], from_base64(it["value"])) for it in said["details"]]
                return refusal(CODES[said["code"]], said["text"], details, answers)
        raise AssertionError(f"{self.name} has ended")
