"""The probes of the second site and the support lines without a network: what they refuse, send, and read."""

from __future__ import annotations

from typing import Any

import pytest
from line_support import (
    BANNER,
    DRAWN,
    HELLO,
    TLS_HELLO,
    certificate,
    dns_answer,
    dns_seen,
    prepared,
    sip_response,
    smtp_seen,
    tls_seen,
)

from outrider.codecs import extras
from outrider.codecs.dns import framed
from outrider.codecs.extras import MissingExtraError
from outrider.core.outcome import Finding
from outrider.core.units import SECOND
from outrider.probes import Target
from outrider.probes.table import PROBES
from outrider.transport import DatagramReply, DatagramRequest, StreamReply, StreamRequest


@pytest.mark.parametrize(
    ("kind", "request_", "told"),
    [
        ("tls", {"port": 1}, "unknown field `port`"),
        ("tls", {"min_days": -1}, "-1 is not a number of days from 0 to 3650 - at `$.min_days`"),
        ("tls", {"min_days": "14"}, "Expected `int`, got `str` - at `$.min_days`"),
        ("tls", {"server_name": "a b"}, "'a b' is not the name of a host - at `$.server_name`"),
        ("dns", {}, "missing required field `name`"),
        ("dns", {"name": "a..b"}, "'a..b' is not a name of DNS - at `$.name`"),
        ("dns", {"name": "a", "type": "ANY"}, "Invalid enum value 'ANY' - at `$.type`"),
        ("dns", {"name": "a", "server_name": ""}, "'' is not the name of a host - at `$.server_name`"),
        ("smtp", {"ehlo": "a\r\nDATA"}, "is neither the name of a host nor an address in brackets - at `$.ehlo`"),
        ("smtp", {"min_days": 9999}, "9999 is not a number of days from 0 to 3650 - at `$.min_days`"),
        ("smtp", {"mail_from": "a@b"}, "unknown field `mail_from`"),
        ("sip", {"uri": "tel:+1"}, "'tel:+1' is not a SIP URI, such as sip:support@example.com - at `$.uri`"),
        ("sip", {"from_uri": "x"}, "'x' is not a SIP URI, such as sip:support@example.com - at `$.from_uri`"),
        ("sip", {"method": "INVITE"}, "unknown field `method`"),
    ],
)
def test_a_request_that_can_never_be_sent_is_refused_at_load(kind: str, request_: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError) as error:
        PROBES[kind].check(request_)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("kind", "url", "request_"),
    [
        ("tls", "tls://host.example", {"server_name": "${name}"}),
        ("dns", "udp://192.0.2.1", {"name": "${name}"}),
        ("smtp", "tcp://192.0.2.1", {"ehlo": "${name}"}),
        ("sip", "udp://192.0.2.1", {"uri": "sip:${name}@b"}),
        ("sip", "udp://192.0.2.1", {"from_uri": "sip:${name}@b"}),
    ],
)
def test_a_name_that_is_filled_in_later_is_held_to_the_same_rule(kind: str, url: str, request_: dict[str, str]) -> None:
    PROBES[kind].check(request_)
    rendered = {key: value.replace("${name}", "x\r\nInjected: y") for key, value in request_.items()}
    with pytest.raises(ValueError, match=r"is not|is neither"):
        PROBES[kind].prepare(rendered, Target("line", url), DRAWN.__getitem__)


