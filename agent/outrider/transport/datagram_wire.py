"""The wire for datagrams: one request, sent again while nothing comes, and the first datagram that is its answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from outrider.clock import Clock
from outrider.core.outcome import Finding
from outrider.core.units import SECOND, Duration
from outrider.transport import RESPONSE_CAP, DatagramReply, DatagramRequest, Exchange
from outrider.transport.failures import explain
from outrider.transport.gate import Gate
from outrider.transport.policy import ANYWHERE, Policy
from outrider.transport.sockets import Address, resolve
from outrider.transport.timing import Stopwatch


class DatagramWire:
    """The wire for `DatagramRequest`, within a policy."""

    def __init__(self, clock: Clock, policy: Policy = ANYWHERE) -> None:
        self._clock = clock
        self.policy = policy

    async def exchange(self, request: DatagramRequest, timeout: Duration) -> Exchange[DatagramReply]:
        """See `outrider.transport.Transport.exchange`."""
        stopwatch = Stopwatch(self._clock)
        gate = Gate(self.policy, request.host, request.port)
        reply, failure = None, None
        try:
            async with asyncio.timeout(timeout / SECOND):
                reply = await _ask_any(request, stopwatch, gate)
        except TimeoutError:
            failure = Finding("timeout", f"net/{stopwatch.phase}", f"no answer within {timeout / SECOND:g} s")
        except OSError as error:
            failure = explain(error, stopwatch.phase)
        except ValueError as error:
            failure = Finding("cannot-send", "agent/request", str(error)[:200])
        phases, latency = stopwatch.stop()
        return Exchange(reply, gate.instead_of(failure), phases, latency)

    async def close(self) -> None:
        """Nothing is kept between requests."""


async def _ask_any(request: DatagramRequest, stopwatch: Stopwatch, gate: Gate) -> DatagramReply:
    """The answer of the first address that does not refuse at once, as for a connection. Raises the last OSError."""
    gate.check()
    failure: OSError = OSError("the name has no address")
    for address in await resolve(request.host, request.port, socket.SOCK_DGRAM, stopwatch):
        try:
            return await _ask(request, address, stopwatch, gate)
        except TimeoutError:
            raise
        except OSError as error:
            failure, gate.reached = error, False
    raise failure


async def _ask(request: DatagramRequest, address: Address, stopwatch: Stopwatch, gate: Gate) -> DatagramReply:
    loop = asyncio.get_running_loop()
    with contextlib.closing(gate.socket(address[0], socket.SOCK_DGRAM, address[1])) as connected:
        # Connected, so that the system tells of a port nobody listens on, and keeps other senders' datagrams away.
        await loop.sock_connect(connected, address[1])
        gate.reached = True
        for number, patience in enumerate((*request.resend, None), start=1):
            stopwatch.enter("send")
            await loop.sock_sendall(connected, request.payload)
            stopwatch.enter("wait")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if patience is None else patience / SECOND):
                    return DatagramReply(await _first_answer(request, connected), number)
    raise TimeoutError  # never: the last wait has no limit of its own


async def _first_answer(request: DatagramRequest, connected: socket.socket) -> bytes:
    while True:
        received = await asyncio.get_running_loop().sock_recv(connected, RESPONSE_CAP)
        if request.is_answer(received):
            return received
        await asyncio.sleep(0)  # a sender of many that are none must not have the loop to itself
