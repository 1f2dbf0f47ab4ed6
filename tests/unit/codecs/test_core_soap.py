from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs import core_soap
from outrider.codecs.core_envelope import X12_270, X12_271, Envelope, EnvelopeError
from outrider.codecs.core_soap import FAULT_CODES, REQUEST, RESPONSE, read, write, write_fault
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.core.outcome import Finding, Observation, OutcomeClass, classify
from outrider.redact import Redactor

ENV = "{http://www.w3.org/2003/05/soap-envelope}"
CORE = "{http://www.caqh.org/SOAP/WSDL/CORERule2.2.0.xsd}"
WSSE = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}"
SOAP = "application/soap+xml"
ENV_11 = (b"www.w3.org/2003/05/soap-envelope", b"schemas.xmlsoap.org/soap/envelope/")
EXTERNAL = b"<!DOCTYPE x [<!ENTITY f SYSTEM 'file:///etc/hostname'>]>"

REQUEST_SENT = Envelope(
    X12_270,
    "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "2026-06-01T22:15:30Z",
    "OUTRIDER",
    "CLEARING",
    b"ISA*00*GS*ST*IEA~",
    username="probe",
    password="correct <horse> & cart",
)
ANSWER = replace(REQUEST_SENT, payload_type=X12_271, username="", password="", error_code="Success")
REFUSAL = replace(ANSWER, payload_type="CoreEnvelopeError", payload=b"", error_code="SenderIDRequired")

# As other people's services lay an answer out: other prefixes, a header, blanks, and what CORE does not know.
FOREIGN = b"""<?xml version="1.0" encoding="utf-8"?>
<!-- from a gateway -->
<soapenv:Envelope xmlns:soapenv="http://www.w3.org/2003/05/soap-envelope">
  <soapenv:Header>
    <t:Trace xmlns:t="urn:trace" soapenv:mustUnderstand="1">17</t:Trace>
  </soapenv:Header>
  <soapenv:Body>
    <ns1:COREEnvelopeRealTimeResponse xmlns:ns1="http://www.caqh.org/SOAP/WSDL/CORERule2.2.0.xsd">
      <PayloadType>X12_271_Response_005010X279A1</PayloadType>
      <ProcessingMode>RealTime</ProcessingMode>
      <PayloadID> f81d4fae-7dec-11d0-a765-00a0c91e6bf6
      </PayloadID>
      <TimeStamp>2026-06-01T22:15:31Z</TimeStamp>
      <SenderID>CLEARING</SenderID>
      <ReceiverID>OUTRIDER</ReceiverID>
      <CORERuleVersion>2.2.0</CORERuleVersion>
      <Later xmlns="urn:later">unknown</Later>
      <Payload><![CDATA[ISA*00*GS*ST*IEA~]]>
</Payload>
      <ErrorCode>Success</ErrorCode>
      <ErrorMessage>None</ErrorMessage>
    </ns1:COREEnvelopeRealTimeResponse>
  </soapenv:Body>
</soapenv:Envelope>
"""


def changed(old: bytes, new: bytes, envelope: Envelope = REQUEST_SENT) -> tuple[str, bytes]:
    content_type, body = write(envelope)
    assert body.count(old) == 1, old
    return content_type, body.replace(old, new)


def without(name: str, envelope: Envelope = REQUEST_SENT) -> tuple[str, bytes]:
    content_type, body = write(envelope)
    start, end = body.index(f"<{name}>".encode()), body.index(f"</{name}>".encode())
    return content_type, body[:start] + body[end + len(name) + 3 :]


def refusal(content_type: str, body: bytes, **options: Any) -> EnvelopeError:
    with pytest.raises(EnvelopeError) as caught:
        read(content_type, body, **options)
    return caught.value


# --- writing -----------------------------------------------------------------------------------------------------


