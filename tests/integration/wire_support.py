"""Raw servers on loopback that do to a wire what the world does, and certificates for those that speak TLS.

The servers speak bytes, so that no library of a protocol stands on both sides. Where a server must take its time it
waits for the peer to go away, with a limit: nothing sleeps.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import socket
import ssl
import struct
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop

from outrider.core.units import MILLISECOND, SECOND
from outrider.transport import Exchange
from outrider_sandbox.lines.certificates import Authority

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]
T = TypeVar("T")

PATIENT = 10 * SECOND  # for what must not time out
BRIEF = 120 * MILLISECOND  # for what must
SOCKET_BUFFERS = 24 << 20
"""More than the kernel keeps of a connection on loopback, both directions together (a few MiB each)."""

LOOPS = pytest.mark.parametrize(
    "loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


def on(loop_factory: LoopFactory, work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(work)


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on asyncio's loop, and on uvloop's: they differ in how they tell of trouble."""

    @functools.wraps(test)
    def run(*, loop_factory: LoopFactory, **arguments: Any) -> None:
        on(loop_factory, test(**arguments))

    given = inspect.signature(test)
    extra = inspect.Parameter("loop_factory", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = given.replace(parameters=[*given.parameters.values(), extra])  # type: ignore[attr-defined]
    marked: Callable[..., None] = LOOPS(run)
    return marked


@dataclass
class Peer:
    """A server: where it is, and how many connections it had."""

    port: int
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def listening(answer: Answer, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Peer]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer.connections += 1
        try:
            await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    peer = Peer(server.sockets[0].getsockname()[1])
    try:
        yield peer
    finally:
        server.close()
        await server.wait_closed()


@contextmanager
def taken_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[int]:
    """A port where nobody listens and that nobody else can take."""
    with socket.socket(type=kind) as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def gone_within(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Whether the peer closed the connection in that time."""
    try:
        return await asyncio.wait_for(reader.read(), seconds) == b""
    except TimeoutError:
        return False


def silent() -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    return answer


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection the hard way: RST instead of FIN."""
    # A duplicate of the descriptor, since uvloop's own socket object refuses to set options.
    with writer.get_extra_info("socket").dup() as duplicate:
        duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def found(exchange: Exchange[Any]) -> tuple[str, str]:
    """Code and place of what went wrong; there must be no reply beside it."""
    assert exchange.reply is None
    assert exchange.failure is not None
    return exchange.failure.code, exchange.failure.place


@dataclass(frozen=True)
class Certificates:
    """A CA of our own, and what it signed: for "localhost", for 127.0.0.1 and ::1, for another host,
    too late, and on a server that speaks TLS 1.1 at most."""

    ca: Path
    server: ssl.SSLContext
    by_address: ssl.SSLContext
    elsewhere: ssl.SSLContext
    expired: ssl.SSLContext
    old: ssl.SSLContext

    @classmethod
    def made_in(cls, folder: Path) -> Certificates:
        now = datetime.now(UTC)
        day = timedelta(days=1)
        authority = Authority(now, "test-ca")
        (folder / "ca.pem").write_bytes(authority.pem)
        old = authority.server(["localhost"], now - day, now + day)
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        return cls(
            folder / "ca.pem",
            authority.server(["localhost"], now - day, now + 30 * day),
            authority.server(["127.0.0.1", "::1"], now - day, now + 30 * day),
            authority.server(["elsewhere.example"], now - day, now + 30 * day),
            authority.server(["localhost"], now - 3 * day, now - day),
            old,
        )
