"""The `x12` probe: a 270 eligibility inquiry, in a CORE envelope or without one, and the 271 that answers it.

Facts: `status`, and those of the 271: `set`, `eb`, `aaa`, `service_types`, `trn`. Trace, control number and PayloadID
are drawn here, for each request anew, and matched on the answer.

Sources: X12 005010X279A1; `outrider.probes.x12_envelopes` for what stands around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from outrider.codecs import eligibility
from outrider.codecs.core_envelope import X12_270, Envelope
from outrider.core.outcome import Observation
from outrider.probes import Generate, Prepared, Target, join, merge
from outrider.probes.http import USER_AGENT
from outrider.probes.x12_envelopes import ENVELOPES
from outrider.transport import HttpReply, HttpRequest


class Party(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An organisation and its id: the payer's, or the provider's NPI."""

    name: str
    id: str


class Member(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A made-up member. `birth_date` is YYYYMMDD."""

    last: str
    first: str
    id: str
    birth_date: str
    gender: Literal["", "F", "M", "U"] = ""


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a step says of its inquiry. `usage` is ISA15: T for test, P for production.

    `username` and `password` go into the envelope; without one they stand in the target's headers.
    """

    path: str
    envelope: Literal["core-mime", "core-soap", "none"] = "core-mime"
    sender: str
    receiver: str
    payer: Party
    provider: Party
    member: Member
    service_types: tuple[str, ...] = ("30",)
    service_date: str = ""
    usage: Literal["T", "P"] = "T"
    username: str = ""
    password: str = ""


class X12Probe:
    """See `outrider.probes.Probe`."""

    def check(self, request: Mapping[str, Any]) -> None:
        envelope = request.get("envelope")
        if isinstance(envelope, str) and envelope not in ENVELOPES:
            raise ValueError(f"{envelope!r} is not one of {', '.join(ENVELOPES)} - at `$.envelope`")
        read = msgspec.convert(request, Request)
        if read.envelope == "none" and (read.username or read.password):
            raise ValueError(
                "without an envelope there is no place for username and password; use the target's headers"
            )
        if read.envelope == "core-soap" and read.password and not read.username:
            raise ValueError("a password needs a username; a UsernameToken has none without it")

    def prepare(self, request: Mapping[str, Any], target: Target, generate: Generate) -> Prepared:
        wanted = msgspec.convert(request, Request)
        trace, payload_id, now = generate("trace"), generate("uuid"), generate("now")
        inquiry = eligibility.Inquiry(
            sender_id=wanted.sender,
            receiver_id=wanted.receiver,
            control_number=int(generate("control_number")),
            trace=trace,
            payer_name=wanted.payer.name,
            payer_id=wanted.payer.id,
            provider_name=wanted.provider.name,
            provider_npi=wanted.provider.id,
            member=eligibility.Member(
                wanted.member.last,
                wanted.member.first,
                wanted.member.id,
                wanted.member.birth_date,
                wanted.member.gender,
            ),
            service_types=wanted.service_types,
            service_date=(wanted.service_date or generate("today")).replace("-", ""),
            created=datetime.fromisoformat(now),
            usage=wanted.usage,
        )
        content_type, body = ENVELOPES[wanted.envelope].wrap(
            Envelope(
                payload_type=X12_270,
                payload_id=payload_id,
                timestamp=now,
                sender_id=wanted.sender,
                receiver_id=wanted.receiver,
                payload=eligibility.write_inquiry(inquiry),
                username=wanted.username,
                password=wanted.password,
            )
        )
        headers = merge([("User-Agent", USER_AGENT), ("Content-Type", content_type), *target.headers])
        http = HttpRequest("POST", join(target, wanted.path), headers, body, target.ca_file, target.verify_tls)
        return Prepared(http, {"envelope": wanted.envelope, "trace": trace, "payload_id": payload_id})

    def read(self, prepared: Prepared, reply: HttpReply) -> Observation:
        status = {"status": (str(reply.status),)}
        opened = ENVELOPES[prepared.sent["envelope"]].open(reply, prepared.sent["payload_id"])
        if not isinstance(opened, bytes):
            return Observation(opened, status)
        answer = eligibility.read_response(opened, trace=prepared.sent["trace"])
        return Observation(answer.findings, {**status, **answer.facts})
