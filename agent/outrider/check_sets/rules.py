"""A signed set against the agent's own file: rules 2 to 5 of `outrider.check_sets`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from outrider.check_set_settings import Granted
from outrider.check_sets.file import CheckSetFile, checks_of, read_text, scenario_finder
from outrider.codecs.check_sets import SignedSet, is_signed
from outrider.config import AgentConfig, secret_names
from outrider.config.checks import check_scheme, runs_in
from outrider.core.units import format_duration
from outrider.execution import Check
from outrider.generators import secrets_from
from outrider.hygiene import as_written, asked_for, private_values
from outrider.scenario import OPAQUE, Scenario, render
from outrider.strict_yaml import ConfigError, Loaded, Place
from outrider.target_policy import of_check

REASONS: Mapping[str, str] = {
    "unreadable": "what the collector sent is no check set, or too large",
    "key": "signed by a key that the agent's own file does not name",
    "signature": "the signature is not that of the key over these bytes",
    "version": "not above the version that was taken last",
    "audience": "for other agents",
    "file": "a mistake in the set's text",
    "target": "a check without a target of the agent's own file, at a reference, or more often than that file allows",
    "scenario": "a scenario by a path, unknown, or one that may not be sent from outside",
    "secret": "a secret that the agent's own file does not grant, or that is not there",
    "policy": "a host or port that the agent's own policy refuses",
    "money": "a payment without a cap in the agent's own file, or above it",
    "name": "a check that has the name of one of the agent's own",
    "unkept": "it cannot be kept on disk, or what was kept there cannot be read",
}
"""Why a set is refused."""

HEADERS = frozenset({"accept", "accept-language", "cache-control", "content-type", "idempotency-key", "prefer"})
"""What a scenario of a set may say of HTTP headers. No other: Host names a host, Authorization is a credential."""

FORBIDDEN = ("server_name", "uri")
"""Keys of a request that name a host. A set's own scenarios have none of them."""

_CLIMBS = re.compile(r"(?:^|[/\\])(?:\.|%2e){2}(?:[/\\;?#]|$)", re.IGNORECASE)
_ENCODED_SLASH = re.compile(r"%(?:2f|5c)", re.IGNORECASE)


class SetRefusedError(Exception):
    """A set that is not taken; `reason` is one of REASONS."""

    def __init__(self, reason: str, words: str) -> None:
        assert reason in REASONS
        super().__init__(words)
        self.reason = reason


def verify(signed: SignedSet, granted: Granted) -> None:
    """Raise SetRefusedError unless somebody signed it whom the agent's own file believes."""
    if signed.key not in granted.keys:
        raise SetRefusedError("key", f"check set {signed.version} is signed by a key that is none of ours")
    if not is_signed(signed):
        raise SetRefusedError("signature", f"the signature of check set {signed.version} is not good")


def extended(own: AgentConfig, signed: SignedSet, environ: Mapping[str, str] = os.environ) -> AgentConfig:
    """The agent's own configuration with the checks of a set. Raises SetRefusedError; blocks."""
    if own.granted is None:
        raise SetRefusedError("key", "the agent's own file has no check_sets: it takes none")
    verify(signed, own.granted)
    with _refusing("file"):
        loaded = read_text(signed.text, f"check set {signed.version}")
    if not loaded.value.audience.has(own.name, own.region):
        raise SetRefusedError("audience", f"check set {signed.version} is for other agents")
    for number, scenario in enumerate(loaded.value.scenarios):
        with _refusing("scenario"):
            _check_sent_scenario(loaded, ("scenarios", number), scenario)
    sources = set[Path]()
    checks = tuple(_checks(own, own.granted, loaded, sources))
    secrets = _secrets(own.granted, loaded, checks, environ)
    return replace(
        own,
        checks=(*own.checks, *_here(loaded, checks, own.region)),
        secrets={**own.secrets, **secrets},
        secret_values=own.secret_values | frozenset(secrets.values()),
        private_values=own.private_values | {value for check in checks for value in private_values(check.scenario)},
        sources=own.sources | sources,
    )


@contextmanager
def _refusing(reason: str) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise SetRefusedError(reason, str(error)) from None


def _here(loaded: Loaded[CheckSetFile], checks: Iterable[Check], region: str) -> Iterator[Check]:
    return (check for wanted, check in zip(loaded.value.checks, checks, strict=True) if runs_in(wanted, region))


