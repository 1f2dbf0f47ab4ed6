"""A cleanup that asks before it undoes: when it asks, what counts as absent, and what each rule about steps sees."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.commands.dry_run import requests
from outrider.config import load_scenario, secret_names
from outrider.core.outcome import Finding, Observation
from outrider.core.timetable import Timetable
from outrider.core.units import HOUR, MINUTE, SECOND
from outrider.execution import Check, Execution, Surroundings
from outrider.hygiene import private_values
from outrider.probes import Target
from outrider.scenario import CleanupState, Scenario, ScenarioRun
from outrider.strict_yaml import ConfigError
from outrider.transport import HttpReply, HttpRequest
from outrider.transport.fake import FakeTransport

TIMEOUT = Observation.failed("timeout", "net/wait")


def facts(**values: str) -> Observation:
    return Observation((), {name: (value,) for name, value in values.items()})


def status(code: int, **values: str) -> Observation:
    return Observation((Finding(str(code), "status"),), {"status": (str(code),)} | facts(**values).facts)  # type: ignore[operator]


FOUND = facts(total="1", id="P-9", reference="uuid-1")
ABSENT = facts(total="0")

ASK: dict[str, Any] = {
    "name": "ask",
    "request": {"path": "/find/${key}"},
    "expect": {"total": 1},
    "echo": {"reference": "${key}"},
    "capture": {"payment": "id"},
    "absent": {"total": 0},
}
UNDO: dict[str, Any] = {"name": "undo", "undoes": "pay", "request": {"path": "/undo/${payment}"}, "inquiry": ASK}


def scenario(undo: dict[str, Any] | None = None, **more: Any) -> Scenario:
    pay = {"name": "pay", "request": {"path": "/pay", "key": "${key}"}, "capture": {"payment": "id"}}
    made = {"name": "x", "title": "X", "synthetic": True, "probe": "http", "names": {"key": "${uuid}"},
            "steps": [pay], "cleanup": [undo or UNDO], **more}  # fmt: skip
    return msgspec.convert(made, Scenario)


def asking(**changes: Any) -> Scenario:
    return scenario({**UNDO, "inquiry": {**ASK, **changes}})


def begin(made: Scenario) -> ScenarioRun:
    numbers = count(1)
    return ScenarioRun(made, lambda name: f"{name}-{next(numbers)}", OUTCOME_TABLE)


def attempt(run: ScenarioRun, *answers: Observation, is_apart: bool = True) -> list[str]:
    """One attempt at cleaning up; the names of what was sent."""
    sent = []
    pending = list(answers)
    run.try_again(is_apart=is_apart)
    while (call := run.next()) is not None:
        assert not call.is_measured
        sent.append(call.step.name)
        run.feed(pending.pop(0))
    assert not pending, "an answer was left over"
    return sent


def state_of(run: ScenarioRun) -> CleanupState:
    return run.cleanup


def after(made: Scenario, answer: Observation) -> ScenarioRun:
    """The run once its step was answered so."""
    run = begin(made)
    assert run.next() is not None
    run.feed(answer)
    return run


# --- the machine


def test_after_a_timeout_the_inquiry_is_sent_and_what_it_finds_is_undone() -> None:
    run = after(scenario(), TIMEOUT)
    ask = run.next()
    assert ask is not None
    assert (ask.step.name, ask.request, ask.is_measured) == ("ask", {"path": "/find/uuid-1"}, False)
    run.feed(FOUND)
    undo = run.next()
    assert undo is not None
    assert (undo.step.name, undo.request) == ("undo", {"path": "/undo/P-9"})
    run.feed(facts())
    assert state_of(run) is CleanupState.CONFIRMED
    assert (run.outcome.code, run.deciding_step) == ("timeout", "pay")  # the first attempt counts


def test_a_step_that_was_answered_is_undone_without_asking() -> None:
    run = after(scenario(), facts(id="P-1"))
    assert attempt(run, facts()) == ["undo"]
    assert state_of(run) is CleanupState.CONFIRMED


def test_a_cleanup_that_needs_no_name_asks_too_where_nobody_knows_whether_there_is_something_to_undo() -> None:
    by_key = {**UNDO, "request": {"path": "/undo", "key": "${key}"}, "inquiry": {**ASK, "capture": {}}}
    assert attempt(after(scenario(by_key), TIMEOUT), FOUND, facts()) == ["ask", "undo"]
    assert attempt(after(scenario(by_key), facts(id="P-1")), facts()) == ["undo"]


@pytest.mark.parametrize(
    "answer", [TIMEOUT, Observation.failed("reset", "net/receive"), status(500), status(408), status(409), facts()]
)
def test_it_asks_wherever_the_step_may_have_happened_and_the_answer_does_not_say(answer: Observation) -> None:
    assert attempt(after(scenario(), answer), FOUND, facts()) == ["ask", "undo"]


@pytest.mark.parametrize("answer", [Observation.failed("refused", "net/connect"), status(402), status(400)])
def test_it_does_not_ask_about_what_did_not_happen(answer: Observation) -> None:
    run = after(scenario(), answer)
    assert attempt(run) == []
    assert state_of(run) is CleanupState.NONE


def test_absent_said_once_settles_nothing_and_said_twice_does() -> None:
    run = after(scenario(), TIMEOUT)
    assert attempt(run, ABSENT) == ["ask"]
    assert state_of(run) is CleanupState.UNCONFIRMED
    assert attempt(run, ABSENT) == ["ask"]
    assert state_of(run) is CleanupState.CONFIRMED
    assert attempt(run) == []


def test_absent_said_twice_at_once_settles_nothing() -> None:
    run = after(scenario(), TIMEOUT)
    attempt(run, ABSENT)
    attempt(run, ABSENT, is_apart=False)
    assert state_of(run) is CleanupState.UNCONFIRMED


def test_a_slow_payment_that_lands_after_the_first_absent_is_found_and_undone() -> None:
    run = after(scenario(), TIMEOUT)
    attempt(run, ABSENT)
    assert attempt(run, FOUND, facts()) == ["ask", "undo"]
    assert state_of(run) is CleanupState.CONFIRMED


@pytest.mark.parametrize(
    "between",
    [
        pytest.param(TIMEOUT, id="a time-out"),
        pytest.param(status(500, total="0"), id="a failure that says 0"),
        pytest.param(status(404, total="0"), id="a 404 that absent does not name"),
        pytest.param(Observation.failed("not-json", "body/json"), id="nonsense"),
        pytest.param(facts(total="1"), id="found, but without its id"),
        pytest.param(facts(total="1", id="P-9", reference="theirs"), id="somebody else's"),
        pytest.param(facts(), id="nothing"),
        pytest.param(facts(total="2"), id="another number"),
    ],
)
def test_an_inquiry_that_failed_is_no_absence_and_the_count_begins_anew(between: Observation) -> None:
    run = after(scenario(), TIMEOUT)
    for answer in (between, ABSENT, between, ABSENT):
        assert attempt(run, answer) == ["ask"]
        assert state_of(run) is CleanupState.UNCONFIRMED
    attempt(run, ABSENT)
    assert state_of(run) is CleanupState.CONFIRMED


def test_without_absent_nothing_says_that_a_payment_is_not_there() -> None:
    run = after(asking(absent={}), TIMEOUT)
    for _ in range(5):
        attempt(run, ABSENT)
    assert state_of(run) is CleanupState.UNCONFIRMED


def test_a_404_is_an_absence_where_the_file_says_so() -> None:
    run = after(asking(absent={"status": 404}), TIMEOUT)
    attempt(run, status(404))
    attempt(run, status(404))
    assert state_of(run) is CleanupState.CONFIRMED


def test_what_is_both_found_and_absent_is_found() -> None:
    run = after(asking(absent={"total": [0, 1]}), TIMEOUT)
    assert attempt(run, FOUND, facts()) == ["ask", "undo"]


def test_of_an_absent_payment_no_name_is_captured() -> None:
    declined = facts(total="1", state="declined", id="P-9", reference="uuid-1")
    run = after(asking(expect={"state": "authorized"}, absent={"state": "declined"}), TIMEOUT)
    assert attempt(run, declined) == ["ask"]
    assert attempt(run, declined) == ["ask"]
    assert state_of(run) is CleanupState.CONFIRMED


def test_a_payment_in_another_state_than_expected_is_undone_by_its_name() -> None:
    pending = facts(state="pending", id="P-9", reference="uuid-1")
    run = after(asking(expect={"state": "authorized"}), TIMEOUT)
    assert attempt(run, pending, facts()) == ["ask", "undo"]


def test_once_found_only_the_undo_is_repeated() -> None:
    run = after(scenario(), TIMEOUT)
    assert attempt(run, FOUND, status(500)) == ["ask", "undo"]
    assert attempt(run, TIMEOUT) == ["undo"]
    assert attempt(run, facts()) == ["undo"]
    assert state_of(run) is CleanupState.CONFIRMED


def test_an_inquiry_is_sent_again_with_the_same_request() -> None:
    run = after(asking(request={"path": "/find/${key}", "trace": "${trace}"}), TIMEOUT)
    asked = []
    for _ in range(2):
        run.try_again()
        call = run.next()
        assert call is not None
        asked.append(call.request)
        run.feed(TIMEOUT)
    assert asked[0] == asked[1]


def test_an_inquiry_that_cannot_be_made_leaves_the_cleanup_unconfirmed_and_absence_unsaid() -> None:
    missing = ["secret:PIN"]

    def generate(name: str) -> str:
        if name in missing:
            raise ValueError(f"{name} is not set")
        return name

    made = asking(request={"path": "/find"}, absent={"total": "${secret:PIN}"})
    run = ScenarioRun(made, generate, OUTCOME_TABLE)
    run.next()
    run.feed(TIMEOUT)
    for _ in range(3):
        assert attempt(run, facts(total="0")) == ["ask"]
    assert state_of(run) is CleanupState.UNCONFIRMED


REFUND = {"name": "refund", "undoes": "pay", "request": {"path": "/refund/${payment}"}}


def test_another_cleanup_of_the_same_step_waits_for_the_inquiry_and_sends_nothing_again() -> None:
    for order in ([UNDO, REFUND], [REFUND, UNDO]):
        run = after(scenario(cleanup=order), TIMEOUT)
        assert attempt(run, ABSENT) == ["ask"]
        assert attempt(run, TIMEOUT) == ["ask"]
        assert sorted(attempt(run, FOUND, facts(), facts())) == ["ask", "refund", "undo"]
        assert state_of(run) is CleanupState.CONFIRMED


def test_a_step_that_never_happened_leaves_no_cleanup_of_it_due() -> None:
    run = after(scenario(cleanup=[REFUND, UNDO]), TIMEOUT)
    attempt(run, ABSENT)
    attempt(run, ABSENT)
    assert state_of(run) is CleanupState.CONFIRMED
    assert attempt(run) == []


ANSWERS = st.sampled_from([TIMEOUT, ABSENT, FOUND, facts(), status(500), status(402), status(429), facts(id="P-1")])


@given(st.lists(ANSWERS, min_size=40, max_size=40), st.lists(st.booleans(), min_size=6, max_size=6))
@settings(max_examples=200, deadline=None)
def test_whatever_is_answered_it_ends_and_is_confirmed_only_by_an_undo_or_two_absences_in_a_row(
    answers: list[Observation], apart: list[bool]
) -> None:
    pending = iter(answers)
    run = after(scenario(), TIMEOUT)
    said: list[tuple[str, Observation, bool]] = []
    for is_apart in apart:
        run.try_again(is_apart=is_apart)
        for _ in range(3):
            call = run.next()
            if call is None:
                break
            answer = next(pending)
            said.append((call.step.name, answer, is_apart))
            run.feed(answer)
        assert run.next() is None
    undone = any(name == "undo" and not answer.findings for name, answer, _ in said)
    twice = any(one[:2] == ("ask", ABSENT) and two[:2] == ("ask", ABSENT) and two[2] for one, two in pairwise(said))
    assert (state_of(run) is CleanupState.CONFIRMED) == (undone or twice)


# --- what a file may say


@pytest.mark.parametrize(
    ("made", "place", "message"),
    [
        (asking(request={"path": "/find/${payment}"}), ("cleanup", 0, "inquiry", "request", "path"),
         "'${payment}' is not a name"),
        (asking(absent={"total": "${nothing}"}), ("cleanup", 0, "inquiry", "absent", "total"),
         "'${nothing}' is not a name"),
        (asking(capture={}), ("cleanup", 0, "inquiry"), "the inquiry does not capture 'payment', which 'undo' needs"),
        (asking(pays=True), ("cleanup", 0, "inquiry", "pays"), "an inquiry asks, and moves no money"),
        (asking(name="pay"), ("cleanup", 0, "inquiry", "name"), "two steps are called 'pay'"),
        (asking(name="undo"), ("cleanup", 0, "name"), "two steps are called 'undo'"),
        (asking(absent={"reference": ["x", "${uuid}"]}), ("cleanup", 0, "inquiry", "absent", "reference", 1),
         "'${uuid}' is drawn anew at each place"),
    ],
)  # fmt: skip
def test_an_inquiry_that_cannot_work_is_told_where_and_why(
    made: Scenario, place: tuple[str | int, ...], message: str
) -> None:
    ((where, why),) = made.problems()
    assert where == place
    assert message in why


def test_a_name_that_only_the_inquiry_gives_may_be_used_by_its_cleanup_and_by_no_other() -> None:
    ask = {**ASK, "capture": {"payment": "id", "version": "version"}}
    undo = {**UNDO, "request": {"path": "/undo/${payment}/${version}"}, "inquiry": ask}
    other = {"name": "other", "undoes": "pay", "request": {"path": "/${version}"}}
    assert list(scenario(undo).problems()) == []
    ((where, _),) = scenario(undo, cleanup=[undo, other]).problems()
    assert where == ("cleanup", 1, "request", "path")


# --- what is drawn anew can never match


@pytest.mark.parametrize("generator", ["uuid", "trace", "control_number", "stan", "now"])
@pytest.mark.parametrize("key", ["expect", "echo"])
def test_a_generator_that_draws_anew_in_what_an_answer_must_hold_is_told_with_its_line(
    tmp_path: Path, generator: str, key: str
) -> None:
    path = tmp_path / "x.yaml"
    head = "name: x\ntitle: X\nsynthetic: true\nprobe: http\nsteps:\n  - name: one\n    request: { path: / }\n"
    path.write_text(f'{head}    {key}:\n      json.a: "x-${{{generator}}}"\n', encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_scenario(path)
    assert refused.value.line == 9
    assert f"'${{{generator}}}' is drawn anew at each place" in refused.value.message
    assert "put it under 'names'" in refused.value.message


def test_what_is_drawn_once_or_stays_the_same_may_be_expected() -> None:
    made = asking(expect={"reference": "${key}", "day": "${today-30d}", "owner": ["${secret:OWNER}", "$${uuid}"]})
    assert list(made.problems()) == []
    assert secret_names(made) == {"OWNER"}


# --- hygiene, secrets, people, the dry run

FILE = """\
name: x
title: X
synthetic: true
probe: http
money: { max_amount: 100, currency: USD }
names: { key: "${uuid}" }
steps:
  - name: pay
    request: { path: /pay, method: POST, json: { amount: 100, key: "${key}" } }
    capture: { payment: json.id }
