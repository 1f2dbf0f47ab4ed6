"""The clearinghouse over real sockets. pyx12 reads its X12 too, since a shared codec hides shared mistakes."""

from __future__ import annotations

import asyncio
import io
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pyx12.segment import Segment
from pyx12.x12file import X12Reader
from sandbox_support import Sandbox, running

from outrider.codecs import core_mime
from outrider.codecs.check_digits import is_npi
from outrider.codecs.core_mime import Envelope
from outrider.codecs.eligibility import Dependent, Inquiry, Member, read_response, write_inquiry
from outrider.core.outcome import Observation
from outrider_sandbox.clearinghouse.members import MEANINGS, PAYERS, RECORDS, SURNAME, UNKNOWN_NPI

TRACE = "TRACE-000000017"
ACTIVE = Member(SURNAME, "TESTONE", "OUT100000001", "19700101", "F")
INQUIRY = Inquiry(
    sender_id="OUTRIDERAGENT",
    receiver_id="OUTRIDERSANDBOX",
    control_number=17,
    trace=TRACE,
    payer_name="OUTRIDER TEST PAYER",
    payer_id="OUTPAYER01",
    provider_name="OUTRIDER TEST CLINIC",
    provider_npi="1234567893",
    member=ACTIVE,
    created=datetime(2026, 6, 1, 22, 0, tzinfo=UTC),
    service_date="20260601",
)
ENVELOPE = Envelope(
    payload_type=core_mime.X12_270,
    payload_id="0b7a4a3e-6f0e-4f0a-9f67-0d1f6d6c1b11",
    timestamp="2026-06-01T22:00:00Z",
    sender_id="OUTRIDERAGENT",
    receiver_id="OUTRIDERSANDBOX",
    payload=b"",
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came back: the envelope, and its payload as our own codec reads it."""

    http: int
    envelope: Envelope
    seen: Observation

    @property
    def places(self) -> list[tuple[str, str]]:
        return [(finding.code, finding.place) for finding in self.seen.findings]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


async def inquire(sandbox: Sandbox, inquiry: Inquiry = INQUIRY, **envelope: Any) -> Exchange:
    payload, (old, new) = envelope.pop("payload", None), envelope.pop("edit", (b"", b""))
    sent = replace(ENVELOPE, **{"payload": write_inquiry(inquiry) if payload is None else payload, **envelope})
    content_type, body = core_mime.write(sent, boundary="test-boundary-7")
    reply = await sandbox.ask(
        "POST", "/core/realtime", data=body.replace(old, new), headers={"Content-Type": content_type}
    )
    received = core_mime.read(reply.content_type, reply.raw)
    return Exchange(reply.http, received, read_response(received.payload, trace=inquiry.trace))


def oracle(payload: bytes) -> list[Segment]:
    """The segments as pyx12 reads them, after it found nothing wrong."""
    reader = X12Reader(io.StringIO(payload.decode("ascii")))
    segments, errors = [], []
    for segment in reader:
        segments.append(segment)
        errors += reader.pop_errors()
    reader.cleanup()
    assert [*errors, *reader.pop_errors()] == []
    return segments


def values(segments: list[Segment], name: str, place: str) -> list[str | None]:
    return [segment.get_value(place) for segment in segments if segment.get_seg_id() == name]


async def test_an_active_member_has_benefits_and_both_echoes_come_back(sandbox: Sandbox) -> None:
    answer = await inquire(sandbox)
    assert (answer.http, answer.envelope.error_code, answer.envelope.payload_type) == (
        200,
        "Success",
        core_mime.X12_271,
    )
    assert answer.envelope.payload_id == ENVELOPE.payload_id
    assert (answer.envelope.sender_id, answer.envelope.receiver_id) == ("OUTRIDERSANDBOX", "OUTRIDERAGENT")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer.envelope.timestamp)
    assert answer.seen.findings == ()
    assert answer.seen.facts["eb"][0] == "1"
    assert answer.seen.facts["trn"] == (TRACE,)


async def test_pyx12_finds_nothing_wrong_with_an_answer_and_reads_the_same(sandbox: Sandbox) -> None:
    segments = oracle((await inquire(sandbox)).envelope.payload)
    assert values(segments, "ST", "ST01") == ["271"]
    assert values(segments, "ST", "ST03") == ["005010X279A1"]
    assert values(segments, "TRN", "TRN02") == [TRACE]
    assert values(segments, "BHT", "BHT03") == [TRACE]
    assert values(segments, "HL", "HL03") == ["20", "21", "22"]
    assert values(segments, "NM1", "NM109") == ["OUTPAYER01", "1234567893", "OUT100000001"]
    assert values(segments, "EB", "EB01") == ["1", "C"]
    assert values(segments, "ISA", "ISA15") == ["T"]


@pytest.mark.parametrize(
    ("member_id", "asked", "eb"),
    [
        ("OUT100000001", ("30",), ["1", "C"]),
        ("OUT100000001", ("35",), ["I"]),
        ("OUT100000002", ("30", "35"), ["1", "C"]),
        ("OUT100000003", ("30",), ["6"]),
        ("OUT100000004", ("30", "35"), ["1", "C", "I"]),
    ],
)
async def test_what_a_member_is_covered_for_decides_the_benefits(
    sandbox: Sandbox, member_id: str, asked: tuple[str, ...], eb: list[str]
) -> None:
    record = RECORDS[member_id]
    member = Member(SURNAME, record.first, member_id, record.birth_date, record.gender)
    answer = await inquire(sandbox, replace(INQUIRY, member=member, service_types=asked))
    assert answer.places == []
    segments = oracle(answer.envelope.payload)
    assert values(segments, "EB", "EB01") == eb
    named = [code for text in values(segments, "EB", "EB03") for code in (text or "").split("^")]
    assert set(named) == set(asked)


async def test_a_service_before_the_coverage_began_is_not_covered(sandbox: Sandbox) -> None:
    answer = await inquire(sandbox, replace(INQUIRY, service_date="20191231"))
    assert answer.seen.facts["eb"] == ("6",)


def member(**changes: str) -> Inquiry:
    return replace(INQUIRY, member=replace(ACTIVE, **changes))


def scripted(member_id: str) -> Inquiry:
    return member(member_id=member_id, first=RECORDS[member_id].first)


@pytest.mark.parametrize(
    ("inquiry", "code", "loop", "levels"),
    [
        (member(member_id="OUT100000099"), "75", "2100C", 3),
        (member(member_id="XYZ1"), "72", "2100C", 3),
        (member(member_id=""), "72", "2100C", 3),
        (member(birth_date="19700102"), "71", "2100C", 3),
        (member(first="SOMEBODY"), "73", "2100C", 3),
        (member(last="ELSE"), "73", "2100C", 3),
        (replace(INQUIRY, provider_npi="1234567890"), "43", "2100B", 2),
        (replace(INQUIRY, provider_npi=""), "43", "2100B", 2),
        (replace(INQUIRY, provider_npi=UNKNOWN_NPI), "51", "2100B", 2),
        (replace(INQUIRY, payer_id="NOBODY"), "79", "2100A", 1),
        (scripted("OUT100000042"), "42", "2100A", 1),
        (scripted("OUT100000080"), "80", "2100A", 1),
    ],
)
async def test_what_cannot_be_answered_is_rejected_in_its_loop(
    sandbox: Sandbox, inquiry: Inquiry, code: str, loop: str, levels: int
) -> None:
    answer = await inquire(sandbox, inquiry)
    assert answer.envelope.error_code == "Success"
    assert answer.places == [(code, f"aaa/{loop}")]
    segments = oracle(answer.envelope.payload)
    assert values(segments, "AAA", "AAA03") == [code]
    assert len(values(segments, "HL", "HL01")) == levels
    assert values(segments, "EB", "EB01") == []


@pytest.mark.parametrize(
    ("dependent", "places"),
    [
        (Dependent(SURNAME, "TESTCHILD", "20150401"), []),
        (Dependent(SURNAME, "TESTCHILD", "20150402"), [("71", "aaa/2100D")]),
        (Dependent(SURNAME, "NOBODY", "20150401"), [("67", "aaa/2100D")]),
    ],
)
async def test_a_dependent_is_looked_up_below_the_member(
    sandbox: Sandbox, dependent: Dependent, places: list[tuple[str, str]]
) -> None:
    answer = await inquire(sandbox, replace(INQUIRY, dependent=dependent))
    assert answer.places == places
    assert values(oracle(answer.envelope.payload), "HL", "HL03") == ["20", "21", "22", "23"]


async def test_control_numbers_of_answers_are_never_used_twice(sandbox: Sandbox) -> None:
    answers = await asyncio.gather(*(inquire(sandbox) for _ in range(30)))
    numbers = [oracle(answer.envelope.payload)[0].get_value("ISA13") for answer in answers]
    assert len(set(numbers)) == 30


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"payload_type": "X12_834_Request_005010X220A1"}, "PayloadTypeIllegal"),
        ({"edit": (b"RealTime", b"Batch")}, "ProcessingModeIllegal"),
        ({"edit": (b"RealTime", b"")}, "ProcessingModeRequired"),
        ({"edit": (b"CORERuleVersion", b"SenderID")}, "SenderIDIllegal"),
        ({"edit": (b"22:00:00Z", b"22:00:00")}, "TimeStampIllegal"),
        ({"error_code": "Success"}, "ErrorCodeIllegal"),
        ({"error_code": "Other", "sender_id": ""}, "ErrorCodeIllegal"),
        ({"core_rule_version": "4.0.0"}, "VersionMismatch"),
        ({"payload_id": "not-a-uuid"}, "PayloadIDIllegal"),
        ({"timestamp": "2026-13-01T22:00:00Z"}, "TimeStampIllegal"),
        ({"payload": b"Good evening."}, "PayloadIllegal"),
    ],
)
async def test_an_envelope_that_will_not_do_is_answered_with_the_rules_error_code(
    sandbox: Sandbox, change: dict[str, Any], code: str
) -> None:
    answer = await inquire(sandbox, **change)
    assert (answer.http, answer.envelope.error_code, answer.envelope.payload_type) == (200, code, "CoreEnvelopeError")
    assert answer.envelope.error_message
    assert answer.envelope.payload == b""


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("PayloadType", "PayloadTypeRequired"),
        ("ProcessingMode", "ProcessingModeRequired"),
        ("PayloadID", "PayloadIDRequired"),
        ("TimeStamp", "TimeStampRequired"),
        ("SenderID", "SenderIDRequired"),
        ("ReceiverID", "ReceiverIDRequired"),
        ("CORERuleVersion", "CORERuleVersionRequired"),
        ("Payload", "PayloadRequired"),
    ],
)
async def test_a_field_that_is_missing_is_named_by_the_error_code(sandbox: Sandbox, field: str, code: str) -> None:
    sent = replace(ENVELOPE, payload=write_inquiry(INQUIRY))
    content_type, body = core_mime.write(sent, boundary="test-boundary-7")
    parts = body.split(b"--test-boundary-7")
    kept = [part for part in parts if not re.search(rb'name="' + field.encode() + rb'"', part)]
    assert len(kept) == len(parts) - 1
    reply = await sandbox.ask(
        "POST", "/core/realtime", data=b"--test-boundary-7".join(kept), headers={"Content-Type": content_type}
    )
    received = core_mime.read(reply.content_type, reply.raw)
    assert (reply.http, received.error_code, received.payload_type) == (200, code, "CoreEnvelopeError")
    assert uuid.UUID(received.payload_id)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("", b""),
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n" * 500),
        ("multipart/form-data; boundary=x", bytes(range(256))),
    ],
)
async def test_what_is_no_multipart_message_is_400_with_json(sandbox: Sandbox, content_type: str, body: bytes) -> None:
    reply = await sandbox.ask("POST", "/core/realtime", data=body, headers={"Content-Type": content_type})
    assert (reply.http, "error" in reply.json) == (400, True)


async def test_the_credentials_of_the_envelope_are_checked_when_there_are_some() -> None:
    async with running(core_username="agent", core_password="secret") as sandbox:
        refused = await inquire(sandbox, username="agent", password="wrong")
        assert refused.envelope.error_code == "UnAuthorized"
        assert (await inquire(sandbox)).envelope.error_code == "UnAuthorized"
        assert (await inquire(sandbox, username="agent", password="secret")).places == []


async def test_a_receiver_that_is_not_us_is_refused_when_we_are_strict() -> None:
    async with running(strict_receiver=True) as sandbox:
        assert (await inquire(sandbox, receiver_id="SOMEBODY")).envelope.error_code == "ReceiverIDIllegal"
        assert (await inquire(sandbox)).places == []


async def test_a_time_stamp_may_have_a_fraction(sandbox: Sandbox) -> None:
    assert (await inquire(sandbox, timestamp="2026-06-01T22:00:00.125Z")).places == []


def broken(old: bytes, new: bytes) -> bytes:
    whole = write_inquiry(INQUIRY)
    assert whole.count(old) == 1
    return whole.replace(old, new)


@pytest.mark.parametrize(
    ("payload", "note"),
    [
        (broken(b"IEA*1*000000017", b"IEA*1*000000018"), "001"),
        (broken(b"IEA*1*", b"IEA*2*"), "021"),
        (write_inquiry(INQUIRY)[:-40], "023"),
        (write_inquiry(INQUIRY) + b"NTE*more~", "022"),
        (broken(b"*0*T*:", b"*0*X*:"), "020"),
        (broken(b"*0*T*:", b"*Y*T*:"), "019"),
    ],
)
async def test_an_interchange_that_does_not_hold_together_gets_a_ta1(
    sandbox: Sandbox, payload: bytes, note: str
) -> None:
    answer = await inquire(sandbox, payload=payload)
    assert (answer.envelope.error_code, answer.envelope.payload_type) == ("Success", "X12_TA1_Response_00501X231A1")
    assert answer.places == [(note, "ta1/TA105")]
    segments = oracle(answer.envelope.payload)
    assert [segment.get_seg_id() for segment in segments] == ["ISA", "TA1", "IEA"]
    assert segments[1].format("", "*", ":") == f"TA1*000000017*260601*2200*R*{note}"


@pytest.mark.parametrize(
    ("payload", "verdict"),
    [
        (broken(b"SE*13*0001", b"SE*14*0001"), "4"),
        (broken(b"SE*13*0001", b"SE*13*0002"), "3"),
        (broken(b"HL*3*2*22", b"HL*3*9*22"), "5"),
        (broken(f"TRN*1*{TRACE}*9OUTRIDER1~".encode(), b"REF*EJ*1~"), "5"),
    ],
)
async def test_a_transaction_set_that_does_not_hold_together_gets_a_999(
    sandbox: Sandbox, payload: bytes, verdict: str
) -> None:
    answer = await inquire(sandbox, payload=payload)
    assert (answer.envelope.error_code, answer.envelope.payload_type) == ("Success", "X12_999_Response_005010X231A1")
    assert {place for _, place in answer.places} == {"999/IK501", "999/AK901"}
    segments = oracle(answer.envelope.payload)
    assert values(segments, "AK1", "AK102") == ["17"]
    assert values(segments, "AK2", "AK201") == ["270"]
    assert (values(segments, "IK5", "IK501"), values(segments, "IK5", "IK502")) == (["R"], [verdict])
    assert values(segments, "AK9", "AK901") == ["R"]


async def test_a_group_of_another_guide_gets_a_999_about_the_group(sandbox: Sandbox) -> None:
    payload = write_inquiry(INQUIRY).replace(b"005010X279A1", b"005010X279")
    answer = await inquire(sandbox, payload=payload)
    segments = oracle(answer.envelope.payload)
    assert (values(segments, "AK9", "AK901"), values(segments, "AK9", "AK905")) == (["R"], ["2"])
    assert values(segments, "AK2", "AK201") == []


async def test_no_byte_that_is_changed_or_cut_makes_an_error_500(sandbox: Sandbox) -> None:
    whole = write_inquiry(INQUIRY)
    payloads = [whole[:at] for at in range(1, len(whole), 37)]
    payloads += [whole[:at] + b"*" + whole[at + 1 :] for at in range(0, len(whole), 23)]
    payloads += [whole[:at] + b"\xe9" + whole[at + 1 :] for at in range(0, len(whole), 23)]
    for payload in payloads:
        assert (await inquire(sandbox, payload=payload)).http == 200


@pytest.mark.parametrize(
    ("code", "loop"), [("42", "2000A"), ("42", "2100A"), ("80", "2100A"), ("43", "2100B"), ("75", "2100C")]
)
async def test_an_aaa_fault_rejects_a_good_inquiry_where_it_is_told_to(sandbox: Sandbox, code: str, loop: str) -> None:
    await sandbox.put_fault("aaa", "clearinghouse", code=code, loop=loop)
    answer = await inquire(sandbox)
    assert answer.places == [(code, f"aaa/{loop}")]
    assert values(oracle(answer.envelope.payload), "AAA", "AAA03") == [code]
    assert await sandbox.fault_hits() == {"one": 1}


async def test_a_wrong_trn_is_somebody_elses_answer_in_a_correct_interchange(sandbox: Sandbox) -> None:
    await sandbox.put_fault("wrong_trn", "*")
    answer = await inquire(sandbox)
    assert answer.places == [("mismatch", "echo/trn")]
    assert TRACE not in values(oracle(answer.envelope.payload), "TRN", "TRN02")
    assert answer.envelope.payload_id == ENVELOPE.payload_id


async def test_a_wrong_payload_id_is_somebody_elses_envelope_around_our_answer(sandbox: Sandbox) -> None:
    await sandbox.put_fault("wrong_payload_id", "clearinghouse")
    answer = await inquire(sandbox)
    assert uuid.UUID(answer.envelope.payload_id) != uuid.UUID(ENVELOPE.payload_id)
    assert answer.places == []


async def test_a_truncated_interchange_comes_in_a_whole_envelope(sandbox: Sandbox) -> None:
    await sandbox.put_fault("truncate", "clearinghouse")
    answer = await inquire(sandbox)
    assert answer.envelope.error_code == "Success"
    assert [code for code, _ in answer.places] == ["truncated"]
    assert answer.envelope.payload.startswith(b"ISA*")
    assert b"IEA" not in answer.envelope.payload
    assert await sandbox.fault_hits() == {"one": 1}


async def test_faults_of_the_line_hit_the_clearinghouse_too(sandbox: Sandbox) -> None:
    await sandbox.put_fault("html", "clearinghouse")
    content_type, body = core_mime.write(replace(ENVELOPE, payload=write_inquiry(INQUIRY)), boundary="test-boundary-7")
    reply = await sandbox.ask("POST", "/core/realtime", data=body, headers={"Content-Type": content_type})
    assert (reply.http, reply.content_type) == (200, "text/html; charset=utf-8")
    counted = (await sandbox.get("/counts")).json["components"]["clearinghouse"]["realtime"]
    assert counted == {"received": 1, "answered": 1, "unanswered": 0, "http": {"200": 1}, "faults": {"html": 1}}


def test_the_check_digit_of_an_npi() -> None:
    assert is_npi("1234567893")
    assert is_npi(UNKNOWN_NPI)
    wrong = ["1234567890", "1234567839", "123456789", "12345678930", "3234567893", "123456789X", ""]
    assert [npi for npi in wrong if is_npi(npi)] == []


def test_every_member_and_payer_is_made_up() -> None:
    assert all(re.fullmatch(r"OUT1000000\d\d", member_id) for member_id in RECORDS)
    assert all(record.first.startswith("TEST") for record in RECORDS.values())
    assert all(name.startswith("OUTRIDER ") for name in PAYERS.values())
    assert RECORDS.keys() < MEANINGS.keys()
