"""A clearinghouse: takes a 270, 276, 278 or 837 and answers it, in a CORE envelope over MIME at POST /core/realtime and
over SOAP at POST /core/soap, and without an envelope at POST /x12.

Rules
-----
1. Envelope first. A field that is missing or wrong is answered with the rule's ErrorCode (`PayloadTypeRequired`,
   `SenderIDIllegal`, `VersionMismatch`, `UnAuthorized`, ...) and HTTP 200; what is no envelope at all, as
   `wires` says. Without an envelope there is HTTP to say it: 415 for a content type that is not
   application/edi-x12, 401 for credentials (HTTP Basic), 400 for what is no X12.
2. Then the interchange: X12 that does not hold together gets a TA1 or a 999, see `acknowledge`.
3. Then the inquiry, see `members` for eligibility, `claims` for claim status,
   `reviews` for prior authorisation, `submissions` for claims.
4. An answer echoes PayloadID and TRN. Its own control numbers are never used twice.

Sources: CAQH CORE connectivity rule vC2.2.0 (envelope, error codes), X12 005010X279A1, 005010X212, 005010X217,
005010X222A1, 005010X214, RFC 1767 (application/edi-x12), RFC 7617 (Basic).
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from aiohttp import web

from outrider.codecs import claim_status, eligibility, prior_authorization, professional_claim, x12
from outrider.codecs.claim_status import ClaimInquiry, ClaimStatus
from outrider.codecs.core_envelope import (
    SUCCESS,
    VERSION,
    X12_270,
    X12_271,
    X12_276,
    X12_277,
    X12_277CA,
    X12_278_REQUEST,
    X12_278_RESPONSE,
    X12_837_REQUEST,
    Envelope,
    EnvelopeError,
)
from outrider.codecs.eligibility import Inquiry, Rejection
from outrider.codecs.prior_authorization import Decision, ReviewRequest
from outrider.codecs.professional_claim import Submission, Verdict
from outrider.codecs.x12 import X12Error
from outrider_sandbox.answers import Answer, Refusal
from outrider_sandbox.clearinghouse.acknowledge import TYPE_999, reject
from outrider_sandbox.clearinghouse.basic import knows_basic
from outrider_sandbox.clearinghouse.claims import judge_claim
from outrider_sandbox.clearinghouse.members import judge
from outrider_sandbox.clearinghouse.reviews import judge_review
from outrider_sandbox.clearinghouse.submissions import answer_999, answer_claim, judge_submission
from outrider_sandbox.clearinghouse.wires import MimeWire, SoapWire, Wire
from outrider_sandbox.line import Call, Line
from outrider_sandbox.settings import ONLY_999, Settings

COMPONENT = "clearinghouse"
ENVELOPE_ERROR = "CoreEnvelopeError"
EDI_X12 = "application/edi-x12"
_MOST_CONTROL_NUMBERS = 999_999_999
_ANSWERED = (X12_270, X12_276, X12_278_REQUEST, X12_837_REQUEST)

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
        for path, wire in (("/core/realtime", MimeWire()), ("/core/soap", SoapWire())):
            router.add_post(path, line.attach(COMPONENT, "realtime", partial(self._realtime, wire)))
        router.add_post("/x12", line.attach(COMPONENT, "realtime", self._plain))

    def _realtime(self, wire: Wire, call: Call) -> Answer:
        control_number = self._next_control_number()
        try:
            envelope = wire.read(call.request.headers.get("Content-Type", ""), call.body)
        except EnvelopeError as error:
            refusal = _refusal(error)
            if refusal is None:
                return wire.refuse(error)
            return self._send(wire, self._envelope_error(self._stranger(control_number), "", refusal), control_number)
        if broken := wire.break_down(call.drawn):
            return broken
        try:
            self._check(envelope)
            payload_type, payload = self._answer_x12(envelope.payload_type, envelope.payload, call, control_number)
            answer = self._envelope(envelope.payload_id, envelope.sender_id, payload_type, payload)
            if call.drawn.take("wrong_payload_id"):
                answer = replace(answer, payload_id=self._stranger(control_number))
            return self._send(wire, answer, control_number)
        except EnvelopeError:  # an acknowledgement would repeat what this wire cannot carry
            refused = _EnvelopeRefused("PayloadIllegal", "the payload holds characters that X12 does not have")
        except _EnvelopeRefused as error:
            refused = error
        answer = self._envelope_error(envelope.payload_id, envelope.sender_id, refused)
        return self._send(wire, answer, control_number)

    def _plain(self, call: Call) -> Answer:
        if call.request.content_type != EDI_X12:
            raise Refusal(415, "unsupported_media_type", f"Content-Type is not {EDI_X12}")
        if self._settings.core_username and not knows_basic(
            call.request.headers.get("Authorization", ""), self._settings
        ):
            refusal = Refusal(401, "unauthorized", "the credentials (HTTP Basic) are not the ones agreed on").answer
            return replace(refusal, headers={"WWW-Authenticate": 'Basic realm="outrider-sandbox"'})
        try:
            _, payload = self._answer_x12(_type_of(call.body), call.body, call, self._next_control_number())
        except _EnvelopeRefused as refused:
            raise Refusal(400, "not_x12", refused.message) from None
        return Answer(200, payload, EDI_X12)

    def _answer_x12(self, payload_type: str, payload: bytes, call: Call, control_number: int) -> tuple[str, bytes]:
        try:
            if payload_type == X12_276:
                claim_inquiry = claim_status.read_request(payload)
                return X12_277, self._answer_claim_inquiry(claim_inquiry, call, control_number)
            if payload_type == X12_278_REQUEST:
                request = prior_authorization.read_request(payload)
                return X12_278_RESPONSE, self._answer_review(request, call, control_number)
            if payload_type == X12_837_REQUEST:
                return self._answer_submission(
                    payload, professional_claim.read_submission(payload), call, control_number
                )
            inquiry = eligibility.read_inquiry(payload)
            return X12_271, self._answer_inquiry(inquiry, call, control_number)
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

    def _answer_submission(
        self, payload: bytes, submission: Submission, call: Call, control_number: int
    ) -> tuple[str, bytes]:
        shape = self._settings.claim_answer
        trace = self._wrong_trace(call, control_number)
        if ack := call.drawn.take("ack"):
            answer = answer_999(
                payload,
                submission,
                ack.fault.text("code"),
                control_number=control_number,
                created=self._now(),
                is_wrong=trace is not None,
            )
            return TYPE_999, _cut(answer, call)
        verdict = judge_submission(submission)
        if shape != ONLY_999 and (stc := call.drawn.take("stc")):
            verdict = Verdict(stc.fault.text("code"), "0", stc.fault.text("loop"))
        answer = answer_claim(
            payload,
            submission,
            shape,
            verdict,
            control_numbers=(control_number, self._next_control_number()),
            created=self._now(),
            trace=trace,
        )
        return TYPE_999 if shape == ONLY_999 else X12_277CA, _cut(answer, call)

    def _wrong_trace(self, call: Call, control_number: int) -> str | None:
        return self._stranger(control_number)[:8].upper() if call.drawn.take("wrong_trn") else None

    def _check(self, envelope: Envelope) -> None:
        settings = self._settings
        if envelope.error_code:
            raise _EnvelopeRefused("ErrorCodeIllegal", "a request has no ErrorCode")
        if envelope.core_rule_version != VERSION:
            raise _EnvelopeRefused("VersionMismatch", "CORERuleVersion is not 2.2.0, the only one served here")
        if settings.core_username and not self._knows(envelope.username, envelope.password):
            raise _EnvelopeRefused("UnAuthorized", "UserName or Password is not the one that was agreed on")
        if envelope.payload_type not in _ANSWERED:
            raise _EnvelopeRefused("PayloadTypeIllegal", f"PayloadType is none of {', '.join(_ANSWERED)}")
        if settings.strict_receiver and envelope.receiver_id != settings.receiver_id:
            raise _EnvelopeRefused("ReceiverIDIllegal", f"ReceiverID is not {settings.receiver_id}")
        if not _is_uuid(envelope.payload_id):
            raise _EnvelopeRefused("PayloadIDIllegal", "PayloadID is not a UUID")
        if not _is_time(envelope.timestamp):
            raise _EnvelopeRefused("TimeStampIllegal", "TimeStamp is not a UTC time such as 2026-06-01T22:00:00Z")

    def _knows(self, username: str, password: str) -> bool:
        given = f"{username}\n{password}".encode()
        agreed = f"{self._settings.core_username}\n{self._settings.core_password}".encode()
        return hmac.compare_digest(given, agreed)

    def _envelope_error(self, payload_id: str, client: str, refused: _EnvelopeRefused) -> Envelope:
        envelope = self._envelope(payload_id, client, ENVELOPE_ERROR, b"", refused.code)
        return replace(envelope, error_message=refused.message)

    def _envelope(
        self, payload_id: str, client: str, payload_type: str, payload: bytes, error_code: str = SUCCESS
    ) -> Envelope:
        return Envelope(
            payload_type=payload_type,
            payload_id=payload_id,
            timestamp=self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            sender_id=self._settings.receiver_id,
            receiver_id=client,
            payload=payload,
            error_code=error_code,
        )

    def _send(self, wire: Wire, envelope: Envelope, control_number: int) -> Answer:
        return wire.write(envelope, f"outrider-{self._stranger(control_number)}")

    def _stranger(self, control_number: int) -> str:
        """A UUID that nobody sent us: somebody else's PayloadID or trace."""
        digest = hmac.digest(self._nonce, str(control_number).encode(), "sha256")
        return str(uuid.UUID(bytes=digest[:16], version=4))

    def _next_control_number(self) -> int:
        self._control = self._control % _MOST_CONTROL_NUMBERS + 1
        return self._control


def _refusal(error: EnvelopeError) -> _EnvelopeRefused | None:
    """The rule's error code for an envelope that could not be read; None when it is none at all."""
    suffix = _SUFFIXES.get(error.code)
    if suffix is None or not error.field.isalpha():
        return None
    return _EnvelopeRefused(error.field + suffix, error.message)


def _type_of(payload: bytes) -> str:
    """What a payload without an envelope is, by its first transaction set; what cannot be read is taken for a 270."""
    try:
        sets = [transaction.set_id for transaction in x12.read(payload).transactions]
    except X12Error:
        sets = []
    return {"276": X12_276, "278": X12_278_REQUEST, "837": X12_837_REQUEST}.get(sets[0] if sets else "", X12_270)


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
