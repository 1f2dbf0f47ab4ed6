"""What came back for a claim, read as findings and facts. It never raises: whatever a stranger sends is an observation.

Rules
-----
1. What stands in every answer (acknowledgements, wrong sets, the order of findings) is read by `x12_answer`. A 999 that
   accepts our group and set is a full answer; a 277CA may come with it, in another group or another interchange.
2. A status that rejects (action U) is a finding at `stc/<loop>`. One that accepts (WQ) is a fact. Category and action
   have to say the same, and only the guide's categories count (A0 to A8; E1 to E4, for a system that is not there).
3. An answer is ours if the receiver's TRN02 (2200B) is our BHT03, and each claim's (2200D) our CLM01. If nothing above
   the claim was rejected, the claim is there, and each claim has a status.
4. Neither the payer's number for the claim (REF*1K), nor free text, nor anything about the patient is repeated.

Sources: X12 005010X214 (277, claim acknowledgement), X12C 005010X231A1 (999); code lists 507 and 508.
"""

from __future__ import annotations

import re
from typing import ClassVar

from outrider.codecs.claim_status_response import CODE
from outrider.codecs.professional_claim_loops import ACKNOWLEDGEMENT, ACKNOWLEDGEMENT_VERSION
from outrider.codecs.professional_claim_request import GUIDE, SET_CONTROL_NUMBER
from outrider.codecs.professional_claim_response import ACCEPTING, REJECTING
from outrider.codecs.x12 import Segment, Separators, Transaction
from outrider.codecs.x12_acknowledgement import Acknowledgements, SentNumbers
from outrider.codecs.x12_answer import at, observe
from outrider.codecs.x12_loops import refuse, walk
from outrider.core.outcome import Finding, Observation

_STATUS_LOOPS = {
    "2200B": "the whole submission",
    "2200C": "the billing provider's claims",
    "2200D": "the claim",
    "2220D": "a service line",
}
_ACTIONS = {"WQ": ACCEPTING, "U": REJECTING}
_COMPOSITES = (1, 10, 11)
_PHARMACY_CODE = re.compile(r"[A-Z0-9]{1,3}")
_PHARMACY_LIST = "RX"
_COUNT = re.compile(r"[0-9]{1,15}")
_AMOUNT = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,2})?")
_MOST_OF_A_REFERENCE = 50
_MEANINGS = {
    "A3": "returned as unprocessable",
    "A4": "not found",
    "A6": "rejected for missing information",
    "A7": "rejected for invalid information",
    "A8": "rejected for values that contradict each other",
    "E1": "not possible at this time: system status",
    "E2": "the information holder does not respond",
    "E3": "correction required: values that contradict each other",
    "E4": "correction required: the trading partner asks for more",
}


def read_response(raw: bytes, *, trace: str, claim: str, control_number: int) -> Observation:
    """Read the answer to the 837 with this BHT03, CLM01 and GS06. Never raises.

    Facts: "set" (ST01; "TA1" for a TA1 alone), "stc" (claim status categories, STC01-1), "stc_code" (claim statuses,
    STC01-2), "stc_loop" (where each stands) and "stc_action" (STC03), all four in the order of the answer; "trn" (our
    BHT03 and CLM01, once for each TRN that carries one), "ack" (IK501 and AK901).
    """
    sent = SentNumbers(GUIDE.functional_id, GUIDE.set_id, control_number, SET_CONTROL_NUMBER)
    return observe(raw, _Reading(trace, claim), acknowledging=Acknowledgements(sent))


