"""`outrider once`: each check once, now. Exit 0: all ok; 1: one is not; 2: all that is wrong is the agent's.

With `--all` it is each scenario in the box, against a sandbox (`outrider.commands.library`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random  # noqa: TID251 - where a fresh sequence of control numbers begins
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from outrider.clock import Clock, SystemClock
from outrider.commands import BAD_CONFIG, FAILED, INCONCLUSIVE, PASS, complain
from outrider.commands.dry_run import show
from outrider.commands.library import SandboxError, own_sandbox, running_sandbox
from outrider.commands.processes import run_on_loop
from outrider.config import AgentConfig, load_agent
from outrider.core.outcome import Fault, OutcomeClass
from outrider.core.units import SECOND
from outrider.core.wire import RunRecord
from outrider.execution import Check, Execution, Lag, NoLag, Surroundings
from outrider.generators import Generators
from outrider.purse import Purse
from outrider.redact import Redactor, printable
from outrider.scenario import CleanupState
from outrider.spool import CONTROL_NUMBERS_PER_AGENT, HIGHEST_NUMBER
from outrider.strict_yaml import ConfigError, nearest
from outrider.transport import Transport
from outrider.transport.wires import Wires

AT_ONCE = 10
# Shorter than an agent's: somebody is waiting.
CLEANUP_DELAYS = (0, 2 * SECOND, 5 * SECOND)
# `once` has no spool to go on counting from; it begins anywhere in the range of a number that no agent can have.
ONCE_NUMBER = HIGHEST_NUMBER + 1
ONCE_NUMBERS = range(ONCE_NUMBER * CONTROL_NUMBERS_PER_AGENT + 1, (ONCE_NUMBER + 1) * CONTROL_NUMBERS_PER_AGENT)


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checks", nargs="*", metavar="CHECK", help="names of checks; all of them without")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--config", type=Path, metavar="FILE", help="the agent's YAML file")
    which.add_argument("--all", action="store_true", help="every scenario in the box, against a sandbox of its own")
    parser.add_argument("--sandbox", metavar="URL", help="with --all: a sandbox that runs already")
    parser.add_argument("--json", action="store_true", help="records as JSON, one a line")
    parser.add_argument("--dry-run", action="store_true", help="show the redacted bytes of each request; send nothing")


def run(arguments: argparse.Namespace) -> int:
    if arguments.sandbox and not arguments.all:
        print("outrider once: --sandbox goes with --all; in a file, the targets say where to go", file=sys.stderr)
        return BAD_CONFIG
    try:
        return run_on_loop(_run(arguments))
    except (ConfigError, _NoSuchCheckError) as error:
        complain(error)
        return BAD_CONFIG
    except SandboxError as error:
        print(f"outrider once: {error}", file=sys.stderr)
        return FAILED


@asynccontextmanager
async def _configuration(arguments: argparse.Namespace) -> AsyncIterator[AgentConfig]:
    if arguments.config:
        yield load_agent(arguments.config)
    elif arguments.sandbox:
        yield await running_sandbox(arguments.sandbox)
    else:
        async with own_sandbox() as config:
            yield config


async def _run(arguments: argparse.Namespace) -> int:
    async with _configuration(arguments) as config:
        return await _run_with(config, arguments)


async def _run_with(config: AgentConfig, arguments: argparse.Namespace) -> int:
    checks = _chosen(config, arguments.checks)
    if arguments.dry_run:
        generate = Generators(SystemClock(), _FreshNumbers(), config.secrets.__getitem__, ONCE_NUMBER)
        show(checks, generate, config.secret_values, as_json=arguments.json)
        return PASS
    purse = config.purse(SystemClock())
    allowed = [check for check in checks if _may_run(purse, check)]
    records = await _run_all(config, allowed)
    if arguments.json:
        for record in records:
            print(json.dumps(msgspec.to_builtins(record), sort_keys=True))
    else:
        from outrider.terminal.records import show_records

        show_records(records)
    return _exit_code(records) or (PASS if len(allowed) == len(checks) else INCONCLUSIVE)


def _may_run(purse: Purse, check: Check) -> bool:
    withheld = purse.withhold(check.scenario)
    if withheld is not None:
        print(f"check {check.name} does not run: {withheld.words}", file=sys.stderr)
    return withheld is None


class _NoSuchCheckError(Exception):
    """A check was named that there is not."""


def _chosen(config: AgentConfig, names: list[str]) -> list[Check]:
    known = {check.name: check for check in config.checks}
    if not known:
        raise _NoSuchCheckError(f"no check is configured for region {config.region}")
    for name in names:
        if name not in known:
            hint = f" ({like})" if (like := nearest(name, known)) else ""
            raise _NoSuchCheckError(f"there is no check {name!r}; known: {', '.join(known)}{hint}")
    return [known[name] for name in dict.fromkeys(names)] if names else list(known.values())


class _FreshNumbers:
    """Control numbers for one command."""

    def __init__(self) -> None:
        self._next = random.choice(ONCE_NUMBERS)

    def control_number(self) -> int:
        self._next = self._next + 1 if self._next + 1 in ONCE_NUMBERS else ONCE_NUMBERS.start
        return self._next


def surroundings_of(config: AgentConfig, transport: Transport, clock: Clock, lag: Lag) -> Surroundings:
    """What runs without a spool need besides their check."""
    redactor = Redactor(config.secret_values | config.private_values)
    return Surroundings(
        region=config.region,
        transport=transport,
        clock=clock,
        generate=Generators(clock, _FreshNumbers(), config.secrets.__getitem__, ONCE_NUMBER),
        table=config.table,
        lag=lag,
        references=config.references_over(transport, clock),
        describe=lambda text: printable(redactor.detail(text)),
    )


async def _run_all(config: AgentConfig, checks: list[Check]) -> list[RunRecord]:
    clock = SystemClock()
    transport = Wires(clock, config.policy)
    surroundings = surroundings_of(config, transport, clock, NoLag())
    turns = asyncio.Semaphore(AT_ONCE)

    async def once(check: Check) -> RunRecord:
        async with turns:
            execution = Execution(check, surroundings)
            scheduled_at = clock.now()
            await execution.measure()
            await execution.consult_references()
            await execution.clean_up(CLEANUP_DELAYS)
            return execution.record(purpose="once", scheduled_at=scheduled_at)

    try:
        return list(await asyncio.gather(*(once(check) for check in checks)))
    finally:
        await transport.close()


def _exit_code(records: list[RunRecord]) -> int:
    wrong = [record for record in records if record.outcome != OutcomeClass.OK]
    if any(record.cleanup == CleanupState.UNCONFIRMED for record in records):
        return FAILED
    if any(record.fault != Fault.AGENT for record in wrong):
        return FAILED
    return INCONCLUSIVE if wrong else PASS
