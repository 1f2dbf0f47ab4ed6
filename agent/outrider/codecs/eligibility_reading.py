"""What came back for a 270, read as findings and facts. It never raises: whatever a stranger sends is an observation.

Rules
-----
1. A message that does not hold together gives one finding (`x12/...`) and no facts.
2. Then, in this order: what the acknowledgements reject (TA1, 999), a set or version that was not asked for, an
   answer to somebody else's question, and each AAA in the order of the answer, with the loop it stands in.
3. An answer is ours if BHT03, where there is one, is our trace, and if there is a subscriber at all, a TRN02 is.
   A patient whose referenced traces (TRN01 "2") are all foreign is somebody else's, whatever stands beside him.
4. Nothing that identifies a person leaves this module: only codes of the standard's own shape are repeated, and
   the trace only where it is ours (a foreign one is often an account number).

Source: X12 005010X279A1 (271), 005010X231A1 (999), X12.5 (TA1).
"""

from __future__ import annotations

import re
from collections.abc import Set
from string import ascii_uppercase, digits

from outrider.codecs.eligibility_loops import VERSION, refuse, walk
from outrider.codecs.x12 import KNOWN_SEGMENTS, Interchange, Segment, Separators, Transaction, X12Error, read
from outrider.core.outcome import Finding, Observation

# Every code that has its list's shape, as sets: four times as fast as patterns, and read_response reads many codes.
_SIGNS = ascii_uppercase + digits
_LETTERS = frozenset(ascii_uppercase)
_REASON_CODES = frozenset(first + second for first in _SIGNS for second in _SIGNS)
_SHORT_CODES = _REASON_CODES | frozenset(_SIGNS)
_NOTES = frozenset(f"{note:03d}" for note in range(1000))
_COUNT = re.compile(r"[0-9]{1,6}")

_MISMATCH = Finding("mismatch", "echo/trn", "the answer does not carry the trace that was sent")
_TELLING = frozenset(("BHT", "HL", "TRN", "AAA", "EB"))
_PATIENT_LEVELS = ("2000C", "2000D")
_LEVEL_NAMES = {"A": "information source", "B": "information receiver", "C": "subscriber", "D": "dependent"}
_REASONS = {
    "15": "the request lacks data",
    "41": "not authorised",
    "42": "cannot answer at the moment",
    "43": "provider unknown or invalid",
    "50": "provider may not ask this",
    "51": "provider not on file",
    "58": "birth date missing or invalid",
    "71": "birth date does not match",
    "72": "member id missing or invalid",
    "73": "name missing or invalid",
    "75": "subscriber not found",
    "76": "subscriber found twice",
    "79": "participant unknown or invalid",
    "80": "no answer from the payer",
}


def read_response(raw: bytes, *, trace: str) -> Observation:
    """Read the answer to the inquiry that carried `trace`. Never raises.

    Facts: "set" (ST01; "TA1" for an acknowledgement alone), "eb" (EB01), "service_types" (EB03, flattened), "aaa"
    (AAA03), "trn" (our trace, once for each TRN that carries it).
    """
    try:
        return _Reading(trace).observe(read(raw))
    except X12Error as error:
        return Observation.failed(error.code, f"x12/{error.where}", str(error))


