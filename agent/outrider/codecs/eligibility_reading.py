"""What came back for a 270, read as findings and facts. It never raises: whatever a stranger sends is an observation.

Rules
-----
1. What stands in every answer (acknowledgements, wrong sets, the order of findings) is read by `x12_answer`.
2. Each AAA is a finding, in the order of the answer, with the loop it stands in.
3. An answer is ours if BHT03, where there is one, is our reference, and if our trace is a TRN02 of everybody whose
   benefits it tells; a dependent's may stand on the subscriber's level. A patient whose referenced traces (TRN01 "2")
   are all foreign is somebody else's, whatever stands beside him.
4. A subscriber who is rejected needs no TRN02 if BHT03 is our reference: where the dependent is the patient, the guide
   has none on the subscriber's level.
5. A set with neither a benefit nor a rejection is no answer.

Source: X12 005010X279A1 (271).
"""

from __future__ import annotations

from typing import ClassVar

from outrider.codecs.eligibility_loops import RESPONSE, VERSION
from outrider.codecs.x12 import Segment, Separators, Transaction
from outrider.codecs.x12_answer import SIGNS, observe
from outrider.codecs.x12_loops import header_of, refuse, walk
from outrider.codecs.x12_rejections import REASON_CODES, rejection_finding
from outrider.core.outcome import Finding, Observation

# Every code that has its list's shape, as sets: four times as fast as patterns, and read_response reads many codes.
_SHORT_CODES = REASON_CODES | frozenset(SIGNS)

_PURPOSE = "11"
_REFERENCED = "2"
_SUBSCRIBER, _DEPENDENT = "2000C", "2000D"
_PATIENTS = "CD"
_LEVEL_NAMES = {"A": "information source", "B": "information receiver", "C": "subscriber", "D": "dependent"}


def read_response(raw: bytes, *, trace: str, reference: str = "", control_number: int | None = None) -> Observation:
    """Read the answer to the inquiry that carried `trace`. Never raises.

    `reference` is BHT03 of the inquiry where that is not the trace; `control_number` is the inquiry's, which an
    acknowledgement repeats, and None leaves it unchecked.
    Facts: "set" (ST01; "TA1" for an acknowledgement alone), "eb" (EB01), "service_types" (EB03, flattened), "aaa"
    (AAA03), "trn" (our trace, once for each TRN that carries it).
    """
    return observe(raw, _Reading(trace, reference or trace), control_number=control_number)


class _Reading:
    """Findings and facts while they are collected; an `x12_answer.AnswerReading`.

    What is ours is known of the subscriber and of the patient that the walk is at: `own_here` and `foreign_here` say
    what the traces of this one level are.
    """

    SET_ID: ClassVar = "271"
    VERSION: ClassVar = VERSION

    def __init__(self, trace: str, reference: str) -> None:
        self.trace = trace
        self.reference = reference
        self.is_ours = True
        self.benefits: list[str] = []
        self.service_types: list[str] = []
        self.reasons: list[str] = []
        self.traces: list[str] = []
        self.rejections: list[Finding] = []
        self.has_our_reference = False
        self.subscriber_is_ours = self.patient_is_ours = self.own_here = self.foreign_here = False

    def facts(self) -> dict[str, tuple[str, ...]]:
        return {
            "eb": tuple(self.benefits),
            "aaa": tuple(self.reasons),
            "service_types": tuple(self.service_types),
            "trn": tuple(self.traces),
        }

    def read_set(self, transaction: Transaction, separators: Separators) -> None:
        reference = header_of(transaction, _PURPOSE).get(3)
        self.has_our_reference = reference == self.reference
        self.subscriber_is_ours = self.patient_is_ours = self.own_here = self.foreign_here = False
        told = len(self.benefits) + len(self.reasons)
        for loop, segment in walk(transaction, RESPONSE):
            name = segment.id
            if name == "EB":
                self._read_benefit(segment, separators)
            elif name == "HL":
                self._begin_level(loop)
            elif name == "TRN":
                self._read_trace(loop, segment)
            else:
                self._read_rejection(loop, segment)
        self._begin_level("")
        if reference and not self.has_our_reference:
            self.is_ours = False
        if len(self.benefits) + len(self.reasons) == told:
            refuse("no-answer", "there is neither a benefit nor a rejection", transaction.segments[-1])

    def _begin_level(self, loop: str) -> None:
        if self.foreign_here:
            self.is_ours = False
        self.own_here = self.foreign_here = False
        self.patient_is_ours = self.subscriber_is_ours and loop == _DEPENDENT
        if loop != _DEPENDENT:
            self.subscriber_is_ours = False

    def _read_trace(self, loop: str, segment: Segment) -> None:
        if segment.get(2) == self.trace:
            self.traces.append(self.trace)
            self.patient_is_ours = self.own_here = True
            self.foreign_here = False
            if loop == _SUBSCRIBER:
                self.subscriber_is_ours = True
        elif segment.get(1) == _REFERENCED and not self.own_here:
            self.foreign_here = True
            self.patient_is_ours = False

    def _read_rejection(self, loop: str, segment: Segment) -> None:
        finding = rejection_finding(loop, segment, _LEVEL_NAMES[loop[-1]])
        self.reasons.append(finding.code)
        self.rejections.append(finding)
        if loop[-1] in _PATIENTS and not (self.patient_is_ours or self.has_our_reference):
            self.is_ours = False

    def _read_benefit(self, segment: Segment, separators: Separators) -> None:
        if not self.patient_is_ours:
            self.is_ours = False
        parts = segment.parts
        code = parts[1] if len(parts) > 1 else ""
        if code not in _SHORT_CODES:
            refuse("bad-code", "this is not a code of the standard's list", segment, 1)
        self.benefits.append(code)
        text = parts[3] if len(parts) > 3 else ""
        if not text:
            return
        service_types = text.split(separators.repetition) if separators.repetition else [text]
        if not _SHORT_CODES.issuperset(service_types):
            refuse("bad-code", "this is not a service type", segment, 3)
        self.service_types += service_types
