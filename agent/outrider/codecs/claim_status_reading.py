"""What came back for a 276, read as findings and facts. It never raises: whatever a stranger sends is an observation.

Rules
-----
1. What stands in every answer (acknowledgements, wrong sets, the order of findings) is read by `x12_answer`.
2. A status that says that there is no status to tell (E*, D0, A4) is a finding at `stc/<loop>`. Paid, pending, denied
   and the like are what a claim is, and facts alone.
3. An answer is ours if every claim's TRN, and the one about the whole request (2200B), refers to our trace, and if
   there is a subscriber at all, a claim is there. BHT03 is the payer's own number; in 2200C nothing is repeated.
4. A status with no trace in front of it is misplaced: nobody could say what it is about. So is a claim's status that
   stands above the claims (2200B, 2200C).
5. A set without any status is no answer.

Source: X12 005010X212 (277); code lists 507 (claim status category) and 508 (claim status).
"""

from __future__ import annotations

import re
from typing import ClassVar

from outrider.codecs.claim_status_loops import RESPONSE, VERSION
from outrider.codecs.claim_status_response import CATEGORY, CODE
from outrider.codecs.x12 import Segment, Separators, Transaction
from outrider.codecs.x12_answer import at, observe
from outrider.codecs.x12_loops import header_of, refuse, walk
from outrider.core.outcome import Finding, Observation

_PHARMACY_CODE = re.compile(r"[A-Z0-9]{1,3}")
_PHARMACY_LIST = "RX"
_PURPOSE = "08"
_COMPOSITES = (1, 10, 11)
_CLAIM_LOOPS = ("2200D", "2200E")
_ABOVE_CLAIMS = ("2200B", "2200C")
_LEVEL_NAMES = {
    "A": "information source",
    "B": "information receiver",
    "C": "provider",
    "D": "subscriber",
    "E": "dependent",
}
_NO_STATUS = {
    "A4": "claim not found",
    "D0": "search unsuccessful",
    "E0": "not possible: error in what was asked",
    "E1": "not possible at this time: system status",
    "E2": "the information holder does not respond",
    "E3": "correction required: values that contradict each other",
    "E4": "correction required: the trading partner asks for more",
}
"""Categories that tell no claim's status. Any other E* is one too."""


def read_response(raw: bytes, *, trace: str, control_number: int | None = None) -> Observation:
    """Read the answer to the request that carried `trace`. Never raises.

    `control_number` is the request's, which an acknowledgement repeats; None leaves it unchecked.
    Facts: "set" (ST01; "TA1" for an acknowledgement alone), "stc" (claim status categories, STC01-1), "stc_code"
    (claim statuses, STC01-2), both in the order of the answer, "trn" (our trace, once for each TRN that carries it).
    """
    return observe(raw, _Reading(trace), control_number=control_number)


class _Reading:
    """Findings and facts while they are collected; an `x12_answer.AnswerReading`."""

    SET_ID: ClassVar = "277"
    VERSION: ClassVar = VERSION

    def __init__(self, trace: str) -> None:
        self.trace = trace
        self.is_ours = True
        self.categories: list[str] = []
        self.codes: list[str] = []
        self.traces: list[str] = []
        self.rejections: list[Finding] = []

    def facts(self) -> dict[str, tuple[str, ...]]:
        return {"stc": tuple(self.categories), "stc_code": tuple(self.codes), "trn": tuple(self.traces)}

    def read_set(self, transaction: Transaction, separators: Separators) -> None:
        header_of(transaction, _PURPOSE)
        told = len(self.categories)
        has_subscriber = has_our_claim = False
        for loop, segment in walk(transaction, RESPONSE):
            if segment.id == "STC":
                self._read_status(loop, segment, separators)
            elif segment.id == "HL":
                has_subscriber = has_subscriber or loop == "2000D"
            elif segment.id == "TRN":
                is_ours = self._refers_to_us(loop, segment)
                has_our_claim = has_our_claim or (is_ours and loop in _CLAIM_LOOPS)
        if has_subscriber and not has_our_claim:
            self.is_ours = False
        if len(self.categories) == told:
            refuse("no-answer", "there is no claim status", transaction.segments[-1])

    def _refers_to_us(self, loop: str, segment: Segment) -> bool:
        if (segment.get(1), segment.get(2)) == ("2", self.trace):
            self.traces.append(self.trace)
            return True
        if loop == "2200B" or loop in _CLAIM_LOOPS:
            self.is_ours = False
        return False

    def _read_status(self, loop: str, segment: Segment, separators: Separators) -> None:
        for element in _COMPOSITES:
            if segment.get(element) or element == 1:
                self._read_composite(loop, segment, element, separators)

    def _read_composite(self, loop: str, segment: Segment, element: int, separators: Separators) -> None:
        category, code, _entity, code_list = (*segment.components(element, separators), "", "", "", "")[:4]
        shape = _PHARMACY_CODE if code_list == _PHARMACY_LIST else CODE
        if not CATEGORY.fullmatch(category) or not shape.fullmatch(code):
            refuse("bad-code", "this is not a claim status of the standard's lists", segment, element)
        tells_no_status = category in _NO_STATUS or category[0] == "E"
        if not tells_no_status and loop in _ABOVE_CLAIMS:
            refuse("misplaced", "a claim's status stands above the claims", segment, element)
        self.categories.append(category)
        self.codes.append(code)
        if tells_no_status:
            meaning = _NO_STATUS.get(category, "an error")
            detail = f"{meaning}, status {code}, at the level of the {_LEVEL_NAMES[loop[-1]]} {at(segment)}"
            self.rejections.append(Finding(category, f"stc/{loop}", detail))
