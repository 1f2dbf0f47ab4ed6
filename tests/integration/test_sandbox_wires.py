"""POST /core/soap and POST /x12 over real sockets, with requests made by hand as well as by our own codec."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from sandbox_support import Reply, Sandbox, running

from outrider.codecs import core_soap
from outrider.codecs.core_envelope import X12_270, X12_271, Envelope
from outrider.codecs.eligibility import Inquiry, Member, read_response, write_inquiry

ENV = "{http://www.w3.org/2003/05/soap-envelope}"
CORE = "{http://www.caqh.org/SOAP/WSDL/CORERule2.2.0.xsd}"
TRACE = "TRACE-000000017"
PAYLOAD_ID = "0b7a4a3e-6f0e-4f0a-9f67-0d1f6d6c1b11"
INQUIRY = Inquiry(
    sender_id="OUTRIDERAGENT",
    receiver_id="OUTRIDERSANDBOX",
    control_number=17,
    trace=TRACE,
    payer_name="OUTRIDER TEST PAYER",
    payer_id="OUTPAYER01",
    provider_name="OUTRIDER TEST CLINIC",
    provider_npi="1234567893",
    member=Member("OUTRIDER", "TESTONE", "OUT100000001", "19700101", "F"),
    created=datetime(2026, 6, 1, 22, 0, tzinfo=UTC),
    service_date="20260601",
)
X12 = write_inquiry(INQUIRY)
ENVELOPE = Envelope(X12_270, PAYLOAD_ID, "2026-06-01T22:00:00Z", "OUTRIDERAGENT", "OUTRIDERSANDBOX", X12)
SOAP, MESSAGE = core_soap.write(ENVELOPE)

# As somebody else's client would write it.
BY_HAND = f"""<?xml version="1.0" encoding="UTF-8"?>
<S:Envelope xmlns:S="http://www.w3.org/2003/05/soap-envelope">
 <S:Body>
  <c:COREEnvelopeRealTimeRequest xmlns:c="http://www.caqh.org/SOAP/WSDL/CORERule2.2.0.xsd">
   <PayloadType>X12_270_Request_005010X279A1</PayloadType>
   <ProcessingMode>RealTime</ProcessingMode>
   <PayloadID>{PAYLOAD_ID}</PayloadID>
   <TimeStamp>2026-06-01T22:00:00Z</TimeStamp>
   <SenderID>OUTRIDERAGENT</SenderID>
   <ReceiverID>OUTRIDERSANDBOX</ReceiverID>
   <CORERuleVersion>2.2.0</CORERuleVersion>
   <Payload>{X12.decode()}</Payload>
  </c:COREEnvelopeRealTimeRequest>
 </S:Body>
