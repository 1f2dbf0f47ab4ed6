"""All wires as one transport: each request goes over the wire of its kind."""

from __future__ import annotations

from outrider.clock import Clock
from outrider.core.units import Duration
from outrider.transport import Exchange, HttpRequest, Reply, Request, StreamRequest
from outrider.transport.aiohttp_wire import AiohttpTransport
from outrider.transport.datagram_wire import DatagramWire
from outrider.transport.policy import ANYWHERE, Policy
from outrider.transport.stream_wire import StreamWire


class Wires:
    """The agent's transport. Make it inside a running event loop. Whoever runs by a configuration gives its policy."""

    def __init__(self, clock: Clock, policy: Policy = ANYWHERE) -> None:
        self._http = AiohttpTransport(clock, policy)
        self._streams = StreamWire(clock, policy)
        self._datagrams = DatagramWire(clock, policy)

    def keep_to(self, policy: Policy) -> None:
        """Go by this policy from the next exchange on."""
        self._http.policy = self._streams.policy = self._datagrams.policy = policy

    async def exchange(self, request: Request, timeout: Duration) -> Exchange[Reply]:
        """See `outrider.transport.Transport.exchange`."""
        if isinstance(request, HttpRequest):
            return await self._http.exchange(request, timeout)
        if isinstance(request, StreamRequest):
            return await self._streams.exchange(request, timeout)
        return await self._datagrams.exchange(request, timeout)

    async def close(self) -> None:
        """See `outrider.transport.Transport.close`."""
        await self._http.close()
