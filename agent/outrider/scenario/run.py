"""A scenario as a machine without input or output: observations in; next request, captures and cleanup out.

Whoever drives it (asyncio probes, gevent load users) sends what `ScenarioRun.next` hands out and feeds back what a
probe read from the answer.

Rules
-----
1. Steps run in order. The first one that is not ok decides the run's outcome, and ends its measured part.
2. A request is rendered once. Sent again, it is the same request, idempotency key included.
3. `names` are drawn once a run; a generator written directly in a request is drawn anew at each place.
4. A cleanup runs whenever the step it undoes may have happened: when it was answered ok, and also when nobody knows
   (time-out, reset, 5xx, nonsense). Not when the request never left, nor when it was refused with a 4xx or declined in
   field 39 of ISO 8583 (expected or not), nor when a step or another cleanup that `unless` names was answered ok: that
   one has undone it.
5. A cleanup that needs a captured name which never came asks for it first: it sends the step it undoes again. Where
   that is refused with a 4xx, there is nothing to undo; not so with a 4xx that would be said whatever became of the
   first one (401, 403, 408, 409, 429). With an `inquiry` it sends that instead, whenever nobody knows whether the step
   happened, and then the undo with what was captured. An answer that the inquiry calls `absent` may come before a slow
   payment: there is nothing to undo only when it is said in two attempts, one some time after the other, and no other
   answer came between. What never happened, no cleanup of it has to undo.
6. Cleanup is never measured. One that is not answered ok leaves the run's cleanup unconfirmed.
7. What an answer names is captured as soon as the answer is ours and holds together, even where it is not the one
   that was expected: it may say what has to be undone. An expected 4xx (a decline) need not name anything: `capture`
   is there for when it is not refused.
8. A generator that cannot draw (ValueError) is the agent's fault, and ends the run like any other failed step.
9. Each request comes with its `plain` form, for rules about what a scenario may send: what the agent draws and what a
   secret holds is `OPAQUE` there. So is what was captured, in a path and in a cleanup: an id of the service's own must
   never keep a payment from being given back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from outrider.core.outcome import OK, Expected, Observation, Outcome, OutcomeClass, OutcomeTable, classify
from outrider.scenario.answers import captured, is_ours, may_have_happened
from outrider.scenario.file import Cleanup, Inquiry, Scenario, Step
from outrider.scenario.naming import OPAQUE, Scalar, as_text, is_generator, plain_names, references, render
from outrider.scenario.undoing import CleanupState, Undoing


@dataclass(frozen=True, slots=True)
class Call:
    """One exchange to make: the step, its request with all names filled in, and whether it is measured; `plain` is the
    request as rule 9 has it."""

    step: Step
    kind: str
    request: Mapping[str, Any] = field(repr=False)
    is_measured: bool
    plain: Mapping[str, Any] = field(repr=False)


class ScenarioRun:
    """One run of a scenario. Alternate `next` and `feed` until `next` returns None.

    `generate` draws a value for a generator's name; `table` is the outcome table.
    """

    def __init__(self, scenario: Scenario, generate: Callable[[str], str], table: OutcomeTable) -> None:
        self._scenario = scenario
        self._generate = generate
        self._table = table
        self._values: dict[str, str] = {}
        self._plain = plain_names(scenario.names)
        self._calls: dict[str, Call] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._undoing = Undoing(scenario, self._lacks_a_name)
        self._current: Call | None = None
        self.outcome: Outcome = OK
        self.deciding_step = scenario.steps[-1].name
        try:
            for name, text in scenario.names.items():
                self._values[name] = render(text, self._resolve)
        except ValueError as error:
            self.outcome, self.deciding_step = _undrawn(error), scenario.steps[0].name

    @property
    def is_measured_over(self) -> bool:
        """Whether what is left, if anything, is cleanup."""
        return not self.outcome.is_ok or len(self._outcomes) >= len(self._scenario.steps)

    @property
    def cleanup(self) -> CleanupState:
        """How the cleanup stands now."""
        return self._undoing.state

    def next(self) -> Call | None:
        """The next exchange to make; None when nothing is left. A cleanup that failed is offered again only after
        `try_again`: the driver decides how often, and when."""
        self._current = (None if self.is_measured_over else self._next_measured()) or self._next_cleanup()
        return self._current

    def _next_measured(self) -> Call | None:
        step = self._scenario.steps[len(self._outcomes)]
        try:
            return self._call(step, is_measured=True)
        except ValueError as error:
            self.outcome, self.deciding_step = _undrawn(error), step.name
            return None

    def _next_cleanup(self) -> Call | None:
        while (step := self._undoing.next()) is not None:
            try:
                return self._call(step, is_measured=False)
            except ValueError:
                self._undoing.give_up()
        return None

    def _lacks_a_name(self, cleanup: Cleanup) -> bool:
        missing = set(references([cleanup.request, cleanup.expect, cleanup.echo])) - self._values.keys()
        return any(not is_generator(name) for name in missing)

    def _call(self, step: Step, *, is_measured: bool) -> Call:
        if step.name not in self._calls:
            request = render(step.request, self._resolve)
            plain = self._plainly(step.request, is_measured=is_measured)
            self._calls[step.name] = Call(step, self._scenario.kind(step), request, is_measured, plain)
        call = self._calls[step.name]
        return call if call.is_measured is is_measured else replace(call, is_measured=is_measured)

    def _plainly(self, request: Mapping[str, Any], *, is_measured: bool) -> Mapping[str, Any]:
        """The request as rule 9 has it."""

        def own(name: str) -> str:
            return self._plain.get(name, OPAQUE)

        def own_or_captured(name: str) -> str:
            return own(name) if name in self._plain or is_generator(name) else self._values[name]

        plain: dict[str, Any] = render(request, own_or_captured if is_measured else own)
        return {**plain, "path": render(request["path"], own)} if "path" in request else plain

    def feed(self, observation: Observation) -> Outcome:
        """Take what was observed of the call that `next` gave last, and say what it means."""
        call, self._current = self._current, None
        if call is None:
            raise RuntimeError("feed() answers the call that next() gave; there is none")
        try:
            outcome = classify(self._expectations(call.step), observation, self._table)
        except ValueError as error:
            outcome = _undrawn(error)
        names = captured(call.step, observation) if is_ours(outcome) else {}
        must_name = outcome.is_ok and may_have_happened(observation)
        if missing := call.step.capture.keys() - names.keys() if must_name else ():
            outcome = _missing(call.step.capture[min(missing)])
        if is_absent := not outcome.is_ok and self._says_absent(call.step, observation):
            names = {}
        self._values.update(names)
        self._plain = {name: text for name, text in self._plain.items() if name not in names}
        if call.is_measured:
            self._outcomes[call.step.name] = outcome
            self._undoing.note(call.step, outcome, observation)
            if not outcome.is_ok:
                self.outcome, self.deciding_step = outcome, call.step.name
        else:
            self._undoing.settle(outcome, observation, is_absent=is_absent)
        return outcome

    def _says_absent(self, step: Step, observation: Observation) -> bool:
        if not isinstance(step, Inquiry) or not step.absent:
            return False
        try:
            return classify(self._expected(step.absent), observation, self._table).is_ok
        except ValueError:
            return False

    def try_again(self, *, is_apart: bool = True) -> None:
        """Offer cleanups that failed once more. `is_apart` says that some time has gone by since they were tried."""
        self._undoing.try_again(is_apart=is_apart)

    def _expectations(self, step: Step) -> Iterator[Expected]:
        for fact, text in step.echo.items():
            yield Expected(fact, (render(text, self._resolve),), echo=True)
        yield from self._expected(step.expect)

    def _expected(self, facts: Mapping[str, Scalar | list[Scalar]]) -> Iterator[Expected]:
        for fact, wanted in facts.items():
            values = wanted if isinstance(wanted, list) else [wanted]
            yield Expected(fact, tuple(render(as_text(value), self._resolve) for value in values))

    def _resolve(self, name: str) -> str:
        return self._values[name] if name in self._values else self._generate(name)


def _missing(fact: str) -> Outcome:
    return Outcome(OutcomeClass.MALFORMED, "missing", f"expect/{fact}", f"the answer has no {fact} to capture")


def _undrawn(error: ValueError) -> Outcome:
    return Outcome(OutcomeClass.AGENT_FAULT, "cannot-prepare", "agent/request", str(error))
