"""The spool: what it has acknowledged is there, whatever happens to the process, the file or the disk."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from outrider.core.units import DAY, MINUTE, SECOND, Duration, Instant
from outrider.core.wire import Entry, digest
from outrider.spool import Outbox, SpoolError, conservation
from outrider.spool.file import SpoolFile
from outrider.spool.outbox import CONTROL_NUMBERS_PER_AGENT
from outrider.spool.totals import first_control_number

NOW: Instant = 1_780_000_000_000_000
AGENT = "east-1"
MANY = 10**6
LEAST_QUOTA = 144 * 4096
FAIL = "CREATE TRIGGER fail BEFORE UPDATE ON facts BEGIN SELECT RAISE(ABORT, 'no'); END"
"""From here on no commit that has anything to write succeeds; dropping the trigger heals it."""


class SettableClock:
    """Stands still until told otherwise."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> Instant:
        return self.at

    def monotonic(self) -> Duration:
        return self.at


def opened(path: Path, clock: SettableClock | None = None, agent: str = AGENT, **more: int) -> Outbox:
    return Outbox(path, agent=agent, clock=clock or SettableClock(), **more)


def body(number: int, size: int = 0) -> bytes:
    return b'{"run":%d,"filler":"%s"}' % (number, b"x" * size)


async def appended(outbox: Outbox, count: int, size: int = 0) -> list[int | None]:
    return [await outbox.append(body(number, size)) for number in range(1, count + 1)]


async def waiting(outbox: Outbox) -> tuple[Entry, ...]:
    return await outbox.read(MANY, 10**9)


def edited(path: Path, *statements: str) -> None:
    """Change the file behind the spool's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in statements:
            assert database.execute(statement).rowcount != 0, statement


def asked(path: Path, question: str) -> list[tuple[int, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(question).fetchall()


def content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def elsewhere(path: Path, code: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run code in another process; `path` is the spool's."""
    script = (
        "import asyncio, os, resource, signal, sys\nfrom pathlib import Path\n"
        "from outrider.clock import SystemClock\nfrom outrider.spool import Outbox, SpoolError\n"
        f"path = Path({str(path)!r})\n{code}"
    )
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


# --- what is acknowledged is kept ------------------------------------------------------------------------------------


async def test_an_append_is_in_the_file_when_it_returns_and_survives_reopening(path: Path) -> None:
    outbox = opened(path)
    assert await appended(outbox, 3) == [1, 2, 3]
    assert asked(path, "SELECT seq FROM records") == [(1,), (2,), (3,)], "another process sees it"
    before = await waiting(outbox)
    outbox.close()
    again = opened(path)
    assert (await waiting(again), again.epoch) == (before, outbox.epoch)
    assert [entry.body for entry in before] == [body(1), body(2), body(3)]
    assert [entry.digest for entry in before] == [digest(AGENT, again.epoch, n, body(n)) for n in (1, 2, 3)]
    again.close()


async def test_a_process_that_is_killed_leaves_its_records_and_counts_the_runs_that_were_under_way(path: Path) -> None:
    died = elsewhere(
        path,
        f"outbox = Outbox(path, agent={AGENT!r}, clock=SystemClock())\n"
        "outbox.count('scheduled', 7)\noutbox.count('skipped', 2)\n"
        "async def main():\n"
        "    print(await outbox.append(b'{\"a\":1}'), await outbox.append(b'{\"a\":2}'), flush=True)\n"
        "asyncio.run(main())\nos._exit(9)\n",
    )
    assert (died.returncode, died.stdout) == (9, "1 2\n"), died.stderr
    outbox = opened(path)
    assert [entry.body for entry in await waiting(outbox)] == [b'{"a":1}', b'{"a":2}']
    counts = outbox.counts()
    assert (counts["lost_in_flight"], counts["scheduled"], counts["waiting"]) == (3, 7, 2)
    assert conservation(counts) == (7, 7)
    outbox.close()


