"""The `x12` probe: a request in a CORE envelope or without one, and the answer to it. `transaction` says which
(`TRANSACTIONS`), `envelope` what stands around it (`ENVELOPES`).

Facts: `status`, and those of the answer: `set`, `trn`; `eb`, `aaa`, `service_types` for eligibility; `stc`, `stc_code`
for claim status; `hcr`, `aaa` for prior authorisation; `stc`, `stc_code`, `stc_loop`, `stc_action`, `ack` for
claims. Trace, control number and PayloadID are drawn here, for each request anew, and matched on the answer.

Sources: the guides of the transactions; `outrider.probes.x12_envelopes` for what stands around them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from outrider.codecs.core_envelope import Envelope
from outrider.core.outcome import Observation
from outrider.probes import HTTP_SCHEMES, Generate, Prepared, Target, join, merge
from outrider.probes.http import USER_AGENT
from outrider.probes.x12_claim import ClaimRequest
from outrider.probes.x12_claim_status import ClaimStatusRequest
from outrider.probes.x12_eligibility import EligibilityRequest
from outrider.probes.x12_envelopes import ENVELOPES
from outrider.probes.x12_parties import Drawn
from outrider.probes.x12_prior_authorization import PriorAuthorizationRequest
from outrider.transport import HttpReply, HttpRequest

Request: TypeAlias = EligibilityRequest | ClaimStatusRequest | PriorAuthorizationRequest | ClaimRequest

TRANSACTIONS: Mapping[str, type[Request]] = {
    "eligibility": EligibilityRequest,
    "claim_status": ClaimStatusRequest,
    "prior_authorization": PriorAuthorizationRequest,
    "claim": ClaimRequest,
}
"""Each transaction by the name that steps use: what a step says, how it is written, how its answer is read."""

DEFAULT_TRANSACTION = "eligibility"


class X12Probe:
    """See `outrider.probes.Probe`."""

    schemes = HTTP_SCHEMES

    def check(self, request: Mapping[str, Any]) -> None:
        envelope = request.get("envelope")
        if isinstance(envelope, str) and envelope not in ENVELOPES:
            raise ValueError(f"{envelope!r} is not one of {', '.join(ENVELOPES)} - at `$.envelope`")
        read = _wanted(request)
        if read.envelope == "none" and (read.username or read.password):
            raise ValueError(
                "without an envelope there is no place for username and password; use the target's headers"
            )
        if read.envelope == "core-soap" and read.password and not read.username:
            raise ValueError("a password needs a username; a UsernameToken has none without it")

    def prepare(self, request: Mapping[str, Any], target: Target, generate: Generate) -> Prepared:
        wanted = _wanted(request)
        payload_id, now = generate("uuid"), generate("now")
        drawn = Drawn(
            trace=generate("trace"),
            control_number=int(generate("control_number")),
            now=datetime.fromisoformat(now),
            today=generate("today"),
        )
        content_type, body = ENVELOPES[wanted.envelope].wrap(
            Envelope(
                payload_type=wanted.PAYLOAD_TYPE,
                payload_id=payload_id,
                timestamp=now,
                sender_id=wanted.sender,
                receiver_id=wanted.receiver,
                payload=wanted.payload(drawn),
                username=wanted.username,
                password=wanted.password,
            )
        )
        headers = merge([("User-Agent", USER_AGENT), ("Content-Type", content_type), *target.headers])
        http = HttpRequest("POST", join(target, wanted.path), headers, body, target.ca_file, target.verify_tls)
        sent = {
            "transaction": wanted.transaction,
            "envelope": wanted.envelope,
            "payload_id": payload_id,
            **wanted.matched(drawn),
        }
        return Prepared(http, sent)

    def read(self, prepared: Prepared, reply: HttpReply) -> Observation:
        sent = prepared.sent
        status = {"status": (str(reply.status),)}
        opened = ENVELOPES[sent["envelope"]].open(reply, sent["payload_id"])
        if not isinstance(opened, bytes):
            return Observation(opened, status)
        answer = TRANSACTIONS[sent["transaction"]].read(opened, sent)
        return Observation(answer.findings, {**status, **answer.facts})


def _wanted(request: Mapping[str, Any]) -> Request:
    """The step's request as its transaction has it. Raises msgspec.ValidationError."""
    name = request.get("transaction", DEFAULT_TRANSACTION)
    if not isinstance(name, str) or name not in TRANSACTIONS:
        known = ", ".join(TRANSACTIONS)
        raise msgspec.ValidationError(f"there is no such transaction; known: {known} - at `$.transaction`")
    return msgspec.convert(request, TRANSACTIONS[name])
