"""A professional claim as it is read, strictly: an 837 as a submission.

Rules
-----
1. One set, one billing provider, one subscriber, one patient, one claim: real time takes one.
2. What the guide requires has to be there, once and in its loop; what it allows beside is passed over. The order inside
   a loop is not looked at.
3. Lines count from 1 (LX01), and their charges add up to the claim's (CLM02).

Source: X12 005010X222A1 (837, professional).
"""

from __future__ import annotations

from collections.abc import Mapping

from outrider.codecs.professional_claim_loops import CLAIM, CLAIM_VERSION
from outrider.codecs.professional_claim_values import (
    AMOUNT,
    MOST_LINES,
    Address,
    BillingProvider,
    Claim,
    ServiceLine,
    Submission,
    Submitter,
    cents,
)
from outrider.codecs.x12 import Interchange, Segment, Separators, Transaction, read
from outrider.codecs.x12_exchange import opening, require
from outrider.codecs.x12_loops import refuse, walk
from outrider.codecs.x12_request import dependent_of, member_of, only_transaction

_TAX_ID = "REF 2010A 85 EI"
_REQUIRED = (
    ("BHT", "no-bht", "there is no BHT"),
    ("NM1 41", "no-submitter", "there is no submitter (NM1*41)"),
    ("PER 41", "no-contact", "the submitter has no EDI contact"),
    ("NM1 40", "no-receiver", "there is no receiver (NM1*40)"),
    ("NM1 2010A 85", "no-provider", "there is no billing provider (NM1*85)"),
    ("N3 2010A 85", "no-address", "the billing provider has no street"),
    ("N4 2010A 85", "no-address", "the billing provider has no city"),
    (_TAX_ID, "no-tax-id", "the billing provider has no employer's identification number (REF*EI)"),
    ("SBR 2000B", "no-subscriber", "there is no subscriber (SBR)"),
    ("NM1 2010B IL", "no-member", "there is no subscriber's name (NM1*IL)"),
    ("NM1 2010B PR", "no-payer", "there is no payer (NM1*PR)"),
)
_REQUIRED_OF_A_DEPENDENT = (
    ("PAT 2000C", "no-member", "the patient's level has no PAT"),
    ("NM1 2010C QC", "no-member", "the patient has no name (NM1*QC)"),
)
_ICD_10 = ("ABK", "ABF")
_ONCE = frozenset(("BHT", "NM1", "N3", "N4", "DMG", "SBR", "PAT", "HI"))
_READ_IN = ("", "2000", "2010", "2300")
_CHARGEABLE = (("0019", "00", "CH"), ("0019", "18", "CH"))
_PLACES_OF_SERVICE = "B"


def read_submission(raw: bytes) -> Submission:
    """Read an 837 interchange that holds one claim. Raises X12Error, and nothing else.

    Beside the codes of `x12.read` and of the values: wrong-set, wrong-version, not-a-claim, hl-level, twice, no-bht,
    no-submitter, no-contact, no-receiver, no-provider, no-address, no-tax-id, no-subscriber, no-member, no-payer,
    no-dmg, no-claim, no-hi, no-line, no-sv1, no-date, lx-number, clm02-sum.
    """
    interchange = read(raw)
    return _Parts(only_transaction(interchange, "837", CLAIM_VERSION), interchange.separators).submission(interchange)


