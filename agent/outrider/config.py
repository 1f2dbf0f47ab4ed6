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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from outrider.check_set_settings import CheckSetSettings, Granted, read_granted
from outrider.clock import Clock
from outrider.codecs.extras import MissingExtraError, require
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.collector_access import AccessFiles
from outrider.core.outcome import OutcomeClass, OutcomeTable, Rule
from outrider.core.timetable import Timetable
from outrider.core.units import Duration, format_duration
from outrider.execution import Check
from outrider.generators import secrets_from
from outrider.hygiene import asked_for, private_values, problems, refuse_cards
from outrider.probes import HTTP_SCHEMES, Target, endpoint
from outrider.probes.table import NEEDS, PROBES
from outrider.purse import Purse
from outrider.redact import MASK
from outrider.references import References, ReferenceSettings, read_references
from outrider.resources import shipped
from outrider.scenario import Scenario, held_against, references
from outrider.spool import DEFAULT_QUOTA, HIGHEST_NUMBER
from outrider.strict_yaml import (
    ConfigError,
    DurationText,
    Loaded,
    Located,
    Place,
    ProcessNames,
    SizeText,
    default,
    load_file,
    nearest,
)
from outrider.target_policy import PolicySettings, build_policy, check_host
from outrider.transport import StreamRequest, Transport
from outrider.transport.policy import Policy
from outrider.zones import read_zone

_SCHEMES = ("http", "https", "tcp", "tls", "udp")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_DIGITS = re.compile(r"[0-9]{1,3}")
_FILE = re.compile(r"\$\{file:([^}]*)\}")
_STEP = re.compile(r"[^.\[\]`]+")


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping in a file that knows all its keys."""


class CollectorSettings(_File, frozen=True, kw_only=True):
    """Where results go. `interval` is the pause between batches; `credential_file` is what `outrider enroll` writes,
    beside the spool without; the others are for a collector that speaks TLS."""

    url: str
    interval: DurationText = default(DurationText, "1s")
    credential_file: str | None = None
    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None


class SpoolSettings(_File, frozen=True, kw_only=True):
    """Where results wait. `retention` is how long delivered ones are kept, for a collector restored from a backup."""

    path: str
    quota: SizeText = default(SizeText, f"{DEFAULT_QUOTA}B")
    retention: DurationText = default(DurationText, "24h")


class TargetSettings(_File, frozen=True, kw_only=True):
    """A service to probe. The scheme of its address says how to get there: http, https, tcp, tls or udp. `zone` is the
    IANA time zone whose date `today` is."""

    url: str
    headers: dict[str, str] = {}
    ca_file: str | None = None
    verify_tls: bool = True
    zone: str = "UTC"


class CheckSettings(_File, frozen=True, kw_only=True):
    """Scenario x target x interval x regions. Without `regions` every region runs it."""

    name: str
    scenario: str
    target: str
    interval: DurationText
    timeout: DurationText
    lateness: DurationText | None = None
    regions: list[str] | None = None
    enabled: bool = True


class MoneySettings(_File, frozen=True, kw_only=True):
    """What all checks together may ask for in a UTC day, in minor units by currency, and the file that stops them."""

    daily_cap: dict[str, int] = {}
    kill_switch: str | None = None


class OutcomeRule(_File, frozen=True, kw_only=True):
    """A row that is put before the shipped outcome table."""

    place: str
    code: str
    outcome: OutcomeClass


class AgentFile(_File, frozen=True, kw_only=True):
    """One agent. `number` (0 to 998) begins its control numbers: give each agent of a submitter id its own."""

    agent: str
    region: str
    number: int | str = 0
    collector: CollectorSettings
    spool: SpoolSettings
    listen: str = "127.0.0.1:9464"
    slice: DurationText = default(DurationText, "60s")
    drain: DurationText = default(DurationText, "10s")
    scenario_dirs: list[str] = []
    targets: dict[str, TargetSettings]
    checks: list[CheckSettings]
    outcomes: list[OutcomeRule] = []
    money: MoneySettings = MoneySettings()
    policy: PolicySettings = PolicySettings()
    references: ReferenceSettings = ReferenceSettings()
    check_sets: CheckSetSettings | None = None


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
    targets = {name: _target(loaded, name, path.parent) for name in file.targets}
    checks = tuple(_checks(loaded, path.parent, targets))
    names = {name for check in checks for name in secret_names(check.scenario)}
    secrets = _secrets(loaded, names, environ)
    _check_caps(loaded, checks)
    return AgentConfig(
        name=file.agent,
        region=file.region,
        number=number,
        collector_url=_url(loaded, ("collector", "url"), file.collector.url),
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


def _target(loaded: Loaded[AgentFile], name: str, base: Path) -> Target:
    wanted = loaded.value.targets[name]
    try:
        zone = read_zone(wanted.zone)
    except ValueError as error:
        raise loaded.located.error(("targets", name, "zone"), str(error)) from None
    url = _url(loaded, ("targets", name, "url"), wanted.url, _SCHEMES)
    try:
        check_host(urlsplit(url).hostname or "")
    except ValueError as error:
        raise loaded.located.error(("targets", name, "url"), str(error)) from None
    return Target(
        name,
        url,
        tuple(wanted.headers.items()),
        None if wanted.ca_file is None else str(base / wanted.ca_file),
        wanted.verify_tls,
        zone,
    )


def _url(loaded: Loaded[Any], at: tuple[str | int, ...], text: str, schemes: Iterable[str] = HTTP_SCHEMES) -> str:
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, an IPv6 address that is not closed
        is_address = False
    if not is_address:
        *first, last = (f"{scheme}://" for scheme in schemes)
        raise loaded.located.error(at, f"{text!r} is not an address; it begins with {', '.join(first)} or {last}")
    return text


def parse_address(loaded: Loaded[Any], at: tuple[str | int, ...], text: str) -> tuple[str, int]:
    """Read "127.0.0.1:9464". Raises ConfigError at the place."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise loaded.located.error(at, f"{text!r} is not an address; write it like 127.0.0.1:9464")
    return host.strip("[]"), int(port)


def _find_scenario(
    loaded: Loaded[AgentFile], at: tuple[str | int, ...], name: str, folders: list[Path], base: Path
) -> Path:
    if name.endswith((".yaml", ".yml")):
        return base / name
    return find_named_scenario(loaded, at, name, folders)


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
