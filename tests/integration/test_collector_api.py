"""The collector over HTTP: results in exactly once, windows, statements, and an answer for every kind of nonsense."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import sqlite3
import threading
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from collector_support import G1, NOON, Answer, Collector, SettableClock, batch, collecting, entries, packed, run
from polling_support import a_thread_is_in, until_true

from outrider.codecs.records import encode_record
from outrider.collector_client import CollectorError, ask
from outrider.commands.processes import serving
from outrider.core.guarantee import Agreement
from outrider.core.units import DAY, HOUR, MINUTE, SECOND, Instant, format_instant
from outrider.core.wire import Batch, Phases, StepRecord
from outrider.strict_yaml import ConfigError
from outrider_collector.app import LARGEST_BODY, LARGEST_OPENED, LONGEST_PERIOD
from outrider_collector.config import CollectorConfig, load_collector
from outrider_collector.extents import Extents
from outrider_collector.intake import Intake
from outrider_collector.main import opened
from outrider_collector.store import NewRecord, StoreFailedError
from outrider_collector.store.duckdb_store import DuckdbStore
from outrider_collector.windows import WindowRegister

THREE = [run(NOON + n) for n in range(3)]


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    async with collecting(tmp_path) as made:
        yield made


def is_refusal(answer: Answer, http: int, words: str, seq: int | None = None) -> None:
    assert (answer.http, answer.headers["Content-Type"]) == (http, "application/json"), answer.raw
    assert words in answer.error
    assert answer.json["seq"] == seq


# --- results: once, in whatever order and however often --------------------------------------------------------------


async def test_a_batch_is_answered_with_what_was_stored_and_when(collector: Collector) -> None:
    answer = await collector.send(batch(*THREE, first=4))
    assert answer.http == 200
    said = answer.json
    assert [(each["seq"], each["recorded_at"], len(each["signature"])) for each in said.pop("stamps")] == [
        (4, NOON, 32), (5, NOON, 32), (6, NOON, 32)
    ]  # fmt: skip
    assert said == {
        "high_water": 6,
        "stored": 3,
        "duplicates": 0,
        "received_at": NOON,
        "answered_at": NOON,
        "recorded_at": NOON,
        "gaps": [[1, 3]],
    }
    assert [seq for seq, _ in collector.rows()] == [4, 5, 6]
    filled = await collector.send(batch(*THREE))
    assert (filled.json["high_water"], filled.json["gaps"]) == (6, [])


async def test_a_batch_sent_again_changes_no_row_and_is_counted(collector: Collector) -> None:
    made = batch(*THREE)
    assert (await collector.send(made)).json["stored"] == 3
    rows, ledger = collector.rows(), collector.rooms.store.position(2**62)
    for _ in range(3):
        again = await collector.send(made)
        assert (again.http, again.json["stored"], again.json["duplicates"]) == (200, 0, 3)
    assert (collector.rows(), collector.rooms.store.position(2**62)) == (rows, ledger)
    assert collector.rooms.intake.senders["east-1"].duplicates == 9
    more = await collector.send(batch(*THREE, run(NOON + 3)))
    assert (more.json["stored"], more.json["duplicates"], more.json["high_water"]) == (1, 3, 4)


async def test_a_duplicate_is_known_after_a_restart(tmp_path: Path) -> None:
    for stored in (3, 0):
        async with collecting(tmp_path) as collector:
            assert (await collector.send(batch(*THREE))).json["stored"] == stored
            assert len(collector.rows()) == 3


async def test_another_content_under_a_seq_is_a_conflict_that_leaves_nothing(collector: Collector) -> None:
    await collector.send(batch(*THREE))
    rows = collector.rows()
    other = batch(run(NOON + 2, latency=1), run(NOON + 9), first=3)
    is_refusal(await collector.send(other), 409, "record 3 was stored before with another content", 3)
    is_refusal(await collector.send(batch(run(NOON + 9), run(latency=7), first=3)), 409, "begin a new epoch", 3)
    assert collector.rows() == rows
    assert (await collector.send(replace_epoch(other, "e2"))).json["stored"] == 2, "under a new epoch it is welcome"


def replace_epoch(made: Batch, epoch: str) -> Batch:
    bodies = [each.body for each in made.entries]
    return replace(made, epoch=epoch, entries=entries(bodies, made.agent, epoch, made.entries[0].seq))


async def test_two_agents_and_two_epochs_have_sequences_of_their_own(collector: Collector) -> None:
    for made in (batch(*THREE), batch(run(latency=1), agent="west-1"), batch(run(latency=2), epoch="e2")):
        assert (await collector.send(made)).http == 200
    assert collector.rooms.store.extents() == {
        ("east-1", "e1"): [(1, 3)], ("west-1", "e1"): [(1, 1)], ("east-1", "e2"): [(1, 1)]
    }  # fmt: skip


async def test_the_same_batch_posted_by_many_at_once_is_stored_once(collector: Collector) -> None:
    answers = await asyncio.gather(*(collector.send(batch(*THREE)) for _ in range(20)))
    assert {each.http for each in answers} == {200}
    assert sum(each.json["stored"] for each in answers) == 3
    assert sum(each.json["duplicates"] for each in answers) == 57
    assert [seq for seq, _ in collector.rows()] == [1, 2, 3]


async def test_of_two_contents_posted_at_once_one_is_stored_and_the_other_refused(collector: Collector) -> None:
    clones = [batch(run(latency=n), run(NOON + 9, latency=n)) for n in range(8)]
    answers = await asyncio.gather(*(collector.send(made) for made in clones))
    assert sorted(each.http for each in answers) == [200] + [409] * 7
    assert len(collector.rows()) == 2


async def test_an_empty_batch_is_a_sign_of_life(collector: Collector) -> None:
    answer = await collector.send(batch(counts={"scheduled": 7}))
    assert (answer.http, answer.json["high_water"], answer.json["stored"]) == (200, 0, 0)
    assert collector.rooms.intake.senders["east-1"].counts == {"scheduled": 7}


# --- results: what cannot be read ------------------------------------------------------------------------------------


def with_body(body: bytes, first: int = 2) -> Batch:
    """A batch whose second record is `body`, between two good ones."""
    good = encode_record(run())
    return replace(batch(), entries=entries([good, body, good], first=first))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"check":1}', "cannot be read"),
        (b"[]", "cannot be read"),
        (b"17", "cannot be read"),
        (encode_record(run()).replace(b'"ok"', b'"fine"'), "'fine' is not a valid OutcomeClass"),
        (encode_record(run(steps=(StepRecord("a", "fine", "", "", 1, Phases()),))), "'fine' is not a valid"),
        (encode_record(run(started_at=0)), "an instant is out of range"),
        (encode_record(run(started_at=2**60)), "an instant is out of range"),
        (encode_record(run(scheduled_at=-5)), "an instant is out of range"),
        (encode_record(run(clock_offset=-(2**56))), "an instant is out of range"),
        (encode_record(run(clock_offset=10**30)), "an instant is out of range"),
        (encode_record(run(latency=-1)), "a duration is out of range"),
        (encode_record(run(latency=10**30)), "a duration is out of range"),
        (encode_record(run(interval=10**30)), "a duration is out of range"),
        (encode_record(run(interval=-1)), "a duration is out of range"),
        (encode_record(run(clock_error=2**63)), "a duration is out of range"),
        (encode_record(run(phases=Phases(receive=2**64))), "a duration is out of range"),
        (encode_record(run(steps=(StepRecord("a", "ok", "", "", 2**63, Phases()),))), "a duration is out of range"),
        (encode_record(run(steps=(StepRecord("a", "ok", "", "", 1, Phases(tls=-1)),))), "a duration is out of range"),
        (encode_record(run(latency=DAY + 1)), "a latency of more than a day is out of range"),
        (encode_record(run(status=2**31)), "a status is out of range"),
        (encode_record(run(status=-1)), "a status is out of range"),
        (encode_record(run(steps=(StepRecord("a", "ok", "", "", 1, Phases(), 2**31),))), "a status is out of range"),
        (encode_record(run(steps=(StepRecord("a", "ok", "", "", 1, Phases()),) * 129)), "the number of steps"),
    ],
)
async def test_a_record_that_cannot_be_kept_is_named_and_nothing_of_its_batch_is_stored(
    collector: Collector, body: bytes, words: str
) -> None:
    is_refusal(await collector.send(with_body(body)), 422, words, 3)
    assert collector.rooms.store.extents() == {}
    assert collector.rooms.intake.trouble == ""


async def test_records_at_the_edge_of_what_can_be_kept_are_kept(collector: Collector) -> None:
    largest = run(
        latency=DAY,
        interval=2**53,
        clock_offset=-(2**53) + NOON,
        started_at=2**53,
        clock_error=2**53,
        status=2**31 - 1,
        phases=Phases(2**53, 2**53, 2**53, 2**53, 2**53, 2**53),
        steps=(StepRecord("a", "ok", "\x00", "\u2028", 2**53, Phases(), 2**31 - 1),) * 128,
    )
    answer = await collector.send(with_body(encode_record(largest)))
    assert (answer.http, answer.json["stored"]) == (200, 3), answer.raw


async def test_a_record_whose_bytes_do_not_match_its_digest_is_named(collector: Collector) -> None:
    made = batch(*THREE)
    moved = replace(made, agent="east-2")
    is_refusal(await collector.send(moved), 422, "its bytes do not match its digest", 1)
    changed = (made.entries[0], replace(made.entries[1], digest="0" * 32), made.entries[2])
    is_refusal(await collector.send(replace(made, entries=changed)), 422, "its bytes do not match its digest", 2)
    assert collector.rooms.store.extents() == {}


@pytest.mark.parametrize(
    ("raw", "encoding", "http", "words"),
    [
        (b"{}", "identity", 400, "the batch cannot be read"),
        (b"", "identity", 400, "the batch cannot be read"),
        (b'{"later":' + b"[" * 90_000 + b"]" * 90_000 + b"}", "identity", 400, "the batch cannot be read"),
        (gzip.compress(b"\xff\xfe"), "gzip", 400, "the batch cannot be read"),
        (b"plain text", "gzip", 400, "the body is not gzip"),
        (b"", "gzip", 400, "the body ends in the middle"),
        (packed(batch(*THREE))[:-20], "gzip", 400, "the body ends in the middle"),
        (packed(batch(*THREE))[:-4] + b"\0\0\0\0", "gzip", 400, "the body is not gzip"),
        (packed(batch(*THREE)) + b"more", "gzip", 400, "something follows its end"),
        (packed(batch(*THREE)), "br", 415, "bodies are gzip, not br"),
        (packed(batch(*THREE)), "gzip, gzip", 415, "bodies are gzip"),
        (packed(batch(*THREE)), "identity", 400, "the batch cannot be read"),
        (packed(replace(batch(*THREE), version=9)), "gzip", 400, "wire version 9"),
    ],
)
async def test_a_body_that_is_no_batch_is_refused_with_what_is_wrong(
    collector: Collector, raw: bytes, encoding: str, http: int, words: str
) -> None:
    is_refusal(await collector.send(raw, encoding), http, words)
    assert collector.rooms.store.extents() == {}


@pytest.mark.parametrize("encoding", ["gzip", "GZip", "identity"])
async def test_a_body_may_be_gzip_or_plain(collector: Collector, encoding: str) -> None:
    raw = packed(batch(*THREE))
    answer = await collector.send(gzip.decompress(raw) if encoding == "identity" else raw, encoding)
    assert (answer.http, answer.json["stored"]) == (200, 3)


def bomb(opened_size: int) -> bytes:
    """A gzip of zeros, made from one compressed piece again and again."""
    piece = 8 << 20
    packer = zlib.compressobj(9, wbits=31)
    head = packer.compress(b"\0" * piece) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(b"\0" * piece) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + again * (opened_size // piece - 1)


async def test_a_bomb_is_refused_at_the_cost_of_the_limit(collector: Collector) -> None:
    raw = bomb(512 << 20)
    assert len(raw) < 600_000
    await collector.send(batch(*THREE))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        answer = await collector.send(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    is_refusal(answer, 413, f"{LARGEST_OPENED} when opened")
    assert peak - before < 8 << 20
    assert (await collector.send(batch(*THREE))).http == 200


async def test_a_body_beyond_the_limit_is_refused_before_it_has_all_come_in(collector: Collector) -> None:
    noise = random.Random(1).randbytes(LARGEST_BODY + 1000)
    for encoding, raw in (("identity", b" " * (LARGEST_OPENED + 1)), ("gzip", gzip.compress(noise, 1))):
        is_refusal(await collector.send(raw, encoding), 413, f"a batch is at most {LARGEST_BODY} bytes")


async def test_a_sender_that_goes_away_in_mid_body_leaves_nothing(collector: Collector) -> None:
    raw = packed(batch(*THREE))
    host, port = collector.url.removeprefix("http://").split(":")
    for cut in (0, 10, len(raw) - 1):
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v1/results HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {len(raw)}\r\n\r\n"
        writer.write(head.encode() + raw[:cut])
        await writer.drain()
        writer.transport.abort()
    assert (await collector.get("/-/healthy")).http == 200
    assert collector.rooms.store.extents() == {}
    assert (await collector.send(batch(*THREE))).json["stored"] == 3


# --- results: a store in trouble -------------------------------------------------------------------------------------


class TroubledStore(DuckdbStore):
    """A real store whose appends meet trouble when told to: before anything is written, or after all of it was."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.before: Exception | None = None
        self.after: Exception | None = None
        self.gate: threading.Event | None = None
        self.entered = threading.Event()

    def append(self, records: Sequence[NewRecord], recorded_at: Instant) -> int:
        self.entered.set()
        if self.gate is not None:
            self.gate.wait(10)
        if self.before is not None:
            raise self.before
        position = super().append(records, recorded_at)
        if self.after is not None:
            raise self.after
        return position


