"""Every example of every outcome class, made to happen over real sockets: what the run becomes, and whose fault it is.

The table in docs/outcomes.md is this test's output: with OUTRIDER_WRITE_DOCS=1 it is written, else it is compared.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sandbox_support import CountedNumbers, Sandbox, running
from test_scenarios import SHIPPED, targets

from outrider.clock import SystemClock
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.config import load_scenario
from outrider.core.outcome import STANDINGS, Finding, Outcome, OutcomeClass, Standing
from outrider.core.timetable import Timetable
from outrider.core.units import MILLISECOND, SECOND, Duration, Instant
from outrider.execution import Check, Execution, Generators, NoLag, Surroundings
from outrider.transport.wires import Wires
from outrider_sandbox.services import SERVICES

C = OutcomeClass
PAGE = Path(__file__).parents[2] / "docs" / "outcomes.md"
BEGIN, END = "<!-- rows: made by tests/integration/test_outcome_rows.py -->\n", "<!-- end of rows -->\n"

Bytes = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Row:
    """An example: the class that it has to become, what happens, in which scenario, and how it is made to happen."""

    outcome: OutcomeClass
    happens: str
    scenario: str = "eligibility"
    fault: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""
    on_the_way: tuple[Bytes, Bytes] | None = None
    timeout: Duration = 5 * SECOND
    verify_tls: bool = False
    agent: str = ""


def changed(old: bytes, new: bytes) -> Bytes:
    """The same number of bytes, so that lengths stay right."""
    return lambda message: re.sub(old, lambda found: new.ljust(len(found[0]), b"9"), message)


def same(message: bytes) -> bytes:
    return message


def clearinghouse(kind: str, **more: object) -> dict[str, object]:
    return {"kind": kind, "component": "clearinghouse", **more}


ROWS = [
    Row(C.OK, "the expected answer"),
    Row(C.OK, "an expected rejection: AAA 75 for an unknown member", "eligibility-not-found"),
    Row(C.OK, "an expected decline of a test card", "card-decline"),
    Row(C.BUSINESS_UNEXPECTED, "a known member comes back as not found: AAA 75",
        fault=clearinghouse("aaa", code="75", loop="2100C")),
    Row(C.BUSINESS_UNEXPECTED, "a good card is declined", "card-authorize-void",
        {"kind": "decline", "component": "gateway", "code": "do_not_honor"}),
    Row(C.PARTNER_DOWN, "AAA 42 at the information source (2100A)",
        fault=clearinghouse("aaa", code="42", loop="2100A")),
    Row(C.PARTNER_DOWN, "AAA 42 below it (2100B)", fault=clearinghouse("aaa", code="42", loop="2100B")),
    Row(C.PARTNER_DOWN, "AAA 80 (no response received)", fault=clearinghouse("aaa", code="80", loop="2100A")),
    Row(C.PARTNER_DOWN, "ISO 8583 field 39: 91 (issuer not available)", "iso8583-authorize-reverse",
        {"kind": "response_code", "component": "switch", "code": "91"}),
    Row(C.PARTNER_DOWN, "the gateway's issuer does not answer", "card-authorize-void",
        {"kind": "decline", "component": "gateway", "code": "issuer_unavailable"}),
    Row(C.SERVICE_DOWN, "DNS: the name does not resolve", "portal", url="http://no-such-host.invalid",
        timeout=60 * SECOND),
    Row(C.SERVICE_DOWN, "TCP: the connection is refused", "portal", url="http://127.0.0.1:1"),
    Row(C.SERVICE_DOWN, "TLS: the certificate is nobody's we trust", "tls-certificate", verify_tls=True),
    Row(C.SERVICE_DOWN, "a time-out", fault=clearinghouse("hang"), timeout=300 * MILLISECOND),
    Row(C.SERVICE_DOWN, "a reset", fault=clearinghouse("reset")),
    Row(C.SERVICE_DOWN, "a 5xx", fault=clearinghouse("error", code=503)),
    Row(C.SERVICE_DOWN, "a SOAP Receiver fault", "eligibility-soap", clearinghouse("soap_fault", code="Receiver")),
    Row(C.SERVICE_DOWN, "AAA 42 at the forwarder's level (2000A)", fault=clearinghouse("aaa", code="42", loop="2000A")),
    Row(C.SERVICE_DOWN, "ISO 8583 field 39: 96 (system malfunction)", "iso8583-authorize-reverse",
        {"kind": "response_code", "component": "switch", "code": "96"}),
    Row(C.SERVICE_DOWN, "STC E1 (system not available)", "claim-status", clearinghouse("stc", code="E1", loop="2200B")),
    Row(C.MALFORMED, "HTML with status 200", fault=clearinghouse("html")),
    Row(C.MALFORMED, "X12 that ends in its middle", fault=clearinghouse("truncate")),
    Row(C.MALFORMED, "control numbers that do not match (IEA02)",
        on_the_way=(same, changed(rb"IEA\*1\*\d{9}", b"IEA*1*"))),
    Row(C.MALFORMED, "counts that do not match (SE01)", on_the_way=(same, changed(rb"SE\*\d{2}\*", b"SE*77*"))),
    Row(C.MALFORMED, "somebody else's answer: the trace (TRN)", fault=clearinghouse("wrong_trn")),
    Row(C.MALFORMED, "somebody else's answer: the PayloadID", fault=clearinghouse("wrong_payload_id")),
    Row(C.MALFORMED, "somebody else's answer: the STAN", "iso8583-echo", {"kind": "wrong_stan", "component": "switch"}),
    Row(C.MALFORMED, "somebody else's answer: the FHIR request", "fhir-eligibility", clearinghouse("wrong_request")),
    Row(C.THROTTLED, "429", fault=clearinghouse("throttle")),
    Row(C.PROBE_FAULT, "401", fault=clearinghouse("unauthorized")),
    Row(C.PROBE_FAULT, "403", fault=clearinghouse("unauthorized"),
        on_the_way=(same, changed(rb"HTTP/1\.1 401", b"HTTP/1.1 403"))),
    Row(C.PROBE_FAULT, "a 999 that rejects our request", "claim-submit", clearinghouse("ack", code="R")),
    Row(C.PROBE_FAULT, "a TA1 that rejects our interchange", on_the_way=(changed(rb"IEA\*1\*\d{9}", b"IEA*1*"), same)),
    Row(C.PROBE_FAULT, "AAA 41 (authorisation restrictions)", fault=clearinghouse("aaa", code="41", loop="2000A")),
    Row(C.PROBE_FAULT, "AAA 43 (provider identification)", fault=clearinghouse("aaa", code="43", loop="2100B")),
    Row(C.PROBE_FAULT, "AAA 51 (provider not on file)", fault=clearinghouse("aaa", code="51", loop="2100B")),
    Row(C.PROBE_FAULT, "an envelope error about our fields", on_the_way=(changed(rb"2\.2\.0", b"2.9.0"), same)),
    Row(C.PROBE_FAULT, "a credential that is not valid any more",
        settings={"core_username": "agreed", "core_password": "expired"}),
    Row(C.AGENT_FAULT, "the agent was suspended, or its clock stepped", agent="clock"),
    Row(C.AGENT_FAULT, "the loop was late", agent="lag"),
]  # fmt: skip


class SteppingClock(SystemClock):
    """The wall clock jumps ahead by an hour after the run has begun, as it does when a machine wakes up."""

    def __init__(self) -> None:
        self.readings = 0

    def now(self) -> Instant:
        self.readings += 1
        return super().now() + (3600 * SECOND if self.readings > 1 else 0)


class Late:
    def finding_since(self, began: Duration) -> Finding | None:
        return Finding("loop-lag", "agent/loop", "the agent itself was late")


@asynccontextmanager
async def relay(port: int, there: Bytes, back: Bytes) -> AsyncIterator[str]:
    """Bytes to and from a port, changed on the way."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, change: Bytes) -> None:
        while chunk := await reader.read(1 << 16):
            writer.write(change(chunk))
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, far_writer, there), copy(far_reader, writer, back), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def outcome_of(row: Row) -> Outcome:
    async with running(services=dict.fromkeys(SERVICES, 0), **row.settings) as sandbox:
        if row.fault:
            answer = await sandbox.ask("PUT", "/faults/it", json=dict(row.fault))
            assert answer.http == 200, answer.raw
        if row.on_the_way is None:
            return await measured(row, sandbox)
        async with relay(sandbox.port, *row.on_the_way) as url:
            return await measured(replace(row, url=url), sandbox)


