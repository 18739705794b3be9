"""How a server is reached, what is tried again, and what a refusal says."""

import argparse
import asyncio
import os
import random
import sys
from pathlib import Path
from urllib.parse import urlsplit

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

SERVICE_CONFIG = Path(__file__).parents[2] / "proto" / "service_config.json"


def arguments(description: str) -> argparse.ArgumentParser:
    """The flags that every program takes; each has the variable that the tidegate tool reads, too."""
    parser = argparse.ArgumentParser(description=description)
    env = os.environ.get
    parser.add_argument("--address", default=env("TIDEGATE_ADDRESS") or "http://127.0.0.1:50051")
    parser.add_argument("--ca", default=env("TIDEGATE_CA"), help="authorities of the server's certificate, PEM")
    parser.add_argument("--token-file", default=env("TIDEGATE_TOKEN_FILE"), help="or the token in TIDEGATE_TOKEN")
    return parser


def connect(args: argparse.Namespace) -> grpc.aio.Channel:
    """A channel that tries calls again as the service config says, and shows the token where it is safe."""
    url = urlsplit(args.address)
    token = Path(args.token_file).read_text().strip() if args.token_file else os.environ.get("TIDEGATE_TOKEN")
    if url.scheme == "https":
        credentials = grpc.ssl_channel_credentials(Path(args.ca).read_bytes() if args.ca else None)
    elif token and url.hostname not in ("localhost", "127.0.0.1", "::1"):
        sys.exit("a token travels through TLS or to the loopback: use an https address")
    else:
        # Takes no address but a loopback, and a token with it.
        credentials = grpc.local_channel_credentials()
    if token:
        credentials = grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials(token))
    options = [
        ("grpc.service_config", SERVICE_CONFIG.read_text()),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        # A peer that has vanished is noticed within half a minute.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
    ]
    return grpc.aio.secure_channel(url.netloc, credentials, options)


def detail(error: grpc.aio.AioRpcError, kind):
    """The detail of that kind, or None."""
    status = rpc_status.from_call(error)
    for packed in status.details if status else []:
        message = kind()
        if packed.Unpack(message):
            return message
    return None


def reason(error: grpc.aio.AioRpcError) -> str | None:
    """Why the server refused; None when the status is not the server's: then the connection failed."""
    info = detail(error, error_details_pb2.ErrorInfo)
    return info.reason if info else None


def asked_pause(error: grpc.aio.AioRpcError) -> float:
    """How many seconds the server asks to wait; 0 when it does not."""
    info = detail(error, error_details_pb2.RetryInfo)
    return info.retry_delay.ToTimedelta().total_seconds() if info else 0


def told(error: grpc.aio.AioRpcError) -> str:
    """What people are told."""
    return f"{error.details()} ({' '.join(filter(None, [error.code().name, reason(error)]))})"


def is_passing(error: grpc.aio.AioRpcError) -> bool:
    """Whether a stream that ended so is worth opening again."""
    passing = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
    return error.code() in passing or reason(error) is None


def run(main) -> None:
    """Runs a program until it ends or is interrupted."""
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)


class Backoff:
    """Pauses between tries: drawn from a range that doubles up to 5 s, and never shorter than the server asks for."""

    def __init__(self) -> None:
        self.ceiling = 0.1

    def start_over(self) -> None:
        self.ceiling = 0.1

    async def pause(self, error: grpc.aio.AioRpcError | None = None) -> None:
        asked = asked_pause(error) if error else 0
        await asyncio.sleep(max(random.uniform(0, self.ceiling), min(asked, 60)))
        self.ceiling = min(self.ceiling * 2, 5)
