"""A check set's file: text -> a validated model, by the same code as an agent's file; each mistake with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from outrider.codecs.check_sets import MOST_TEXT, Audience
from outrider.config.checks import read_checks
from outrider.config.file import CheckSettings
from outrider.config.scenarios import check_scenario, find_named_scenario, load_scenario
from outrider.core.units import MINUTE
from outrider.execution import Check
from outrider.hygiene import refuse_cards
from outrider.probes import Target
from outrider.scenario import Scenario
from outrider.strict_yaml import ConfigError, Limits, Loaded, Located, Place, load, load_file

MOST_CHECKS = 200
LIMITS = Limits(max_bytes=MOST_TEXT, max_nodes=30_000)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!ya?ml\Z)){0,199}")
_REFERENCE = re.compile(r"\$\{(?:file|env):")
_ANYWHERE = Target("", "http://outrider.invalid")


class CheckSetFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Checks, as an agent's file has them, and the scenarios that they need beside those that every agent has."""

    audience: Audience = msgspec.field(default=Audience(), name="for")
    checks: list[CheckSettings]
    scenarios: list[Scenario] = []


def read_text(text: str, name: str = "check set") -> Loaded[CheckSetFile]:
    """A set's text, checked as far as that goes without an agent. Raises ConfigError."""
    loaded = load(text, CheckSetFile, file=name, expand=False, limits=LIMITS, inspect=refuse_cards)
    _check_shape(loaded)
    return loaded


def read_offline(path: Path, scenario_dirs: Iterable[Path] = ()) -> Loaded[CheckSetFile]:
    """A set's file, for whoever writes it: a target may be any, a scenario one of the folders or of those shipped, and
    what it grants is for the agents to say. Raises ConfigError."""
    loaded = load_file(path, CheckSetFile, expand=False, limits=LIMITS, inspect=refuse_cards)
    _check_shape(loaded)
    targets = {check.target: _ANYWHERE for check in loaded.value.checks}
    for _ in checks_of(loaded, targets, scenario_finder(loaded, tuple(scenario_dirs)), region="", slice=MINUTE):
        pass  # each one raises what is wrong with it
    return loaded


def checks_of(
    loaded: Loaded[CheckSetFile],
    targets: Mapping[str, Target],
    scenario_of: Callable[[Place, str], Scenario],
    *,
    region: str,
    slice: int,
) -> Iterable[Check]:
    """A set's checks at these targets, wherever they run. Raises ConfigError."""
    return read_checks(loaded, loaded.value.checks, targets, scenario_of, region=region, slice=slice)


def scenario_finder(
    loaded: Loaded[CheckSetFile], folders: tuple[Path, ...], found: Callable[[Path], None] = lambda _: None
) -> Callable[[Place, str], Scenario]:
    """Finds what a check names: in the set itself, then in the folders, then among those shipped. `found` is told of
    each file."""
    scenarios = {scenario.name: scenario for scenario in loaded.value.scenarios}

    def find(at: Place, name: str) -> Scenario:
        if name not in scenarios:
            if not _NAME.fullmatch(name):
                raise loaded.located.error(
                    at, f"{name!r} is no name of a scenario; a check set names none by its path", ""
                )
            path = find_named_scenario(loaded, at, name, folders)
            found(path)
            scenarios[name] = load_scenario(path)
        return scenarios[name]

    return find


def _check_shape(loaded: Loaded[CheckSetFile]) -> None:
    file, located = loaded.value, loaded.located
    for place, text in _texts(located.value):
        if _REFERENCE.search(text):
            at, is_key = (place[:-1], True) if place[-1] is None else (place, False)
            raise _error(located, at, "a check set brings nothing from an agent's files or environment", is_key)
    if len(file.checks) > MOST_CHECKS:
        raise located.error(("checks",), f"a check set has at most {MOST_CHECKS} checks", at_key=True)
    for number, check in enumerate(file.checks):
        if not _NAME.fullmatch(check.name):
            raise located.error(("checks", number, "name"), "the name of a check is letters, digits, '-', '_' and '.'")
    seen = set[str]()
    for number, scenario in enumerate(file.scenarios):
        at = ("scenarios", number)
        if scenario.name in seen or not _NAME.fullmatch(scenario.name):
            told = "two scenarios have this name" if scenario.name in seen else "letters, digits, '-', '_' and '.'"
            raise located.error((*at, "name"), f"{scenario.name!r} cannot be this scenario's name: {told}")
        seen.add(scenario.name)
        check_scenario(located, scenario, at)


def _error(located: Located, at: Place, message: str, is_key: bool) -> ConfigError:
    return located.error(at, message, "write a scenario of the agent's own, or ${secret:NAME}", at_key=is_key)


def _texts(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Every text of a document with its place; that of a key ends with None."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield (*at, key, None), key
            yield from _texts(each, (*at, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _texts(each, (*at, number))
    elif isinstance(value, str):
        yield at, value
