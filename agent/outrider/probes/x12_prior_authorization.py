"""Prior authorisation as the `x12` probe asks for it: 278 -> 278 (X12 005010X217)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec

from outrider.codecs import prior_authorization
from outrider.codecs.core_envelope import X12_278_REQUEST
from outrider.core.outcome import Observation
from outrider.probes.x12_parties import CoreRequest, Drawn


class EventOfStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be authorised. `category` is UM01, `service_type` UM03, `diagnosis` ICD-10-CM without its dot.

    `day` is YYYY-MM-DD or YYYYMMDD, today without.
    """

    service_type: str
    category: Literal["AR", "HS", "IN", "SC"] = "HS"
    day: str = ""
    diagnosis: str = ""


class PriorAuthorizationRequest(CoreRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step's request; the provider is the requester."""

    PAYLOAD_TYPE: ClassVar = X12_278_REQUEST

    transaction: Literal["prior_authorization"]
    event: EventOfStep

    def payload(self, drawn: Drawn) -> bytes:
        event = self.event
        return prior_authorization.write_request(
            prior_authorization.ReviewRequest(
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
                event=prior_authorization.Event(
                    category=event.category,
                    service_type=event.service_type,
                    day=(event.day or drawn.today).replace("-", ""),
                    diagnosis=event.diagnosis,
                ),
                created=drawn.now,
                usage=self.usage,
            )
        )

    @staticmethod
    def read(payload: bytes, sent: Mapping[str, str]) -> Observation:
        number = int(sent["control_number"])
        return prior_authorization.read_response(payload, trace=sent["trace"], control_number=number)
