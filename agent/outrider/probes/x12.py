"""The `x12` probe: a 270 eligibility inquiry in a CORE envelope, and the 271 that answers it.

Facts: `status`, and those of the 271: `set`, `eb`, `aaa`, `service_types`, `trn`. Trace, control number and PayloadID
are drawn here, for each request anew, and matched on the answer.

Sources: X12 005010X279A1; CAQH CORE connectivity rule vC2.2.0 (HTTP MIME multipart, real time).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from outrider.codecs import core_mime, eligibility
from outrider.core.outcome import Finding, Observation
from outrider.probes import Generate, Prepared, Target, join, merge
from outrider.probes.http import USER_AGENT, status_findings
from outrider.transport import HttpReply, HttpRequest

_ERROR_CODE = re.compile(r"[A-Za-z]{1,64}")
"""What an ErrorCode looks like. Anything else is not repeated: it could be what must not be logged."""


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
    """What a step says of its inquiry. `usage` is ISA15: T for test, P for production."""

    path: str
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
        msgspec.convert(request, Request)

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
        content_type, body = core_mime.write(
            core_mime.Envelope(
                payload_type=core_mime.X12_270,
                payload_id=payload_id,
                timestamp=now,
                sender_id=wanted.sender,
                receiver_id=wanted.receiver,
                payload=eligibility.write_inquiry(inquiry),
                username=wanted.username,
                password=wanted.password,
            ),
            boundary=f"outrider-{payload_id}",
        )
        headers = merge([("User-Agent", USER_AGENT), ("Content-Type", content_type), *target.headers])
        http = HttpRequest("POST", join(target, wanted.path), headers, body, target.ca_file, target.verify_tls)
        return Prepared(http, {"trace": trace, "payload_id": payload_id})

    def read(self, prepared: Prepared, reply: HttpReply) -> Observation:
        status = {"status": (str(reply.status),)}
        if findings := tuple(status_findings(reply)):
            return Observation(findings, status)
        try:
            envelope = core_mime.read(reply.header("Content-Type"), reply.body)
        except core_mime.EnvelopeError as error:
            return Observation((Finding(error.code, error.place, str(error)),), status)
        if envelope.is_error:
            code = envelope.error_code if _ERROR_CODE.fullmatch(envelope.error_code) else "unreadable"
            finding = Finding(code, "envelope/errorcode", "the envelope reports an error")
            return Observation((finding,), status)
        if envelope.payload_id != prepared.sent["payload_id"]:
            finding = Finding("mismatch", "echo/payload_id", "the answer carries somebody else's PayloadID")
            return Observation((finding,), status)
        answer = eligibility.read_response(envelope.payload, trace=prepared.sent["trace"])
        return Observation(answer.findings, {**status, **answer.facts})