async def test_many_appends_at_once_are_all_acknowledged_and_all_there(path: Path) -> None:
    outbox = opened(path)
    seqs = await asyncio.gather(*(outbox.append(body(number)) for number in range(500)))
    assert sorted(seq or 0 for seq in seqs) == list(range(1, 501))
    kept = {entry.seq: entry.body for entry in await waiting(outbox)}
    assert kept == {seq: body(number) for number, seq in enumerate(seqs)}
    outbox.close()


async def test_a_programming_error_in_one_request_fails_that_one_alone(path: Path) -> None:
    outbox = opened(path)
    wrong: bytes = "text"  # type: ignore[assignment]
    found = await asyncio.gather(*(outbox.append(each) for each in (b"{}", wrong, b"{}")), return_exceptions=True)
    assert [type(each) for each in found] == [int, TypeError, int]
    assert await outbox.append(b"{}") == 3, "the writer goes on, and no number was used up"
    assert outbox.counts()["recorded"] == 3
    outbox.close()


async def test_a_closed_outbox_refuses_at_once(path: Path) -> None:
    outbox = opened(path)
    outbox.close()
    assert await outbox.append(b"{}") is None
    with pytest.raises(SpoolError, match="is closed"):
        await outbox.read(1, 1)
    with pytest.raises(SpoolError, match="is closed"):
        outbox.control_number()
    outbox.close()


async def test_what_is_read_keeps_to_its_limits_but_is_never_nothing(path: Path) -> None:
    outbox = opened(path)
    await appended(outbox, 5, size=1000)
    assert [entry.seq for entry in await outbox.read(2, MANY)] == [1, 2]
    assert [entry.seq for entry in await outbox.read(MANY, 2500)] == [1, 2]
    assert [entry.seq for entry in await outbox.read(MANY, 10)] == [1]
    outbox.close()


async def test_asking_for_nothing_new_writes_nothing(path: Path) -> None:
    outbox = opened(path)
    await appended(outbox, 1)
    await waiting(outbox)
    written = len(content(Path(f"{path}-wal")))
    for _ in range(20):
        await waiting(outbox)
        await outbox.acknowledge(0)
    assert len(content(Path(f"{path}-wal"))) == written, "an idle agent does not wear the disk out"
    outbox.close()


async def test_delivered_records_are_kept_for_the_retention_and_then_go(path: Path) -> None:
    clock = SettableClock()
    outbox = opened(path, clock, retention=DAY)
    await appended(outbox, 2)
    await outbox.acknowledge(2)
    clock.at += DAY - MINUTE
    await appended(outbox, 1)
    await outbox.acknowledge(3)
    assert asked(path, "SELECT count(*) FROM records") == [(3,)]
    clock.at += 2 * MINUTE
    await outbox.acknowledge(3)
    assert asked(path, "SELECT seq FROM records") == [(3,)]
    assert outbox.counts()["delivered"] == 3
    outbox.close()


# --- sequence numbers and epochs -------------------------------------------------------------------------------------


async def test_a_sequence_number_is_never_used_twice(path: Path) -> None:
    clock = SettableClock()
    outbox = opened(path, clock, retention=0)
    await appended(outbox, 4)
    await outbox.acknowledge(2)
    await outbox.dead_letter(4, "cannot be read")
    assert await outbox.append(b"{}") == 5
    await outbox.acknowledge(5)
    clock.at += 2 * MINUTE
    await outbox.acknowledge(5)
    assert asked(path, "SELECT count(*) FROM records") == [(0,)]
    outbox.close()
    outbox = opened(path, clock)
    assert await outbox.append(b"{}") == 6, "also when every record is gone and the file was reopened"
    outbox.close()


