"""Delivery: a real spool and shipper against a real collector, and against one that says whatever the script says."""

from __future__ import annotations

import asyncio
import random
import shutil
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from collector_support import NOON, Collector, SettableClock, collecting, run
from delivery_support import Reply, Scripted, Shipping, accepts, edited, fill, kept, refuses, scripted

from outrider.agent_http import AgentMetrics, Readiness, build_app
from outrider.codecs.records import encode_answer, encode_record
from outrider.commands.processes import serving
from outrider.core.clock_estimate import Offset
from outrider.core.units import HOUR, SECOND, Duration
from outrider.core.wire import Batch, Phases
from outrider.reloading import Reloaded
from outrider.runner import Ended
from outrider.shipper import MOST_BYTES, MOST_RECORDS, Shipper
from outrider.spool import Outbox, conservation

FAIL = "CREATE TRIGGER fail BEFORE UPDATE ON facts BEGIN SELECT RAISE(ABORT, 'no'); END"


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def outbox(tmp_path: Path, clock: SettableClock) -> Iterator[Outbox]:
    made = Outbox(tmp_path / "spool", agent="east-1", clock=clock)
    yield made
    made.close()


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    async with collecting(tmp_path) as made:
        yield made


# --- the real thing --------------------------------------------------------------------------------------------------


async def test_what_was_spooled_is_stored_once_unchanged_and_a_backlog_takes_no_pause(
    outbox: Outbox, clock: SettableClock, collector: Collector
) -> None:
    records = await fill(outbox, 2 * MOST_RECORDS + 300)
    shipping = Shipping(outbox, clock, rounds=4)
    await shipping.run(collector.url)
    assert shipping.waits == [0.05, 0.05, 5.0, 5.0]
    kept(outbox, 0)
    assert outbox.counts()["delivered"] == len(records)
    epoch = outbox.epoch
    assert collector.rooms.store.extents() == {("east-1", epoch): [(1, len(records))]}
    assert collector.rooms.intake.senders["east-1"].duplicates == 0
    digests = collector.rooms.store.digests("east-1", epoch, 1, len(records))
    with closing(sqlite3.connect(outbox._file.path)) as database:
        spooled = dict(database.execute("SELECT seq, digest FROM records"))
    assert digests == {seq: int(digest[:16], 16) for seq, digest in spooled.items()}


