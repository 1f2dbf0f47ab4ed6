"""The eligibility answer as a payer, or the network between, writes it: a 271 to a 270.

Rules
-----
1. The answer goes back the way the inquiry came: sender and receiver change places, usage stays.
2. TRN01 is "2" and TRN02 the inquiry's trace, on the patient's level; BHT03 is the inquiry's.
3. A rejection ends the hierarchy at its level: nothing stands below it, and it excludes benefits. In its loop it
   follows the name and precedes the demographics.

Source: X12 005010X279A1 (271).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.codecs.eligibility_inquiry import Inquiry, levels_of
from outrider.codecs.eligibility_loops import VERSION
from outrider.codecs.x12 import Line, Repeated, X12Error
from outrider.codecs.x12_exchange import Guide, Level, header_line, level_lines, write_answer
from outrider.codecs.x12_rejections import check_rejection, rejection_line

_GUIDE = Guide("271", "HB", VERSION)
_LOOPS = ("2000A", "2100A", "2100B", "2100C", "2100D")
_CODE = re.compile(r"[A-Z0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class Rejection:
    """One AAA: the reject reason (AAA03), its loop, and the follow-up action (AAA04)."""

    code: str
    loop: str
    follow_up: str = "N"

    def __post_init__(self) -> None:
        check_rejection(self.code, self.follow_up)
        if self.loop not in _LOOPS:
            raise X12Error("bad-loop", f"a rejection stands in one of {', '.join(_LOOPS)}", "AAA")


@dataclass(frozen=True, slots=True)
class Benefit:
    """One EB. `code` is EB01 ("1" active, "6" inactive, "B" co-payment), `amount` EB07 as a decimal text."""

    code: str
    coverage_level: str = ""
    service_types: tuple[str, ...] = ("30",)
    insurance_type: str = ""
    plan: str = ""
    amount: str = ""

    def __post_init__(self) -> None:
        if not _CODE.fullmatch(self.code):
            raise X12Error("bad-code", "a benefit code has one or two capitals or digits", "EB01")
        if not all(map(_CODE.fullmatch, self.service_types)):
            raise X12Error("bad-code", "a service type has one or two capitals or digits", "EB03")


def write_response(
    inquiry: Inquiry,
    *,
    control_number: int,
    created: datetime,
    benefits: Sequence[Benefit] = (),
    rejections: Sequence[Rejection] = (),
    trace: str | None = None,
) -> bytes:
    """A whole 271 interchange that answers `inquiry`.

    `trace` stands in TRN02 in place of the inquiry's own, for an answer to somebody else's question. An answer
    with neither benefits nor rejections can be written too; it says nothing. Raises X12Error: "both" if there are
    benefits beside rejections, "bad-loop" if rejections stand on different levels or on one that the inquiry has
    not, and whatever `x12.write` refuses.
    """
    if benefits and rejections:
        raise X12Error("both", "an answer that rejects has no benefits", "EB")
    lines: list[Line] = [
        header_line("0022", "11", inquiry.echo, created),
        *_levels(inquiry, _last_level(inquiry, rejections), rejections, inquiry.trace if trace is None else trace),
        *_benefit_lines(inquiry, benefits),
    ]
    return write_answer(_GUIDE, inquiry, lines, control_number=control_number, created=created)


def _last_level(inquiry: Inquiry, rejections: Sequence[Rejection]) -> str:
    """The letter of the deepest level that the answer has."""
    deepest = "D" if inquiry.dependent else "C"
    levels = {rejection.loop[-1] for rejection in rejections}
    if len(levels) > 1:
        raise X12Error("bad-loop", "rejections on different levels: the upper one ends the answer", "AAA")
    level = levels.pop() if levels else deepest
    if level > deepest:
        raise X12Error("bad-loop", "the inquiry has no dependent to reject", "AAA")
    return level


def _levels(inquiry: Inquiry, last: str, rejections: Sequence[Rejection], trace: str) -> list[Line]:
    """The hierarchy from the payer down to level `last`, rejections in their loops."""
    levels = []
    for level in levels_of(inquiry):
        letter = level.letter
        back: list[Line] = [("TRN", "2", trace, inquiry.trace_originator)] if letter == last and letter in "CD" else []
        above, below = (_rejected(rejections, number + letter) for number in ("2000", "2100"))
        levels.append(Level(letter, level.code, [*back, *above, *level.lines[:1], *below, *level.lines[1:]]))
    return level_lines(levels, last)


def _rejected(rejections: Sequence[Rejection], loop: str) -> list[Line]:
    return [rejection_line(each.code, each.follow_up) for each in rejections if each.loop == loop]


def _benefit_lines(inquiry: Inquiry, benefits: Sequence[Benefit]) -> list[Line]:
    lines: list[Line] = []
    if benefits and inquiry.service_date:
        lines.append(("DTP", "291", "D8", inquiry.service_date))
    for benefit in benefits:
        types = Repeated(benefit.service_types)
        lines.append(
            (
                "EB",
                benefit.code,
                benefit.coverage_level,
                types,
                benefit.insurance_type,
                benefit.plan,
                "",
                benefit.amount,
            )
        )
    return lines
