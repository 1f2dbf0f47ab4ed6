"""A professional claim as values: who submits it, who bills, for whom, and what was done.

Rules
-----
1. Values are checked where they are made, with the element that they would stand in.
2. The claim's charge (CLM02) is the sum of its lines' (SV102); nobody can say another one.
3. What is about the patient, a claim's number included, is left out of every `repr`.
4. The limits are the guide's where it has its own: 30 characters for BHT03, 20 for CLM01, nine digits for the billing
   provider's ZIP code.

Source: X12 005010X222A1 (837, professional).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from outrider.codecs.check_digits import is_npi
from outrider.codecs.x12 import X12Error
from outrider.codecs.x12_exchange import Request
from outrider.codecs.x12_request import DATE, Member

AMOUNT = re.compile(r"[0-9]{1,8}(\.[0-9]{1,2})?")
MOST_DIAGNOSES = 12
MOST_LINES = 50
MOST_OF_A_CLAIM_ID = 20
MOST_OF_A_REFERENCE = 30

RELATIONSHIPS = frozenset(("01", "19", "20", "21", "39", "40", "53", "G8"))
"""PAT01, what a patient is to the subscriber: 01 spouse, 19 child, 53 life partner, G8 other, 21 unknown."""

_STATE = re.compile(r"[A-Z]{2}")
_ZIP = re.compile(r"[0-9]{5}([0-9]{4})?")
_TAX_ID = re.compile(r"[0-9]{9}")
_PHONE = re.compile(r"[0-9]{10}")
_PROCEDURE = re.compile(r"[0-9A-Z][0-9]{3}[0-9A-Z]")
_MODIFIER = re.compile(r"[0-9A-Z]{2}")
_DIAGNOSIS = re.compile(r"[A-Z][0-9][0-9A-Z]{1,5}")
_UNITS = re.compile(r"[0-9]{1,8}(\.[0-9]{1,3})?")
_TWO = re.compile(r"[0-9A-Z]{2}")
_INDICATORS = (
    ("frequency", re.compile(r"[0-9A-Z]"), "CLM05"),
    ("signature", re.compile(r"[YN]"), "CLM06"),
    ("assignment", re.compile(r"[ABC]"), "CLM07"),
    ("benefits", re.compile(r"[YNW]"), "CLM08"),
    ("release", re.compile(r"[YI]"), "CLM09"),
    ("filing", re.compile(r"[0-9A-Z]{2}"), "SBR09"),
)


@dataclass(frozen=True, slots=True)
class Address:
    """N3 and N4, in the United States: `state` has two capitals, `zip_code` five or nine digits."""

    street: str = field(repr=False)
    city: str = field(repr=False)
    state: str = field(repr=False)
    zip_code: str = field(repr=False)

    def __post_init__(self) -> None:
        _present(self.street, 55, "N301")
        _present(self.city, 30, "N401")
        _shaped(self.state, _STATE, "a state has two capitals", "N402")
        _shaped(self.zip_code, _ZIP, "a ZIP code has five or nine digits", "N403")


@dataclass(frozen=True, slots=True)
class Submitter:
    """Who sends the claim (1000A), with the telephone number of its EDI contact, ten digits (PER04)."""

    name: str
    identifier: str
    phone: str

    def __post_init__(self) -> None:
        _present(self.name, 60, "NM103")
        _present(self.identifier, 80, "NM109")
        _shaped(self.phone, _PHONE, "a telephone number has ten digits", "PER04")


@dataclass(frozen=True, slots=True)
class BillingProvider:
    """Who wants to be paid (2010AA): an organisation with its NPI and its employer's identification number."""

    name: str
    npi: str
    tax_id: str
    address: Address

    def __post_init__(self) -> None:
        _present(self.name, 60, "NM103")
        if not is_npi(self.npi):
            raise X12Error("bad-npi", "this is not an NPI whose check digit holds", "NM109")
        _shaped(self.tax_id, _TAX_ID, "an employer's identification number has nine digits", "REF02")
        if len(self.address.zip_code) != 9:
            raise X12Error("bad-code", "the billing provider's ZIP code has nine digits", "N403")


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """One service (2400): SV1 and its days.

    `procedure` is a HCPCS code, `charge` a decimal text, `units` how many, in units (`basis` UN) or minutes (MJ);
    `pointers` are the numbers of the diagnoses that it was done for, from 1; days are "YYYYMMDD", a `last_day` of ""
    is the first one.
    """

    procedure: str = field(repr=False)
    charge: str
    first_day: str = field(repr=False)
    last_day: str = field(default="", repr=False)
    units: str = "1"
    basis: str = "UN"
    modifiers: tuple[str, ...] = ()
    pointers: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        _shaped(self.procedure, _PROCEDURE, "this is no HCPCS code", "SV101")
        if len(self.modifiers) > 4 or not all(map(_MODIFIER.fullmatch, self.modifiers)):
            raise X12Error("bad-code", "there are four modifiers at most, each of two capitals or digits", "SV101")
        if not AMOUNT.fullmatch(self.charge):
            raise X12Error("bad-amount", "the charge is no decimal number with at most two places", "SV102")
        _shaped(self.units, _UNITS, "the units are no decimal number with at most three places", "SV104")
        if self.basis not in ("UN", "MJ"):
            raise X12Error("bad-code", "services are counted in units (UN) or minutes (MJ)", "SV103")
        if not 1 <= len(self.pointers) <= 4 or len(set(self.pointers)) != len(self.pointers):
            raise X12Error("bad-code", "a service points to one to four diagnoses", "SV107")
        for day in (self.first_day, self.last_day or self.first_day):
            if not DATE.fullmatch(day):
                raise X12Error("bad-date", "a day of service is not YYYYMMDD", "DTP03")
        if self.last_day and not self.first_day <= self.last_day:
            raise X12Error("bad-date", "the last day of service is before the first", "DTP03")