@pytest.mark.parametrize(
    ("kind", "url", "request_", "address"),
    [
        ("tls", "tls://host.example", {}, ("host.example", 443, True)),
        ("tls", "https://host.example:8443/path", {}, ("host.example", 8443, True)),
        ("dns", "udp://192.0.2.53", {"name": "a"}, ("192.0.2.53", 53, None)),
        ("dns", "tcp://192.0.2.53", {"name": "a"}, ("192.0.2.53", 53, False)),
        ("dns", "tls://[2001:db8::53]", {"name": "a"}, ("2001:db8::53", 853, True)),
        ("smtp", "tcp://mail.example", {}, ("mail.example", 25, False)),
        ("smtp", "tls://mail.example", {}, ("mail.example", 465, True)),
        ("smtp", "tcp://mail.example:587", {"starttls": True}, ("mail.example", 587, False)),
        ("sip", "udp://sip.example", {}, ("sip.example", 5060, None)),
        ("sip", "tcp://sip.example", {}, ("sip.example", 5060, False)),
        ("sip", "tls://sip.example", {}, ("sip.example", 5061, True)),
    ],
)
def test_where_it_goes_is_the_targets_or_the_protocols_own_port(
    kind: str, url: str, request_: dict[str, Any], address: tuple[str, int, bool | None]
) -> None:
    target = Target("line", url, ca_file="ca.pem", verify_tls=True)
    request = PROBES[kind].prepare(request_, target, DRAWN.__getitem__).request
    if isinstance(request, DatagramRequest):
        assert (request.host, request.port, None) == address
    else:
        assert isinstance(request, StreamRequest)
        assert (request.host, request.port, request.tls) == address
        assert (request.ca_file, request.verify_tls) == ("ca.pem", True)


