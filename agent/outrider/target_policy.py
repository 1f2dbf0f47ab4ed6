"""The key `policy` of an agent's file: where the agent may go. What is not said there follows from its own targets.

The policy is held against the agent's own targets as the file is read, so that a mistake is told with its line; names
show only at run time where they lead.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec

from outrider.probes import HTTP_SCHEMES, Target, endpoint
from outrider.probes.table import PROBES
from outrider.scenario import Scenario
from outrider.strict_yaml import Loaded
from outrider.transport.addresses import literal
from outrider.transport.policy import Policy, read_network, read_pattern, read_ports

W = TypeVar("W", int, str, int | str)
R = TypeVar("R")
Going: TypeAlias = tuple[Scenario, Target]
"""What a check sends, and where."""


class PolicySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hosts ("*.example.net"), networks (public, 10.20.0.0/16) and ports (443, 5000-5010) that an agent may go to."""

    hosts: list[str] | None = None
    networks: list[str] | None = None
    ports: list[int | str] | None = None


def build_policy(
    loaded: Loaded[Any], settings: PolicySettings, targets: Mapping[str, str], checks: Mapping[int, Going]
) -> Policy:
    """The policy of a file with these targets (name: URL) and checks (by their number in the file), all of which pass
    it. Raises ConfigError."""
    named = {name: _of_target(url) for name, url in targets.items()}
    going = [(number, *where) for number, check in checks.items() for where in of_check(*check)]
    policy = Policy(
        frozenset((*((host, port or 0) for host, port in named.values()), *((host, port) for _, host, port in going))),
        _each(loaded, "hosts", settings.hosts, read_pattern),
        _each(loaded, "networks", settings.networks, read_network),
        _each(loaded, "ports", settings.ports, read_ports),
    )
    for name, (host, port) in named.items():
        if refused := policy.refusal(host, None, port):
            raise loaded.located.error(("targets", name, "url"), f"target {name!r}: {refused.words}")
    for number, host, port in going:
        if refused := policy.refusal(host, None, port):
            raise loaded.located.error(("checks", number, "target"), refused.words)
    return policy


def _each(loaded: Loaded[Any], key: str, written: list[W] | None, read: Callable[[W], R]) -> tuple[R, ...] | None:
    if written is None:
        return None
    found = []
    for number, each in enumerate(written):
        try:
            found.append(read(each))
        except ValueError as error:
            raise loaded.located.error(("policy", key, number), f"policy.{key}: {error}") from None
    return tuple(found)


def _of_target(url: str) -> tuple[str, int | None]:
    """The host and port of a target; without a port, that of its scheme, where every probe has the same."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or HTTP_SCHEMES.get(parts.scheme)


def of_check(scenario: Scenario, target: Target) -> Iterator[tuple[str, int]]:
    """Every host and port that a check's steps go to."""
    for _, step in scenario.located_steps():
        where = endpoint(target, PROBES[scenario.kind(step)].schemes)
        other = step.request.get("port")
        yield where.host, other if isinstance(other, int) else where.port


def check_host(host: str) -> None:
    """Refuse a host that two readers could take for two. Raises ValueError."""
    if not host.isascii():
        raise ValueError(f"the host {host!r} is not ASCII: write it as it stands in DNS, like xn--bcher-kva.example")
    address = literal(host)
    if address is None:
        return
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"the host {host} is an address in a spelling of its own: write {address}") from None
