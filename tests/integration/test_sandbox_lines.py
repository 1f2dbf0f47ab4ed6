"""The probes of the second site and the support lines against the sandbox's services, with and without faults."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polling_support import until
from probe_support import meaning, observe
from sandbox_support import Sandbox, running

from outrider.codecs.dns import question
from outrider.commands import sandbox as sandbox_command
from outrider.core.outcome import Observation
from outrider.core.outcome import OutcomeClass as C
from outrider.core.units import MILLISECOND
from outrider_sandbox import Settings, serve
from outrider_sandbox.board import Drawn
from outrider_sandbox.clearinghouse.both import OnBoth
from outrider_sandbox.lines.mail import _open_room as open_mail_room
from outrider_sandbox.lines.nameserver import _answering, _over_udp
from outrider_sandbox.lines.registrar import _answer as registrar_room
from outrider_sandbox.lines.secure import Certificates
from outrider_sandbox.messages import Message
from outrider_sandbox.services import SERVICES

LINES = ("tls", "nameserver", "mail", "sip")
BRIEF = 300 * MILLISECOND
NAMES_OVER_UDP = _over_udp(_answering())


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running(services=dict.fromkeys(LINES, 0)) as sandbox:
        yield sandbox


@pytest.fixture
async def ca_file(sandbox: Sandbox, tmp_path: Path) -> str:
    """The sandbox's authority, as a user would fetch it."""
    reply = await sandbox.get("/ca.pem")
    (tmp_path / "ca.pem").write_bytes(reply.raw)
    return str(tmp_path / "ca.pem")


def over(sandbox: Sandbox, service: str, scheme: str) -> str:
    return f"{scheme}://{sandbox.services[service].partition('://')[2]}"


async def lost_once(sandbox: Sandbox, service: str, asking: Coroutine[Any, Any, Observation]) -> Observation:
    """What is seen where the first answer of a service is lost, and no later one."""
    await sandbox.put_fault("reset", service)
    seeing = asyncio.create_task(asking)

    async def is_lost() -> bool:
        return bool((await sandbox.fault_hits())["one"])

    await until("the first answer is lost", is_lost)
    await sandbox.ask("DELETE", "/faults")
    return await seeing


# --- tls -----------------------------------------------------------------------------------------------------------


async def test_the_certificate_is_verified_and_told(sandbox: Sandbox, ca_file: str) -> None:
    seen = await observe("tls", sandbox.services["tls"], ca_file=ca_file)
    assert seen.findings == ()
    assert seen.facts["certificate"] == ("valid",)
    assert seen.facts["days_to_expiry"] == ("90",)
    assert seen.facts["subject"] == ("CN=localhost,O=Outrider Sandbox",)
    assert seen.facts["issuer"] == ("CN=Outrider Sandbox CA,O=Outrider Sandbox",)
    assert {"localhost", "127.0.0.1", "::1"} <= set(seen.facts["names"])
    assert seen.facts["tls_version"] == ("TLSv1.3",)
    assert meaning(seen).is_ok


@pytest.mark.parametrize(
    ("days", "min_days", "code", "outcome"),
    [
        (14, 14, "valid", C.OK),
        (13, 14, "expires-soon", C.BUSINESS_UNEXPECTED),
        (0, 14, "expires-soon", C.BUSINESS_UNEXPECTED),
        (0, 0, "valid", C.OK),
        (60, 61, "expires-soon", C.BUSINESS_UNEXPECTED),
        (-1, 0, "expired", C.SERVICE_DOWN),
        (-100, 14, "expired", C.SERVICE_DOWN),
    ],
)
async def test_days_that_are_left_are_held_against_the_fewest_also_where_nothing_is_verified(
    sandbox: Sandbox, ca_file: str, days: int, min_days: int, code: str, outcome: C
) -> None:
    await sandbox.put_fault("certificate", "tls", days=days)
    seen = await observe("tls", sandbox.services["tls"], {"min_days": min_days}, verify_tls=False)
    assert seen.facts["certificate"] == (code,)
    assert seen.facts["days_to_expiry"] == (str(days),)
    assert meaning(seen).outcome is outcome
    assert await sandbox.fault_hits() == {"one": 1}
    verified = await observe("tls", sandbox.services["tls"], {"min_days": min_days}, ca_file=ca_file)
    assert meaning(verified).outcome is outcome
    if days < 0:
        assert (meaning(verified).code, meaning(verified).place) == ("certificate", "net/tls")