def test_a_request_is_written_as_the_schema_says() -> None:
    content_type, body = write(REQUEST_SENT)
    assert content_type == 'application/soap+xml; charset=UTF-8; action="RealTimeTransaction"'
    root = ElementTree.fromstring(body)
    assert [part.tag for part in root] == [f"{ENV}Header", f"{ENV}Body"]
    (request,) = root[1]
    assert request.tag == f"{CORE}COREEnvelopeRealTimeRequest"
    assert [(child.tag, child.text) for child in request] == [
        ("PayloadType", "X12_270_Request_005010X279A1"),
        ("ProcessingMode", "RealTime"),
        ("PayloadID", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
        ("TimeStamp", "2026-06-01T22:15:30Z"),
        ("SenderID", "OUTRIDER"),
        ("ReceiverID", "CLEARING"),
        ("CORERuleVersion", "2.2.0"),
        ("Payload", "ISA*00*GS*ST*IEA~"),
    ]
    assert b"<Payload><![CDATA[ISA*00*GS*ST*IEA~]]></Payload>" in body


def test_a_user_name_makes_a_token_that_must_be_understood() -> None:
    root = ElementTree.fromstring(write(REQUEST_SENT)[1])
    (security,) = root[0]
    assert (security.tag, security.get(f"{ENV}mustUnderstand")) == (f"{WSSE}Security", "true")
    (token,) = security
    assert [(part.tag, part.text) for part in token] == [
        (f"{WSSE}Username", "probe"),
        (f"{WSSE}Password", "correct <horse> & cart"),
    ]
    assert str(token[1].get("Type")).endswith("username-token-profile-1.0#PasswordText")


def test_without_a_user_name_there_is_no_header() -> None:
    root = ElementTree.fromstring(write(replace(REQUEST_SENT, username="", password=""))[1])
    assert [part.tag for part in root] == [f"{ENV}Body"]


def test_an_answer_is_a_response_with_its_error_code_after_the_payload() -> None:
    content_type, body = write(replace(ANSWER, error_message="fine"))
    assert content_type == "application/soap+xml; charset=UTF-8"
    response = ElementTree.fromstring(body)[0][0]
    assert response.tag == f"{CORE}COREEnvelopeRealTimeResponse"
    assert [child.tag for child in response][-3:] == ["Payload", "ErrorCode", "ErrorMessage"]
    refused = ElementTree.fromstring(write(REFUSAL)[1])[0][0]
    assert refused.find("Payload") is None
    assert refused.findtext("ErrorCode") == "SenderIDRequired"


PAYLOADS = [
    b"ISA*]]>*IEA~", b"]]>", b"]]]]>>", b"]]&gt;", b"a&b<c>", b"a\rb\r", b"a~\r\nb~\r\n", b"\n a~\n\t", b"]]\r>", b"\r",
    "Ünïcode €~".encode(), b"<![CDATA[x]]>",
]  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_comes_back_byte_for_byte(payload: bytes) -> None:
    sent = replace(REQUEST_SENT, payload=payload)
    assert read(*write(sent)).payload == payload
    independent = ElementTree.fromstring(write(sent)[1]).findtext(f".//{CORE}{REQUEST}/Payload")
    assert (independent or "").encode() == payload


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"ISA*00\x1dGS", "U+001D (character 6)"),
        (b"\x00", "U+0000 (character 0)"),
        ("a\ufffe".encode(), "U+FFFE (character 1)"),
        (b"ISA*\xe9", "not UTF-8 from byte 4"),
    ],
)
def test_what_xml_cannot_carry_is_refused_and_named(payload: bytes, told: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        write(replace(REQUEST_SENT, payload=payload))
    assert (caught.value.code, caught.value.place) == ("illegal", "envelope/payload")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("change", "code", "place"),
    [
        ({"sender_id": ""}, "empty", "envelope/senderid"),
        ({"payload": b""}, "empty", "envelope/payload"),
        ({"username": ""}, "missing", "envelope/username"),
        ({"sender_id": "a\uffffb"}, "illegal", "envelope/senderid"),
    ],
)
def test_an_envelope_that_cannot_be_sent_is_not_written(change: dict[str, Any], code: str, place: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        write(replace(REQUEST_SENT, **change))
    assert (caught.value.code, caught.value.place) == (code, place)


def test_the_redactor_finds_the_password_in_what_is_written() -> None:
    shown = Redactor().bytes(write(REQUEST_SENT)[1])
    assert b"horse" not in shown
    assert b"<wsse:Username>probe</wsse:Username>" in shown


# --- reading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("envelope", [REQUEST_SENT, replace(REQUEST_SENT, username="", password=""), ANSWER, REFUSAL])
def test_what_is_written_is_read_alike(envelope: Envelope) -> None:
    assert read(*write(envelope)) == envelope


@pytest.mark.parametrize(
    "content_type",
    [SOAP, f"{SOAP}; action=RealTimeTransaction", 'Application/SOAP+XML;charset="utf-8"', f"{SOAP}; charset=us-ascii"],
)
def test_an_answer_laid_out_by_others_is_read(content_type: str) -> None:
    answer = read(content_type, FOREIGN, element=RESPONSE)
    assert answer == replace(
        ANSWER,
        timestamp="2026-06-01T22:15:31Z",
        sender_id="CLEARING",
        receiver_id="OUTRIDER",
        payload=b"ISA*00*GS*ST*IEA~\n",
        error_message="None",
    )


def test_raw_line_ends_around_segments_become_lf_and_nothing_else_changes() -> None:
    body = changed(b"ISA*00*GS*ST*IEA~", b"ISA*00~\r\nGS~\rIEA~\r\n")
    assert read(*body).payload == b"ISA*00~\nGS~\nIEA~\n"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/html",
        "text/xml",
        "multipart/form-data; boundary=x",
        f"{SOAP}; charset=utf-16",
        "a\nb",
        "é",
        "x" * 2000,
    ],
)
def test_a_content_type_that_is_not_soap_in_utf_8_is_refused(content_type: str) -> None:
    error = refusal(content_type, FOREIGN)
    assert (error.code, error.place) == ("not-soap", "envelope/content-type")


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        (b"<html><body>Welcome</body></html>", "not-soap", "frame"),
        (b"Welcome", "not-xml", "frame"),
        (FOREIGN[: len(FOREIGN) // 2], "not-xml", "frame"),
        (FOREIGN.replace(ENV_11[0], ENV_11[1]), "version", "frame"),
        (FOREIGN.replace(b"CORERule2.2.0.xsd", b"CORERule4.0.0.xsd"), "not-core", "body"),
        (FOREIGN.replace(b"RealTimeResponse", b"BatchSubmission"), "not-core", "body"),
        (FOREIGN.replace(b"soapenv:Header", b"soapenv:Heading"), "structure", "frame"),
        (FOREIGN.replace(b"<soapenv:Body>", b"<soapenv:Body><x/>"), "structure", "body"),
        (FOREIGN.replace(b"<soapenv:Body>", b"<soapenv:Body/><soapenv:Body>"), "structure", "frame"),
        (FOREIGN.replace(b"SenderID>", b"ns1:SenderID>"), "illegal", "senderid"),
        (FOREIGN.replace(b"<Payload>", b"<Payload><x/>"), "illegal", "payload"),
        (FOREIGN.replace(b"<Payload>", b"<Payload>x</Payload><Payload>"), "twice", "payload"),
        (FOREIGN.replace(b"<ErrorCode>Success</ErrorCode>", b""), "missing", "errorcode"),
        (FOREIGN.replace(b">Success<", b"> <"), "empty", "errorcode"),
        (FOREIGN.replace(b">RealTime<", b">Batch<"), "illegal", "processingmode"),
        (FOREIGN.replace(b"22:15:31Z", b"22:15"), "illegal", "timestamp"),
        (FOREIGN.replace(b">CLEARING<", b">" + b"x" * 1025 + b"<"), "illegal", "senderid"),
        (FOREIGN.replace(b"<soapenv:Envelope", b"<!DOCTYPE x><soapenv:Envelope"), "dtd", "frame"),
        (EXTERNAL + FOREIGN[39:].replace(b"17", b"&f;"), "dtd", "frame"),
    ],
)
def test_what_is_no_core_answer_is_refused_with_its_place(body: bytes, code: str, place: str) -> None:
    error = refusal(SOAP, body, element=RESPONSE)
    assert (error.code, error.place) == (code, f"envelope/{place}")


