"""What an answer means: the classified fact of a run, and whose doing it was.

Rules
-----
1. Where a code stands and which code it is decide together; the deciding table is an argument.
2. An *expected* rejection (AAA 75 for an unknown member, a decline of a test card) is ok.
3. Trouble is judged in the order in which it was found, wire first; the first finding that no expectation
   covers decides.
4. A code that the table does not know, at a place that it does not know, is `malformed`: an answer that nobody
   agreed on is never counted in the service's favour.
5. How a class counts (`Standing`) belongs to the agreement, so it is a table too: `STANDINGS` is the default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

_MOST_SHOWN = 2000
"""Characters of an answer that a detail repeats: whoever redacts it has no megabyte to read."""


class OutcomeClass(StrEnum):
    """The eight classes a run can fall into."""

    OK = "ok"
    BUSINESS_UNEXPECTED = "business_unexpected"
    PARTNER_DOWN = "partner_down"
    SERVICE_DOWN = "service_down"
    MALFORMED = "malformed"
    THROTTLED = "throttled"
    PROBE_FAULT = "probe_fault"
    AGENT_FAULT = "agent_fault"


class Fault(StrEnum):
    """Whose doing it was."""

    NONE = "none"
    SERVICE = "service"
    PARTNER = "partner"
    AGENT = "agent"


class Standing(StrEnum):
    """How a sample enters the accounts (R2). PARTNER counts as GOOD in the network view and BAD end to end."""

    GOOD = "good"
    BAD = "bad"
    PARTNER = "partner"
    VOID = "void"


FAULTS: Mapping[OutcomeClass, Fault] = {
    OutcomeClass.OK: Fault.NONE,
    OutcomeClass.BUSINESS_UNEXPECTED: Fault.SERVICE,
    OutcomeClass.PARTNER_DOWN: Fault.PARTNER,
    OutcomeClass.SERVICE_DOWN: Fault.SERVICE,
    OutcomeClass.MALFORMED: Fault.SERVICE,
    OutcomeClass.THROTTLED: Fault.SERVICE,
    OutcomeClass.PROBE_FAULT: Fault.AGENT,
    OutcomeClass.AGENT_FAULT: Fault.AGENT,
}

STANDINGS: Mapping[OutcomeClass, Standing] = {
    OutcomeClass.OK: Standing.GOOD,
    OutcomeClass.BUSINESS_UNEXPECTED: Standing.GOOD,
    OutcomeClass.PARTNER_DOWN: Standing.PARTNER,
    OutcomeClass.SERVICE_DOWN: Standing.BAD,
    OutcomeClass.MALFORMED: Standing.BAD,
    OutcomeClass.THROTTLED: Standing.BAD,
    OutcomeClass.PROBE_FAULT: Standing.VOID,
    OutcomeClass.AGENT_FAULT: Standing.VOID,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or remarkable, about an exchange.

    `code` is the code as it stood in the answer ("42", "503", "timeout"); `place` says where, as a path whose
    first part names the fact it belongs to ("aaa/2000A", "status", "net/connect"); `detail` is for people and
    holds nothing of a person.
    """

    code: str
    place: str
    detail: str = ""

    @property
    def fact(self) -> str:
        """The fact that this finding is about: the place's first part."""
        return self.place.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Observation:
    """What a codec read from an exchange: trouble in the order it was found, and the facts of the answer.

    A fact may have several values (a 271 has many EB segments), in the order of the answer.
    """

    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def failed(cls, code: str, place: str, detail: str = "") -> Observation:
        """An exchange that brought no answer."""
        return cls((Finding(code, place, detail),))


@dataclass(frozen=True, slots=True)
class Expected:
    """One expectation: the fact has one of these values. An `echo` must come back as it was sent.

    Of a fact with several values one match is enough.
    """

    fact: str
    values: tuple[str, ...]
    echo: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of an outcome table. `code` and `place` are shell patterns, compared with case."""

    place: str
    code: str
    outcome: OutcomeClass

    def matches(self, finding: Finding) -> bool:
        return fnmatchcase(finding.place, self.place) and fnmatchcase(finding.code, self.code)


OutcomeTable = Sequence[Rule]
"""Rows, tried from the top; a configuration's own rows are put before the shipped ones."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The classified fact of a step or a run, with the code and place that decided it."""

    outcome: OutcomeClass
    code: str = ""
    place: str = ""
    detail: str = ""

    @property
    def fault(self) -> Fault:
        return FAULTS[self.outcome]

    @property
    def is_ok(self) -> bool:
        return self.outcome is OutcomeClass.OK


OK = Outcome(OutcomeClass.OK)


def classify(expectation: Iterable[Expected], observation: Observation, table: OutcomeTable) -> Outcome:
    """Say what an observation means to someone who expected `expectation`.

    Pure; raises nothing. Source of the classes: X12 005010X279A1 (AAA), CAQH CORE envelope rules, RFC 9110.
    """
    wanted = tuple(expectation)
    for finding in observation.findings:
        if not any(_covers(expected, finding) for expected in wanted):
            verdict = _look_up(finding, table)
            if verdict is not OutcomeClass.OK:
                return Outcome(verdict, finding.code, finding.place, finding.detail)
    for expected in wanted:
        finding_or_none = _unmet(expected, observation.facts)
        if finding_or_none is not None:
            verdict = _look_up(finding_or_none, table)
            return Outcome(verdict, finding_or_none.code, finding_or_none.place, finding_or_none.detail)
    return OK


def _covers(expected: Expected, finding: Finding) -> bool:
    return expected.fact == finding.fact and finding.code in expected.values


def _look_up(finding: Finding, table: OutcomeTable) -> OutcomeClass:
    for rule in table:
        if rule.matches(finding):
            return rule.outcome
    return OutcomeClass.MALFORMED


def _unmet(expected: Expected, facts: Mapping[str, tuple[str, ...]]) -> Finding | None:
    found = facts.get(expected.fact, ())
    if any(value in expected.values for value in found):
        return None
    if expected.echo:
        return Finding("mismatch", f"echo/{expected.fact}", "the answer is to somebody else's question")
    wanted = " or ".join(expected.values)
    if not found:
        return Finding(
            "missing", f"expect/{expected.fact}", f"expected {wanted}, but the answer has no {expected.fact}"
        )
    got = ", ".join(found[:5])[:_MOST_SHOWN]
    return Finding("unexpected", f"expect/{expected.fact}", f"expected {wanted}, got {got}")