@pytest.mark.parametrize("error", [StoreFailedError("no space left"), RuntimeError("no space left")])
async def test_a_store_that_cannot_keep_is_never_answered_with_200_and_heals(tmp_path: Path, error: Exception) -> None:
    store = TroubledStore(tmp_path / "results.duckdb")
    async with collecting(tmp_path, store=store) as collector:
        store.before = error
        for _ in range(3):
            answers = await asyncio.gather(*(collector.send(batch(*THREE, agent=f"east-{n}")) for n in range(4)))
            for answer in answers:
                is_refusal(answer, 503, "no space left")
                assert answer.headers["Retry-After"] == "1"
        assert (await collector.get("/-/healthy")).http == 503
        assert b"no space left" in (await collector.get("/-/ready")).raw
        store.before = None
        assert (await collector.send(batch(*THREE))).json["stored"] == 3
        assert (await collector.get("/-/healthy")).raw == b"healthy\n"
        assert len(collector.rows()) == 3


async def test_what_was_synced_before_the_store_said_that_it_failed_is_a_duplicate_when_sent_again(
    tmp_path: Path,
) -> None:
    store = TroubledStore(tmp_path / "results.duckdb")
    async with collecting(tmp_path, store=store) as collector:
        store.after = StoreFailedError("the checkpoint failed after the commit")
        is_refusal(await collector.send(batch(*THREE)), 503, "the checkpoint failed")
        store.after = None
        again = await collector.send(batch(*THREE))
        assert (again.http, again.json["stored"], again.json["duplicates"]) == (200, 0, 3)
        assert (len(collector.rows()), store.position(2**62)) == (3, 1)