class _Parts:
    """The segments of an 837 that a submission is made from.

    They are kept by id and by what they belong to: the loop ("SBR 2000B"), and in the header and in loop 2010 the
    entity that NM1 named last too ("PER 41", "N3 2010A 85"); those of service lines by line.
    """

    def __init__(self, transaction: Transaction, separators: Separators) -> None:
        self.separators = separators
        self.found: dict[str, Segment] = {}
        self.lines: list[dict[str, Segment]] = []
        self.entity = ""
        self.end = transaction.segments[-1]
        for loop, segment in walk(transaction, CLAIM):
            self._take(loop, segment)
        require(self.found, _REQUIRED, self.end)
        self.patient = "C" if "HL 2000C" in self.found else "B"
        if self.patient == "C":
            require(self.found, _REQUIRED_OF_A_DEPENDENT, self.end)
        who = "2010C QC" if self.patient == "C" else "2010B IL"
        require(
            self.found,
            (
                (f"N3 {who}", "no-address", "the patient has no street"),
                (f"N4 {who}", "no-address", "the patient has no city"),
                (f"DMG {who}", "no-dmg", "the patient has no birth date and gender"),
                (f"CLM 2300{self.patient}", "no-claim", "the patient has no claim (CLM)"),
                (f"HI 2300{self.patient}", "no-hi", "the claim has no ICD-10-CM diagnosis"),
            ),
            self.end,
        )
        self.address = self._address(who)

    def _take(self, loop: str, segment: Segment) -> None:
        name = segment.id
        if name == "HL":
            self.entity = ""
        elif name == "NM1" and loop[:4] in ("", "2010"):
            self.entity = segment.get(1)
        if name == "LX":
            self._begin_line(segment)
        elif loop[:4] == "2400":
            if name != "DTP" or segment.get(1) == "472":
                self._keep(self.lines[-1], name, segment, once=name in ("SV1", "DTP"))
        elif name in ("HL", "CLM") and f"{name} {loop}" in self.found:
            refuse("wrong-set", "more than one claim in a transaction set; real time takes one", segment)
        elif name != "HI" or self._diagnoses(segment):
            key = self._key(loop, segment)
            self._keep(self.found, key, segment, once=loop[:4] in _READ_IN and (name in _ONCE or key == _TAX_ID))

    @staticmethod
    def _keep(found: dict[str, Segment], key: str, segment: Segment, *, once: bool) -> None:
        if once and key in found:
            refuse("twice", "this stands there already, and may once", segment)
        found.setdefault(key, segment)

    def _key(self, loop: str, segment: Segment) -> str:
        if loop[:4] not in ("", "2010"):
            return f"{segment.id} {loop}"
        kind = segment.get(1) if segment.id == "REF" else ""
        return " ".join(filter(None, (segment.id, loop, self.entity, kind)))

    def _begin_line(self, segment: Segment) -> None:
        if len(self.lines) == MOST_LINES:
            refuse("no-line", f"a claim has {MOST_LINES} service lines at most", segment, 1)
        self.lines.append({"LX": segment})
        if segment.get(1) != str(len(self.lines)):
            refuse("lx-number", f"LX01 does not count on; line {len(self.lines)} begins here", segment, 1)

    def submission(self, interchange: Interchange) -> Submission:
        header, child = self.found["BHT"], self.found.get("NM1 2010C QC")
        if (header.get(1), header.get(2), header.get(6)) not in _CHARGEABLE:
            refuse("not-a-claim", "BHT says that this is no chargeable claim", header, 6)
        payer, submitter, provider = (self.found[f"NM1 {entity}"] for entity in ("2010B PR", "41", "2010A 85"))
        return Submission(
            **opening(interchange, header, self.end),
            trace=header.get(3),
            payer_name=payer.get(3),
            payer_id=payer.get(9),
            submitter=Submitter(submitter.get(3), submitter.get(9), self._phone()),
            receiver_name=self.found["NM1 40"].get(3),
            provider=BillingProvider(
                provider.get(3),
                provider.get(9) if provider.get(8) == "XX" else "",
                self.found[_TAX_ID].get(2),
                self._address("2010A 85"),
            ),
            member=member_of(self.found["NM1 2010B IL"], self.found.get("DMG 2010B IL")),
            address=self.address,
            claim=self._claim(),
            dependent=dependent_of(child, self.found.get("DMG 2010C QC")) if child else None,
        )

    def _phone(self) -> str:
        """The first telephone number (TE) of the submitter's contact."""
        contact = self.found["PER 41"]
        numbers = ((contact.get(n), contact.get(n + 1)) for n in (3, 5, 7))
        return next((number for kind, number in numbers if kind == "TE"), "")

    def _address(self, entity: str) -> Address:
        street, city = self.found[f"N3 {entity}"], self.found[f"N4 {entity}"]
        return Address(street.get(1), city.get(1), city.get(2), city.get(3))

    def _claim(self) -> Claim:
        opened = self.found[f"CLM 2300{self.patient}"]
        place = (*opened.components(5, self.separators), "", "", "")
        if place[1] != _PLACES_OF_SERVICE:
            refuse("bad-code", "the place of service is not one of the list of professional claims", opened, 5)
        patient = self.found.get("PAT 2000C")
        claim = Claim(
            identifier=opened.get(1),
            diagnoses=self._diagnoses(self.found[f"HI 2300{self.patient}"]),
            lines=tuple(self._line(line) for line in self.lines),
            place_of_service=place[0],
            frequency=place[2],
            signature=opened.get(6),
            assignment=opened.get(7),
            benefits=opened.get(8),
            release=opened.get(9),
            filing=self.found["SBR 2000B"].get(9),
            **({"relationship": patient.get(1)} if patient else {}),
        )
        if not AMOUNT.fullmatch(opened.get(2)):
            refuse("bad-amount", "the charge is no decimal number with at most two places", opened, 2)
        if cents(opened.get(2)) != cents(claim.charge):
            refuse("clm02-sum", "the charges of the lines do not add up to that of the claim", opened, 2)
        return claim

    def _diagnoses(self, segment: Segment) -> tuple[str, ...]:
        """The ICD-10-CM codes of HI; () if it holds others."""
        parts = [segment.components(n, self.separators) for n in range(1, len(segment.elements) + 1)]
        return tuple(part[1] for part in parts if len(part) > 1 and part[0] in _ICD_10)

    def _line(self, line: Mapping[str, Segment]) -> ServiceLine:
        service, days = line.get("SV1"), line.get("DTP")
        if service is None:
            refuse("no-sv1", "the line has no professional service (SV1)", line["LX"])
        if days is None:
            refuse("no-date", "the line has no day of service (DTP*472)", line["LX"])
        kind, procedure, *modifiers = (*service.components(1, self.separators)[:6], "", "")
        first, _, last = days.get(3).partition("-")
        pointers = service.components(7, self.separators)
        if kind != "HC" or not all(pointer in _POINTERS for pointer in pointers):
            refuse("bad-code", "this is no HCPCS service with pointers to its diagnoses", service)
        return ServiceLine(
            procedure,
            service.get(2),
            first,
            last if last != first else "",
            service.get(4),
            service.get(3),
            tuple(filter(None, modifiers)),
            tuple(map(int, pointers)),
        )


_POINTERS = frozenset(str(number) for number in range(1, 13))