def _check_sent_scenario(loaded: Loaded[CheckSetFile], at: Place, scenario: Scenario) -> None:
    """Rule 4: what only a scenario on the agent's own disk may say."""
    for place, step in scenario.located_steps():
        request, written = (*at, *place, "request"), as_written(scenario, step)
        for key in FORBIDDEN:
            if key in written:
                raise loaded.located.error((*request, key), f"a check set brings no host: {key}", at_key=True)
        headers = written.get("headers")
        for name in headers if isinstance(headers, dict) else ():
            if name.lower() not in HEADERS:
                told = f"a check set brings no header {name!r}; known: {', '.join(sorted(HEADERS))}"
                raise loaded.located.error((*request, "headers", name), told, at_key=True)
        path = step.request.get("path")
        if isinstance(path, str) and _climbs(scenario, path):
            raise loaded.located.error((*request, "path"), "a path of a check set does not climb (..)")


def _climbs(scenario: Scenario, path: str) -> bool:
    """Whether a path leaves what the target's URL says, or may hide it. What a form of `now` brings in counts too
    (`${now:..}`); what only an answer of the target brings in is not known here."""
    plain: dict[str, str] = {}

    def resolve(name: str) -> str:
        return name.removeprefix("now:") if name.startswith("now:") else plain.get(name, OPAQUE)

    for name, text in scenario.names.items():
        plain[name] = render(text, resolve)
    written = render(path, resolve)
    return bool(_CLIMBS.search(written) or _ENCODED_SLASH.search(written))


def _checks(own: AgentConfig, granted: Granted, loaded: Loaded[CheckSetFile], sources: set[Path]) -> Iterator[Check]:
    """Every check of the set, here or elsewhere, each of which the agent's own file allows."""
    located = loaded.located
    for number, wanted in enumerate(loaded.value.checks):
        at: Place = ("checks", number)
        with _refusing("name"):
            if wanted.name in granted.names:
                raise located.error((*at, "name"), f"the agent has a check {wanted.name!r} of its own")
        with _refusing("target"):
            if wanted.target not in granted.targets:
                known = ", ".join(granted.targets) or "none"
                raise located.error(
                    (*at, "target"), f"the agent's own file has no target {wanted.target!r}; it has {known}"
                )
            if _host(granted.targets[wanted.target].url) in {each.host.lower() for each in own.references.values()}:
                raise located.error((*at, "target"), "it is on the host of a reference, which nothing probes")
            if wanted.interval < granted.shortest_interval:
                least = format_duration(granted.shortest_interval)
                raise located.error(
                    (*at, "interval"), f"the agent's own file lets check sets run every {least} at most"
                )
    find = scenario_finder(loaded, granted.scenario_dirs, sources.add)
    for number, wanted in enumerate(loaded.value.checks):
        with _refusing("scenario"):
            find(("checks", number, "scenario"), wanted.scenario)
    with _refusing("file"):
        every = tuple(checks_of(loaded, granted.targets, find, region=own.region, slice=own.slice))
    for number, check in enumerate(every):
        _check_reach(own, loaded, ("checks", number), check)
        _check_money(own, loaded, ("checks", number), check.scenario)
        yield check


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


def _check_reach(own: AgentConfig, loaded: Loaded[CheckSetFile], at: Place, check: Check) -> None:
    with _refusing("target"):
        check_scheme(loaded, (*at, "target"), check.scenario, check.target)
    with _refusing("policy"):
        for host, port in of_check(check.scenario, check.target):
            if refused := own.policy.refusal(host, None, port):
                raise loaded.located.error((*at, "target"), refused.words)


def _check_money(own: AgentConfig, loaded: Loaded[CheckSetFile], at: Place, scenario: Scenario) -> None:
    asked = asked_for(scenario)
    if asked is None:
        return
    currency, amount = asked
    with _refusing("money"):
        if currency not in own.daily_cap:
            told = f"it pays, and the agent's own file has no money.daily_cap for {currency}"
            raise loaded.located.error((*at, "scenario"), told)
        if amount > own.daily_cap[currency]:
            told = (
                f"one run asks for {amount} {currency} (minor units); the agent's own cap is {own.daily_cap[currency]}"
            )
            raise loaded.located.error((*at, "scenario"), told)


def _secrets(
    granted: Granted, loaded: Loaded[CheckSetFile], checks: Iterable[Check], environ: Mapping[str, str]
) -> dict[str, str]:
    look_up, found = secrets_from(environ), dict[str, str]()
    for number, check in enumerate(checks):
        at = ("checks", number, "scenario")
        with _refusing("secret"):
            for name in sorted(secret_names(check.scenario) - found.keys()):
                if name not in granted.secrets:
                    raise loaded.located.error(at, f"the agent's check_sets.secrets does not grant {name}")
                try:
                    found[name] = look_up(name)
                except ValueError as error:
                    raise loaded.located.error(at, str(error)) from None
    return found
