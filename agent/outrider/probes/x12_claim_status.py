"""Claim status as the `x12` probe asks for it: 276 -> 277 (X12 005010X212)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec

from outrider.codecs import claim_status
from outrider.codecs.core_envelope import X12_276
from outrider.core.outcome import Observation
from outrider.probes.x12_parties import CoreRequest, Drawn, Party


class ClaimOfStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A made-up claim. `account` is the patient's account number at the provider, `payer_claim` the payer's number.

    `amount` is what was charged, as a decimal text; `service_from` and `service_to` are YYYY-MM-DD or YYYYMMDD.
    """

    account: str
    amount: str = ""
    service_from: str = ""
    service_to: str = ""
    payer_claim: str = ""


class ClaimStatusRequest(CoreRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step's request. `submitter` is who asks on the provider's behalf (NM1*41); the provider itself without."""

    PAYLOAD_TYPE: ClassVar = X12_276

    transaction: Literal["claim_status"]
    claim: ClaimOfStep
    submitter: Party | None = None

    def payload(self, drawn: Drawn) -> bytes:
        submitter = self.submitter or Party(name=self.provider.name, id=self.sender)
        return claim_status.write_request(
            claim_status.ClaimInquiry(
                sender_id=self.sender,
                receiver_id=self.receiver,
                control_number=drawn.control_number,
                trace=drawn.trace,
                payer_name=self.payer.name,
                payer_id=self.payer.id,
                submitter_name=submitter.name,
                submitter_id=submitter.id,
                provider_name=self.provider.name,
                provider_npi=self.provider.id,
                member=self.member.for_codec(),
                dependent=self.patient,
                claim=claim_status.Claim(
                    account=self.claim.account,
                    amount=self.claim.amount,
                    first_day=self.claim.service_from.replace("-", ""),
                    last_day=self.claim.service_to.replace("-", ""),
                    payer_claim=self.claim.payer_claim,
                ),
                created=drawn.now,
                usage=self.usage,
            )
        )

    @staticmethod
    def read(payload: bytes, sent: Mapping[str, str]) -> Observation:
        number = int(sent["control_number"])
        return claim_status.read_response(payload, trace=sent["trace"], control_number=number)