async def test_batches_that_wait_for_a_commit_are_committed_together_and_each_is_answered_by_itself(
    tmp_path: Path,
) -> None:
    store = TroubledStore(tmp_path / "results.duckdb")
    async with collecting(tmp_path, store=store) as collector:
        store.gate = threading.Event()
        first = asyncio.create_task(collector.send(batch(*THREE, agent="first-1")))
        assert await asyncio.to_thread(store.entered.wait, 10)
        wrong = with_body(b'{"check":1}', first=10)
        made = (batch(*THREE), batch(*THREE), wrong, batch(run(latency=1)), batch(*THREE, agent="west-1"))
        waiting = [asyncio.create_task(collector.send(each)) for each in made]
        await until_true("all five wait", lambda: collector.rooms.intake._waiting.qsize() == 5)
        store.gate.set()
        answers = await asyncio.gather(first, *waiting)
        assert sorted(each.http for each in answers[1:]) == [200, 200, 200, 409, 422]
        assert sum(each.json.get("stored", 0) for each in answers) == 9
        assert store.position(2**62) == 2, "two commits for four batches"


async def test_a_collector_that_stops_commits_what_waits_and_refuses_the_rest(tmp_path: Path) -> None:
    store = TroubledStore(tmp_path / "results.duckdb")
    intake = Intake(store, SettableClock())
    store.gate = threading.Event()
    waiting = [asyncio.create_task(intake.submit(batch(*THREE, agent=f"east-{n}"))) for n in range(3)]
    assert await asyncio.to_thread(store.entered.wait, 10)
    closing_down = asyncio.create_task(asyncio.to_thread(intake.close))
    store.gate.set()
    assert [answer.stored for answer in await asyncio.gather(*waiting)] == [3, 3, 3]
    await closing_down
    with pytest.raises(StoreFailedError, match="is stopping"):
        await intake.submit(batch(*THREE))
    store.close()


