"""What may be done to a window that was announced: each act makes the next version from the latest, or refuses.

Rules
-----
1. What is over stays: a window that was cancelled or completed, or whose end has passed, changes no more. Moved after
   its end, a window could otherwise excuse what nobody had announced.
2. A window that runs does not begin again: its start stands, its end may move.
3. Nothing begins or ends in the past by an act of now: a new start, and the end of a shortened window, are still to
   come; `completed` is what ends a window at once.
4. An act changes what it says: to extend is later, to shorten is earlier, to move is elsewhere.
5. An act is never refused for being late: it is recorded, and rule R5 decides what it excuses.

`at` is the instant that the collector stamps the version with.
"""

from __future__ import annotations

from dataclasses import replace

from outrider.core.maintenance import Act, Announcement
from outrider.core.units import Instant, format_instant


class ActError(ValueError):
    """An act that cannot be meant; `field` names what was wrong with it, if one thing was."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


def is_open(latest: Announcement, at: Instant) -> bool:
    """Whether a window may still change (rule 1)."""
    return latest.act not in (Act.CANCEL, Act.COMPLETE) and at < latest.end


def moved(latest: Announcement, start: Instant, end: Instant, at: Instant) -> Announcement:
    """The version that puts a window that has not begun elsewhere. Raises ActError."""
    _refuse_what_is_over(latest, at)
    if latest.start <= at:
        raise ActError(
            f"window {latest.window} runs since {format_instant(latest.start)}, and its start stands; "
            "extend, shorten or complete it",
            "start",
        )
    if (start, end) == (latest.start, latest.end):
        raise ActError(f"window {latest.window} is there already", "start")
    if start <= at:
        raise ActError(f"{format_instant(start)} is past; a window moves to a start that is still to come", "start")
    if start >= end:
        raise ActError(f"a window must end after it starts: {format_instant(start)} to {format_instant(end)}", "end")
    return _next(latest, Act.MOVE, at, start, end)


def extended(latest: Announcement, end: Instant, at: Instant) -> Announcement:
    """The version with a later end. Raises ActError."""
    _refuse_what_is_over(latest, at)
    if end <= latest.end:
        raise ActError(
            f"window {latest.window} lasts until {format_instant(latest.end)}; to extend it, name a later end", "end"
        )
    return _next(latest, Act.EXTEND, at, latest.start, end)


def shortened(latest: Announcement, end: Instant, at: Instant) -> Announcement:
    """The version with an earlier end that is still to come. Raises ActError."""
    _refuse_what_is_over(latest, at)
    if end >= latest.end:
        raise ActError(
            f"window {latest.window} ends {format_instant(latest.end)}; to shorten it, name an earlier end", "end"
        )
    if end <= latest.start:
        raise ActError(
            f"window {latest.window} starts {format_instant(latest.start)}; nothing would be left, cancel it instead",
            "end",
        )
    if end <= at:
        raise ActError(f"{format_instant(end)} is past; complete the window to end it now", "end")
    return _next(latest, Act.SHORTEN, at, latest.start, end)


def completed(latest: Announcement, at: Instant) -> Announcement:
    """The version that ends a window that runs, at `at`. Raises ActError."""
    _refuse_what_is_over(latest, at)
    if at <= latest.start:
        raise ActError(f"window {latest.window} starts {format_instant(latest.start)}; cancel it instead")
    return _next(latest, Act.COMPLETE, at, latest.start, at)


def cancelled(latest: Announcement, at: Instant) -> Announcement:
    """The version that takes a window back; it excuses nothing then, what has passed of it neither. Raises ActError."""
    _refuse_what_is_over(latest, at)
    return _next(latest, Act.CANCEL, at, latest.start, latest.end)


def reworded(latest: Announcement, scope: tuple[str, ...], reason: str, at: Instant) -> Announcement:
    """The version that covers other checks or gives another reason, at the same times (an act `move`). Raises
    ActError."""
    _refuse_what_is_over(latest, at)
    if (scope, reason) == (latest.scope, latest.reason):
        raise ActError(f"window {latest.window} says so already", "scope")
    return replace(_next(latest, Act.MOVE, at, latest.start, latest.end), scope=scope, reason=reason)


def _next(latest: Announcement, act: Act, at: Instant, start: Instant, end: Instant) -> Announcement:
    return replace(latest, version=latest.version + 1, act=act, start=start, end=end, recorded_at=at)


def _refuse_what_is_over(latest: Announcement, at: Instant) -> None:
    """Rule 1."""
    if latest.act is Act.CANCEL:
        raise ActError(f"window {latest.window} was cancelled already, and changes no more; announce a new one")
    if not is_open(latest, at):
        word = "was completed" if latest.act is Act.COMPLETE else "ended"
        raise ActError(
            f"window {latest.window} {word} {format_instant(latest.end)}, and what is over changes no more; "
            "announce a new one"
        )