async def test_an_acknowledgement_from_beyond_what_was_sent_hides_nothing_that_comes_later(path: Path) -> None:
    outbox = opened(path)
    await appended(outbox, 2)
    await outbox.acknowledge(1000)
    assert (outbox.acknowledged, outbox.counts()["delivered"]) == (2, 2)
    assert await outbox.append(b"{}") == 3
    assert [entry.seq for entry in await waiting(outbox)] == [3]
    await outbox.acknowledge(1)
    assert outbox.acknowledged == 2, "and none goes back"
    outbox.close()


async def test_a_new_epoch_renumbers_what_waits_and_takes_the_runs_under_way_along(path: Path) -> None:
    outbox = opened(path)
    old = outbox.epoch
    outbox.count("scheduled", 6)
    await appended(outbox, 4)
    await outbox.acknowledge(1)
    await outbox.begin_new_epoch()
    assert outbox.epoch != old
    entries = await waiting(outbox)
    assert [(entry.seq, entry.body) for entry in entries] == [(1, body(2)), (2, body(3)), (3, body(4))]
    assert [entry.digest for entry in entries] == [
        digest(AGENT, outbox.epoch, entry.seq, entry.body) for entry in entries
    ]
    assert conservation(outbox.counts()) == (5, 3), "two runs are under way, and belong to the new epoch"
    await appended(outbox, 2)
    assert conservation(outbox.counts()) == (5, 5)
    outbox.close()
    again = opened(path)
    assert (again.epoch, again.counts()["waiting"], again.counts().get("lost_in_flight", 0)) == (outbox.epoch, 5, 0)
    again.close()


async def test_a_new_epoch_that_cannot_be_written_leaves_the_old_one_whole(path: Path) -> None:
    outbox = opened(path)
    await appended(outbox, 3)
    before, epoch, counts = await waiting(outbox), outbox.epoch, outbox.counts()
    edited(path, FAIL)
    with pytest.raises(SpoolError, match="cannot write"):
        await outbox.begin_new_epoch()
    edited(path, "DROP TRIGGER fail")
    assert (await waiting(outbox), outbox.epoch, outbox.counts()) == (before, epoch, counts)
    outbox.close()


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE records SET body = CAST(substr(body, 1, 4) || x'75' || substr(body, 6) AS BLOB) WHERE seq = 2",
        "UPDATE records SET body = CAST(substr(body, 1, length(body) - 1) AS BLOB) WHERE seq = 2",
        "UPDATE records SET body = 17 WHERE seq = 2",
        "UPDATE records SET body = CAST(x'ff80' || body AS TEXT) WHERE seq = 2",
        "UPDATE records SET digest = replace(digest, substr(digest, 5, 1), 'z') WHERE seq = 2",
        "UPDATE records SET digest = CAST(x'ff80' || digest AS TEXT) WHERE seq = 2",
        "UPDATE records SET digest = 1.5 WHERE seq = 2",
    ],
)
async def test_damage_to_one_record_is_found_counted_and_costs_that_record(path: Path, damage: str) -> None:
    outbox = opened(path)
    outbox.count("scheduled", 3)
    await appended(outbox, 3)
    edited(path, damage)
    assert [(entry.seq, entry.body) for entry in await waiting(outbox)] == [(1, body(1)), (3, body(3))]
    counts = outbox.counts()
    assert (counts["dropped_corrupt"], counts["waiting"]) == (1, 2)
    assert conservation(counts) == (3, 3)
    assert asked(path, "SELECT seq FROM dead_letters") == [(2,)], "what is left of it is kept for whoever looks"
    await outbox.acknowledge(3)
    assert outbox.counts()["waiting"] == 0
    outbox.close()


async def test_a_body_whose_type_was_damaged_is_still_its_bytes(path: Path) -> None:
    outbox = opened(path)
    await appended(outbox, 2)
    edited(path, "UPDATE records SET body = CAST(body AS TEXT), digest = CAST(digest AS BLOB) WHERE seq = 1")
    assert [entry.body for entry in await waiting(outbox)] == [body(1), body(2)]
    assert all(isinstance(entry.body, bytes) and isinstance(entry.digest, str) for entry in await waiting(outbox))
    outbox.close()


