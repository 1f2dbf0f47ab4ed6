"""The agent's configuration: YAML -> frozen, validated values. Every mistake is told with file:line:column.

Rules
-----
1. Unknown keys and keys written twice are errors (`outrider.strict_yaml`).
2. A check's timeout is longer than nothing and shorter than its interval: a hang must end before the next slot, where
   it can be counted.
3. A check's interval and the slice share a grid fine enough for the lateness limit (`core.timetable`).
4. A scenario is found by its name in the folders of `scenario_dirs`, then among those shipped; a path loads too.
5. Every secret that a scenario names is there when the agent starts.
6. A scenario that breaks a rule of `outrider.hygiene` does not load.
7. A target that the agent's own policy refuses by its host, port or address does not load (`outrider.target_policy`).
8. Checks from a collector are taken only with `check_sets`, which names the keys that sign them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outrider.check_set_settings import Granted, read_granted
from outrider.clock import Clock
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.collector_access import AccessFiles
from outrider.config.checks import check_scheme, read_checks, runs_in
from outrider.config.file import AgentFile
from outrider.config.scenarios import find_named_scenario, load_scenario, secret_names
from outrider.config.targets import parse_address, read_target, read_url
from outrider.core.outcome import OutcomeTable, Rule
from outrider.core.units import Duration
from outrider.execution import Check
from outrider.generators import secrets_from
from outrider.hygiene import asked_for, private_values, refuse_cards
from outrider.probes import Target
from outrider.purse import Purse
from outrider.redact import MASK
from outrider.references import References, read_references
from outrider.scenario import Scenario
from outrider.spool import HIGHEST_NUMBER
from outrider.strict_yaml import (
    Loaded,
    Place,
    ProcessNames,
    load_file,
)
from outrider.target_policy import build_policy
from outrider.transport import StreamRequest, Transport
from outrider.transport.policy import Policy

__all__ = ["AgentConfig", "load_agent", "load_scenario", "secret_names"]

_DIGITS = re.compile(r"[0-9]{1,3}")
_FILE = re.compile(r"\$\{file:([^}]*)\}")


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """What an agent runs by. `secret_values` are to be masked wherever text leaves the process: the scenarios' secrets
    and what came into targets' headers from outside; `private_values`, what the scenarios say about people, in
    details of results. `sources` are the files that it was read from; `shown` is its file for people, as it is written:
    what comes from outside by its reference, headers without their values."""

    name: str
    region: str
    number: int
    collector_url: str
    collector_files: AccessFiles
    ship_interval: Duration
    spool_path: Path
    spool_quota: int
    spool_retention: Duration
    listen: tuple[str, int]
    slice: Duration
    drain: Duration
    checks: tuple[Check, ...]
    table: OutcomeTable
    secrets: Mapping[str, str] = field(repr=False)
    secret_values: frozenset[str] = field(repr=False)
    private_values: frozenset[str] = field(repr=False)
    daily_cap: Mapping[str, int]
    kill_switch: Path | None
    policy: Policy
    references: Mapping[str, StreamRequest]
    reference_interval: Duration
    reference_timeout: Duration
    sources: frozenset[Path]
    shown: Any
    granted: Granted | None = None

    def purse(self, clock: Clock) -> Purse:
        """The agent's purse; its file is beside the spool."""
        path = self.spool_path.with_name(f"{self.spool_path.name}.money")
        return Purse(path, self.daily_cap, self.kill_switch, clock)

    @property
    def clock_path(self) -> Path:
        """Where the agent remembers the collector's clock, beside the spool."""
        return self.spool_path.with_name(f"{self.spool_path.name}.clock")

    @property
    def check_set_path(self) -> Path:
        """Where the agent keeps the check set that it took last, beside the spool."""
        return self.spool_path.with_name(f"{self.spool_path.name}.check-set")

    def references_over(self, transport: Transport, clock: Clock) -> References:
        """The agent's references."""
        return References(
            self.references, transport, clock, interval=self.reference_interval, timeout=self.reference_timeout
        )


def load_agent(path: Path, environ: Mapping[str, str] = os.environ) -> AgentConfig:
    """Read an agent's file and the scenarios it names. Raises ConfigError."""
    loaded = load_file(path, AgentFile, names=ProcessNames(environ, path.parent), inspect=refuse_cards)
    file = loaded.value
    number = _number(loaded)
    targets = {name: read_target(loaded, name, path.parent) for name in file.targets}
    checks = tuple(_checks(loaded, path.parent, targets))
    names = {name for check in checks for name in secret_names(check.scenario)}
    secrets = _secrets(loaded, names, environ)
    _check_caps(loaded, checks)
    return AgentConfig(
        name=file.agent,
        region=file.region,
        number=number,
        collector_url=read_url(loaded, ("collector", "url"), file.collector.url),
        collector_files=_collector_files(loaded, path.parent),
        ship_interval=file.collector.interval,
        spool_path=path.parent / file.spool.path,
        spool_quota=file.spool.quota,
        spool_retention=file.spool.retention,
        listen=parse_address(loaded, ("listen",), file.listen),
        slice=int(file.slice),
        drain=file.drain,
        checks=checks,
        table=(*(Rule(rule.place, rule.code, rule.outcome) for rule in file.outcomes), *OUTCOME_TABLE),
        secrets=secrets,
        secret_values=frozenset((*secrets.values(), *_from_outside_in_headers(loaded))),
        private_values=frozenset(value for check in checks for value in private_values(check.scenario)),
        daily_cap=file.money.daily_cap,
        kill_switch=path.parent / file.money.kill_switch if file.money.kill_switch else None,
        policy=_policy(loaded, checks),
        references=read_references(loaded, file.references, targets, [check.target for check in checks]),
        reference_interval=int(file.references.interval),
        reference_timeout=int(file.references.timeout),
        sources=_sources(loaded, path),
        shown=_shown(loaded.located.value, loaded.located.written),
        granted=read_granted(loaded, file.check_sets, path.parent, targets, file.scenario_dirs),
    )


