"""The `smtp` probe: does a mail host greet, and know EHLO? With `starttls: true`, also over TLS. It never sends mail.

The conversation: the banner (220), EHLO (250), and with `starttls` STARTTLS (220), a handshake, and EHLO again; then
QUIT, whose answer nobody waits for.

Facts: `smtp` (every code, in order), `banner`, `host` (the name that EHLO's reply gives), `extensions` (what the last
EHLO offers); over TLS, those of `outrider.probes.certificate`.

Findings: a code that is another one, at `smtp/banner`, `smtp/ehlo` or `smtp/starttls`; `not-offered` at the
last.

Source: RFC 5321, RFC 3207, RFC 8314 (TLS from the start, on 465).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from outrider.codecs.extras import require
from outrider.codecs.smtp import Reply, check_client, ends, read_reply
from outrider.core.outcome import Finding, Observation
from outrider.probes import Generate, Prepared, Target, endpoint
from outrider.probes.certificate import MIN_DAYS, look_at
from outrider.probes.tls import check_days, check_name
from outrider.transport import StreamReply, StreamRequest, Turn

_STEPS = (("banner", 220), ("ehlo", 250), ("starttls", 220), ("ehlo", 250))


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a step may say: how the client calls itself (a name that resolves to it, where the host is strict), whether
    the conversation goes on over TLS, and what `outrider.probes.tls` has."""

    ehlo: str = "outrider.invalid"
    starttls: bool = False
    min_days: int = MIN_DAYS
    server_name: str | None = None


class SmtpProbe:
    """See `outrider.probes.Probe`."""

    schemes: Mapping[str, int] = {"tcp": 25, "tls": 465}

    def check(self, request: Mapping[str, Any]) -> None:
        read = msgspec.convert(request, Request)
        check_days(read.min_days)
        if read.server_name is not None and "${" not in read.server_name:
            check_name(read.server_name)
        if "${" not in read.ehlo:
            _check_client(read.ehlo)

    def prepare(self, request: Mapping[str, Any], target: Target, generate: Generate) -> Prepared[StreamRequest]:
        wanted = msgspec.convert(request, Request)
        _check_client(wanted.ehlo)
        where = endpoint(target, self.schemes)
        if where.scheme == "tls" and wanted.starttls:
            raise ValueError("starttls goes to a target of tcp://; one of tls:// speaks TLS already")
        if where.scheme == "tls" or wanted.starttls:
            require("tls", "the smtp probe over TLS")
        stream = StreamRequest(
            where.host,
            where.port,
            tuple(_turns(f"EHLO {wanted.ehlo}\r\n".encode(), with_tls=wanted.starttls)),
            tls=where.scheme == "tls",
            ca_file=target.ca_file,
            verify_tls=target.verify_tls,
            server_name=wanted.server_name,
        )
        sent = {"min_days": str(wanted.min_days), "now": generate("now")}
        return Prepared(stream, sent | ({"starttls": "true"} if wanted.starttls else {}))

    def read(self, prepared: Prepared[StreamRequest], reply: StreamReply) -> Observation:
        replies = [read_reply(answer) for answer in reply.answers]
        facts: dict[str, tuple[str, ...]] = {"smtp": tuple(str(each.code) for each in replies)}
        facts["banner"] = (replies[0].text,)
        for (step, _), each in zip(_STEPS, replies, strict=False):
            if step == "ehlo":
                facts |= {"host": tuple(each.lines[0].split()[:1]), "extensions": each.extensions}
        findings = tuple(_findings(replies, wants_tls="starttls" in prepared.sent))
        if reply.tls is None or findings:
            return Observation(findings, facts)
        seen = look_at(reply.tls, prepared.sent["now"], int(prepared.sent["min_days"]))
        return Observation(seen.findings, {**facts, **seen.facts})


def _turns(ehlo: bytes, *, with_tls: bool) -> Iterator[Turn]:
    yield Turn(b"", ends, _says(220))
    yield Turn(ehlo, ends, _offers_tls if with_tls else _says(250))
    if with_tls:
        yield Turn(b"STARTTLS\r\n", ends, _says(220), then_tls=True)
        yield Turn(ehlo, ends)
    yield Turn(b"QUIT\r\n")


def _says(code: int) -> Callable[[bytes], bool]:
    return lambda answer: read_reply(answer).code == code


def _offers_tls(answer: bytes) -> bool:
    reply = read_reply(answer)
    return reply.code == 250 and "STARTTLS" in reply.extensions


def _findings(replies: list[Reply], *, wants_tls: bool) -> Iterator[Finding]:
    for (step, code), each in zip(_STEPS, replies, strict=False):
        if each.code != code:
            yield Finding(str(each.code), f"smtp/{step}", f"{each.code} {each.text}"[:200])
            return
    if wants_tls and len(replies) == 2:
        yield Finding("not-offered", "smtp/starttls", "the host does not offer STARTTLS")


def _check_client(name: str) -> None:
    try:
        check_client(name)
    except ValueError as error:
        raise ValueError(f"{error} - at `$.ehlo`") from None
