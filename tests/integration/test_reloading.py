"""Reading an agent's file again: what comes into force, what is refused whole, and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from polling_support import until_true

from outrider.clock import SystemClock
from outrider.config import load_agent
from outrider.core.units import MILLISECOND, SECOND
from outrider.execution import NoLag
from outrider.reloading import Configured, Reloaded
from outrider.spool import Outbox
from outrider.transport.wires import Wires

AGENT = """\
agent: probe-1
region: us-east
collector: { url: "http://127.0.0.1:9" }
spool: { path: spool.db }
scenario_dirs: [scenarios]
targets:
  portal:
    url: "https://someone:pass-w0rd@portal.test/x"
    headers: { X-Key: "${file:key}", X-Plain: "literal-secret" }
checks:
  - { name: asking, scenario: ask, target: portal, interval: 30s, timeout: 15s }
"""

SCENARIO = """\
name: ask
title: Ask
synthetic: true
probe: http
steps:
  - { name: ask, request: { path: /a } }
"""


@dataclass
class Folder:
    """An agent's files, and the agent that was configured by them."""

    path: Path
    configured: Configured

    def write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text)

    async def change(self, old: str, new: str) -> Reloaded:
        text = (self.path / "agent.yaml").read_text()
        assert old in text
        self.write("agent.yaml", text.replace(old, new))
        return await self.configured.reload()

    @property
    def intervals(self) -> dict[str, int]:
        return {check.name: check.interval // SECOND for check in self.configured.config.checks}


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Folder]:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "ask.yaml").write_text(SCENARIO)
    (tmp_path / "key").write_text("first-key-of-all\n")
    (tmp_path / "agent.yaml").write_text(AGENT)
    clock = SystemClock()
    config = load_agent(tmp_path / "agent.yaml")
    outbox, transport = Outbox(config.spool_path, agent=config.name, clock=clock), Wires(clock)
    path = tmp_path / "agent.yaml"
    configured = Configured(path, config, clock=clock, outbox=outbox, transport=transport, lag=NoLag())
    try:
        yield Folder(tmp_path, configured)
    finally:
        await transport.close()
        outbox.close()


async def test_what_a_file_says_now_comes_into_force(folder: Folder) -> None:
    made = await folder.change("interval: 30s", "interval: 60s")
    assert made.is_in_force
    assert folder.intervals == {"asking": 60}
    assert folder.configured.is_sound


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("timeout: 15s", "timeout: 45s", "agent.yaml:11:76: a timeout of 45s is not shorter"),
        ("interval: 30s", "intervall: 30s", "unknown key 'intervall'"),
        ("scenario: ask", "scenario: aks", "there is no scenario 'aks'"),
        ("checks:", "checks: [", "agent.yaml:"),
    ],
)
async def test_a_bad_file_changes_nothing_and_says_where_it_is_wrong(
    folder: Folder, old: str, new: str, told: str
) -> None:
    made = await folder.change(old, new)
    assert not made.is_in_force
    assert told in made.told
    assert made.told.endswith("the agent goes on as before")
    assert folder.intervals == {"asking": 30}
    assert not folder.configured.is_sound
    assert (await folder.change(new, old)).is_in_force
    assert folder.configured.is_sound


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("agent: probe-1", "agent: probe-2", "agent"),
        ("region: us-east", "region: us-west", "region"),
        ("127.0.0.1:9", "127.0.0.1:10", "collector.url"),
        ("path: spool.db", "path: other.db", "spool.path"),
        ("targets:", "listen: 127.0.0.1:1\ntargets:", "listen"),
        ("targets:", "number: 7\ntargets:", "number"),
    ],
)
async def test_what_the_agent_is_known_by_wants_a_restart_and_nothing_of_that_file_is_taken(
    folder: Folder, old: str, new: str, key: str
) -> None:
    folder.write("agent.yaml", AGENT.replace("interval: 30s", "interval: 60s"))
    made = await folder.change(old, new)
    assert not made.is_in_force
    assert f"{key} cannot change while the agent runs; restart it" in made.told
    assert folder.intervals == {"asking": 30}


async def test_the_file_is_shown_without_what_came_from_outside_and_without_secrets(folder: Folder) -> None:
    shown = folder.configured.shown().decode()
    assert "portal.test" in shown
    assert '"interval": "30s"' in shown
    for secret in ("first-key-of-all", "literal-secret", "pass-w0rd"):
        assert secret not in shown


async def test_what_was_a_secret_before_a_reload_stays_masked_after_it(folder: Folder) -> None:
    folder.write("key", "second-key-of-all\n")
    assert (await folder.configured.reload()).is_in_force
    described = folder.configured.surroundings().describe("first-key-of-all and second-key-of-all")
    assert "key-of-all" not in described


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("agent.yaml", "interval: 30s", "interval: 60s"),
        ("scenarios/ask.yaml", "title: Ask", "title: Ask again"),
        ("key", "first", "second"),
    ],
)
async def test_a_file_that_changes_is_read_by_itself_once_it_stands_still(
    folder: Folder, name: str, old: str, new: str
) -> None:
    told: list[Reloaded] = []
    watching = asyncio.create_task(folder.configured.watch(told.append, every=5 * MILLISECOND))
    try:
        text = (folder.path / name).read_text()
        # Files that are saved within a tick of the file system's clock still differ in size or in number.
        (folder.path / "aside").write_text(text.replace(old, new))
        (folder.path / "aside").replace(folder.path / name)
        await until_true("the change was read", lambda: told)
        assert told[0].is_in_force
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert len(told) == 1


async def test_two_reloads_at_once_leave_one_whole_configuration(folder: Folder) -> None:
    folder.write("agent.yaml", AGENT.replace("interval: 30s", "interval: 60s"))
    made = await asyncio.gather(*(folder.configured.reload() for _ in range(5)))
    assert all(each.is_in_force for each in made)
    assert folder.intervals == {"asking": 60}
