"""The board: the faults that are on now, which of them a request meets, and how often each was met.

Rules
-----
1. A fault ends when it is removed, replaced, or its time is over; a request that hangs on it goes on then.
2. Each request draws once from each fault of its component, in the order in which the faults were put up.
3. A hit is counted when a fault takes effect, not when it is drawn: a request that is refused at the door does
   not also count as truncated.
4. Of several faults of one kind that a request draws, the one put up first takes effect.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from outrider_sandbox.faults import Fault, FaultError, Value

MOST_FAULTS = 100


class UniformSource(Protocol):
    """The part of `random.Random` that the board draws with."""

    def random(self) -> float: ...


class Active:
    """A fault on the board."""

    def __init__(self, fault: Fault, clock: Callable[[], float]) -> None:
        self.fault = fault
        self.hits = 0
        self._clock = clock
        self._removed = asyncio.Event()
        self._ends = None if fault.for_s is None else clock() + fault.for_s

    @property
    def remaining_s(self) -> float | None:
        """Seconds until it ends by itself; None when it does not."""
        return None if self._ends is None else max(0.0, self._ends - self._clock())

    @property
    def is_over(self) -> bool:
        return self._removed.is_set() or self.remaining_s == 0.0

    def end(self) -> None:
        self._removed.set()

    async def over(self) -> None:
        """Wait until it has ended."""
        while not self.is_over:
            try:
                await asyncio.wait_for(self._removed.wait(), self.remaining_s)
            except TimeoutError:
                continue

    def view(self) -> dict[str, object]:
        """As JSON: the fault as it was asked for, with "remaining_s" (null: until removed) and "hits"."""
        fault, remaining = self.fault, self.remaining_s
        return {
            "name": fault.name,
            "kind": fault.kind,
            "component": fault.component,
            "share": fault.share,
            "for_s": fault.for_s,
            **fault.parameters,
            "remaining_s": None if remaining is None else round(remaining, 3),
            "hits": self.hits,
        }


class Drawn:
    """The faults that one request has drawn. Each is taken at most once, by whoever makes it take effect."""

    def __init__(self, faults: list[Active], ledger: Counter[str]) -> None:
        self._faults = faults
        self._ledger = ledger

    def take(self, kind: str, **parameters: Value) -> Active | None:
        """Take the first fault of this kind that has these parameters, and count the hit."""
        for position, active in enumerate(self._faults):
            fault = active.fault
            if fault.kind == kind and parameters.items() <= fault.parameters.items():
                del self._faults[position]
                active.hits += 1
                self._ledger[kind] += 1
                return active
        return None


class Board:
    """All faults that are on. `source` decides shares, `clock` gives monotonic seconds."""

    def __init__(self, source: UniformSource, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock
        self._active: dict[str, Active] = {}

    def put(self, fault: Fault) -> Active:
        """Put a fault up, in place of the one of the same name. Raises FaultError when the board is full."""
        self._drop_ended()
        if fault.name not in self._active and len(self._active) >= MOST_FAULTS:
            raise FaultError("name", f"the board is full ({MOST_FAULTS} faults); remove one first")
        self.remove(fault.name)
        active = self._active[fault.name] = Active(fault, self._clock)
        return active

    def remove(self, name: str) -> bool:
        """Take a fault down; False when no such fault was on."""
        self._drop_ended()
        active = self._active.pop(name, None)
        if active is None:
            return False
        active.end()
        return True

    def clear(self) -> int:
        """Take all faults down; how many there were."""
        self._drop_ended()
        names = list(self._active)
        for name in names:
            self.remove(name)
        return len(names)

    def draw(self, component: str, ledger: Counter[str]) -> Drawn:
        """What a request to this component meets; hits are also counted in `ledger`, by kind."""
        self._drop_ended()
        met = [active for active in self._active.values() if active.fault.hits(component) and self._strikes(active)]
        return Drawn(met, ledger)

    def view(self) -> list[dict[str, object]]:
        """All faults that are on, in the order in which they were put up."""
        self._drop_ended()
        return [active.view() for active in self._active.values()]

    def _strikes(self, active: Active) -> bool:
        return active.fault.share >= 1.0 or self._source.random() < active.fault.share

    def _drop_ended(self) -> None:
        for name in [name for name, active in self._active.items() if active.is_over]:
            self._active.pop(name).end()
