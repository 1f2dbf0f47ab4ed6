"""The service `sip`: it answers OPTIONS for its own lines, over UDP and TCP on one port, and takes no calls.

Source: RFC 3261, 11 (OPTIONS), 8.2 (what every server answers), 18.2.2 and RFC 3581 (where an answer goes).
"""

from __future__ import annotations

import re

from outrider.codecs.sip import Message as SipMessage
from outrider.codecs.sip import ends, read_message, write_message
from outrider_sandbox.clearinghouse.both import OnBoth
from outrider_sandbox.line import Line
from outrider_sandbox.messages import DatagramService, Message, StreamService

COMPONENT = "sip"
REASONS = {
    200: "OK", 302: "Moved Temporarily", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 407: "Proxy Authentication Required", 408: "Request Timeout",
    480: "Temporarily Unavailable", 486: "Busy Here", 488: "Not Acceptable Here", 500: "Server Internal Error",
    501: "Not Implemented", 503: "Service Unavailable", 504: "Server Time-out", 600: "Busy Everywhere", 603: "Decline",
}  # fmt: skip
LINES = {"": 200, "support": 200, "busy": 486, "away": 480}
"""The lines that there are, by the user part of their URI, and what is said of each."""

_USER = re.compile(r"sips?:(?:([^@;]*)@)?.*")


def registrar(line: Line) -> OnBoth:
    return OnBoth(
        lambda: DatagramService(COMPONENT, line, room=_answer, kind=_kind),
        lambda: StreamService(COMPONENT, line, ends=ends, open_room=lambda: _answer, kind=_kind),
    )


def _kind(payload: bytes) -> str:
    return "options" if payload.lstrip().startswith(b"OPTIONS ") else "other"


def _answer(message: Message) -> bytes | None:
    try:
        asked = read_message(message.payload)
        if asked.status or asked.method == "ACK":
            return None
        fault = message.drawn.take("sip")
        status = fault.fault.number("status") if fault else _status(asked)
        return _response(asked, status, is_wrong=message.drawn.take("wrong_id") is not None)
    except ValueError:  # it is no request, or a header of it cannot be said back
        return None


def _status(asked: SipMessage) -> int:
    if asked.method != "OPTIONS":
        return 405
    user = _USER.fullmatch(asked.uri)
    return LINES.get((user[1] or "") if user else "nobody", 404)


def _response(asked: SipMessage, status: int, *, is_wrong: bool = False) -> bytes:
    names = {"via": "Via", "from": "From", "to": "To", "call-id": "Call-ID", "cseq": "CSeq"}
    headers = [(names[key], value) for key, value in asked.headers if key in names]
    headers = [(name, f"{value};tag=sandbox" if name == "To" else value) for name, value in headers]
    if is_wrong:
        headers = [(name, f"not-{value}" if name == "Call-ID" else value) for name, value in headers]
    headers += [("Server", "Outrider sandbox"), ("Allow", "OPTIONS"), ("Supported", "")]
    return write_message(f"SIP/2.0 {status} {REASONS.get(status, 'Because')}", headers)