async def test_stamps_never_go_backwards_not_even_over_a_restart_with_a_clock_set_back(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        first = (await collector.send(batch(*THREE))).json
        collector.clock.at -= HOUR
        second = (await collector.send(batch(run(), first=4))).json
    async with collecting(tmp_path, clock=SettableClock(NOON - DAY)) as collector:
        third = (await collector.send(batch(run(), first=5))).json
        assert [each["recorded_at"] for each in (first, second, third)] == [NOON, NOON, NOON]
        assert third["received_at"] == third["answered_at"] == NOON - DAY, (
            "an agent's clock is measured by the real one"
        )
        assert collector.rooms.store.position(NOON - 1) == 0
        assert collector.rooms.store.position(NOON) == 3


@pytest.mark.parametrize("seed", range(25))
def test_extents_are_a_set_of_numbers(seed: int) -> None:
    rng, extents = random.Random(seed), Extents()
    seqs = rng.sample(range(1, 31), rng.randrange(1, 31))
    for number, seq in enumerate(seqs, start=1):
        assert seq not in extents
        extents.add(seq)
        there = set(seqs[:number])
        assert {each for each in range(32) if each in extents} == there
        assert extents.high_water == max(there)
        gaps = {each for first, last in extents.gaps() for each in range(first, last + 1)}
        assert gaps == set(range(1, max(there))) - there
        assert all(first <= last for first, last in extents.gaps())


# --- windows ---------------------------------------------------------------------------------------------------------

WINDOW = {"start": "2026-06-16T02:00:00-04:00", "duration": "2h", "reason": "database", "author": "ops"}


async def test_a_window_is_announced_completed_and_listed_with_what_it_excuses(collector: Collector) -> None:
    made = await collector.announce(**WINDOW, scope=["card-*"], allow_unknown_checks=True)
    assert made.http == 201
    assert (made.json["start"], made.json["end"]) == ("2026-06-16T06:00:00Z", "2026-06-16T08:00:00Z")
    assert (made.json["act"], made.json["version"], made.json["scope"]) == ("announce", 1, ["card-*"])
    assert (made.json["recorded_at"], made.json["notice_us"]) == ("2026-06-15T12:00:00Z", 18 * HOUR)
    assert made.json["excuses"][0] == {"guarantee": "G1", "excused_us": 2 * HOUR, "why_not": None}
    collector.clock.at += 19 * HOUR
    done = await collector.ask("POST", f"/v1/windows/{made.json['window']}/complete", params={"author": "ops2"})
    assert (done.http, done.json["act"], done.json["end"]) == (200, "complete", "2026-06-16T07:00:00Z")
    assert [each["act"] for each in done.json["versions"]] == ["announce", "complete"]
    assert (done.json["author"], done.json["excuses"][0]["excused_us"]) == ("ops2", HOUR)
    assert (await collector.get("/v1/windows")).json == {"windows": [done.json]}


async def test_a_cancelled_window_excuses_nothing_and_stays_in_the_list(collector: Collector) -> None:
    made = (await collector.announce(**WINDOW)).json
    gone = await collector.ask("POST", f"/v1/windows/{made['window']}/cancel")
    assert (gone.json["act"], gone.json["excuses"][0]) == (
        "cancel", {"guarantee": "G1", "excused_us": 0, "why_not": "cancelled"}
    )  # fmt: skip
    (listed,) = (await collector.get("/v1/windows")).json["windows"]
    assert [each["act"] for each in listed["versions"]] == ["announce", "cancel"]
    again = await collector.ask("POST", f"/v1/windows/{made['window']}/cancel")
    is_refusal(again, 409, "was cancelled already")


@pytest.mark.parametrize("scope", [["[ab]*"], ["*"], ["a?c"], ["!"], ["[!x]-*", "y"]])
async def test_a_scope_of_any_pattern_excuses_the_checks_that_match_it(collector: Collector, scope: list[str]) -> None:
    made = (await collector.announce(**WINDOW, scope=scope, allow_unknown_checks=True)).json
    assert made["excuses"][0] == {"guarantee": "G1", "excused_us": 2 * HOUR, "why_not": None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": "tomorrow"}, "'tomorrow' is not a time; write it like"),
        ({"start": "2026-06-16T02:00:00"}, "names no offset"),
        ({"start": 17}, "Expected `str`"),
        ({"start": None}, "Expected `str`"),
        ({"start": "0001-01-01T00:00:00+14:00"}, "before the year 1"),
        ({"start": "1969-12-31T00:00:00Z"}, "a window starts after 1970"),
        ({"start": "9999-01-01T00:00:00Z"}, "a window starts after 1970"),
        ({"duration": None}, "has an end or a duration, one of them"),
        ({"end": "2026-06-16T09:00:00Z"}, "has an end or a duration, one of them"),
        ({"duration": "2 hours"}, "'2 hours' is not a duration; write it like"),
        ({"duration": "0s"}, "must end after it starts"),
        ({"duration": "401d"}, "at most 400 days long"),
        ({"duration": "999999999999d"}, "at most 400 days long"),
        ({"duration": None, "end": "2026-06-16T06:00:00Z"}, "must end after it starts"),
        ({"scope": []}, "covers nothing; use '*'"),
        ({"scope": "*"}, "Expected `array`"),
        ({"scopes": ["*"]}, "unknown field `scopes`"),
        ({"reason": 5}, "Expected `str`"),
    ],
)
async def test_a_window_that_cannot_be_meant_is_refused_in_words_and_not_recorded(
    collector: Collector, changes: dict[str, Any], words: str
) -> None:
    is_refusal(await collector.announce(**{**WINDOW, **changes}), 422, words)
    assert (await collector.get("/v1/windows")).json == {"windows": []}