</S:Envelope>""".encode()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


async def post(sandbox: Sandbox, path: str, body: bytes, content_type: str, authorization: str = "") -> Reply:
    headers = {"Content-Type": content_type, "Authorization": authorization}
    return await sandbox.ask("POST", path, data=body, headers=headers)


async def soap(sandbox: Sandbox, body: bytes = MESSAGE, content_type: str = SOAP) -> Reply:
    return await post(sandbox, "/core/soap", body, content_type)


async def plain(
    sandbox: Sandbox, body: bytes = X12, content_type: str = "application/edi-x12", authorization: str = ""
) -> Reply:
    return await post(sandbox, "/x12", body, content_type, authorization)


def fault_code(reply: Reply) -> str | None:
    """Read by the standard library alone: a shared codec would hide shared mistakes."""
    return ElementTree.fromstring(reply.raw).findtext(f"{ENV}Body/{ENV}Fault/{ENV}Code/{ENV}Value")


def fields(reply: Reply) -> dict[str, str]:
    (answer,) = ElementTree.fromstring(reply.raw).findall(f"{ENV}Body/{CORE}COREEnvelopeRealTimeResponse")
    return {child.tag: child.text or "" for child in answer}


@pytest.mark.parametrize("body", [MESSAGE, BY_HAND, MESSAGE.replace(b"\n", b"\r\n")])
async def test_an_inquiry_in_soap_is_answered_in_soap(sandbox: Sandbox, body: bytes) -> None:
    reply = await soap(sandbox, body)
    assert (reply.http, reply.content_type) == (200, "application/soap+xml; charset=UTF-8")
    answer = fields(reply)
    assert list(answer) == [
        "PayloadType", "ProcessingMode", "PayloadID", "TimeStamp", "SenderID", "ReceiverID", "CORERuleVersion",
        "Payload", "ErrorCode",
    ]  # fmt: skip
    assert (answer["PayloadType"], answer["PayloadID"], answer["ErrorCode"]) == (X12_271, PAYLOAD_ID, "Success")
    assert (answer["SenderID"], answer["ReceiverID"]) == ("OUTRIDERSANDBOX", "OUTRIDERAGENT")
    seen = read_response(answer["Payload"].encode(), trace=TRACE)
    assert (seen.findings, seen.facts["eb"][0]) == ((), "1")


@pytest.mark.parametrize(
    ("body", "content_type", "code", "http"),
    [
        (MESSAGE[:-20], SOAP, "Sender", 400),
        (b"", SOAP, "Sender", 400),
        (b"{}", SOAP, "Sender", 400),
        (MESSAGE, "text/xml; charset=utf-8", "Sender", 400),
        (MESSAGE, "application/soap+xml; charset=utf-16", "Sender", 400),
        (b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/hostname'>]>" + MESSAGE[39:], SOAP, "Sender", 400),
        (MESSAGE.replace(b"RealTimeRequest", b"RealTimeResponse"), SOAP, "Sender", 400),
        (MESSAGE.replace(b"<env:Body>", b"<env:Body><x/>"), SOAP, "Sender", 400),
        (
            MESSAGE.replace(b"<env:Body>", b'<env:Header><x env:mustUnderstand="true"/></env:Header><env:Body>'),
            SOAP,
            "MustUnderstand",
            500,
        ),
        (
            MESSAGE.replace(b"www.w3.org/2003/05/soap-envelope", b"schemas.xmlsoap.org/soap/envelope/"),
            SOAP,
            "VersionMismatch",
            500,
        ),
    ],
)
async def test_what_is_no_envelope_gets_the_soap_fault_that_says_why(
    sandbox: Sandbox, body: bytes, content_type: str, code: str, http: int
) -> None:
    reply = await soap(sandbox, body, content_type)
    assert (fault_code(reply), reply.http) == (f"env:{code}", http)
    assert reply.content_type == "application/soap+xml; charset=UTF-8"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"<SenderID>OUTRIDERAGENT</SenderID>", b"", "SenderIDRequired"),
        (b"<SenderID>OUTRIDERAGENT</SenderID>", b"<SenderID/>", "SenderIDRequired"),
        (b"<SenderID>", b"<SenderID>A</SenderID><SenderID>", "SenderIDIllegal"),
        (b">RealTime<", b">Batch<", "ProcessingModeIllegal"),
        (b"22:00:00Z", b"22:00:00", "TimeStampIllegal"),
        (PAYLOAD_ID.encode(), b"17", "PayloadIDIllegal"),
        (b"X12_270_Request_005010X279A1", b"X12_834_Request_005010X220A1", "PayloadTypeIllegal"),
        (b">2.2.0<", b">4.0.0<", "VersionMismatch"),
        (b"CDATA[ISA", b"CDATA[isa", "PayloadIllegal"),
        # The 999 would repeat half a character here, which XML cannot carry.
        (b"*005010X279A1~BHT", "*005010X279à~BHT".encode(), "PayloadIllegal"),
    ],
)
async def test_a_field_that_will_not_do_is_answered_with_the_rules_error_code(
    sandbox: Sandbox, old: bytes, new: bytes, code: str
) -> None:
    assert MESSAGE.count(old) == 1
    reply = await soap(sandbox, MESSAGE.replace(old, new))
    answer = fields(reply)
    assert (reply.http, answer["ErrorCode"], answer["PayloadType"]) == (200, code, "CoreEnvelopeError")
    assert answer["ErrorMessage"]
    assert "Payload" not in answer


async def test_the_token_is_checked_when_credentials_were_agreed_on() -> None:
    async with running(core_username="agent", core_password="secret") as sandbox:
        for given, code in (
            (("agent", "secret"), "Success"),
            (("agent", "no"), "UnAuthorized"),
            (("", ""), "UnAuthorized"),
        ):
            _, body = core_soap.write(replace(ENVELOPE, username=given[0], password=given[1]))
            assert fields(await soap(sandbox, body))["ErrorCode"] == code


@pytest.mark.parametrize(("code", "http"), [("Receiver", 500), ("Sender", 400)])
async def test_a_soap_fault_can_be_dialled_in_and_hits_soap_alone(sandbox: Sandbox, code: str, http: int) -> None:
    await sandbox.put_fault("soap_fault", "clearinghouse", code=code)
    assert (await plain(sandbox)).http == 200
    assert await sandbox.fault_hits() == {"one": 0}
    reply = await soap(sandbox)
    assert (reply.http, fault_code(reply)) == (http, f"env:{code}")
    assert await sandbox.fault_hits() == {"one": 1}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"component": "clearinghouse", "code": "Server"}, "code"),
        ({"component": "gateway"}, "component"),
        ({"component": "clearinghouse", "ms": 5}, "ms"),
    ],
)
async def test_a_soap_fault_that_there_is_not_is_refused(sandbox: Sandbox, body: dict[str, Any], field: str) -> None:
    reply = await sandbox.ask("PUT", "/faults/one", json={"kind": "soap_fault", **body})
    assert (reply.http, reply.json["error"]["field"]) == (400, field)


async def test_a_truncated_interchange_comes_in_a_whole_soap_envelope(sandbox: Sandbox) -> None:
    await sandbox.put_fault("truncate", "clearinghouse")
    answer = fields(await soap(sandbox))
    assert answer["ErrorCode"] == "Success"
    assert answer["Payload"].startswith("ISA*")
    assert "IEA" not in answer["Payload"]


# --- without an envelope -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["application/edi-x12", "application/EDI-X12; charset=us-ascii"])
async def test_an_inquiry_alone_is_answered_by_a_271_alone(sandbox: Sandbox, content_type: str) -> None:
    reply = await plain(sandbox, content_type=content_type)
    assert (reply.http, reply.content_type) == (200, "application/edi-x12")
    seen = read_response(reply.raw, trace=TRACE)
    assert (seen.findings, seen.facts["eb"][0]) == ((), "1")


async def test_x12_that_does_not_hold_together_gets_its_ta1_alone(sandbox: Sandbox) -> None:
    reply = await plain(sandbox, X12[:-40])
    assert (reply.http, reply.content_type) == (200, "application/edi-x12")
    seen = read_response(reply.raw, trace=TRACE)
    assert [(finding.code, finding.place) for finding in seen.findings] == [("023", "ta1/TA105")]


@pytest.mark.parametrize(
    ("body", "content_type", "http", "code"),
    [
        (b"Good evening.", "application/edi-x12", 400, "not_x12"),
        (b"", "application/edi-x12", 400, "not_x12"),
        (X12, "text/plain", 415, "unsupported_media_type"),
        (MESSAGE, SOAP, 415, "unsupported_media_type"),
    ],
)
async def test_what_is_no_x12_is_refused_by_http(
    sandbox: Sandbox, body: bytes, content_type: str, http: int, code: str
) -> None:
    reply = await plain(sandbox, body, content_type)
    assert (reply.http, reply.json["error"]["code"]) == (http, code)


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!!", "Bearer secret", "Basic YWdlbnQ6bm8=", "Basic /w=="])
async def test_credentials_that_are_not_the_ones_agreed_on_are_401(header: str) -> None:
    async with running(core_username="agent", core_password="secret") as sandbox:
        reply = await plain(sandbox, authorization=header)
        assert (reply.http, reply.headers["WWW-Authenticate"]) == (401, 'Basic realm="outrider-sandbox"')
        assert (await plain(sandbox, authorization="basic YWdlbnQ6c2VjcmV0")).http == 200


async def test_there_is_no_payload_id_to_get_wrong_without_an_envelope(sandbox: Sandbox) -> None:
    await sandbox.put_fault("wrong_payload_id", "clearinghouse")
    assert read_response((await plain(sandbox)).raw, trace=TRACE).findings == ()
    assert await sandbox.fault_hits() == {"one": 0}


# --- both --------------------------------------------------------------------------------------------------------


async def test_all_wires_are_counted_as_the_same_kind_of_transaction(sandbox: Sandbox) -> None:
    await soap(sandbox)
    await plain(sandbox)
    counted = (await sandbox.get("/counts")).json["components"]["clearinghouse"]
    assert {kind: tally["answered"] for kind, tally in counted.items()} == {"realtime": 2}


async def test_control_numbers_are_not_used_twice_across_wires(sandbox: Sandbox) -> None:
    answers = [fields(await soap(sandbox))["Payload"], (await plain(sandbox)).raw.decode()]
    numbers = [re.split(r"\*", answer)[13] for answer in answers]
    assert len(set(numbers)) == 2


@pytest.mark.parametrize("wire", ["soap", "plain"])
async def test_no_byte_that_is_changed_or_cut_makes_an_unplanned_error_500(sandbox: Sandbox, wire: str) -> None:
    whole, ask = (MESSAGE, soap) if wire == "soap" else (X12, plain)
    bodies = [whole[:at] for at in range(1, len(whole), 53)]
    for new in (b"*", b"\xe9", b"\xc3\xa0", b"\xc2\x85", b"\r", b"\x1d", b"&#13;", b"]]>"):
        bodies += [whole[:at] + new + whole[at + 1 :] for at in range(0, len(whole), 31)]
    for body in bodies:
        reply = await ask(sandbox, body)
        is_fault_of_ours = wire == "soap" and fault_code(reply) in ("env:VersionMismatch", "env:MustUnderstand")
        assert reply.http < 500 or is_fault_of_ours, (body, reply.raw)
