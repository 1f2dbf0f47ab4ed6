"""What a name server, a mail host, a SIP host and a certificate say, as the probes read it, without a network."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from outrider.codecs.sip import read_message, write_message
from outrider.core.outcome import Observation
from outrider.core.outcome import OutcomeClass as C
from outrider.probes import Target
from outrider.probes.table import PROBES
from outrider.transport import DatagramReply, StreamReply, TlsPeer
from outrider_sandbox.lines.certificates import Authority

NOW = datetime(2026, 6, 1, 22, 0, 0, tzinfo=UTC)
DRAWN = {"uuid": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "now": "2026-06-01T22:00:00Z"}


@cache
def certificate(days: int, since: int = 1) -> bytes:
    """A certificate, DER, for host.example and 192.0.2.1, from `since` days before NOW to `days` days after it."""
    begin, end = NOW - timedelta(days=since), NOW + timedelta(days=days)
    pem, _ = Authority(NOW, "test-ca").issue(["host.example", "192.0.2.1"], begin, end)
    return ssl.PEM_cert_to_DER_cert(pem.decode())


def prepared(kind: str, url: str, **request: Any) -> Any:
    return PROBES[kind].prepare(request, Target("line", url, verify_tls=False), DRAWN.__getitem__)


def tls_seen(der: bytes, min_days: int = 14) -> Observation:
    asked = prepared("tls", "tls://host.example", min_days=min_days)
    return PROBES["tls"].read(asked, StreamReply((), TlsPeer(der, "TLSv1.3", "TLS_AES_256_GCM_SHA384")))


def dns_answer(asked: bytes, rcode: str = "NOERROR", records: Sequence[str] = (), *, cut: bool = False) -> bytes:
    """The answer to a question; each record is "name TTL IN type value"."""
    made = dns.message.make_response(dns.message.from_wire(asked))
    made.set_rcode(dns.rcode.from_text(rcode))
    made.flags |= dns.flags.TC if cut else 0
    for record in records:
        name, ttl, _, kind, value = record.split(maxsplit=4)
        made.answer.append(dns.rrset.from_text(name, int(ttl), "IN", kind, value))
    return made.to_wire(max_size=65_535)


def dns_seen(rcode: str = "NOERROR", records: Sequence[str] = (), *, cut: bool = False, kind: str = "A") -> Observation:
    asked = prepared("dns", "udp://192.0.2.53", name="host.example", type=kind)
    return PROBES["dns"].read(asked, DatagramReply(dns_answer(asked.request.payload, rcode, records, cut=cut)))


def smtp_seen(*replies: str, starttls: bool = False, der: bytes | None = None) -> Observation:
    asked = prepared("smtp", "tcp://mail.example", starttls=starttls)
    peer = None if der is None else TlsPeer(der, "TLSv1.3", "TLS_AES_256_GCM_SHA384")
    return PROBES["smtp"].read(asked, StreamReply(tuple(each.encode() for each in replies), peer))


def sip_response(request: bytes, status: int, reason: str = "Because", **changed: str) -> bytes:
    """The response to a request; `changed` are headers in other words, like call_id="other"."""
    asked = read_message(request)
    headers = {key: value for key, value in asked.headers if key in ("via", "from", "to", "call-id", "cseq")}
    headers |= {key.replace("_", "-"): value for key, value in changed.items()}
    return write_message(f"SIP/2.0 {status} {reason}", list(headers.items()))


def sip_seen(status: int) -> Observation:
    asked = prepared("sip", "udp://sip.example")
    return PROBES["sip"].read(asked, DatagramReply(sip_response(asked.request.payload, status)))


BANNER, HELLO, TLS_HELLO = "220 mail.example\r\n", "250 mail.example\r\n", "250-mail.example\r\n250 STARTTLS\r\n"
RECORD = "host.example. 60 IN A 192.0.2.1"

Row = tuple[str, Callable[[], Observation], C, str, str, dict[str, str]]


def rows() -> Iterator[Row]:
    """What came back, what it means, with place and code, and what was expected: for each row of the outcome table."""
    days = "certificate/days"
    yield "a certificate that holds", lambda: tls_seen(certificate(90)), C.OK, "", "", {}
    yield "few days left", lambda: tls_seen(certificate(13)), C.BUSINESS_UNEXPECTED, days, "expires-soon", {}
    yield "expired", lambda: tls_seen(certificate(0)), C.SERVICE_DOWN, days, "expired", {}
    yield "not yet valid", lambda: tls_seen(certificate(90, -1)), C.SERVICE_DOWN, days, "not-yet-valid", {}
    yield "no certificate", lambda: tls_seen(b"0"), C.MALFORMED, "body/certificate", "unreadable", {}
    yield "an address", lambda: dns_seen(records=[RECORD]), C.OK, "", "", {"answer": "192.0.2.1"}
    yield "no address", dns_seen, C.BUSINESS_UNEXPECTED, "dns/answer", "no-data", {}
    yield "too long", lambda: dns_seen(cut=True), C.PROBE_FAULT, "flags/tc", "tc", {}
    yield "not found, as expected", lambda: dns_seen("NXDOMAIN"), C.OK, "", "", {"dns": "NXDOMAIN"}
    for rcode, outcome in RCODES.items():
        yield f"rcode {rcode}", lambda rcode=rcode: dns_seen(rcode), outcome, "dns/rcode", rcode, {}  # type: ignore[misc]
    yield "a greeting", lambda: smtp_seen(BANNER, HELLO), C.OK, "", "", {"host": "mail.example"}
    for step, code, outcome in SMTP:
        yield f"smtp {step} {code}", lambda step=step, code=code: smtp_at(step, code), outcome, f"smtp/{step}", code, {}  # type: ignore[misc]
    yield "200 to OPTIONS", lambda: sip_seen(200), C.OK, "", "", {"sip": "200"}
    for status, outcome in SIP.items():
        yield f"sip {status}", lambda status=status: sip_seen(status), outcome, "sip/response", str(status), {}  # type: ignore[misc]


RCODES = {
    "SERVFAIL": C.SERVICE_DOWN, "NXDOMAIN": C.BUSINESS_UNEXPECTED, "REFUSED": C.PROBE_FAULT, "NOTAUTH": C.PROBE_FAULT,
    "FORMERR": C.PROBE_FAULT, "NOTIMP": C.PROBE_FAULT, "BADVERS": C.PROBE_FAULT, "YXDOMAIN": C.MALFORMED,
}  # fmt: skip
SMTP = (
    ("banner", "421", C.SERVICE_DOWN), ("banner", "554", C.PROBE_FAULT), ("banner", "250", C.MALFORMED),
    ("ehlo", "451", C.SERVICE_DOWN), ("ehlo", "501", C.PROBE_FAULT), ("ehlo", "504", C.PROBE_FAULT),
    ("ehlo", "550", C.PROBE_FAULT), ("ehlo", "502", C.MALFORMED), ("starttls", "454", C.SERVICE_DOWN),
    ("starttls", "501", C.PROBE_FAULT), ("starttls", "502", C.SERVICE_DOWN),
    ("starttls", "not-offered", C.SERVICE_DOWN),
)  # fmt: skip
SIP = {
    301: C.BUSINESS_UNEXPECTED, 400: C.PROBE_FAULT, 401: C.PROBE_FAULT, 404: C.BUSINESS_UNEXPECTED,
    408: C.SERVICE_DOWN, 410: C.BUSINESS_UNEXPECTED, 480: C.BUSINESS_UNEXPECTED, 486: C.BUSINESS_UNEXPECTED,
    488: C.BUSINESS_UNEXPECTED, 500: C.SERVICE_DOWN, 503: C.SERVICE_DOWN, 505: C.PROBE_FAULT, 513: C.PROBE_FAULT,
    600: C.BUSINESS_UNEXPECTED,
}  # fmt: skip


def smtp_at(step: str, code: str) -> Observation:
    """A conversation that ends at this step with this code."""
    if code == "not-offered":
        return smtp_seen(BANNER, HELLO, starttls=True)
    before = {"banner": (), "ehlo": (BANNER,), "starttls": (BANNER, TLS_HELLO)}[step]
    return smtp_seen(*before, f"{code} no\r\n", starttls=True)
