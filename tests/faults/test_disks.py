"""Disks: full, read-only, failing to sync, slow to sync; and spool files that are damaged."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from processes_support import until

from faults.ground import PATIENCE_S, REGIONS, Sum, Trial, ask, fetch, read_totals, records, shell, stored

Entered = Callable[[str, Sum, str], None]
REGION = REGIONS[0]


@contextmanager
def tmpfs(at: Path, size: str) -> Iterator[Path]:
    at.mkdir(parents=True, exist_ok=True)
    shell("mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(at))
    try:
        yield at
    finally:
        shell("umount", "-l", str(at))


def filled(disk: Path) -> Path:
    """A file that takes all the room there is; whoever removes it gives the room back."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    return ballast


def counted(trial: Trial, term: str) -> int:
    return trial.ledger(REGION).get(term, 0)


def test_a_full_spool_disk_stops_no_probe_counts_what_it_cost_and_heals(trial: Trial, entered: Entered) -> None:
    with tmpfs(trial.folder / REGION, "1200k") as disk:
        trial.start_all([REGION])
        trial.until_delivered(5, [REGION])
        ballast = filled(disk)
        trial.until_term(REGION, "dropped_unwritable", 3)
        scheduled = counted(trial, "scheduled")
        trial.until_term(REGION, "scheduled", scheduled + 6)
        ballast.unlink()
        trial.until_delivered(10, [REGION])
        dropped = counted(trial, "dropped_unwritable")
        came = trial.close([REGION])
    entered("F12 spool disk full", came, f"{dropped} dropped and counted; probing went on; healed")


def test_a_full_collector_disk_is_never_answered_with_accepted(trial: Trial, entered: Entered) -> None:
    with tmpfs(trial.folder / "collector", "24m") as disk:
        trial.start_all([REGION])
        trial.until_delivered(5, [REGION])
        ballast = filled(disk)
        until("the collector refuses", lambda: "HTTP 503" in trial.log(REGION), PATIENCE_S)
        trial.until_term(REGION, "waiting", 10)
        ballast.unlink()
        trial.until_drained([REGION])
        came = trial.close([REGION])
        entered("F13 collector disk full", came, "503 while it was full; drained afterwards")


def test_a_spool_disk_that_turns_read_only_acknowledges_nothing_more_and_does_not_spin(
    trial: Trial, entered: Entered
) -> None:
    image, disk = trial.folder / "image", trial.folder / REGION
    with image.open("wb") as file:
        file.truncate(16 << 20)
    shell("mkfs.ext4", "-q", "-F", str(image))
    disk.mkdir()
    shell("mount", "-o", "loop", str(image), str(disk))
    try:
        trial.start_all([REGION])
        trial.until_delivered(5, [REGION])
        shell("mount", "-o", "remount,abort", str(disk))
        recorded = trial.until_term(REGION, "dropped_unwritable", 3)["recorded"]
        spent = cpu_seconds(trial.agent_id(REGION))
        trial.until_term(REGION, "dropped_unwritable", 12)
        spent = cpu_seconds(trial.agent_id(REGION)) - spent
        assert counted(trial, "recorded") == recorded, "nothing is acknowledged that is not on the disk"
        trial.kill(REGION)
        shell("umount", "-l", str(disk))
        shell("mount", "-o", "loop", str(image), str(disk))
        trial.start_agent(REGION)
        trial.until_delivered(5, [REGION])
        came = trial.close([REGION])
    finally:
        shell("umount", "-l", str(disk))
    entered("F14 spool turns read-only", came, f"{spent:.1f} s of CPU for nine drops")
    assert spent < 3, "no spin"


def test_a_sync_that_fails_is_not_acknowledged(trial: Trial, entered: Entered) -> None:
    trial.start_sandbox()
    trial.start_collector()
    when = "error=EIO:when=60+"
    trial.start_agent(
        REGION,
        before=("strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync,fdatasync",
                "-e", f"inject=fsync,fdatasync:{when}"),
    )  # fmt: skip
    seen = trial.until_term(REGION, "dropped_unwritable", 3)
    spent = cpu_seconds(trial.agent_id(REGION))
    after = trial.until_term(REGION, "dropped_unwritable", seen["dropped_unwritable"] + 9)
    spent = cpu_seconds(trial.agent_id(REGION)) - spent
    trial.kill(REGION)
    trial.start_agent(REGION)
    trial.until_delivered(5, [REGION])
    came = trial.close([REGION])
    entered("F14 fsync fails with EIO", came, f"{after['dropped_unwritable']} dropped and counted")
    assert after["recorded"] == seen["recorded"], "nothing is acknowledged that is not on the disk"
    assert spent < 3, "no spin"