@pytest.mark.parametrize("raw", [b"", b"start=now", b"[]", b"\xff", b"[" * 100_000, b'{"start":"\xff"}'])
async def test_an_announcement_that_is_no_json_object_is_refused(collector: Collector, raw: bytes) -> None:
    answer = await collector.ask("POST", "/v1/windows", data=raw)
    assert answer.http == 422
    assert answer.error


async def test_what_cannot_be_done_to_a_window_is_refused_with_the_reason(collector: Collector) -> None:
    window = (await collector.announce(**WINDOW)).json["window"]

    async def complete(name: str) -> Answer:
        return await collector.ask("POST", f"/v1/windows/{name}/complete")

    is_refusal(await complete("w-none"), 404, "there is no window 'w-none'")
    is_refusal(await complete("%2e%2e%2f'; --"), 404, "there is no window")
    is_refusal(await complete(window), 409, "starts 2026-06-16T06:00:00Z; cancel it instead")
    collector.clock.at += DAY
    is_refusal(await complete(window), 409, "ended 2026-06-16T08:00:00Z, and what is over changes no more")
    is_refusal(await collector.ask("POST", f"/v1/windows/{window}/prolong"), 404, "Not Found")
    assert len(collector.rooms.register.announcements()) == 1


async def test_a_window_too_large_for_a_request_is_refused(collector: Collector) -> None:
    is_refusal(await collector.announce(**{**WINDOW, "reason": "x" * (LARGEST_BODY + 1)}), 413, "Too Large")


async def test_stamps_of_announcements_always_grow_also_where_the_clock_stands_or_goes_back(tmp_path: Path) -> None:
    clock = SettableClock()
    stamps = []
    for step in (0, 0, -HOUR, 5, -DAY):
        clock.at += step
        with closing(WindowRegister(tmp_path / "windows.sqlite", clock)) as register:
            stamps.append(register.announce(NOON + DAY, NOON + 2 * DAY).recorded_at)
            stamps.append(register.announce(NOON + DAY, NOON + 2 * DAY).recorded_at)
    assert stamps == sorted(set(stamps))
    assert stamps[:4] == [NOON, NOON + 1, NOON + 2, NOON + 3]


async def test_announcements_made_at_once_all_get_stamps_of_their_own(collector: Collector) -> None:
    answers = await asyncio.gather(*(collector.announce(**WINDOW) for _ in range(30)))
    assert len({each.json["recorded_at"] for each in answers}) == len({each.json["window"] for each in answers}) == 30


COPY = (
    '{verb} INTO announcements SELECT {window}, version, act, start, "end" + 1, {recorded_at}, scope, reason, author, '
    "emergency FROM announcements"
)

OVER = (
    '{verb} INTO announcements ({place}, "window", version, act, start, "end", recorded_at, scope, reason, author) '
    "SELECT rowid, 'w-instead', 1, act, start, \"end\", recorded_at + 9, scope, 'other', author FROM announcements"
)
"""Into the place of another, under a name and a stamp of its own."""


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE announcements SET reason = 'other'",
        "UPDATE announcements SET recorded_at = 1 WHERE version = 1",
        "DELETE FROM announcements",
        COPY.format(verb="INSERT OR REPLACE", window='"window"', recorded_at="recorded_at + 9"),
        COPY.format(verb="INSERT OR REPLACE", window="'w-instead'", recorded_at="recorded_at"),
        COPY.format(verb="INSERT", window="'w-backdated'", recorded_at="recorded_at - 9"),
        OVER.format(verb="INSERT OR REPLACE", place="rowid"),
        OVER.format(verb="REPLACE", place="_rowid_"),
    ],
)
def test_history_cannot_be_changed_not_even_behind_the_collectors_back(tmp_path: Path, change: str) -> None:
    path = tmp_path / "windows.sqlite"
    with closing(WindowRegister(path, SettableClock())) as register:
        register.announce(NOON + DAY, NOON + 2 * DAY, reason="the one")
        before = register.announcements()
        with closing(sqlite3.connect(path)) as database, pytest.raises(sqlite3.IntegrityError, match="never"):
            database.execute(change)
        assert register.announcements() == before


def test_a_register_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "windows.sqlite"
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreFailedError, match=f"cannot open {path}"):
        WindowRegister(path, SettableClock())
    with pytest.raises(StoreFailedError, match="cannot open"):
        WindowRegister(path / "below" / "a file", SettableClock())


async def test_a_collector_whose_register_is_none_does_not_start_and_lets_go_of_its_store(tmp_path: Path) -> None:
    config = CollectorConfig(("", 0), tmp_path / "s.duckdb", Agreement("A", (G1,), G1.zone), MINUTE, HOUR)
    (tmp_path / "s.windows.sqlite").mkdir()
    with pytest.raises(StoreFailedError, match=r"s\.windows\.sqlite"):
        async with opened(config, SettableClock()):
            pass
    (tmp_path / "s.windows.sqlite").rmdir()
    async with opened(config, SettableClock()) as app:
        assert app is not None