async def measured(row: Row, sandbox: Sandbox) -> Outcome:
    target = targets(sandbox)[row.scenario]
    target = replace(target, url=row.url or target.url, verify_tls=row.verify_tls or target.verify_tls)
    clock = SteppingClock() if row.agent == "clock" else SystemClock()
    wires = Wires(clock)
    generate = Generators(SystemClock(), CountedNumbers(), str)
    check = Check(
        row.scenario, load_scenario(SHIPPED[row.scenario]), target, Timetable("t", "x", 60 * SECOND), row.timeout
    )
    lag = Late() if row.agent == "lag" else NoLag()
    execution = Execution(check, Surroundings("test", wires, clock, generate, OUTCOME_TABLE, lag))
    try:
        await execution.measure()
    finally:
        await wires.close()
    return execution.outcome


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.outcome}: {row.happens}")
async def test_what_happens_becomes_the_class_that_the_design_gives_it(row: Row) -> None:
    outcome = await outcome_of(row)
    assert outcome.outcome is row.outcome, outcome
    assert (outcome.code, outcome.place) != ("", "") or row.outcome is C.OK


COUNTS = {
    Standing.GOOD: ("good", "good"),
    Standing.BAD: ("bad", "bad"),
    Standing.PARTNER: ("good; left out of response times", "bad"),
    Standing.VOID: ("void", "void"),
}


async def test_the_page_has_the_table_that_these_runs_give() -> None:
    lines = [
        "| What happens | Scenario | Code | Place | A run becomes | Whose fault | Network | End to end |",
        "|---" * 8 + "|",
    ]
    for row in ROWS:
        outcome = await outcome_of(row)
        network, end_to_end = COUNTS[STANDINGS[outcome.outcome]]
        code, place = (f"`{each}`" if each else "" for each in (outcome.code, outcome.place))
        lines.append(
            f"| {row.happens} | {row.scenario} | {code} | {place} | `{outcome.outcome}` | {outcome.fault} "
            f"| {network} | {end_to_end} |"
        )
    made = "\n".join(lines) + "\n"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    shown, _, after = rest.partition(END)
    if os.environ.get("OUTRIDER_WRITE_DOCS"):
        PAGE.write_text(before + BEGIN + made + END + after, encoding="utf-8")
    else:
        assert shown == made, "OUTRIDER_WRITE_DOCS=1 writes the page anew"
