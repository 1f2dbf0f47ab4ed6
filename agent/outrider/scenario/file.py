"""What a scenario's file says, and what can be wrong with it beyond its shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from outrider.scenario.naming import Path, Problem, Scalar, unknown_names


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
            yield from unknown_names(text, ("names", name), known)
            known.add(name)
        known_after: dict[str, set[str]] = {}
        for path, step in self.located_steps():
            # A cleanup can count on no more than was known when the step it undoes had been answered.
            here = known_after.get(step.undoes, known) if isinstance(step, Cleanup) else known
            for key, value in (("request", step.request), ("expect", step.expect), ("echo", step.echo)):
                yield from unknown_names(value, (*path, key), here)
            if not isinstance(step, Cleanup):
                known |= step.capture.keys()
                known_after[step.name] = set(known)
