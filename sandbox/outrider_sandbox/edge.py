"""The edge: the only place of the sandbox that reads clocks and makes randomness. All else takes them as arguments."""

from __future__ import annotations

import random  # noqa: TID251 - this edge module makes the seeded generators that everything else is given
import secrets
import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """The wall clock, aware, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the edge reads the clock for all others


def monotonic() -> float:
    """Seconds on a clock that is never set back."""
    return time.monotonic()  # noqa: TID251 - the edge reads the clock for all others


def generator(seed: int, purpose: str) -> random.Random:
    """A generator that gives the same numbers for the same seed and purpose, whatever other purposes draw."""
    return random.Random(f"{seed}/{purpose}")


def nonce(size: int = 32) -> bytes:
    """Bytes that no earlier start of the sandbox had: identifiers must not come back after a restart."""
    return secrets.token_bytes(size)
