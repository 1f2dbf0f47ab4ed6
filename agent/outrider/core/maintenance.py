"""Which time is excused: announcements of maintenance windows, and rule R5 that judges them.

Rules (R5 to R7 of the accounts)
-----
1. A window's history is a list of announcements (versions). Each carries the instant at which *the collector*
   recorded it, and stays for ever.
2. A version is in force from its record until the next one's.
3. An instant m is excused by a window if and only if
   a. a version was in force at (start - notice), where start is the latest version's; and
   b. every version in force from (start - notice) up to m contains m; and
   c. the latest version contains m.
   That settles late, retroactive, extended, moved, shortened and cancelled windows alike.
4. A version contains m for a check only if the check is in its scope. A cancelled version contains nothing.
5. Excused intervals of all windows are merged; a cap, where the agreement has one, is used up in order of time.
6. Emergency maintenance is recorded and shown, and excuses nothing, unless the agreement has a notice of its own for
   it, which then is the notice of rule 3. A window is one or the other from its first announcement on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from outrider.core.intervals import Interval, Intervals
from outrider.core.units import Duration, Instant, format_instant


class Act(StrEnum):
    """What a version did to its window."""

    ANNOUNCE = "announce"
    MOVE = "move"
    EXTEND = "extend"
    SHORTEN = "shorten"
    COMPLETE = "complete"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Announcement:
    """One version of a window. `scope` is shell patterns over names of checks; `emergency` marks maintenance that could
    not be planned (rule 6). Raises ValueError if it cannot be."""

    window: str
    version: int
    act: Act
    start: Instant
    end: Instant
    recorded_at: Instant
    scope: tuple[str, ...] = ("*",)
    reason: str = ""
    author: str = ""
    emergency: bool = False

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(
                f"a window must end after it starts: {format_instant(self.start)} to {format_instant(self.end)}"
            )
        if not self.scope:
            raise ValueError("a window without a scope covers nothing; use '*' for everything")

    def interval_for(self, check: str) -> Interval | None:
        """What this version takes out for a check, if anything."""
        if self.act is Act.CANCEL or not any(fnmatchcase(check, pattern) for pattern in self.scope):
            return None
        return Interval(self.start, self.end)


def histories(announcements: Iterable[Announcement]) -> dict[str, tuple[Announcement, ...]]:
    """Each window's versions in the order in which they were recorded."""
    found: defaultdict[str, list[Announcement]] = defaultdict(list)
    for announcement in announcements:
        found[announcement.window].append(announcement)
    return {
        window: tuple(sorted(versions, key=lambda version: (version.recorded_at, version.version)))
        for window, versions in sorted(found.items())
    }


def excused_by(
    history: Sequence[Announcement], notice: Duration, check: str, emergency_notice: Duration | None = None
) -> Intervals:
    """What one window excuses for one check (rules 3 and 6). `history` is in the order of recording."""
    latest = history[-1]
    latest_interval = latest.interval_for(check)
    if latest.emergency:
        if emergency_notice is None:
            return Intervals()
        notice = emergency_notice
    if latest_interval is None:
        return Intervals()
    deadline = latest.start - notice
    excused = Intervals((latest_interval,))
    was_in_force = False
    for version, successor in zip(history, (*history[1:], None), strict=True):
        until = successor.recorded_at if successor is not None else None
        if until is not None and until <= max(deadline, version.recorded_at):
            continue  # replaced before the deadline, or in the very instant it was recorded
        was_in_force = was_in_force or version.recorded_at <= deadline
        excused &= _allowed(version, check, latest_interval)
    return excused if was_in_force else Intervals()


def _allowed(version: Announcement, check: str, bounds: Interval) -> Intervals:
    """The instants that this version lets through: all before it was recorded, and those it contains."""
    parts = []
    own = version.interval_for(check)
    if own is not None:
        parts.append(own)
    if bounds.start < version.recorded_at:
        parts.append(Interval(bounds.start, version.recorded_at))
    return Intervals(parts)


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `budget` microseconds may be excused in each period; `periods` names the periods that touch a span."""

    budget: Duration
    periods: Callable[[Interval], Iterable[Interval]]


def excused(
    announcements: Iterable[Announcement],
    notice: Duration,
    period: Interval,
    check: str,
    cap: Cap | None = None,
    emergency_notice: Duration | None = None,
) -> Intervals:
    """All excused time of one check within `period`. Pure; raises nothing. Source: R5, R7."""
    merged = Intervals(
        interval
        for history in histories(announcements).values()
        for interval in excused_by(history, notice, check, emergency_notice)
    )
    if cap is not None:
        merged = Intervals(
            interval for bounds in cap.periods(period) for interval in merged.within(bounds).first(cap.budget)
        )
    return merged.within(period)
