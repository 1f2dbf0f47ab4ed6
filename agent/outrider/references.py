"""Reference targets: places that have nothing to do with the service, and tell whether this agent reaches anything.

Rules
-----
1. A run that failed on the way (net/...) is void where this agent reached none of its references either (R2): then its
   own line is the likelier cause, and silence is what it has to say about the service.
2. What counts are the rounds that overlap the run, and one that begins when the run has failed. One round that reached
   no reference is enough: a line that came back in between was down nevertheless.
   A round that looked at other references, since a reload came between, says nothing.
3. A name that could not be resolved is held against references that have names, where there are any: an address is
   reached without a resolver.
4. Runs that fail together share a round; rounds never run side by side.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import msgspec

from outrider.clock import Clock
from outrider.core.outcome import Finding, Outcome
from outrider.core.units import SECOND, Duration
from outrider.probes import Target, endpoint
from outrider.probes.tcp import TcpProbe
from outrider.strict_yaml import DurationText, Loaded, default, nearest
from outrider.transport import StreamRequest, Transport

_ROUNDS_KEPT = 1000
_ANY_SCHEME = {"http": 80, "https": 443, "tcp": 1, "tls": 1, "udp": 1}  # for whom only the host matters
_OF_THE_WAY = ("net/resolve", "net/connect", "net/send", "net/wait", "net/receive", "net/tls")
_NO_MATTER_OF_THE_LINE = ("certificate", "handshake", "bad-tls")


class ReferenceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which targets are references, how often they are looked at, and how long one may take."""

    targets: tuple[str, ...] = ()
    interval: DurationText = default(DurationText, "10s")
    timeout: DurationText = default(DurationText, "2s")


def read_references(
    loaded: Loaded[Any], settings: ReferenceSettings, targets: Mapping[str, Target], probed: Iterable[Target]
) -> dict[str, StreamRequest]:
    """The connections to make, by name. Raises ConfigError at `references`: for a target that there is not, that has no
    connection to make, or that is on a host which is itself being probed."""
    services = {_host(target): target.name for target in probed}
    if not 0 < settings.timeout <= settings.interval:
        raise loaded.located.error(
            ("references", "timeout"), "a timeout is longer than nothing and at most the interval"
        )
    requests = {}
    for number, name in enumerate(settings.targets):
        at = ("references", "targets", number)
        if name not in targets:
            raise loaded.located.error(at, f"there is no target {name!r}", nearest(name, targets))
        if (service := services.get(_host(targets[name]))) is not None:
            told = f"target {name!r} is on the host of {service!r}, which is being probed: it would be down with it"
            raise loaded.located.error(at, told)
        try:
            where = endpoint(targets[name], TcpProbe.schemes)
        except ValueError as error:
            raise loaded.located.error(at, str(error)) from None
        if where.scheme not in TcpProbe.schemes:
            raise loaded.located.error(at, f"target {name!r} is {where.scheme}://; a reference is connected to (TCP)")
        requests[name] = TcpProbe().prepare({}, targets[name], lambda text: text).request
    return requests


def _host(target: Target) -> str:
    return endpoint(target, _ANY_SCHEME).host.lower()


@dataclass(frozen=True, slots=True)
class Round:
    """One look at every reference; monotonic microseconds."""

    began: Duration
    ended: Duration
    looked_at: frozenset[str]
    reached: frozenset[str]


class References:
    """Looks at the references, by itself (`watch`) and when a run has failed (`finding`).

    `requests` are connections to make, by the reference's name.
    """

    def __init__(
        self,
        requests: Mapping[str, StreamRequest],
        transport: Transport,
        clock: Clock,
        *,
        interval: Duration = 10 * SECOND,
        timeout: Duration = 2 * SECOND,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._rounds: deque[Round] = deque(maxlen=_ROUNDS_KEPT)
        self._turn = asyncio.Lock()
        self.serve(requests, interval, timeout)

    def serve(self, requests: Mapping[str, StreamRequest], interval: Duration, timeout: Duration) -> None:
        """Look at these from now on."""
        self._requests = dict(requests)
        self._named = frozenset(name for name, request in requests.items() if not _is_literal(request.host))
        self._interval = interval
        self._timeout = timeout

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._requests)

    @property
    def reached(self) -> frozenset[str] | None:
        """What the last round reached; None before the first."""
        return self._rounds[-1].reached if self._rounds else None

    async def watch(self) -> None:
        """Look at them again and again. Raises only CancelledError."""
        while True:
            if self._requests:
                await self._look(self._clock.monotonic())
            await asyncio.sleep(self._interval / SECOND)

    async def finding(self, outcome: Outcome, began: Duration) -> Finding | None:
        """Why a run that began at this monotonic reading, and has failed just now, says nothing about the service; None
        where it does. Raises only CancelledError."""
        if not self._requests or not _is_of_the_way(outcome):
            return None
        await self._look(self._clock.monotonic())
        counted = self._named if outcome.place == "net/resolve" and self._named else frozenset(self._requests)
        for each in self._rounds:
            if each.ended >= began and each.looked_at & counted and not each.reached & counted:
                names = ", ".join(sorted(counted))
                told = f"{outcome.code} at {outcome.place}, but none of this agent's references was reached: {names}"
                return Finding("no-uplink", "agent/reference", told)
        return None

    async def _look(self, asked_at: Duration) -> None:
        """See that there is a round that began no earlier (rule 4)."""
        async with self._turn:
            if self._rounds and self._rounds[-1].began >= asked_at:
                return
            began = self._clock.monotonic()
            names = list(self._requests)
            made = await asyncio.gather(
                *(self._transport.exchange(self._requests[name], self._timeout) for name in names)
            )
            reached = frozenset(name for name, each in zip(names, made, strict=True) if each.failure is None)
            self._rounds.append(Round(began, self._clock.monotonic(), frozenset(names), reached))


def _is_of_the_way(outcome: Outcome) -> bool:
    return outcome.place in _OF_THE_WAY and outcome.code not in _NO_MATTER_OF_THE_LINE


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
