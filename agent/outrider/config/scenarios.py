"""Scenarios from files: found by name, read, and checked as far as that can be done offline."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from outrider.hygiene import problems, refuse_cards
from outrider.probes.table import PROBES
from outrider.resources import shipped
from outrider.scenario import Scenario, held_against, references
from outrider.strict_yaml import (
    ConfigError,
    Loaded,
    Located,
    Place,
    load_file,
    nearest,
)

_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_STEP = re.compile(r"[^.\[\]`]+")


def find_named_scenario(loaded: Loaded[Any], at: Place, name: str, folders: Iterable[Path]) -> Path:
    """The file of a scenario in the folders, or among those shipped. Raises ConfigError."""
    places = [*folders, shipped("scenarios")]
    for folder in places:
        if (path := folder / f"{name}.yaml").is_file():
            return path
    known = sorted({path.stem for folder in places for path in folder.glob("*.yaml")})
    raise loaded.located.error(at, f"there is no scenario {name!r}; known: {', '.join(known)}", nearest(name, known))


def load_scenario(path: Path) -> Scenario:
    """Read a scenario and check everything that can be checked offline. Raises ConfigError."""
    loaded = load_file(path, Scenario, expand=False, inspect=refuse_cards)
    check_scenario(loaded.located, loaded.value)
    return loaded.value


def check_scenario(located: Located, scenario: Scenario, at: Place = ()) -> None:
    """Everything about a scenario at a place of a document that can be checked offline. Raises ConfigError."""
    for place, message in scenario.problems():
        raise located.error((*at, *place), message)
    for place, step in scenario.located_steps():
        kind = scenario.kind(step)
        if kind not in PROBES:
            where = (*at, *place, "probe") if step.probe else (*at, "probe")
            raise located.error(where, f"there is no probe {kind!r}; known: {', '.join(PROBES)}", nearest(kind, PROBES))
        try:
            PROBES[kind].check(step.request)
        except ValueError as error:
            raise _request_error(located, (*at, *place, "request"), error) from None
    for place, message in problems(scenario):
        raise located.error((*at, *place), message)


def _request_error(located: Located, place: Place, error: ValueError) -> ConfigError:
    """A probe's complaint at the key that it speaks of: msgspec ends its message with "- at `$.key`"."""
    message, _, where = str(error).partition(" - at `$.")
    for step in _STEP.findall(where):
        key = int(step) if isinstance(located.at(place), list) else step
        if (*place, key) not in located.marks:
            break
        place = (*place, key)
    if unknown := _UNKNOWN_FIELD.fullmatch(message):
        return located.error((*place, unknown[1]), f"request: unknown key {unknown[1]!r}", at_key=True)
    return located.error(place, f"request: {message}")


def secret_names(scenario: Scenario) -> set[str]:
    """Every secret that a scenario refers to."""
    values: list[Any] = [scenario.names]
    for _, step in scenario.located_steps():
        values += [step.request, *(value for _, value in held_against(step))]
    return {name.removeprefix("secret:") for name in references(values) if name.startswith("secret:")}
