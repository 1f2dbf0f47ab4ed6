"""The wire on aiohttp: a new connection for each exchange, so that every phase is measured every time.

Connections are not kept: a probe asks what a customer who arrives now would see. A request goes out once: aiohttp
would by itself repeat a GET whose connection ended without an answer, and so hide a failed first attempt. Redirects,
cookies, proxies from the environment and content decoding are off, no header is added for which nobody asked but those
that HTTP needs: what was configured is asked, and what came is what is read.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp

from outrider.clock import Clock
from outrider.core.outcome import Finding
from outrider.core.units import SECOND, Duration
from outrider.core.wire import Phases
from outrider.transport import RESPONSE_CAP, Exchange, HttpReply, HttpRequest
from outrider.transport.failures import CONNECT_CODES, own_trouble
from outrider.transport.gate import Gate
from outrider.transport.policy import ANYWHERE, Policy
from outrider.transport.timing import Stopwatch
from outrider.transport.tls import configure, unreadable


@dataclass(slots=True)
class _Attempt:
    """One exchange under way, for what aiohttp calls without saying for whom. The gate comes once aiohttp has read the
    URL: its reading is the one that is held against the policy."""

    stopwatch: Stopwatch
    gate: Gate | None = None

    def in_truth(self, failure: Finding | None) -> Finding | None:
        """What failed the exchange, where the policy may have kept it from a connection."""
        if self.gate is None or self.stopwatch.phase not in ("resolve", "connect"):
            return failure
        return self.gate.instead_of(failure)


_running: ContextVar[_Attempt] = ContextVar("_running")


class _TimedContext(ssl.SSLContext):
    """Marks where the handshake begins: aiohttp's traces do not tell it from the TCP connection."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        attempt = _running.get()
        attempt.stopwatch.enter("tls")
        return super().wrap_bio(*args, **kwargs)


