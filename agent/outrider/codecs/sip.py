"""SIP messages as bytes: requests and responses, read and written, and where one ends on TCP.

Rules
-----
1. A message is a first line and headers, each ended by CRLF, an empty line, and a body of Content-Length bytes. Over
   UDP the body is what is left, where there is no Content-Length. Empty lines before a message are passed over.
2. A header's name is compared in any case; its short form is the long one. A line that begins with a blank goes on
   with the one before.
3. What is written holds no line end within a header: a value that has one is refused.

Source: RFC 3261, 7 (messages), 18.3 (framing), 20 (headers).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from outrider.codecs.framing import FramingError

MOST_HEAD = 1 << 14
MOST_BODY = 1 << 16
"""The most bytes of first line and headers, and of a body, that are read: 16 and 64 KiB."""

MOST_HEADERS = 200
MOST_PROVISIONAL = 20
"""The most messages before a final response that are passed over."""

_SHORT = {
    "i": "call-id", "m": "contact", "e": "content-encoding", "l": "content-length", "c": "content-type", "f": "from",
    "s": "subject", "k": "supported", "t": "to", "v": "via",
}  # fmt: skip
_STATUS = re.compile(r"SIP/2\.0 ([1-6][0-9]{2}) ?([^\r\n]*)")
_METHOD = re.compile(r"([A-Z]{1,32}) ([^ \r\n]+) SIP/2\.0")
_NAME = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
_URI = re.compile(r"sips?:[A-Za-z0-9!$&'()*+,./:;=?@\[\]_~%-]{1,250}")
_LENGTH = re.compile(rb"(?im)^(?:content-length|l)[ \t]*:([^\r\n]*)")
_BRANCH = re.compile(r";\s*branch\s*=\s*([^;,\s]+)", re.IGNORECASE)


class SipError(ValueError):
    """A message that is none."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message: of a response, `status` and `reason`; of a request, `method` and `uri`, and `status` is 0."""

    status: int
    reason: str
    method: str
    uri: str
    headers: Sequence[tuple[str, str]]
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str:
        """The first header of that name, which is its long form in lower case; "" if there is none."""
        return next((value for key, value in self.headers if key == name), "")

    def listed(self, name: str) -> tuple[str, ...]:
        """The values of every header of that name, which separates them by commas."""
        values = (value for key, value in self.headers if key == name)
        return tuple(part.strip() for value in values for part in value.split(",") if part.strip())

    @property
    def branch(self) -> str:
        """The transaction's id: that of the first Via."""
        found = _BRANCH.search(self.header("via").partition(",")[0])
        return found[1] if found else ""


def read_message(raw: bytes) -> Message:
    """Read a whole message. Raises SipError."""
    head, separator, body = raw.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not separator or len(head) > MOST_HEAD:
        raise SipError("the message has no end of its headers")
    try:
        first, *lines = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise SipError("the headers are not UTF-8") from None
    headers = _headers(lines)
    length = next((value for key, value in headers if key == "content-length"), str(len(body)))
    if not re.fullmatch(r"[0-9]{1,9}", length) or int(length) > len(body):
        raise SipError("the body is shorter than its length")
    body = body[: int(length)]
    if status := _STATUS.fullmatch(first):
        return Message(int(status[1]), status[2], "", "", headers, body)
    if method := _METHOD.fullmatch(first):
        return Message(0, "", method[1], method[2], headers, body)
    raise SipError("the first line is neither a request's nor a response's")


def _headers(lines: list[str]) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and headers:
            name, value = headers.pop()
            headers.append((name, f"{value} {line.strip()}".strip()))
            continue
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name.rstrip()) or len(headers) >= MOST_HEADERS:
            raise SipError("a line is not a header, or there are too many")
        key = name.rstrip().lower()
        headers.append((_SHORT.get(key, key), value.strip()))
    return tuple(headers)


def ends(came: bytearray) -> int | None:
    """Where the first message ends on TCP, which needs its Content-Length. Raises FramingError."""
    return _end(came, 0)


def ends_final(came: bytearray) -> int | None:
    """Where the first final response (200 to 699) ends on TCP, with what came before it. Raises FramingError."""
    start = 0
    for _ in range(MOST_PROVISIONAL + 1):
        if (end := _end(came, start)) is None:
            return None
        first = bytes(came[start:end]).lstrip(b"\r\n")
        if first.startswith(b"SIP/2.0 ") and not first.startswith(b"SIP/2.0 1"):
            return end
        start = end
    raise FramingError("too-many", f"no final response came within {MOST_PROVISIONAL} messages")


def split(answer: bytes) -> list[bytes]:
    """The messages of what `ends_final` has found."""
    messages, came, start = [], bytearray(answer), 0
    while start < len(came) and (end := _end(came, start)) is not None:
        messages.append(answer[start:end])
        start = end
    return messages


def _end(came: bytearray, start: int) -> int | None:
    begin = start
    while begin < len(came) and came[begin] in b"\r\n":
        begin += 1
    blank = came.find(b"\r\n\r\n", begin, begin + MOST_HEAD)
    if blank < 0:
        if len(came) - begin >= MOST_HEAD or begin - start > MOST_HEAD:
            raise FramingError("too-long", f"the headers are longer than {MOST_HEAD} bytes")
        return None
    lengths = {value.strip() for value in _LENGTH.findall(came, begin, blank + 2)}
    if len(lengths) != 1 or not re.fullmatch(rb"[0-9]{1,9}", length := lengths.pop()):
        raise FramingError("no-length", "a message over TCP has one Content-Length, which is a number")
    if int(length) > MOST_BODY:
        raise FramingError("too-long", f"the body is longer than {MOST_BODY} bytes")
    end = blank + 4 + int(length)
    return end if len(came) >= end else None


def write_message(first: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> bytes:
    """A message in bytes, with its Content-Length. Raises ValueError for what cannot stand in a header."""
    lines = [first, *(f"{name}: {value}" for name, value in headers), f"Content-Length: {len(body)}"]
    for line in lines:
        if not line.isprintable():
            raise ValueError("a header of SIP cannot hold a line end or another control character")
    return "\r\n".join([*lines, "", ""]).encode() + body


def check_uri(uri: str) -> None:
    """Raise ValueError for what is no SIP URI (RFC 3261, 19.1)."""
    if not _URI.fullmatch(uri):
        raise ValueError(f"{uri!r} is not a SIP URI, such as sip:support@example.com")