async def test_an_expiry_that_is_expected_is_ok(sandbox: Sandbox) -> None:
    await sandbox.put_fault("certificate", "tls", days=3)
    seen = await observe("tls", sandbox.services["tls"], verify_tls=False)
    assert meaning(seen, certificate="expires-soon").is_ok
    assert meaning(seen, certificate="valid").outcome is C.BUSINESS_UNEXPECTED


async def test_a_certificate_for_another_name_or_of_nobody_we_trust_is_down(sandbox: Sandbox, ca_file: str) -> None:
    url = sandbox.services["tls"]
    other = await observe("tls", url, {"server_name": "elsewhere.example"}, ca_file=ca_file)
    unknown = await observe("tls", url)
    for seen in (other, unknown):
        assert (meaning(seen).outcome, meaning(seen).code) == (C.SERVICE_DOWN, "certificate")
    known = await observe("tls", url, {"server_name": "sip.outrider.test"}, ca_file=ca_file)
    assert meaning(known).is_ok
    assert meaning(await observe("tls", url.replace("tls://", "https://"), ca_file=ca_file)).is_ok


@pytest.mark.parametrize(
    ("kind", "more", "codes", "places"),
    [
        ("hang", {}, {"timeout"}, {"net/tls"}),
        ("delay", {"ms": 60_000}, {"timeout"}, {"net/tls"}),
        ("reset", {}, {"reset"}, {"net/tls"}),
        ("truncate", {}, {"reset", "closed"}, {"net/tls"}),
        ("html", {}, {"handshake", "reset"}, {"net/tls"}),
    ],
)
async def test_a_handshake_that_a_fault_hits_is_down(
    sandbox: Sandbox, kind: str, more: dict[str, Any], codes: set[str], places: set[str]
) -> None:
    await sandbox.put_fault(kind, "tls", **more)
    said = meaning(await observe("tls", sandbox.services["tls"], verify_tls=False, timeout=BRIEF))
    assert said.outcome is C.SERVICE_DOWN
    assert said.code in codes
    assert said.place in places
    assert await sandbox.fault_hits() == {"one": 1}


async def test_lines_come_back_over_tls_and_both_are_counted(sandbox: Sandbox, ca_file: str) -> None:
    url = sandbox.services["tls"]
    seen = await observe("tcp", url, {"send": "hello\n", "contains": "hello"}, ca_file=ca_file)
    assert seen.facts == {"banner": ("hello",)}
    counts = (await sandbox.get("/counts")).json["components"]["tls"]
    assert {kind: each["answered"] for kind, each in counts.items()} == {"handshake": 1, "line": 1}


# --- dns -----------------------------------------------------------------------------------------------------------

ANSWERS = [
    ("outrider.test", "A", "192.0.2.10"),
    ("OutRider.Test.", "A", "192.0.2.10"),
    ("outrider.test", "AAAA", "2001:db8::10"),
    ("outrider.test", "MX", "10 mail.outrider.test."),
    ("outrider.test", "TXT", "v=spf1 mx -all"),
    ("outrider.test", "NS", "ns.outrider.test."),
    ("outrider.test", "SOA", "ns.outrider.test. hostmaster.outrider.test. 2026010101 7200 900 1209600 300"),
    ("outrider.test", "CAA", '0 issue "ca.outrider.test"'),
    ("_sip._udp.outrider.test", "SRV", "10 5 5060 sip.outrider.test."),
    ("www.outrider.test", "A", "192.0.2.10"),
    ("www.outrider.test", "CNAME", "outrider.test."),
    ("10.2.0.192.in-addr.arpa", "PTR", "outrider.test."),
    ("192.0.2.10", "PTR", "outrider.test."),
]


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
async def test_each_type_of_record_is_asked_for_and_read(sandbox: Sandbox, scheme: str) -> None:
    for name, kind, value in ANSWERS:
        seen = await observe("dns", over(sandbox, "nameserver", scheme), {"name": name, "type": kind})
        assert (seen.findings, seen.facts["answer"]) == ((), (value,)), (name, kind)
        assert (seen.facts["dns"], seen.facts["count"]) == (("NOERROR",), ("1",))
        assert "aa" in seen.facts["flags"]
        assert int(seen.facts["ttl"][0]) > 0
    seen = await observe("dns", over(sandbox, "nameserver", scheme), {"name": "www.outrider.test"})
    assert seen.facts["cname"] == ("outrider.test.",)


