"""Eligibility as the `x12` probe asks for it: 270 -> 271 (X12 005010X279A1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from outrider.codecs import eligibility
from outrider.codecs.core_envelope import X12_270
from outrider.core.outcome import Observation
from outrider.probes.x12_parties import CoreRequest, Drawn


class EligibilityRequest(CoreRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step's inquiry. `service_date` is YYYY-MM-DD or YYYYMMDD, today without."""

    PAYLOAD_TYPE: ClassVar = X12_270

    transaction: Literal["eligibility"] = "eligibility"
    service_types: tuple[str, ...] = ("30",)
    service_date: str = ""

    def payload(self, drawn: Drawn) -> bytes:
        return eligibility.write_inquiry(
            eligibility.Inquiry(
                sender_id=self.sender,
                receiver_id=self.receiver,
                control_number=drawn.control_number,
                trace=drawn.trace,
                payer_name=self.payer.name,
                payer_id=self.payer.id,
                provider_name=self.provider.name,
                provider_npi=self.provider.id,
                member=self.member.for_codec(),
                dependent=self.patient,
                service_types=self.service_types,
                service_date=(self.service_date or drawn.today).replace("-", ""),
                created=drawn.now,
                usage=self.usage,
            )
        )

    @staticmethod
    def read(payload: bytes, sent: Mapping[str, str]) -> Observation:
        number = int(sent["control_number"])
        return eligibility.read_response(payload, trace=sent["trace"], control_number=number)