async def test_a_backlog_of_large_records_takes_no_pause_either(
    outbox: Outbox, clock: SettableClock, collector: Collector
) -> None:
    await fill(outbox, 30, detail="x" * (MOST_BYTES // 10))
    shipping = Shipping(outbox, clock, rounds=4)
    await shipping.run(collector.url)
    assert shipping.waits == [0.05, 0.05, 0.05, 5.0], "nine at a time fit; then three"
    kept(outbox, 0)


async def test_a_greeting_gives_an_estimate_of_the_clock_before_anything_is_sent(
    outbox: Outbox, clock: SettableClock, collector: Collector
) -> None:
    shipper = Shipper(outbox, url=collector.url, region="east", clock=clock)
    assert await shipper.greet(5 * SECOND)
    assert shipper.collector_clock.estimate is not None
    assert collector.rooms.intake.senders["east-1"].counts["waiting"] == 0


async def test_a_greeting_that_nobody_answers_is_not_waited_for(outbox: Outbox, clock: SettableClock) -> None:
    told: list[str] = []
    shipper = Shipper(outbox, url="http://127.0.0.1:1", region="east", clock=clock, warn=told.append)
    assert not await shipper.greet(5 * SECOND)
    assert "does not answer yet" in told[0]


async def test_the_agents_counts_travel_with_its_batches(
    outbox: Outbox, clock: SettableClock, collector: Collector
) -> None:
    await fill(outbox, 3)
    outbox.count("scheduled", 2)
    outbox.count("skipped", 2)
    await Shipping(outbox, clock).run(collector.url + "/")
    sender = collector.rooms.intake.senders["east-1"]
    assert (sender.region, sender.epoch, sender.software) == ("east", outbox.epoch, "0.1.0")
    assert conservation(sender.counts) == (5, 5)
    assert (sender.counts["waiting"], sender.counts["skipped"]) == (0, 2), "as it is once this batch is stored"


async def test_an_idle_shipper_asks_nobody(outbox: Outbox, clock: SettableClock) -> None:
    async with scripted(accepts) as server:
        shipping = Shipping(outbox, clock, rounds=3)
        await shipping.run(server.url)
        assert (server.batches, shipping.waits) == ([], [5.0, 5.0, 5.0])


async def test_a_record_that_the_collector_cannot_read_is_set_aside_and_the_others_are_stored(
    outbox: Outbox, clock: SettableClock, collector: Collector
) -> None:
    await fill(outbox, 2)
    outbox.count("scheduled", 2)
    await outbox.append(b'{"check":"of another planet"}')
    await outbox.append(encode_record(run(outcome="weird")))
    await fill(outbox, 2)
    shipping = Shipping(outbox, clock, rounds=3)
    await shipping.run(collector.url)
    assert collector.rooms.store.extents() == {("east-1", outbox.epoch): [(1, 2), (5, 6)]}
    assert outbox.counts()["dead_lettered"] == 2
    kept(outbox, 0)
    assert [warning[:45] for warning in shipping.warnings] == [
        "the collector cannot read record 3: record 3:", "the collector cannot read record 4: record 4:"
    ]  # fmt: skip


async def test_of_a_cloned_agent_nothing_is_merged_and_nothing_is_lost(
    tmp_path: Path, clock: SettableClock, collector: Collector
) -> None:
    original = Outbox(tmp_path / "original", agent="east-1", clock=clock)
    await fill(original, 3)
    await Shipping(original, clock).run(collector.url)
    original.close()
    for suffix in ("", "-wal"):
        if (tmp_path / f"original{suffix}").exists():
            shutil.copyfile(tmp_path / f"original{suffix}", tmp_path / f"clone{suffix}")
    both = [Outbox(tmp_path / name, agent="east-1", clock=clock) for name in ("original", "clone")]
    for number, each in enumerate(both):
        await fill(each, 2, latency=1000 + number)
        await Shipping(each, clock, rounds=2).run(collector.url)
        kept(each, 0)
    first, second = (each.epoch for each in both)
    assert first != second
    assert collector.rooms.store.extents() == {("east-1", first): [(1, 5)], ("east-1", second): [(1, 2)]}
    for each in both:
        each.close()


async def test_a_spool_restored_from_a_backup_loses_nothing_that_it_records_from_then_on(
    tmp_path: Path, clock: SettableClock, collector: Collector
) -> None:
    outbox = Outbox(tmp_path / "spool", agent="east-1", clock=clock)
    await fill(outbox, 4)
    outbox.close()
    shutil.copyfile(tmp_path / "spool", tmp_path / "backup")
    outbox = Outbox(tmp_path / "spool", agent="east-1", clock=clock)
    old = outbox.epoch
    await fill(outbox, 6)
    await Shipping(outbox, clock).run(collector.url)
    outbox.close()
    (tmp_path / "backup").rename(tmp_path / "spool")
    restored = Outbox(tmp_path / "spool", agent="east-1", clock=clock)
    assert restored.epoch == old
    await Shipping(restored, clock).run(collector.url)
    assert (restored.acknowledged, restored.counts()["delivered"]) == (4, 4), "the collector's ten are not its own"
    await fill(restored, 3, latency=77)
    await Shipping(restored, clock, rounds=2).run(collector.url)
    kept(restored, 0)
    assert collector.rooms.store.extents() == {("east-1", old): [(1, 10)], ("east-1", restored.epoch): [(1, 3)]}
    restored.close()


# --- answers that get lost -------------------------------------------------------------------------------------------


def dropping(collector: Collector, drops: Iterator[bool]) -> Reply:
    """Hands each batch to a real collector; where `drops` says so, its answer never arrives."""

    async def reply(made: Batch) -> web.StreamResponse:
        answer = await collector.rooms.intake.submit(made)
        if next(drops):
            raise ConnectionResetError
        return web.Response(body=encode_answer(answer))

    return reply


class Dropping(Scripted):
    async def answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await super().answer(request)
        except ConnectionResetError:
            assert request.transport is not None
            request.transport.abort()
            raise


@asynccontextmanager
async def before(collector: Collector, drops: Iterator[bool]) -> AsyncIterator[Scripted]:
    server = Dropping("", [dropping(collector, drops)])
    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/v1/results", server.answer)
    async with serving(app, "127.0.0.1", 0) as url:
        server.url = url
        yield server


async def test_an_answer_that_was_dropped_after_the_commit_leads_to_duplicates_and_to_no_second_row(
    outbox: Outbox, clock: SettableClock, collector: Collector
) -> None:
    await fill(outbox, 5)
    async with before(collector, iter([True, True, False])) as server:
        shipping = Shipping(outbox, clock, rounds=3)
        shipper = await shipping.run(server.url)
        assert server.sizes == [5, 5, 5]
        assert [wait > 0 for wait in shipping.waits] == [True] * 3
        assert shipper.trouble == ""
    assert collector.rooms.store.extents() == {("east-1", outbox.epoch): [(1, 5)]}
    assert (collector.rooms.store.position(2**62), collector.rooms.intake.senders["east-1"].duplicates) == (1, 10)
    kept(outbox, 0)


async def test_with_a_third_of_all_answers_lost_every_record_is_stored_once(
    outbox: Outbox, clock: SettableClock, collector: Collector
) -> None:
    rng = random.Random(20260615)
    async with before(collector, (rng.random() < 0.3 for _ in iter(int, 1))) as server:
        shipping = Shipping(outbox, clock, rounds=40, meanwhile=lambda n: fill(outbox, 3) if n < 30 else None)
        await shipping.run(server.url)
    assert outbox.counts()["recorded"] == 87
    kept(outbox, 0)
    assert collector.rooms.store.extents() == {("east-1", outbox.epoch): [(1, 87)]}
    assert len(collector.rooms.store.digests("east-1", outbox.epoch, 1, 87)) == 87
    assert collector.rooms.intake.senders["east-1"].duplicates > 10


# --- the table of answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("http", [401, 403, 404, 409, 500, 502, 302, 204, 422, 429, 503])
async def test_a_refusal_keeps_everything_backs_off_and_is_told_once(
    outbox: Outbox, clock: SettableClock, http: int
) -> None:
    await fill(outbox, 3)
    async with scripted(refuses(http, "not today", Location="http://127.0.0.1:1/")) as server:
        shipping = Shipping(outbox, clock, rounds=10)
        shipper = await shipping.run(server.url)
        assert server.sizes == [3] * 10
        assert shipping.waits == [0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0, 30.0]
        words = "" if http == 204 else "not today"
        assert shipper.trouble == f"HTTP {http}: {words}"
        assert shipping.warnings == [
            f"collector {server.url}/v1/results: HTTP {http}: {words}; results wait in the spool"
        ]
        kept(outbox, 3)
        server.script = [accepts]
        await shipping.run(server.url)
        kept(outbox, 0)
        assert shipper.trouble == ""


async def test_backing_off_waits_anywhere_up_to_a_bound_that_begins_anew_after_a_success(
    outbox: Outbox, clock: SettableClock
) -> None:
    drawn: list[tuple[float, float]] = []

    def low(least: float, most: float) -> float:
        drawn.append((least, most))
        return least

    await fill(outbox, 1)
    no = refuses(500)
    async with scripted(no, no, no, accepts, no) as server:
        refill: Callable[[int], Any] = lambda n: fill(outbox, 1) if n == 4 else None  # noqa: E731
        shipping = Shipping(outbox, clock, rounds=5, jitter=low, meanwhile=refill)
        await shipping.run(server.url)
    assert drawn == [(0.04, 0.4), (0.08, 0.8), (0.16, 1.6), (0.04, 0.4)]
    assert shipping.waits == [0.04, 0.08, 0.16, 5.0, 0.04]


async def test_a_conflict_sends_what_came_before_it_and_begins_a_new_epoch_with_the_rest(
    outbox: Outbox, clock: SettableClock
) -> None:
    await fill(outbox, 4)
    old = outbox.epoch

    def has_another_third(made: Batch) -> web.StreamResponse:
        clashes = made.epoch == old and any(each.seq >= 3 for each in made.entries)
        return refuses(409, "record 3 was stored before", 3)(made) if clashes else accepts(made)  # type: ignore[return-value]

    async with scripted(has_another_third) as server:
        shipping = Shipping(outbox, clock, rounds=4)
        await shipping.run(server.url)
        assert [(made.epoch, [each.seq for each in made.entries]) for made in server.batches] == [
            (old, [1, 2, 3, 4]), (old, [1, 2]), (old, [3, 4]), (outbox.epoch, [1, 2])
        ]  # fmt: skip
        assert [each.body for each in server.batches[2].entries] == [each.body for each in server.batches[3].entries]
        assert max(shipping.waits[:3]) <= 0.05
    kept(outbox, 0)


async def test_a_conflict_that_stays_does_not_make_it_spin(outbox: Outbox, clock: SettableClock) -> None:
    await fill(outbox, 4)
    async with scripted(refuses(409, "no", 1)) as server:
        shipping = Shipping(outbox, clock, rounds=5)
        await shipping.run(server.url)
        assert shipping.waits[0] == 0
        assert shipping.waits[1:] == sorted(shipping.waits[1:])
        assert min(shipping.waits[1:]) >= 0.4
        assert len({made.epoch for made in server.batches}) == 5
    kept(outbox, 4)


async def test_too_large_a_batch_is_split_until_it_fits_and_grows_again(outbox: Outbox, clock: SettableClock) -> None:
    def at_most_three(made: Batch) -> web.StreamResponse:
        return accepts(made) if len(made.entries) <= 3 else web.Response(status=413)

    await fill(outbox, 20)
    async with scripted(at_most_three) as server:
        shipping = Shipping(outbox, clock, rounds=30)
        await shipping.run(server.url)
        assert server.sizes[:6] == [20, 10, 5, 2, 4, 2]
        assert sum(size for size in server.sizes if size <= 3) == 20
        assert max(shipping.waits[: len(server.sizes) - 1]) <= 0.05
    kept(outbox, 0)


async def test_a_single_record_that_is_too_large_is_set_aside(outbox: Outbox, clock: SettableClock) -> None:
    def not_the_second(made: Batch) -> web.StreamResponse:
        return web.Response(status=413) if any(each.seq == 2 for each in made.entries) else accepts(made)

    await fill(outbox, 4)
    async with scripted(not_the_second) as server:
        await Shipping(outbox, clock, rounds=8).run(server.url)
    assert (outbox.counts()["dead_lettered"], outbox.counts()["delivered"]) == (1, 3)
    kept(outbox, 0)


async def test_a_record_refused_by_number_is_set_aside_with_the_reason_made_safe_to_show(
    outbox: Outbox, clock: SettableClock, tmp_path: Path
) -> None:
    await fill(outbox, 3)
    async with scripted(refuses(422, "bad \x1b[2J<script>", 2), accepts) as server:
        shipping = Shipping(outbox, clock, rounds=2)
        await shipping.run(server.url)
        assert (server.sizes, shipping.waits) == ([3, 2], [0, 5.0])
    assert shipping.warnings == ["the collector cannot read record 2: bad \\x1b[2J<script>"]
    with closing(sqlite3.connect(tmp_path / "spool")) as database:
        assert database.execute("SELECT seq, reason FROM dead_letters").fetchall() == [(2, "bad \\x1b[2J<script>")]
    kept(outbox, 0)


@pytest.mark.parametrize("seq", [1, 2, 9, 0, -1])
async def test_a_refusal_that_names_a_record_of_no_business_here_costs_nothing_and_does_not_make_it_spin(
    outbox: Outbox, clock: SettableClock, seq: int
) -> None:
    await fill(outbox, 2)
    async with scripted(accepts, refuses(422, "no", seq)) as server:
        await Shipping(outbox, clock).run(server.url)
        await fill(outbox, 3)
        shipping = Shipping(outbox, clock, rounds=3)
        await shipping.run(server.url)
        assert shipping.waits == [0.4, 0.8, 1.6]
    assert (outbox.counts().get("dead_lettered", 0), outbox.counts()["delivered"]) == (0, 2)
    kept(outbox, 3)


@pytest.mark.parametrize("http", [429, 503])
@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("7", 7, 14),
        ("0", 0, 1),
        ("99999", 3600, 7200),
        ("999999999", 3600, 7200),
        # What is no number of seconds is not waited for; the shipper's own bound holds.
        ("9" * 5000, 0.04, 0.4),
        ("\u00b2", 0.04, 0.4),
        ("-5", 0.04, 0.4),
        ("1.5", 0.04, 0.4),
        ("Mon, 15 Jun 2026 12:00:00 GMT", 0.04, 0.4),
        ("", 0.04, 0.4),
    ],
)
async def test_the_collector_says_how_long_to_wait_and_jitter_comes_on_top(
    outbox: Outbox, clock: SettableClock, http: int, said: str, least: float, most: float
) -> None:
    await fill(outbox, 1)
    async with scripted(refuses(http, Retry_After=said)) as server:
        for jitter, expected in ((lambda low, _: low, least), (lambda _, high: high, most)):
            shipping = Shipping(outbox, clock, jitter=jitter)
            await shipping.run(server.url)
            assert shipping.waits == [expected]
    kept(outbox, 1)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"<html>welcome</html>", "the collector's answer cannot be read"),
        (b"", "the collector's answer cannot be read"),
        (b'{"high_water":3}', "the collector's answer cannot be read"),
        (b'{"later":' + b"[" * 90_000 + b"]" * 90_000 + b"}", "the collector's answer cannot be read"),
        (b"\xff\xfe", "the collector's answer cannot be read"),
    ],
)
async def test_an_answer_of_200_that_is_none_acknowledges_nothing(
    outbox: Outbox, clock: SettableClock, raw: bytes, told: str
) -> None:
    await fill(outbox, 3)
    async with scripted(lambda _: web.Response(body=raw), accepts) as server:
        shipping = Shipping(outbox, clock)
        shipper = await shipping.run(server.url)
        assert told in shipper.trouble
        assert shipping.waits == [0.4]
        kept(outbox, 3)
        await shipping.run(server.url)
        kept(outbox, 0)


