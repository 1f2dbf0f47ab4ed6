"""The claims that the clearinghouse knows, all made up, and what a claim status request gets.

Rules
-----
1. A request is judged in the order of the levels, and the first one that fails ends the answer there: payer and its
   own trouble (2200B), provider (2200C), subscriber, dependent, claim (the claim's own loop).
2. A payer or provider that is not on file is an error in what was asked (E0), a payer that does not answer is E2.
   A subscriber, dependent or claim that is not on file is a search without success (D0).
3. A claim is found by its account number, with the member it belongs to; an amount or days of service that are given
   have to fit.

Source: X12 005010X212; code lists 507 (claim status category) and 508 (claim status).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from outrider.codecs.check_digits import is_npi
from outrider.codecs.claim_status import ClaimInquiry, ClaimStatus
from outrider_sandbox.clearinghouse.members import PAYERS, RECORDS, SURNAME, UNKNOWN_NPI

CLAIM_NOT_FOUND = ClaimStatus("D0", "35")
SUBSCRIBER_NOT_FOUND = ClaimStatus("D0", "33", "2200D")
PATIENT_NOT_FOUND = ClaimStatus("D0", "34")
_NOT_ANSWERING = ("42", "80")


@dataclass(frozen=True, slots=True)
class ClaimRecord:
    """One synthetic claim: whose it is, what was charged on which day of service (YYYYMMDD), and where it stands."""

    member_id: str
    charged: str
    day: str
    category: str
    code: str
    paid: str = ""
    dependent: str = ""

    def fits(self, inquiry: ClaimInquiry) -> bool:
        claim = inquiry.claim
        first, last = claim.days
        patient = inquiry.dependent.first.upper() if inquiry.dependent else ""
        return (
            (inquiry.member.member_id, patient) == (self.member_id, self.dependent)
            and (not claim.amount or _cents(claim.amount) == _cents(self.charged))
            and (not first or first <= self.day <= last)
        )


CLAIMS: Mapping[str, ClaimRecord] = {
    "OUTCLAIM0001": ClaimRecord("OUT100000001", "125.00", "20260302", "F1", "65", paid="100.00"),
    "OUTCLAIM0002": ClaimRecord("OUT100000001", "480.50", "20260511", "P1", "20"),
    "OUTCLAIM0003": ClaimRecord("OUT100000003", "60.00", "20260401", "F2", "88"),
    "OUTCLAIM0004": ClaimRecord("OUT100000001", "75.00", "20260316", "F1", "65", paid="75.00", dependent="TESTCHILD"),
}
"""By the patient's account number (REF*EJ)."""

MEANINGS: Mapping[str, str] = {
    "OUTCLAIM0001": "of OUT100000001, 125.00 on 2026-03-02: paid (F1, status 65)",
    "OUTCLAIM0002": "of OUT100000001, 480.50 on 2026-05-11: pending (P1, status 20)",
    "OUTCLAIM0003": "of OUT100000003, 60.00 on 2026-04-01: denied (F2, status 88)",
    "OUTCLAIM0004": "of OUT100000001's dependent TESTCHILD, 75.00 on 2026-03-16: paid (F1, status 65)",
    "anything else": "not found (D0, status 35)",
}


def judge_claim(inquiry: ClaimInquiry) -> ClaimStatus:
    """Look the claim up. Pure."""
    return _payer(inquiry) or _provider(inquiry) or _patient(inquiry) or _claim(inquiry)


def _payer(inquiry: ClaimInquiry) -> ClaimStatus | None:
    if inquiry.payer_id not in PAYERS:
        return ClaimStatus("E0", "26", "2200B", entity="PR")
    record = RECORDS.get(inquiry.member.member_id)
    is_silent = record is not None and record.rejection is not None and record.rejection.code in _NOT_ANSWERING
    return ClaimStatus("E2", "0", "2200B") if is_silent else None


def _provider(inquiry: ClaimInquiry) -> ClaimStatus | None:
    if not is_npi(inquiry.provider_npi):
        return ClaimStatus("E0", "562", "2200C", entity="1P")
    return ClaimStatus("E0", "26", "2200C", entity="1P") if inquiry.provider_npi == UNKNOWN_NPI else None


def _patient(inquiry: ClaimInquiry) -> ClaimStatus | None:
    member, dependent = inquiry.member, inquiry.dependent
    record = RECORDS.get(member.member_id)
    if record is None or not _same_person(member.last, member.first, SURNAME, record.first):
        return SUBSCRIBER_NOT_FOUND
    if member.birth_date not in ("", record.birth_date):
        return SUBSCRIBER_NOT_FOUND
    if dependent is None:
        return None
    born = record.dependents.get(dependent.first.upper())
    is_known = born is not None and dependent.last.upper() in ("", SURNAME) and dependent.birth_date in ("", born)
    return None if is_known else PATIENT_NOT_FOUND


def _claim(inquiry: ClaimInquiry) -> ClaimStatus:
    record = CLAIMS.get(inquiry.claim.account)
    if record is None or not record.fits(inquiry):
        return CLAIM_NOT_FOUND
    return ClaimStatus(record.category, record.code, charged=record.charged, paid=record.paid)


def _same_person(last: str, first: str, known_last: str, known_first: str) -> bool:
    return last.upper() in ("", known_last) and first.upper() in ("", known_first)


def _cents(amount: str) -> int:
    """A decimal text with at most two places, as whole cents."""
    units, _, places = amount.partition(".")
    return int(units) * 100 + int(places.ljust(2, "0"))
