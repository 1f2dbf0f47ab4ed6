"""What stands around X12 on the wire, by the name that scenarios use: CORE in MIME or in SOAP, or nothing.

Rules
-----
1. An HTTP status that is no success decides, whatever the body says. But a SOAP fault comes with status 400 or 500
   (SOAP 1.2 part 2, 7.5.2), and then its code says more than the status: the fault decides.
2. Then what is wrong with the envelope, then its ErrorCode (every answer has one), then a PayloadID that is not the
   one that was sent.
3. Without an envelope there is no PayloadID; the trace inside the X12 is all that can be matched.

Sources: CAQH CORE connectivity rule vC2.2.0; RFC 1767 (application/edi-x12).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from outrider.codecs import core_mime, core_soap
from outrider.codecs.core_envelope import Envelope, EnvelopeError
from outrider.core.outcome import Finding
from outrider.probes.http import status_findings
from outrider.transport import HttpReply

Findings = tuple[Finding, ...]
EDI_X12 = "application/edi-x12"

_ERROR_CODE = re.compile(r"[A-Za-z]{1,64}")
"""What an ErrorCode looks like. Anything else is not repeated: it could be what must not be logged."""

_STATUS_OF_A_FAULT = (400, 500)


class Wrapping(Protocol):
    """One way to send X12 over HTTP."""

    def wrap(self, envelope: Envelope) -> tuple[str, bytes]:
        """The value of the Content-Type header, and the body. Raises ValueError for what cannot be written."""

    def open(self, reply: HttpReply, payload_id: str) -> bytes | Findings:
        """The X12 of an answer, or why there is none. Raises nothing."""


class _Mime:
    def wrap(self, envelope: Envelope) -> tuple[str, bytes]:
        return core_mime.write(envelope, boundary=f"outrider-{envelope.payload_id}")

    def open(self, reply: HttpReply, payload_id: str) -> bytes | Findings:
        return tuple(status_findings(reply)) or _open(core_mime.read, reply, payload_id)


class _Soap:
    def wrap(self, envelope: Envelope) -> tuple[str, bytes]:
        return core_soap.write(envelope)

    def open(self, reply: HttpReply, payload_id: str) -> bytes | Findings:
        findings = tuple(status_findings(reply))
        if findings and reply.status not in _STATUS_OF_A_FAULT:
            return findings
        opened = _open(partial(core_soap.read, element=core_soap.RESPONSE), reply, payload_id)
        is_fault = not isinstance(opened, bytes) and opened[0].place == "envelope/fault"
        return opened if is_fault else findings or opened


class _Plain:
    def wrap(self, envelope: Envelope) -> tuple[str, bytes]:
        return EDI_X12, envelope.payload

    def open(self, reply: HttpReply, payload_id: str) -> bytes | Findings:
        return tuple(status_findings(reply)) or reply.body


def _open(read: Callable[[str, bytes], Envelope], reply: HttpReply, payload_id: str) -> bytes | Findings:
    try:
        envelope = read(reply.header("Content-Type"), reply.body)
    except EnvelopeError as error:
        return (Finding(error.code, error.place, str(error)),)
    if envelope.is_error:
        code = envelope.error_code if _ERROR_CODE.fullmatch(envelope.error_code) else "unreadable"
        return (Finding(code, "envelope/errorcode", "the envelope reports an error"),)
    if not envelope.error_code:
        return (Finding("missing", "envelope/errorcode", "the answer has no ErrorCode; CORE requires one"),)
    if envelope.payload_id != payload_id:
        return (Finding("mismatch", "echo/payload_id", "the answer carries somebody else's PayloadID"),)
    return envelope.payload


ENVELOPES: Mapping[str, Wrapping] = {"core-mime": _Mime(), "core-soap": _Soap(), "none": _Plain()}
