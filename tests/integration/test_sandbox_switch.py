"""The card switch over real sockets: what it answers, what each fault makes of a run, and that nothing stays open."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from sandbox_support import CountedNumbers, Sandbox, running
from wire_support import Certificates

from outrider.clock import SystemClock
from outrider.codecs.iso8583 import Layout, Message, decode, encode
from outrider.codecs.iso8583_framing import Framing
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.codecs.records import encode_record
from outrider.config import load_scenario
from outrider.core.outcome import OutcomeClass
from outrider.core.timetable import Timetable
from outrider.core.units import MILLISECOND, SECOND, Duration
from outrider.core.wire import RunRecord
from outrider.execution import Check, Execution, Generators, Surroundings
from outrider.probes import Target
from outrider.resources import shipped
from outrider.scenario import CleanupState, Scenario
from outrider.transport import Exchange, Reply, Request, StreamReply, StreamRequest, Transport, Turn
from outrider.transport.wires import Wires
from outrider_sandbox import edge
from outrider_sandbox.board import Board
from outrider_sandbox.counts import Counts
from outrider_sandbox.latency import Latency
from outrider_sandbox.line import Line
from outrider_sandbox.messages import StreamService
from outrider_sandbox.switch import rooms as switches
from outrider_sandbox.switch.authorizations import Authorizations

OFTEN = (0,) * 50
C = OutcomeClass
S = CleanupState
CARD = "4242424242424242"
ECHO, AUTHORIZE = (
    load_scenario(shipped("scenarios") / f"iso8583-{name}.yaml") for name in ("echo", "authorize-reverse")
)
HEX, BINARY, NEW = Layout(), Layout(1987, "binary"), Layout(1993)
ORDER: Mapping[int, str] = {
    2: CARD, 3: "000000", 4: "000000000100", 7: "1123235959", 11: "000042", 37: "261123000042", 41: "TERM1   ",
    49: "840",
}  # fmt: skip
REVERSAL: Mapping[int, str] = {
    4: "000000000100", 7: "1124000001", 11: "000043", 41: "TERM1   ", 49: "840",
    90: "0100" + "000042" + "1123235959" + "0" * 22,
}  # fmt: skip


NUMBERS = CountedNumbers()


@dataclass(frozen=True)
class Switch:
    """A sandbox with its card switch, as a client sees it."""

    sandbox: Sandbox
    wires: Wires
    framing: Framing
    layout: Layout

    @property
    def url(self) -> str:
        return self.sandbox.services["switch"]

    async def say(self, *frames: bytes, timeout: Duration = 5 * SECOND) -> Exchange[StreamReply]:
        port = int(self.url.rpartition(":")[2])
        turns = tuple(Turn(frame, self.framing.ends) for frame in frames)
        return await self.wires.exchange(StreamRequest("127.0.0.1", port, turns), timeout)  # type: ignore[return-value]

    async def ask(self, mti: str, fields: Mapping[int, str], layout: Layout | None = None) -> Message:
        layout = layout or self.layout
        exchange = await self.say(self.framing.wrap(encode(Message(mti, fields), layout)))
        assert exchange.reply is not None, exchange.failure
        return decode(self.framing.unwrap(exchange.reply.answers[0]), layout)

    async def code(self, mti: str, fields: Mapping[int, str], layout: Layout | None = None) -> str:
        return (await self.ask(mti, fields, layout)).fields[39]

    async def put(self, kind: str, **more: Any) -> None:
        await self.sandbox.put_fault(kind, "switch", **more)

    async def listed(self, **query: str) -> list[dict[str, Any]]:
        reply = await self.sandbox.get("/switch/authorizations", params=query)
        assert reply.json["total"] == len(reply.json["authorizations"])
        return list(reply.json["authorizations"])

    async def open(self) -> int:
        return len(await self.listed(open="true"))


@asynccontextmanager
async def switching(framing: Framing | None = None, bitmap: str = "hex", **more: Any) -> AsyncIterator[Switch]:
    agreed = framing or Framing()
    wires = Wires(SystemClock())
    settings = {"services": {"switch": 0}, "switch_framing": agreed, "switch_bitmap": bitmap, **more}
    async with running(**settings) as sandbox:
        try:
            yield Switch(sandbox, wires, agreed, Layout(1987, bitmap))
        finally:
            await wires.close()


@pytest.fixture
async def switch() -> AsyncIterator[Switch]:
    async with switching() as switch:
        yield switch


# --- what the switch answers ----------------------------------------------------------------------------------------


async def test_an_echo_an_authorization_and_its_reversal_over_one_connection(switch: Switch) -> None:
    messages = [Message("0800", {11: "000001", 70: "301"}), Message("0100", ORDER), Message("0400", REVERSAL)]
    exchange = await switch.say(*(switch.framing.wrap(encode(message, HEX)) for message in messages))
    assert exchange.reply is not None
    answers = [decode(switch.framing.unwrap(answer), HEX) for answer in exchange.reply.answers]
    assert [(answer.mti, answer.fields[11], answer.fields[39]) for answer in answers] == [
        ("0810", "000001", "00"),
        ("0110", "000042", "00"),
        ("0410", "000043", "00"),
    ]
    assert answers[1].fields == {**ORDER, 38: "S00042", 39: "00"}
    (entry,) = await switch.listed()
    assert (entry["state"], entry["card"]) == ("reversed", {"first6": "424242", "last4": "4242"})
    counts = (await switch.sandbox.get("/counts")).json["components"]["switch"]
    assert {kind: tally["answered"] for kind, tally in counts.items()} == {
        "authorization": 1, "network": 1, "reversal": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pan", "amount", "expires", "code"),
    [
        (CARD, "100", "3412", "00"),
        ("4111111111111111", "100", None, "00"),
        ("4000000000000002", "100", None, "05"),
        ("4000000000009995", "100", None, "51"),
        ("4000000000000069", "100", None, "54"),
        ("4000000000000127", "100", None, "05"),
        (CARD, "100", "2001", "54"),
        (CARD, "205", None, "05"),
        ("4000056655665556", "100", None, "14"),  # published, but not here
    ],
)
async def test_cards_and_amounts_are_declined_as_at_the_gateway(
    switch: Switch, pan: str, amount: str, expires: str | None, code: str
) -> None:
    fields = {**ORDER, 2: pan, 4: amount.zfill(12)} | ({14: expires} if expires else {})
    assert await switch.code("0100", fields) == code
    assert await switch.open() == (code == "00")


async def test_the_same_message_again_is_answered_as_before_and_done_once(switch: Switch) -> None:
    first = await switch.ask("0100", ORDER)
    assert await switch.ask("0101", ORDER) == Message("0110", first.fields)
    assert len(await switch.listed()) == 1
    assert await switch.code("0100", {**ORDER, 41: "TERM2   "}) == "00"
    assert len(await switch.listed()) == 2


async def test_a_reversal_is_confirmed_again_and_refused_for_another_amount(switch: Switch) -> None:
    await switch.ask("0100", ORDER)
    assert await switch.code("0400", {**REVERSAL, 4: "000000000099"}) == "64"
    assert await switch.open() == 1
    assert await switch.code("0400", REVERSAL) == "00"
    assert await switch.code("0401", REVERSAL) == "00"
    assert (await switch.ask("0420", REVERSAL)).mti == "0430"
    assert await switch.open() == 0


async def test_who_was_told_that_there_is_nothing_to_reverse_can_rely_on_it(switch: Switch) -> None:
    assert await switch.code("0400", REVERSAL) == "25"
    assert await switch.code("0100", ORDER) == "21"  # it comes late
    assert await switch.code("0400", REVERSAL) == "25"
    assert await switch.open() == 0


@pytest.mark.parametrize(
    ("mti", "fields", "code"),
    [
        ("0100", {number: text for number, text in ORDER.items() if number != 41}, "30"),
        ("0100", {number: text for number, text in ORDER.items() if number != 7}, "30"),
        ("0400", {**REVERSAL, 90: ""}, "30"),
        ("0400", {number: text for number, text in REVERSAL.items() if number != 90}, "30"),
        ("0200", ORDER, "12"),
        ("0800", {70: "301"}, "30"),
    ],
)
async def test_a_message_that_lacks_what_it_needs_is_refused_and_does_nothing(
    switch: Switch, mti: str, fields: dict[int, str], code: str
) -> None:
    assert await switch.code(mti, {number: text for number, text in fields.items() if text}) == code
    assert await switch.listed() == []


async def test_1993_has_its_own_types_and_codes(switch: Switch) -> None:
    fields = {2: CARD, 3: "000000", 4: "000000000100", 11: "000042", 12: "261123235959", 41: "TERM1   ", 49: "840"}
    assert await switch.code("1804", {11: "000001", 24: "831"}, NEW) == "800"
    assert await switch.code("1100", fields, NEW) == "000"
    original = "1100" + "000042" + "261123235959"
    undo = {4: "000000000100", 11: "000043", 41: "TERM1   ", 49: "840", 56: original}
    assert (await switch.ask("1420", undo, NEW)).mti == "1430"
    assert await switch.code("1420", undo, NEW) == "400"
    assert await switch.code("1420", {**undo, 56: original.replace("42", "44")}, NEW) == "914"
    assert await switch.code("1100", {**fields, 2: "4000000000009995", 11: "000050"}, NEW) == "116"
    assert await switch.open() == 0


@pytest.mark.parametrize(
    ("framing", "bitmap"),
    [
        (Framing("ascii-4"), "hex"),
        (Framing("ascii-4", counts_itself=True), "binary"),
        (Framing(counts_itself=True), "hex"),
        (Framing(header=bytes.fromhex("6000030001")), "binary"),
    ],
)
async def test_length_header_and_bitmap_can_be_chosen(framing: Framing, bitmap: str) -> None:
    async with switching(framing, bitmap) as switch:
        assert await switch.code("0100", ORDER) == "00"
        exchange = await switch.say(framing.wrap(encode(Message("0800", {11: "000001"}), switch.layout)))
        assert exchange.reply is not None
        header = exchange.reply.answers[0][2:7]
        assert not framing.header or header == bytes.fromhex("6000010003")  # the addresses turned round
        keys = {"prefix": framing.prefix, "counts_itself": framing.counts_itself, "header": framing.header.hex()}
        execution, _ = await run(switch, changed(AUTHORIZE, framing=keys, spec={"bitmap": bitmap}))
        assert execution.outcome.is_ok


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x20" + b"x" * 32,
        b"\x00\x14" + b"0110" + b"0020000000000000",
        b"\x00\x1a" + b"0810" + b"0020000000000000" + b"000001",
        b"\x00\x30" + b"0100",
        b"\x00",
        b"",
    ],
)
async def test_who_sends_nonsense_or_nothing_is_cut_off_in_time(sent: bytes) -> None:
    async with switching(switch_idle_s=0.2) as switch:
        exchange = await switch.say(sent)
        assert exchange.failure is not None
        assert (exchange.failure.code, exchange.failure.place) == ("closed", "net/wait")
        assert await switch.code("0800", {11: "000001"}) == "00"  # and the others are served


async def test_an_ending_of_amounts_that_is_called_anything_declines() -> None:
    async with switching(decline_endings=(("77", "the moon is full"),)) as switch:
        assert await switch.code("0100", {**ORDER, 4: "000000000177"}) == "05"
        assert await switch.code("0100", {**ORDER, 4: "000000000105", 11: "000043"}) == "00"


@pytest.mark.parametrize("query", [{"open": "yes"}, {"opne": "true"}])
async def test_an_inquiry_is_read_strictly(switch: Switch, query: dict[str, str]) -> None:
    assert (await switch.sandbox.get("/switch/authorizations", params=query)).http == 400


async def test_the_book_is_bounded_and_forgets_what_is_open_last() -> None:
    async with switching(keep=2) as switch:
        for number in range(1, 5):
            await switch.ask("0100", {**ORDER, 11: f"{number:06d}", 2: "4000000000000002" if number == 2 else CARD})
        assert [entry["stan"] for entry in await switch.listed()] == ["000003", "000004"]


# --- a run, and what each fault makes of it -------------------------------------------------------------------------


def changed(scenario: Scenario, **request: object) -> Scenario:
    """The scenario with other keys in every request."""
    steps = [msgspec.structs.replace(each, request={**each.request, **request}) for each in scenario.steps]
    cleanup = [msgspec.structs.replace(each, request={**each.request, **request}) for each in scenario.cleanup]
    return msgspec.structs.replace(scenario, steps=steps, cleanup=cleanup)


async def run(
    switch: Switch,
    scenario: Scenario = AUTHORIZE,
    timeout: Duration = 5 * SECOND,
    attempts: int = 1,
    target: Target | None = None,
    transport: Transport | None = None,
) -> tuple[Execution, RunRecord]:
    """A run, cleaned up, with its record."""
    clock = SystemClock()

    def no_secret(name: str) -> str:
        raise ValueError(name)

    to = target or Target("switch", switch.url)
    check = Check(scenario.name, scenario, to, Timetable("test", scenario.name, 60 * SECOND), timeout)
    around = Surroundings(
        "test", transport or switch.wires, clock, Generators(clock, NUMBERS, no_secret), OUTCOME_TABLE
    )
    execution = Execution(check, around)
    await execution.measure()
    await execution.clean_up(delays=(0,) * attempts)
    return execution, execution.record(purpose="probe", scheduled_at=0)


FAULTS: list[tuple[str, dict[str, Any], C, str, str]] = [
    ("hang", {}, C.SERVICE_DOWN, "timeout", "net/wait"),
    ("delay", {"ms": 60_000}, C.SERVICE_DOWN, "timeout", "net/wait"),
    ("drip", {"bytes_per_s": 1}, C.SERVICE_DOWN, "timeout", "net/receive"),
    ("reset", {}, C.SERVICE_DOWN, "reset", "net/wait"),
    ("truncate", {}, C.SERVICE_DOWN, "truncated", "net/receive"),
    ("html", {}, C.MALFORMED, "bad-length", "body/frame"),
    ("wrong_stan", {}, C.MALFORMED, "mismatch", "echo/de11"),
    ("response_code", {"code": "91"}, C.PARTNER_DOWN, "91", "de39/1987"),
    ("response_code", {"code": "68"}, C.PARTNER_DOWN, "68", "de39/1987"),
    ("response_code", {"code": "92"}, C.SERVICE_DOWN, "92", "de39/1987"),
    ("response_code", {"code": "96"}, C.SERVICE_DOWN, "96", "de39/1987"),
    ("response_code", {"code": "94"}, C.PROBE_FAULT, "94", "de39/1987"),
    ("response_code", {"code": "30"}, C.PROBE_FAULT, "30", "de39/1987"),
    ("response_code", {"code": "05"}, C.BUSINESS_UNEXPECTED, "05", "de39/1987"),
    ("response_code", {"code": "10"}, C.BUSINESS_UNEXPECTED, "unexpected", "expect/de39"),
]
DECLINED = ("05", "30")


@pytest.mark.parametrize(("kind", "more", "outcome", "code", "place"), FAULTS)
@pytest.mark.parametrize("scenario", [ECHO, AUTHORIZE], ids=["echo", "authorize"])
async def test_each_fault_has_its_class_and_the_card_goes_back_afterwards(
    switch: Switch, scenario: Scenario, kind: str, more: dict[str, Any], outcome: C, code: str, place: str
) -> None:
    await switch.put(kind, **more)
    timeout = 300 * MILLISECOND if code == "timeout" else 5 * SECOND
    execution, record = await run(switch, scenario, timeout=timeout)
    said = execution.outcome
    assert (said.outcome, said.code, said.place) == (outcome, code, place)
    if scenario is ECHO:
        assert record.cleanup == S.NONE
        return
    is_declined = more.get("code") in DECLINED
    # The cleanup met the same fault: where its answer cannot be told, the reversal stays due.
    assert record.cleanup == (S.NONE if is_declined else S.UNCONFIRMED)
    assert len(await switch.listed()) == (not is_declined)
    await switch.sandbox.ask("DELETE", "/faults")
    await execution.clean_up(delays=OFTEN)
    assert execution.cleanup is (S.NONE if is_declined else S.CONFIRMED)
    assert await switch.open() == 0


async def test_a_late_answer_leaves_nothing_open(switch: Switch) -> None:
    await switch.put("delay", ms=400)
    execution, record = await run(switch, timeout=200 * MILLISECOND, attempts=2)
    assert (execution.outcome.code, execution.outcome.place) == ("timeout", "net/wait")
    assert record.cleanup == S.UNCONFIRMED  # the reversal was done too, but nobody was there to be told
    (entry,) = await switch.listed()
    assert entry["state"] == "reversed"
    await switch.sandbox.ask("DELETE", "/faults")
    await execution.clean_up(delays=OFTEN)
    assert execution.cleanup is S.CONFIRMED
    (entry,) = await switch.listed()
    assert entry["state"] == "reversed"


class Listening:
    """Real wires, and the bytes that went over them."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires
        self.sent: list[bytes] = []

    async def exchange(self, request: Request, timeout: Duration) -> Exchange[Reply]:
        assert isinstance(request, StreamRequest)
        self.sent += [turn.send for turn in request.turns]
        return await self._wires.exchange(request, timeout)

    async def close(self) -> None:
        await self._wires.close()


