"""The fields of questions about windows: each is read, or refused by its name. Raises RefusedError and nothing else."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec

from outrider import zones
from outrider.core.intervals import Interval
from outrider.core.units import DAY, Duration, Instant, parse_duration
from outrider.core.wall_time import read_time
from outrider_collector.rooms import RefusedError, Rooms

HEARD_OF: Duration = 30 * DAY
"""A check that ran within this long is known."""

_CHECKS_SHOWN = 20

Body = TypeVar("Body")


def refusal(http: int, field: str, message: str) -> RefusedError:
    """A refusal that names its field, to be raised."""
    return RefusedError(http, f"{field}: {message}" if field else message, field=field or None)


def decode_body(raw: bytes, kind: type[Body]) -> Body:
    """A body of JSON as what it should be."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(422, str(error)) from None


def read_zone(name: str | None) -> ZoneInfo | None:
    """The zone of wall times, by its IANA name."""
    try:
        return None if name is None else zones.read_zone(name)
    except ValueError as error:
        raise refusal(422, "timezone", str(error)) from None


def read_moment(field: str, text: str, zone: ZoneInfo | None) -> Instant:
    """A time with an offset, or a wall time of `zone`."""
    try:
        return read_time(text, zone)
    except (ValueError, OverflowError) as error:
        raise refusal(422, field, str(error)) from None


def read_length(field: str, text: str) -> Duration:
    """A duration like 2h or 1h30m."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise refusal(422, field, str(error)) from None


def read_end(start: Instant, end: str | None, duration: str | None, zone: ZoneInfo | None) -> Instant:
    """`end`, or so long after the start: one of them."""
    if (end is None) == (duration is None):
        raise refusal(422, "end", "a window has an end or a duration, one of them")
    return start + read_length("duration", duration or "") if end is None else read_moment("end", end, zone)


def refuse_unknown_checks(scope: tuple[str, ...], rooms: Rooms) -> None:
    """Let a scope of known checks pass; blocks."""
    if mistake := unknown_check(scope, known_checks(rooms)):
        raise refusal(422, "scope", mistake)


def known_checks(rooms: Rooms) -> list[str]:
    """Those that were heard of lately, or are named by the agreement; blocks."""
    now = rooms.clock.now()
    seen = rooms.store.seen(Interval(max(0, now - HEARD_OF), now + 1), rooms.store.position(2**62))
    named = {check for guarantee in rooms.config.agreement.guarantees for check in guarantee.named_checks}
    return sorted({each.check for each in seen} | named)


def unknown_check(scope: tuple[str, ...], known: list[str]) -> str | None:
    """What is wrong with a scope, if anything is. "*" is every check, also where none is known yet."""
    for pattern in scope:
        if pattern == "*" or any(fnmatchcase(check, pattern) for check in known):
            continue
        more = f" and {len(known) - _CHECKS_SHOWN} more" if len(known) > _CHECKS_SHOWN else ""
        shown = ", ".join(known[:_CHECKS_SHOWN]) + more if known else "none yet"
        return (
            f"{pattern!r} is no known check and matches none; known: {shown} "
            "(allow_unknown_checks for one that is still to come)"
        )
    return None


def read_flag(field: str, text: str | None) -> bool:
    """True or false, as a query has it; false without."""
    if text not in (None, "true", "false"):
        raise refusal(422, field, f"{text!r} is neither true nor false")
    return text == "true"
