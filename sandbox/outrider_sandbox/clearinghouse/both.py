"""A service over UDP and over TCP, on one port of both, as name servers and SIP hosts have it."""

from __future__ import annotations

import errno
from collections.abc import Callable

from outrider_sandbox.messages import DatagramService, StreamService


class OnBoth:
    """See `outrider_sandbox.services.Service`. Its address is that of UDP."""

    _TRIES = 20

    def __init__(self, make_datagrams: Callable[[], DatagramService], make_stream: Callable[[], StreamService]) -> None:
        self._make_datagrams = make_datagrams
        self._make_stream = make_stream
        self._listening: list[DatagramService | StreamService] = []

    async def start(self, host: str, port: int) -> str:
        """See `outrider_sandbox.services.Service`. A port that is free on UDP may be taken on
        TCP: another one is tried then."""
        for left in reversed(range(self._TRIES)):
            datagrams, stream = self._make_datagrams(), self._make_stream()
            self._listening = [datagrams, stream]
            url = await datagrams.start(host, port)
            try:
                await stream.start(host, int(url.rpartition(":")[2]))
            except OSError as error:
                await self.close()
                if port or not left or error.errno != errno.EADDRINUSE:
                    raise
            else:
                return url
        raise AssertionError("the last try returns or raises")

    async def close(self) -> None:
        """See `outrider_sandbox.services.Service`."""
        for service in self._listening:
            await service.close()
