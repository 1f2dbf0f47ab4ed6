"""What came back for a request for prior authorisation, as findings and facts. It never raises.

Rules
-----
1. What stands in every answer (acknowledgements, wrong sets, the order of findings) is read by `x12_answer`.
2. Each AAA is a finding, in the order of the answer, with the loop it stands in. What was decided (HCR01) is a fact.
3. An answer is ours if BHT03, where there is one, is our reference, and our trace is a TRN02 of every patient
   event. With neither BHT03 nor an event nothing says whose it is. A request that comes back (BHT02 is not "11") is
   no answer.
4. A set with neither a decision nor a rejection is no answer.
5. Neither the authorisation's number (HCR02) nor anything about the patient is repeated.

Source: X12 005010X217 (278).
"""

from __future__ import annotations

from typing import ClassVar

from outrider.codecs.prior_authorization_loops import RESPONSE, VERSION
from outrider.codecs.prior_authorization_response import ACTION
from outrider.codecs.x12 import Segment, Separators, Transaction
from outrider.codecs.x12_answer import observe
from outrider.codecs.x12_loops import header_of, refuse, walk
from outrider.codecs.x12_rejections import rejection_finding
from outrider.core.outcome import Finding, Observation

_PURPOSE = "11"
_LEVEL_NAMES = {
    "A": "utilization management organisation",
    "B": "requester",
    "C": "subscriber",
    "D": "dependent",
    "E": "patient event",
    "F": "service",
}


def read_response(raw: bytes, *, trace: str, reference: str = "", control_number: int | None = None) -> Observation:
    """Read the answer to the request that carried `trace`. Never raises.

    `reference` is BHT03 of the request where that is not the trace; `control_number` is the request's, which an
    acknowledgement repeats, and None leaves it unchecked.
    Facts: "set" (ST01; "TA1" for an acknowledgement alone), "hcr" (HCR01, what was decided), "aaa" (AAA03), "trn"
    (our trace, once for each TRN that carries it).
    """
    return observe(raw, _Reading(trace, reference or trace), control_number=control_number)


class _Reading:
    """Findings and facts while they are collected; an `x12_answer.AnswerReading`."""

    SET_ID: ClassVar = "278"
    VERSION: ClassVar = VERSION

    def __init__(self, trace: str, reference: str) -> None:
        self.trace = trace
        self.reference = reference
        self.is_ours = True
        self.actions: list[str] = []
        self.reasons: list[str] = []
        self.traces: list[str] = []
        self.rejections: list[Finding] = []

    def facts(self) -> dict[str, tuple[str, ...]]:
        return {"hcr": tuple(self.actions), "aaa": tuple(self.reasons), "trn": tuple(self.traces)}

    def read_set(self, transaction: Transaction, separators: Separators) -> None:
        reference = header_of(transaction, _PURPOSE).get(3)
        self.is_ours = self.is_ours and reference in ("", self.reference)
        told = len(self.actions) + len(self.reasons)
        traced: dict[int, bool] = {}  # each patient event, by number, and whether our trace is on it
        event = 0
        for loop, segment in walk(transaction, RESPONSE):
            match segment.id:
                case "HL" if loop == "2000E":
                    event += 1
                    traced[event] = False
                case "TRN" if loop == "2000E" and (segment.get(1), segment.get(2)) == ("2", self.trace):
                    traced[event] = True
                    self.traces.append(self.trace)
                case "AAA":
                    self._read_rejection(loop, segment)
                case "HCR":
                    self._read_decision(segment)
                case _:
                    pass
        self.is_ours = self.is_ours and all(traced.values()) and bool(traced or reference)
        if len(self.actions) + len(self.reasons) == told:
            refuse("no-answer", "there is neither a decision nor a rejection", transaction.segments[-1])

    def _read_rejection(self, loop: str, segment: Segment) -> None:
        finding = rejection_finding(loop, segment, _LEVEL_NAMES[loop[-1]])
        self.reasons.append(finding.code)
        self.rejections.append(finding)

    def _read_decision(self, segment: Segment) -> None:
        if not ACTION.fullmatch(segment.get(1)):
            refuse("bad-code", "this is no action of a review", segment, 1)
        self.actions.append(segment.get(1))
