"""DNS: one question in bytes, its answer as values, and where a message ends on TCP.

Records are read by `dnspython`, of the extra `dns`; nothing else of it is used, no resolver and no socket.

Rules
-----
1. An answer is ours if it is a response, has our id and repeats our question, in any case of letters. Without a
   question (a server that could not read ours) it is ours too, where it says that it is an error.
2. A name is written in ASCII (a name in other letters as its xn-- form); with or without the dot at its end.
3. A PTR question for an IP address asks for its name under in-addr.arpa or ip6.arpa.

Source: RFC 1035; RFC 7766 (TCP), RFC 6891 (EDNS), RFC 6840, 5.7 (AD in questions), RFC 2308 (no data).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from outrider.codecs.extras import require
from outrider.codecs.framing import FramingError

TYPES = ("A", "AAAA", "MX", "TXT", "NS", "SOA", "SRV", "CNAME", "PTR", "CAA")
MOST_RECORDS = 100
"""The most records of an answer that are taken."""

_MOST_TOLD = 1000
"""The most records that a message may have at all: to read one takes time, and those of 64 KiB a second."""

_LABEL = re.compile(r"[A-Za-z0-9_*](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_PAYLOAD = 1232
"""Bytes of an answer that goes through without fragments, nearly everywhere."""

_HEADER = 12
_LONGEST_VALUE = 1000


class DnsError(ValueError):
    """A message that cannot be read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `rcode` by its name; `flags` of aa, tc, rd, ra, ad, cd; `values` of the type that was asked for,
    as zone files write them (a text without quotes), `aliases` on the way to them; `ttl` is the least of them, s."""

    rcode: str
    flags: tuple[str, ...]
    values: tuple[str, ...]
    aliases: tuple[str, ...]
    ttl: int | None


def absolute(name: str, rdtype: str) -> str:
    """A name as it is asked for, with its last dot (rules 2 and 3). Raises ValueError."""
    if rdtype == "PTR":
        try:
            return ipaddress.ip_address(name).reverse_pointer + "."
        except ValueError:
            pass
    labels = name.removesuffix(".").split(".")
    if name != "." and (len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels)):
        raise ValueError(f"{name!r} is not a name of DNS")
    return name if name.endswith(".") else name + "."


def question(name: str, rdtype: str, number: int, *, recursion: bool = True) -> bytes:
    """A question in bytes; `number` is its id, 0 to 65535. Raises ValueError, MissingExtraError."""
    require("dns", "a question of DNS")
    import dns.flags
    import dns.message

    query = dns.message.make_query(absolute(name, rdtype), rdtype, use_edns=0, payload=_PAYLOAD, id=number)
    query.flags = dns.flags.Flag.AD | (dns.flags.Flag.RD if recursion else 0)
    return query.to_wire()


def is_answer(asked: bytes, came: bytes) -> bool:
    """Whether a message is an answer to a question (rule 1), before it is read. Raises nothing."""
    if len(came) < _HEADER or came[:2] != asked[:2] or came[2] & 0xF8 != 0x80:  # a response to a query
        return False
    if came[4:6] == b"\0\0":
        return came[3] & 0x0F != 0
    end = _end_of_question(asked)
    return came[_HEADER:end].lower() == asked[_HEADER:end].lower()


def _end_of_question(asked: bytes) -> int:
    """Where the question of a message of ours ends: its name is never compressed."""
    place = _HEADER
    while asked[place]:
        place += 1 + asked[place]
    return place + 5


def read_answer(came: bytes, rdtype: str) -> Answer:
    """Read the answer to a question of this type. Raises DnsError, MissingExtraError."""
    require("dns", "an answer of DNS")
    import dns.flags
    import dns.message
    import dns.rcode

    if sum(int.from_bytes(came[place : place + 2], "big") for place in (6, 8, 10)) > _MOST_TOLD:
        raise DnsError(f"the answer says that it has more than {_MOST_TOLD} records")
    try:
        message = dns.message.from_wire(came)
        records = [(found, each) for found in message.answer for each in found][:MOST_RECORDS]
        wanted = [(found.ttl, _value(each)) for found, each in records if found.rdtype.name == rdtype]
        return Answer(
            rcode=dns.rcode.to_text(message.rcode()),
            flags=tuple(dns.flags.to_text(message.flags).lower().split())[1:],  # the first is QR
            values=tuple(value for _, value in wanted),
            aliases=tuple(_value(each) for found, each in records if found.rdtype.name == "CNAME" != rdtype),
            ttl=min((ttl for ttl, _ in wanted), default=None),
        )
    except Exception as error:  # bad rdata raises whatever its type raises
        raise DnsError(f"the answer cannot be read: {error or type(error).__name__}"[:200]) from None


def _value(record: object) -> str:
    strings = getattr(record, "strings", None)  # TXT: the parts of one text
    text = b"".join(strings).decode("utf-8", "replace") if strings is not None else str(record)
    return text[:_LONGEST_VALUE]


def framed(message: bytes) -> bytes:
    """A message as it goes over TCP: its length first (RFC 1035, 4.2.2)."""
    return len(message).to_bytes(2, "big") + message


def ends(came: bytearray) -> int | None:
    """Where a message ends on TCP. Raises FramingError."""
    if len(came) < 2:
        return None
    length = int.from_bytes(came[:2], "big")
    if length < _HEADER:
        raise FramingError("too-short", f"a message of {length} bytes is shorter than its header")
    return 2 + length if len(came) >= 2 + length else None
