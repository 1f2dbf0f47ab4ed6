"""The demo: a network, a collector and agents in three regions as processes of their own, a script of what happens to
them, and the statement at the end.

Intervals, slices and notice are seconds here; the rules and the programs are the ones that run on minutes and days.
A process that dies is started again, as an init system would. Nothing keeps running afterwards: the children end
when the pipe to this process does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outrider.clock import Clock
from outrider.collector_client import CollectorError, ask
from outrider.core.units import SECOND, Duration, Instant, format_instant
from outrider.resources import shipped

REGIONS = ("us-east", "us-west", "eu-central")
SHORTEST: Duration = 45 * SECOND
SLICE: Duration = 2 * SECOND
SETTLE: Duration = 3 * SECOND
_STARTING: Duration = 4 * SECOND
_START_PATIENCE_S = 30
_STOP_PATIENCE_S = 15
_RESTARTS = 20

EVIDENCE = "evidence"
"""The folder of the seals, within the demo's."""

Plain = dict[str, Any]


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the script does `at` microseconds after the agents began."""

    at: Duration
    text: str
    act: Callable[[], Any] = field(repr=False)


class Child:
    """A process of ours; started again when it dies by itself."""

    def __init__(self, name: str, argv: list[str], environment: dict[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self.restarts = 0
        self._argv = [sys.executable, "-m", "outrider", *argv, "--until-stdin-closes"]
        self._environment = {**os.environ, **environment}
        self._process: asyncio.subprocess.Process | None = None
        self._is_wanted = True

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def supervise(self, tell: Callable[[str], None]) -> None:
        """Start, and start again, until `stop`."""
        while self._is_wanted:
            with self.log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._argv, env=self._environment, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
                    start_new_session=True,
                )  # fmt: skip
            code = await self._process.wait()
            if self._is_wanted:
                self.restarts += 1
                if self.restarts > _RESTARTS:
                    raise DemoError(f"{self.name} does not stay up; its log ends with:\n{self.last_words()}")
                tell(f"{self.name} ended ({_how(code)}); started again")
                await asyncio.sleep(0.2)

    async def stop(self) -> None:
        """End it politely, and after a while not."""
        self._is_wanted = False
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_PATIENCE_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:]) if self.log.exists() else ""


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit {code}"


def free_ports(number: int) -> list[int]:
    """Ports that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Demo:
    """One demo in one folder. Use `running` around `play`, then `finish`."""

    def __init__(self, folder: Path, length: Duration, clock: Clock, tell: Callable[[str], None]) -> None:
        self.events: list[str] = []
        self.began_at: Instant = 0
        self._length = length
        self._clock = clock
        self._tell = tell
        network, collector, *metrics = free_ports(2 + len(REGIONS))
        self.network_url = f"http://127.0.0.1:{network}"
        self.collector_url = f"http://127.0.0.1:{collector}"
        self._collector = Child(
            "collector",
            ["collector", "--config", str(self._collector_file(folder))],
            {
                "OUTRIDER_COLLECTOR_LISTEN": f"127.0.0.1:{collector}",
                "OUTRIDER_STORE": str(folder / "store.duckdb"),
                "OUTRIDER_AGREEMENT": str(self._agreement(folder)),
            },
            folder / "collector.log",
        )
        self._sandbox = Child("sandbox", ["sandbox", "--listen", f"127.0.0.1:{network}"], {}, folder / "sandbox.log")
        self._agents = [
            Child(
                f"agent {region}",
                ["agent", "--config", str(shipped("config", "demo", "agent.yaml"))],
                {
                    "OUTRIDER_AGENT": f"{region}-1",
                    "OUTRIDER_REGION": region,
                    "OUTRIDER_NUMBER": str(REGIONS.index(region) + 1),
                    "OUTRIDER_COLLECTOR": self.collector_url,
                    "OUTRIDER_NETWORK": self.network_url,
                    "OUTRIDER_SPOOL": str(folder / f"{region}.spool"),
                    "OUTRIDER_LISTEN": f"127.0.0.1:{port}",
                },
                folder / f"{region}.log",
            )
            for region, port in zip(REGIONS, metrics, strict=True)
        ]

    def _agreement(self, folder: Path) -> Path:
        """The demo's agreement, in force from when the agents are up: the month before is nobody's silence."""
        text = shipped("config", "demo", "agreement.yaml").read_text(encoding="utf-8")
        began = format_instant(self._clock.now() // SLICE * SLICE + _STARTING)
        path = folder / "agreement.yaml"
        path.write_text(f'{text}in_force_from: "{began}"\n', encoding="utf-8")
        return path

    @staticmethod
    def _collector_file(folder: Path) -> Path:
        """The demo's collector, sealing into the demo's folder."""
        text = shipped("config", "demo", "collector.yaml").read_text(encoding="utf-8")
        path = folder / "collector.yaml"
        path.write_text(f"{text}evidence: {EVIDENCE}\n", encoding="utf-8")
        return path

    @property
    def children(self) -> list[Child]:
        return [self._sandbox, self._collector, *self._agents]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """All processes up; all of them down afterwards, whatever happens."""
        supervisors: list[asyncio.Task[None]] = []
        try:
            for first in (self._sandbox, self._collector):
                supervisors.append(asyncio.create_task(first.supervise(self._note)))
            await self._answering(self.network_url, "/healthz", self._sandbox)
            await self._answering(self.collector_url, "/v1/status", self._collector)
            supervisors += [asyncio.create_task(agent.supervise(self._note)) for agent in self._agents]
            self.began_at = self._clock.now()
            yield
        finally:
            for child in reversed(self.children):
                await child.stop()
            for task in supervisors:
                task.cancel()
            await asyncio.gather(*supervisors, return_exceptions=True)

    async def _answering(self, url: str, path: str, child: Child) -> None:
        try:
            async with asyncio.timeout(_START_PATIENCE_S):
                while True:
                    try:
                        await ask(url, path)
                    except CollectorError:
                        await asyncio.sleep(0.1)
                    else:
                        return
        except TimeoutError:
            raise DemoError(f"{child.name} did not come up; its log ends with:\n{child.last_words()}") from None

    def _note(self, text: str) -> None:
        seconds = (self._clock.now() - self.began_at) / SECOND if self.began_at else 0
        self.events.append(f"{seconds:5.1f} s  {text}")
        self._tell(self.events[-1])

    # --- the script ----------------------------------------------------------------------------------------------

    def script(self) -> list[Event]:
        """What happens, and when; times are parts of the demo's length."""

        def part(of_90: float) -> Duration:
            return round(self._length * of_90 / 90)

        # On the edges of slices: of a slice that a window covers in part, the rest would have to judge it.
        opens, closes = (self._at_a_slice(part(edge)) for edge in (20, 38))
        down, up = opens + part(2), closes - part(2)
        outage = part(60)
        over = outage + max(part(5), 2 * SLICE)
        return [
            Event(part(3), f"maintenance announced for {opens / SECOND:.0f} s to {closes / SECOND:.0f} s",
                  lambda: self._announce(opens, closes)),
            Event(down, "maintenance: the network answers 503",
                  lambda: self._fault("maintenance", up - down)),
            Event(up, "maintenance work is over", lambda: None),
            Event(outage, "an outage that nobody announced: the network resets connections",
                  lambda: self._fault("reset", over - outage)),
            Event(over, "the outage is over", lambda: None),
        ]  # fmt: skip

    def _at_a_slice(self, after: Duration) -> Duration:
        """The last edge of a slice up to that long after the beginning, as time after the beginning."""
        return (self.began_at + after) // SLICE * SLICE - self.began_at

    async def play(self, stop: asyncio.Event) -> None:
        """Do the script until its end, or until `stop` is set."""
        for event in self.script():
            if await self._waited(event.at, stop):
                return
            self._note(event.text)
            done = event.act()
            if done is not None:
                await done
        await self._waited(self._length, stop)

    async def _waited(self, until: Duration, stop: asyncio.Event) -> bool:
        """Wait until that long after the beginning; whether `stop` came first."""
        left = self.began_at + until - self._clock.now()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0, left) / SECOND)
        return stop.is_set()

    async def _announce(self, opens: Duration, closes: Duration) -> None:
        body = {
            "start": format_instant(self.began_at + opens),
            "end": format_instant(self.began_at + closes),
            "reason": "database upgrade",
            "author": "demo",
        }
        await ask(self.collector_url, "/v1/windows", method="POST", body=body)

    async def _fault(self, kind: str, length: Duration) -> None:
        body = {"kind": kind, "component": "*", "for_s": length / SECOND}
        await ask(self.network_url, f"/faults/{kind}", method="PUT", body=body)

    # --- what came of it -----------------------------------------------------------------------------------------

    async def current(self) -> Plain | None:
        """The collector's current state; None while it does not answer."""
        try:
            async with asyncio.timeout(2):
                answer: Plain = await ask(self.collector_url, "/v1/status")
        except (CollectorError, TimeoutError):
            return None
        return answer

    async def statement(self) -> Plain:
        """Drain the agents, wait until the last slice may be judged, and ask for the statement. Raises DemoError."""
        first = -(-self.began_at // SLICE) * SLICE + SLICE
        last = max(self._clock.now() // SLICE * SLICE, first + SLICE)
        await asyncio.gather(*(agent.stop() for agent in self._agents))
        await asyncio.sleep(max(0, last + SETTLE + SLICE - self._clock.now()) / SECOND)
        query = {"from": format_instant(first), "to": format_instant(last)}
        for _ in range(_START_PATIENCE_S):
            try:
                answer: Plain = await ask(self.collector_url, "/v1/statements", query=query)
            except CollectorError as error:
                if error.refused:
                    raise DemoError(str(error)) from None
                await asyncio.sleep(1)
            else:
                return answer
        raise DemoError(f"the collector does not answer; its log ends with:\n{self._collector.last_words()}")

    async def seal(self) -> str:
        """Have the collector seal what it recorded, though the day is not over; its public key. Raises DemoError."""
        try:
            await ask(self.collector_url, "/v1/evidence/seal", method="POST", query={"today": "true"})
            key: Plain = await ask(self.collector_url, "/v1/evidence/key")
        except CollectorError as error:
            raise DemoError(f"the records could not be sealed: {error}") from None
        return str(key["public_key"])