class AiohttpTransport:
    """The wire for HTTP, within a policy. Make it inside a running event loop."""

    def __init__(self, clock: Clock, policy: Policy = ANYWHERE) -> None:
        self._clock = clock
        self.policy = policy
        self._contexts: dict[tuple[str | None, bool], ssl.SSLContext] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True, use_dns_cache=False, socket_factory=_at_the_gate),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,
            trace_configs=[_traces()],
            middlewares=(self._through_the_gate, _once),
        )

    async def exchange(self, request: HttpRequest, timeout: Duration) -> Exchange:
        """See `outrider.transport.Transport.exchange`."""
        try:
            context = self._context(request)  # before the stopwatch: to read certificates takes 20 ms
        except OSError as error:
            return Exchange(None, unreadable(request.ca_file, error), Phases(), 0)
        stopwatch = Stopwatch(self._clock)
        attempt = _Attempt(stopwatch)
        _running.set(attempt)
        reply, failure = None, None
        try:
            async with asyncio.timeout(timeout / SECOND):
                reply = await self._send(request, context, stopwatch)
        except TimeoutError:
            failure = Finding("timeout", f"net/{stopwatch.phase}", f"no answer within {timeout / SECOND:g} s")
        except _TooLongError:
            failure = Finding("too-long", "body/size", f"the answer is longer than {RESPONSE_CAP} bytes")
        except _EndedError as ended:
            failure = _explain(ended.cause, stopwatch.phase)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = _explain(error, stopwatch.phase)
        phases, latency = stopwatch.stop()
        return Exchange(reply, attempt.in_truth(failure), phases, latency)

    async def _through_the_gate(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Every request passes here before anything is looked up, those too that aiohttp makes itself (redirects)."""
        gate = Gate(self.policy, request.url.raw_host or "", request.url.port or 0)
        _running.get().gate = gate
        gate.check()
        return await handler(request)

    async def _send(self, request: HttpRequest, context: ssl.SSLContext | bool, stopwatch: Stopwatch) -> HttpReply:
        async with self._session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.body or None,
            allow_redirects=False,
            ssl=context,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            trace_request_ctx=stopwatch,
        ) as response:
            stopwatch.enter("receive")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > RESPONSE_CAP:
                    raise _TooLongError
            return HttpReply(response.status, tuple(response.headers.items()), bytes(body))

    def _context(self, request: HttpRequest) -> ssl.SSLContext | bool:
        if not request.url.startswith("https:"):
            return True
        key = (request.ca_file, request.verify_tls)
        if key not in self._contexts:
            self._contexts[key] = _tls_context(*key)
        return self._contexts[key]

    async def close(self) -> None:
        """See `outrider.transport.Transport.close`."""
        await self._session.close()


def _at_the_gate(address: aiohttp.AddrInfoType) -> socket.socket:
    """Make the socket that aiohttp connects to the address that it gives here."""
    family, kind, _, _, where = address
    gate = _running.get().gate
    assert gate is not None  # without one, no socket
    return gate.socket(family, kind, where)


class _TooLongError(Exception):
    """The answer went over the cap."""


class _EndedError(Exception):
    """The connection ended before an answer had begun; `cause` is what aiohttp raised."""

    def __init__(self, cause: aiohttp.ClientError) -> None:
        super().__init__(cause)
        self.cause = cause


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a request a second time: it does so after these two, whatever the connection."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _EndedError(error) from error


def _tls_context(ca_file: str | None, verify: bool) -> ssl.SSLContext:
    context = _TimedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    configure(context, ca_file, verify=verify)
    return context


def _traces() -> aiohttp.TraceConfig:
    traces = aiohttp.TraceConfig()

    def on(signal: Any, phase: str) -> None:
        async def enter(session: aiohttp.ClientSession, context: SimpleNamespace, event: object) -> None:  # noqa: ARG001
            context.trace_request_ctx.enter(phase)

        signal.append(enter)

    on(traces.on_dns_resolvehost_start, "resolve")
    on(traces.on_dns_resolvehost_end, "connect")
    on(traces.on_connection_create_end, "send")
    on(traces.on_request_headers_sent, "wait")
    on(traces.on_request_chunk_sent, "wait")
    return traces


def _explain(error: Exception, phase: str) -> Finding:
    """Map what aiohttp raised to where the exchange failed; the one border where its exceptions are known."""
    detail = str(error)[:200]
    number = error.errno if isinstance(error, OSError) else None
    if own := own_trouble(error):
        return own
    match error:
        case aiohttp.ClientConnectorError():
            return _explain_connector(error, phase)
        case aiohttp.ServerDisconnectedError():
            return Finding("closed", f"net/{phase}", "the peer closed the connection without an answer")
        case aiohttp.ClientPayloadError():
            return Finding("truncated", "net/receive", "the answer ended before its length")
        case ValueError() if phase in ("connect", "resolve"):
            return Finding("cannot-send", "agent/request", detail)
        case aiohttp.ClientResponseError() | ValueError():
            return Finding("bad-http", "net/protocol", detail)
        case ConnectionResetError() | BrokenPipeError():
            return Finding("reset", f"net/{phase}", "the peer reset the connection")
        case OSError() if number in (errno.ECONNRESET, errno.EPIPE):
            return Finding("reset", f"net/{phase}", "the peer reset the connection")
    return Finding("failed", f"net/{phase}", detail)


def _explain_connector(error: aiohttp.ClientConnectorError, phase: str) -> Finding:
    """What went wrong before there was a connection, with the address but without aiohttp's wrapping."""
    cause = error.os_error
    reason = getattr(cause, "verify_message", "") or cause.strerror or str(cause) or "the peer ended the connection"
    detail = f"{error.host}:{error.port}: {reason}"[:200]
    match error:
        case aiohttp.ClientConnectorDNSError() if isinstance(cause, socket.gaierror):
            return Finding("dns", "net/resolve", detail)
        case aiohttp.ClientConnectorDNSError():
            # The machine did not get as far as to ask: it has no file descriptor left, for one.
            return Finding(errno.errorcode.get(cause.errno or 0, "failed"), "agent/resolver", detail)
        case aiohttp.ClientConnectorCertificateError():
            return Finding("certificate", "net/tls", detail)
        case aiohttp.ClientConnectorSSLError():
            return Finding("handshake", "net/tls", detail)
    code = "reset" if isinstance(cause, ConnectionResetError) else CONNECT_CODES.get(cause.errno or 0, "failed")
    return Finding(code, f"net/{phase}", detail)
