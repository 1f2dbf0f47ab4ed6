"""The claim status request: who asks whom about which claim, as a 276 and back.

Rules
-----
1. One request is one interchange with one transaction set about one claim, as real time asks.
2. The trace stands in TRN02 of the claim and in BHT03. The answer repeats it in the claim's TRN02; where the answer is
   about the whole request (2200B), it repeats BHT03 there.
3. The patient is the member, or the dependent if there is one. Only the patient has demographics (DMG).

Source: X12 005010X212 (276).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from outrider.codecs import x12_exchange
from outrider.codecs.claim_status_loops import REQUEST, VERSION
from outrider.codecs.x12 import Interchange, Line, Segment, Transaction, X12Error, read
from outrider.codecs.x12_exchange import Guide, Level, Request, header_line, level_lines, opening, require
from outrider.codecs.x12_loops import refuse, walk
from outrider.codecs.x12_request import (
    DATE,
    Member,
    demographic_lines,
    dependent_of,
    member_of,
    only_transaction,
    organisation_line,
    person_line,
)

_GUIDE = Guide("276", "HR", VERSION)
AMOUNT = re.compile(r"[0-9]{1,10}(\.[0-9]{1,2})?")
_MOST_OF_A_REFERENCE = 50
_WANTED = {
    "NM1 2100D": "IL", "NM1 2100E": "QC", "TRN 2200D": "1", "TRN 2200E": "1", "AMT 2200D": "T3", "AMT 2200E": "T3",
    "DTP 2200D": "472", "DTP 2200E": "472",
}  # fmt: skip
"""What the first element of a segment in its loop must be to count."""
_REQUIRED = (
    ("NM1 2100A", "no-payer", "there is no information source (NM1*PR)"),
    ("NM1 2100B", "no-submitter", "there is no information receiver (NM1*41)"),
    ("NM1 2100C", "no-provider", "there is no provider of service (NM1*1P)"),
    ("NM1 2100D", "no-member", "there is no subscriber (NM1*IL)"),
)


@dataclass(frozen=True, slots=True)
class Claim:
    """The claim that is asked for. Left out of every `repr`: an account number leads to a person.

    `account` is the patient's account number at the provider (REF*EJ), `payer_claim` the payer's own number for the
    claim (REF*1K), `amount` what was charged, as a decimal text; `first_day` and `last_day` are the days of service,
    "YYYYMMDD". "" stands for what is not known; a `last_day` of "" is the first one.
    """

    account: str = field(default="", repr=False)
    amount: str = field(default="", repr=False)
    first_day: str = field(default="", repr=False)
    last_day: str = field(default="", repr=False)
    payer_claim: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if len(self.account) > _MOST_OF_A_REFERENCE or len(self.payer_claim) > _MOST_OF_A_REFERENCE:
            raise X12Error("bad-reference", "a reference has 50 characters at most", "REF02")
        if self.amount and not AMOUNT.fullmatch(self.amount):
            raise X12Error("bad-amount", "the amount is no decimal number with at most two places", "AMT02")
        for day in (self.first_day, self.last_day):
            if day and not DATE.fullmatch(day):
                raise X12Error("bad-date", "a day of service is not YYYYMMDD", "DTP03")
        if self.last_day and not self.first_day <= self.last_day:
            raise X12Error("bad-date", "the last day of service is before the first", "DTP03")
        if self.last_day and not self.first_day:
            raise X12Error("bad-date", "there is a last day of service, but no first", "DTP03")

    @property
    def days(self) -> tuple[str, str]:
        """First and last day of service; ("", "") if they are not known."""
        return self.first_day, self.last_day or self.first_day


@dataclass(frozen=True, slots=True)
class ClaimInquiry(Request):
    """One 276. Raises X12Error where a value cannot be what its field says.

    `submitter_name` and `submitter_id` are the information receiver's (NM1*41), mostly the provider's own or its
    clearing service's.
    """

    submitter_name: str
    submitter_id: str
    provider_name: str
    provider_npi: str
    member: Member
    claim: Claim

    @property
    def patient_level(self) -> str:
        """The letter of the level that the claim hangs on."""
        return "E" if self.dependent else "D"


def write_request(inquiry: ClaimInquiry) -> bytes:
    """The request as a whole 276 interchange. Raises X12Error if a value cannot be written."""
    *upper, patient = levels_of(inquiry)
    born = demographic_lines(inquiry.dependent or inquiry.member)
    levels = [*upper, Level(patient.letter, patient.code, [*born, *patient.lines], patient.says_what_follows)]
    lines = [
        header_line("0010", "13", inquiry.echo, inquiry.created),
        *level_lines(levels),
        ("TRN", "1", inquiry.trace),
        *_claim_lines(inquiry.claim),
    ]
    return x12_exchange.write_request(_GUIDE, inquiry, lines)


def levels_of(inquiry: ClaimInquiry) -> list[Level]:
    """Each level with its name, from the payer down to the patient. A dependent, the lowest there is, has no HL04."""
    dependent = inquiry.dependent
    return [
        Level("A", "20", [organisation_line("PR", inquiry.payer_name, "PI", inquiry.payer_id)]),
        Level("B", "21", [organisation_line("41", inquiry.submitter_name, "46", inquiry.submitter_id)]),
        Level("C", "19", [organisation_line("1P", inquiry.provider_name, "XX", inquiry.provider_npi)]),
        Level("D", "22", [person_line("IL", inquiry.member)]),
        *([Level("E", "23", [person_line("QC", dependent)], says_what_follows=False)] if dependent else []),
    ]


def reference_lines(claim: Claim) -> list[Line]:
    """REF, for each reference that is known."""
    references = (("1K", claim.payer_claim), ("EJ", claim.account))
    return [("REF", qualifier, value) for qualifier, value in references if value]


def service_lines(claim: Claim) -> list[Line]:
    """DTP of the days of service: one day (D8) or a range (RD8)."""
    first, last = claim.days
    if not first:
        return []
    return [("DTP", "472", "D8", first) if first == last else ("DTP", "472", "RD8", f"{first}-{last}")]


def _claim_lines(claim: Claim) -> list[Line]:
    amount: list[Line] = [("AMT", "T3", claim.amount)] if claim.amount else []
    return [*reference_lines(claim), *amount, *service_lines(claim)]


def read_request(raw: bytes) -> ClaimInquiry:
    """Read a 276 interchange that holds one request. Raises X12Error, and nothing else.

    Beside the codes of `x12.read`: wrong-set, wrong-version, hl-level, no-payer, no-submitter, no-provider, no-member,
    no-trn, no-bht, bad-date, bad-amount, bad-code, bad-reference. What a payer can do without is read as "".
    """
    interchange = read(raw)
    parts = _Parts(only_transaction(interchange, "276", VERSION))
    return parts.inquiry(interchange)


class _Parts:
    """The segments of a 276 that a request is made from, each in its loop."""

    def __init__(self, transaction: Transaction) -> None:
        self.found: dict[str, Segment] = {}
        self.references: dict[str, str] = {}
        self.end = transaction.segments[-1]
        for loop, segment in walk(transaction, REQUEST):
            self._take(loop, segment)
        require(self.found, _REQUIRED, self.end)
        self.patient = "E" if "HL 2000E" in self.found else "D"
        if f"NM1 2100{self.patient}" not in self.found:
            refuse("no-member", "the dependent has no name segment (NM1*QC)", self.end)
        if not self._of_claim("TRN", 2):
            refuse("no-trn", "the patient's level has no trace", self.end)

    def _take(self, loop: str, segment: Segment) -> None:
        key = f"{segment.id} {loop}"
        if _WANTED.get(key, segment.get(1)) != segment.get(1):
            return
        if segment.id in ("HL", "TRN") and key in self.found:
            refuse("wrong-set", "more than one claim in a transaction set; real time takes one", segment)
        if segment.id == "REF":
            self.references.setdefault(f"{segment.get(1)} {loop}", segment.get(2))
        else:
            self.found.setdefault(key, segment)

    def _of_claim(self, name: str, element: int) -> str:
        segment = self.found.get(f"{name} 2200{self.patient}")
        return segment.get(element) if segment else ""

    def inquiry(self, interchange: Interchange) -> ClaimInquiry:
        header = self.found.get("BHT ")
        envelope = opening(interchange, header, self.end)
        reference = header.get(3) if header else ""
        trace = self._of_claim("TRN", 2)
        payer, submitter, provider = (self.found[f"NM1 2100{level}"] for level in "ABC")
        child = self.found.get("NM1 2100E")
        return ClaimInquiry(
            **envelope,
            trace=trace,
            payer_name=payer.get(3),
            payer_id=payer.get(9),
            submitter_name=submitter.get(3),
            submitter_id=submitter.get(9),
            provider_name=provider.get(3),
            provider_npi=provider.get(9) if provider.get(8) == "XX" else "",
            member=member_of(self.found["NM1 2100D"], self.found.get("DMG 2000D")),
            claim=self._claim(),
            dependent=dependent_of(child, self.found.get("DMG 2000E")) if child else None,
            reference=reference if reference != trace else "",
        )

    def _claim(self) -> Claim:
        first, _, last = self._of_claim("DTP", 3).partition("-")
        return Claim(
            account=self.references.get(f"EJ 2200{self.patient}", ""),
            amount=self._of_claim("AMT", 2),
            first_day=first,
            last_day=last if last != first else "",
            payer_claim=self.references.get(f"1K 2200{self.patient}", ""),
        )
