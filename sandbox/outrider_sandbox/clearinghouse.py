"""A clearinghouse: POST /core/realtime takes a 270, 276 or 278 in a CORE MIME envelope, and answers it.

Rules
-----
1. Envelope first. A field that is missing or wrong is answered with the rule's ErrorCode (`PayloadTypeRequired`,
   `SenderIDIllegal`, `VersionMismatch`, `UnAuthorized`, ...) and HTTP 200; what is no multipart message at all,
   with HTTP 400.
2. Then the interchange: X12 that does not hold together gets a TA1 or a 999, see `outrider_sandbox.acknowledge`.
3. Then the inquiry, see `outrider_sandbox.members` for eligibility, `outrider_sandbox.claims` for claim status,
   `outrider_sandbox.reviews` for prior authorisation.
4. An answer echoes PayloadID and TRN. Its own control numbers are never used twice.

Sources: CAQH CORE connectivity rule vC2.2.0 (envelope, error codes), X12 005010X279A1, 005010X212, 005010X217.
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from aiohttp import web

from outrider.codecs import claim_status, core_mime, eligibility, prior_authorization
from outrider.codecs.claim_status import ClaimInquiry, ClaimStatus
from outrider.codecs.core_mime import Envelope, EnvelopeError
from outrider.codecs.eligibility import Inquiry, Rejection
from outrider.codecs.prior_authorization import Decision, ReviewRequest
from outrider.codecs.x12 import X12Error
from outrider_sandbox.acknowledge import reject
from outrider_sandbox.answers import Answer, Refusal
from outrider_sandbox.claims import judge_claim
from outrider_sandbox.line import Call, Line
from outrider_sandbox.members import judge
from outrider_sandbox.reviews import judge_review
from outrider_sandbox.settings import Settings

COMPONENT = "clearinghouse"
ENVELOPE_ERROR = "CoreEnvelopeError"
_MOST_CONTROL_NUMBERS = 999_999_999
_ANSWERED = (core_mime.X12_270, core_mime.X12_276, core_mime.X12_278_REQUEST)

# The rule names an error after its field: what the reader found, and the ending of the name.
_SUFFIXES: Mapping[str, str] = {"missing": "Required", "empty": "Required", "illegal": "Illegal", "twice": "Illegal"}


class _EnvelopeRefused(Exception):
    """An envelope that could be read, but whose fields will not do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Clearinghouse:
    """The clearinghouse's room. Control numbers begin where the clock says, so a restart does not repeat them."""

    def __init__(self, settings: Settings, now: Callable[[], datetime], nonce: bytes) -> None:
        self._settings = settings
        self._now = now
        self._nonce = nonce
        # Ten a second since 1970: a sandbox that answers fewer on average stays ahead of its last start.
        self._control = int(now().timestamp() * 10) % _MOST_CONTROL_NUMBERS

    def add_to(self, router: web.UrlDispatcher, line: Line) -> None:
        router.add_post("/core/realtime", line.attach(COMPONENT, "realtime", self._realtime))

    def _realtime(self, call: Call) -> Answer:
        control_number = self._next_control_number()
        try:
            envelope = core_mime.read(call.request.headers.get("Content-Type", ""), call.body)
        except EnvelopeError as error:
            return self._envelope_error(self._stranger(control_number), "", _refusal(error), control_number)
        try:
            self._check(envelope)
            payload_type, payload = self._answer_x12(envelope, call, control_number)
        except _EnvelopeRefused as refused:
            return self._envelope_error(envelope.payload_id, envelope.sender_id, refused, control_number)
        answer = self._envelope(envelope.payload_id, envelope.sender_id, payload_type, payload)
        if call.drawn.take("wrong_payload_id"):
            answer = replace(answer, payload_id=self._stranger(control_number))
        return self._send(answer, control_number)

    def _answer_x12(self, envelope: Envelope, call: Call, control_number: int) -> tuple[str, bytes]:
        payload = envelope.payload
        try:
            if envelope.payload_type == core_mime.X12_276:
                claim_inquiry = claim_status.read_request(payload)
                return core_mime.X12_277, self._answer_claim_inquiry(claim_inquiry, call, control_number)
            if envelope.payload_type == core_mime.X12_278_REQUEST:
                request = prior_authorization.read_request(payload)
                return core_mime.X12_278_RESPONSE, self._answer_review(request, call, control_number)
            inquiry = eligibility.read_inquiry(payload)
            return core_mime.X12_271, self._answer_inquiry(inquiry, call, control_number)
        except X12Error as error:  # it cannot be read, or holds what an answer could not repeat
            refusal = reject(
                payload, error, sender=self._settings.receiver_id, control_number=control_number, created=self._now()
            )
        if refusal is None:
            raise _EnvelopeRefused("PayloadIllegal", "the payload is no X12 interchange that can be read")
        return refusal.payload_type, refusal.payload

    def _answer_inquiry(self, inquiry: Inquiry, call: Call, control_number: int) -> bytes:
        judgement = judge(inquiry)
        benefits, rejection = judgement.benefits, judgement.rejection
        if aaa := call.drawn.take("aaa"):
            benefits, rejection = (), Rejection(aaa.fault.text("code"), aaa.fault.text("loop"), "R")
        payload = eligibility.write_response(
            inquiry,
            control_number=control_number,
            created=self._now(),
            benefits=benefits,
            rejections=(rejection,) if rejection else (),
            trace=self._wrong_trace(call, control_number),
        )
        return _cut(payload, call)

    def _answer_claim_inquiry(self, inquiry: ClaimInquiry, call: Call, control_number: int) -> bytes:
        status = judge_claim(inquiry)
        if stc := call.drawn.take("stc"):
            status = ClaimStatus(stc.fault.text("code"), loop=stc.fault.text("loop"))
        payload = claim_status.write_response(
            inquiry,
            control_number=control_number,
            created=self._now(),
            statuses=(status,),
            trace=self._wrong_trace(call, control_number),
        )
        return _cut(payload, call)

    def _answer_review(self, request: ReviewRequest, call: Call, control_number: int) -> bytes:
        verdict = judge_review(request)
        if hcr := call.drawn.take("hcr"):
            verdict = Decision(hcr.fault.text("code"))
        payload = prior_authorization.write_response(
            request,
            control_number=control_number,
            created=self._now(),
            verdict=verdict,
            trace=self._wrong_trace(call, control_number),
        )
        return _cut(payload, call)

    def _wrong_trace(self, call: Call, control_number: int) -> str | None:
        return self._stranger(control_number)[:8].upper() if call.drawn.take("wrong_trn") else None

    def _check(self, envelope: Envelope) -> None:
        settings = self._settings
        if envelope.error_code:
            raise _EnvelopeRefused("ErrorCodeIllegal", "a request has no ErrorCode")
        if envelope.core_rule_version != core_mime.VERSION:
            raise _EnvelopeRefused("VersionMismatch", "CORERuleVersion is not 2.2.0, the only one served here")
        if settings.core_username and not self._knows(envelope):
            raise _EnvelopeRefused("UnAuthorized", "UserName or Password is not the one that was agreed on")
        if envelope.payload_type not in _ANSWERED:
            raise _EnvelopeRefused("PayloadTypeIllegal", f"PayloadType is none of {', '.join(_ANSWERED)}")
        if settings.strict_receiver and envelope.receiver_id != settings.receiver_id:
            raise _EnvelopeRefused("ReceiverIDIllegal", f"ReceiverID is not {settings.receiver_id}")
        if not _is_uuid(envelope.payload_id):
            raise _EnvelopeRefused("PayloadIDIllegal", "PayloadID is not a UUID")
        if not _is_time(envelope.timestamp):
            raise _EnvelopeRefused("TimeStampIllegal", "TimeStamp is not a UTC time such as 2026-06-01T22:00:00Z")

    def _knows(self, envelope: Envelope) -> bool:
        given = f"{envelope.username}\n{envelope.password}".encode()
        agreed = f"{self._settings.core_username}\n{self._settings.core_password}".encode()
        return hmac.compare_digest(given, agreed)

    def _envelope_error(self, payload_id: str, client: str, refused: _EnvelopeRefused, control_number: int) -> Answer:
        envelope = self._envelope(payload_id, client, ENVELOPE_ERROR, b"")
        return self._send(replace(envelope, error_code=refused.code, error_message=refused.message), control_number)

    def _envelope(self, payload_id: str, client: str, payload_type: str, payload: bytes) -> Envelope:
        return Envelope(
            payload_type=payload_type,
            payload_id=payload_id,
            timestamp=self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            sender_id=self._settings.receiver_id,
            receiver_id=client,
            payload=payload,
            error_code=core_mime.SUCCESS,
        )

    def _send(self, envelope: Envelope, control_number: int) -> Answer:
        content_type, body = core_mime.write(envelope, boundary=f"outrider-{self._stranger(control_number)}")
        return Answer(200, body, content_type)

    def _stranger(self, control_number: int) -> str:
        """A UUID that nobody sent us: somebody else's PayloadID or trace."""
        digest = hmac.digest(self._nonce, str(control_number).encode(), "sha256")
        return str(uuid.UUID(bytes=digest[:16], version=4))

    def _next_control_number(self) -> int:
        self._control = self._control % _MOST_CONTROL_NUMBERS + 1
        return self._control


def _refusal(error: EnvelopeError) -> _EnvelopeRefused:
    """The rule's error code for an envelope that could not be read. Raises Refusal (400) when it is none at all."""
    suffix = _SUFFIXES.get(error.code)
    if suffix is None or not error.field.isalpha():
        raise Refusal(400, error.code, str(error), field=error.place)
    return _EnvelopeRefused(error.field + suffix, error.message)


def _cut(payload: bytes, call: Call) -> bytes:
    return payload[: len(payload) // 2] if call.drawn.take("truncate") else payload


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _is_time(text: str) -> bool:
    """The reader has checked the shape; here the calendar is, to the second."""
    try:
        datetime.fromisoformat(text[:19])
    except ValueError:
        return False
    return True
