"""Cleanups that give way to each other: what `unless` names, steps and cleanups, and what then runs."""

from __future__ import annotations

from typing import Any

import pytest
from test_scenario import begin, facts, play, scenario, status

from outrider.core.outcome import Observation, OutcomeClass
from outrider.scenario import CleanupState, ScenarioRun

TIMEOUT = Observation.failed("timeout", "net/wait")
HOLD = {"name": "hold", "request": {"path": "/hold"}, "capture": {"held": "id"}}
TAKE = {"name": "take", "request": {"path": "/take/${held}"}, "capture": {"taken": "id"}}
BACK = {"name": "back", "request": {"path": "/back/${taken}"}}
GIVE = {"name": "give", "undoes": "take", "request": {"path": "/give/${taken}"}, "unless": ["back", "free"]}
FREE = {"name": "free", "undoes": "hold", "request": {"path": "/free/${held}"}, "unless": ["take", "give"]}
ID = facts(id="7")


def held(**more: Any) -> ScenarioRun:
    made = scenario(HOLD, TAKE, BACK, cleanup=[GIVE, FREE], **more)
    assert list(made.problems()) == []
    return begin(made)


@pytest.mark.parametrize(
    ("answers", "sent", "state"),
    [
        ([ID, ID, ID], ["hold", "take", "back"], CleanupState.NONE),
        ([ID, ID, TIMEOUT, ID], ["hold", "take", "back", "give"], CleanupState.CONFIRMED),
        ([ID, TIMEOUT, ID, ID], ["hold", "take", "take", "give"], CleanupState.CONFIRMED),
        ([ID, TIMEOUT, TIMEOUT, ID], ["hold", "take", "take", "free"], CleanupState.CONFIRMED),
        ([ID, TIMEOUT, ID, TIMEOUT, ID], ["hold", "take", "take", "give", "free"], CleanupState.CONFIRMED),
        ([ID, TIMEOUT, ID, TIMEOUT, TIMEOUT], ["hold", "take", "take", "give", "free"], CleanupState.UNCONFIRMED),
        ([ID, TIMEOUT, status(400), ID], ["hold", "take", "take", "free"], CleanupState.CONFIRMED),
        ([ID, TIMEOUT, status(400), TIMEOUT], ["hold", "take", "take", "free"], CleanupState.UNCONFIRMED),
        ([ID, TIMEOUT, status(409), ID], ["hold", "take", "take", "free"], CleanupState.CONFIRMED),
        ([ID, status(400), ID], ["hold", "take", "free"], CleanupState.CONFIRMED),
        ([TIMEOUT, ID, ID], ["hold", "hold", "free"], CleanupState.CONFIRMED),
        ([TIMEOUT, status(404)], ["hold", "hold"], CleanupState.CONFIRMED),
    ],
)
def test_either_of_two_cleanups_is_enough_and_neither_runs_needlessly(
    answers: list[Observation], sent: list[str], state: CleanupState
) -> None:
    run = held()
    assert play(run, *answers) == sent
    assert run.next() is None
    assert run.cleanup is state


def test_a_cleanup_that_failed_is_not_offered_again_once_the_other_one_has_done_it() -> None:
    run = held()
    play(run, ID, TIMEOUT, ID, TIMEOUT, TIMEOUT)
    run.try_again()
    assert play(run, TIMEOUT, ID) == ["give", "free"]
    assert run.cleanup is CleanupState.CONFIRMED
    run.try_again()
    assert run.next() is None


def test_a_cleanup_that_found_nothing_to_undo_does_not_stand_for_the_other_one() -> None:
    run = held()
    assert play(run, ID, TIMEOUT, status(404)) == ["hold", "take", "take"]
    assert run.cleanup is CleanupState.UNCONFIRMED
    assert run.outcome.outcome is OutcomeClass.SERVICE_DOWN


def test_one_name_may_stand_without_a_list() -> None:
    made = scenario(HOLD, cleanup=[{**FREE, "unless": "other"}, {**FREE, "name": "other", "unless": None}])
    assert list(made.problems()) == []
    run = begin(made)
    assert play(run, ID, TIMEOUT, ID) == ["hold", "free", "other"]
    assert run.cleanup is CleanupState.CONFIRMED


@pytest.mark.parametrize(
    ("unless", "known"),
    [(["take", "back", "nobody"], "hold, take, free"), ("give", "hold, take, free"), (["give"], "hold, take, free")],
)
def test_an_other_that_is_not_there_or_the_cleanup_itself_is_told(unless: Any, known: str) -> None:
    made = scenario(HOLD, TAKE, cleanup=[{**GIVE, "unless": unless}, {**FREE, "unless": "take"}])
    wrong = [name for name in ([unless] if isinstance(unless, str) else unless) if name not in known.split(", ")]
    assert [problem for problem in made.problems() if problem[0][0] == "cleanup"] == [
        (("cleanup", 0, "unless"), f"there is no step {name!r}; the steps are {known}") for name in wrong
    ]