async def test_a_reversal_is_repeated_as_it_was_until_it_is_confirmed(switch: Switch) -> None:
    await switch.put("hang")
    listening = Listening(switch.wires)
    execution, record = await run(switch, timeout=100 * MILLISECOND, attempts=3, transport=listening)
    assert len(listening.sent) == 4
    assert len(set(listening.sent[1:])) == 1
    authorization, reversal = (decode(switch.framing.unwrap(sent), HEX) for sent in listening.sent[:2])
    key = authorization.mti + authorization.fields[11] + authorization.fields[7]
    assert reversal.fields[90] == key + "0" * 22
    assert reversal.fields[11] != authorization.fields[11]
    assert record.cleanup == S.UNCONFIRMED
    counts = (await switch.sandbox.get("/counts")).json["components"]["switch"]
    assert counts["reversal"]["received"] == 3
    await switch.sandbox.ask("DELETE", "/faults")
    await execution.clean_up(delays=OFTEN)
    assert execution.cleanup is S.CONFIRMED


async def test_a_reversal_that_finds_nothing_confirms_that_nothing_is_open(switch: Switch) -> None:
    (cleanup,) = AUTHORIZE.cleanup
    pays = AUTHORIZE.steps[0]
    broke = {**pays.request, "fields": {**pays.request["fields"], "pan": "4000000000009995"}}
    steps = [msgspec.structs.replace(pays, request=broke)]
    scenario = msgspec.structs.replace(AUTHORIZE, steps=steps, cleanup=[_always(AUTHORIZE)])
    await switch.put("wrong_stan")  # it was declined, and nobody can tell
    execution, record = await run(switch, scenario)
    assert (execution.outcome.place, record.cleanup) == ("echo/de11", S.UNCONFIRMED)
    await switch.sandbox.ask("DELETE", "/faults")
    await execution.clean_up(delays=OFTEN)
    assert execution.cleanup is S.CONFIRMED
    assert [entry["state"] for entry in await switch.listed()] == ["declined"]
    assert cleanup.expect == {"de39": ["00", "25"]}


