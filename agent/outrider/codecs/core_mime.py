"""The CORE envelope as HTTP MIME multipart, real time: what stands around the X12 payload on the wire.

Rules
-----
1. One part for each field, `Content-Disposition: form-data; name="..."`; lines end in CR LF.
2. The payload's bytes are kept exactly, whatever X12 terminator they use, with or without a line end at the end.
3. A field that is missing, empty, twice there or of the wrong shape is an error that names it. Fields that real time
   does not use (PayloadLength, CheckSum) and unknown ones are passed over.
4. An answer whose ErrorCode is not "Success" may leave the payload out, and may leave other fields empty.
5. Sizes and the number of parts are bounded; a missing closing boundary is an error.
6. No error and no `repr` holds a password or a value from the message.

The body is split here, by its boundary alone; the standard library reads the header lines. Its whole-message parser
does keep payloads exact, but it follows nested multiparts into a RecursionError, decodes transfer encodings that CORE
does not use, and takes a bare CR or LF for a line end and a truncated body for a whole one.

Source: CAQH CORE Connectivity Rule vC2.2.0, sections on HTTP MIME multipart and on envelope metadata; RFC 2046 5.1,
RFC 7578.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32
from typing import NoReturn

X12_270 = "X12_270_Request_005010X279A1"
X12_271 = "X12_271_Response_005010X279A1"
X12_276 = "X12_276_Request_005010X212"
X12_277 = "X12_277_Response_005010X212"
X12_278_REQUEST = "X12_278_Request_005010X217"
X12_278_RESPONSE = "X12_278_Response_005010X217"
SUCCESS = "Success"
REAL_TIME = "RealTime"
VERSION = "2.2.0"

MAX_BYTES = 1 << 20
MAX_PARTS = 32
_MAX_HEADERS = 2048
_MAX_TEXT = 1024

# Field on the wire -> attribute, in the order in which they are written.
_TEXT_FIELDS = {
    "PayloadType": "payload_type",
    "ProcessingMode": "processing_mode",
    "PayloadID": "payload_id",
    "TimeStamp": "timestamp",
    "UserName": "username",
    "Password": "password",
    "SenderID": "sender_id",
    "ReceiverID": "receiver_id",
    "CORERuleVersion": "core_rule_version",
    "ErrorCode": "error_code",
    "ErrorMessage": "error_message",
}
_PAYLOAD = "Payload"
_OPTIONAL = frozenset(("UserName", "Password", "ErrorCode", "ErrorMessage"))

_CONTROLS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_CONTROLS_IN_PROSE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_PLAIN_BOUNDARY = re.compile(r"[0-9A-Za-z._+-]{1,70}")
_LINE_PADDING = re.compile(rb"[ \t]*\r\n")
_CLOSE = re.compile(rb"--[ \t]*(?:\r\n|\Z)")
_IDENTITY_ENCODINGS = ("7bit", "8bit", "binary")


class EnvelopeError(ValueError):
    """What is wrong with an envelope.

    `code` is a slug: missing, empty, twice, illegal, not-multipart, boundary, truncated, too-large, too-many-parts,
    part. `place` is "envelope/<field in lower case>", `field` the field as CORE spells it ("" for the frame itself).
    """

    def __init__(self, code: str, field: str, what: str) -> None:
        super().__init__(code, field, what)
        self.code = code
        self.field = field
        self.message = f"{field or 'envelope'}: {what}"
        self.place = f"envelope/{field.lower() or 'frame'}"

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Envelope:
    """A CORE real-time envelope. `timestamp` is "YYYY-MM-DDTHH:MM:SSZ"; `error_code` is "" on a request.

    Raises EnvelopeError if a text holds a control character (tabs and line ends may stand in the error message) or
    is longer than 1024 characters, or if the time stamp or the processing mode is none. Text may be empty here;
    `write` says what must not.
    """

    payload_type: str
    payload_id: str
    timestamp: str
    sender_id: str
    receiver_id: str
    payload: bytes = field(repr=False)
    processing_mode: str = REAL_TIME
    core_rule_version: str = VERSION
    username: str = ""
    password: str = field(default="", repr=False)
    error_code: str = ""
    error_message: str = ""

    def __post_init__(self) -> None:
        for name, attribute in _TEXT_FIELDS.items():
            text = getattr(self, attribute)
            controls = _CONTROLS_IN_PROSE if name == "ErrorMessage" else _CONTROLS
            if len(text) > _MAX_TEXT or controls.search(text):
                raise EnvelopeError("illegal", name, f"holds a control character or more than {_MAX_TEXT} characters")
        if self.timestamp and not _TIMESTAMP.fullmatch(self.timestamp):
            raise EnvelopeError("illegal", "TimeStamp", "is not a UTC time like 2026-06-01T22:00:00Z")
        if self.processing_mode not in ("", REAL_TIME):
            raise EnvelopeError("illegal", "ProcessingMode", f"is not {REAL_TIME}")

    @property
    def is_error(self) -> bool:
        """The receiver could not take the request as it was."""
        return self.error_code not in ("", SUCCESS)


def write(envelope: Envelope, *, boundary: str) -> tuple[str, bytes]:
    """The value of the Content-Type header, and the body.

    `boundary` has 1 to 70 letters, digits and `._+-`, and must not occur in any field: a random one never does.
    Raises EnvelopeError.
    """
    if not _PLAIN_BOUNDARY.fullmatch(boundary):
        raise EnvelopeError("boundary", "", "a boundary has 1 to 70 letters, digits and ._+-")
    fields = {name: getattr(envelope, attribute).encode() for name, attribute in _TEXT_FIELDS.items()}
    fields[_PAYLOAD] = envelope.payload
    _check_presence(fields, is_error=envelope.is_error)
    mark = boundary.encode()
    body = bytearray()
    for name, value in fields.items():
        if not value and (name in _OPTIONAL or name == _PAYLOAD):
            continue
        if mark in value:
            raise EnvelopeError("boundary", name, "contains the boundary; choose another one")
        body += b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (mark, name.encode(), value)
    body += b"--%b--\r\n" % mark
    return f"multipart/form-data; boundary={boundary}", bytes(body)


def read(content_type: str, body: bytes, *, max_bytes: int = MAX_BYTES) -> Envelope:
    """Read a request or an answer. `content_type` is the header's value. Raises EnvelopeError, and nothing else."""
    if len(body) > max_bytes:
        raise EnvelopeError("too-large", "", f"{len(body)} bytes, more than the {max_bytes} that are read")
    fields: dict[str, bytes] = {}
    for part in _split(body, _boundary(content_type)):
        name, value = _read_part(part)
        if name not in _TEXT_FIELDS and name != _PAYLOAD:
            continue
        if name in fields:
            raise EnvelopeError("twice", name, "stands there more than once")
        fields[name] = value
    texts = {attribute: _text(name, fields.get(name, b"")) for name, attribute in _TEXT_FIELDS.items()}
    _check_presence(fields, is_error=texts["error_code"] not in ("", SUCCESS))
    return Envelope(**texts, payload=fields.get(_PAYLOAD, b""))