@pytest.mark.parametrize(
    ("name", "kind", "code", "outcome"),
    [
        ("nobody.outrider.test", "A", "NXDOMAIN", C.BUSINESS_UNEXPECTED),
        ("outrider.test", "SRV", "no-data", C.BUSINESS_UNEXPECTED),
        ("elsewhere.example", "A", "REFUSED", C.PROBE_FAULT),
    ],
)
async def test_an_answer_without_a_record_is_told_by_its_code_and_can_be_expected(
    sandbox: Sandbox, name: str, kind: str, code: str, outcome: C
) -> None:
    seen = await observe("dns", sandbox.services["nameserver"], {"name": name, "type": kind})
    assert (meaning(seen).outcome, meaning(seen).code) == (outcome, code)
    assert meaning(seen, dns=code).is_ok


async def test_a_name_that_is_found_where_none_should_be_is_unexpected(sandbox: Sandbox) -> None:
    seen = await observe("dns", sandbox.services["nameserver"], {"name": "outrider.test"})
    assert (meaning(seen, dns="NXDOMAIN").outcome, meaning(seen, dns="NXDOMAIN").place) == (
        C.BUSINESS_UNEXPECTED,
        "expect/dns",
    )


async def test_an_answer_too_long_for_a_datagram_has_to_be_asked_for_over_tcp(sandbox: Sandbox) -> None:
    request = {"name": "long.outrider.test", "type": "TXT"}
    short = await observe("dns", over(sandbox, "nameserver", "udp"), request)
    assert (meaning(short).outcome, meaning(short).code, meaning(short).place) == (C.PROBE_FAULT, "tc", "flags/tc")
    assert "tcp://" in meaning(short).detail
    whole = await observe("dns", over(sandbox, "nameserver", "tcp"), request)
    assert meaning(whole).is_ok
    assert whole.facts["count"] == ("40",)


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("SERVFAIL", C.SERVICE_DOWN),
        ("NXDOMAIN", C.BUSINESS_UNEXPECTED),
        ("REFUSED", C.PROBE_FAULT),
        ("NOTAUTH", C.PROBE_FAULT),
        ("FORMERR", C.PROBE_FAULT),
        ("NOTIMP", C.PROBE_FAULT),
    ],
)
async def test_an_rcode_is_classified(sandbox: Sandbox, scheme: str, code: str, outcome: C) -> None:
    await sandbox.put_fault("rcode", "nameserver", code=code)
    said = meaning(await observe("dns", over(sandbox, "nameserver", scheme), {"name": "outrider.test"}))
    assert (said.outcome, said.code, said.place) == (outcome, code, "dns/rcode")


async def test_an_answer_to_another_question_is_passed_over_on_udp_and_malformed_on_tcp(sandbox: Sandbox) -> None:
    await sandbox.put_fault("wrong_id", "nameserver")
    request = {"name": "outrider.test"}
    udp = meaning(await observe("dns", over(sandbox, "nameserver", "udp"), request, timeout=BRIEF))
    assert (udp.outcome, udp.code, udp.place) == (C.SERVICE_DOWN, "timeout", "net/wait")
    tcp = meaning(await observe("dns", over(sandbox, "nameserver", "tcp"), request))
    assert (tcp.outcome, tcp.code, tcp.place) == (C.MALFORMED, "mismatch", "echo/dns")


