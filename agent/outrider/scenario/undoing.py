"""Which cleanups of a run are due, what each has to ask first, and what became of them: rules 4 to 6 of a run."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from outrider.core.outcome import Observation, Outcome
from outrider.scenario.answers import denies_the_first, is_ours, may_have_happened
from outrider.scenario.file import Cleanup, Scenario, Step


class CleanupState(StrEnum):
    """NONE: there was nothing to undo. PENDING: it is being tried."""

    NONE = "none"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"


class Undoing:
    """The cleanups of one run. `lacks_a_name` says of a cleanup whether its request cannot be filled in yet."""

    def __init__(self, scenario: Scenario, lacks_a_name: Callable[[Cleanup], bool]) -> None:
        self._cleanups = scenario.cleanup
        self._steps = {step.name: step for step in scenario.steps}
        self._lacks_a_name = lacks_a_name
        self._may_have_happened: set[str] = set()
        self._ok: set[str] = set()
        self._answered: set[str] = set()
        self._undone: set[str] = set()
        self._found: set[str] = set()
        self._absent_before: set[str] = set()
        self._tried: set[str] = set()
        self._attempt_is_apart = True
        self._current: Cleanup | None = None
        self._asking: Step | None = None

    @property
    def state(self) -> CleanupState:
        """How the cleanups stand now."""
        if any(self._is_due(cleanup) for cleanup in self._cleanups):
            return CleanupState.UNCONFIRMED
        return CleanupState.CONFIRMED if self._undone else CleanupState.NONE

    def note(self, step: Step, outcome: Outcome, observation: Observation) -> None:
        """A measured step came to this."""
        if may_have_happened(observation):
            self._may_have_happened.add(step.name)
        if outcome.is_ok:
            self._ok.add(step.name)
        if is_ours(outcome):
            self._answered.add(step.name)

    def next(self) -> Step | None:
        """What to send next: a cleanup, its inquiry, or the step that it undoes; None when nothing is left to try."""
        for cleanup in self._cleanups:
            if cleanup.name not in self._tried and self._is_due(cleanup) and not self._waits(cleanup):
                self._current, self._asking = cleanup, self._question(cleanup)
                return self._asking or cleanup
        self._current = None
        return None

    def _is_due(self, cleanup: Cleanup) -> bool:
        if cleanup.name in self._undone or cleanup.undoes not in self._may_have_happened:
            return False
        return self._ok.isdisjoint(cleanup.others)

    def _waits(self, cleanup: Cleanup) -> bool:
        """Whether another cleanup's inquiry finds what this one needs: nothing is sent again beside an inquiry."""
        if cleanup.inquiry is not None or not self._lacks_a_name(cleanup):
            return False
        return any(other.inquiry is not None and other.undoes == cleanup.undoes for other in self._cleanups)

    def _question(self, cleanup: Cleanup) -> Step | None:
        """What has to be asked before a cleanup (rule 5)."""
        lacks_a_name = self._lacks_a_name(cleanup)
        if cleanup.inquiry is None:
            return self._steps[cleanup.undoes] if lacks_a_name else None
        nobody_knows = cleanup.undoes not in self._answered and cleanup.name not in self._found
        return cleanup.inquiry if lacks_a_name or nobody_knows else None

    def give_up(self) -> None:
        """The current cleanup cannot be made in this attempt."""
        if self._current is not None:
            self._absent_before.discard(self._current.name)
            self._tried.add(self._current.name)

    def settle(self, outcome: Outcome, observation: Observation, *, is_absent: bool) -> None:
        """Book what the current exchange came to."""
        cleanup, asking, self._asking = self._current, self._asking, None
        if cleanup is None:
            return
        if asking is None and outcome.is_ok:
            self._undone.add(cleanup.name)
            self._ok.add(cleanup.name)
        elif asking is None:
            self._tried.add(cleanup.name)
        elif asking is not cleanup.inquiry:
            self._settle_repeat(cleanup, observation)
        elif is_absent:
            self._settle_absence(cleanup)
        else:
            self._absent_before.discard(cleanup.name)
            is_found = is_ours(outcome) and not self._lacks_a_name(cleanup)
            (self._found if is_found else self._tried).add(cleanup.name)

    def _settle_repeat(self, cleanup: Cleanup, observation: Observation) -> None:
        if denies_the_first(observation):
            self._never_happened(cleanup)
        elif self._lacks_a_name(cleanup):
            self._tried.add(cleanup.name)

    def _settle_absence(self, cleanup: Cleanup) -> None:
        """Once may be too early; the second time, later, it is settled."""
        if cleanup.name in self._absent_before and self._attempt_is_apart:
            self._never_happened(cleanup)
        else:
            self._absent_before.add(cleanup.name)
            self._tried.add(cleanup.name)

    def _never_happened(self, cleanup: Cleanup) -> None:
        """For this cleanup, and any other of the same step, there is nothing to undo."""
        self._undone.add(cleanup.name)
        self._may_have_happened.discard(cleanup.undoes)

    def try_again(self, *, is_apart: bool) -> None:
        """Offer cleanups that failed once more."""
        self._tried.clear()
        self._attempt_is_apart = is_apart