class _Reading:
    """Findings and facts while they are collected."""

    def __init__(self, trace: str) -> None:
        self.trace = trace
        self.is_ours = True
        self.sets: list[str] = []
        self.benefits: list[str] = []
        self.service_types: list[str] = []
        self.reasons: list[str] = []
        self.traces: list[str] = []
        self.refusals: list[Finding] = []
        self.unasked: list[Finding] = []
        self.rejections: list[Finding] = []

    def observe(self, interchange: Interchange) -> Observation:
        for acknowledgement in interchange.acknowledgements:
            self._read_ta1(acknowledgement)
        for transaction in interchange.transactions:
            self.sets.append(transaction.set_id)
            if transaction.set_id == "999":
                self._read_999(transaction)
            elif transaction.set_id != "271":
                self._was_not_asked("wrong-set", "x12/ST01", transaction, "neither a 271 nor an acknowledgement")
            elif transaction.version != VERSION:
                self._was_not_asked("wrong-version", "x12/GS08", transaction, f"a 271, but not one of {VERSION}")
            else:
                self._read_271(transaction, interchange.separators)
        if "271" not in self.sets and not self.refusals and not self.unasked:
            self.unasked.append(Finding("wrong-set", "x12/ST01", "an acknowledgement that accepts, but no 271"))
        strangers = [] if self.is_ours else [_MISMATCH]
        return Observation(
            (*self.refusals, *self.unasked, *strangers, *self.rejections),
            {
                "set": tuple(self.sets) or ("TA1",),
                "eb": tuple(self.benefits),
                "aaa": tuple(self.reasons),
                "service_types": tuple(self.service_types),
                "trn": tuple(self.traces),
            },
        )

    def _was_not_asked(self, code: str, place: str, transaction: Transaction, what: str) -> None:
        self.unasked.append(Finding(code, place, f"{what} {_at(transaction.segments[0])}"))

    def _read_271(self, transaction: Transaction, separators: Separators) -> None:
        has_subscriber = has_our_trace = own_here = foreign_patient = False
        for loop, segment in walk(transaction):
            name = segment.id
            if name not in _TELLING:
                continue
            if name == "EB":
                self._read_benefit(segment, separators)
            elif name == "AAA":
                self._read_rejection(loop, segment)
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
        self.benefits.append(_code(_SHORT_CODES, segment, 1))
        text = segment.get(3)
        if not text:
            return
        for service_type in text.split(separators.repetition) if separators.repetition else (text,):
            if service_type not in _SHORT_CODES:
                refuse("bad-code", "this is not a service type", segment, 3)
            self.service_types.append(service_type)

    def _read_rejection(self, loop: str, segment: Segment) -> None:
        if not loop:
            refuse("misplaced", "a rejection stands outside every level", segment)
        if segment.get(1) not in ("Y", "N"):
            refuse("bad-code", "AAA01 is neither Y nor N", segment, 1)
        code = _code(_REASON_CODES, segment, 3)
        follow_up = f", follow-up {_code(_LETTERS, segment, 4)}" if segment.get(4) else ""
        reason = _REASONS.get(code, "see the guide's list")
        self.reasons.append(code)
        detail = f"{reason}, at the level of the {_LEVEL_NAMES[loop[-1]]}{follow_up} {_at(segment)}"
        self.rejections.append(Finding(code, f"aaa/{loop}", detail))

    def _read_ta1(self, segment: Segment) -> None:
        if _code(_LETTERS, segment, 4) not in ("A", "E"):
            note = _code(_NOTES, segment, 5)
            self.refusals.append(Finding(note, "ta1/TA105", f"our interchange was rejected {_at(segment)}"))

    def _read_999(self, transaction: Transaction) -> None:
        """A 999's verdicts, with the place of the first error. IK404, a copy of the bad value, is never repeated."""
        first_error = ""
        for segment in transaction.segments:
            match segment.id:
                case "IK3" if not first_error:
                    first_error = f"; first error in {_known(segment.get(1))} at {_number(segment.get(2))}"
                case "IK4" if first_error and "element" not in first_error:
                    first_error += f", element {_number(segment.get(1))}, error {_number(segment.get(3))}"
                case "IK5" | "AK9":
                    verdict = _code(_LETTERS, segment, 1)
                    if verdict not in ("A", "E"):
                        what = "our transaction set" if segment.id == "IK5" else "our group"
                        detail = f"{what} was rejected{first_error} {_at(segment)}"
                        self.refusals.append(Finding(verdict, f"999/{segment.id}01", detail))
                case _:
                    pass


def _code(codes: Set[str], segment: Segment, element: int) -> str:
    """The element's text, which must be one of `codes`."""
    text = segment.get(element)
    if text not in codes:
        refuse("bad-code", "this is not a code of the standard's list", segment, element)
    return text


def _known(segment_id: str) -> str:
    return segment_id if segment_id in KNOWN_SEGMENTS else "a segment"


def _number(text: str) -> str:
    return text if _COUNT.fullmatch(text) else "?"


def _at(segment: Segment) -> str:
    return f"(segment {segment.number}, byte {segment.offset})"
