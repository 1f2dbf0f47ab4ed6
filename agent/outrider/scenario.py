"""A scenario as a machine without input or output: observations in; next request, captures and cleanup out.

Whoever drives it (asyncio probes, gevent load users) sends what `ScenarioRun.next` hands out and feeds back what a
probe read from the answer.

Rules
-----
1. Steps run in order. The first one that is not ok decides the run's outcome, and ends its measured part.
2. A request is rendered once. Sent again, it is the same request, idempotency key included.
3. `names` are drawn once a run; a generator written directly in a request is drawn anew at each place.
4. A cleanup runs whenever the step it undoes may have happened: when it was answered ok, and also when nobody knows
   (time-out, reset, 5xx, nonsense). Not when the request never left, nor when it was refused with a 4xx (expected or
   not), nor when the step named by `unless` has already undone it.
5. A cleanup that needs a captured name which never came asks for it first: it sends the step it undoes again. Where
   that is refused with a 4xx, there is nothing to undo; not so with a 4xx that would be said whatever became of the
   first one (401, 403, 408, 409, 429).
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

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import msgspec

from outrider.core.outcome import OK, Expected, Observation, Outcome, OutcomeClass, OutcomeTable, classify

Scalar = str | int | float | bool | None
Path = tuple[str | int, ...]
Problem = tuple[Path, str]

OPAQUE = "\ufffd"
"""Stands for a value that is not the scenario's own."""

GENERATORS = ("uuid", "control_number", "trace", "stan", "now", "today")
_REFERENCE = re.compile(r"\$(?:\$|\{([^{}$]*)\}|)")
_TODAY = re.compile(r"today(?:[+-]\d{1,4}d)?")
_SECRET = re.compile(r"secret:[A-Za-z_][A-Za-z0-9_]*")
_NEVER_SENT = ("net/resolve", "net/connect", "net/tls", "agent/")
_MAYBE_DONE = ("408", "409")
_SAYS_NOTHING = ("401", "403", "429", *_MAYBE_DONE)


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One exchange. `request` belongs to the probe; `expect`, `echo` and `capture` speak of its facts. `pays` is said
    of a step that moves money without an amount in its request; one with an amount pays anyway."""

    name: str
    probe: str | None = None
    request: dict[str, Any]
    expect: dict[str, Scalar | list[Scalar]] = {}
    echo: dict[str, str] = {}
    capture: dict[str, str] = {}
    pays: bool = False


class Cleanup(Step, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step that undoes another; left out where the step named by `unless` has done it already."""

    undoes: str
    unless: str | None = None


