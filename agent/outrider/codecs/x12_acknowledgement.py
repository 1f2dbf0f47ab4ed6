"""TA1 and 999 as an answer of their own, held against the numbers of what was sent.

Rules
-----
1. A 999 is about our group if AK101 and AK102 are its GS01 and GS06, and about our set if AK201 and AK202 are its ST01
   and ST02; a TA1 is ours if TA101 is our ISA13. One that is about anything else is somebody else's, whatever it says.
2. A 999 that accepts (AK901 and each IK501 A or E) is a full answer. Where every set was accepted, a 999 may leave the
   sets out (AK2), and then the group's verdict speaks for ours.
3. Verdicts and counts have to agree: who accepts a group has accepted a set (AK904).

Sources: X12C 005010X231A1 (999), X12.5 (TA1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from outrider.codecs.x12 import Segment, Transaction
from outrider.codecs.x12_answer import LETTERS, at, code_of, findings_of_999, is_number, ta1_findings
from outrider.codecs.x12_loops import refuse
from outrider.core.outcome import Finding

VERSION_999 = "005010X231A1"

_ACCEPTING = ("A", "E")
_COUNT = re.compile(r"[0-9]{1,6}")
_PLACE = "echo/ack"


@dataclass(frozen=True, slots=True)
class SentNumbers:
    """What a 999 or TA1 repeats: the kind of the group and of the set (GS01, ST01) and the control numbers."""

    functional_id: str
    set_id: str
    control_number: int
    set_control_number: str


class Acknowledgements:
    """The verdicts on what was sent, while they are collected; an `x12_answer.Acknowledging`."""

    def __init__(self, sent: SentNumbers) -> None:
        self.sent = sent
        self.is_answer = False
        self.mismatches: list[Finding] = []
        self.verdicts: list[str] = []

    def facts(self) -> dict[str, tuple[str, ...]]:
        """Fact "ack": IK501 and AK901 of each 999 about our group, in the order of the answer."""
        return {"ack": tuple(self.verdicts)}

    def read_ta1(self, segment: Segment) -> Iterable[Finding]:
        if is_number(segment.get(1), self.sent.control_number):
            return ta1_findings(segment)
        self._is_strange("TA1", segment)
        return ()

    def read_999(self, transaction: Transaction) -> Iterable[Finding]:
        if transaction.version != VERSION_999:
            what = f"a 999, but not one of {VERSION_999} {at(transaction.segments[0])}"
            return (Finding("wrong-version", "x12/GS08", what),)
        strange = next(self._strange_segments(transaction), None)
        if strange is not None:
            self._is_strange("999", strange)
            return ()
        verdicts = self._verdicts(transaction)
        self.verdicts += verdicts
        self.is_answer = self.is_answer or all(verdict in _ACCEPTING for verdict in verdicts)
        return findings_of_999(transaction)

    def _strange_segments(self, transaction: Transaction) -> Iterator[Segment]:
        """AK1 and AK2 that are not about what was sent. Raises X12Error where AK1 is not there."""
        sent = self.sent
        group = transaction.segments[1]
        if group.id != "AK1":
            refuse("no-ak1", "the 999 does not say which group it is about", transaction.segments[-1])
        if group.get(1) != sent.functional_id or not is_number(group.get(2), sent.control_number):
            yield group
        ours = (sent.set_id, sent.set_control_number)
        yield from (each for each in transaction.segments if each.id == "AK2" and (each.get(1), each.get(2)) != ours)

    def _verdicts(self, transaction: Transaction) -> list[str]:
        """IK501 and AK901. Raises X12Error where one is missing or contradicts its counts."""
        verdicts: list[str] = []
        opened = 0
        for segment in transaction.segments:
            if segment.id == "AK2":
                opened += 1
            elif segment.id in ("IK5", "AK9"):
                verdicts.append(code_of(LETTERS, segment, 1))
        ending = transaction.segments[-2]
        if ending.id != "AK9" or len(verdicts) != opened + 1:
            refuse("no-verdict", "the 999 has not one verdict on each set (IK5) and on the group (AK9)", ending)
        counts = [ending.get(n) for n in (2, 3, 4)]
        if not all(map(_COUNT.fullmatch, counts)):
            refuse("bad-count", "AK902 to AK904 are not counts", ending, 2)
        if (verdicts[-1] in _ACCEPTING) != (int(counts[2]) > 0) and verdicts[-1] != "P":
            refuse("ak9-contradiction", "the verdict and the number of sets accepted contradict each other", ending, 4)
        return verdicts

    def _is_strange(self, what: str, segment: Segment) -> None:
        self.mismatches.append(Finding("mismatch", _PLACE, f"the {what} is not about what was sent {at(segment)}"))
