"""The scenario machine, rule by rule, with made-up scenarios; nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.core.outcome import Finding, Observation, OutcomeClass
from outrider.scenario import (
    CleanupState,
    Scalar,
    Scenario,
    ScenarioRun,
    as_text,
    is_generator,
    references,
    render,
)

C = OutcomeClass

TIMEOUT = Observation.failed("timeout", "net/wait")
RESET = Observation.failed("reset", "net/receive")
NONSENSE = Observation.failed("not-json", "body/json")
REFUSED_CONNECTION = Observation.failed("refused", "net/connect")


def facts(**values: str) -> Observation:
    return Observation((), {name: (value,) for name, value in values.items()})


def status(code: int, **values: str) -> Observation:
    return Observation((Finding(str(code), "status"),), {name: (value,) for name, value in values.items()})


def scenario(*steps: dict[str, Any], cleanup: list[dict[str, Any]] | None = None, **more: Any) -> Scenario:
    head = {"name": "made-up", "title": "Made up", "synthetic": True, "probe": "http"}
    made = {**head, "steps": [{"request": {}, **step} for step in steps], "cleanup": cleanup or [], **more}
    return msgspec.convert(made, Scenario)


def counting() -> Callable[[str], str]:
    """A generator that never draws the same value twice: "uuid-1", "uuid-2", ..."""
    numbers = count(1)
    return lambda name: f"{name}-{next(numbers)}"


def begin(made: Scenario, generate: Callable[[str], str] | None = None) -> ScenarioRun:
    return ScenarioRun(made, generate or counting(), OUTCOME_TABLE)


def play(run: ScenarioRun, *answers: Observation) -> list[str]:
    """Answer each call in turn, until there is no call or no answer; the names of the steps that were sent."""
    sent = []
    for answer in answers:
        call = run.next()
        if call is None:
            break
        sent.append(call.step.name)
        run.feed(answer)
    return sent


def state_of(run: ScenarioRun) -> CleanupState:
    return run.cleanup


PAY = {"name": "pay", "request": {"path": "/pay", "key": "${key}"}, "capture": {"payment": "id"}}
REFUND = {"name": "refund", "request": {"path": "/refund/${payment}"}}
UNDO_BY_ID = {"name": "undo", "undoes": "pay", "request": {"path": "/undo/${payment}"}}
UNDO_BY_KEY = {"name": "undo", "undoes": "pay", "request": {"path": "/undo", "key": "${key}"}}
NAMES = {"key": "${uuid}"}


def paying(undo: dict[str, Any], *more: dict[str, Any]) -> Scenario:
    made = scenario(PAY, *more, cleanup=[undo], names=NAMES)
    assert list(made.problems()) == []
    return made


# --- rule 1: in order, and the first step that is not ok decides -------------------------------------------------


def test_steps_run_in_order_and_a_run_is_ok_when_all_of_them_are() -> None:
    run = begin(scenario({"name": "one"}, {"name": "two"}, {"name": "three"}))
    assert play(run, facts(), facts(), facts()) == ["one", "two", "three"]
    assert run.next() is None
    assert run.outcome.is_ok
    assert run.deciding_step == "three"
    assert run.is_measured_over
    assert state_of(run) is CleanupState.NONE


def test_the_first_step_that_is_not_ok_decides_and_ends_the_run() -> None:
    run = begin(scenario({"name": "one"}, {"name": "two"}, {"name": "three"}))
    assert play(run, facts(), status(503), facts()) == ["one", "two"]
    assert (run.outcome.outcome, run.outcome.code, run.deciding_step) == (C.SERVICE_DOWN, "503", "two")
    assert run.is_measured_over


def test_a_step_is_of_the_scenarios_probe_unless_it_names_its_own() -> None:
    run = begin(scenario({"name": "one"}, {"name": "two", "probe": "x12"}))
    kinds = []
    while (call := run.next()) is not None:
        kinds.append((call.kind, call.is_measured))
        run.feed(facts())
    assert kinds == [("http", True), ("x12", True)]


def test_an_answer_without_a_question_is_a_mistake_of_the_driver() -> None:
    run = begin(scenario({"name": "one"}))
    with pytest.raises(RuntimeError, match="there is none"):
        run.feed(facts())
    run.next()
    run.feed(facts())
    with pytest.raises(RuntimeError, match="there is none"):
        run.feed(facts())


@pytest.mark.parametrize(
    ("expect", "answer", "outcome", "place"),
    [
        ({"status": 201}, facts(status="201"), C.OK, ""),
        ({"status": 201}, facts(status="200"), C.MALFORMED, "expect/status"),
        ({"status": [200, 201]}, facts(status="201"), C.OK, ""),
        ({"status": 402}, status(402, status="402"), C.OK, ""),
        ({"state": "settled"}, facts(state="pending"), C.BUSINESS_UNEXPECTED, "expect/state"),
        ({"live": True, "note": None}, facts(live="true", note="null"), C.OK, ""),
        ({"id": "${key}"}, facts(id="uuid-1"), C.OK, ""),
        ({"amount": 10.5}, facts(amount="10.5"), C.OK, ""),
    ],
)
def test_what_a_step_expects_is_held_against_the_facts(
    expect: dict[str, Any], answer: Observation, outcome: OutcomeClass, place: str
) -> None:
    run = begin(scenario({"name": "one", "expect": expect}, names=NAMES))
    play(run, answer)
    assert (run.outcome.outcome, run.outcome.place) == (outcome, place)


def test_an_echo_is_checked_before_what_the_answer_says() -> None:
    step = {"name": "one", "echo": {"reference": "${key}"}, "expect": {"state": "paid"}}
    run = begin(scenario(step, names=NAMES))
    play(run, facts(reference="somebody else's", state="open"))
    assert (run.outcome.outcome, run.outcome.place) == (C.MALFORMED, "echo/reference")


# --- rules 2 and 3: what is drawn, and when ----------------------------------------------------------------------


def test_names_are_drawn_once_a_run_and_generators_at_each_place() -> None:
    request = {"a": "${key}", "b": ["${key}", "${uuid}"], "c": {"d": "x-${uuid}-y"}, "e": 3}
    run = begin(scenario({"name": "one", "request": request}, {"name": "two", "request": request}, names=NAMES))
    one = run.next()
    run.feed(facts())
    two = run.next()
    assert one is not None
    assert two is not None
    assert one.request == {"a": "uuid-1", "b": ["uuid-1", "uuid-2"], "c": {"d": "x-uuid-3-y"}, "e": 3}
    assert two.request == {"a": "uuid-1", "b": ["uuid-1", "uuid-4"], "c": {"d": "x-uuid-5-y"}, "e": 3}


def test_a_name_can_be_made_of_the_names_before_it() -> None:
    made = scenario({"name": "one", "request": {"r": "${reference}"}},
                    names={"key": "${uuid}", "reference": "OR-${key}"})  # fmt: skip
    assert list(made.problems()) == []
    call = begin(made).next()
    assert call is not None
    assert call.request == {"r": "OR-uuid-1"}


def test_another_run_draws_other_values() -> None:
    generate = counting()
    made = scenario({"name": "one", "request": {"a": "${key}"}}, names=NAMES)
    calls = [begin(made, generate).next() for _ in range(2)]
    assert [call and call.request for call in calls] == [{"a": "uuid-1"}, {"a": "uuid-2"}]


def test_a_request_that_is_asked_for_again_is_the_same_request() -> None:
    run = begin(scenario({"name": "one", "request": {"a": "${uuid}"}}))
    first, again = run.next(), run.next()
    assert first is not None
    assert again is not None
    assert first.request == again.request == {"a": "uuid-1"}


def test_what_a_step_captured_is_known_to_later_ones() -> None:
    run = begin(scenario({"name": "pay", "capture": {"payment": "json.id"}}, REFUND))
    run.next()
    run.feed(Observation((), {"json.id": ("P-7", "P-8")}))
    call = run.next()
    assert call is not None
    assert call.request == {"path": "/refund/P-7"}


def test_an_answer_without_what_is_to_be_captured_is_malformed() -> None:
    run = begin(scenario({"name": "pay", "capture": {"payment": "json.id"}}, REFUND))
    assert play(run, facts(), facts()) == ["pay"]
    assert (run.outcome.outcome, run.outcome.place, run.outcome.code) == (C.MALFORMED, "expect/json.id", "missing")
    assert run.outcome.detail == "the answer has no json.id to capture"


DECLINE = {**PAY, "expect": {"status": "402"}}


def test_an_expected_refusal_has_nothing_to_capture_and_nothing_to_undo() -> None:
    run = begin(scenario(DECLINE, cleanup=[UNDO_BY_ID], names=NAMES))
    assert play(run, status(402, status="402")) == ["pay"]
    assert (run.outcome.outcome, run.next(), state_of(run)) == (C.OK, None, CleanupState.NONE)


def test_what_should_have_been_refused_and_was_not_is_undone_by_the_name_it_gave() -> None:
    run = begin(scenario(DECLINE, cleanup=[UNDO_BY_ID], names=NAMES))
    assert play(run, facts(status="200", id="P-1"), facts()) == ["pay", "undo"]
    assert (run.outcome.place, state_of(run)) == ("expect/status", CleanupState.CONFIRMED)


@pytest.mark.parametrize("answer", [status(500, status="500"), facts(status="204")])
def test_only_a_refusal_may_leave_out_what_is_to_be_captured(answer: Observation) -> None:
    run = begin(scenario({**PAY, "expect": {"status": ["204", "500"]}}, cleanup=[UNDO_BY_ID], names=NAMES))
    play(run, answer)
    assert (run.outcome.outcome, run.outcome.place) == (C.MALFORMED, "expect/id")


# --- rule 4: when cleanup runs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        pytest.param(facts(id="P-1"), CleanupState.CONFIRMED, id="answered ok"),
        pytest.param(TIMEOUT, CleanupState.CONFIRMED, id="timeout"),
        pytest.param(RESET, CleanupState.CONFIRMED, id="reset"),
        pytest.param(status(500), CleanupState.CONFIRMED, id="500"),
        pytest.param(status(503), CleanupState.CONFIRMED, id="503"),
        pytest.param(status(302), CleanupState.CONFIRMED, id="302"),
        pytest.param(status(408), CleanupState.CONFIRMED, id="408 does not say that nothing happened"),
        pytest.param(status(409), CleanupState.CONFIRMED, id="409: the first one is still under way"),
        pytest.param(NONSENSE, CleanupState.CONFIRMED, id="nonsense"),
        pytest.param(facts(), CleanupState.CONFIRMED, id="nothing to capture"),
        pytest.param(Observation.failed("reset", "net/send"), CleanupState.CONFIRMED, id="reset while sending"),
        pytest.param(Observation.failed("bad-http", "net/protocol"), CleanupState.CONFIRMED, id="not HTTP"),
        pytest.param(REFUSED_CONNECTION, CleanupState.NONE, id="refused connection"),
        pytest.param(Observation.failed("dns", "net/resolve"), CleanupState.NONE, id="no such name"),
        pytest.param(Observation.failed("certificate", "net/tls"), CleanupState.NONE, id="bad certificate"),
        pytest.param(Observation.failed("EMFILE", "agent/socket"), CleanupState.NONE, id="never left the agent"),
        pytest.param(status(400), CleanupState.NONE, id="400"),
        pytest.param(status(401), CleanupState.NONE, id="401"),
        pytest.param(status(402), CleanupState.NONE, id="402"),
        pytest.param(status(429), CleanupState.NONE, id="429"),
    ],
)
def test_cleanup_runs_where_the_step_may_have_happened_and_only_there(answer: Observation, state: CleanupState) -> None:
    run = begin(paying(UNDO_BY_KEY))
    play(run, answer)
    assert run.is_measured_over
    assert state_of(run) is (CleanupState.NONE if state is CleanupState.NONE else CleanupState.UNCONFIRMED)
    assert play(run, facts()) == ([] if state is CleanupState.NONE else ["undo"])
    assert state_of(run) is state
    assert run.next() is None


def test_a_decline_that_was_expected_leaves_nothing_to_undo() -> None:
    sale = {"name": "pay", "request": {"path": "/pay"}, "expect": {"status": 402}}
    undo = {"name": "undo", "undoes": "pay", "request": {"path": "/undo"}}
    run = begin(scenario(sale, cleanup=[undo]))
    assert play(run, status(402, status="402"), facts()) == ["pay"]
    assert run.outcome.is_ok
    assert state_of(run) is CleanupState.NONE


def test_a_decline_with_another_reason_than_expected_leaves_nothing_to_undo_either() -> None:
    sale = {"name": "pay", "expect": {"status": 402, "reason": "stolen"}}
    undo = {"name": "undo", "undoes": "pay", "request": {}}
    run = begin(scenario(sale, cleanup=[undo]))
    assert play(run, status(402, status="402", reason="expired"), facts()) == ["pay"]
    assert run.outcome.place == "expect/reason"
    assert state_of(run) is CleanupState.NONE


def test_what_a_step_undid_itself_is_not_undone_again() -> None:
    run = begin(paying({**UNDO_BY_ID, "unless": "refund"}, REFUND))
    assert play(run, facts(id="P-1"), facts(), facts()) == ["pay", "refund"]
    assert state_of(run) is CleanupState.NONE


@pytest.mark.parametrize("answer", [TIMEOUT, status(500), status(400), REFUSED_CONNECTION])
def test_what_a_step_may_not_have_undone_is_undone(answer: Observation) -> None:
    run = begin(paying({**UNDO_BY_ID, "unless": "refund"}, REFUND))
    assert play(run, facts(id="P-1"), answer, facts()) == ["pay", "refund", "undo"]
    assert state_of(run) is CleanupState.CONFIRMED


def test_a_step_that_was_never_reached_is_not_undone() -> None:
    made = scenario({"name": "look"}, PAY, cleanup=[UNDO_BY_KEY], names=NAMES)
    run = begin(made)
    assert play(run, status(500), facts()) == ["look"]
    assert state_of(run) is CleanupState.NONE


def test_each_step_that_may_have_happened_has_its_own_cleanup() -> None:
    made = scenario(
        {"name": "one"},
        {"name": "two"},
        {"name": "three"},
        cleanup=[{"name": f"undo-{name}", "undoes": name, "request": {}} for name in ("two", "one", "three")],
    )
    run = begin(made)
    assert play(run, facts(), TIMEOUT, facts(), facts(), facts()) == ["one", "two", "undo-two", "undo-one"]
    assert state_of(run) is CleanupState.CONFIRMED


# --- rule 5: asking first ----------------------------------------------------------------------------------------


def test_a_cleanup_without_its_captured_name_asks_with_the_same_request_first() -> None:
    run = begin(paying(UNDO_BY_ID))
    first = run.next()
    run.feed(TIMEOUT)
    again = run.next()
    assert first is not None
    assert again is not None
    assert again.step.name == "pay"
    assert again.request == first.request == {"path": "/pay", "key": "uuid-1"}
    assert (first.is_measured, again.is_measured) == (True, False)
    run.feed(facts(id="P-9"))
    undo = run.next()
    assert undo is not None
    assert undo.request == {"path": "/undo/P-9"}
    run.feed(facts())
    assert state_of(run) is CleanupState.CONFIRMED
    assert (run.outcome.code, run.deciding_step) == ("timeout", "pay")  # the first attempt counts


def test_a_step_that_turns_out_to_have_been_refused_leaves_nothing_to_undo() -> None:
    run = begin(paying(UNDO_BY_ID))
    assert play(run, TIMEOUT, status(402), facts()) == ["pay", "pay"]
    assert state_of(run) is CleanupState.CONFIRMED


@pytest.mark.parametrize("code", [401, 403, 408, 409, 429])
def test_a_refusal_that_says_nothing_of_the_first_attempt_settles_nothing(code: int) -> None:
    run = begin(paying(UNDO_BY_ID))
    assert play(run, TIMEOUT, status(code), facts()) == ["pay", "pay"]
    assert state_of(run) is CleanupState.UNCONFIRMED
    run.try_again()
    assert play(run, facts(id="P-1"), facts()) == ["pay", "undo"]
    assert state_of(run) is CleanupState.CONFIRMED


@pytest.mark.parametrize("answer", [TIMEOUT, status(500), REFUSED_CONNECTION, facts()])
def test_a_question_without_an_answer_leaves_the_cleanup_unconfirmed(answer: Observation) -> None:
    run = begin(paying(UNDO_BY_ID))
    assert play(run, TIMEOUT, answer, facts()) == ["pay", "pay"]
    assert state_of(run) is CleanupState.UNCONFIRMED


def test_a_cleanup_that_needs_no_captured_name_does_not_ask() -> None:
    run = begin(paying(UNDO_BY_KEY))
    assert play(run, TIMEOUT, facts()) == ["pay", "undo"]


@pytest.mark.parametrize("where", ["expect", "echo"])
def test_a_name_that_only_the_answer_is_held_against_is_asked_for_too(where: str) -> None:
    run = begin(paying({**UNDO_BY_KEY, where: {"id": "${payment}"}}))
    assert play(run, TIMEOUT, facts(id="P-1"), facts(id="P-1")) == ["pay", "pay", "undo"]
    assert state_of(run) is CleanupState.CONFIRMED


def test_asking_ends_although_the_missing_name_is_another_steps_to_give() -> None:
    # problems() refuses such a file; the machine must not ask for ever all the same.
    undo = {"name": "undo", "undoes": "one", "request": {"path": "/${later}"}}
    run = begin(scenario({"name": "one"}, {"name": "two", "capture": {"later": "id"}}, cleanup=[undo]))
    assert play(run, facts(), TIMEOUT, *[facts()] * 10) == ["one", "two", "one"]
    assert state_of(run) is CleanupState.UNCONFIRMED


# --- rule 6: confirmed or not ------------------------------------------------------------------------------------


def test_a_cleanup_that_is_not_answered_ok_is_unconfirmed_until_it_is() -> None:
    run = begin(paying(UNDO_BY_ID))
    assert play(run, facts(id="P-1"), TIMEOUT, facts()) == ["pay", "undo"]
    assert state_of(run) is CleanupState.UNCONFIRMED
    assert run.next() is None  # offered once, until the driver says so
    run.try_again()
    assert play(run, status(500)) == ["undo"]
    assert state_of(run) is CleanupState.UNCONFIRMED
    run.try_again()
    assert play(run, facts()) == ["undo"]
    assert state_of(run) is CleanupState.CONFIRMED
    run.try_again()
    assert run.next() is None


def test_a_cleanup_that_is_sent_again_is_the_same_request() -> None:
    run = begin(paying({**UNDO_BY_KEY, "request": {"key": "${uuid}"}}))
    play(run, facts(id="P-1"))
    first = run.next()
    run.feed(TIMEOUT)
    run.try_again()
    again = run.next()
    assert first is not None
    assert again is not None
    assert first.request == again.request


def test_one_cleanup_that_fails_does_not_keep_the_others_from_running() -> None:
    cleanup: list[dict[str, Any]] = [{"name": f"undo-{name}", "undoes": name, "request": {}} for name in ("one", "two")]
    run = begin(scenario({"name": "one"}, {"name": "two"}, cleanup=cleanup))
    assert play(run, facts(), facts(), status(500), facts()) == ["one", "two", "undo-one", "undo-two"]
    assert state_of(run) is CleanupState.UNCONFIRMED
    run.try_again()
    assert play(run, facts(), facts()) == ["undo-one"]
    assert state_of(run) is CleanupState.CONFIRMED


@pytest.mark.parametrize("answer", [facts(), status(500), TIMEOUT])
def test_cleanup_never_changes_the_outcome(answer: Observation) -> None:
    run = begin(paying(UNDO_BY_ID))
    play(run, facts(id="P-1"), answer)
    assert run.outcome.is_ok
    assert run.deciding_step == "pay"


def test_what_a_cleanup_expects_must_come_before_it_is_confirmed() -> None:
    run = begin(paying({**UNDO_BY_ID, "expect": {"state": "voided"}}))
    play(run, facts(id="P-1"), facts(state="open"))
    assert state_of(run) is CleanupState.UNCONFIRMED


# --- rule 7: captured from answers that were not expected --------------------------------------------------------


def test_a_payment_that_went_through_otherwise_than_expected_is_undone_by_the_name_it_gave() -> None:
    run = begin(scenario({**PAY, "expect": {"avs": "Y"}}, cleanup=[UNDO_BY_ID], names=NAMES))
    assert play(run, facts(id="P-1", avs="N"), facts()) == ["pay", "undo"]
    assert run.outcome.outcome is C.BUSINESS_UNEXPECTED
    assert state_of(run) is CleanupState.CONFIRMED


def test_asking_first_counts_what_the_answer_names_although_it_is_not_the_expected_one() -> None:
    run = begin(scenario({**PAY, "expect": {"avs": "Y"}}, cleanup=[UNDO_BY_ID], names=NAMES))
    assert play(run, TIMEOUT, facts(id="P-1", avs="N"), facts()) == ["pay", "pay", "undo"]
    assert state_of(run) is CleanupState.CONFIRMED


@pytest.mark.parametrize(
    "answer", [facts(reference="theirs", id="P-1"), status(500, reference="uuid-1", id="P-1")]
)  # fmt: skip
def test_nothing_is_captured_from_somebody_elses_answer_or_from_a_failure(answer: Observation) -> None:
    run = begin(scenario({**PAY, "echo": {"reference": "${key}"}}, cleanup=[UNDO_BY_ID], names=NAMES))
    assert play(run, answer, status(500), facts()) == ["pay", "pay"]  # it asks: it has no name of its own
    assert state_of(run) is CleanupState.UNCONFIRMED


# --- rule 8: a generator that cannot draw ------------------------------------------------------------------------


def without(missing: list[str]) -> Callable[[str], str]:
    def generate(name: str) -> str:
        if name in missing:
            raise ValueError(f"{name} is not set")
        return name.upper()

    return generate


@pytest.mark.parametrize(
    ("made", "step"),
    [
        (scenario({"name": "one"}, names={"key": "${secret:KEY}"}), "one"),
        (scenario({"name": "one", "request": {"a": "${secret:KEY}"}}, {"name": "two"}), "one"),
        (scenario({"name": "one", "expect": {"a": "${secret:KEY}"}}, {"name": "two"}), "one"),
        (scenario({"name": "one", "echo": {"a": "${secret:KEY}"}}, {"name": "two"}), "one"),
    ],
    ids=["name", "request", "expect", "echo"],
)
def test_a_secret_that_is_not_there_is_the_agents_fault(made: Scenario, step: str) -> None:
    run = begin(made, without(["secret:KEY"]))
    play(run, facts(), facts())
    assert (run.outcome.outcome, run.outcome.place) == (C.AGENT_FAULT, "agent/request")
    assert (run.outcome.detail, run.deciding_step) == ("secret:KEY is not set", step)
    assert run.is_measured_over
    assert run.next() is None


def test_a_step_that_could_not_be_made_does_not_keep_the_one_before_from_being_undone() -> None:
    refund = {**REFUND, "request": {"path": "/refund/${payment}", "pin": "${secret:PIN}"}}
    run = begin(paying({**UNDO_BY_ID, "unless": "refund"}, refund), without(["secret:PIN"]))
    assert play(run, facts(id="P-1"), facts()) == ["pay", "undo"]
    assert (run.outcome.outcome, run.deciding_step) == (C.AGENT_FAULT, "refund")
    assert state_of(run) is CleanupState.CONFIRMED


def test_a_cleanup_that_cannot_be_made_stays_unconfirmed_and_is_offered_once_it_can() -> None:
    missing = ["secret:PIN"]
    run = begin(paying({**UNDO_BY_ID, "request": {"pin": "${secret:PIN}"}}), without(missing))
    assert play(run, facts(id="P-1"), facts()) == ["pay"]
    assert state_of(run) is CleanupState.UNCONFIRMED
    missing.clear()
    run.try_again()
    assert play(run, facts()) == ["undo"]
    assert state_of(run) is CleanupState.CONFIRMED


# --- the driver's view: it always ends ---------------------------------------------------------------------------

ANSWERS = st.sampled_from([facts(), facts(id="P-1"), TIMEOUT, RESET, status(500), status(402), status(429),
                           REFUSED_CONNECTION, facts(id="P-1", avs="N")])  # fmt: skip


@given(st.lists(ANSWERS, min_size=30, max_size=30), st.sampled_from([UNDO_BY_ID, UNDO_BY_KEY]), st.booleans())
@settings(max_examples=200, deadline=None)
def test_whatever_is_answered_a_run_ends_and_asks_no_more_than_once_a_round(
    answers: list[Observation], undo: dict[str, Any], has_refund: bool
) -> None:
    made = paying({**undo, "unless": "refund"}, REFUND) if has_refund else paying(undo)
    run, pending = begin(made), list(answers)
    for _ in range(3):
        sent = play(run, *pending)
        assert run.next() is None
        assert len(sent) <= 4  # pay, refund, pay once more, undo
        del pending[: len(sent)]
        run.try_again()
    assert run.is_measured_over


# --- substitution ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rendered", "names"),
    [
        ("", "", []),
        ("plain", "plain", []),
        ("${a}", "<a>", ["a"]),
        ("${a}${b}-${a}", "<a><b>-<a>", ["a", "b", "a"]),
        ("$$", "$", []),
        ("$$$$", "$$", []),
        ("$${a}", "${a}", []),
        ("$$${a}", "$<a>", ["a"]),
        ("100$$ for ${a}", "100$ for <a>", ["a"]),
        ("${secret:NAME}", "<secret:NAME>", ["secret:NAME"]),
        ("${today-30d}", "<today-30d>", ["today-30d"]),
        ("$", "<>", [""]),  # a lone dollar is no name: problems() says so
        ("5$", "5<>", [""]),
        ("$a", "<>a", [""]),
        ("${}", "<>", [""]),
        ("${a", "<>{a", [""]),
        ("${a${b}}", "<>{a<b>}", ["", "b"]),
    ],
)
def test_only_a_name_in_braces_is_replaced_and_two_dollars_are_one(text: str, rendered: str, names: list[str]) -> None:
    assert render(text, lambda name: f"<{name}>") == rendered
    assert list(references(text)) == names


def test_values_are_replaced_at_any_depth_and_numbers_left_alone() -> None:
    value = {"a": ["${x}", 1, None, True, 2.5], "b": {"c": ("${y}",)}, "${x}": "a key is not a value"}
    assert render(value, str.upper) == {
        "a": ["X", 1, None, True, 2.5],
        "b": {"c": ["Y"]},
        "${x}": "a key is not a value",
    }
    assert list(references(value)) == ["x", "y"]


@given(st.text(alphabet="${}ab", max_size=20))
@settings(max_examples=200, deadline=None)
def test_a_dollar_never_comes_through_unless_it_was_written_twice(text: str) -> None:
    assert render(text, lambda name: "").count("$") == _pairs(text)


def _pairs(text: str) -> int:
    """Dollars from "$$", counted from the left as a person reads."""
    pairs = position = 0
    while position < len(text):
        if text.startswith("$$", position):
            pairs, position = pairs + 1, position + 2
        else:
            position += 1
    return pairs


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("uuid", True), ("trace", True), ("control_number", True), ("stan", True), ("now", True), ("today", True),
        ("today-30d", True), ("today+1d", True), ("secret:API_KEY", True),
        ("", False), ("UUID", False), ("today-30", False), ("today30d", False), ("today-d", False),
        ("tomorrow", False), ("secret:", False), ("secret:a-b", False), ("secret:1A", False), ("env:HOME", False),
    ],
)  # fmt: skip
def test_generators_are_known_by_name(name: str, is_one: bool) -> None:
    assert is_generator(name) is is_one


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (None, "null"), (1, "1"), (1.5, "1.5"), ("x", "x")]
)
def test_scalars_compare_as_yaml_and_json_write_them(value: Scalar, text: str) -> None:
    assert as_text(value) == text


# --- what is wrong with a file -----------------------------------------------------------------------------------

KNOWN = "uuid, control_number, trace, stan, now, today, agent_number, now:MMDDhhmmss, today-30d, secret:NAME"


@pytest.mark.parametrize(
    ("made", "place", "message"),
    [
        pytest.param(
            scenario({"name": "one"}, synthetic=False),
            ("synthetic",),
            "a scenario must say 'synthetic: true': real people's data does not load",
            id="not synthetic",
        ),
        pytest.param(scenario(), ("steps",), "a scenario needs at least one step", id="no steps"),
        pytest.param(
            scenario({"name": "one"}, {"name": "one"}), ("steps", 1, "name"), "two steps are called 'one'", id="twice"
        ),
        pytest.param(
            scenario({"name": "one"}, cleanup=[{"name": "one", "undoes": "one", "request": {}}]),
            ("cleanup", 0, "name"),
            "two steps are called 'one'",
            id="a cleanup named like a step",
        ),
        pytest.param(
            scenario({"name": "one"}, {"name": "two"}, cleanup=[{"name": "undo", "undoes": "tow", "request": {}}]),
            ("cleanup", 0, "undoes"),
            "there is no step 'tow'; the steps are one, two",
            id="undoes an unknown step",
        ),
        pytest.param(
            scenario({"name": "one"}, cleanup=[{"name": "undo", "undoes": "one", "unless": "undo", "request": {}}]),
            ("cleanup", 0, "unless"),
            "there is no step 'undo'; the steps are one",
            id="unless itself",
        ),
        pytest.param(
            scenario({"name": "one", "request": {"a": [{"b": "${paymnt}"}]}}),
            ("steps", 0, "request", "a", 0, "b"),
            f"'${{paymnt}}' is not a name; known here are {KNOWN} (write $$ for a dollar sign)",
            id="an unknown name, deep down",
        ),
        pytest.param(
            scenario({"name": "one", "request": {"a": "${uuidd}"}}),
            ("steps", 0, "request", "a"),
            f"'${{uuidd}}' is not a name (did you mean 'uuid'?); known here are {KNOWN} (write $$ for a dollar sign)",
            id="a generator misspelt",
        ),
        pytest.param(
            scenario({"name": "one", "request": {"a": "costs 5$"}}),
            ("steps", 0, "request", "a"),
            f"'${{}}' is not a name; known here are {KNOWN} (write $$ for a dollar sign)",
            id="a lone dollar",
        ),
        pytest.param(
            scenario({"name": "one"}, names={"a": "${b}", "b": "x"}),
            ("names", "a"),
            f"'${{b}}' is not a name; known here are {KNOWN} (write $$ for a dollar sign)",
            id="a name before it is given",
        ),
        pytest.param(
            scenario({"name": "one", "capture": {"p": "id"}, "expect": {"x": "${p}"}}),
            ("steps", 0, "expect", "x"),
            f"'${{p}}' is not a name; known here are {KNOWN} (write $$ for a dollar sign)",
            id="a step's own capture",
        ),
        pytest.param(
            scenario({"name": "one", "echo": {"x": "${q}"}}, names={"p": "1"}),
            ("steps", 0, "echo", "x"),
            f"'${{q}}' is not a name; known here are {KNOWN}, p (write $$ for a dollar sign)",
            id="an echo of nothing",
        ),
        pytest.param(
            scenario(
                {"name": "one", "capture": {"p": "id"}},
                {"name": "two", "capture": {"q": "id"}},
                cleanup=[{"name": "undo", "undoes": "one", "request": {"a": "${q}"}}],
            ),
            ("cleanup", 0, "request", "a"),
            f"'${{q}}' is not a name; known here are {KNOWN}, p (write $$ for a dollar sign)",
            id="a cleanup that needs what a later step gives",
        ),
        pytest.param(
            scenario(
                {"name": "one"},
                cleanup=[
                    {"name": "undo", "undoes": "one", "request": {}, "capture": {"p": "id"}},
                    {"name": "check", "undoes": "one", "request": {"a": "${p}"}},
                ],
            ),
            ("cleanup", 1, "request", "a"),
            f"'${{p}}' is not a name; known here are {KNOWN} (write $$ for a dollar sign)",
            id="a cleanup that needs what another cleanup gives",
        ),
    ],
)
def test_a_file_that_cannot_work_is_told_where_and_why(
    made: Scenario, place: tuple[str | int, ...], message: str
) -> None:
    assert list(made.problems()) == [(place, message)]


def test_every_kind_of_name_that_is_known_is_accepted_where_it_is_known() -> None:
    made = scenario(
        {**PAY, "echo": {"reference": "${key}"}},
        {"name": "show", "request": {"path": "/${payment}", "d": "${today+3d}"}, "capture": {"state": "json.state"}},
        {"name": "look", "request": {"s": "${state}"}, "expect": {"x": ["${payment}", "${secret:TOKEN}"]}},
        cleanup=[{**UNDO_BY_ID, "echo": {"id": "${payment}"}}],
        names=NAMES,
    )
    assert list(made.problems()) == []
