"""The claim status answer as a payer, or the network between, writes it: a 277 to a 276.

Rules
-----
1. The answer goes back the way the request came: sender and receiver change places, usage stays.
2. A status stands in the loop of what it is about: the claim (2200D, 2200E), or, where the answer ends earlier, the
   provider (2200C) or the whole request (2200B). Nothing stands below the level that ends the answer.
3. TRN02 in front of it is the claim's trace; the request's BHT03 in 2200B; in 2200C there is nothing to repeat ("0").
4. BHT03 is the payer's own number, no echo.

Source: X12 005010X212 (277); code lists 507 (claim status category) and 508 (claim status).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from outrider.codecs.claim_status_loops import VERSION
from outrider.codecs.claim_status_request import AMOUNT, ClaimInquiry, levels_of, reference_lines, service_lines
from outrider.codecs.x12 import Composite, Line, X12Error
from outrider.codecs.x12_exchange import Guide, header_line, level_lines, write_answer

_GUIDE = Guide("277", "HN", VERSION)

CATEGORY = re.compile(r"[A-Z][0-9]{1,2}|RQ|F3[FN]|DR[0-9]{2}")
"""What a claim status category looks like (list 507)."""

CODE = re.compile(r"[0-9]{1,4}")
"""What a claim status looks like (list 508)."""

_LOOPS = ("2200B", "2200C", "2200D", "2200E")
_ENTITY = re.compile(r"[A-Z0-9]{2,3}")


@dataclass(frozen=True, slots=True)
class ClaimStatus:
    """One STC. `category` is STC01-1 ("F1" paid, "P1" pending), `code` STC01-2, `entity` STC01-3.

    `loop` is where it stands, "" for the claim itself; `charged` and `paid` are decimal texts (STC04, STC05).
    """

    category: str
    code: str = "0"
    loop: str = ""
    entity: str = ""
    charged: str = ""
    paid: str = ""

    def __post_init__(self) -> None:
        if not CATEGORY.fullmatch(self.category) or not CODE.fullmatch(self.code):
            raise X12Error("bad-code", "this is no claim status category, or no claim status", "STC01")
        if self.entity and not _ENTITY.fullmatch(self.entity):
            raise X12Error("bad-code", "an entity has two or three capitals or digits", "STC01")
        if self.loop not in ("", *_LOOPS):
            raise X12Error("bad-loop", f"a claim status stands in one of {', '.join(_LOOPS)}", "STC")
        if not all(AMOUNT.fullmatch(amount) for amount in (self.charged, self.paid) if amount):
            raise X12Error("bad-amount", "an amount is no decimal number with at most two places", "STC04")


def write_response(
    inquiry: ClaimInquiry,
    *,
    control_number: int,
    created: datetime,
    statuses: Sequence[ClaimStatus],
    trace: str | None = None,
) -> bytes:
    """The 277 that answers `inquiry`; `trace` overrides the one that is echoed (fault injection).

    Raises X12Error: bad-loop for no status, statuses in different loops or a loop that this inquiry has not, and
    whatever cannot be written.
    """
    loop = _only_loop(inquiry, statuses)
    lines: list[Line] = [
        header_line("0010", "08", f"S{control_number}", created, "DG"),
        *level_lines(levels_of(inquiry), loop[-1]),
        _trace_line(inquiry, loop, trace),
        *(_status_line(status, created.astimezone(UTC)) for status in statuses),
    ]
    if loop[-1] == inquiry.patient_level:
        lines += [*reference_lines(inquiry.claim), *service_lines(inquiry.claim)]
    return write_answer(_GUIDE, inquiry, lines, control_number=control_number, created=created)


def _only_loop(inquiry: ClaimInquiry, statuses: Sequence[ClaimStatus]) -> str:
    """The loop that every status stands in, and the answer ends in."""
    own = "2200" + inquiry.patient_level
    loops = {status.loop or own for status in statuses}
    if len(loops) != 1:
        raise X12Error("bad-loop", "an answer has statuses, all in one loop: the upper one would end it", "STC")
    loop = loops.pop()
    if loop > own:
        raise X12Error("bad-loop", "the inquiry has no dependent to answer about", "STC")
    return loop


def _trace_line(inquiry: ClaimInquiry, loop: str, trace: str | None) -> Line:
    if loop == "2200C":
        return ("TRN", "1", "0")
    own = inquiry.echo if loop == "2200B" else inquiry.trace
    return ("TRN", "2", own if trace is None else trace)


def _status_line(status: ClaimStatus, moment: datetime) -> Line:
    what = Composite((status.category, status.code, status.entity))
    return ("STC", what, moment.strftime("%Y%m%d"), "", status.charged, status.paid)