async def test_an_answer_that_acknowledges_less_than_was_sent_is_taken_at_its_word_and_does_not_make_it_spin(
    outbox: Outbox, clock: SettableClock
) -> None:
    await fill(outbox, 5)
    async with scripted(lambda made: accepts(made, high_water=2)) as server:
        shipping = Shipping(outbox, clock, rounds=3)
        shipper = await shipping.run(server.url)
        assert server.sizes == [5, 3, 3]
        assert shipping.waits == [0.4, 0.8, 1.6]
        assert shipper.trouble == "record 5 was sent, but only 2 is acknowledged"
    kept(outbox, 3)


async def test_an_answer_that_acknowledges_more_than_was_sent_hides_nothing_that_was_not(
    outbox: Outbox, clock: SettableClock
) -> None:
    async def and_meanwhile_another_run_ends(made: Batch) -> web.StreamResponse:
        await fill(outbox, 1)
        return accepts(made, high_water=10**6)

    await fill(outbox, 2)
    async with scripted(and_meanwhile_another_run_ends, accepts) as server:
        await Shipping(outbox, clock).run(server.url)
        kept(outbox, 1)
        await Shipping(outbox, clock).run(server.url)
        assert [each.seq for each in server.batches[1].entries] == [3]
    kept(outbox, 0)