@pytest.mark.parametrize("kind", ["tls", "dns"])
def test_a_probe_without_its_library_says_how_to_install_it(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    request = {"name": "a"} if kind == "dns" else {}
    with pytest.raises(MissingExtraError, match=rf"needs \w+; pip install 'outrider\[{kind}\]'"):
        prepared(kind, "tls://host.example", **request)


def test_a_mail_host_without_tls_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert prepared("smtp", "tcp://mail.example").request.turns
    for url, starttls in (("tls://mail.example", False), ("tcp://mail.example", True)):
        with pytest.raises(MissingExtraError, match=r"the smtp probe over TLS needs cryptography"):
            prepared("smtp", url, starttls=starttls)


# --- tls -----------------------------------------------------------------------------------------------------------


def test_a_certificate_is_told_in_facts() -> None:
    seen = tls_seen(certificate(90))
    assert {fact: values for fact, values in seen.facts.items() if fact != "serial"} == {
        "certificate": ("valid",),
        "days_to_expiry": ("90",),
        "not_before": ("2026-05-31T22:00:00Z",),
        "not_after": ("2026-08-30T22:00:00Z",),
        "subject": ("CN=host.example,O=Outrider Sandbox",),
        "issuer": ("CN=test-ca,O=Outrider Sandbox",),
        "names": ("host.example", "192.0.2.1"),
        "tls_version": ("TLSv1.3",),
        "cipher": ("TLS_AES_256_GCM_SHA384",),
    }


def test_few_days_are_told_with_whose_certificate_it_is_and_when_it_ends() -> None:
    (finding,) = tls_seen(certificate(13)).findings
    assert finding.detail == (
        "the certificate of CN=host.example,O=Outrider Sandbox expires on 2026-06-14, in 13 days; 14 are the least"
    )
    assert tls_seen(certificate(13), min_days=13).findings == ()


def test_a_handshake_that_never_was_is_malformed() -> None:
    seen = PROBES["tls"].read(prepared("tls", "tls://host.example"), StreamReply())
    assert seen.findings == (Finding("missing", "body/certificate", "there was no handshake"),)


# --- dns -----------------------------------------------------------------------------------------------------------


def test_a_question_over_udp_is_sent_again_and_takes_only_its_own_answer() -> None:
    asked = prepared("dns", "udp://192.0.2.53", name="host.example")
    request = asked.request
    assert request.resend == (SECOND, 3 * SECOND)
    assert request.payload[:2] == b"\xf8\x1d"  # of the drawn uuid
    assert request.is_answer(dns_answer(request.payload))
    assert not request.is_answer(request.payload)
    assert asked.shown == "host.example. IN A +rd"


def test_over_tcp_another_id_or_another_question_is_somebody_elses() -> None:
    asked = prepared("dns", "tcp://192.0.2.53", name="host.example")
    (turn,) = asked.request.turns
    good = dns_answer(turn.send[2:], records=["host.example. 60 IN A 192.0.2.1"])
    assert PROBES["dns"].read(asked, StreamReply((framed(good),))).facts["answer"] == ("192.0.2.1",)
    other = prepared("dns", "tcp://192.0.2.53", name="other.example").request.turns[0].send[2:]
    for wrong in (b"\0\0" + good[2:], dns_answer(other), good[:12]):
        (finding,) = PROBES["dns"].read(asked, StreamReply((framed(wrong),))).findings
        assert (finding.code, finding.place) == ("mismatch", "echo/dns")


def test_an_answer_that_breaks_off_is_unreadable() -> None:
    asked = prepared("dns", "udp://192.0.2.53", name="host.example")
    good = dns_answer(asked.request.payload, records=["host.example. 60 IN A 192.0.2.1"])
    (finding,) = PROBES["dns"].read(asked, DatagramReply(good[:-13])).findings
    assert (finding.code, finding.place) == ("unreadable", "body/dns")


def test_facts_of_an_answer_count_only_what_was_asked_for() -> None:
    seen = dns_seen(records=["host.example. 300 IN CNAME b.example.", "b.example. 60 IN A 192.0.2.1"])
    assert seen.facts["count"] == ("1",)
    assert seen.facts["ttl"] == ("60",)
    assert dns_seen(records=["host.example. 300 IN CNAME b.example."]).facts["dns"] == ("NOERROR", "no-data")


# --- smtp ----------------------------------------------------------------------------------------------------------


def test_the_conversation_greets_and_leaves_and_sends_no_mail() -> None:
    plain = prepared("smtp", "tcp://mail.example", ehlo="probe.example").request.turns
    assert [turn.send for turn in plain] == [b"", b"EHLO probe.example\r\n", b"QUIT\r\n"]
    secure = prepared("smtp", "tcp://mail.example", ehlo="probe.example", starttls=True).request.turns
    assert [turn.send for turn in secure] == [
        b"", b"EHLO probe.example\r\n", b"STARTTLS\r\n", b"EHLO probe.example\r\n", b"QUIT\r\n",
    ]  # fmt: skip
    assert [turn.then_tls for turn in secure] == [False, False, True, False, False]


def test_it_goes_on_only_where_the_host_agrees() -> None:
    greeting, hello, start, *_ = prepared("smtp", "tcp://mail.example", starttls=True).request.turns
    assert [greeting.goes_on(said) for said in (b"220 x\r\n", b"554 x\r\n", b"421 x\r\n")] == [True, False, False]
    assert [hello.goes_on(said) for said in (TLS_HELLO.encode(), HELLO.encode(), b"502-x\r\n502 STARTTLS\r\n")] == [
        True, False, False,
    ]  # fmt: skip
    assert [start.goes_on(said) for said in (b"220 go\r\n", b"454 later\r\n")] == [True, False]
    assert prepared("smtp", "tcp://mail.example").request.turns[1].goes_on(HELLO.encode())


def test_tls_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="speaks TLS already"):
        prepared("smtp", "tls://mail.example", starttls=True)


def test_a_certificate_is_looked_at_once_all_went_well() -> None:
    replies = (BANNER, TLS_HELLO, "220 go\r\n", HELLO)
    seen = smtp_seen(*replies, starttls=True, der=certificate(3))
    assert [finding.code for finding in seen.findings] == ["expires-soon"]
    assert seen.facts["days_to_expiry"] == ("3",)
    seen = smtp_seen(*replies[:3], "554 no\r\n", starttls=True, der=certificate(3))
    assert [(finding.code, finding.place) for finding in seen.findings] == [("554", "smtp/ehlo")]


def test_what_a_host_says_is_repeated_within_bounds() -> None:
    (finding,) = smtp_seen(f"554 {'x' * 5000}\r\n").findings
    assert len(finding.detail) == 200
    assert finding.detail.startswith("554 xxx")


# --- sip -----------------------------------------------------------------------------------------------------------


