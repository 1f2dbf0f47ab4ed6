"""One run against a fake transport and a clock that only moves when a test moves it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.core.clock_estimate import Offset, Reading
from outrider.core.outcome import Fault, Finding, OutcomeClass
from outrider.core.timetable import Timetable
from outrider.core.units import HOUR, MILLISECOND, MINUTE, SECOND, parse_instant
from outrider.core.wire import Phases, RunRecord, StepRecord
from outrider.execution import Check, Execution, Generators, Lag, NoLag, Surroundings, secrets_from
from outrider.probes import Target
from outrider.redact import Redactor
from outrider.scenario import CleanupState, Scenario
from outrider.spool import SpoolError
from outrider.transport import Exchange, HttpReply, HttpRequest
from outrider.transport.fake import Answer, FakeTransport

C = OutcomeClass
START = parse_instant("2026-06-01T12:00:00Z")
AT_ONCE = (0, 0, 0)
TIMEOUT = Finding("timeout", "net/wait", "no answer within 10 s")


class DrivenClock:
    """Time passes when `wait` is called, and the wall clock is set by `step`."""

    def __init__(self) -> None:
        self._wall, self._steady = START, 5 * HOUR

    def now(self) -> int:
        return self._wall

    def monotonic(self) -> int:
        return self._steady

    def wait(self, duration: int) -> None:
        self._wall += duration
        self._steady += duration

    def step(self, duration: int) -> None:
        self._wall += duration


class Numbers:
    """Control numbers from 1; `failure` is raised instead, where there is one."""

    def __init__(self, failure: str = "") -> None:
        self._failure = failure
        self._last = 0

    def control_number(self) -> int:
        if self._failure:
            raise SpoolError(self._failure)
        self._last += 1
        return self._last


class Late:
    """A loop that was late during every run; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def finding_since(self, began: int) -> Finding | None:
        self.asked.append(began)
        return Finding("loop-lag", "agent/loop", "the agent itself was late")


class Network(FakeTransport):
    """Answers the paths of a table in turn, each after its time, and keeps the timeouts that were given."""

    def __init__(self, clock: DrivenClock, answers: dict[str, list[Answer]], took: dict[str, int]) -> None:
        super().__init__(self._answer, latency=7 * MILLISECOND)
        self._clock, self._answers, self._took = clock, answers, took
        self.timeouts: list[int] = []
        self.before: Callable[[str], None] = lambda path: None

    def _answer(self, request: HttpRequest) -> Answer:
        path = request.url.removeprefix("https://gateway.test")
        self.before(path)
        self._clock.wait(self._took.get(path, 7 * MILLISECOND))
        return self._answers[path].pop(0)

    async def exchange(self, request: Any, timeout: int) -> Exchange[Any]:
        self.timeouts.append(timeout)
        return await super().exchange(request, timeout)

    @property
    def paths(self) -> list[str]:
        return [request.url.removeprefix("https://gateway.test") for request in self.sent]


def reply(status: int = 200, **body: object) -> HttpReply:
    return HttpReply(status, (("Content-Type", "application/json"),), json.dumps(body).encode())


def post(name: str, path: str, **more: Any) -> dict[str, Any]:
    request = {"method": "POST", "path": path, "json": {"of": name}, "headers": {"Idempotency-Key": f"${{{name}_key}}"}}
    return {"name": name, "request": request, **more}


PAY = post("pay", "/pay", capture={"payment": "json.id"}, expect={"json.state": "paid"})
SHOW = {"name": "show", "request": {"path": "/show/${payment}"}}
UNDO = post("undo", "/undo/${payment}", undoes="pay")


def scenario(*steps: dict[str, Any], cleanup: tuple[dict[str, Any], ...] = (), **more: Any) -> Scenario:
    names = {"pay_key": "${uuid}", "undo_key": "${uuid}"}
    head = {"name": "payment", "title": "A payment", "synthetic": True, "probe": "http", "names": names}
    return msgspec.convert({**head, "steps": steps, "cleanup": cleanup, **more}, Scenario)


