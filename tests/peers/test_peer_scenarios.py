"""`outrider once` against gateways that nobody here wrote: each scenario is ok, and the money is given back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from peers_support import COMMANDS, HERE, KEY, SCENARIOS, SECRETS, Peer, running

from outrider.codecs.published_cards import PUBLISHED
from outrider.redact import card_numbers

CLEANED = {
    "stripe-stateful-mock": {"charge-cleanup", "customer-charge-refund", "idempotent-replay"},
    "localstripe": {"charge-authorize-void", "declines", "token-charge-refund"},
}
"""The scenarios that leave something to their cleanup although every step was ok."""

APPROVED = {"stripe-stateful-mock": 6, "localstripe": 5}
"""How many charges one run of each scenario leaves behind: one each, but none of the declines."""


@dataclass(frozen=True, slots=True)
class Runs:
    """What a dry run and a run of every scenario left behind."""

    peer: Peer
    charges_after_dry_run: int
    said: str
    records: dict[str, dict[str, Any]]


def outrider(*argv: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "outrider", *argv],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def all_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Runs]]:
    made: dict[str, Runs] = {}
    folder = tmp_path_factory.mktemp("peers")
    with running("stripe-stateful-mock", folder) as mock, running("localstripe", folder) as local:
        for peer in (mock, local):
            environment = {**SECRETS, "OUTRIDER_PEER": peer.url, "OUTRIDER_SPOOL": str(folder / f"{peer.name}.spool")}
            config = ("--config", str(HERE / f"{peer.name}.yaml"))
            dry = outrider("once", *config, "--dry-run", environment=environment)
            untouched = len(peer.charges())
            done = outrider("once", *config, "--json", environment=environment)
            people = outrider("once", *config, environment=environment)
            assert (dry.returncode, done.returncode, people.returncode) == (0, 0, 0), done.stdout + people.stdout
            records = {record["check"]: record for record in map(json.loads, done.stdout.splitlines())}
            said = "".join(each.stdout + each.stderr for each in (dry, done, people))
            made[peer.name] = Runs(peer, untouched, said, records)
        yield made


@pytest.mark.parametrize(("peer", "scenario"), [(peer, name) for peer in SCENARIOS for name in SCENARIOS[peer]])
def test_every_scenario_is_ok_against_the_peer_and_cleaned_up(
    all_runs: dict[str, Runs], peer: str, scenario: str
) -> None:
    record = all_runs[peer].records[scenario]
    assert (record["outcome"], record["detail"]) == ("ok", "")
    assert record["cleanup"] == ("confirmed" if scenario in CLEANED[peer] else "none")


@pytest.mark.parametrize("peer", COMMANDS)
def test_the_peer_itself_says_that_the_money_was_given_back(all_runs: dict[str, Runs], peer: str) -> None:
    assert len(all_runs[peer].peer.charges()) == 2 * APPROVED[peer], "twice: once as JSON, once for people"
    assert all_runs[peer].peer.owed() == 0


@pytest.mark.parametrize("peer", COMMANDS)
def test_a_dry_run_reaches_no_peer(all_runs: dict[str, Runs], peer: str) -> None:
    assert all_runs[peer].charges_after_dry_run == 0


@pytest.mark.parametrize("peer", COMMANDS)
def test_neither_key_nor_card_number_nor_cvc_is_shown(all_runs: dict[str, Runs], peer: str) -> None:
    said = all_runs[peer].said
    assert KEY not in said
    assert SECRETS["PEER_LOGIN"].rstrip("=") not in said
    assert not [number for number in PUBLISHED if number in said]
    assert not list(card_numbers(said))
    assert "cvc%5D=123" not in said
    assert "cvc]=123" not in said


@pytest.mark.parametrize("peer", COMMANDS)
def test_the_configuration_runs_every_scenario_of_the_folder(all_runs: dict[str, Runs], peer: str) -> None:
    assert sorted(all_runs[peer].records) == sorted(SCENARIOS[peer])


def test_the_scenarios_are_right_and_say_what_they_prove() -> None:
    done = outrider("validate", str(HERE / "scenarios"), environment={})
    assert (done.returncode, done.stderr) == (0, "")
    paths: list[Path] = [path for found in SCENARIOS.values() for path in found.values()]
    assert len(paths) == 13
    assert all(path.read_text(encoding="utf-8").startswith("# ") for path in paths)
