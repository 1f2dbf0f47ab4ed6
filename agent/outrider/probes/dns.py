"""The `dns` probe: one question to one name server, over UDP, TCP or TLS.

Over UDP the question goes out again after 1 s and after 3 s more, and what is no answer to it is passed over. Over TCP
and TLS an answer to another question is `malformed`.

Facts: `dns` (the rcode: NOERROR, NXDOMAIN; and no-data where nothing of the type came), `answer` (each value), `cname`
(aliases on the way), `count`, `ttl` (the least, s), `flags` (aa, tc, rd, ra, ad).

Findings: the rcode at `dns/rcode` where it is not NOERROR; `no-data` at `dns/answer`; `tc` at `flags/tc` where the
answer was too long for a datagram: ask over TCP then.

Source: RFC 1035, RFC 7858 (DNS over TLS).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import msgspec

from outrider.codecs.dns import Answer, DnsError, absolute, ends, framed, is_answer, question, read_answer
from outrider.core.outcome import Finding, Observation
from outrider.core.units import SECOND
from outrider.probes import Generate, Prepared, Target, endpoint
from outrider.probes.tls import check_name
from outrider.transport import DatagramReply, DatagramRequest, StreamReply, StreamRequest, Turn

RESEND = (SECOND, 3 * SECOND)

_Type = Literal["A", "AAAA", "MX", "TXT", "NS", "SOA", "SRV", "CNAME", "PTR", "CAA"]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a step asks: a name and a type, and whether a resolver shall ask others (RD). `server_name` is whom the
    certificate must be for, over TLS, where that is not the target's host."""

    name: str
    type: _Type = "A"
    recursion: bool = True
    server_name: str | None = None


class DnsProbe:
    """See `outrider.probes.Probe`."""

    schemes: Mapping[str, int] = {"udp": 53, "tcp": 53, "tls": 853}

    def check(self, request: Mapping[str, Any]) -> None:
        read = msgspec.convert(request, Request)
        if "${" not in read.name:
            try:
                absolute(read.name, read.type)
            except ValueError as error:
                raise ValueError(f"{error} - at `$.name`") from None
        if read.server_name is not None and "${" not in read.server_name:
            check_name(read.server_name)

    def prepare(
        self, request: Mapping[str, Any], target: Target, generate: Generate
    ) -> Prepared[DatagramRequest | StreamRequest]:
        wanted = msgspec.convert(request, Request)
        where = endpoint(target, self.schemes)
        number = int(generate("uuid")[:4], 16)  # whoever forges an answer has to guess it
        asked = question(wanted.name, wanted.type, number, recursion=wanted.recursion)
        sent = {"question": asked.hex(), "type": wanted.type}
        shown = f"{absolute(wanted.name, wanted.type)} IN {wanted.type}{' +rd' if wanted.recursion else ''}"
        if where.scheme == "udp":
            datagram = DatagramRequest(where.host, where.port, asked, partial(is_answer, asked), RESEND)
            return Prepared(datagram, sent, shown)
        stream = StreamRequest(
            where.host,
            where.port,
            (Turn(framed(asked), ends),),
            tls=where.scheme == "tls",
            ca_file=target.ca_file,
            verify_tls=target.verify_tls,
            server_name=wanted.server_name,
        )
        return Prepared(stream, sent, shown)

    def read(
        self, prepared: Prepared[DatagramRequest | StreamRequest], reply: DatagramReply | StreamReply
    ) -> Observation:
        came = reply.payload if isinstance(reply, DatagramReply) else reply.answers[0][2:]
        if not is_answer(bytes.fromhex(prepared.sent["question"]), came):
            return Observation((Finding("mismatch", "echo/dns", "the answer is to somebody else's question"),))
        try:
            answer = read_answer(came, prepared.sent["type"])
        except DnsError as error:
            return Observation((Finding("unreadable", "body/dns", str(error)),))
        findings = tuple(_findings(answer, prepared.sent["type"]))
        facts = {
            "dns": (answer.rcode, *(finding.code for finding in findings if finding.place == "dns/answer")),
            "answer": answer.values,
            "cname": answer.aliases,
            "count": (str(len(answer.values)),),
            "flags": answer.flags,
        }
        if answer.ttl is not None:
            facts["ttl"] = (str(answer.ttl),)
        return Observation(findings, facts)


def _findings(answer: Answer, rdtype: str) -> list[Finding]:
    if "tc" in answer.flags:
        return [Finding("tc", "flags/tc", "the answer is too long for a datagram; ask at a target of tcp://")]
    if answer.rcode != "NOERROR":
        return [Finding(answer.rcode, "dns/rcode", f"the name server says {answer.rcode}")]
    if not answer.values:
        return [Finding("no-data", "dns/answer", f"the name has no record of type {rdtype}")]
    return []