@dataclass(frozen=True, slots=True)
class Claim:
    """The claim itself (2300). `identifier` is CLM01, the number that every answer repeats.

    `diagnoses` are ICD-10-CM codes without their dots, the principal one first; `place_of_service` is 11 for an office;
    `frequency` 1 for an original claim; `signature` (CLM06), `assignment` (CLM07), `benefits` (CLM08) and `release`
    (CLM09) are the indicators; `filing` is SBR09, what kind of insurance (CI commercial); `relationship` is PAT01 where
    the patient is a dependent.
    """

    identifier: str = field(repr=False)
    diagnoses: tuple[str, ...] = field(repr=False)
    lines: tuple[ServiceLine, ...] = field(repr=False)
    place_of_service: str = "11"
    frequency: str = "1"
    signature: str = "Y"
    assignment: str = "A"
    benefits: str = "Y"
    release: str = "Y"
    filing: str = "CI"
    relationship: str = "19"

    def __post_init__(self) -> None:
        _present(self.identifier, MOST_OF_A_CLAIM_ID, "CLM01")
        if not 1 <= len(self.diagnoses) <= MOST_DIAGNOSES or not all(map(_DIAGNOSIS.fullmatch, self.diagnoses)):
            raise X12Error("bad-code", "there are 1 to 12 diagnoses, ICD-10-CM codes without their dots", "HI01")
        if not 1 <= len(self.lines) <= MOST_LINES:
            raise X12Error("no-line", f"a claim has 1 to {MOST_LINES} service lines", "LX01")
        if not all(1 <= pointer <= len(self.diagnoses) for line in self.lines for pointer in line.pointers):
            raise X12Error("bad-code", "a service points to a diagnosis that the claim has not", "SV107")
        _shaped(self.place_of_service, _TWO, "a place of service has two digits or capitals", "CLM05")
        for name, shape, where in _INDICATORS:
            _shaped(getattr(self, name), shape, "this is not an indicator of the guide's list", where)
        if self.relationship not in RELATIONSHIPS:
            raise X12Error("bad-code", "this is no relationship of a patient to a subscriber", "PAT01")

    @property
    def charge(self) -> str:
        """CLM02, the sum of the lines' charges."""
        total = sum(cents(line.charge) for line in self.lines)
        return f"{total // 100}.{total % 100:02d}" if total % 100 else str(total // 100)

    @property
    def days(self) -> tuple[str, str]:
        """First and last day of service of all lines."""
        return min(line.first_day for line in self.lines), max(line.last_day or line.first_day for line in self.lines)


@dataclass(frozen=True, slots=True)
class Submission(Request):
    """One 837 with one claim. Raises X12Error where a value cannot be what its field says.

    `receiver_name` is 1000B's; `address` is the patient's; birth date and gender of the patient are needed. `trace` is
    BHT03 alone: the claim has a number of its own.
    """

    submitter: Submitter
    receiver_name: str
    provider: BillingProvider
    member: Member
    address: Address
    claim: Claim

    def __post_init__(self) -> None:
        Request.__post_init__(self)
        if len(self.trace) > MOST_OF_A_REFERENCE or self.reference:
            raise X12Error("bad-reference", "a claim's trace is its BHT03, of 30 characters at most", "BHT03")
        _present(self.receiver_name, 60, "NM103")
        _present(self.payer_name, 60, "NM103")
        _present(self.payer_id, 80, "NM109")
        _present(self.member.member_id, 80, "NM109")
        patient = self.dependent or self.member
        _present(patient.last, 60, "NM103")
        if not patient.birth_date or not patient.gender:
            raise X12Error("no-dmg", "the patient's birth date and gender are needed", "DMG02")


def cents(amount: str) -> int:
    """A decimal text with at most two places, as whole cents."""
    units, _, places = amount.partition(".")
    return int(units) * 100 + int(places.ljust(2, "0"))


def _present(text: str, most: int, where: str) -> None:
    if not 1 <= len(text) <= most:
        raise X12Error("bad-length", f"there must be 1 to {most} characters", where)


def _shaped(text: str, shape: re.Pattern[str], what: str, where: str) -> None:
    if not shape.fullmatch(text):
        raise X12Error("bad-code", what, where)
