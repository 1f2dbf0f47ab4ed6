"""A running agent's configuration, which may be read anew while it runs.

Rules
-----
1. Everything is read and checked before anything changes. A bad file changes nothing, and says where it is wrong.
2. A check that is as before keeps its timetable, and the run it is in (`outrider.runner.Runner.serve`).
3. What the spool, the collector and scrapers know the agent by is for the whole of its life: agent, region, number,
   collector, spool, listen. A file that changes one of them is refused whole, with the keys that want a restart.
4. A file that changes by itself is read when it has stood still for one look: whoever saves it may not be done.
5. What was a secret stays one: runs that are under way may still show it.
6. What a collector offers comes on top of the file (`outrider.check_sets`), whose own say always wins: a file that is
   read again is put in force whether the set of checks still holds against it or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from outrider.check_sets import CheckSets
from outrider.clock import Clock
from outrider.codecs.check_sets import SignedSet
from outrider.config import AgentConfig, load_agent
from outrider.core.units import SECOND, Duration
from outrider.execution import Lag, Surroundings
from outrider.generators import Generators
from outrider.purse import Purse
from outrider.redact import Redactor, printable
from outrider.runner import Runner
from outrider.spool import Outbox
from outrider.strict_yaml import ConfigError
from outrider.transport import Transport
from outrider.transport.policy import Policy

_FOR_LIFE = {
    "agent": "name",
    "region": "region",
    "number": "number",
    "collector.url": "collector_url",
    "collector.interval": "ship_interval",
    "collector's files": "collector_files",
    "spool.path": "spool_path",
    "spool.quota": "spool_quota",
    "spool.retention": "spool_retention",
    "listen": "listen",
}
LOOK_EVERY: Duration = 5 * SECOND


@dataclass(frozen=True, slots=True)
class Reloaded:
    """Whether the file is in force now, and what changed, or why it is not."""

    is_in_force: bool
    told: str


class Configured:
    """Makes what runs need from the configuration in force; `reload` puts another one in force.

    `own` is what the agent's file says, `config` the same with the set of checks in force. `keep_to` takes the target
    policy of a file that is put in force. `since` is the wall clock at the last reload that
    succeeded, `is_sound` whether the last one did.
    """

    def __init__(
        self,
        path: Path,
        config: AgentConfig,
        *,
        clock: Clock,
        outbox: Outbox,
        transport: Transport,
        lag: Lag,
        keep_to: Callable[[Policy], None] = lambda _: None,
    ) -> None:
        self.own = config
        self.sets = CheckSets(config.check_set_path)
        self.config = config = self.sets.over(config)
        self.references = config.references_over(transport, clock)
        self.since = clock.now()
        self.is_sound = True
        self._path = path
        self._clock = clock
        self._outbox = outbox
        self._transport = transport
        self._keep_to = keep_to
        self._lag = lag
        self._masked = config.secret_values | config.private_values
        self._runner: Runner | None = None
        self._turn = asyncio.Lock()
        self._stamps = _stamps(config.sources)

    def surroundings(self) -> Surroundings:
        """What runs need, by the configuration in force."""
        config, redactor = self.config, Redactor(self._masked)
        return Surroundings(
            region=config.region,
            transport=self._transport,
            clock=self._clock,
            generate=Generators(self._clock, self._outbox, config.secrets.__getitem__, config.number),
            table=config.table,
            lag=self._lag,
            references=self.references,
            describe=lambda text: printable(redactor.detail(text)),
        )

    def purse(self) -> Purse:
        return self.config.purse(self._clock)

    def serve_with(self, runner: Runner) -> None:
        """The runner that is told when the configuration changes."""
        self._runner = runner

    def shown(self) -> bytes:
        """The agent's file as JSON, for people: nothing that came from outside, and no secret."""
        text = msgspec.json.format(msgspec.json.encode(self.config.shown), indent=2).decode()
        return Redactor(self._masked).text(text).encode()

    async def reload(self) -> Reloaded:
        """Read the file again (rules 1 to 3). Raises only CancelledError."""
        async with self._turn:
            # Looked at before it is read: what changes meanwhile is a change that is still to be read.
            before = self._stamps = await asyncio.to_thread(_stamps, self.config.sources)
            try:
                config = await asyncio.to_thread(load_agent, self._path)
            except ConfigError as error:
                self.is_sound = False
                return Reloaded(False, f"{error}; the agent goes on as before")
            if fixed := [key for key, name in _FOR_LIFE.items() if getattr(config, name) != getattr(self.config, name)]:
                self.is_sound = False
                told = f"{self._path}: {', '.join(fixed)} cannot change while the agent runs; restart it"
                return Reloaded(False, f"{told}. It goes on as before")
            refusals = self.sets.refusals.total()
            self.own, config = config, await asyncio.to_thread(self.sets.over, config)
            self._stamps = await asyncio.to_thread(_stamps, config.sources) | before
            self.is_sound, self.since = True, self._clock.now()
            told = self._put_in_force(config)
            if self.sets.refusal is not None and self.sets.refusals.total() > refusals:
                told = f"{told}; the check set is out of force: {self.sets.refusal.words}"
            return Reloaded(True, told)

    async def take(self, signed: SignedSet) -> str | None:
        """Put a set of checks in force; what changed, None where it is in force already. Raises SetRefusedError."""
        async with self._turn:
            config = await asyncio.to_thread(self.sets.take, self.own, signed)
            if config is None:
                return None
            self._stamps |= await asyncio.to_thread(_stamps, config.sources - self._stamps.keys())
            return self._put_in_force(config)

    def _put_in_force(self, config: AgentConfig) -> str:
        self.config = config
        self._masked |= config.secret_values | config.private_values
        self._keep_to(config.policy)
        self.references.serve(config.references, config.reference_interval, config.reference_timeout)
        if self._runner is None:
            return "read"
        return str(self._runner.serve(config.checks, self.surroundings(), self.purse()))

    async def watch(self, tell: Callable[[Reloaded], None], every: Duration = LOOK_EVERY) -> None:
        """Reload when a file has changed (rule 4), and `tell`. Raises only CancelledError."""
        seen: dict[Path, Any] = {}
        while True:
            await asyncio.sleep(every / SECOND)
            now = await asyncio.to_thread(_stamps, self.config.sources)
            if now == seen and any(now[path] != self._stamps.get(path) for path in now):
                tell(await self.reload())
            seen = now


def _stamps(paths: Iterable[Path]) -> dict[Path, Any]:
    """What tells a file from the one that was there before; None where none is."""
    return {path: _stamp(path) for path in paths}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
