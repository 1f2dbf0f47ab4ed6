"""`outrider validate`: configuration, agreements and scenarios, offline. Exit 104 names each mistake by file:line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from outrider.check_sets import read_offline
from outrider.commands import BAD_CONFIG, PASS, complain
from outrider.config import AgentConfig, load_agent, load_scenario
from outrider.core.guarantee import Agreement
from outrider.core.units import format_duration
from outrider.hygiene import as_written
from outrider.resources import shipped
from outrider.strict_yaml import ConfigError, read_value


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="FILE", help="files, or folders of them; the shipped scenarios without"
    )


def run(arguments: argparse.Namespace) -> int:
    paths = list(_files(arguments.paths or [shipped("scenarios"), shipped("config", "guarantees")]))
    good: list[tuple[Path, object]] = []
    mistakes = 0
    for path in paths:
        try:
            good.append((path, _load(path)))
        except ConfigError as error:
            complain(error)
            mistakes += 1
    for mistake in _between(good):
        complain(mistake)
        mistakes += 1
    files = _counted(len(paths), "file")
    if not paths:
        complain("there is no .yaml or .yml file in " + ", ".join(str(path) for path in arguments.paths))
    elif mistakes:
        print(f"{files}, {_counted(mistakes, 'mistake')}")
    else:
        print(f"{files} {'is' if len(paths) == 1 else 'are'} right")
    return BAD_CONFIG if mistakes or not paths else PASS


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(found for found in path.rglob("*") if found.suffix in (".yaml", ".yml"))
        else:
            yield path


def _load(path: Path) -> Any:
    """Load a file as what its keys say it is."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), 1, 1, f"the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), 1, 1, f"the file cannot be read: {error}") from None
    located = read_value(text, file=str(path))
    keys = set(located.value) if isinstance(located.value, dict) else set()
    if "steps" in keys:
        return load_scenario(path)
    if "guarantees" in keys:
        from outrider_collector.config import load_agreement

        return load_agreement(path)
    if "agreement" in keys:
        from outrider_collector.config import load_collector

        return load_collector(path)
    if "checks" in keys and keys <= {"checks", "scenarios", "for"}:
        return read_offline(path)
    if "checks" in keys:
        return load_agent(path, os.environ)
    raise located.error(
        (), "this is no scenario (steps), agreement (guarantees), collector (agreement), agent or check set (checks)"
    )


def _between(loaded: list[tuple[Path, object]]) -> Iterator[str]:
    """What only shows when an agent's file is held against an agreement: the one of the collector's file beside it, and
    if only one agreement is there at all, that one."""
    agreements = {
        path.parent: agreement
        for path, each in loaded
        if isinstance(agreement := getattr(each, "agreement", each), Agreement)
    }
    only = next(iter(agreements.values())) if len({each.name for each in agreements.values()}) == 1 else None
    yield from _numbered_alike([(path, each) for path, each in loaded if isinstance(each, AgentConfig)])
    for path, agent in loaded:
        agreement = agreements.get(path.parent, only)
        if isinstance(agent, AgentConfig) and agreement is not None:
            yield from (f"{path}: {mistake}" for mistake in _against(agent, agreement))


def _numbered_alike(agents: list[tuple[Path, AgentConfig]]) -> Iterator[str]:
    """Agents that would give the same control numbers under the same submitter id."""
    seen: dict[tuple[int, str], str] = {}
    for path, agent in agents:
        for sender in sorted(_senders(agent)):
            other = seen.setdefault((agent.number, sender), agent.name)
            if other != agent.name:
                yield (
                    f"{path}: number: agent {other!r} has {agent.number} too, and both send as {sender!r}: "
                    "their control numbers would be the same"
                )


def _senders(agent: AgentConfig) -> set[str]:
    steps = [(check.scenario, step) for check in agent.checks for _, step in check.scenario.located_steps()]
    return {str(as_written(scenario, step).get("sender")) for scenario, step in steps if scenario.kind(step) == "x12"}


def _against(agent: AgentConfig, agreement: Agreement) -> Iterator[str]:
    for guarantee in agreement.guarantees:
        if agent.slice != guarantee.slice:
            yield (
                f"slice: {format_duration(agent.slice)}, but {guarantee.id} of {agreement.name!r} has slices of "
                f"{format_duration(guarantee.slice)}"
            )
        for check in agent.checks:
            if guarantee.limit is not None and guarantee.covers(check.name) and check.timeout <= guarantee.limit:
                yield (
                    f"check {check.name!r}: a timeout of {format_duration(check.timeout)} is not longer than the limit "
                    f"of {guarantee.id}, {format_duration(guarantee.limit)}: slow answers would look like none"
                )
