"""The peers, each as a process on a free port of 127.0.0.1, and runs of scenarios against them.

`make test-peers` installs them and says where, in OUTRIDER_PEERS. A peer's own API says what became of the money.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from outrider.clock import SystemClock
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.core.timetable import Timetable
from outrider.core.units import SECOND, Duration
from outrider.execution import Check, Execution, Generators, Surroundings
from outrider.probes import Target
from outrider.scenario import Scenario
from outrider.transport import Exchange, Reply, Request, Transport
from outrider.transport.wires import Wires

HERE = Path(__file__).resolve().parent
INSTALLED = Path(os.environ.get("OUTRIDER_PEERS", HERE.parents[1] / ".peers"))
KEY = "sk_test_outrider_Zq5vKd8w"
SECRETS = {"PEER_KEY": KEY, "PEER_LOGIN": base64.b64encode(f"{KEY}:".encode()).decode()}
PATIENCE_S = 30

COMMANDS: Mapping[str, list[str]] = {
    "stripe-stateful-mock": ["node", str(HERE / "stripe-stateful-mock" / "serve.cjs")],
    "localstripe": [
        str(INSTALLED / "localstripe" / "bin" / "python"),
        str(HERE / "localstripe" / "serve.py"),
        "localstripe.server:app",
        "localstripe.resources:Store.dump_to_disk",
    ],
}
SCENARIOS: Mapping[str, Mapping[str, Path]] = {
    name: {path.stem: path for path in sorted((HERE / "scenarios" / name).glob("*.yaml"))} for name in COMMANDS
}


class Peer:
    """A gateway that nobody here wrote."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                COMMANDS[name], cwd=INSTALLED / name, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL
            )
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], PATIENCE_S)[0]:
            self.end()
            raise AssertionError(f"{name} did not say where it serves")
        said = self.process.stdout.readline().decode().strip()
        self.url = f"http://127.0.0.1:{said}"
        if not said.isdecimal():
            self.end()
            raise AssertionError(f"{name} did not start: {log.read_text(errors='replace')[-2000:]}")

    def end(self) -> None:
        """Kill the process by its own id, frozen or not, and wait for it."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(PATIENCE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def freeze(self) -> None:
        """It goes on accepting (the kernel does) and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It answers again, to those first whose requests are waiting; they are through when this returns."""
        self.process.send_signal(signal.SIGCONT)
        for _ in range(2):
            self.ask("/v1/charges")

    def ask(self, path: str) -> Any:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.loads(answer.read())

    def charges(self) -> list[dict[str, Any]]:
        """Every charge that was approved, as the peer's own API tells it."""
        found = self.ask("/v1/charges?limit=100")
        assert not found["has_more"]
        return [charge for charge in found["data"] if charge["status"] == "succeeded"]

    def owed(self) -> int:
        """What was taken or is held, and was not given back, in cents."""
        return sum(
            charge["amount"] - charge["amount_refunded"] for charge in self.charges() if not self._is_let_go(charge)
        )

    def _is_let_go(self, charge: dict[str, Any]) -> bool:
        """Whether what a payment intent held was given back by cancelling the intent."""
        intent = charge["payment_intent"]
        return bool(intent) and bool(self.ask(f"/v1/payment_intents/{intent}")["status"] == "canceled")


@contextmanager
def running(name: str, folder: Path) -> Iterator[Peer]:
    """A peer, ended with the block whatever happens in it."""
    peer = Peer(name, folder / f"{name}.log")
    try:
        yield peer
    finally:
        peer.end()


class Interfering:
    """The wire, where something happens to the peer just before a request is sent. Counts from 1."""

    def __init__(self, wire: Transport, before: Mapping[int, Callable[[], None]]) -> None:
        self._wire, self._before, self._numbers = wire, before, itertools.count(1)

    async def exchange(self, request: Request, timeout: Duration) -> Exchange[Reply]:
        self._before.get(next(self._numbers), lambda: None)()
        return await self._wire.exchange(request, timeout)

    async def close(self) -> None:
        await self._wire.close()


class NoNumbers:
    def control_number(self) -> int:
        raise ValueError("no scenario here draws a number")


async def run(
    peer: Peer,
    scenario: Scenario,
    *,
    before: Mapping[int, Callable[[], None]] | None = None,
    then: Callable[[], None] = lambda: None,
    secrets: Mapping[str, str] = SECRETS,
    timeout: Duration = 10 * SECOND,
) -> Execution:
    """One run; what is in `before` happens before the exchange of that number, `then` before the cleanup."""
    clock = SystemClock()
    transport = Interfering(Wires(clock), before or {})
    check = Check(
        name=scenario.name,
        scenario=scenario,
        target=Target("peer", peer.url),
        timetable=Timetable("test", scenario.name, 60 * SECOND),
        timeout=timeout,
    )
    generate = Generators(clock, NoNumbers(), secrets.__getitem__)
    execution = Execution(check, Surroundings("test", transport, clock, generate, OUTCOME_TABLE))
    try:
        await execution.measure()
        then()
        await execution.clean_up(delays=(0, 0))
    finally:
        await transport.close()
    return execution