async def test_one_flipped_bit_anywhere_in_the_file_never_gives_a_wrong_record_and_never_stops_the_agent(
    path: Path,
) -> None:
    outbox = opened(path)
    await appended(outbox, 40, size=400)
    await outbox.acknowledge(10)
    outbox.close()
    sound, good = content(path), {number: body(number, 400) for number in range(11, 41)}
    rng = random.Random(20260601)
    for place in range(60):
        damaged = bytearray(sound)
        damaged[rng.randrange(len(sound))] ^= 1 << rng.randrange(8)
        copy = path.with_name(f"copy-{place}")
        copy.write_bytes(damaged)
        again = opened(copy)
        read = {entry.seq: entry.body for entry in await waiting(again)}
        assert read.items() <= good.items()
        is_told = again.set_aside is not None and again.epoch != outbox.epoch
        assert is_told or len(good) - len(read) == again.counts().get("dropped_corrupt", 0), "every loss is counted"
        assert await again.append(b"{}") == (1 if is_told else 41)
        again.close()


@pytest.mark.parametrize("name", ["totals", "totals again"])
@pytest.mark.parametrize(
    "damage", ["value = replace(value, 'acknowledged', 'bcknowledged')", "value = x'ff'", "name = name || 'x'"]
)
async def test_damage_to_one_copy_of_the_totals_costs_nothing(path: Path, name: str, damage: str) -> None:
    outbox = opened(path)
    outbox.count("scheduled", 5)
    await appended(outbox, 3)
    await outbox.acknowledge(1)
    outbox.close()
    edited(path, f"UPDATE facts SET {damage} WHERE name = '{name}'")
    again = opened(path)
    assert (again.set_aside, again.epoch, again.acknowledged) == (None, outbox.epoch, 1)
    assert again.counts() == {**outbox.counts(), "lost_in_flight": 2}
    assert [entry.seq for entry in await waiting(again)] == [2, 3]
    again.close()
    ((copies, kinds),) = asked(path, "SELECT count(*), count(DISTINCT value) FROM facts WHERE name LIKE 'totals%n' "
                                     "OR name = 'totals'")  # fmt: skip
    assert (copies, kinds) == (2, 1), "both are there again"


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(9000))


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "kept").touch()


def of_another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE facts (subject TEXT, predicate TEXT)")


def with_both_totals_damaged(path: Path) -> None:
    edited(path, "UPDATE facts SET value = replace(value, 'east', 'fast')")


def without_totals(path: Path) -> None:
    edited(path, "DELETE FROM facts")


def with_a_torn_schema(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"CREATE TABLE records") + 14] ^= 0x80  # no longer UTF-8, and SQLite's complaint quotes it
    path.write_bytes(raw)


@pytest.mark.parametrize(
    "damage",
    [
        garbage, zeroed, a_directory, of_another_program, with_both_totals_damaged, without_totals,
    ],
    ids=lambda damage: damage.__name__,
)  # fmt: skip
async def test_a_file_without_sound_totals_is_set_aside_as_it_was_and_a_new_epoch_begins(
    path: Path, damage: Callable[[Path], None]
) -> None:
    outbox = opened(path)
    await appended(outbox, 40, size=400)
    outbox.close()
    damage(path)
    was = content(path)
    again = opened(path)
    assert again.set_aside is not None
    assert again.set_aside.name.startswith("spool.set-aside-")
    if not was:
        assert (again.set_aside / "kept").exists()
    else:
        assert content(again.set_aside).endswith(was[-1000:]), "renamed, not made anew"
    assert again.epoch not in ("", outbox.epoch)
    assert await again.append(b"{}") == 1
    assert again.counts()["waiting"] == 1
    again.close()