PAYING = scenario(PAY, cleanup=(UNDO,))
PAYING_AND_SHOWING = scenario(PAY, SHOW, cleanup=(UNDO,))


class Case:
    """One run, and everything around it."""

    def __init__(
        self,
        made: Scenario,
        answers: dict[str, list[Answer]] | None = None,
        took: dict[str, int] | None = None,
        *,
        lag: Lag | None = None,
        numbers: Numbers | None = None,
        environ: dict[str, str] | None = None,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self.clock = DrivenClock()
        self.network = Network(self.clock, answers or {}, took or {})
        check = Check(
            "card payment",
            made,
            Target("gateway", "https://gateway.test"),
            Timetable("us-east", "card payment", 30 * SECOND),
            10 * SECOND,
        )
        surroundings = Surroundings(
            region="us-east",
            transport=self.network,
            clock=self.clock,
            generate=Generators(self.clock, numbers or Numbers(), secrets_from(environ or {})),
            table=OUTCOME_TABLE,
            lag=lag or NoLag(),
            describe=Redactor(secrets).text,
        )
        self.execution = Execution(check, surroundings)

    async def run(self, **more: Any) -> RunRecord:
        """Measure, clean up without waiting, and say what is left behind."""
        await self.execution.measure()
        await self.execution.clean_up(AT_ONCE)
        return self.execution.record(purpose="probe", scheduled_at=START - 400, **more)


PAID: list[Answer] = [reply(id="P-1", state="paid")]


# --- what a run leaves behind ------------------------------------------------------------------------------------


async def test_a_record_says_what_ran_when_and_how_long_it_took() -> None:
    case = Case(PAYING_AND_SHOWING, {"/pay": PAID.copy(), "/show/P-1": [reply()], "/undo/P-1": [reply()]},
                {"/pay": 120 * MILLISECOND, "/show/P-1": 30 * MILLISECOND, "/undo/P-1": 9 * SECOND})  # fmt: skip
    phases = Phases(wait=7 * MILLISECOND)
    assert await case.run(reading=Reading("b00t", 77, Offset(-50, 900))) == RunRecord(
        check="card payment",
        scenario="payment",
        region="us-east",
        purpose="probe",
        scheduled_at=START - 400,
        started_at=START,
        interval=30 * SECOND,
        latency=150 * MILLISECOND,
        outcome="ok",
        fault="none",
        step="show",
        status=200,
        cleanup="confirmed",
        clock_offset=-50,
        clock_error=900,
        boot="b00t",
        boottime=77,
        phases=phases + phases,
        steps=(
            StepRecord("pay", "ok", "", "", 120 * MILLISECOND, phases, 200),
            StepRecord("show", "ok", "", "", 30 * MILLISECOND, phases, 200),
        ),
    )


async def test_a_scenario_of_one_step_repeats_nothing_in_its_record() -> None:
    case = Case(scenario(PAY), {"/pay": [reply(201, id="P-1", state="paid")]})
    record = await case.run()
    assert (record.steps, record.status, record.cleanup, record.step) == ((), 201, "none", "pay")


@pytest.mark.parametrize(
    ("answer", "outcome", "fault", "code", "place", "status"),
    [
        (reply(503), C.SERVICE_DOWN, Fault.SERVICE, "503", "status", 503),
        (reply(429), C.THROTTLED, Fault.SERVICE, "429", "status", 429),
        (reply(401), C.PROBE_FAULT, Fault.AGENT, "401", "status", 401),
        (reply(402), C.BUSINESS_UNEXPECTED, Fault.SERVICE, "402", "status", 402),
        (reply(id="P-1", state="open"), C.BUSINESS_UNEXPECTED, Fault.SERVICE, "unexpected", "expect/json.state", 200),
        (reply(state="paid"), C.MALFORMED, Fault.SERVICE, "missing", "expect/json.id", 200),
        (HttpReply(200, (), b"<html>"), C.MALFORMED, Fault.SERVICE, "not-json", "body/type", 200),
        (TIMEOUT, C.SERVICE_DOWN, Fault.SERVICE, "timeout", "net/wait", 0),
        (Finding("too-long", "body/size"), C.MALFORMED, Fault.SERVICE, "too-long", "body/size", 0),
        (Finding("EMFILE", "agent/socket"), C.AGENT_FAULT, Fault.AGENT, "EMFILE", "agent/socket", 0),
    ],
)
async def test_the_answer_decides_class_code_place_and_culprit(
    answer: Answer, outcome: OutcomeClass, fault: Fault, code: str, place: str, status: int
) -> None:
    case = Case(scenario(PAY), {"/pay": [answer]})
    record = await case.run()
    assert (record.outcome, record.fault, record.code, record.place) == (outcome, fault, code, place)
    assert (record.step, record.status) == ("pay", status)


async def test_a_step_that_failed_ends_the_clock() -> None:
    case = Case(PAYING_AND_SHOWING, {"/pay": PAID.copy(), "/show/P-1": [reply(500)], "/undo/P-1": [reply()]},
                {"/pay": SECOND, "/show/P-1": 2 * SECOND, "/undo/P-1": 4 * SECOND})  # fmt: skip
    record = await case.run()
    assert (record.latency, record.step, record.code) == (3 * SECOND, "show", "500")
    assert [(step.name, step.outcome, step.latency) for step in record.steps] == [
        ("pay", "ok", SECOND),
        ("show", "service_down", 2 * SECOND),
    ]


# --- time --------------------------------------------------------------------------------------------------------


async def test_the_steps_share_one_timeout() -> None:
    case = Case(PAYING_AND_SHOWING, {"/pay": PAID.copy(), "/show/P-1": [reply()], "/undo/P-1": [reply()]},
                {"/pay": 6 * SECOND})  # fmt: skip
    await case.run()
    assert case.network.timeouts == [10 * SECOND, 4 * SECOND, 10 * SECOND]  # cleanup has a time of its own


@pytest.mark.parametrize("took", [10 * SECOND, 11 * SECOND])
async def test_a_step_for_which_no_time_is_left_is_not_sent(took: int) -> None:
    case = Case(PAYING_AND_SHOWING, {"/pay": PAID.copy(), "/undo/P-1": [reply()]}, {"/pay": took})
    record = await case.run()
    assert case.network.paths == ["/pay", "/undo/P-1"]
    assert (record.outcome, record.code, record.place) == (C.SERVICE_DOWN, "timeout", "net/connect")
    assert (record.step, record.detail) == ("show", "no time was left for this step")
    assert record.latency == took


@pytest.mark.parametrize("moved", [-HOUR, -SECOND - 1, SECOND + 1, HOUR])
async def test_a_wall_clock_that_was_set_during_a_run_voids_it(moved: int) -> None:
    case = Case(scenario(PAY), {"/pay": PAID.copy()})
    case.network.before = lambda path: case.clock.step(moved)
    record = await case.run()
    assert (record.outcome, record.code, record.place) == (C.AGENT_FAULT, "clock-stepped", "agent/clock")
    assert record.detail == f"the wall clock moved {moved / SECOND:+.1f} s during the run"
    assert record.latency == 7 * MILLISECOND  # from the monotonic clock alone


@pytest.mark.parametrize("moved", [-SECOND, 0, SECOND])
async def test_a_wall_clock_that_is_being_slewed_voids_nothing(moved: int) -> None:
    case = Case(scenario(PAY), {"/pay": PAID.copy()})
    case.network.before = lambda path: case.clock.step(moved)
    assert (await case.run()).outcome == C.OK


async def test_a_run_on_a_late_loop_is_void_and_not_slow() -> None:
    late = Late()
    case = Case(scenario(PAY), {"/pay": [TIMEOUT]}, lag=late)
    record = await case.run()
    assert (record.outcome, record.fault, record.place) == (C.AGENT_FAULT, Fault.AGENT, "agent/loop")
    assert late.asked == [5 * HOUR]  # since the run began, on the monotonic clock


async def test_a_void_run_is_cleaned_up_like_any_other() -> None:
    case = Case(PAYING, {"/pay": PAID.copy(), "/undo/P-1": [reply()]}, lag=Late())
    record = await case.run()
    assert (record.outcome, record.cleanup) == (C.AGENT_FAULT, "confirmed")


# --- what the agent itself cannot do -----------------------------------------------------------------------------


def asking(value: str) -> Scenario:
    return scenario({"name": "ask", "request": {"path": "/ask", "headers": {"Authorization": value}}}, names={})


@pytest.mark.parametrize(
    "made",
    [
        asking("Bearer ${secret:TOKEN}"),
        scenario({"name": "ask", "request": {"path": "/ask"}}, names={"token": "${secret:TOKEN}"}),
    ],
    ids=["in the request", "in a name"],
)
async def test_a_secret_that_is_missing_is_the_agents_fault_and_nothing_is_sent(made: Scenario) -> None:
    case = Case(made)
    record = await case.run()
    assert (record.outcome, record.code, record.place) == (C.AGENT_FAULT, "cannot-prepare", "agent/request")
    assert record.detail == "secret TOKEN is not set; set TOKEN or TOKEN_FILE in the environment"
    assert (record.step, record.latency, record.started_at) == ("ask", 0, START)
    assert case.network.sent == []


async def test_a_secret_that_no_header_can_hold_is_the_agents_fault_and_is_not_shown() -> None:
    case = Case(asking("Bearer ${secret:TOKEN}"), environ={"TOKEN": "hush\r\nX-Admin: yes"})
    record = await case.run()
    assert (record.outcome, record.place) == (C.AGENT_FAULT, "agent/request")
    assert record.detail == "header Authorization holds a line end or another character that no header can"
    assert case.network.sent == []


ELIGIBILITY = scenario(
    {
        "name": "inquiry",
        "request": {
            "path": "/core",
            "sender": "OUTRIDER",
            "receiver": "CLEARING",
            "payer": {"name": "TEST PAYER", "id": "P1"},
            "provider": {"name": "TEST CLINIC", "id": "1234567893"},
            "member": {"last": "OUTRIDER", "first": "TESTONE", "id": "M1", "birth_date": "19700101"},
        },
    },
    probe="x12",
)


async def test_a_spool_that_gives_no_control_number_voids_the_run_and_not_the_agent() -> None:
    case = Case(ELIGIBILITY, numbers=Numbers("/var/spool does not answer"))
    record = await case.run()
    assert (record.outcome, record.place) == (C.AGENT_FAULT, "agent/request")
    assert record.detail == "/var/spool does not answer"


async def test_a_second_step_that_cannot_be_made_leaves_the_first_one_undone_properly() -> None:
    show = {"name": "show", "request": {"path": "/show", "headers": {"Authorization": "${secret:TOKEN}"}}}
    case = Case(scenario(PAY, show, cleanup=(UNDO,)), {"/pay": PAID.copy(), "/undo/P-1": [reply()]})
    record = await case.run()
    assert case.network.paths == ["/pay", "/undo/P-1"]
    assert (record.outcome, record.step, record.cleanup) == (C.AGENT_FAULT, "show", "confirmed")
    assert record.latency == 7 * MILLISECOND


async def test_a_run_that_is_cancelled_says_so() -> None:
    case = Case(scenario(PAY))
    never = asyncio.get_running_loop().create_future()

    async def hang(request: HttpRequest, timeout: int) -> Exchange:
        await never
        raise AssertionError("nothing ever comes")

    case.network.exchange = hang  # type: ignore[method-assign]
    run = asyncio.create_task(case.execution.measure())
    asyncio.get_running_loop().call_soon(run.cancel)
    with pytest.raises(asyncio.CancelledError):
        await run


# --- what leaves the process -------------------------------------------------------------------------------------


async def test_a_secret_that_a_service_sends_back_does_not_get_into_the_record() -> None:
    secret = "correct-horse-battery"
    step = {"name": "ask", "request": {"path": "/ask"}, "expect": {"json.owner": "${secret:TOKEN}"}}
    case = Case(scenario(step), {"/ask": [reply(owner=f"not {secret}")]}, environ={"TOKEN": secret}, secrets=(secret,))
    record = await case.run()
    assert (record.code, record.place) == ("unexpected", "expect/json.owner")
    assert secret not in repr(record)
    assert record.detail.startswith("expected ")


async def test_a_card_number_in_an_answer_does_not_get_into_the_record() -> None:
    case = Case(scenario(PAY), {"/pay": [reply(id="P-1", state="card 4111111111111111 was declined")]})
    record = await case.run()
    assert "4111111111111111" not in record.detail
    assert "411111" in record.detail


# --- cleanup -----------------------------------------------------------------------------------------------------


async def test_cleanup_is_never_measured() -> None:
    case = Case(PAYING, {"/pay": PAID.copy(), "/undo/P-1": [reply()]}, {"/pay": SECOND, "/undo/P-1": 8 * SECOND})
    record = await case.run()
    assert (record.latency, record.phases, record.steps) == (SECOND, Phases(wait=7 * MILLISECOND), ())
    assert (record.outcome, record.status, record.cleanup) == ("ok", 200, "confirmed")


async def test_after_a_timeout_the_same_request_asks_whether_it_happened_and_is_undone() -> None:
    case = Case(PAYING, {"/pay": [TIMEOUT, *PAID], "/undo/P-1": [reply()]})
    record = await case.run()
    first, again, undo = case.network.sent
    assert first == again  # the idempotency key with it
    assert undo.url == "https://gateway.test/undo/P-1"
    assert dict(undo.headers)["Idempotency-Key"] != dict(first.headers)["Idempotency-Key"]
    assert (record.outcome, record.code, record.cleanup) == (C.SERVICE_DOWN, "timeout", "confirmed")


async def test_a_cleanup_is_tried_as_often_as_there_are_delays_and_always_with_the_same_request() -> None:
    case = Case(PAYING, {"/pay": PAID.copy(), "/undo/P-1": [reply(500), TIMEOUT, reply(500)]})
    record = await case.run()
    assert case.network.paths == ["/pay", *["/undo/P-1"] * 3]
    assert len(set(case.network.sent[1:])) == 1
    assert (record.outcome, record.cleanup) == ("ok", "unconfirmed")


async def test_a_cleanup_that_was_confirmed_is_not_repeated() -> None:
    case = Case(PAYING, {"/pay": PAID.copy(), "/undo/P-1": [reply(500), reply()]})
    assert (await case.run()).cleanup == "confirmed"
    assert case.network.paths == ["/pay", "/undo/P-1", "/undo/P-1"]


async def test_a_run_with_nothing_to_undo_sends_nothing_more() -> None:
    case = Case(PAYING, {"/pay": [Finding("refused", "net/connect")]})
    assert (await case.run()).cleanup == "none"
    assert case.network.paths == ["/pay"]


async def test_who_is_in_a_hurry_tries_once_and_does_not_wait() -> None:
    case = Case(PAYING, {"/pay": PAID.copy(), "/undo/P-1": [reply(500)]})
    hurry = asyncio.Event()
    hurry.set()
    await case.execution.measure()
    assert await case.execution.clean_up((HOUR, HOUR, HOUR), hurry) is CleanupState.UNCONFIRMED
    assert case.network.paths == ["/pay", "/undo/P-1"]


async def test_a_hurry_during_a_wait_means_one_last_attempt_at_once() -> None:
    case = Case(PAYING, {"/pay": PAID.copy(), "/undo/P-1": [reply(500), reply(500)]})
    hurry = asyncio.Event()

    def hurry_soon(path: str) -> None:
        if path == "/undo/P-1":
            asyncio.get_running_loop().call_soon(hurry.set)

    case.network.before = hurry_soon
    await case.execution.measure()
    assert await case.execution.clean_up((0, HOUR, HOUR), hurry) is CleanupState.UNCONFIRMED
    assert case.network.paths == ["/pay", "/undo/P-1", "/undo/P-1"]


async def test_a_hurry_during_an_attempt_leaves_one_more_at_once() -> None:
    case = Case(PAYING, {"/pay": PAID.copy(), "/undo/P-1": [reply(500), reply()]})
    hurry = asyncio.Event()
    case.network.before = lambda path: hurry.set() if path == "/undo/P-1" else None
    await case.execution.measure()
    assert await case.execution.clean_up((0, HOUR, HOUR), hurry) is CleanupState.CONFIRMED


# --- generators --------------------------------------------------------------------------------------------------


def generators(environ: dict[str, str] | None = None) -> Generators:
    return Generators(DrivenClock(), Numbers(), secrets_from(environ or {}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("control_number", "1"),
        ("stan", "000001"),
        ("now", "2026-06-01T12:00:00Z"),
        ("now:MMDDhhmmss", "0601120000"),
        ("now:YYMMDD", "260601"),
        ("today", "2026-06-01"),
        ("today+1d", "2026-06-02"),
        ("today-30d", "2026-05-02"),
        ("today-9999d", "1999-01-15"),
        ("secret:TOKEN", "hush"),
    ],
)
def test_a_generator_draws_what_its_name_says(name: str, value: str) -> None:
    assert generators({"TOKEN": "hush"})(name) == value


@pytest.mark.parametrize(("name", "length"), [("uuid", 36), ("trace", 32)])
def test_what_must_be_unique_is_never_drawn_twice(name: str, length: int) -> None:
    generate = generators()
    drawn = {generate(name) for _ in range(100)}
    assert len(drawn) == 100
    assert {len(value) for value in drawn} == {length}


def test_a_stan_has_six_digits_whatever_the_agents_number() -> None:
    class Ninth(Numbers):
        def control_number(self) -> int:
            return 9_000_012

    generate = Generators(DrivenClock(), Ninth(), str, 9)
    assert generate("stan") == "008985"
    assert generate("agent_number") == "009"


def test_agents_that_count_in_step_draw_different_stans_also_after_restarts() -> None:
    @dataclass
    class Agent:
        number: int
        block: int  # a restart goes on with the next thousand

        def control_number(self) -> int:
            return self.number * 1_000_000 + self.block * 1000 + 1

    agents = [Agent(number, block) for number in range(100) for block in range(10)]
    assert len({Generators(DrivenClock(), agent, str)("stan") for agent in agents}) == len(agents)


def test_an_unknown_generator_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        generators()("tomorrow")


# --- secrets -----------------------------------------------------------------------------------------------------


def test_a_secret_is_the_variable_or_what_its_file_holds(tmp_path: Path) -> None:
    (tmp_path / "pin").write_bytes(b"from a file\n")
    (tmp_path / "crlf").write_bytes(b"from Windows\r\n")
    (tmp_path / "lines").write_bytes(b"two\nlines\n\n")
    look_up = secrets_from(
        {
            "TOKEN": "from the environment",
            "TOKEN_FILE": str(tmp_path / "pin"),
            "EMPTY": "",
            **{f"{name.upper()}_FILE": str(tmp_path / name) for name in ("pin", "crlf", "lines")},
        }
    )
    assert look_up("TOKEN") == "from the environment"
    assert look_up("EMPTY") == ""
    assert look_up("PIN") == "from a file"
    assert look_up("CRLF") == "from Windows"
    assert look_up("LINES") == "two\nlines\n"  # only the last line end goes


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "secret PIN is not set; set PIN or PIN_FILE in the environment"),
        ({"PIN_FILE": ""}, "secret PIN is not set; set PIN or PIN_FILE in the environment"),
        ({"PIN_FILE": "no-such-file"},
         "secret PIN: cannot read the file that PIN_FILE names: No such file or directory"),
        ({"PIN_FILE": "binary"}, "secret PIN: cannot read the file that PIN_FILE names: it is not UTF-8 text"),
    ],
)  # fmt: skip
def test_a_secret_that_is_not_there_is_named_and_its_file_is_not_quoted(
    environ: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError) as refused:
        secrets_from(environ)("PIN")
    assert str(refused.value) == message


def test_a_check_runs_at_its_timetables_interval() -> None:
    check = Case(PAYING).execution.check
    assert check.interval == 30 * SECOND
    assert replace(check, timetable=Timetable("us-east", "card payment", MINUTE)).interval == MINUTE
