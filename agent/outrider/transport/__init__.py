"""The wires behind a small Protocol: one exchange, timed by phase, that never raises for a target's doing.

Three kinds of exchange: an HTTP request, a conversation over a stream (TCP, or TLS over it), and one datagram with its
answer (UDP). What is said in them is for probes; a wire knows bytes, and where an answer ends.

A failed exchange comes back as a core Finding whose place says how far it came ("net/resolve", "net/connect",
"net/tls", "net/send", "net/wait", "net/receive") or that the peer broke the protocol ("net/protocol"). What the
agent's own machine failed at is "agent/...".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias

from outrider.codecs.framing import Ends
from outrider.core.outcome import Finding
from outrider.core.units import Duration
from outrider.core.wire import Phases

RESPONSE_CAP = 1 << 20
"""The most bytes of an answer that are read (1 MiB). A longer answer is a finding, not a risk."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSENDABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as it goes out; `url` is absolute. Headers and body are left out of the repr: they may hold what
    must not be logged. Raises ValueError for a header that HTTP cannot carry (RFC 9110, 5.1 and 5.5), without its
    value."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    ca_file: str | None = None
    verify_tls: bool = True

    def __post_init__(self) -> None:
        for name, value in self.headers:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a header")
            if _UNSENDABLE.search(value):
                raise ValueError(f"header {name} holds a line end or another character that no header can")


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A complete answer: status, headers in order, and the whole body."""

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str:
        """The first header of that name, in any case; "" if there is none."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), "")


def _always(answer: bytes) -> bool:  # noqa: ARG001
    return True


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation: `send` goes out, then an answer is read as far as `ends` says (None: no answer is
    waited for). The next turn comes if `goes_on` agrees to the answer; `then_tls` does a TLS handshake before it."""

    send: bytes = field(default=b"", repr=False)
    ends: Ends | None = None
    goes_on: Callable[[bytes], bool] = _always
    then_tls: bool = False


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """A conversation over TCP; with `tls` from the start, over TLS. Without turns it only connects. `server_name` is
    whom the certificate must be for, where that is not `host`."""

    host: str
    port: int
    turns: tuple[Turn, ...] = ()
    tls: bool = False
    ca_file: str | None = None
    verify_tls: bool = True
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class TlsPeer:
    """What the handshake agreed on: the peer's certificate (X.509, DER); version and cipher by OpenSSL's names."""

    certificate: bytes = field(repr=False)
    version: str
    cipher: str


@dataclass(frozen=True, slots=True)
class StreamReply:
    """Every answer of a conversation, in order; `rest` is what came after the last one, and nobody asked for."""

    answers: tuple[bytes, ...] = field(default=(), repr=False)
    tls: TlsPeer | None = None
    rest: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class DatagramRequest:
    """One datagram over UDP. It goes out again after each of `resend` (microseconds) without an answer. What comes and
    is not `is_answer` is passed over: anybody can send datagrams."""

    host: str
    port: int
    payload: bytes = field(repr=False)
    is_answer: Callable[[bytes], bool] = _always
    resend: tuple[Duration, ...] = ()


@dataclass(frozen=True, slots=True)
class DatagramReply:
    """The answer to a datagram, and how often the request went out before it came."""

    payload: bytes = field(repr=False)
    sent: int = 1


Request: TypeAlias = HttpRequest | StreamRequest | DatagramRequest
Reply: TypeAlias = HttpReply | StreamReply | DatagramReply

if TYPE_CHECKING:  # defaults of type variables come with Python 3.13; the checker knows them already
    from typing_extensions import TypeVar

    A_co = TypeVar("A_co", bound=Reply, default=HttpReply, covariant=True)
else:
    from typing import TypeVar

    A_co = TypeVar("A_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Exchange(Generic[A_co]):
    """What became of a request. Exactly one of reply and failure is there, the reply of the request's kind; durations
    in microseconds, monotonic."""

    reply: A_co | None
    failure: Finding | None
    phases: Phases
    latency: Duration

    @property
    def http_status(self) -> int:
        """The HTTP status that came; 0 where none did."""
        return self.reply.status if isinstance(self.reply, HttpReply) else 0


class Transport(Protocol):
    """Exchanges requests for replies."""

    async def exchange(self, request: Request, timeout: Duration) -> Exchange[Reply]:
        """Send and wait for the whole answer, for `timeout` microseconds in all. Raises only CancelledError."""
        ...

    async def close(self) -> None:
        """Let go of sockets."""
        ...