class Money(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most that one request may ask for: `max_amount` in minor units (cents) of an ISO 4217 currency. `unit` is
    what the service takes amounts in: "major" where ten dollars are written 10 or 10.00."""

    max_amount: int
    currency: str
    unit: Literal["minor", "major"] = "minor"


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An ordered transaction, as its file says. `probe` is the kind of every step that names none."""

    name: str
    title: str
    synthetic: bool
    probe: str
    steps: list[Step]
    cleanup: list[Cleanup] = []
    names: dict[str, str] = {}
    description: str = ""
    money: Money | None = None
    no_cleanup_because: str = ""

    def kind(self, step: Step) -> str:
        """The probe kind of a step."""
        return step.probe or self.probe

    def located_steps(self) -> Iterator[tuple[Path, Step]]:
        """Every step with its place in the file."""
        for number, step in enumerate(self.steps):
            yield ("steps", number), step
        for number, cleanup in enumerate(self.cleanup):
            yield ("cleanup", number), cleanup

    def problems(self) -> Iterator[Problem]:
        """What is wrong with the file beyond its shape: (place, message)."""
        if not self.synthetic:
            yield ("synthetic",), "a scenario must say 'synthetic: true': real people's data does not load"
        if not self.steps:
            yield ("steps",), "a scenario needs at least one step"
        seen: set[str] = set()
        for path, step in self.located_steps():
            if step.name in seen:
                yield (*path, "name"), f"two steps are called {step.name!r}"
            seen.add(step.name)
        measured = [step.name for step in self.steps]
        for number, cleanup in enumerate(self.cleanup):
            for key, name in (("undoes", cleanup.undoes), ("unless", cleanup.unless)):
                if name is not None and name not in measured:
                    yield ("cleanup", number, key), f"there is no step {name!r}; the steps are {', '.join(measured)}"
        yield from self._unknown_names()

    def _unknown_names(self) -> Iterator[Problem]:
        known: set[str] = set()
        for name, text in self.names.items():
            yield from _check_names(text, ("names", name), known)
            known.add(name)
        known_after: dict[str, set[str]] = {}
        for path, step in self.located_steps():
            # A cleanup can count on no more than was known when the step it undoes had been answered.
            here = known_after.get(step.undoes, known) if isinstance(step, Cleanup) else known
            for key, value in (("request", step.request), ("expect", step.expect), ("echo", step.echo)):
                yield from _check_names(value, (*path, key), here)
            if not isinstance(step, Cleanup):
                known |= step.capture.keys()
                known_after[step.name] = set(known)


def is_generator(name: str) -> bool:
    """Whether `${name}` is drawn by the agent, not named by the scenario."""
    return name in GENERATORS or bool(_TODAY.fullmatch(name) or _SECRET.fullmatch(name))


def references(value: Any) -> Iterator[str]:
    """Every name that a value refers to, in order; the empty name for a lone `$`."""
    if isinstance(value, str):
        yield from (found[1] or "" for found in _REFERENCE.finditer(value) if found[0] != "$$")
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from references(each)


def render(value: Any, resolve: Callable[[str], str]) -> Any:
    """A copy of the value with every `${name}` replaced by its text, and `$$` by `$`."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: "$" if found[0] == "$$" else resolve(found[1] or ""), value)
    if isinstance(value, Mapping):
        return {key: render(each, resolve) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [render(each, resolve) for each in value]
    return value


def plain_names(names: Mapping[str, str]) -> dict[str, str]:
    """A scenario's `names` as far as its file says them: what is drawn at run time is OPAQUE."""
    plain: dict[str, str] = {}
    for name, text in names.items():
        plain[name] = render(text, lambda found: plain.get(found, OPAQUE))
    return plain


def _check_names(value: Any, path: Path, known: set[str]) -> Iterator[Problem]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _check_names(each, (*path, key), known)
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _check_names(each, (*path, number), known)
    else:
        for name in references(value):
            if name not in known and not is_generator(name):
                known_here = ", ".join([*GENERATORS, "today-30d", "secret:NAME", *sorted(known)])
                yield path, f"'${{{name}}}' is not a name; known here are {known_here} (write $$ for a dollar sign)"


def as_text(value: Scalar) -> str:
    """How a scalar of YAML or JSON compares with a fact: true, false and null as they are written."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class CleanupState(StrEnum):
    """NONE: there was nothing to undo. PENDING: it is being tried."""

    NONE = "none"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"


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
        self._may_have_happened: set[str] = set()
        self._undone: set[str] = set()
        self._tried: set[str] = set()
        self._current: Call | None = None
        self._cleaning: Cleanup | None = None
        self._asks_first = False
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
        due = [cleanup for cleanup in self._scenario.cleanup if self._is_due(cleanup)]
        if due:
            return CleanupState.UNCONFIRMED
        return CleanupState.CONFIRMED if self._undone else CleanupState.NONE

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
        for cleanup in self._scenario.cleanup:
            if cleanup.name not in self._tried and self._is_due(cleanup):
                self._cleaning = cleanup
                self._asks_first = self._lacks_a_name(cleanup)
                if self._asks_first:
                    original = self._calls[cleanup.undoes]
                    return Call(original.step, original.kind, original.request, is_measured=False, plain=original.plain)
                try:
                    return self._call(cleanup, is_measured=False)
                except ValueError:
                    self._tried.add(cleanup.name)
        return None

    def _lacks_a_name(self, cleanup: Cleanup) -> bool:
        missing = set(references([cleanup.request, cleanup.expect, cleanup.echo])) - self._values.keys()
        return any(not is_generator(name) for name in missing)

    def _is_due(self, cleanup: Cleanup) -> bool:
        if cleanup.name in self._undone or cleanup.undoes not in self._may_have_happened:
            return False
        done_by = self._outcomes.get(cleanup.unless) if cleanup.unless else None
        return done_by is None or not done_by.is_ok

    def _call(self, step: Step, *, is_measured: bool) -> Call:
        if step.name not in self._calls:
            request = render(step.request, self._resolve)
            plain = self._plainly(step.request, is_measured=is_measured)
            self._calls[step.name] = Call(step, self._scenario.kind(step), request, is_measured, plain)
        return self._calls[step.name]

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
        captured = _captured(call.step, observation) if outcome.is_ok or outcome.place.startswith("expect/") else {}
        must_name = outcome.is_ok and not _was_refused(observation, _MAYBE_DONE)
        if missing := call.step.capture.keys() - captured.keys() if must_name else ():
            fact = call.step.capture[min(missing)]
            outcome = Outcome(
                OutcomeClass.MALFORMED, "missing", f"expect/{fact}", f"the answer has no {fact} to capture"
            )
        self._values.update(captured)
        self._plain = {name: text for name, text in self._plain.items() if name not in captured}
        if call.is_measured:
            self._outcomes[call.step.name] = outcome
            if not (_was_never_sent(observation) or _was_refused(observation, _MAYBE_DONE)):
                self._may_have_happened.add(call.step.name)
            if not outcome.is_ok:
                self.outcome, self.deciding_step = outcome, call.step.name
        else:
            self._settle_cleanup(outcome, observation)
        return outcome

    def _settle_cleanup(self, outcome: Outcome, observation: Observation) -> None:
        """Book what the current cleanup's exchange came to (rules 5 and 6)."""
        if self._cleaning is None:
            return
        if self._asks_first:
            if _was_refused(observation, _SAYS_NOTHING):
                self._undone.add(self._cleaning.name)
            elif self._lacks_a_name(self._cleaning):
                self._tried.add(self._cleaning.name)
        elif outcome.is_ok:
            self._undone.add(self._cleaning.name)
        else:
            self._tried.add(self._cleaning.name)

    def try_again(self) -> None:
        """Offer cleanups that failed once more."""
        self._tried.clear()

    def _expectations(self, step: Step) -> Iterator[Expected]:
        for fact, text in step.echo.items():
            yield Expected(fact, (render(text, self._resolve),), echo=True)
        for fact, wanted in step.expect.items():
            values = wanted if isinstance(wanted, list) else [wanted]
            yield Expected(fact, tuple(render(as_text(value), self._resolve) for value in values))

    def _resolve(self, name: str) -> str:
        return self._values[name] if name in self._values else self._generate(name)


def _captured(step: Step, observation: Observation) -> dict[str, str]:
    found = {name: observation.facts.get(fact, ()) for name, fact in step.capture.items()}
    return {name: values[0] for name, values in found.items() if values}


def _was_never_sent(observation: Observation) -> bool:
    return any(finding.place.startswith(_NEVER_SENT) for finding in observation.findings)


def _was_refused(observation: Observation, but: tuple[str, ...]) -> bool:
    """Whether the answer is a 4xx, other than those in `but`."""
    codes = [finding.code for finding in observation.findings if finding.place == "status"]
    return any(code.startswith("4") and code not in but for code in codes)


def _undrawn(error: ValueError) -> Outcome:
    return Outcome(OutcomeClass.AGENT_FAULT, "cannot-prepare", "agent/request", str(error))
