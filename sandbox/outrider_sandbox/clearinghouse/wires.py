"""The two wires that carry CORE envelopes to the clearinghouse: how each is read, answered and refused.

Rules
-----
1. What is no envelope at all is HTTP 400 with JSON over MIME, and a SOAP fault over SOAP.
2. A SOAP fault comes with the HTTP status of its code: 400 for Sender, 500 for all others (SOAP 1.2 part 2, 7.5.2).
   A header that is not understood and another version of SOAP have fault codes of their own.
3. `soap_fault` is acted out over SOAP only. The other wires pass over it, and count no hit.

Source: CAQH CORE connectivity rule vC2.2.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from outrider.codecs import core_mime, core_soap
from outrider.codecs.core_envelope import Envelope, EnvelopeError
from outrider_sandbox.answers import Answer, Refusal
from outrider_sandbox.board import Drawn

# What the reader found -> the fault that says so; anything else is the sender's.
_FAULTS: Mapping[str, str] = {
    "must-understand": core_soap.MUST_UNDERSTAND,
    "version": core_soap.VERSION_MISMATCH,
}
_REASONS: Mapping[str, str] = {
    core_soap.RECEIVER: "the service cannot process the message at the moment",
    core_soap.SENDER: "the message was not formed as it has to be",
}


class Wire(Protocol):
    """One way to carry envelopes."""

    def read(self, content_type: str, body: bytes) -> Envelope:
        """Raises EnvelopeError."""

    def write(self, envelope: Envelope, boundary: str) -> Answer:
        """Raises EnvelopeError where the wire cannot carry what the envelope holds."""

    def refuse(self, error: EnvelopeError) -> Answer:
        """The answer to what is no envelope at all."""

    def break_down(self, drawn: Drawn) -> Answer | None:
        """The wire's own fault, where one was drawn."""


class MimeWire:
    """See `Wire`."""

    def read(self, content_type: str, body: bytes) -> Envelope:
        return core_mime.read(content_type, body)

    def write(self, envelope: Envelope, boundary: str) -> Answer:
        content_type, body = core_mime.write(envelope, boundary=boundary)
        return Answer(200, body, content_type)

    def refuse(self, error: EnvelopeError) -> Answer:
        return Refusal(400, error.code, str(error), field=error.place).answer

    def break_down(self, drawn: Drawn) -> Answer | None:
        return None


class SoapWire:
    """See `Wire`."""

    def read(self, content_type: str, body: bytes) -> Envelope:
        return core_soap.read(content_type, body, element=core_soap.REQUEST)

    def write(self, envelope: Envelope, boundary: str) -> Answer:
        content_type, body = core_soap.write(envelope)
        return Answer(200, body, content_type)

    def refuse(self, error: EnvelopeError) -> Answer:
        return _fault(_FAULTS.get(error.code, core_soap.SENDER), error.message)

    def break_down(self, drawn: Drawn) -> Answer | None:
        if active := drawn.take("soap_fault"):
            code = active.fault.text("code")
            return _fault(code, _REASONS[code])
        return None


def _fault(code: str, reason: str) -> Answer:
    content_type, body = core_soap.write_fault(code, reason)
    return Answer(400 if code == core_soap.SENDER else 500, body, content_type)
