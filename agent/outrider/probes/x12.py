"""The `x12` probe: a request in a CORE envelope, and the answer to it. `transaction` says which (`TRANSACTIONS`).

Facts: `status`, and those of the answer: `set`, `trn`; `eb`, `aaa`, `service_types` for eligibility; `stc`, `stc_code`
for claim status; `hcr`, `aaa` for prior authorisation. Trace, control number and PayloadID are drawn here, for each
request anew, and matched on the answer.

Sources: CAQH CORE connectivity rule vC2.2.0 (HTTP MIME multipart, real time); the guides of the transactions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from outrider.codecs import core_mime
from outrider.core.outcome import Finding, Observation
from outrider.probes import Generate, Prepared, Target, join, merge
from outrider.probes.http import USER_AGENT, status_findings
from outrider.probes.x12_claim_status import ClaimStatusRequest
from outrider.probes.x12_eligibility import EligibilityRequest
from outrider.probes.x12_parties import Drawn
from outrider.probes.x12_prior_authorization import PriorAuthorizationRequest
from outrider.transport import HttpReply, HttpRequest

Request: TypeAlias = EligibilityRequest | ClaimStatusRequest | PriorAuthorizationRequest

TRANSACTIONS: Mapping[str, type[Request]] = {
    "eligibility": EligibilityRequest,
    "claim_status": ClaimStatusRequest,
    "prior_authorization": PriorAuthorizationRequest,
}
"""Each transaction by the name that steps use: what a step says, how it is written, how its answer is read."""

DEFAULT_TRANSACTION = "eligibility"

_ERROR_CODE = re.compile(r"[A-Za-z]{1,64}")
"""What an ErrorCode looks like. Anything else is not repeated: it could be what must not be logged."""


class X12Probe:
    """See `outrider.probes.Probe`."""

    def check(self, request: Mapping[str, Any]) -> None:
        _wanted(request)

    def prepare(self, request: Mapping[str, Any], target: Target, generate: Generate) -> Prepared:
        wanted = _wanted(request)
        payload_id, now = generate("uuid"), generate("now")
        drawn = Drawn(
            trace=generate("trace"),
            control_number=int(generate("control_number")),
            now=datetime.fromisoformat(now),
            today=generate("today"),
        )
        content_type, body = core_mime.write(
            core_mime.Envelope(
                payload_type=wanted.PAYLOAD_TYPE,
                payload_id=payload_id,
                timestamp=now,
                sender_id=wanted.sender,
                receiver_id=wanted.receiver,
                payload=wanted.payload(drawn),
                username=wanted.username,
                password=wanted.password,
            ),
            boundary=f"outrider-{payload_id}",
        )
        headers = merge([("User-Agent", USER_AGENT), ("Content-Type", content_type), *target.headers])
        http = HttpRequest("POST", join(target, wanted.path), headers, body, target.ca_file, target.verify_tls)
        sent = {"transaction": wanted.transaction, "trace": drawn.trace, "payload_id": payload_id}
        return Prepared(http, sent)

    def read(self, prepared: Prepared, reply: HttpReply) -> Observation:
        sent = prepared.sent
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
        if envelope.payload_id != sent["payload_id"]:
            finding = Finding("mismatch", "echo/payload_id", "the answer carries somebody else's PayloadID")
            return Observation((finding,), status)
        answer = TRANSACTIONS[sent["transaction"]].read(envelope.payload, sent["trace"])
        return Observation(answer.findings, {**status, **answer.facts})


def _wanted(request: Mapping[str, Any]) -> Request:
    """The step's request as its transaction has it. Raises msgspec.ValidationError."""
    name = request.get("transaction", DEFAULT_TRANSACTION)
    if not isinstance(name, str) or name not in TRANSACTIONS:
        known = ", ".join(TRANSACTIONS)
        raise msgspec.ValidationError(f"there is no such transaction; known: {known} - at `$.transaction`")
    return msgspec.convert(request, TRANSACTIONS[name])