def _collector_files(loaded: Loaded[AgentFile], base: Path) -> AccessFiles:
    """How the agent proves who it is. The credential may still be to come."""
    file = loaded.value.collector
    for key in ("ca_file", "client_cert_file", "client_key_file"):
        name = getattr(file, key)
        if name is not None and not (base / name).is_file():
            raise loaded.located.error(("collector", key), f"there is no file {str(base / name)!r}")
    if (file.client_cert_file is None) != (file.client_key_file is None):
        given = "client_cert_file" if file.client_cert_file else "client_key_file"
        raise loaded.located.error(("collector", given), "a client certificate and its key come together")
    credential = file.credential_file or f"{loaded.value.spool.path}.credential"
    others = (file.ca_file, file.client_cert_file, file.client_key_file)
    return AccessFiles(base / credential, *(None if name is None else base / name for name in others))


def _policy(loaded: Loaded[AgentFile], checks: Iterable[Check]) -> Policy:
    numbers = {check.name: number for number, check in enumerate(loaded.value.checks)}
    return build_policy(
        loaded,
        loaded.value.policy,
        {name: target.url for name, target in loaded.value.targets.items()},
        {numbers[check.name]: (check.scenario, check.target) for check in checks},
    )


def _sources(loaded: Loaded[AgentFile], path: Path) -> frozenset[Path]:
    """The agent's file, the scenarios it names, and the files whose text came into it."""
    folders = [path.parent / folder for folder in loaded.value.scenario_dirs]
    found = {path}
    for number, check in enumerate(loaded.value.checks):
        found.add(_find_scenario(loaded, ("checks", number, "scenario"), check.scenario, folders, path.parent))
    if loaded.value.check_sets is not None:
        found |= {path.parent / name for name in loaded.value.check_sets.key_files}
    for _, reference in loaded.located.masks:
        found |= {path.parent / name for name in _FILE.findall(reference)}
    return frozenset(found)


def _shown(value: Any, written: Mapping[Place, str], at: Place = ()) -> Any:
    if isinstance(value, dict):
        return {key: _shown(each, written, (*at, key)) for key, each in value.items()}
    if isinstance(value, list):
        return [_shown(each, written, (*at, number)) for number, each in enumerate(value)]
    if at[:1] == ("targets",) and at[2:3] == ("headers",):
        return MASK
    return written.get(at, value)


def _number(loaded: Loaded[AgentFile]) -> int:
    """The agent's number, which may come from the environment and is a text then."""
    text = str(loaded.value.number)
    if not _DIGITS.fullmatch(text) or int(text) > HIGHEST_NUMBER:
        raise loaded.located.error(("number",), f"number: {text} is not between 0 and {HIGHEST_NUMBER}")
    return int(text)


def _secrets(loaded: Loaded[AgentFile], names: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    look_up = secrets_from(environ)
    try:
        return {name: look_up(name) for name in sorted(names)}
    except ValueError as error:
        raise loaded.located.error(("checks",), str(error), at_key=True) from None


def _check_caps(loaded: Loaded[AgentFile], checks: Iterable[Check]) -> None:
    caps = loaded.value.money.daily_cap
    for check in checks:
        asked = asked_for(check.scenario)
        if asked is not None and caps and asked[1] > caps.get(asked[0], -1):
            raise loaded.located.error(
                ("money", "daily_cap"),
                f"one run of check {check.name!r} asks for {asked[1]} {asked[0]} (minor units); "
                + (f"the cap is {caps[asked[0]]}" if asked[0] in caps else f"there is no cap for {asked[0]}"),
            )


def _from_outside_in_headers(loaded: Loaded[AgentFile]) -> Iterable[str]:
    """What `${env:NAME}` and `${file:PATH}` brought into the targets' headers: a key, as a rule."""
    located = loaded.located
    for place, written in located.written.items():
        if place[0] == "targets" and place[2:3] == ("headers",):
            yield from (value for value, reference in located.masks if reference in written)


def _checks(loaded: Loaded[AgentFile], base: Path, targets: Mapping[str, Target]) -> Iterable[Check]:
    file = loaded.value
    folders = [base / folder for folder in file.scenario_dirs]
    scenarios: dict[str, Scenario] = {}

    def scenario_of(at: Place, name: str) -> Scenario:
        if name not in scenarios:
            scenarios[name] = load_scenario(_find_scenario(loaded, at, name, folders, base))
        return scenarios[name]

    every = read_checks(loaded, file.checks, targets, scenario_of, region=file.region, slice=int(file.slice))
    for number, (wanted, check) in enumerate(zip(file.checks, every, strict=True)):
        if runs_in(wanted, file.region):
            check_scheme(loaded, ("checks", number, "target"), check.scenario, check.target)
            yield check


def _find_scenario(
    loaded: Loaded[AgentFile], at: tuple[str | int, ...], name: str, folders: list[Path], base: Path
) -> Path:
    if name.endswith((".yaml", ".yml")):
        return base / name
    return find_named_scenario(loaded, at, name, folders)