def test_the_request_is_what_the_standard_wants() -> None:
    asked = prepared("sip", "udp://sip.example", uri="sip:support@sip.example", from_uri="sip:probe@here.example")
    uuid = DRAWN["uuid"]
    head, _, body = asked.request.payload.decode().partition("\r\n\r\n")
    assert body == ""
    assert head.split("\r\n")[:-2] == [
        "OPTIONS sip:support@sip.example SIP/2.0",
        f"Via: SIP/2.0/UDP outrider.invalid;branch=z9hG4bK{uuid};rport",
        "Max-Forwards: 70",
        "From: <sip:probe@here.example>;tag=f81d4fae",
        "To: <sip:support@sip.example>",
        f"Call-ID: {uuid}@outrider.invalid",
        "CSeq: 1 OPTIONS",
        "Contact: <sip:probe@here.example>",
        "Accept: application/sdp",
    ]
    assert head.endswith("\r\nContent-Length: 0")


def test_the_host_itself_is_asked_about_where_no_line_is_named() -> None:
    assert prepared("sip", "udp://[2001:db8::1]:5070").request.payload.startswith(
        b"OPTIONS sip:[2001:db8::1]:5070 SIP/2.0\r\nVia: SIP/2.0/UDP "
    )
    assert b"Via: SIP/2.0/TLS " in prepared("sip", "tls://sip.example").request.turns[0].send


def test_it_is_sent_again_at_t1_doubling_up_to_t2_for_64_t1() -> None:
    resend = prepared("sip", "udp://sip.example").request.resend
    assert [wait / SECOND for wait in resend[:5]] == [0.5, 1, 2, 4, 4]
    assert 27.5 <= sum(resend) / SECOND <= 32


def test_over_udp_only_the_final_response_to_this_very_request_is_an_answer() -> None:
    asked = prepared("sip", "udp://sip.example").request
    assert asked.is_answer(sip_response(asked.payload, 200))
    assert asked.is_answer(sip_response(asked.payload, 486))
    wrong = [
        asked.payload,
        b"",
        b"\0\0\0\0",
        sip_response(asked.payload, 100),
        sip_response(asked.payload, 200, call_id="other"),
        sip_response(asked.payload, 200, cseq="2 OPTIONS"),
        sip_response(asked.payload, 200, cseq="1 INVITE"),
        sip_response(asked.payload, 200, via="SIP/2.0/UDP x;branch=z9hG4bKother"),
    ]
    assert [said for said in wrong if asked.is_answer(said)] == []


def test_over_tcp_the_last_message_is_the_answer_and_must_be_ours() -> None:
    asked = prepared("sip", "tcp://sip.example")
    sent = asked.request.turns[0].send
    both = sip_response(sent, 100) + sip_response(sent, 200)
    seen = PROBES["sip"].read(asked, StreamReply((both,)))
    assert (seen.findings, seen.facts["sip"], seen.facts["reason"]) == ((), ("200",), ("Because",))
    for changed in ({"call_id": "other"}, {"cseq": "2 OPTIONS"}, {"via": "SIP/2.0/TCP x"}):
        (finding,) = PROBES["sip"].read(asked, StreamReply((sip_response(sent, 200, **changed),))).findings
        assert (finding.code, finding.place) == ("mismatch", "echo/sip")
    (finding,) = PROBES["sip"].read(asked, StreamReply((b"SIP/2.0 200 OK\r\nbad\r\nl: 0\r\n\r\n",))).findings
    assert (finding.code, finding.place) == ("unreadable", "body/sip")


def test_a_host_that_calls_itself_user_agent_is_its_server() -> None:
    asked = prepared("sip", "udp://sip.example")
    said = sip_response(asked.request.payload, 200, user_agent="PBX 1", allow="INVITE, OPTIONS")
    facts = PROBES["sip"].read(asked, DatagramReply(said)).facts
    assert (facts["server"], facts["allow"], facts["supported"]) == (("PBX 1",), ("INVITE", "OPTIONS"), ())
