"""The clocks of this process: the only place that reads the time.

Everything else takes a `Clock`. Wall time says when something happened, monotonic time how long it took; neither
stands in for the other.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from outrider.core.units import Duration, Instant


class Clock(Protocol):
    """Both in whole microseconds; monotonic readings have no meaning of their own, only their differences do."""

    def now(self) -> Instant: ...

    def monotonic(self) -> Duration: ...


class MachineClock(Clock, Protocol):
    """With the clock that a machine starts at boot, microseconds: it goes on while the machine sleeps, which
    `monotonic` does not. `boot` tells one boot of one machine from every other."""

    @property
    def boot(self) -> str: ...

    def boottime(self) -> Duration: ...


_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BOOTTIME: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's clocks."""

    def __init__(self) -> None:
        self.boot = secrets.token_hex(16)  # where the system does not say, each process is a boot of its own
        with suppress(OSError, UnicodeDecodeError):
            self.boot = _BOOT_ID.read_text(encoding="ascii").strip() or self.boot

    def now(self) -> Instant:
        return time.time_ns() // 1000  # noqa: TID251 - this is the edge

    def monotonic(self) -> Duration:
        return time.monotonic_ns() // 1000  # noqa: TID251 - this is the edge

    def boottime(self) -> Duration:
        return time.clock_gettime_ns(_BOOTTIME) // 1000
