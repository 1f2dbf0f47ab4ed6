"""What a scenario's file says, and what can be wrong with it beyond its shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from outrider.scenario.naming import Path, Problem, Scalar, drawn_anew, is_generator, references, unknown_names


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


class Inquiry(Step, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks whether a step happened of which nobody knows, and captures what undoing it needs. `absent` are the facts
    of an answer that says that it did not happen."""

    absent: dict[str, Scalar | list[Scalar]] = {}


class Cleanup(Step, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step that undoes another; left out where a step or a cleanup that `unless` names has done it already."""

    undoes: str
    unless: str | list[str] | None = None
    inquiry: Inquiry | None = None

    @property
    def others(self) -> tuple[str, ...]:
        """What `unless` names."""
        if isinstance(self.unless, list):
            return tuple(self.unless)
        return (self.unless,) if self.unless else ()


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
            if cleanup.inquiry is not None:
                yield ("cleanup", number, "inquiry"), cleanup.inquiry
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
            for key, value in held_against(step):
                yield from drawn_anew(value, (*path, key))
        measured = [step.name for step in self.steps]
        for number, cleanup in enumerate(self.cleanup):
            if cleanup.undoes not in measured:
                known = ", ".join(measured)
                yield ("cleanup", number, "undoes"), f"there is no step {cleanup.undoes!r}; the steps are {known}"
            others = [*measured, *(each.name for each in self.cleanup if each.name != cleanup.name)]
            for name in cleanup.others:
                if name not in others:
                    known = ", ".join(others)
                    yield ("cleanup", number, "unless"), f"there is no step {name!r}; the steps are {known}"
        yield from self._unknown_names()

    def _unknown_names(self) -> Iterator[Problem]:
        known: set[str] = set()
        for name, text in self.names.items():
            yield from unknown_names(text, ("names", name), known)
            known.add(name)
        before: dict[str, set[str]] = {}
        for number, step in enumerate(self.steps):
            yield from _unknown_in(step, ("steps", number), known)
            before[step.name] = set(known)
            known |= step.capture.keys()
        captures = {step.name: step.capture.keys() for step in self.steps}
        for number, cleanup in enumerate(self.cleanup):
            # A cleanup can count on no more than was known when the step it undoes had been answered.
            asked_with = before.get(cleanup.undoes, known)
            undone_with = asked_with | captures.get(cleanup.undoes, set())
            if cleanup.inquiry is not None:
                yield from _inquiry_problems(cleanup, cleanup.inquiry, ("cleanup", number, "inquiry"), asked_with)
                undone_with = undone_with | cleanup.inquiry.capture.keys()
            yield from _unknown_in(cleanup, ("cleanup", number), undone_with)


def held_against(step: Step) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What a step's answer is held against, with its key in the file."""
    yield "expect", step.expect
    yield "echo", step.echo
    if isinstance(step, Inquiry):
        yield "absent", step.absent


def _unknown_in(step: Step, path: Path, known: set[str]) -> Iterator[Problem]:
    for key, value in (("request", step.request), *held_against(step)):
        yield from unknown_names(value, (*path, key), known)


def _inquiry_problems(cleanup: Cleanup, inquiry: Inquiry, path: Path, known: set[str]) -> Iterator[Problem]:
    """An inquiry is sent without an answer of the step that it asks about."""
    yield from _unknown_in(inquiry, path, known)
    if inquiry.pays:
        yield (*path, "pays"), "an inquiry asks, and moves no money"
    needed = set(references([cleanup.request, cleanup.expect, cleanup.echo])) - known - inquiry.capture.keys()
    for name in sorted(needed):
        if name and not is_generator(name):
            yield path, f"the inquiry does not capture {name!r}, which {cleanup.name!r} needs"
