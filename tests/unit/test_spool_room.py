"""What a full spool gives up, in which order, and what it does not: the quota, the log, the digests that it had."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spool_support import AGENT, NOW, SettableClock, asked, bytes_of, kept, opened, run, waiting

from outrider.codecs.records import decode_record, encode_record, without_detail, without_phases
from outrider.core.units import MINUTE, SECOND
from outrider.core.wire import Phases, RunRecord, digest
from outrider.spool import Outbox, conservation
from outrider.spool.file import LEAST_QUOTA


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


# --- the order -------------------------------------------------------------------------------------------------------


async def test_captured_text_goes_first_then_timings_then_whole_slices_and_each_is_counted(path: Path) -> None:
    outbox = opened(path, quota=LEAST_QUOTA)
    seen: list[str] = []
    for number in range(600):
        assert await kept(outbox, run(number, detail=700)) == [number + 1]
        now = {name for name in outbox.counts() if name.startswith(("stripped", "dropped"))}
        seen += sorted(now - set(seen))
    assert seen == ["stripped_details", "stripped_phases", "dropped_quota"]
    scheduled, ways = conservation(outbox.counts())
    assert scheduled == ways == 600
    assert bytes_of(path) <= LEAST_QUOTA
    outbox.close()


async def test_giving_up_text_makes_room_for_more_runs_and_every_run_is_still_there(path: Path) -> None:
    whole, stripped = opened(path.with_name("whole"), quota=LEAST_QUOTA), opened(path, quota=LEAST_QUOTA)
    for number in range(200):
        await kept(whole, run(number, steps=0, code="x" * 3000))
        await kept(stripped, run(number, detail=3000, steps=0))
    counts = stripped.counts()
    assert counts["stripped_details"] > 50
    assert (counts.get("dropped_quota", 0), counts["waiting"]) == (0, 200)
    assert whole.counts()["dropped_quota"] > 0, "a record as long that has nothing to give up does not fit"
    entries = await waiting(stripped)
    assert [decode_record(each.body).started_at for each in entries] == [NOW + n * SECOND for n in range(200)]
    details = [len(decode_record(each.body).detail) for each in entries]
    assert sorted(details) == details, "the oldest gave theirs up first"
    assert all(each.digest == digest(AGENT, stripped.epoch, each.seq, each.body) for each in entries)
    whole.close()
    stripped.close()


async def test_slices_go_whole_with_their_good_and_bad_runs_and_the_figures_of_the_others_stand(path: Path) -> None:
    outbox = opened(path, quota=LEAST_QUOTA)
    for number in range(900):
        await kept(outbox, run(number, is_good=number % 3 != 0, steps=0, phases=Phases(), code="c" * 300))
    counts = outbox.counts()
    assert counts["dropped_quota"] > 100
    left = [decode_record(each.body) for each in await waiting(outbox)]
    slices: dict[int, list[str]] = {}
    for record in left:
        slices.setdefault(record.started_at // MINUTE, []).append(record.outcome)
    assert {len(outcomes) for outcomes in slices.values()} == {60}, "none is there in part"
    assert {outcomes.count("service_down") for outcomes in slices.values()} == {20}
    assert min(slices) * MINUTE == NOW // MINUTE * MINUTE + counts["dropped_quota"] * SECOND
    dropped = asked(path, "SELECT first, last, reason FROM losses")
    assert dropped == [(1, counts["dropped_quota"], "dropped_quota")]
    outbox.close()


async def test_a_slice_is_dropped_whole_though_its_runs_lie_apart(path: Path) -> None:
    outbox = opened(path, quota=LEAST_QUOTA)
    records = [run(number, steps=0, phases=Phases(), code="c" * 900) for number in range(400)]
    late = run(5, steps=0, phases=Phases(), code="late")
    await kept(outbox, *records[:100], late, *records[100:])
    left = {decode_record(each.body).started_at // MINUTE for each in await waiting(outbox)}
    assert outbox.counts()["dropped_quota"] >= 61
    assert NOW // MINUTE not in left, "the late one went with its slice"
    outbox.close()


async def test_nothing_waiting_is_touched_while_delivered_records_or_dead_letters_are_there(path: Path) -> None:
    outbox = opened(path, quota=LEAST_QUOTA)
    await kept(outbox, *(run(n, detail=2000) for n in range(30)))
    await outbox.acknowledge(15)
    for seq in range(16, 31):
        await outbox.dead_letter(seq, "cannot be read")
    await kept(outbox, *(run(n, detail=2000) for n in range(30, 50)))
    counts = outbox.counts()
    assert [counts.get(name, 0) for name in ("stripped_details", "stripped_phases", "dropped_quota")] == [0, 0, 0]
    assert counts["waiting"] == 20
    outbox.close()


# --- a record in another form is known again -------------------------------------------------------------------------


async def test_a_record_is_known_by_every_form_that_it_has_or_had(path: Path) -> None:
    outbox = opened(path, quota=LEAST_QUOTA)
    first = run(0, detail=3000)
    await kept(outbox, first)
    forms = [encode_record(first)]
    for strip in (without_detail, without_phases):
        forms.append(strip(forms[-1]) or b"")
    digests = [digest(AGENT, outbox.epoch, 1, form)[:16] for form in forms]
    assert len(set(digests)) == 3

    async def known() -> list[bool]:
        return [await outbox.is_same(1, each) for each in (*digests, "0" * 16, "")]

    assert await known() == [True, True, True, False, False], "before it gave anything up"
    number = 0
    while not outbox.counts().get("stripped_phases"):
        number += 1
        await kept(outbox, run(number, detail=3000))
    assert (await waiting(outbox))[0].digest[:16] in digests[1:]
    assert await known() == [True, True, True, False, False], "and after"
    assert not await outbox.is_same(10**6, digests[0])
    outbox.close()


async def test_a_damaged_record_is_not_given_a_sound_digest_by_giving_something_up(path: Path) -> None:
    outbox = opened(path, quota=LEAST_QUOTA)
    await kept(outbox, *(run(n, detail=1000) for n in range(3)))
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("UPDATE records SET body = replace(body, 'service', 'servant'), digest = digest WHERE seq = 2")
        database.execute("UPDATE records SET body = CAST(replace(body, 'eligib', 'illegi') AS BLOB) WHERE seq = 2")
    for number in range(3, 500):
        await kept(outbox, run(number, detail=1000))
        if outbox.counts().get("stripped_details"):
            break
    assert 2 not in [each.seq for each in await waiting(outbox)]
    assert outbox.counts()["dropped_corrupt"] == 1
    outbox.close()


@given(detail=st.text(min_size=1, max_size=200), steps=st.integers(0, 4), later=st.integers())
@settings(max_examples=100, deadline=None)
def test_giving_up_text_and_timings_changes_nothing_else(detail: str, steps: int, later: int) -> None:
    record = run(3, steps=steps, code="a1", detail=1)
    record = RunRecord(**{name: getattr(record, name) for name in RunRecord.__slots__} | {"detail": detail})
    body = encode_record(record)[:-1] + b',"of_a_later_version":%d}' % (later % 2**40)
    bare = without_phases(without_detail(body) or b"")
    assert bare is not None
    assert bare.endswith(b',"of_a_later_version":%d}' % (later % 2**40)), "what another version wrote stays"
    found = decode_record(bare)
    assert (found.check, found.started_at, found.outcome, found.latency, found.code) == (
        record.check, record.started_at, record.outcome, record.latency, "a1"
    )  # fmt: skip
    assert (found.detail, found.phases) == ("", Phases())
    assert [(each.name, each.latency, each.phases) for each in found.steps] == [
        (each.name, each.latency, Phases()) for each in record.steps
    ]
    assert without_detail(bare) is None
    assert without_phases(bare) is None


@given(st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
def test_what_is_no_record_gives_nothing_up(raw: bytes) -> None:
    assert without_detail(raw) is None
    stripped = without_phases(raw)
    assert stripped is None or len(stripped) < len(raw)


# --- the quota is hard -----------------------------------------------------------------------------------------------


async def test_the_spool_with_its_log_stays_within_the_quota_at_every_moment(path: Path) -> None:
    outbox = opened(path, quota=4 * LEAST_QUOTA)
    largest = 0
    for number in range(0, 3000, 50):
        records = [run(number + n, code="c" * 700) for n in range(50)]
        outbox.count("scheduled", 50)
        await asyncio.gather(*(outbox.append(encode_record(each)) for each in records))
        if number % 500 == 0:
            await outbox.acknowledge(number // 3)
        largest = max(largest, bytes_of(path))
    assert outbox.counts()["dropped_quota"] > 0, "it was full"
    assert largest <= 4 * LEAST_QUOTA
    outbox.close()


async def test_a_log_that_another_program_holds_open_does_not_grow_beyond_its_limit(path: Path) -> None:
    outbox = opened(path, quota=LEAST_QUOTA)
    await kept(outbox, run(0))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM records").fetchall()
        for number in range(1, 200):
            await kept(outbox, run(number, detail=2000))
        assert outbox.counts()["dropped_unwritable"] > 0, "what could not be kept is counted"
        assert bytes_of(path) <= LEAST_QUOTA + 16 * 4096
        reader.execute("ROLLBACK")
    lost = outbox.counts()["dropped_unwritable"]
    seqs = await kept(outbox, run(200), run(201))
    assert None not in seqs, "it goes on when the other program has let go"
    assert outbox.counts()["dropped_unwritable"] == lost
    scheduled, ways = conservation(outbox.counts())
    assert scheduled == ways == 202
    outbox.close()


async def test_a_record_of_more_than_a_quarter_of_the_quota_is_refused_alone(path: Path) -> None:
    outbox = opened(path, quota=LEAST_QUOTA)
    await kept(outbox, run(0))
    assert await kept(outbox, run(1, detail=LEAST_QUOTA // 4)) == [None]
    assert await kept(outbox, run(2)) == [2]
    counts = outbox.counts()
    assert (counts["dropped_unwritable"], counts["waiting"]) == (1, 2)
    outbox.close()


async def test_a_great_crowd_is_kept_in_several_commits_so_that_nobody_waits_for_all_of_it(path: Path) -> None:
    outbox = opened(path)
    began: list[int] = []
    begin = outbox._file.begin

    def noted() -> None:
        began.append(outbox._file.counts["recorded"])
        begin()

    outbox._file.begin = noted  # type: ignore[method-assign]
    await asyncio.gather(*(outbox.append(encode_record(run(number))) for number in range(1000)))
    assert max(later - earlier for earlier, later in pairwise(began)) <= 200
    assert outbox.counts()["waiting"] == 1000
    outbox.close()


# --- clones, and what a collector asks for again ---------------------------------------------------------------------


async def test_a_new_epoch_takes_what_was_appended_after_the_copy_and_its_digests_are_the_new_ones(path: Path) -> None:
    outbox = opened(path)
    old = outbox.epoch
    await kept(outbox, *(run(n) for n in range(1200)))
    await outbox.acknowledge(500)
    await outbox.begin_new_epoch(500)
    entries = await waiting(outbox)
    assert outbox.epoch != old
    assert [each.seq for each in entries] == list(range(1, 701))
    assert [decode_record(each.body).started_at for each in entries] == [NOW + n * SECOND for n in range(500, 1200)]
    assert all(each.digest == digest(AGENT, outbox.epoch, each.seq, each.body) for each in entries)
    assert conservation(outbox.counts()) == (700, 700)
    assert await kept(outbox, run(1)) == [701]
    outbox.close()


def _reopened(outbox: Outbox, path: Path, clock: SettableClock) -> Outbox:
    outbox.close()
    return opened(path, clock)


async def test_an_older_spool_without_the_newer_tables_is_taken_over_as_it_is(path: Path) -> None:
    clock = SettableClock()
    outbox = opened(path, clock)
    await kept(outbox, run(0), run(1), run(2))
    await outbox.dead_letter(2, "cannot be read")
    outbox.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for table in ("earlier", "stamps", "losses"):
            database.execute(f"DROP TABLE {table}")
    again = opened(path, clock)
    assert again.set_aside is None
    assert [each.seq for each in await waiting(again)] == [1, 3]
    await again.acknowledge(3)
    recalled = await again.recall([(1, 3)], 100, 10**6)
    assert [each.seq for each in recalled.entries] == [1, 3]
    assert [(each.first, each.last, each.reason) for each in recalled.lost] == [(2, 2, "not_kept")]
    again = _reopened(again, path, clock)
    assert again.counts()["delivered"] == 2
    again.close()