cleanup:
  - name: undo
    undoes: pay
    inquiry:
      name: ask
      request:
        path: /find?key=${key}
        headers: { X: "${secret:FIND}", Card-Holder: "x" }
      capture: { payment: json.id }
      absent: { json.total: "${secret:NONE}" }
    request: { path: "/undo/${payment}", method: POST }
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_with_an_inquiry_loads_and_its_secrets_are_known(tmp_path: Path) -> None:
    assert secret_names(load_scenario(written(tmp_path, FILE))) == {"FIND", "NONE"}


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("path: /find?key=${key}", "path: /find?number=4916123456789010", 17, "is a card number"),
        ("path: /find?key=${key}", "path: /find?amount=100", 17, "an inquiry asks, and moves no money"),
        ("path: /find?key=${key}", "path: /find\n        json: { amount: 1 }", 17, "an inquiry asks, and moves no"),
        ("path: /find?key=${key}", "path: /find\n        mehtod: GET", 18, "unknown key 'mehtod'"),
        ("name: ask", "name: ask\n      probe: htpp", 16, "there is no probe 'htpp'"),
        ("absent:", "absnt:", 20, "unknown key 'absnt'"),
        ('headers: { X: "${secret:FIND}",', "json: { routing_number: '021000022' }\n        headers: {", 18,
         "not an ABA routing number"),
    ],
)  # fmt: skip
def test_the_rules_hold_for_inquiries_too(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_scenario(written(tmp_path, FILE.replace(old, new)))
    assert message in refused.value.message
    assert refused.value.line == line


def check_of(made: Scenario) -> Check:
    return Check("x", made, Target("t", "https://gateway.test"), Timetable("r", "x", MINUTE), 10 * SECOND)


def test_what_an_inquiry_says_about_people_is_masked(tmp_path: Path) -> None:
    text = FILE.replace("/find?key=${key}", "/find?lastname=TESTNOBODY")
    assert list(private_values(load_scenario(written(tmp_path, text)))) == ["TESTNOBODY"]


def test_the_dry_run_shows_the_inquiry_before_the_cleanup_and_says_what_it_asks_about(tmp_path: Path) -> None:
    made = load_scenario(written(tmp_path, FILE))
    shown = list(requests(check_of(made), lambda name: f"{name}-1", frozenset()))
    assert [(each.step, each.undoes, each.asks_about) for each in shown] == [
        ("pay", "", ""), ("ask", "", "pay"), ("undo", "pay", ""),
    ]  # fmt: skip
    assert "GET /find?key=uuid-1 HTTP/1.1" in shown[1].sent
    assert "X: ${secret:FIND}" in shown[1].sent


# --- the driver


@dataclass
class SteadyClock:
    at: int = HOUR

    def now(self) -> int:
        return self.at

    def monotonic(self) -> int:
        return self.at


@dataclass
class Paths:
    """A gateway that times out on /pay and answers each inquiry with the next number of payments."""

    totals: list[int]
    seen: list[str] = field(default_factory=list)

    def __call__(self, request: HttpRequest) -> HttpReply | Finding:
        path = request.url.removeprefix("https://gateway.test")
        self.seen.append(path.partition("?")[0])
        if path.startswith("/pay"):
            return Finding("timeout", "net/wait")
        total = self.totals.pop(0) if path.startswith("/find") else 0
        body = {"total": total, **({"id": "P-1"} if total else {})}
        return HttpReply(200, (("Content-Type", "application/json"),), json.dumps(body).encode())


def executed(made: Scenario, paths: Paths) -> Execution:
    clock = SteadyClock()
    numbers = count(1)

    def generate(name: str) -> str:
        return "0" if name == "secret:NONE" else f"{name}-{next(numbers)}"

    transport = FakeTransport(paths)
    return Execution(check_of(made), Surroundings("r", transport, clock, generate, OUTCOME_TABLE))


async def test_an_amount_that_only_shows_at_run_time_keeps_an_inquiry_from_being_sent(tmp_path: Path) -> None:
    text = FILE.replace('names: { key: "${uuid}" }', 'names: { key: "${uuid}", q: "${secret:Q}" }')
    made = load_scenario(written(tmp_path, text.replace("/find?key=${key}", "/find?${q}")))
    paths = Paths([])
    clock = SteadyClock()
    generate = {"uuid": "u", "secret:Q": "amount=5", "secret:FIND": "x", "secret:NONE": "0"}.__getitem__
    execution = Execution(check_of(made), Surroundings("r", FakeTransport(paths), clock, generate, OUTCOME_TABLE))
    await execution.measure()
    assert await execution.clean_up((0, 0)) is CleanupState.UNCONFIRMED
    assert paths.seen == ["/pay"]


async def test_the_attempts_of_the_driver_settle_an_absence_and_the_record_keeps_the_timeout(tmp_path: Path) -> None:
    paths = Paths([0, 0])
    execution = executed(load_scenario(written(tmp_path, FILE)), paths)
    await execution.measure()
    assert await execution.clean_up((0, 0, 0)) is CleanupState.CONFIRMED
    assert paths.seen == ["/pay", "/find", "/find"]
    record = execution.record(purpose="probe", scheduled_at=0)
    assert (record.code, record.cleanup, record.step) == ("timeout", "confirmed", "pay")


async def test_who_is_in_a_hurry_does_not_take_two_absences_at_once_for_one_that_lasts(tmp_path: Path) -> None:
    paths = Paths([0, 0, 0])
    execution = executed(load_scenario(written(tmp_path, FILE)), paths)
    hurry = asyncio.Event()
    await execution.measure()
    await execution.clean_up((0,))
    hurry.set()
    assert await execution.clean_up((HOUR, HOUR), hurry) is CleanupState.UNCONFIRMED
    assert paths.seen == ["/pay", "/find", "/find"]
