"""Who and what the clearinghouse knows: synthetic members, payers and providers, and what an inquiry gets.

Rules
-----
1. Everything here is made up (`SYNTHETIC`): the surname is OUTRIDER, the identifiers begin with OUT, no record
   was taken from anywhere.
2. An inquiry is judged in the order of the levels: payer (2100A), provider (2100B), subscriber (2100C),
   dependent (2100D). The first level that fails ends the answer there.
3. An identifier that is not OUT and nine digits is invalid (AAA 72); one that is not in the table is not found
   (AAA 75); a birth date or a name that is given and does not fit the record is AAA 71 or 73. A dependent who
   is not on the record is not found (AAA 67), one whose birth date does not fit is AAA 71, both in 2100D.
4. Any NPI whose check digit holds is on file, except `UNKNOWN_NPI`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from outrider.codecs.check_digits import is_npi
from outrider.codecs.eligibility import Benefit, Inquiry, Rejection

SYNTHETIC = True

PAYERS: Mapping[str, str] = {
    "OUTPAYER01": "OUTRIDER TEST PAYER",
    "OUTPAYER02": "OUTRIDER SECOND TEST PAYER",
}
UNKNOWN_NPI = "1999999984"
"""Its check digit holds, but this provider is not on file (AAA 51)."""

SURNAME = "OUTRIDER"
_MEMBER_ID = re.compile(r"OUT\d{9}")
_PLAIN_CARE = "30"


@dataclass(frozen=True, slots=True)
class Record:
    """One synthetic subscriber. `covered` are service type codes, `begins` is YYYYMMDD, `dependents`
    gives birth dates by first name.

    `rejection` scripts an answer that is not about the member: a payer that cannot answer.
    """

    first: str
    birth_date: str
    gender: str
    plan: str
    insurance_type: str
    covered: tuple[str, ...] = (_PLAIN_CARE,)
    begins: str = "20200101"
    is_active: bool = True
    dependents: Mapping[str, str] = field(default_factory=dict)
    rejection: Rejection | None = None

    def benefits(self, service_types: tuple[str, ...], service_date: str) -> tuple[Benefit, ...]:
        """EB segments for the types that were asked for: 1 active, 6 inactive, I not covered; and a deductible."""
        if not self.is_active or (service_date and service_date < self.begins):
            return (Benefit("6", service_types=service_types),)
        asked = service_types or (_PLAIN_CARE,)
        covered = tuple(code for code in asked if code in self.covered)
        others = tuple(code for code in asked if code not in self.covered)
        found = []
        if covered:
            found.append(Benefit("1", "IND", covered, self.insurance_type, self.plan))
            found.append(Benefit("C", "IND", covered[:1], self.insurance_type, amount="500"))
        if others:
            found.append(Benefit("I", "IND", others))
        return tuple(found)


RECORDS: Mapping[str, Record] = {
    "OUT100000001": Record(
        "TESTONE",
        "19700101",
        "F",
        "OUTRIDER TEST PPO",
        "C1",
        ("30", "1", "33", "47", "86", "98"),
        dependents={"TESTCHILD": "20150401"},
    ),
    "OUT100000002": Record("TESTTWO", "19850615", "M", "OUTRIDER TEST HMO", "HM", ("30", "35", "88", "AL")),
    "OUT100000003": Record("TESTTHREE", "19590228", "F", "OUTRIDER TEST PPO", "C1", is_active=False),
    "OUT100000004": Record("TESTFOUR", "20010911", "M", "OUTRIDER TEST DENTAL", "C1", ("35",)),
    "OUT100000042": Record(
        "TESTFORTYTWO", "19700101", "F", "OUTRIDER TEST PPO", "C1", rejection=Rejection("42", "2100A", "R")
    ),
    "OUT100000080": Record(
        "TESTEIGHTY", "19700101", "F", "OUTRIDER TEST PPO", "C1", rejection=Rejection("80", "2100A", "R")
    ),
}

MEANINGS: Mapping[str, str] = {
    "OUT100000001": "active, service type 30 and others (EB 1); has a dependent, TESTCHILD",
    "OUT100000002": "active, service types 30 and 35 (EB 1)",
    "OUT100000003": "inactive (EB 6)",
    "OUT100000004": "active for dental care only: 35 is EB 1, 30 is EB I",
    "OUT100000042": "the payer cannot answer now (AAA 42 in 2100A; claim status E2)",
    "OUT100000080": "the payer gave no answer (AAA 80 in 2100A; claim status E2)",
    "OUT and nine other digits": "not found (AAA 75 in 2100C)",
    "anything else": "invalid identifier (AAA 72 in 2100C)",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an inquiry gets: benefits, or the rejection that ended it."""

    benefits: tuple[Benefit, ...] = ()
    rejection: Rejection | None = None


def judge(inquiry: Inquiry) -> Judgement:
    """Look the inquiry up. Pure."""
    rejection = _payer(inquiry) or _provider(inquiry) or _subscriber(inquiry) or _dependent(inquiry)
    if rejection is not None:
        return Judgement(rejection=rejection)
    record = RECORDS[inquiry.member.member_id]
    return Judgement(record.benefits(inquiry.service_types, inquiry.service_date))


def _payer(inquiry: Inquiry) -> Rejection | None:
    return None if inquiry.payer_id in PAYERS else Rejection("79", "2100A", "C")


def _provider(inquiry: Inquiry) -> Rejection | None:
    if not is_npi(inquiry.provider_npi):
        return Rejection("43", "2100B", "C")
    return Rejection("51", "2100B", "C") if inquiry.provider_npi == UNKNOWN_NPI else None


def _subscriber(inquiry: Inquiry) -> Rejection | None:
    member = inquiry.member
    if not _MEMBER_ID.fullmatch(member.member_id):
        return Rejection("72", "2100C", "C")
    record = RECORDS.get(member.member_id)
    if record is None:
        return Rejection("75", "2100C", "C")
    if record.rejection is not None:
        return record.rejection
    if member.birth_date not in ("", record.birth_date):
        return Rejection("71", "2100C", "C")
    fits = member.last.upper() in ("", SURNAME) and member.first.upper() in ("", record.first)
    return None if fits else Rejection("73", "2100C", "C")


def _dependent(inquiry: Inquiry) -> Rejection | None:
    dependent = inquiry.dependent
    if dependent is None:
        return None
    known = RECORDS[inquiry.member.member_id].dependents.get(dependent.first.upper())
    if known is None or dependent.last.upper() not in ("", SURNAME):
        return Rejection("67", "2100D", "C")
    return Rejection("71", "2100D", "C") if dependent.birth_date not in ("", known) else None