async def test_a_card_that_is_expected_to_be_declined_is_ok_and_is_not_reversed(switch: Switch) -> None:
    step = AUTHORIZE.steps[0]
    request = {**step.request, "fields": {**step.request["fields"], "pan": "4000000000009995"}}
    declined = msgspec.structs.replace(step, request=request, expect={"de39": "51"})
    scenario = msgspec.structs.replace(AUTHORIZE, steps=[declined], cleanup=[_always(AUTHORIZE)])
    execution, record = await run(switch, scenario)
    assert (execution.outcome.is_ok, record.cleanup) == (True, S.NONE)
    counts = (await switch.sandbox.get("/counts")).json["components"]["switch"]
    assert "reversal" not in counts


def _always(scenario: Scenario) -> Any:
    """The scenario's cleanup, without a step that could have done it before."""
    return msgspec.structs.replace(scenario.cleanup[0], unless=None)


async def test_the_switch_is_reached_over_tls_and_one_that_nobody_vouches_for_is_told_nothing(
    switch: Switch,
    certificates: Certificates,
) -> None:
    line = Line(
        Board(edge.generator(1, "faults"), edge.monotonic),
        Counts(),
        Latency(edge.generator(1, "latency"), median_ms=0, sigma=0),
    )
    room = switches.Switch(Authorizations(10), Framing(), "hex", {}, edge.utc_now)
    service = StreamService(
        "switch", line, ends=Framing().ends, open_room=lambda: room.answer, kind=room.kind, tls=certificates.server
    )
    address = (await service.start("127.0.0.1", 0)).replace("127.0.0.1", "localhost")
    try:
        assert address.startswith("tls://")
        trusted, record = await run(switch, target=Target("switch", address, ca_file=str(certificates.ca)))
        assert trusted.outcome.is_ok
        assert record.phases.tls > 0
        doubted, record = await run(switch, target=Target("switch", address))
        assert (doubted.outcome.outcome, doubted.outcome.place) == (C.SERVICE_DOWN, "net/tls")
        assert record.cleanup == S.NONE
        assert line.counts.tally("switch", "authorization").received == 1
    finally:
        await service.close()


async def test_nobody_at_the_port_is_service_down_and_leaves_nothing_to_reverse(switch: Switch) -> None:
    execution, record = await run(switch, target=Target("switch", "tcp://127.0.0.1:1"))
    assert (execution.outcome.outcome, execution.outcome.place) == (C.SERVICE_DOWN, "net/connect")
    assert record.cleanup == S.NONE


@pytest.mark.parametrize("kind", ["none", "html", "wrong_stan", "response_code", "hang"])
async def test_no_card_number_is_in_a_record_a_log_or_what_the_sandbox_tells(
    switch: Switch, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    if kind != "none":
        await switch.put(kind, **({"code": "91"} if kind == "response_code" else {}))
    execution, record = await run(switch, timeout=200 * MILLISECOND)
    told = [encode_record(record).decode(), repr(execution.outcome), caplog.text]
    for path in ("/", "/counts", "/switch/authorizations", "/faults"):
        told.append((await switch.sandbox.get(path)).raw.decode())
    for text in told:
        digits = text.replace(" ", "").replace("-", "")
        assert CARD not in digits
        assert CARD[:7] not in digits