# --- no answer at all ------------------------------------------------------------------------------------------------


async def test_a_collector_that_is_not_there_is_waited_for(outbox: Outbox, clock: SettableClock) -> None:
    await fill(outbox, 3)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    shipping = Shipping(outbox, clock, rounds=5)
    shipper = await shipping.run(url)
    assert shipping.waits == [0.4, 0.8, 1.6, 3.2, 6.4]
    assert shipper.trouble.startswith("no answer: ")
    assert len(shipping.warnings) == 1
    assert shipper.last_answer_at is None
    kept(outbox, 3)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000,
    ],
    ids=["nothing", "half an answer", "no HTTP", "an endless header"],
)
async def test_a_connection_that_breaks_is_no_answer(outbox: Outbox, clock: SettableClock, said: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(said)
        await writer.drain()
        writer.close()

    await fill(outbox, 3)
    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        shipping = Shipping(outbox, clock, rounds=2)
        shipper = await shipping.run(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert shipper.trouble.startswith("no answer: ")
    assert shipping.waits == [0.4, 0.8]
    kept(outbox, 3)


async def test_a_spool_in_trouble_does_not_end_the_shipper(
    outbox: Outbox, clock: SettableClock, collector: Collector, tmp_path: Path
) -> None:
    await fill(outbox, 3)
    edited(tmp_path / "spool", FAIL)
    mend: Callable[[int], Any] = lambda n: edited(tmp_path / "spool", "DROP TRIGGER fail") if n == 3 else None  # noqa: E731
    shipping = Shipping(outbox, clock, rounds=4, meanwhile=mend)
    outbox.count("skipped", 0)
    shipper = await shipping.run(collector.url)
    assert shipping.waits == [0.4, 0.8, 1.6, 5.0]
    assert "cannot write" in shipping.warnings[0]
    assert shipper.trouble == ""
    kept(outbox, 0)
    assert collector.rooms.store.extents() == {("east-1", outbox.epoch): [(1, 3)]}


async def test_a_shipper_that_is_cancelled_in_the_middle_of_a_request_loses_nothing(
    outbox: Outbox, clock: SettableClock
) -> None:
    came, never = asyncio.Event(), asyncio.Event()

    async def hang(_: Batch) -> web.StreamResponse:
        came.set()
        await never.wait()
        return web.Response()

    await fill(outbox, 3)
    async with scripted(hang, accepts) as server:
        shipping = Shipping(outbox, clock)
        shipping_task = asyncio.create_task(shipping.to(server.url).run())
        await came.wait()
        shipping_task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await shipping_task
        kept(outbox, 3)
        await shipping.run(server.url)
        kept(outbox, 0)
        never.set()


# --- draining at the end ---------------------------------------------------------------------------------------------


async def test_draining_ends_when_nothing_waits(outbox: Outbox, clock: SettableClock, collector: Collector) -> None:
    await fill(outbox, MOST_RECORDS + 5)
    assert await Shipping(outbox, clock, rounds=10).to(collector.url).drain(HOUR)
    kept(outbox, 0)
    assert await Shipping(outbox, clock).to("http://127.0.0.1:1").drain(0), "nothing to do takes no time"


async def test_draining_ends_when_its_time_is_over_and_keeps_what_waits(outbox: Outbox, clock: SettableClock) -> None:
    def time_passes(_: int) -> None:
        clock.elapsed += 10 * SECOND

    await fill(outbox, 3)
    async with scripted(refuses(500)) as server:
        shipping = Shipping(outbox, clock, rounds=99, meanwhile=time_passes)
        assert not await shipping.to(server.url).drain(35 * SECOND)
        assert len(server.batches) == 4
    kept(outbox, 3)


async def test_draining_does_not_hang_with_a_collector_that_does(outbox: Outbox, clock: SettableClock) -> None:
    never = asyncio.Event()

    async def hang(_: Batch) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    await fill(outbox, 3)
    async with scripted(hang) as server:
        assert not await Shipping(outbox, clock).to(server.url).drain(20_000)
        never.set()
    kept(outbox, 3)


# --- clocks ----------------------------------------------------------------------------------------------------------


async def test_the_offset_is_the_collectors_clock_minus_the_agents(tmp_path: Path, outbox: Outbox) -> None:
    async with collecting(tmp_path, clock=SettableClock(NOON + 7 * SECOND)) as collector:
        await fill(outbox, 1)
        shipper = await Shipping(outbox, SettableClock(NOON)).run(collector.url)
    assert shipper.collector_clock.read().offset == Offset(7 * SECOND, 0)


@dataclass
class Exchange:
    """One exchange: how long the way there and back took, how far ahead the collector is, how long it worked."""

    there: Duration
    back: Duration
    ahead: Duration
    work: Duration = 0


@pytest.mark.parametrize(
    ("exchanges", "expected"),
    [
        # The collector's own time is not part of the way, and the error is half of the way. Half a second later, when
        # the answer is read, a clock may have drifted by 15 ppm of it; 1 us is the least.
        ([Exchange(100, 100, 5000, 10**6)], Offset(5000, 108)),
        # A way that is longer there than back is wrong by no more than its error bar.
        ([Exchange(180, 20, 5000)], Offset(5080, 101)),
        ([Exchange(20, 180, 5000)], Offset(4920, 101)),
        # The shorter way is believed.
        ([Exchange(100, 100, 5000), Exchange(900, 700, 5000)], Offset(5000, 101)),
        ([Exchange(900, 700, 5000), Exchange(100, 100, 5000)], Offset(5000, 101)),
        # Error bars that do not meet: a clock was set, and the older estimate is worth nothing.
        ([Exchange(100, 100, 5000), Exchange(900, 900, 3600 * SECOND)], Offset(3600 * SECOND, 901)),
        ([Exchange(100, 100, 5000), Exchange(900, 900, -3600 * SECOND)], Offset(-3600 * SECOND, 901)),
    ],
)
async def test_the_offset_is_estimated_as_ntp_does_and_a_clock_that_was_set_is_noticed(
    outbox: Outbox, clock: SettableClock, exchanges: Sequence[Exchange], expected: Offset
) -> None:
    def reply(each: Exchange) -> Reply:
        def answer(made: Batch) -> web.StreamResponse:
            received = clock.at + each.there + each.ahead
            passed = each.there + each.work + each.back
            clock.at, clock.elapsed = clock.at + passed, clock.elapsed + passed
            return accepts(made, received_at=received, answered_at=received + each.work)

        return answer

    async with scripted(*map(reply, exchanges)) as server:
        shipping = Shipping(outbox, clock)
        for _ in exchanges:
            await fill(outbox, 1)
            shipper = await shipping.run(server.url)
    assert shipper.collector_clock.read().offset == expected


# --- what the agent says of itself -----------------------------------------------------------------------------------


async def test_the_agents_metrics_tell_its_runs_its_ledger_and_its_clock(
    outbox: Outbox, clock: SettableClock, collector: Collector
) -> None:
    await fill(outbox, 3)
    shipper = await Shipping(outbox, clock).run(collector.url)
    outbox.count("scheduled")
    await outbox.append(encode_record(run()))

    async def never() -> Reloaded:
        raise AssertionError("nobody asked for that")

    metrics = AgentMetrics(outbox, shipper, "east")
    phases = Phases(resolve=1, connect=2, tls=3, send=400_000, wait=100_000, receive=SECOND)
    metrics.observe(Ended(run(latency=9 * SECOND, phases=phases), lateness=2000))
    metrics.observe(Ended(run(outcome="service_down", latency=11 * SECOND, cleanup="unconfirmed"), lateness=3000))
    metrics.missed("eligibility", 4)
    why_not = ["no check is configured"]
    async with serving(build_app(metrics, Readiness(lambda: why_not[0]), never, bytes), "127.0.0.1", 0) as url, \
            aiohttp.ClientSession() as session:  # fmt: skip
        async with session.get(f"{url}/metrics") as response:
            lines = (await response.text()).splitlines()
        async with session.get(f"{url}/-/healthy") as response:
            assert (response.status, await response.text()) == (200, "healthy\n")
        for told, http in (("no check is configured", 503), ("", 200)):
            why_not[0] = told
            async with session.get(f"{url}/-/ready") as response:
                assert (response.status, await response.text()) == (http, f"{told or 'ready'}\n")
    where = 'agent="east-1",check="eligibility",region="east"'
    ledger = f'outrider_runs_ledger{{agent="east-1",epoch="{outbox.epoch}",region="east",term='
    for line in (
        f"probe_success{{{where}}} 0.0",
        f"probe_duration_seconds{{{where}}} 11.0",
        f"probe_attempts_total{{{where}}} 2.0",
        'probe_failures_total{agent="east-1",check="eligibility",class="service_down",region="east"} 1.0',
        'probe_all_duration_seconds_bucket{agent="east-1",check="eligibility",le="10.0",region="east"} 1.0',
        f"outrider_slots_missed_total{{{where}}} 4.0",
        f"outrider_schedule_lateness_seconds{{{where}}} 0.003",
        f"outrider_cleanup_unconfirmed_total{{{where}}} 1.0",
        'outrider_spool_records{agent="east-1",region="east"} 1.0',
        f'{ledger}"scheduled"}} 4.0',
        f'{ledger}"delivered"}} 3.0',
        f'{ledger}"waiting"}} 1.0',
        'outrider_spool_dropped_total{agent="east-1",reason="corrupt",region="east"} 0.0',
        'outrider_clock_offset_seconds{agent="east-1",region="east"} 0.0',
    ):
        assert line in lines
