"""Prior authorisation at the clearinghouse over real sockets, with pyx12 as the second reader."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pyx12.x12file import X12Reader
from sandbox_support import Sandbox, running

from outrider.codecs import core_mime
from outrider.codecs.core_mime import Envelope
from outrider.codecs.prior_authorization import (
    Dependent,
    Event,
    Member,
    ReviewRequest,
    read_response,
    write_request,
)
from outrider.core.outcome import Observation
from outrider_sandbox.clearinghouse.members import RECORDS, SURNAME, UNKNOWN_NPI
from outrider_sandbox.clearinghouse.reviews import DECISIONS, MEANINGS

TRACE = "TRACE-000000019"
MEMBER = Member(SURNAME, "TESTONE", "OUT100000001", "19700101", "F")
CHILD = Dependent(SURNAME, "TESTCHILD", "20150401")
REQUEST = ReviewRequest(
    "OUTRIDERAGENT",
    "OUTRIDERSANDBOX",
    19,
    TRACE,
    "OUTRIDER TEST PAYER",
    "OUTPAYER01",
    "OUTRIDER TEST CLINIC",
    "1234567893",
    MEMBER,
    Event("HS", "3", "20260601", "R519"),
    created=datetime(2026, 6, 1, 22, 0, tzinfo=UTC),
)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


async def ask(sandbox: Sandbox, request: ReviewRequest = REQUEST, payload: bytes | None = None) -> Observation:
    """What came back, as our own codec reads it, after pyx12 found nothing wrong with it."""
    sent = Envelope(
        payload_type=core_mime.X12_278_REQUEST,
        payload_id="0b7a4a3e-6f0e-4f0a-9f67-0d1f6d6c1b13",
        timestamp="2026-06-01T22:00:00Z",
        sender_id="OUTRIDERAGENT",
        receiver_id="OUTRIDERSANDBOX",
        payload=payload or write_request(request),
    )
    content_type, body = core_mime.write(sent, boundary="test-boundary-9")
    reply = await sandbox.ask("POST", "/core/realtime", data=body, headers={"Content-Type": content_type})
    received = core_mime.read(reply.content_type, reply.raw)
    if received.payload.rstrip().endswith(b"~") and b"~IEA*" in received.payload:
        reader = X12Reader(io.StringIO(received.payload.decode("ascii")))
        errors = [error for _segment in reader for error in reader.pop_errors()]
        reader.cleanup()
        assert [*errors, *reader.pop_errors()] == []
    return read_response(received.payload, trace=TRACE)


@pytest.mark.parametrize(
    ("service_type", "action"), [*((key, each.action) for key, each in DECISIONS.items()), ("98", "NA")]
)
@pytest.mark.parametrize("dependent", [None, CHILD])
async def test_the_type_of_service_decides(
    sandbox: Sandbox, dependent: Dependent | None, service_type: str, action: str
) -> None:
    request = replace(REQUEST, event=Event("HS", service_type), dependent=dependent)
    seen = await ask(sandbox, request)
    assert seen.findings == ()
    assert seen.facts == {"set": ("278",), "hcr": (action,), "aaa": (), "trn": (TRACE,)}


def member(member_id: str) -> ReviewRequest:
    record = RECORDS.get(member_id, RECORDS["OUT100000001"])
    return replace(REQUEST, member=Member(SURNAME, record.first, member_id, record.birth_date))


@pytest.mark.parametrize(
    ("request_", "code", "loop"),
    [
        (replace(REQUEST, payer_id="NOBODY"), "79", "2010A"),
        (replace(REQUEST, provider_npi="1234567890"), "43", "2010B"),
        (replace(REQUEST, provider_npi=UNKNOWN_NPI), "51", "2010B"),
        (member("OUT100000042"), "42", "2010A"),
        (member("OUT100000099"), "75", "2010C"),
        (member("NONE"), "72", "2010C"),
        (member("OUT100000003"), "95", "2010C"),
        (replace(REQUEST, dependent=replace(CHILD, first="NOBODY")), "67", "2010D"),
    ],
)
async def test_what_cannot_be_reviewed_is_rejected_in_its_loop(
    sandbox: Sandbox, request_: ReviewRequest, code: str, loop: str
) -> None:
    seen = await ask(sandbox, request_)
    assert [(finding.code, finding.place) for finding in seen.findings] == [(code, f"aaa/{loop}")]
    assert seen.facts["hcr"] == ()


async def test_the_faults_of_a_278_take_effect(sandbox: Sandbox) -> None:
    await sandbox.put_fault("hcr", "clearinghouse", code="A3")
    assert (await ask(sandbox)).facts["hcr"] == ("A3",)
    await sandbox.put_fault("wrong_trn", "clearinghouse")
    assert [finding.place for finding in (await ask(sandbox)).findings] == ["echo/trn"]
    await sandbox.put_fault("truncate", "clearinghouse")
    assert [finding.code for finding in (await ask(sandbox)).findings] == ["truncated"]


async def test_a_278_without_a_trace_gets_a_999(sandbox: Sandbox) -> None:
    payload = write_request(REQUEST).replace(f"TRN*1*{TRACE}*9OUTRIDER1~".encode(), b"REF*EJ*1~")
    seen = await ask(sandbox, payload=payload)
    assert [finding.place for finding in seen.findings] == ["999/IK501", "999/AK901"]


def test_every_decision_is_explained() -> None:
    assert DECISIONS.keys() < MEANINGS.keys()
