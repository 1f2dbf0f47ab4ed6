"""The CORE envelope as HTTP MIME multipart, real time: what stands around the X12 payload on the wire.

Rules
-----
1. One part for each field, `Content-Disposition: form-data; name="..."`; lines end in CR LF.
2. The payload's bytes are kept exactly, whatever X12 terminator they use, with or without a line end at the end.
3. Fields and errors are those of `core_envelope`; errors of the frame are not-multipart, boundary, truncated,
   too-large, too-many-parts and part.
4. Sizes and the number of parts are bounded; a missing closing boundary is an error.

The body is split here, by its boundary alone; the standard library reads the header lines. Its whole-message parser
does keep payloads exact, but it follows nested multiparts into a RecursionError, decodes transfer encodings that CORE
does not use, and takes a bare CR or LF for a line end and a truncated body for a whole one.

Source: CAQH CORE Connectivity Rule vC2.2.0, section on HTTP MIME multipart; RFC 2046 5.1,
RFC 7578.
"""

from __future__ import annotations

import re
from email.parser import BytesHeaderParser
from email.policy import compat32
from typing import NoReturn

from outrider.codecs.core_envelope import (
    MAX_BYTES,
    OPTIONAL,
    PAYLOAD,
    REAL_TIME,
    SUCCESS,
    TEXT_FIELDS,
    VERSION,
    X12_270,
    X12_271,
    X12_276,
    X12_277,
    X12_278_REQUEST,
    X12_278_RESPONSE,
    Envelope,
    EnvelopeError,
    check_presence,
    read_content_type,
)

__all__ = [
    "MAX_BYTES",
    "MAX_PARTS",
    "REAL_TIME",
    "SUCCESS",
    "VERSION",
    "X12_270",
    "X12_271",
    "X12_276",
    "X12_277",
    "X12_278_REQUEST",
    "X12_278_RESPONSE",
    "Envelope",
    "EnvelopeError",
    "read",
    "write",
]

MAX_PARTS = 32
_MAX_HEADERS = 2048

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_PLAIN_BOUNDARY = re.compile(r"[0-9A-Za-z._+-]{1,70}")
_LINE_PADDING = re.compile(rb"[ \t]*\r\n")
_CLOSE = re.compile(rb"--[ \t]*(?:\r\n|\Z)")
_IDENTITY_ENCODINGS = ("7bit", "8bit", "binary")


def write(envelope: Envelope, *, boundary: str) -> tuple[str, bytes]:
    """The value of the Content-Type header, and the body.

    `boundary` has 1 to 70 letters, digits and `._+-`, and must not occur in any field: a random one never does.
    Raises EnvelopeError.
    """
    if not _PLAIN_BOUNDARY.fullmatch(boundary):
        raise EnvelopeError("boundary", "", "a boundary has 1 to 70 letters, digits and ._+-")
    fields = {name: getattr(envelope, attribute).encode() for name, attribute in TEXT_FIELDS.items()}
    fields[PAYLOAD] = envelope.payload
    check_presence(fields, is_error=envelope.is_error)
    mark = boundary.encode()
    body = bytearray()
    for name, value in fields.items():
        if not value and (name in OPTIONAL or name == PAYLOAD):
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
        if name not in TEXT_FIELDS and name != PAYLOAD:
            continue
        if name in fields:
            raise EnvelopeError("twice", name, "stands there more than once")
        fields[name] = value
    texts = {attribute: _text(name, fields.get(name, b"")) for name, attribute in TEXT_FIELDS.items()}
    check_presence(fields, is_error=texts["error_code"] not in ("", SUCCESS))
    return Envelope(**texts, payload=fields.get(PAYLOAD, b""))


def _boundary(content_type: str) -> bytes:
    header = read_content_type(content_type, "multipart/form-data", "not-multipart")
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
