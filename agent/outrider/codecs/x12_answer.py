"""What the reading of every real-time answer shares: acknowledgements, sets that nobody asked for, and the order.

Rules
-----
1. A message that does not hold together gives one finding (`x12/...`) and no facts.
2. Then, in this order: what the acknowledgements reject (TA1, 999), a set or version that was not asked for, an
   answer to somebody else's question, and what the answer itself rejects, in the order of the answer.
3. An acknowledgement is ours if it repeats our control number (TA101, AK102). Of another one only that it is another
   counts: what it rejects is not our request.
4. A 999 begins with AK1 and ends with AK9.
5. Nothing that identifies a person leaves: only codes of the standard's own shape are repeated, and the trace only
   where it is ours (a foreign one is often an account number).

Source: X12 005010X231A1 (999), X12.5 (TA1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from string import ascii_uppercase, digits
from typing import ClassVar, Protocol

from outrider.codecs.x12 import (
    KNOWN_SEGMENTS,
    Interchange,
    Segment,
    Separators,
    Transaction,
    X12Error,
    read,
    read_transmission,
)
from outrider.codecs.x12_loops import refuse
from outrider.core.outcome import Finding, Observation

SIGNS = ascii_uppercase + digits
LETTERS = frozenset(ascii_uppercase)
_TA1_VERDICTS = frozenset("AER")
_VERDICTS = frozenset("AEMPRWX")
_NOTES = frozenset(f"{note:03d}" for note in range(1000))
_COUNT = re.compile(r"[0-9]{1,6}")
_MISMATCH = Finding("mismatch", "echo/trn", "the answer does not carry the trace that was sent")
_CONTROL_NUMBER = re.compile(r"[0-9]{1,9}")


class AnswerReading(Protocol):
    """What is collected from the transaction sets that were asked for."""

    SET_ID: ClassVar[str]
    VERSION: ClassVar[str]
    is_ours: bool
    rejections: list[Finding]

    def read_set(self, transaction: Transaction, separators: Separators) -> None:
        """Take one set of the right kind and version. Raises X12Error where it does not hold together."""

    def facts(self) -> dict[str, tuple[str, ...]]:
        """What the answer says, beside "set"."""


class Acknowledging(Protocol):
    """What is collected from the acknowledgements, where they are an answer of their own and not only a refusal.

    `is_answer`: one of them accepts what was sent; `mismatches`: one of them is about somebody else's.
    """

    is_answer: bool
    mismatches: list[Finding]

    def read_ta1(self, segment: Segment) -> Iterable[Finding]:
        """Take a TA1; what it refuses."""

    def read_999(self, transaction: Transaction) -> Iterable[Finding]:
        """Take a 999; what it refuses. Raises X12Error where it does not hold together."""

    def facts(self) -> dict[str, tuple[str, ...]]:
        """What the acknowledgements say."""


def observe(
    raw: bytes,
    reading: AnswerReading,
    *,
    control_number: int | None = None,
    acknowledging: Acknowledging | None = None,
) -> Observation:
    """Read a whole answer with `reading`. Never raises. Fact "set": each ST01; "TA1" for a TA1 alone.

    `control_number` is what ISA13 and GS06 of the request were; None leaves acknowledgements unmatched.

    With `acknowledging`, a 999 that accepts is a full answer, alone or beside the set that was asked for, and they may
    come as several interchanges: one thing is acknowledged twice, by whoever took it in and by whoever it is for.
    """
    try:
        if acknowledging is None:
            return _observe((read(raw),), reading, _Refusing(control_number))
        return _observe(read_transmission(raw), reading, acknowledging)
    except X12Error as error:
        return Observation.failed(error.code, f"x12/{error.where}", str(error))


def _observe(
    interchanges: tuple[Interchange, ...], reading: AnswerReading, acknowledging: Acknowledging
) -> Observation:
    wanted = reading.SET_ID
    refusals: list[Finding] = []
    unasked: list[Finding] = []
    sets: list[str] = []
    for interchange in interchanges:
        for ta1 in interchange.acknowledgements:
            refusals += acknowledging.read_ta1(ta1)
    for interchange in interchanges:
        for transaction in interchange.transactions:
            sets.append(transaction.set_id)
            if transaction.set_id == "999":
                refusals += acknowledging.read_999(transaction)
            elif transaction.set_id == wanted and transaction.version == reading.VERSION:
                reading.read_set(transaction, interchange.separators)
            else:
                unasked.append(_unasked(transaction, wanted, reading.VERSION))
    is_answered = wanted in sets or acknowledging.is_answer
    if not is_answered and not (refusals or unasked or acknowledging.mismatches):
        unasked.append(Finding("wrong-set", "x12/ST01", f"an acknowledgement that accepts, but no {wanted}"))
    strangers = [*acknowledging.mismatches, *([] if reading.is_ours else [_MISMATCH])]
    return Observation(
        (*refusals, *unasked, *strangers, *reading.rejections),
        {"set": tuple(sets) or ("TA1",), **reading.facts(), **acknowledging.facts()},
    )


class _Refusing:
    """Acknowledgements that only count where they refuse: the answer that was asked for is another set."""

    def __init__(self, control_number: int | None) -> None:
        self.is_answer = False
        self.mismatches: list[Finding] = []
        self._control_number = control_number

    def read_ta1(self, segment: Segment) -> Iterable[Finding]:
        return (_stranger(segment),) if _is_foreign(segment.get(1), self._control_number) else ta1_findings(segment)

    def read_999(self, transaction: Transaction) -> Iterable[Finding]:
        opening, closing = transaction.segments[1], transaction.segments[-2]
        if opening.id != "AK1" or closing.id != "AK9":
            refuse("not-a-999", "a 999 begins with AK1 and ends with AK9", transaction.segments[0])
        foreign = _is_foreign(opening.get(2), self._control_number)
        return (_stranger(opening),) if foreign else findings_of_999(transaction)

    def facts(self) -> dict[str, tuple[str, ...]]:
        return {}


def code_of(codes: Set[str], segment: Segment, element: int) -> str:
    """The element's text. Raises X12Error("bad-code") if it is none of `codes`."""
    text = segment.get(element)
    if text not in codes:
        refuse("bad-code", "this is not a code of the standard's list", segment, element)
    return text


