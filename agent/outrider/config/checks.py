"""Checks as a file lists them -> checks that can run: scenario, target and timetable in one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from outrider.codecs.extras import MissingExtraError, require
from outrider.config.file import CheckSettings
from outrider.core.timetable import Timetable
from outrider.core.units import Duration, format_duration
from outrider.execution import Check
from outrider.probes import Target, endpoint
from outrider.probes.table import NEEDS, PROBES
from outrider.scenario import Scenario
from outrider.strict_yaml import (
    Loaded,
    Place,
    nearest,
)


def runs_in(wanted: CheckSettings, region: str) -> bool:
    """Whether a region runs a check."""
    return wanted.enabled and (wanted.regions is None or region in wanted.regions)


def read_checks(
    loaded: Loaded[Any],
    every: Sequence[CheckSettings],
    targets: Mapping[str, Target],
    scenario_of: Callable[[Place, str], Scenario],
    *,
    region: str,
    slice: Duration,
) -> Iterable[Check]:
    """The checks that stand under `checks` in a file, wherever they run. Raises ConfigError."""
    seen = set[str]()
    for number, wanted in enumerate(every):
        at: Place = ("checks", number)
        if wanted.name in seen:
            raise loaded.located.error((*at, "name"), f"two checks are called {wanted.name!r}")
        seen.add(wanted.name)
        if wanted.target not in targets:
            known = ", ".join(targets) or "none"
            raise loaded.located.error(
                (*at, "target"),
                f"there is no target {wanted.target!r}; known: {known}",
                nearest(wanted.target, targets),
            )
        if wanted.timeout <= 0:
            raise loaded.located.error((*at, "timeout"), "a timeout must be longer than nothing")
        if wanted.timeout >= wanted.interval:
            raise loaded.located.error(
                (*at, "timeout"),
                f"a timeout of {format_duration(wanted.timeout)} is not shorter than the interval of "
                f"{format_duration(wanted.interval)}: a hang would hide in missed slots",
            )
        scenario = scenario_of((*at, "scenario"), wanted.scenario)
        # Records are encoded from these: they must be plain numbers.
        lateness = None if wanted.lateness is None else int(wanted.lateness)
        try:
            timetable = Timetable(region, wanted.name, int(wanted.interval), slice, lateness)
        except ValueError as error:
            raise loaded.located.error((*at, "interval"), str(error)) from None
        yield Check(wanted.name, scenario, targets[wanted.target], timetable, int(wanted.timeout))


def check_scheme(loaded: Loaded[Any], at: Place, scenario: Scenario, target: Target) -> None:
    """A probe goes only where its protocol is spoken, and to a port that somebody named."""
    for _, step in scenario.located_steps():
        kind = scenario.kind(step)
        if kind in NEEDS:
            try:
                require(NEEDS[kind], f"step {step.name!r} of scenario {scenario.name!r}")
            except MissingExtraError as error:
                raise loaded.located.error((*at[:-1], "scenario"), str(error)) from None
        schemes = PROBES[kind].schemes
        scheme = urlsplit(target.url).scheme
        if scheme not in schemes:
            raise loaded.located.error(
                at,
                f"step {step.name!r} of scenario {scenario.name!r} speaks {kind}, which goes to a target of "
                f"{', '.join(f'{name}://' for name in schemes)}; target {target.name!r} is {scheme}://",
            )
        try:
            endpoint(target, schemes)
        except ValueError as error:
            raise loaded.located.error(("targets", target.name, "url"), str(error)) from None
