"""The service `nameserver`: it answers for outrider.test and the addresses in it, and for nothing else.

Over UDP and TCP, on one port. An answer that is too long for the asker's datagram is cut to its header, with TC.

Source: RFC 1035, RFC 2181, 9 (TC), RFC 6891 (the asker's size); the addresses are of documentation (RFC 5737, 3849).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from outrider.codecs.dns import ends, framed
from outrider_sandbox.clearinghouse.both import OnBoth
from outrider_sandbox.line import Line
from outrider_sandbox.messages import DatagramService, Message, Room, StreamService

if TYPE_CHECKING:
    from dns.message import Message as DnsMessage

COMPONENT = "nameserver"

ZONES = ("outrider.test.", "2.0.192.in-addr.arpa.")
RECORDS = """
outrider.test.            3600 IN SOA   ns.outrider.test. hostmaster.outrider.test. 2026010101 7200 900 1209600 300
outrider.test.            3600 IN NS    ns.outrider.test.
outrider.test.             300 IN A     192.0.2.10
outrider.test.             300 IN AAAA  2001:db8::10
outrider.test.             300 IN MX    10 mail.outrider.test.
outrider.test.             300 IN TXT   "v=spf1 mx -all"
outrider.test.             300 IN CAA   0 issue "ca.outrider.test"
ns.outrider.test.          300 IN A     192.0.2.53
mail.outrider.test.        300 IN A     192.0.2.25
sip.outrider.test.         300 IN A     192.0.2.60
_sip._udp.outrider.test.   300 IN SRV   10 5 5060 sip.outrider.test.
www.outrider.test.          60 IN CNAME outrider.test.
2.0.192.in-addr.arpa.     3600 IN SOA   ns.outrider.test. hostmaster.outrider.test. 2026010101 7200 900 1209600 300
10.2.0.192.in-addr.arpa.   300 IN PTR   outrider.test.
"""
LONG_NAME = "long.outrider.test."
"""Has 40 texts, more than a datagram takes: who asks over UDP is told so, and has to ask over TCP."""


def nameserver(line: Line) -> OnBoth:
    answer = _answering()
    return OnBoth(
        lambda: DatagramService(COMPONENT, line, room=_over_udp(answer), kind=lambda _: "udp"),
        lambda: StreamService(COMPONENT, line, ends=ends, open_room=lambda: _over_tcp(answer), kind=lambda _: "tcp"),
    )


def _over_udp(answer: Callable[[Message, bytes, int | None], bytes | None]) -> Room:
    return lambda message: answer(message, message.payload, 512)


def _over_tcp(answer: Callable[[Message, bytes, int | None], bytes | None]) -> Room:
    def room(message: Message) -> bytes | None:
        answered = answer(message, message.payload[2:], None)
        return None if answered is None else framed(answered)

    return room


def _answering() -> Callable[[Message, bytes, int | None], bytes | None]:
    """The room of both wires: the message, the question in it, and the longest answer where the asker gives none."""
    import dns.flags
    import dns.message
    import dns.rcode
    import dns.rrset

    records = _records()

    def answer(message: Message, payload: bytes, most: int | None) -> bytes | None:
        try:
            asked = dns.message.from_wire(payload)
            made = dns.message.make_response(asked, recursion_available=False)
        except Exception:  # the parser has several kinds, and no base of them
            return None  # what is no question gets no answer: its sender may be forged
        if len(asked.question) != 1:
            made.set_rcode(dns.rcode.FORMERR)
            return made.to_wire()
        if fault := message.drawn.take("rcode"):
            made.set_rcode(dns.rcode.from_text(fault.fault.text("code")))
        else:
            _fill(made, records)
        if message.drawn.take("wrong_id"):
            made.id ^= 1
        if most is not None:
            most = max(most, asked.payload if asked.edns >= 0 else 0)
            if len(made.to_wire(max_size=65_535)) > most:
                made.answer.clear()
                made.flags |= dns.flags.TC
        return made.to_wire(max_size=65_535)

    return answer


def _records() -> dict[tuple[str, str], list[object]]:
    """Name and type -> the sets of records that answer such a question, aliases first."""
    import dns.rrset

    found: dict[tuple[str, str], list[object]] = {}
    for row in RECORDS.strip().splitlines():
        name, ttl, _, kind, value = row.split(maxsplit=4)
        found[name, kind] = [dns.rrset.from_text(name, int(ttl), "IN", kind, value)]
    texts = [f'"line {number} of a text that is too long for a datagram"' for number in range(40)]
    found[LONG_NAME, "TXT"] = [dns.rrset.from_text_list(LONG_NAME, 300, "IN", "TXT", texts)]
    return found


def _fill(made: DnsMessage, records: dict[tuple[str, str], list[object]]) -> None:
    """The answer's records, or its rcode."""
    import dns.flags
    import dns.rcode

    (question,) = made.question
    name, kind = str(question.name).lower(), question.rdtype.name
    if not any(name == zone or name.endswith(f".{zone}") for zone in ZONES):
        made.set_rcode(dns.rcode.REFUSED)
        return
    made.flags |= dns.flags.AA
    alias = records.get((name, "CNAME"), []) if kind != "CNAME" else []
    target = str(alias[0][0]) if alias else name  # type: ignore[index]
    made.answer.extend([*alias, *records.get((target, kind), [])])  # type: ignore[list-item]
    if not any(known == name for known, _ in records):
        made.set_rcode(dns.rcode.NXDOMAIN)
