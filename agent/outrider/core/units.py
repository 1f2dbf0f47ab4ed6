"""Units: instants and durations are whole microseconds, everywhere.

An instant is microseconds since 1970-01-01T00:00:00Z, without leap seconds (POSIX time). Floats never hold
time: a microsecond is the smallest difference that the accounts know, and it is never rounded away.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Instant: TypeAlias = int
Duration: TypeAlias = int

MILLISECOND: Duration = 1_000
SECOND: Duration = 1_000_000
MINUTE: Duration = 60 * SECOND
HOUR: Duration = 60 * MINUTE
DAY: Duration = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION_UNITS = {"us": 1, "ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION_PART = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?(us|ms|s|m|h|d)")
_SIZE_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"(\d{1,12})\s?(B|KB|MB|GB|KiB|MiB|GiB)")


def parse_duration(text: str) -> Duration:
    """Read "10s", "1.5s", "72h", "1h30m" as microseconds. Raises ValueError with what would have been right."""
    position, total = 0, 0
    while position < len(text):
        part = _DURATION_PART.match(text, position)
        if part is None:
            break
        whole, fraction, unit = part.groups()
        scale = _DURATION_UNITS[unit]
        total += int(whole) * scale
        if fraction:
            parts, remainder = divmod(int(fraction) * scale, 10 ** len(fraction))
            if remainder:
                raise ValueError(f"{text!r} is finer than a microsecond")
            total += parts
        position = part.end()
    if position == 0 or position < len(text):
        raise ValueError(f"{text!r} is not a duration; write it like 10s, 1.5s, 5m or 1h30m")
    return total


def format_duration(duration: Duration) -> str:
    """The shortest exact text that `parse_duration` reads back: 90_000_000 -> "1m30s"."""
    if duration < 0:
        return "-" + format_duration(-duration)
    parts = []
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count, duration = divmod(duration, _DURATION_UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_size(text: str) -> int:
    """Read "256MB" or "1GiB" as bytes. Raises ValueError with what would have been right."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a size; write it like 256MB or 1GiB")
    return int(found[1]) * _SIZE_UNITS[found[2]]


def parse_instant(text: str) -> Instant:
    """Read an RFC 3339 time with an offset ("2026-06-01T22:00:00Z"). Raises ValueError, also without an offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time; write it like 2026-06-01T22:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no offset; add Z or one like -05:00")
    try:
        return from_datetime(moment)
    except OverflowError:
        raise ValueError(f"{text!r} is before the year 1 or after the year 9999 in UTC") from None


def from_datetime(moment: datetime) -> Instant:
    """The instant of an aware datetime. The difference is taken in UTC, so clock changes do not matter."""
    if moment.tzinfo is None:
        raise ValueError("a time without an offset is no instant")
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def to_datetime(instant: Instant) -> datetime:
    """The instant as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=instant)


def format_instant(instant: Instant) -> str:
    """RFC 3339 in UTC, with as many decimals as the instant needs: "2026-06-01T22:00:00Z"."""
    text = to_datetime(instant).isoformat().replace("+00:00", "")
    return (text.rstrip("0") if "." in text else text) + "Z"