@pytest.mark.parametrize("cut", [0.9, 0.6, 0.4])
async def test_what_can_be_read_of_a_truncated_file_is_taken_over_and_the_rest_is_counted(
    path: Path, cut: float
) -> None:
    outbox = opened(path)
    outbox.count("scheduled", 60)
    await appended(outbox, 60, size=1400)
    await outbox.acknowledge(5)
    numbers = {outbox.control_number()}
    before = await waiting(outbox)
    outbox.close()
    os.truncate(path, int(len(content(path)) * cut))
    again = opened(path)
    assert again.set_aside is not None
    kept = await waiting(again)
    assert set(kept) < set(before), "each has its place, digest and bytes"
    assert len(kept) > 0
    counts = again.counts()
    assert (counts["waiting"], counts["dropped_corrupt"]) == (len(kept), 55 - len(kept))
    assert (conservation(counts), again.epoch, again.acknowledged) == ((60, 60), outbox.epoch, 5)
    assert again.control_number() not in numbers
    assert await again.append(b"{}") == 61, "no number is used again"
    again.close()


async def test_a_file_whose_very_schema_is_damaged_does_not_stop_the_agent_either(path: Path) -> None:
    outbox = opened(path)
    await appended(outbox, 40, size=400)
    outbox.close()
    with_a_torn_schema(path)
    again = opened(path)
    assert again.set_aside is not None
    assert (again.epoch, again.counts()["dropped_corrupt"], again.counts()["waiting"]) == (outbox.epoch, 40, 0)
    assert await again.append(b"{}") == 41
    again.close()


def test_a_second_damaged_file_does_not_take_the_place_of_the_first(path: Path) -> None:
    found = []
    for content in (b"first" * 1000, b"second" * 1000):
        path.write_bytes(content)
        outbox = opened(path)  # the clock stands still, so that both would get the same name
        outbox.close()
        assert outbox.set_aside is not None
        found.append(outbox.set_aside.read_bytes()[:6])
    assert found == [b"firstf", b"second"]


def test_an_empty_file_is_a_new_spool(path: Path) -> None:
    path.touch()
    outbox = opened(path)
    assert (outbox.set_aside, len(outbox.epoch)) == (None, 16)
    outbox.close()


# --- a sound file in a bad place, or in other hands ------------------------------------------------------------------


def test_a_place_where_nothing_can_be_written_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "spool", Path("/proc/outrider/spool")):
        with pytest.raises(SpoolError, match=f"cannot make {place}"):
            opened(place)


async def test_a_sound_file_that_cannot_be_written_now_is_refused_and_stays_where_it_is(path: Path) -> None:
    outbox = opened(path)
    await appended(outbox, 3)
    outbox.close()
    found = elsewhere(
        path,
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))\n"
        f"try:\n    Outbox(path, agent={AGENT!r}, clock=SystemClock())\n"
        "except SpoolError as error:\n    print(error)\n",
    )
    assert f"cannot use {path}" in found.stdout, found.stderr
    assert "left as it is" in found.stdout
    again = opened(path)
    assert (again.epoch, again.set_aside, len(await waiting(again))) == (outbox.epoch, None, 3)
    again.close()


def test_a_second_process_is_refused_and_told_who_is_there(path: Path) -> None:
    outbox = opened(path)
    attempt = (
        f"try:\n    Outbox(path, agent={AGENT!r}, clock=SystemClock())\nexcept SpoolError as error: print(error)\n"
    )
    assert f"{path} is in use by process {os.getpid()};" in elsewhere(path, attempt).stdout
    outbox.close()
    assert elsewhere(path, attempt).stdout == ""


async def test_another_agents_spool_is_refused_and_left_alone(path: Path) -> None:
    outbox = opened(path)
    await appended(outbox, 1)
    outbox.close()
    with pytest.raises(SpoolError, match="belongs to agent 'east-1', not 'west-1'"):
        opened(path, agent="west-1")
    again = opened(path)
    assert (again.set_aside, len(await waiting(again))) == (None, 1)
    again.close()