def _check_presence(fields: dict[str, bytes], *, is_error: bool) -> None:
    for name in (*_TEXT_FIELDS, _PAYLOAD):
        if name in _OPTIONAL or (is_error and name == _PAYLOAD):
            continue
        if name not in fields:
            raise EnvelopeError("missing", name, "is missing; CORE requires it")
        if not fields[name] and not is_error:
            raise EnvelopeError("empty", name, "is empty; CORE requires it")


def _boundary(content_type: str) -> bytes:
    if len(content_type) > _MAX_TEXT or not content_type.isascii() or _CONTROLS.search(content_type):
        raise EnvelopeError("not-multipart", "Content-Type", "is not a plain header value")
    header: Message = Message()
    header["Content-Type"] = content_type
    if header.get_content_type() != "multipart/form-data":
        raise EnvelopeError("not-multipart", "Content-Type", "is not multipart/form-data")
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not _BOUNDARY.fullmatch(boundary):
        raise EnvelopeError("boundary", "Content-Type", "names no boundary of 1 to 70 legal characters")
    return boundary.encode()


def _split(body: bytes, boundary: bytes) -> list[bytes]:
    """The parts, each with its headers. What stands before the first and after the last boundary is nobody's."""
    _preamble, *pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, MAX_PARTS + 2)
    if not pieces:
        raise EnvelopeError("boundary", "", "the boundary that Content-Type names does not occur")
    parts: list[bytes] = []
    for piece in pieces:
        if _CLOSE.match(piece):
            return parts
        padding = _LINE_PADDING.match(piece)
        if padding is None:
            _no_line_end(piece, is_last=piece is pieces[-1])
        parts.append(piece[padding.end() :])
        if len(parts) > MAX_PARTS:
            raise EnvelopeError("too-many-parts", "", f"more than {MAX_PARTS} parts")
    raise EnvelopeError("truncated", "", "the closing boundary is missing")


def _no_line_end(piece: bytes, *, is_last: bool) -> NoReturn:
    if is_last and piece.rstrip(b" \t\r") in (b"", b"-", b"--"):
        raise EnvelopeError("truncated", "", "the message ends inside a boundary line")
    raise EnvelopeError("boundary", "", "a boundary line goes on after the boundary, or does not end in CR LF")


def _read_part(part: bytes) -> tuple[str, bytes]:
    """The field's name and its bytes."""
    head, gap, value = part.partition(b"\r\n\r\n")
    if not gap or len(head) > _MAX_HEADERS or not head.isascii():
        raise EnvelopeError("part", "", "a part has no headers, or more or other than a form field has")
    headers = BytesHeaderParser(policy=compat32).parsebytes(head + b"\r\n\r\n")
    if headers.defects or len(headers.get_all("Content-Disposition", ())) != 1:
        raise EnvelopeError("part", "", "a part's headers are broken, or name its field not exactly once")
    name = headers.get_param("name", header="Content-Disposition")
    if headers.get_content_disposition() != "form-data" or not isinstance(name, str):
        raise EnvelopeError("part", "", "a part is not a form field with a name")
    encoding = headers.get("Content-Transfer-Encoding", "binary")
    if encoding.strip().lower() not in _IDENTITY_ENCODINGS:
        raise EnvelopeError("part", "", "a part has a transfer encoding; HTTP needs none and CORE names none")
    return name, value


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise EnvelopeError("illegal", name, "is not UTF-8") from None
