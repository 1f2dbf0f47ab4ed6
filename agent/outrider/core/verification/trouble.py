"""Which bad runs belong to a window, how far they reach beyond its edges, and who else was disturbed (rule 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from outrider.core.maintenance import Announcement
from outrider.core.units import format_instant
from outrider.core.verification.facts import Facts, Runs, Vantage
from outrider.core.verification.report import RUNNING, Bystanding, Trouble, told

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]

DOWN_RUNNING = 2
"""Bad runs in a row that say that a check out of scope did not stay up."""


def parted(place: Vantage) -> tuple[Runs, Runs]:
    """The runs before trouble began, and those since three good ones running (rule 3)."""
    return place.before.part(0, _well_until(place.before)), place.after.part(_well_from(place.after), len(place.after))


def _triples(runs: Runs) -> Ints:
    """Where three good runs running begin."""
    import numpy as np

    good = ~runs.is_bad
    if len(good) < RUNNING:
        return np.zeros(0, dtype=np.int64)
    found: Ints = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(good, RUNNING).all(axis=1)).astype(np.int64)
    return found


def _well_until(runs: Runs) -> int:
    """How many runs from the front are not of the window's trouble: without a bad one at the end, all."""
    triples = _triples(runs)
    from_here = int(triples[-1]) + RUNNING if len(triples) else 0
    return from_here if runs.is_bad[from_here:].any() else len(runs)


def _well_from(runs: Runs) -> int:
    """The first run that is not of the window's trouble: without a bad one at the front, the first of all."""
    triples = _triples(runs)
    until = int(triples[0]) if len(triples) else len(runs)
    return until if runs.is_bad[:until].any() else 0


def trouble(place: Vantage, latest: Announcement) -> Trouble | None:
    import numpy as np

    parts = (
        place.before.part(_well_until(place.before), len(place.before)),
        place.during,
        place.after.part(0, _well_from(place.after)),
    )
    bad = np.concatenate([part.at[part.is_bad] for part in parts])
    if not len(bad):
        return None
    first, last = int(bad[0]), int(bad[-1])
    early, over = max(0, latest.start - first), max(0, last - latest.end)
    # A run sent at the very end is already outside: the window is half open.
    over = max(over, 1) if last >= latest.end else 0
    return Trouble(place.check, place.region, first, last, len(bad), early, over)


def outside_the_window(troubles: Sequence[Trouble]) -> list[str]:
    early = [
        f"{each.check} from {each.region}: bad {told(each.early)} before the window's start"
        for each in troubles
        if each.early
    ]
    over = [
        f"{each.check} from {each.region}: overran, bad until {told(each.over)} after the window's end"
        for each in troubles
        if each.over
    ]
    return early + over


def disturbed(place: Vantage) -> Trouble | None:
    bad = place.during.is_bad
    if not (bad[1:] & bad[:-1]).any():  # DOWN_RUNNING
        return None
    at = place.during.at[bad]
    return Trouble(place.check, place.region, int(at[0]), int(at[-1]), len(at))


def bystanders(outside: Sequence[Vantage], disturbed: Sequence[Trouble]) -> tuple[tuple[str, Bystanding], ...]:
    down = {each.check for each in disturbed}
    heard = {place.check for place in outside if len(place.during)}
    states = {False: Bystanding.NO_DATA, True: Bystanding.UP}
    return tuple(
        (check, Bystanding.DOWN if check in down else states[check in heard])
        for check in sorted({place.check for place in outside})
    )


def not_up(disturbed: Sequence[Trouble]) -> list[str]:
    return [
        f"{each.check} from {each.region}, which is out of scope, did not stay up: {each.runs} bad runs, "
        f"{format_instant(each.first)} to {format_instant(each.last)}"
        for each in disturbed
    ]


def unheard(facts: Facts, inside: Sequence[Vantage], outside: Sequence[Vantage]) -> list[str]:
    """Where silence keeps a question open for good: of what ran before, not of what only came afterwards."""
    latest = facts.latest
    passed = min(facts.as_of, latest.end) - latest.start
    silent = [
        f"{place.name}, which is out of scope, was silent during the window"
        for place in outside
        if len(place.before) and not len(place.during) and passed >= 2 * place.interval
    ]
    return silent if inside else ["no check in the window's scope was heard of", *silent]
