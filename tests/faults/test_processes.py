"""Processes that are killed, frozen, cloned and restored."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from processes_support import until

from faults.ground import REGIONS, Sum, Trial, ask, read_totals, records, stored

Entered = Callable[[str, Sum, str], None]
KILLS = int(os.environ.get("FAULTS_KILLS", "10"))


def test_kill_9_of_an_agent_loses_nothing_that_its_spool_acknowledged(trial: Trial, entered: Entered) -> None:
    dice = random.Random(1)
    trial.start_all()
    for _ in range(KILLS):
        region = dice.choice(REGIONS)
        trial.until_delivered(dice.randrange(1, 4), [region])
        trial.kill(region)
        trial.start_agent(region)
    trial.until_delivered(3)
    entered(f"F1 kill -9 of agents, {KILLS} times", trial.close(), "declared: runs that were under way")


def test_kill_9_of_the_collector_loses_nothing_and_doubles_nothing(trial: Trial, entered: Entered) -> None:
    dice = random.Random(2)
    trial.start_all()
    for _ in range(KILLS):
        trial.until_delivered(dice.randrange(1, 4), [dice.choice(REGIONS)])
        trial.kill("collector")
        trial.start_collector()
    trial.until_drained()
    entered(f"F2 kill -9 of the collector, {KILLS} times", trial.close(), "")


def test_a_frozen_agent_has_void_runs_and_missed_slots_and_none_that_are_down(trial: Trial, entered: Entered) -> None:
    region = REGIONS[0]
    trial.start_all([region])
    trial.until_delivered(10, [region])
    missed = trial.ledger(region).get("skipped", 0)
    os.kill(trial.agent_id(region), signal.SIGSTOP)
    until("four slots went by", lambda: frozen(trial), 30)
    os.kill(trial.agent_id(region), signal.SIGCONT)
    trial.until_delivered(10, [region])
    missed = trial.ledger(region).get("skipped", 0) - missed
    came = trial.close([region])
    outcomes = {outcome for (outcome,) in ask(trial.store, "SELECT DISTINCT outcome FROM runs")}
    void = ask(trial.store, "SELECT count(*) FROM runs WHERE outcome = 7")[0][0]
    entered("F18 SIGSTOP", came, f"{missed} slots missed, {void} runs void, none down")
    assert outcomes <= {0, 7}
    assert missed >= 3


_LOOKS = [0]


def frozen(trial: Trial) -> bool:
    """The agent does not answer; after a few looks, each of which takes seconds to give up, that was long enough."""
    _LOOKS[0] += 1
    return _LOOKS[0] > 100


def test_a_cloned_folder_mixes_nothing_and_doubles_nothing(trial: Trial, entered: Entered) -> None:
    one, other = REGIONS[:2]
    trial.start_all([one])
    trial.until_delivered(10, [one])
    # The copy is of the file as a machine's image would have it: taken while nothing is being written.
    assert trial.stop(one) == 0
    clone = trial.folder / "clone" / "spool.db"
    clone.parent.mkdir()
    for path in trial.spool(one).parent.glob("spool.db*"):
        if not path.name.endswith(".lock"):
            shutil.copy(path, clone.parent / path.name)
    trial.start_agent(one)
    trial.spools[other] = clone
    trial.start_agent(other, OUTRIDER_AGENT=f"{one}-1")
    trial.until_delivered(15, [one])
    until("the clone has an epoch of its own", lambda: "beginning a new one" in trial.log(one) + trial.log(other), 60)
    trial.until_delivered(15, [one, other])
    for region in (one, other):
        assert trial.stop(region) == 0
    assert trial.stop("collector") == 0
    twice = ask(
        trial.store, "SELECT count(*) FROM (SELECT 1 FROM runs GROUP BY ts, check_id, region HAVING count(*) > 1)"
    )
    epochs = ask(trial.store, "SELECT count(DISTINCT epoch) FROM runs")[0][0]
    rows = stored(trial.store)
    promised = {
        (f"{one}-1", read_totals(trial.spool(region)).epoch, seq): digest[:16]
        for region in (one, other)
        for seq, digest in records(trial.spool(region))
    }
    came = Sum(
        promised=len(promised),
        delivered=sum(rows.values()),
        missing=sum((*key, digest) not in rows for key, digest in promised.items()),
        twice=sum(n - 1 for n in rows.values()) + twice[0][0],
        wrong=sum(promised.get(key[:3], key[3]) != key[3] for key in rows),
        declared=0,
    )
    entered("F20 agent's folder cloned", came, f"{epochs} epochs, no run in two of them")


def test_a_collector_restored_from_a_backup_is_made_complete_again(trial: Trial, entered: Entered) -> None:
    trial.start_all()
    trial.until_delivered(10)
    trial.stop("collector")
    backup = trial.folder / "backup"
    shutil.copytree(trial.store.parent, backup)
    trial.start_collector()
    trial.until_delivered(20)
    trial.stop("collector")
    shutil.rmtree(trial.store.parent)
    shutil.copytree(backup, trial.store.parent)
    before = _rows(trial.store)
    trial.start_collector()
    trial.until_delivered(20)
    trial.until_drained()
    came = trial.close()
    entered("F22 collector restored from a backup", came, f"the backup had {before} rows")


def _rows(store: Path) -> int:
    return int(ask(store, "SELECT count(*) FROM runs")[0][0])