async def test_a_register_that_fails_is_503_and_not_a_lost_announcement(collector: Collector, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "windows.sqlite")) as database:
        database.execute("DROP TABLE announcements")
    for answer in (await collector.announce(**WINDOW), await collector.get("/v1/windows")):
        assert (answer.http, answer.headers["Retry-After"]) == (503, "1")
        assert "no such table" in answer.error


# --- statements ------------------------------------------------------------------------------------------------------


def minutes(count: int, outcome: str = "ok") -> list[Any]:
    """Runs of the last minutes before an hour ago, in two regions."""
    return [
        run(NOON - HOUR - n * MINUTE + 5 * SECOND, region=region, outcome=outcome)
        for n in range(1, count + 1)
        for region in ("east", "west")
    ]


async def statement(collector: Collector, **query: str) -> Any:
    answer = await collector.get("/v1/statements", **query)
    assert answer.http == 200, answer.raw
    return answer.json


@pytest.mark.parametrize(
    ("query", "label", "start", "end"),
    [
        ({"period": "2026-06"}, "2026-06", "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z"),
        ({"period": "2026-W24"}, "2026-W24", "2026-06-07T00:00:00Z", "2026-06-14T00:00:00Z"),
        ({"period": "2026-06-15"}, "2026-06-15", "2026-06-15T00:00:00Z", "2026-06-16T00:00:00Z"),
        ({"last": "90m"}, "the last 90m", "2026-06-15T10:29:00Z", "2026-06-15T11:59:00Z"),
        ({"last": "90s"}, "the last 90s", "2026-06-15T11:58:00Z", "2026-06-15T11:59:00Z"),
        ({"last": "1h", "as_of": "2026-06-15T11:30:30Z"}, "the last 1h",
         "2026-06-15T10:29:00Z", "2026-06-15T11:29:00Z"),
        ({"from": "2026-06-15T10:00:00Z", "to": "2026-06-15T13:00:00+02:00"}, "",
         "2026-06-15T10:00:00Z", "2026-06-15T11:00:00Z"),
    ],
)  # fmt: skip
async def test_a_period_is_asked_for_by_name_by_length_or_by_its_ends(
    collector: Collector, query: dict[str, str], label: str, start: str, end: str
) -> None:
    await collector.send(batch(*minutes(20)))
    made = await statement(collector, **query)
    assert made["period"] == {"label": label, "start": start, "end": end}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "say which, and only one"),
        ({"period": "June"}, "'June' is not a period; write a month like 2026-06"),
        ({"period": "2026-13"}, "'2026-13' is not a period"),
        ({"period": "9999-12"}, ""),
        ({"period": "0000-01"}, "is not a period"),
        ({"last": "soon"}, "'soon' is not a duration"),
        ({"last": "59s"}, "'last' is from a slice (60 s) to 400 days"),
        ({"last": "401d"}, "'last' is from a slice (60 s) to 400 days"),
        ({"last": "999999999999d"}, "'last' is from a slice"),
        ({"last": "300d", "as_of": "1970-06-01T00:00:00Z"}, "before 1970"),
        ({"from": "2026-06-01T00:00:00Z"}, "say which, and only one"),
        ({"to": "2026-06-01T00:00:00Z"}, "say which, and only one"),
        ({"from": "2026-06-02T00:00:00Z", "to": "2026-06-01T00:00:00Z"}, "'to' must come after 'from'"),
        ({"from": "2026-06-02T00:00:00Z", "to": "2026-06-02T00:00:00Z"}, "'to' must come after 'from'"),
        ({"from": "1970-01-01T00:00:00Z", "to": "2026-06-01T00:00:00Z"}, "by 400 days at most"),
        ({"from": "0001-01-01T00:00:00Z", "to": "0001-01-02T00:00:00Z"}, "is before 1970"),
        ({"from": "2026-06-02", "to": "2026-06-03"}, "names no offset"),
        ({"period": "2026-06", "last": "1h"}, "say which, and only one"),
        ({"period": "2026-06", "as_of": "now"}, "'now' is not a time"),
        ({"period": "2026-06", "as_of": "2026-06-01T00:00:00"}, "names no offset"),
        ({"period": "2026-06", "as_of": "1969-01-01T00:00:00Z"}, "is before 1970"),
        ({"period": "2026-06", "as-of": "2026-06-01T00:00:00Z"}, "'as-of' is unknown or there twice"),
    ],
)
async def test_a_question_that_cannot_be_answered_is_refused_with_what_would_have_been_right(
    collector: Collector, query: dict[str, str], words: str
) -> None:
    is_refusal(await collector.get("/v1/statements", **query), 422, words)


async def test_a_question_asked_twice_over_is_refused(collector: Collector) -> None:
    answer = await collector.ask("GET", "/v1/statements?period=2026-06&period=2026-05")
    is_refusal(answer, 422, "'period' is unknown or there twice")


async def test_the_longest_period_can_be_asked_for(collector: Collector) -> None:
    await collector.send(batch(*minutes(2)))
    query = {"from": format_instant(NOON - LONGEST_PERIOD), "to": format_instant(NOON)}
    (check,) = (await statement(collector, **query))["guarantees"][0]["checks"]
    assert check["adjusted"]["up"] + check["adjusted"]["unknown"] == LONGEST_PERIOD // MINUTE - 1