class _Reading:
    """Findings and facts while they are collected; an `x12_answer.AnswerReading`."""

    SET_ID: ClassVar = "277"
    VERSION: ClassVar = ACKNOWLEDGEMENT_VERSION

    def __init__(self, trace: str, claim: str) -> None:
        self.trace = trace
        self.claim = claim
        self.is_ours = True
        self.statuses: list[tuple[str, str, str, str]] = []
        self.traces: list[str] = []
        self.rejections: list[Finding] = []

    def facts(self) -> dict[str, tuple[str, ...]]:
        names = ("stc", "stc_code", "stc_loop", "stc_action")
        columns = zip(*self.statuses, strict=True) if self.statuses else ((),) * len(names)
        return {**dict(zip(names, map(tuple, columns), strict=True)), "trn": tuple(self.traces)}

    def read_set(self, transaction: Transaction, separators: Separators) -> None:
        header = transaction.segments[1]
        if (header.id, header.get(1), header.get(2)) != ("BHT", "0085", "08"):
            refuse("not-an-answer", "no BHT says that this is a claim acknowledgement", header)
        has_trace = has_claim = False
        without_status: Segment | None = None
        known = len(self.rejections)
        for loop, segment in walk(transaction, ACKNOWLEDGEMENT):
            match segment.id:
                case "TRN" if loop in _STATUS_LOOPS:
                    _must_have_status(without_status)
                    self._read_trace(loop, segment)
                    has_trace, has_claim = has_trace or loop == "2200B", has_claim or loop == "2200D"
                    without_status = segment
                case "STC":
                    self._read_status(loop, segment, separators)
                    without_status = None
                case "REF" if loop == "2200D" and segment.get(1) == "1K":
                    _check_payer_claim(segment)
                case "QTY" | "AMT":
                    _check_total(segment)
                case _:
                    pass
        _must_have_status(without_status)
        if not has_trace:
            self.is_ours = False
        if not has_claim and len(self.rejections) == known:
            refuse("no-claim", "what was received was not rejected, but no claim is there", transaction.segments[-1])

    def _read_trace(self, loop: str, segment: Segment) -> None:
        if loop == "2200C":
            return  # the answerer's own
        wanted = self.trace if loop == "2200B" else self.claim
        if (segment.get(1), segment.get(2)) == ("2", wanted):
            self.traces.append(wanted)
        else:
            self.is_ours = False

    def _read_status(self, loop: str, segment: Segment, separators: Separators) -> None:
        if loop not in _STATUS_LOOPS:
            refuse("misplaced", "a claim status has no trace in front of it, or stands on a level without one", segment)
        fitting = _ACTIONS.get(segment.get(3))
        if fitting is None:
            refuse("bad-code", "STC03 says neither that something was accepted (WQ) nor rejected (U)", segment, 3)
        for element in _COMPOSITES:
            if segment.get(element) or element == 1:
                self._read_composite(loop, segment, element, separators)

    def _read_composite(self, loop: str, segment: Segment, element: int, separators: Separators) -> None:
        category, code, _entity, code_list = (*segment.components(element, separators), "", "", "", "")[:4]
        shape = _PHARMACY_CODE if code_list == _PHARMACY_LIST else CODE
        if category not in ACCEPTING | REJECTING or not shape.fullmatch(code):
            refuse("bad-code", "this is no status of a claim acknowledgement", segment, element)
        action = segment.get(3)
        if category not in _ACTIONS[action]:
            refuse("stc-contradiction", "the category and the action (STC03) contradict each other", segment, element)
        self.statuses.append((category, code, loop, action))
        if category in REJECTING:
            detail = f"{_MEANINGS[category]}, status {code}, about {_STATUS_LOOPS[loop]} {at(segment)}"
            self.rejections.append(Finding(category, f"stc/{loop}", detail))


def _must_have_status(trace: Segment | None) -> None:
    if trace is not None:
        refuse("no-status", "nothing says how what has this trace fared", trace)


def _check_payer_claim(segment: Segment) -> None:
    if not 1 <= len(segment.get(2)) <= _MOST_OF_A_REFERENCE:
        refuse("bad-reference", "the payer's number for the claim has not 1 to 50 characters", segment, 2)


def _check_total(segment: Segment) -> None:
    shape = _COUNT if segment.id == "QTY" else _AMOUNT
    if not shape.fullmatch(segment.get(2)):
        refuse("bad-amount", "a total is no number", segment, 2)