async def test_a_lost_answer_is_asked_for_again_after_a_second(sandbox: Sandbox) -> None:
    asking = observe("dns", over(sandbox, "nameserver", "udp"), {"name": "outrider.test"})
    assert meaning(await lost_once(sandbox, "nameserver", asking)).is_ok
    counts = (await sandbox.get("/counts")).json["components"]["nameserver"]["udp"]
    assert counts["received"] == 2


@pytest.mark.parametrize(
    ("kind", "code", "place"),
    [
        ("hang", "timeout", "net/wait"),
        ("reset", "reset", "net/wait"),
        ("truncate", "truncated", "net/receive"),
        ("html", "truncated", "net/receive"),  # "HT" is a length, which never comes
    ],
)
async def test_a_name_server_that_a_fault_hits_over_tcp_is_down(
    sandbox: Sandbox, kind: str, code: str, place: str
) -> None:
    await sandbox.put_fault(kind, "nameserver")
    url = over(sandbox, "nameserver", "tcp")
    said = meaning(await observe("dns", url, {"name": "outrider.test"}, timeout=BRIEF))
    assert said.outcome is C.SERVICE_DOWN
    assert (said.code, said.place) in {(code, place), ("timeout", "net/receive")}


# --- smtp ----------------------------------------------------------------------------------------------------------


async def test_a_mail_host_greets_and_says_what_it_knows(sandbox: Sandbox) -> None:
    seen = await observe("smtp", sandbox.services["mail"], {"ehlo": "probe.outrider.test"})
    assert meaning(seen).is_ok
    assert seen.facts == {
        "smtp": ("220", "250"),
        "banner": ("mail.outrider.test ESMTP Outrider sandbox",),
        "host": ("mail.outrider.test",),
        "extensions": ("PIPELINING", "SIZE", "STARTTLS", "8BITMIME"),
    }
    counts = (await sandbox.get("/counts")).json["components"]["mail"]
    assert {kind: each["answered"] for kind, each in counts.items() if kind != "quit"} == {"banner": 1, "ehlo": 1}


async def test_a_mail_host_goes_over_to_tls_with_a_certificate_that_holds(sandbox: Sandbox, ca_file: str) -> None:
    seen = await observe("smtp", sandbox.services["mail"], {"starttls": True}, ca_file=ca_file)
    assert meaning(seen).is_ok
    assert seen.facts["smtp"] == ("220", "250", "220", "250")
    assert seen.facts["extensions"] == ("PIPELINING", "SIZE", "8BITMIME")  # of the second EHLO
    assert (seen.facts["certificate"], seen.facts["days_to_expiry"]) == (("valid",), ("90",))


async def test_a_mail_hosts_certificate_is_held_to_its_days_and_its_trust(sandbox: Sandbox, ca_file: str) -> None:
    url = sandbox.services["mail"]
    untrusted = meaning(await observe("smtp", url, {"starttls": True}))
    assert (untrusted.outcome, untrusted.place) == (C.SERVICE_DOWN, "net/tls")
    await sandbox.put_fault("certificate", "mail", days=5)
    old = meaning(await observe("smtp", url, {"starttls": True}, ca_file=ca_file))
    assert (old.outcome, old.code, old.place) == (C.BUSINESS_UNEXPECTED, "expires-soon", "certificate/days")


SMTP_CODES = [
    ("banner", 421, C.SERVICE_DOWN),
    ("banner", 450, C.SERVICE_DOWN),
    ("banner", 554, C.PROBE_FAULT),
    ("banner", 500, C.MALFORMED),
    ("ehlo", 421, C.SERVICE_DOWN),
    ("ehlo", 501, C.PROBE_FAULT),
    ("ehlo", 502, C.MALFORMED),
    ("ehlo", 504, C.PROBE_FAULT),
    ("ehlo", 550, C.PROBE_FAULT),
    ("starttls", 454, C.SERVICE_DOWN),
    ("starttls", 501, C.PROBE_FAULT),
    ("starttls", 502, C.SERVICE_DOWN),
]