def at(segment: Segment) -> str:
    """Where a segment stands, for a detail."""
    return f"(segment {segment.number}, byte {segment.offset})"


def _unasked(transaction: Transaction, wanted: str, version: str) -> Finding:
    where = at(transaction.segments[0])
    if transaction.set_id != wanted:
        return Finding("wrong-set", "x12/ST01", f"neither a {wanted} nor an acknowledgement {where}")
    return Finding("wrong-version", "x12/GS08", f"a {wanted}, but not one of {version} {where}")


def _is_foreign(number: str, control_number: int | None) -> bool:
    return control_number is not None and not is_number(number, control_number)


def is_number(text: str, number: int) -> bool:
    """Whether a text is this control number. Leading zeros do not count: GS06 has none, AK102 may."""
    return bool(_CONTROL_NUMBER.fullmatch(text)) and int(text) == number


def _stranger(segment: Segment) -> Finding:
    what = f"{segment.id} acknowledges what was not sent {at(segment)}"
    return Finding("mismatch", "echo/ack", what)


def ta1_findings(segment: Segment) -> Iterator[Finding]:
    """What a TA1 refuses. Raises X12Error("bad-code")."""
    if code_of(_TA1_VERDICTS, segment, 4) not in ("A", "E"):
        note = code_of(_NOTES, segment, 5)
        yield Finding(note, "ta1/TA105", f"our interchange was rejected {at(segment)}")


def findings_of_999(transaction: Transaction) -> Iterator[Finding]:
    """A 999's verdicts, with the place of the first error. IK404, a copy of the bad value, is never repeated."""
    first_error = ""
    for segment in transaction.segments:
        match segment.id:
            case "IK3" if not first_error:
                first_error = f"; first error in {_known(segment.get(1))} at {_number(segment.get(2))}"
            case "IK4" if first_error and "element" not in first_error:
                first_error += f", element {_number(segment.get(1))}, error {_number(segment.get(3))}"
            case "IK5" | "AK9":
                verdict = code_of(_VERDICTS, segment, 1)
                if verdict not in ("A", "E"):
                    what = "our transaction set" if segment.id == "IK5" else "our group"
                    detail = f"{what} was rejected{first_error} {at(segment)}"
                    yield Finding(verdict, f"999/{segment.id}01", detail)
            case _:
                pass


def _known(segment_id: str) -> str:
    return segment_id if segment_id in KNOWN_SEGMENTS else "a segment"


def _number(text: str) -> str:
    return text if _COUNT.fullmatch(text) else "?"