@pytest.mark.parametrize(
    "name",
    ["PayloadType", "ProcessingMode", "PayloadID", "TimeStamp", "SenderID", "ReceiverID", "CORERuleVersion", "Payload"],
)
def test_a_field_that_is_missing_is_named(name: str) -> None:
    error = refusal(*without(name))
    assert (error.code, error.field) == ("missing", name)


def test_a_request_is_not_taken_for_an_answer_nor_an_answer_for_a_request() -> None:
    assert refusal(*write(REQUEST_SENT), element=RESPONSE).code == "not-core"
    assert refusal(*write(ANSWER), element=REQUEST).code == "not-core"


SECURITY = b'<wsse:Security xmlns:wsse="' + WSSE[1:-1].encode() + b'"'


@pytest.mark.parametrize(
    ("old", "new", "code", "place"),
    [
        (b"#PasswordText", b"#PasswordDigest", "illegal", "envelope/password"),
        (b"wsse:UsernameToken>", b"wsse:BinarySecurityToken>", "missing", "envelope/username"),
        (b"<wsse:UsernameToken>", b"<wsse:UsernameToken/><wsse:UsernameToken>", "twice", "envelope/username"),
        (b"<env:Header>", b'<env:Header><x env:mustUnderstand="1"/>', "must-understand", "envelope/header"),
    ],
)
def test_a_header_that_will_not_do_is_refused(old: bytes, new: bytes, code: str, place: str) -> None:
    content_type, body = write(REQUEST_SENT)
    error = refusal(content_type, body.replace(old, new))
    assert (error.code, error.place) == (code, place)
    assert "horse" not in str(error)


