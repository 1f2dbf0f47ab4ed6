"""What came back for a 270, read as findings and facts. It never raises: whatever a stranger sends is an observation.

Rules
-----
1. What stands in every answer (acknowledgements, wrong sets, the order of findings) is read by `x12_answer`.
2. Each AAA is a finding, in the order of the answer, with the loop it stands in.
3. An answer is ours if BHT03, where there is one, is our trace, and if there is a subscriber at all, a TRN02 is.
   A patient whose referenced traces (TRN01 "2") are all foreign is somebody else's, whatever stands beside him.

Source: X12 005010X279A1 (271).
"""

from __future__ import annotations

from typing import ClassVar

from outrider.codecs.eligibility_loops import VERSION, walk
from outrider.codecs.x12 import Segment, Separators, Transaction
from outrider.codecs.x12_answer import SIGNS, code_of, observe
from outrider.codecs.x12_loops import refuse
from outrider.codecs.x12_rejections import REASON_CODES, rejection_finding
from outrider.core.outcome import Finding, Observation

# Every code that has its list's shape, as sets: four times as fast as patterns, and read_response reads many codes.
_SHORT_CODES = REASON_CODES | frozenset(SIGNS)

_TELLING = frozenset(("BHT", "HL", "TRN", "AAA", "EB"))
_PATIENT_LEVELS = ("2000C", "2000D")
_LEVEL_NAMES = {"A": "information source", "B": "information receiver", "C": "subscriber", "D": "dependent"}


def read_response(raw: bytes, *, trace: str) -> Observation:
    """Read the answer to the inquiry that carried `trace`. Never raises.

    Facts: "set" (ST01; "TA1" for an acknowledgement alone), "eb" (EB01), "service_types" (EB03, flattened), "aaa"
    (AAA03), "trn" (our trace, once for each TRN that carries it).
    """
    return observe(raw, _Reading(trace))


class _Reading:
    """Findings and facts while they are collected; an `x12_answer.AnswerReading`."""

    SET_ID: ClassVar = "271"
    VERSION: ClassVar = VERSION

    def __init__(self, trace: str) -> None:
        self.trace = trace
        self.is_ours = True
        self.benefits: list[str] = []
        self.service_types: list[str] = []
        self.reasons: list[str] = []
        self.traces: list[str] = []
        self.rejections: list[Finding] = []

    def facts(self) -> dict[str, tuple[str, ...]]:
        return {
            "eb": tuple(self.benefits),
            "aaa": tuple(self.reasons),
            "service_types": tuple(self.service_types),
            "trn": tuple(self.traces),
        }

    def read_set(self, transaction: Transaction, separators: Separators) -> None:
        has_subscriber = has_our_trace = own_here = foreign_patient = False
        for loop, segment in walk(transaction):
            name = segment.id
            if name not in _TELLING:
                continue
            if name == "EB":
                self._read_benefit(segment, separators)
            elif name == "AAA":
                finding = rejection_finding(loop, segment, _LEVEL_NAMES.get(loop[-1:], ""))
                self.reasons.append(finding.code)
                self.rejections.append(finding)
            elif name == "HL":
                has_subscriber = has_subscriber or loop == "2000C"
                self.is_ours = self.is_ours and not foreign_patient
                foreign_patient = own_here = False
            elif name == "BHT":
                self.is_ours = self.is_ours and segment.get(3) in ("", self.trace)
            elif segment.get(2) == self.trace and loop in _PATIENT_LEVELS:
                self.traces.append(self.trace)
                has_our_trace = own_here = True
                foreign_patient = False
            elif segment.get(1) == "2" and loop in _PATIENT_LEVELS:
                foreign_patient = not own_here
        if foreign_patient or (has_subscriber and not has_our_trace):
            self.is_ours = False

    def _read_benefit(self, segment: Segment, separators: Separators) -> None:
        self.benefits.append(code_of(_SHORT_CODES, segment, 1))
        text = segment.get(3)
        if not text:
            return
        for service_type in text.split(separators.repetition) if separators.repetition else (text,):
            if service_type not in _SHORT_CODES:
                refuse("bad-code", "this is not a service type", segment, 3)
            self.service_types.append(service_type)