@pytest.mark.parametrize(("step", "code", "outcome"), SMTP_CODES)
async def test_a_reply_of_the_mail_host_is_classified_by_its_step(
    sandbox: Sandbox, step: str, code: int, outcome: C
) -> None:
    await sandbox.put_fault("smtp", "mail", step=step, code=code)
    seen = await observe("smtp", sandbox.services["mail"], {"starttls": True}, verify_tls=False)
    said = meaning(seen)
    assert (said.outcome, said.code, said.place) == (outcome, str(code), f"smtp/{step}")
    assert meaning(seen, smtp=str(code)).is_ok


async def test_a_host_that_no_longer_offers_tls_is_down_for_who_needs_it(sandbox: Sandbox) -> None:
    await sandbox.put_fault("no_starttls", "mail")
    said = meaning(await observe("smtp", sandbox.services["mail"], {"starttls": True}, verify_tls=False))
    assert (said.outcome, said.code, said.place) == (C.SERVICE_DOWN, "not-offered", "smtp/starttls")
    assert meaning(await observe("smtp", sandbox.services["mail"])).is_ok


@pytest.mark.parametrize(
    ("kind", "code", "place", "outcome"),
    [
        ("hang", "timeout", "net/wait", C.SERVICE_DOWN),
        ("reset", "reset", "net/wait", C.SERVICE_DOWN),
        ("truncate", "truncated", "net/receive", C.SERVICE_DOWN),
        ("html", "not-smtp", "body/frame", C.MALFORMED),
    ],
)
async def test_a_mail_host_that_a_fault_hits_is_told_as_any_other(
    sandbox: Sandbox, kind: str, code: str, place: str, outcome: C
) -> None:
    await sandbox.put_fault(kind, "mail")
    said = meaning(await observe("smtp", sandbox.services["mail"], timeout=BRIEF))
    assert (said.outcome, said.code, said.place) == (outcome, code, place)


async def test_the_mail_host_takes_no_mail(sandbox: Sandbox) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sandbox.services["mail"].rpartition(":")[2]))
    asked = [b"HELO x", b"MAIL FROM:<a@b>", b"NOOP", b"EHLO", b"STARTTLS x", b"QUIT"]
    writer.write(b"\r\n".join([*asked[:4], b""]))
    said = [await asyncio.wait_for(reader.readline(), 5) for _ in range(5)]
    assert [line[:3] for line in said] == [b"220", b"250", b"502", b"250", b"501"]
    writer.close()
    await writer.wait_closed()


async def test_what_is_said_in_clear_behind_starttls_is_forgotten(sandbox: Sandbox, ca_file: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sandbox.services["mail"].rpartition(":")[2]))
    writer.write(b"STARTTLS\r\nNOOP\r\n")
    assert [(await asyncio.wait_for(reader.readline(), 5))[:3] for _ in range(2)] == [b"220", b"220"]
    context = ssl.create_default_context(cafile=ca_file)
    await asyncio.wait_for(writer.start_tls(context, server_hostname="mail.outrider.test"), 5)
    writer.write(b"HELO x\r\n")
    assert await asyncio.wait_for(reader.readline(), 5) == b"250 mail.outrider.test\r\n"  # and not NOOP's answer
    writer.close()
    await writer.wait_closed()