def test_a_slow_sync_does_not_show_in_what_is_measured(trial: Trial, entered: Entered) -> None:
    trial.start_sandbox(latency_ms=50)
    trial.start_collector()
    trial.start_agent(REGION)
    trial.until_delivered(60, [REGION])
    assert trial.stop(REGION) == 0
    changed_at = ask_last(trial)
    trial.start_agent(
        REGION,
        before=("strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync,fdatasync",
                "-e", "inject=fsync,fdatasync:delay_enter=300000"),
    )  # fmt: skip
    trial.until_delivered(60, [REGION])
    came = trial.close([REGION])
    question = "SELECT latency FROM runs WHERE outcome = 0 AND ts {} ORDER BY latency"
    before, after = (
        [row[0] for row in ask(trial.store, question.format(f"{sign} {changed_at}"))] for sign in ("<=", ">")
    )
    shift = (after[len(after) * 9 // 10] - before[len(before) * 9 // 10]) / 1000
    entered("F15 fsync takes 300 ms longer", came, f"p90 of a 50 ms target shifts by {shift:+.1f} ms")
    assert shift < 100, "the loop does not wait for the disk"


def ask_last(trial: Trial) -> int:
    """The latest instant in the store; the collector is stopped for the question and started again."""
    trial.stop("collector")
    at = int(ask(trial.store, "SELECT max(ts) FROM runs")[0][0])
    trial.start_collector()
    return at


@pytest.mark.parametrize("how", ["truncated", "deleted", "zeroed"])
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_damaged_file_of_the_spool_never_keeps_the_agent_from_starting(
    trial: Trial, entered: Entered, how: str, suffix: str
) -> None:
    trial.start_all([REGION])
    trial.until_delivered(10, [REGION])
    trial.kill(REGION)
    promised, waited = acknowledged(trial)
    file = Path(f"{trial.spool(REGION)}{suffix}")
    if file.exists():
        size = file.stat().st_size
        if how == "deleted":
            file.unlink()
        else:
            os.truncate(file, size // 2 if how == "truncated" else 0)
            if how == "zeroed":
                os.truncate(file, size)
    began = time.monotonic()
    trial.start_agent(REGION)
    took = time.monotonic() - began
    trial.until_delivered(10, [REGION])
    assert trial.stop(REGION) == 0
    assert trial.stop("collector") == 0
    epoch = read_totals(trial.spool(REGION)).epoch
    promised |= {(f"{REGION}-1", epoch, seq): digest[:16] for seq, digest in records(trial.spool(REGION))}
    rows = stored(trial.store)
    doubled = ask(trial.store, "SELECT count(*) FROM (SELECT 1 FROM runs GROUP BY ts, check_id HAVING count(*) > 1)")
    missing = {key for key, digest in promised.items() if (*key, digest) not in rows}
    gone = missing & waited  # with the file that held them; what was delivered before has to be there
    aside = [path.name for path in file.parent.glob("*set-aside*")]
    seen = f"starts in {took:.1f} s; {'set aside; ' if aside else ''}{len(gone)} of {len(waited)} that waited are gone"
    entered(f"F11 {file.name.removeprefix('spool.db') or 'database'} {how}", Sum(
        promised=len(promised),
        delivered=sum(rows.values()),
        missing=len(missing - gone),
        twice=sum(n - 1 for n in rows.values()) + doubled[0][0],
        wrong=sum(promised.get(key[:3], key[3]) != key[3] for key in rows),
        declared=len(gone),
    ), seen)  # fmt: skip
    assert took < 10


def acknowledged(trial: Trial) -> tuple[dict[tuple[str, str, int], str], set[tuple[str, str, int]]]:
    """What a spool promises that its agent was killed over, read from a copy; and what of it waits."""
    copy = trial.folder / "copy"
    copy.mkdir()
    for path in trial.spool(REGION).parent.glob("spool.db*"):
        shutil.copy(path, copy / path.name)
    totals = read_totals(copy / "spool.db")
    found = {(f"{REGION}-1", totals.epoch, seq): digest[:16] for seq, digest in records(copy / "spool.db")}
    waiting = sorted(found)[max(0, len(found) - totals.waiting):]  # fmt: skip
    return found, set(waiting)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


__all__ = ["fetch"]
