"""The wire for conversations over TCP and TLS: a new connection for each, closed when it is over.

Like the wire for HTTP it keeps no connection, sends nothing twice, and says how far it came when it fails.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from outrider.clock import Clock
from outrider.codecs.framing import Ends, FramingError
from outrider.core.outcome import Finding
from outrider.core.units import SECOND, Duration
from outrider.core.wire import Phases
from outrider.transport import RESPONSE_CAP, Exchange, StreamReply, StreamRequest, TlsPeer
from outrider.transport.failures import explain, own_trouble
from outrider.transport.gate import Gate
from outrider.transport.policy import ANYWHERE, Policy
from outrider.transport.sockets import connect
from outrider.transport.timing import Stopwatch
from outrider.transport.tls import client_context, unreadable

_MOST_AT_ONCE = 1 << 20
"""More than asyncio's reader ever holds: nothing that came in clear is left in it when a handshake begins."""

_NO_LIMIT_S = 86_400.0
"""asyncio would end a handshake after a minute; the exchange has a limit of its own."""


class _EndedError(Exception):
    """The conversation is over before its end: the finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


@dataclass(slots=True)
class _Conversation:
    """One conversation as far as it has come."""

    request: StreamRequest
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    stopwatch: Stopwatch
    answers: list[bytes] = field(default_factory=list)
    waiting: bytearray = field(default_factory=bytearray)

    async def hold(self) -> StreamReply:
        """Raises _EndedError, OSError, FramingError."""
        if self.request.tls:
            await self._shake_hands()
        for turn in self.request.turns:
            if turn.send:
                self.stopwatch.enter("send")
                self.writer.write(turn.send)
                await self.writer.drain()
            if turn.ends is None:
                continue
            self.answers.append(await self._read(turn.ends))
            if not turn.goes_on(self.answers[-1]):
                break
            if turn.then_tls:
                if self.waiting:  # what came in clear must not be taken for what comes over TLS (CVE-2011-0411)
                    raise FramingError("early-answer", "the peer sent more before the handshake that it had agreed to")
                await self._shake_hands()
        return StreamReply(tuple(self.answers), self._peer(), bytes(self.waiting))

    async def _shake_hands(self) -> None:
        self.stopwatch.enter("tls")
        context = client_context(self.request.ca_file, self.request.verify_tls)
        name = self.request.server_name or self.request.host
        await self.writer.start_tls(context, server_hostname=name, ssl_handshake_timeout=_NO_LIMIT_S)

    async def _read(self, ends: Ends) -> bytes:
        self.stopwatch.enter("receive" if self.waiting else "wait")
        while (length := ends(self.waiting) if self.waiting else None) is None:
            if len(self.waiting) > RESPONSE_CAP:
                raise FramingError("too-long", f"the answer is longer than {RESPONSE_CAP} bytes")
            chunk = await self.reader.read(_MOST_AT_ONCE)
            if not chunk:
                raise _EndedError(self._breaks_off())
            self.stopwatch.enter("receive")
            self.waiting += chunk
        answer = bytes(self.waiting[:length])
        del self.waiting[:length]
        return answer

    def _breaks_off(self) -> Finding:
        if self.waiting:
            return Finding("truncated", "net/receive", "the peer closed the connection in the middle of its answer")
        return Finding("closed", "net/wait", "the peer closed the connection without an answer")

    def _peer(self) -> TlsPeer | None:
        tls = self.writer.get_extra_info("ssl_object")
        if tls is None:
            return None
        cipher = tls.cipher()
        return TlsPeer(tls.getpeercert(binary_form=True) or b"", tls.version() or "", cipher[0] if cipher else "")


class StreamWire:
    """The wire for `StreamRequest`, within a policy."""

    def __init__(self, clock: Clock, policy: Policy = ANYWHERE) -> None:
        self._clock = clock
        self.policy = policy

    async def exchange(self, request: StreamRequest, timeout: Duration) -> Exchange[StreamReply]:
        """See `outrider.transport.Transport.exchange`."""
        try:  # before the stopwatch: to read certificates takes 20 ms
            if request.tls or any(turn.then_tls for turn in request.turns):
                client_context(request.ca_file, request.verify_tls)
        except OSError as error:
            return Exchange(None, unreadable(request.ca_file, error), Phases(), 0)
        stopwatch = Stopwatch(self._clock)
        gate = Gate(self.policy, request.host, request.port)
        reply, failure = None, None
        try:
            async with asyncio.timeout(timeout / SECOND):
                reply = await self._hold(request, stopwatch, gate)
        except TimeoutError as error:
            # The system's own time-out is one too: an OSError with a number.
            limit = f"no answer within {timeout / SECOND:g} s" if error.errno is None else "the system gave up"
            failure = Finding("timeout", f"net/{stopwatch.phase}", limit)
        except FramingError as error:
            failure = Finding(error.code, "body/frame", str(error))
        except _EndedError as ended:
            failure = ended.finding
        except OSError as error:
            failure = explain(error, stopwatch.phase)
        except ValueError as error:  # a host that is no name (UnicodeError), a port out of range
            failure = own_trouble(error) or Finding("cannot-send", "agent/request", str(error)[:200])
        phases, latency = stopwatch.stop()
        return Exchange(reply, gate.instead_of(failure), phases, latency)

    async def _hold(self, request: StreamRequest, stopwatch: Stopwatch, gate: Gate) -> StreamReply:
        connected = await connect(request.host, request.port, stopwatch, gate)
        try:
            reader, writer = await asyncio.open_connection(sock=connected)
        except BaseException:
            connected.close()
            raise
        try:
            return await _Conversation(request, reader, writer, stopwatch).hold()
        finally:
            with contextlib.suppress(Exception):
                writer.transport.abort()  # what a peer still has to say about the end is nobody's business

    async def close(self) -> None:
        """Nothing is kept between conversations."""
