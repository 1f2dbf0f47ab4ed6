"""The answer to a request for prior authorisation as a payer, or the network between, writes it: a 278 to a 278.

Rules
-----
1. The answer goes back the way the request came: sender and receiver change places, usage stays; BHT02 is "11".
2. TRN01 is "2" and TRN02 the request's trace, on the patient event; BHT03 is the request's.
3. It holds one decision (HCR, on the patient event) or one rejection, which ends the hierarchy at its level.

Source: X12 005010X217 (278).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from outrider.codecs.prior_authorization_request import GUIDE, ReviewRequest, event_lines, levels_of
from outrider.codecs.x12 import Line, X12Error
from outrider.codecs.x12_exchange import header_line, level_lines, write_answer
from outrider.codecs.x12_rejections import check_rejection, rejection_line

ACTION = re.compile(r"A[1-6]|C|CT|NA")
"""HCR01: what was decided (element 306)."""

_LOOPS = ("2000A", "2010A", "2010B", "2010C", "2010D", "2000E")
_PENDED = "A4"


@dataclass(frozen=True, slots=True)
class Decision:
    """One HCR: `action` is HCR01 (A1 certified in total, A3 not certified, A4 pended), `number` HCR02."""

    action: str
    number: str = ""

    def __post_init__(self) -> None:
        if not ACTION.fullmatch(self.action):
            raise X12Error("bad-code", "this is no action of a review", "HCR01")


@dataclass(frozen=True, slots=True)
class ReviewRejection:
    """One AAA: the reject reason (AAA03), its loop, and the follow-up action (AAA04)."""

    code: str
    loop: str
    follow_up: str = "N"

    def __post_init__(self) -> None:
        check_rejection(self.code, self.follow_up)
        if self.loop not in _LOOPS:
            raise X12Error("bad-loop", f"a rejection stands in one of {', '.join(_LOOPS)}", "AAA")


def write_response(
    request: ReviewRequest,
    *,
    control_number: int,
    created: datetime,
    verdict: Decision | ReviewRejection,
    trace: str | None = None,
) -> bytes:
    """The 278 that answers `request`; `trace` overrides the one that is echoed (fault injection).

    Raises X12Error: bad-loop for a rejection of a level that the request has not, and whatever cannot be written.
    """
    further = "19" if isinstance(verdict, Decision) and verdict.action == _PENDED else "18"
    header = header_line("0007", "11", request.echo, created, further)
    own = request.trace if trace is None else trace
    back: Line = ("TRN", "2", own, request.trace_originator)
    review, *rest = event_lines(request.event)
    if isinstance(verdict, Decision):
        decided: Line = ("HCR", verdict.action, verdict.number)
        body = [*level_lines(levels_of(request)), back, review, decided, *rest]
    elif verdict.loop == "2000E":
        refused = rejection_line(verdict.code, verdict.follow_up)
        body = [*level_lines(levels_of(request)), back, refused, review, *rest]
    else:
        body = _rejected_above(request, verdict)
    return write_answer(GUIDE, request, [header, *body], control_number=control_number, created=created)


def _rejected_above(request: ReviewRequest, rejection: ReviewRejection) -> list[Line]:
    """The hierarchy down to the rejection's level: on the level itself it stands before the name, else right behind."""
    level = rejection.loop[-1]
    names = {each.letter: each.lines for each in levels_of(request)}
    if level not in names:
        raise X12Error("bad-loop", "the request has no dependent to reject", "AAA")
    lines = level_lines(levels_of(request), level)
    refused = rejection_line(rejection.code, rejection.follow_up)
    place = len(lines) - len(names[level]) + (0 if rejection.loop.startswith("2000") else 1)
    return [*lines[:place], refused, *lines[place:]]