# --- sip -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
async def test_a_line_that_would_take_a_call_is_ok(sandbox: Sandbox, scheme: str) -> None:
    for uri in ("sip:support@sip.outrider.test", "sip:sip.outrider.test", None):
        seen = await observe("sip", over(sandbox, "sip", scheme), {} if uri is None else {"uri": uri})
        assert seen.findings == ()
        assert seen.facts["sip"] == ("200",)
        assert (seen.facts["server"], seen.facts["allow"]) == (("Outrider sandbox",), ("OPTIONS",))


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
@pytest.mark.parametrize(("line", "code"), [("busy", "486"), ("away", "480"), ("nobody", "404")])
async def test_a_line_that_would_not_is_unexpected_unless_it_is_expected(
    sandbox: Sandbox, scheme: str, line: str, code: str
) -> None:
    seen = await observe("sip", over(sandbox, "sip", scheme), {"uri": f"sip:{line}@sip.outrider.test"})
    said = meaning(seen)
    assert (said.outcome, said.code, said.place) == (C.BUSINESS_UNEXPECTED, code, "sip/response")
    assert meaning(seen, sip=code).is_ok


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (302, C.BUSINESS_UNEXPECTED),
        (400, C.PROBE_FAULT),
        (401, C.PROBE_FAULT),
        (403, C.PROBE_FAULT),
        (405, C.PROBE_FAULT),
        (407, C.PROBE_FAULT),
        (408, C.SERVICE_DOWN),
        (410, C.BUSINESS_UNEXPECTED),
        (488, C.BUSINESS_UNEXPECTED),
        (500, C.SERVICE_DOWN),
        (503, C.SERVICE_DOWN),
        (505, C.PROBE_FAULT),
        (600, C.BUSINESS_UNEXPECTED),
        (603, C.BUSINESS_UNEXPECTED),
    ],
)
async def test_a_status_of_sip_is_classified(sandbox: Sandbox, status: int, outcome: C) -> None:
    await sandbox.put_fault("sip", "sip", status=status)
    said = meaning(await observe("sip", sandbox.services["sip"]))
    assert (said.outcome, said.code) == (outcome, str(status))


async def test_a_response_to_another_call_is_passed_over_on_udp_and_malformed_on_tcp(sandbox: Sandbox) -> None:
    await sandbox.put_fault("wrong_id", "sip")
    udp = meaning(await observe("sip", over(sandbox, "sip", "udp"), timeout=BRIEF))
    assert (udp.outcome, udp.code) == (C.SERVICE_DOWN, "timeout")
    tcp = meaning(await observe("sip", over(sandbox, "sip", "tcp")))
    assert (tcp.outcome, tcp.code, tcp.place) == (C.MALFORMED, "mismatch", "echo/sip")


async def test_a_request_that_was_lost_goes_out_again_after_t1(sandbox: Sandbox) -> None:
    assert meaning(await lost_once(sandbox, "sip", observe("sip", over(sandbox, "sip", "udp")))).is_ok
    assert (await sandbox.get("/counts")).json["components"]["sip"]["options"]["received"] >= 2


@pytest.mark.parametrize(
    ("kind", "code", "outcome"),
    [
        ("hang", "timeout", C.SERVICE_DOWN),
        ("reset", "reset", C.SERVICE_DOWN),
        ("truncate", "truncated", C.SERVICE_DOWN),
        ("html", "no-length", C.MALFORMED),
    ],
)
async def test_a_sip_host_that_a_fault_hits_over_tcp_is_told_as_any_other(
    sandbox: Sandbox, kind: str, code: str, outcome: C
) -> None:
    await sandbox.put_fault(kind, "sip")
    said = meaning(await observe("sip", over(sandbox, "sip", "tcp"), timeout=BRIEF))
    assert (said.outcome, said.code) == (outcome, code)


# --- the services themselves ---------------------------------------------------------------------------------------


async def test_what_is_no_question_gets_no_answer(sandbox: Sandbox) -> None:
    for kind, service in (("dns", "sip"), ("sip", "nameserver")):
        request = {"name": "outrider.test"} if kind == "dns" else {}
        said = meaning(await observe(kind, over(sandbox, service, "udp"), request, timeout=BRIEF))
        assert (said.outcome, said.code) == (C.SERVICE_DOWN, "timeout")


@pytest.mark.parametrize("fault", [("certificate", "sip"), ("rcode", "mail"), ("smtp", "nameserver"), ("sip", "tls")])
async def test_a_fault_is_only_for_the_service_that_speaks_so(sandbox: Sandbox, fault: tuple[str, str]) -> None:
    kind, component = fault
    reply = await sandbox.ask("PUT", "/faults/one", json={"kind": kind, "component": component})
    assert (reply.http, reply.json["error"]["field"]) == (400, "component")


