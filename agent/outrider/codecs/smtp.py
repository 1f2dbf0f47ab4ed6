"""SMTP replies: where one ends, and what it says. Sending mail is no part of it.

Source: RFC 5321, 4.2 (replies), 4.1.1.1 (EHLO); RFC 3207 (STARTTLS).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from outrider.codecs.framing import FramingError

MOST_BYTES = 1 << 14
MOST_LINES = 200
"""The longest reply that is read, 16 KiB in 200 lines: EHLO's are some hundred bytes long."""

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\r\n]*))?\r?\n?")
_DOMAIN = re.compile(
    r"(?=.{1,255}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_LITERAL = re.compile(r"\[(?:IPv6:)?[0-9A-Fa-f.:]{2,45}\]")


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply: its code, and the text of each line."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(line for line in self.lines if line)

    @property
    def extensions(self) -> tuple[str, ...]:
        """What an EHLO reply offers: the keyword of each line after the first, in capitals."""
        return tuple(line.split()[0].upper() for line in self.lines[1:] if line.split())


def ends(came: bytearray) -> int | None:
    """A reply ends with its first line that has no "-" after the code. Raises FramingError."""
    start = lines = 0
    while (feed := came.find(b"\n", start)) >= 0:
        found = _LINE.fullmatch(came, start, feed + 1)
        if found is None or found[1] != came[:3]:
            raise FramingError("not-smtp", "a line does not begin with the reply's code")
        if found[2] != b"-":
            return feed + 1
        start, lines = feed + 1, lines + 1
        if lines >= MOST_LINES:
            break
    if len(came) > MOST_BYTES or lines >= MOST_LINES:
        raise FramingError("too-long", f"the reply is longer than {MOST_LINES} lines or {MOST_BYTES} bytes")
    if _cannot_begin(bytes(came[start : start + 4])):
        raise FramingError("not-smtp", "a line does not begin with a code")
    return None


def _cannot_begin(head: bytes) -> bool:
    """Whether the first bytes of a line are those of no reply: a peer that speaks something else may never say more."""
    return re.fullmatch(rb"(?:[2-5](?:[0-9](?:[0-9][ \r-]?)?)?)?", head) is None


def read_reply(answer: bytes) -> Reply:
    """Read a reply that `ends` has found. Text that is not UTF-8 is replaced."""
    lines = [found for found in map(_LINE.fullmatch, answer.splitlines(keepends=True)) if found is not None]
    texts = tuple((found[3] or b"").decode("utf-8", "replace") for found in lines)
    return Reply(int(lines[0][1]), texts)


def check_client(name: str) -> None:
    """Raise ValueError for what EHLO cannot say: it takes a host's name or an address in brackets."""
    if not _DOMAIN.fullmatch(name) and not _LITERAL.fullmatch(name):
        raise ValueError(f"{name!r} is neither the name of a host nor an address in brackets")