# --- the quota -------------------------------------------------------------------------------------------------------


def size_of(path: Path) -> int:
    ((pages,),) = asked(path, "PRAGMA page_count")
    return pages * 4096


async def test_at_the_quota_delivered_records_go_first_then_the_oldest_and_the_agent_goes_on(path: Path) -> None:
    outbox = opened(path, quota=LEAST_QUOTA)
    outbox.count("scheduled", 300)
    assert None not in await appended(outbox, 20, size=4000)
    await outbox.acknowledge(20)
    assert None not in await appended(outbox, 50, size=4000)
    counts = outbox.counts()
    assert (counts.get("dropped_quota", 0), counts["waiting"]) == (0, 50), "the delivered ones made room"
    assert asked(path, "SELECT count(*) FROM records WHERE seq <= 20") == [(0,)]
    assert None not in await appended(outbox, 230, size=4000)
    kept = [entry.seq for entry in await waiting(outbox)]
    assert kept == list(range(301 - len(kept), 301)), "the newest are there, without a gap"
    counts = outbox.counts()
    assert (counts["dropped_quota"], counts["waiting"]) == (280 - len(kept), len(kept))
    assert counts.get("dropped_unwritable", 0) == 0
    assert conservation(counts) == (300, 300)
    assert size_of(path) <= LEAST_QUOTA
    outbox.close()


async def test_dead_letters_make_room_before_anything_that_waits_does(path: Path) -> None:
    outbox = opened(path, quota=LEAST_QUOTA)
    await appended(outbox, 45, size=4000)
    for seq in range(1, 41):
        await outbox.dead_letter(seq, "cannot be read")
    assert None not in await appended(outbox, 30, size=4000)
    counts = outbox.counts()
    assert (counts["waiting"], counts["dead_lettered"], counts.get("dropped_quota", 0)) == (35, 40, 0)
    assert [entry.seq for entry in await waiting(outbox)] == list(range(41, 76))
    assert size_of(path) <= LEAST_QUOTA
    outbox.close()


async def test_a_record_larger_than_the_quota_is_counted_and_costs_no_other(path: Path) -> None:
    outbox = opened(path, quota=LEAST_QUOTA)
    await appended(outbox, 3)
    assert await outbox.append(bytes(2 * LEAST_QUOTA)) is None
    assert (outbox.counts()["dropped_unwritable"], outbox.counts()["waiting"]) == (1, 3)
    assert await outbox.append(b"{}") == 4
    outbox.close()


# --- counts ----------------------------------------------------------------------------------------------------------


async def test_a_commit_that_fails_loses_no_count_and_heals(path: Path) -> None:
    outbox = opened(path)
    outbox.count("scheduled", 5)
    assert await outbox.append(b"{}") == 1
    edited(path, FAIL)
    outbox.count("skipped", 2)
    assert await outbox.append(b"{}") is None
    with pytest.raises(SpoolError, match="cannot write"):
        await outbox.acknowledge(1)
    assert (outbox.counts()["waiting"], outbox.acknowledged) == (1, 0)
    edited(path, "DROP TRIGGER fail")
    assert await outbox.append(b"{}") == 2
    counts = outbox.counts()
    assert (counts["skipped"], counts["dropped_unwritable"], counts["recorded"]) == (2, 1, 2)
    assert conservation(counts) == (5, 5)
    outbox.close()
    again = opened(path)
    assert again.counts() == counts
    again.close()


async def test_counts_that_no_record_follows_are_written_on_closing(path: Path) -> None:
    outbox = opened(path)
    outbox.count("scheduled", 2)
    outbox.count("skipped", 2)
    outbox.close()
    again = opened(path)
    assert conservation(again.counts()) == (2, 2)
    assert again.counts()["skipped"] == 2
    again.close()