async def test_they_serve_over_ipv6_as_well(tmp_path: Path) -> None:
    async with running(host="::1", services=dict.fromkeys(LINES, 0)) as sandbox:
        (tmp_path / "ca.pem").write_bytes((await sandbox.get("/ca.pem")).raw)
        requests: dict[str, dict[str, Any]] = {
            "tls": {}, "dns": {"name": "outrider.test"}, "smtp": {"starttls": True}, "sip": {},
        }  # fmt: skip
        for (kind, request), service in zip(requests.items(), LINES, strict=True):
            url = sandbox.services[service]
            assert "[::1]" in url
            assert meaning(await observe(kind, url, request, ca_file=str(tmp_path / "ca.pem"))).is_ok, kind


async def test_a_service_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no 'pager'; known: "):
        await serve(Settings(port=0, services={"pager": 0}), stop=asyncio.Event(), ready=lambda _: None)
    assert set(LINES) <= set(SERVICES)


async def test_a_port_of_both_wires_that_is_taken_on_one_is_told(sandbox: Sandbox) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            await serve(Settings(port=0, services={"sip": port}), stop=asyncio.Event(), ready=lambda _: None)


async def test_a_free_port_is_looked_for_until_both_wires_have_it() -> None:
    class Datagrams:
        closed = 0

        async def start(self, host: str, port: int) -> str:
            return f"udp://{host}:{ports.pop(0)}"

        async def close(self) -> None:
            Datagrams.closed += 1

    class Streams(Datagrams):
        async def start(self, host: str, port: int) -> str:
            if port == 1:
                raise OSError(98, "Address already in use")
            return ""

    ports = [1, 1, 2]
    made: Any = OnBoth(Datagrams, Streams)  # type: ignore[arg-type]
    assert await made.start("127.0.0.1", 0) == "udp://127.0.0.1:2"
    assert Datagrams.closed == 4


async def test_without_its_library_a_service_is_left_out_or_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("outrider.codecs.extras.find_spec", lambda name: None)
    chosen = sandbox_command._services("all", logging.getLogger("outrider"))
    assert "sip" in chosen
    assert not {"switch", "tls", "mail", "nameserver"} & chosen.keys()
    assert "without the service nameserver: the service nameserver needs dnspython; pip install" in caplog.text
    with pytest.raises(ValueError, match=r"mail: the service mail needs cryptography; pip install 'outrider\[tls\]'"):
        sandbox_command._services("mail=2525", logging.getLogger("outrider"))
    with pytest.raises(ValueError, match="services: the service tls needs cryptography"):
        await serve(Settings(port=0, services={"tls": 0}), stop=asyncio.Event(), ready=lambda _: None)


async def test_without_its_library_there_is_no_authority(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "outrider_sandbox.lines.certificates", None)
    reply = await sandbox.get("/ca.pem")
    assert (reply.http, reply.json["error"]["code"]) == (404, "no_authority")


def test_a_certificate_is_made_anew_before_its_days_are_fewer_than_was_said() -> None:
    now = [datetime(2026, 6, 1, tzinfo=UTC)]
    certificates = Certificates(lambda: now[0], "127.0.0.1")
    first = certificates.lasting(3)
    now[0] += timedelta(minutes=59)
    assert certificates.lasting(3) is first
    assert certificates.lasting(4) is not first
    now[0] += timedelta(minutes=2)
    assert certificates.lasting(3) is not first
    assert len({id(certificates.lasting(days)) for days in range(40)}) > 1
    assert len(certificates._contexts) <= 16


PIECES = [
    b"OPTIONS sip:a@b SIP/2.0\r\n", b"Via: x\r\n", b"To: \x01\t\r\n", b"\r\n", b"EHLO ", b"STARTTLS", b"QUIT", b"\xff",
    question("outrider.test", "A", 7), question("www.outrider.test", "TXT", 7)[:20], b"\0" * 12,
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=6))
@settings(max_examples=200, deadline=None)
def test_whatever_is_said_the_services_answer_or_keep_silent(pieces: list[bytes]) -> None:
    said = b"".join(pieces)
    drawn = Drawn([], Counter())
    for room in (registrar_room, open_mail_room(), NAMES_OVER_UDP):
        answer = room(Message(said, drawn))
        assert answer is None or isinstance(answer, bytes)
