"""A professional claim as the `x12` probe submits it: 837 -> 277CA or 999 (X12 005010X222A1, 005010X214)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec

from outrider.codecs import professional_claim
from outrider.codecs.core_envelope import X12_837_REQUEST
from outrider.core.outcome import Observation
from outrider.probes.x12_parties import CoreRequest, Dependent, Drawn, Member, Party

Relationship = Literal["01", "19", "20", "21", "39", "40", "53", "G8"]


class AddressOfStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A made-up address in the United States. `zip` has five or nine digits; a provider's has nine."""

    street: str
    city: str
    state: str
    zip: str

    def for_codec(self) -> professional_claim.Address:
        return professional_claim.Address(self.street, self.city, self.state, self.zip.replace("-", ""))


class Biller(Party, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The billing provider. `id` is its NPI, `tax_id` its employer's identification number."""

    tax_id: str
    address: AddressOfStep


class Insured(Member, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A made-up member. `address` is the patient's, whoever the patient is: a dependent lives with the member."""

    address: AddressOfStep


class Child(Dependent, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A made-up patient who is insured through the member. `relationship` is PAT01: 19 child, 01 spouse, G8 other."""

    relationship: Relationship = "19"


class Submitter(Party, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who sends the claim, with the telephone number of its EDI contact, ten digits."""

    phone: str


class LineOfStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One service. `code` is HCPCS, `charge` and `units` are decimal texts, `for_diagnoses` their numbers, from 1."""

    code: str
    charge: str
    units: str = "1"
    modifiers: tuple[str, ...] = ()
    for_diagnoses: tuple[int, ...] = (1,)


class SubmittedClaim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A made-up claim. `id` is CLM01, drawn without; its charge is the sum of the lines'.

    `diagnoses` are ICD-10-CM codes without their dots; `service_from` is YYYY-MM-DD or YYYYMMDD, today without, and
    `service_to` the same day without. The rest are the claim's indicators (CLM05 to CLM09, SBR09).
    """

    diagnoses: tuple[str, ...]
    lines: tuple[LineOfStep, ...]
    id: str = ""
    place_of_service: str = "11"
    service_from: str = ""
    service_to: str = ""
    frequency: str = "1"
    signature: Literal["Y", "N"] = "Y"
    assignment: Literal["A", "B", "C"] = "A"
    benefits: Literal["Y", "N", "W"] = "Y"
    release: Literal["Y", "I"] = "Y"
    filing: str = "CI"


class ClaimRequest(CoreRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step's claim. `receiver_name` is who takes it (NM1*40), the payer without."""

    PAYLOAD_TYPE: ClassVar = X12_837_REQUEST

    transaction: Literal["claim"]
    submitter: Submitter
    provider: Biller
    member: Insured
    claim: SubmittedClaim
    dependent: Child | None = None
    receiver_name: str = ""

    def payload(self, drawn: Drawn) -> bytes:
        matched = self.matched(drawn)
        provider, submitter = self.provider, self.submitter
        return professional_claim.write_submission(
            professional_claim.Submission(
                sender_id=self.sender,
                receiver_id=self.receiver,
                control_number=drawn.control_number,
                trace=matched["trace"],
                payer_name=self.payer.name,
                payer_id=self.payer.id,
                submitter=professional_claim.Submitter(submitter.name, submitter.id, submitter.phone),
                receiver_name=self.receiver_name or self.payer.name,
                provider=professional_claim.BillingProvider(
                    provider.name, provider.id, provider.tax_id, provider.address.for_codec()
                ),
                member=self.member.for_codec(),
                dependent=self.patient,
                address=self.member.address.for_codec(),
                claim=self._claim(matched["claim"], drawn.today),
                created=drawn.now,
                usage=self.usage,
            )
        )

    def matched(self, drawn: Drawn) -> dict[str, str]:
        """A trace may be longer than the guide lets BHT03 and CLM01 be; its beginning is random enough."""
        return {
            "trace": drawn.trace[: professional_claim.MOST_OF_A_REFERENCE],
            "claim": self.claim.id or drawn.trace[: professional_claim.MOST_OF_A_CLAIM_ID],
            "control_number": str(drawn.control_number),
        }

    @staticmethod
    def read(payload: bytes, sent: Mapping[str, str]) -> Observation:
        return professional_claim.read_response(
            payload, trace=sent["trace"], claim=sent["claim"], control_number=int(sent["control_number"])
        )

    def _claim(self, identifier: str, today: str) -> professional_claim.Claim:
        claim = self.claim
        first = (claim.service_from or today).replace("-", "")
        last = claim.service_to.replace("-", "")
        return professional_claim.Claim(
            identifier=identifier,
            diagnoses=claim.diagnoses,
            lines=tuple(
                professional_claim.ServiceLine(
                    line.code,
                    line.charge,
                    first,
                    last if last != first else "",
                    line.units,
                    modifiers=line.modifiers,
                    pointers=line.for_diagnoses,
                )
                for line in claim.lines
            ),
            place_of_service=claim.place_of_service,
            frequency=claim.frequency,
            signature=claim.signature,
            assignment=claim.assignment,
            benefits=claim.benefits,
            release=claim.release,
            filing=claim.filing,
            relationship=self.dependent.relationship if self.dependent else "19",
        )