async def test_a_delivered_record_cannot_be_dead_lettered_and_counted_again(path: Path) -> None:
    outbox = opened(path)
    await appended(outbox, 3)
    await outbox.acknowledge(2)
    for seq in (1, 2, 99):
        await outbox.dead_letter(seq, "no")
    assert (outbox.counts().get("dead_lettered", 0), outbox.counts()["waiting"]) == (0, 1)
    await outbox.dead_letter(3, "cannot be read: \u2026")
    assert (outbox.counts()["dead_lettered"], outbox.counts()["waiting"]) == (1, 0)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT seq, reason FROM dead_letters").fetchall() == [(3, "cannot be read: \u2026")]
    outbox.close()


# --- control numbers -------------------------------------------------------------------------------------------------


def test_control_numbers_are_never_given_twice_by_two_agents_and_over_restarts(tmp_path: Path) -> None:
    given: list[int] = []
    for _ in range(3):
        for number in (0, 7):
            outbox = opened(tmp_path / f"spool-{number}", number=number)
            given += [outbox.control_number() for _ in range(1500)]
            outbox.close()
    assert len(set(given)) == len(given) == 9000
    assert min(given) % CONTROL_NUMBERS_PER_AGENT == first_control_number(NOW) > 1
    assert {each // CONTROL_NUMBERS_PER_AGENT for each in given} == {0, 7}


def test_control_numbers_have_nine_digits_at_most_and_begin_anew_at_one(path: Path) -> None:
    file = SpoolFile(path, agent=AGENT, clock=SettableClock(), quota=MANY, retention=DAY)
    file.begin()
    file.control_number = 999_001
    file.commit()
    file.close()
    outbox = opened(path, number=998)
    given = [outbox.control_number() for _ in range(1001)]
    assert (given[0], given[998], given[999], given[1000]) == (998_999_001, 998_999_999, 998_000_001, 998_000_002)
    outbox.close()


@pytest.mark.parametrize("later", [SECOND, MINUTE, DAY, 11 * DAY])
def test_an_agent_whose_spool_was_lost_goes_on_after_the_numbers_that_it_gave(tmp_path: Path, later: int) -> None:
    given: set[int] = set()
    for moment in (NOW, NOW + later):
        clock = SettableClock()
        clock.at = moment
        outbox = opened(tmp_path / f"{moment}.spool", clock)
        drawn = {outbox.control_number() for _ in range(min(later // SECOND, 5000))}
        assert not drawn & given
        given |= drawn
        outbox.close()


@pytest.mark.parametrize("now", [0, NOW, 997_999 * SECOND, 998_000 * SECOND, 4_000_000_000 * SECOND])
def test_the_first_number_of_all_leaves_room_for_a_block(now: int) -> None:
    assert 1 <= first_control_number(now) <= CONTROL_NUMBERS_PER_AGENT - 1000


def test_a_spool_that_cannot_write_gives_no_control_number_rather_than_an_old_one(path: Path) -> None:
    outbox = opened(path)
    edited(path, FAIL)
    with pytest.raises(SpoolError, match="cannot write"):
        outbox.control_number()
    edited(path, "DROP TRIGGER fail")
    assert outbox.control_number() == first_control_number(NOW)
    outbox.close()


# --- all of it, in any order -----------------------------------------------------------------------------------------


class SpoolMachine(RuleBasedStateMachine):
    """A spool against a list. A crash is a copy of the files as they lie there, opened by the next process."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.generation = 0
        self.clock = SettableClock()
        self.runner = asyncio.Runner()
        self.outbox = opened(self.path, self.clock, retention=0)
        self.waiting: list[tuple[int, bytes]] = []
        self.last_seq = 0
        self.went: Counter[str] = Counter()
        self.under_way = 0
        self.bodies = 0

    @property
    def path(self) -> Path:
        return self.folder / f"spool-{self.generation}"

    def teardown(self) -> None:
        if hasattr(self, "outbox"):
            self.outbox.close()
            self.runner.close()
            shutil.rmtree(self.folder)

    @rule(runs=st.integers(1, 3))
    def runs_begin(self, runs: int) -> None:
        self.outbox.count("scheduled", runs)
        self.under_way += runs

    @rule()
    def a_slot_is_missed(self) -> None:
        self.outbox.count("scheduled")
        self.outbox.count("skipped")
        self.went["skipped"] += 1

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def runs_end(self, data: st.DataObject) -> None:
        ended = data.draw(st.integers(1, self.under_way))
        bodies = [body(self.bodies + number) for number in range(ended)]
        self.bodies += ended

        async def together() -> list[int | None]:
            return await asyncio.gather(*(self.outbox.append(each) for each in bodies))

        seqs = self.runner.run(together())
        assert seqs == list(range(self.last_seq + 1, self.last_seq + ended + 1))
        self.waiting += [(seq or 0, each) for seq, each in zip(seqs, bodies, strict=True)]
        self.last_seq += ended
        self.under_way -= ended

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def the_collector_acknowledges(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, len(self.waiting)))
        self.runner.run(self.outbox.acknowledge(self.waiting[count - 1][0]))
        self.waiting = self.waiting[count:]
        self.went["delivered"] += count
        self.clock.at += MINUTE

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def a_record_is_refused(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(self.waiting) - 1))
        self.runner.run(self.outbox.dead_letter(self.waiting.pop(at)[0], "cannot be read"))
        self.went["dead_lettered"] += 1

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def a_bit_flips(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(self.waiting) - 1))
        seq, sound = self.waiting.pop(at)
        bit = data.draw(st.integers(0, 8 * len(sound) - 1))
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        with closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            database.execute("UPDATE records SET body = ? WHERE seq = ?", (bytes(damaged), seq))
        self.went["dropped_corrupt"] += 1

    @rule()
    def the_spool_was_cloned(self) -> None:
        survivors = self.runner.run(waiting(self.outbox))
        assert [(entry.seq, entry.body) for entry in survivors] == self.waiting
        self.runner.run(self.outbox.begin_new_epoch())
        self.waiting = [(number, each) for number, (_, each) in enumerate(self.waiting, start=1)]
        self.last_seq, self.went = len(self.waiting), Counter()

    @rule()
    def the_agent_restarts(self) -> None:
        self.runner.run(waiting(self.outbox))
        self.outbox.close()
        self.outbox = opened(self.path, self.clock, retention=0)
        self.went["lost_in_flight"] += self.under_way
        self.under_way = 0

    @rule()
    def the_agent_is_killed(self) -> None:
        self.runner.run(waiting(self.outbox))
        old = self.path
        self.generation += 1
        for suffix in ("", "-wal"):
            if (file := Path(f"{old}{suffix}")).exists():
                shutil.copyfile(file, f"{self.path}{suffix}")
        self.outbox.close()
        self.outbox = opened(self.path, self.clock, retention=0)
        self.went["lost_in_flight"] += self.under_way
        self.under_way = 0

    @invariant()
    def what_waits_is_what_was_promised(self) -> None:
        if not hasattr(self, "outbox"):
            return
        entries = self.runner.run(waiting(self.outbox))
        assert [(entry.seq, entry.body) for entry in entries] == self.waiting
        counts = self.outbox.counts()
        assert counts["waiting"] == len(self.waiting)
        assert {name: counts.get(name, 0) for name in self.went} == dict(self.went)
        scheduled, ways = conservation(counts)
        assert scheduled - ways == self.under_way


def test_the_promise_holds_whatever_happens_in_whatever_order() -> None:
    run_state_machine_as_test(
        SpoolMachine,
        settings=settings(
            max_examples=25,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