async def test_a_statement_asked_for_again_is_the_same_bytes_and_late_results_are_in_the_next_one(
    collector: Collector,
) -> None:
    await collector.send(batch(*minutes(30)))
    await collector.announce(start="2026-06-15T20:00:00Z", duration="1h")
    query = {"from": "2026-06-15T10:30:00Z", "to": "2026-06-15T11:00:00Z"}
    first = await statement(collector, **query)
    as_of = first["as_of"]
    raw = (await collector.get("/v1/statements", **query, as_of=as_of)).raw
    assert json.loads(raw) == first
    late = batch(*minutes(5, outcome="service_down"), agent="west-9")
    answer = await collector.send(late)
    assert answer.json["recorded_at"] > NOON, (
        "what comes after an as-of instant has a later stamp, even if no clock ran"
    )
    await collector.announce(start="2026-06-15T10:00:00Z", duration="1h")
    assert (await collector.get("/v1/statements", **query, as_of=as_of)).raw == raw
    collector.clock.at += MINUTE
    second = await statement(collector, **query)
    assert (first["verdict"], second["verdict"]) == ("met", "missed")
    assert second["guarantees"][0]["checks"][0]["adjusted"]["bad"] == 10
    assert (await collector.get("/v1/statements", **query, as_of=as_of)).raw == raw


async def test_a_window_announced_after_a_statement_was_made_is_not_in_that_statement(collector: Collector) -> None:
    await collector.send(batch(*minutes(30)))
    query = {"from": "2026-06-15T10:30:00Z", "to": "2026-06-15T11:00:00Z", "as_of": "2026-06-15T12:00:00Z"}
    made = await collector.get("/v1/statements", **query)
    window = await collector.announce(start="2026-06-15T10:40:00Z", duration="5m")
    assert window.json["recorded_at"] == "2026-06-15T12:00:00.000001Z", "though the clock stands still"
    assert (await collector.get("/v1/statements", **query)).raw == made.raw


async def test_a_statement_made_while_results_are_being_committed_stays_what_it_was(tmp_path: Path) -> None:
    store = TroubledStore(tmp_path / "results.duckdb")
    async with collecting(tmp_path, store=store) as collector:
        await collector.send(batch(*minutes(30)))
        store.gate = threading.Event()
        store.entered.clear()
        late = batch(*minutes(5, outcome="service_down"), agent="west-9")
        sending = asyncio.create_task(collector.send(late))
        assert await asyncio.to_thread(store.entered.wait, 10)
        query = {"from": "2026-06-15T10:30:00Z", "to": "2026-06-15T11:00:00Z", "as_of": "2026-06-15T12:00:00Z"}
        asking = asyncio.create_task(collector.get("/v1/statements", **query))
        await until_true("the statement waits for the commit", lambda: a_thread_is_in("as_of"))
        store.gate.set()
        assert (await sending).http == 200
        made = await asking
        assert (await collector.get("/v1/statements", **query)).raw == made.raw
        assert (await collector.send(batch(run(), agent="west-8"))).json["recorded_at"] > NOON


async def test_an_as_of_instant_still_to_come_is_now(collector: Collector) -> None:
    await collector.send(batch(*minutes(3)))
    made = await statement(collector, last="2h", as_of="2030-01-01T00:00:00Z")
    assert made["as_of"] == "2026-06-15T12:00:00Z"


async def test_a_store_that_cannot_answer_is_503(collector: Collector) -> None:
    collector.rooms.store.close()
    for path in ("/v1/statements?last=1h", "/v1/status"):
        answer = await collector.ask("GET", path)
        assert (answer.http, answer.headers["Retry-After"]) == (503, "1")
        assert "could not answer" in answer.error


# --- the rest of the house -------------------------------------------------------------------------------------------


async def test_the_current_state_names_checks_regions_windows_and_agents(collector: Collector) -> None:
    await collector.send(batch(run(NOON - 5 * MINUTE, detail="fine"), counts={"scheduled": 9, "waiting": 2}))
    await collector.announce(**WINDOW)
    state = (await collector.get("/v1/status")).json
    (check,) = state["checks"]
    assert (check["check"], check["limit_us"], check["p90_us"]) == ("eligibility", 10 * SECOND, 400_000)
    (region,) = check["regions"]
    assert (region["region"], region["samples"], region["last"]["detail"]) == ("east", 1, "fine")
    assert [each["state"] for each in state["windows"]] == ["announced"]
    assert state["agents"] == [
        {"agent": "east-1", "region": "east", "epoch": "e1", "software": "0.1.0", "last_seen": "2026-06-15T12:00:00Z",
         "duplicates": 0, "counts": {"scheduled": 9, "waiting": 2},
         "ways": {"skipped": 0, "lost_in_flight": 0, "delivered": 0, "waiting": 2, "dropped": 0, "dead_lettered": 0,
                  "under_way": 7}}
    ]  # fmt: skip


async def test_the_metrics_say_what_came_in_and_what_each_agent_counts(collector: Collector) -> None:
    await collector.send(batch(*THREE, counts={"scheduled": 2**53 - 1, "waiting": 3}))
    await collector.send(batch(*THREE))
    await collector.send(batch(*THREE, agent='we"st\\-1'))
    answer = await collector.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    lines = answer.raw.decode().splitlines()
    for line in (
        "outrider_batches_total 3.0",
        "outrider_results_stored_total 6.0",
        "outrider_results_duplicate_total 3.0",
        'outrider_agent_last_seen_timestamp_seconds{agent="east-1",region="east"} 1.7815248e+09',
        'outrider_agent_last_seen_timestamp_seconds{agent="we\\"st\\\\-1",region="we\\"st\\\\"} 1.7815248e+09',
    ):
        assert line in lines
    await collector.send(batch(epoch="e2", counts={"scheduled": 8, "waiting": 3}))
    ledger = [line for line in (await collector.get("/metrics")).raw.decode().splitlines() if "runs_ledger{" in line]
    assert ledger == [
        'outrider_runs_ledger{agent="east-1",epoch="e2",region="east",term="scheduled"} 8.0',
        'outrider_runs_ledger{agent="east-1",epoch="e2",region="east",term="waiting"} 3.0',
    ]