def test_a_header_for_another_node_is_passed_over() -> None:
    blocks = b'<x env:mustUnderstand="0"/><y env:mustUnderstand="true" env:role="urn:somebody-else"/>'
    assert read(*changed(b"<env:Header>", b"<env:Header>" + blocks)) == REQUEST_SENT


# --- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("Receiver", OutcomeClass.SERVICE_DOWN),
        ("Sender", OutcomeClass.PROBE_FAULT),
        ("MustUnderstand", OutcomeClass.PROBE_FAULT),
        ("VersionMismatch", OutcomeClass.PROBE_FAULT),
        ("DataEncodingUnknown", OutcomeClass.PROBE_FAULT),
    ],
)
def test_a_fault_is_read_as_its_code_and_classified(code: str, outcome: OutcomeClass) -> None:
    error = refusal(*write_fault(code, "because"), element=RESPONSE)
    assert (error.code, error.place) == (code, "envelope/fault")
    verdict = classify((), Observation((Finding(error.code, error.place),)), OUTCOME_TABLE)
    assert verdict.outcome is outcome


def test_a_fault_is_laid_out_as_soap_says() -> None:
    content_type, body = write_fault("Receiver", "down <now> & later")
    assert content_type == "application/soap+xml; charset=UTF-8"
    (fault,) = ElementTree.fromstring(body)[0]
    assert fault.findtext(f"{ENV}Code/{ENV}Value") == "env:Receiver"
    assert fault.findtext(f"{ENV}Reason/{ENV}Text") == "down <now> & later"


@pytest.mark.parametrize("value", ["env:Server", "4111111111111111", "", "env:Receiver env:Sender"])
def test_a_fault_code_that_soap_does_not_know_is_not_repeated_and_is_malformed(value: str) -> None:
    content_type, body = write_fault("Receiver", "x")
    error = refusal(content_type, body.replace(b"env:Receiver", value.encode()))
    assert (error.code, error.place) == ("unreadable", "envelope/fault")
    verdict = classify((), Observation((Finding(error.code, error.place),)), OUTCOME_TABLE)
    assert verdict.outcome is OutcomeClass.MALFORMED


def test_only_faults_that_soap_knows_are_written() -> None:
    with pytest.raises(EnvelopeError):
        write_fault("Server", "x")
    assert all(write_fault(code, "x") for code in FAULT_CODES)


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        FOREIGN.replace(b"<ErrorMessage>", b"<a>" * 200_000),
        FOREIGN.replace(b"<Payload>", b"<Payload " + b"".join(b"a%x='' " % n for n in range(90_000)) + b">"),
        FOREIGN.replace(b"<ErrorMessage>", b"<a/>" * 200_000 + b"<ErrorMessage>"),
        FOREIGN.replace(b"<!-- from a gateway -->", b"<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>]>"),
    ],
    ids=["nesting", "attributes", "elements", "entities"],
)
def test_a_bomb_is_refused_in_little_memory(body: bytes) -> None:
    tracemalloc.start()
    try:
        error = refusal(SOAP, body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.code in ("too-deep", "too-long", "too-many", "dtd")
    assert peak < 256 << 10


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.binary(max_size=200))
def test_reading_anything_raises_nothing_but_the_typed_error(content_type: str, body: bytes) -> None:
    refusal(content_type, body)
    refusal(f"{SOAP}; {content_type}", body)
    refusal(f"{SOAP}; charset{content_type}", body)
    refusal(SOAP, b"<env:Envelope xmlns:env='http://www.w3.org/2003/05/soap-envelope'>" + body)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_reading_a_damaged_envelope_raises_nothing_but_the_typed_error(data: st.DataObject) -> None:
    content_type, body = data.draw(st.sampled_from([write(REQUEST_SENT), (SOAP, FOREIGN), write_fault("Sender", "x")]))
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(damaged)))
        damaged[start : start + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=4))
    told = ""
    try:
        core_soap.read(content_type, bytes(damaged))
    except EnvelopeError as error:
        told = f"{error} {error.place}"
    assert "horse" not in told


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["]", "]]>", "\r", "\n", "&", "<", "~", "&#13;", "<![CDATA[", "A"]), min_size=1))
def test_a_payload_of_awkward_pieces_comes_back_byte_for_byte(pieces: list[str]) -> None:
    payload = "".join(pieces).encode()
    assert read(*write(replace(REQUEST_SENT, payload=payload))).payload == payload


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=40))
def test_a_payload_of_any_bytes_comes_back_or_is_refused(payload: bytes) -> None:
    told, came_back = ("", ""), payload
    try:
        came_back = read(*write(replace(REQUEST_SENT, payload=payload))).payload
    except EnvelopeError as error:
        told = (error.code, error.field)
    assert told in (("", ""), ("illegal", "Payload"))
    assert came_back == payload