async def test_metrics_can_be_read_while_agents_come_in(collector: Collector) -> None:
    sending = asyncio.gather(*(collector.send(batch(run(), agent=f"agent-{n}")) for n in range(100)))
    while not sending.done():
        assert (await collector.get("/metrics")).http == 200
    assert {each.http for each in await sending} == {200}
    assert (await collector.get("/metrics")).raw.count(b"outrider_agent_last_seen_timestamp_seconds{") == 100


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
async def test_a_collector_that_is_well_says_so(collector: Collector, path: str) -> None:
    assert ((await collector.get(path)).http, (await collector.get(path)).raw) == (200, b"healthy\n")


@pytest.mark.parametrize(
    ("method", "path", "http"),
    [("GET", "/v1/nothing", 404), ("DELETE", "/v1/windows", 405), ("GET", "/v1/results", 405)],
)
async def test_what_is_not_there_is_refused_in_json_too(
    collector: Collector, method: str, path: str, http: int
) -> None:
    answer = await collector.ask(method, path)
    assert (answer.http, answer.headers["Content-Type"]) == (http, "application/json")
    assert answer.error


# --- asking as the commands do ---------------------------------------------------------------------------------------


async def test_the_client_gives_the_answer_or_says_who_refused_and_why(collector: Collector) -> None:
    made = await ask(collector.url + "/", "/v1/windows", method="POST", body=WINDOW)
    assert (await ask(collector.url, "/v1/windows"))["windows"] == [made]
    await collector.send(batch(*minutes(3)))
    found = await ask(collector.url, "/v1/statements", query={"last": "2h", "as_of": "2026-06-15T12:00:00+00:00"})
    assert found["as_of"] == "2026-06-15T12:00:00Z", "the plus sign arrives as one"
    with pytest.raises(CollectorError, match="is not a period") as refused:
        await ask(collector.url, "/v1/statements", query={"period": "June"})
    assert refused.value.refused
    collector.rooms.store.close()
    with pytest.raises(CollectorError, match="could not answer") as failed:
        await ask(collector.url, "/v1/statements", query={"last": "1h"})
    assert not failed.value.refused


@pytest.mark.parametrize("raw", [b"<html>", b"", b'{"a":"\xff"}'])
async def test_an_answer_that_is_no_json_is_no_collectors(raw: bytes) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=raw)

    app = web.Application()
    app.router.add_get("/v1/windows", answer)
    async with serving(app, "127.0.0.1", 0) as url:
        with pytest.raises(CollectorError, match=f"no collector answers at {url}") as error:
            await ask(url, "/v1/windows")
        assert not error.value.refused
    with pytest.raises(CollectorError, match=f"no collector answers at {url}"):
        await ask(url, "/v1/windows")


# --- configuration ---------------------------------------------------------------------------------------------------

AGREEMENT = """
name: A
timezone: UTC
guarantees:
  - {id: G1, title: Up, measure: availability, target: 99.9%, slice: 5m}
"""


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("recent: 299s", "the page's lookback must be at least one slice of the agreement"),
        ("listen: 127.0.0.1:8\u00b2", "is not an address like 127.0.0.1:8080"),
        ("listen: 127.0.0.1:65536", "is not an address like 127.0.0.1:8080"),
    ],
)
def test_a_setting_that_would_fail_later_is_refused_at_the_start(tmp_path: Path, setting: str, told: str) -> None:
    (tmp_path / "agreement.yaml").write_text(AGREEMENT)
    file = tmp_path / "collector.yaml"
    file.write_text(f"store: s.duckdb\nagreement: agreement.yaml\n{setting}\n")
    with pytest.raises(ConfigError, match=told) as error:
        load_collector(file)
    assert "collector.yaml:3" in str(error.value)
    file.write_text("store: s.duckdb\nagreement: agreement.yaml\nrecent: 5m\nlisten: '[::1]:0'\n")
    assert load_collector(file).listen == ("::1", 0)


@pytest.mark.parametrize("kept", [None, b"", b"soon", b"-5", b"9" * 40], ids=["kept", "empty", "words", "-5", "huge"])
async def test_a_statement_comes_out_again_though_the_clock_was_set_back_while_no_collector_ran(
    tmp_path: Path, kept: bytes | None
) -> None:
    """The file that keeps the last as-of instant is a help: damaged, it stops nobody."""
    clock = SettableClock()
    hour = {"from": "2026-06-15T10:00:00Z", "to": "2026-06-15T11:00:00Z"}
    async with collecting(tmp_path, clock=clock) as collector:
        await collector.send(batch(run(NOON - 2 * HOUR)))
        clock.at = NOON + MINUTE
        first = await collector.get("/v1/statements", **hour)
    if kept is not None:
        (tmp_path / "results.as-of").write_bytes(kept)
    clock.at = NOON + 30 * SECOND
    async with collecting(tmp_path, clock=clock) as collector:
        sent = await collector.send(batch(run(NOON - 2 * HOUR + 1, outcome="service_down"), first=2))
        assert sent.json["recorded_at"] == (NOON + MINUTE + 1 if kept is None else NOON + 30 * SECOND)
        told = await collector.announce(start="2026-06-20T00:00:00Z", end="2026-06-20T01:00:00Z")
        assert told.http == 201
        clock.at = NOON + HOUR
        again = await collector.get("/v1/statements", **hour, as_of=first.json["as_of"])
    if kept is None:
        assert again.raw == first.raw
