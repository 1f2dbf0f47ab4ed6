"""Delivery at its edges: between two writes, behind proxies that refuse, with counts that go back, with clocks set."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import web
from collector_support import NOON, Collector, SettableClock, batch, collecting, run
from delivery_support import Reply, Shipping, accepts, fill, kept, refuses, scripted
from polling_support import until_true

from outrider.clock import SystemClock
from outrider.codecs.records import encode_record
from outrider.commands.processes import kept_up
from outrider.core.outcome import Outcome, OutcomeClass
from outrider.core.units import DAY, HOUR, MINUTE, SECOND
from outrider.core.wire import Batch, Lost, Stamp
from outrider.references import References
from outrider.spool import Outbox
from outrider.transport import StreamRequest
from outrider.transport.wires import Wires


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def outbox(tmp_path: Path, clock: SettableClock) -> Iterator[Outbox]:
    made = Outbox(tmp_path / "spool", agent="east-1", clock=clock, retention=HOUR)
    yield made
    made.close()


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    async with collecting(tmp_path) as made:
        yield made


# --- between the store and the ledger --------------------------------------------------------------------------------


async def test_no_instant_is_given_as_of_while_what_belongs_to_it_is_still_being_written(collector: Collector) -> None:
    intake = collector.rooms.intake
    made = batch(run(NOON), first=5)
    with closing(sqlite3.connect(intake.ledger._path or "", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        lost = Batch(made.agent, made.region, made.epoch, made.entries, lost=(Lost(1, 4, "not_kept"),))
        sending = asyncio.create_task(collector.send(lost))
        await until_true("the store has it", lambda: collector.rooms.store.position(2**62) == 1)
        asking = asyncio.create_task(asyncio.to_thread(intake.as_of))
        assert not (await asyncio.wait({asking}, timeout=0.3))[0], "a statement made now would lack what it has later"
        other.execute("ROLLBACK")
    assert (await sending).http == 200
    assert intake.ledger.lost(await asking)


async def test_a_first_stamp_is_kept_though_the_ledger_failed_when_it_came_back(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    async with collecting(tmp_path / "old") as collector:
        given = (await collector.send(batch(run(NOON)))).json["stamps"]
    shutil.copy(tmp_path / "old" / "results.stamps.key", tmp_path / "new" / "results.stamps.key")
    made = batch(run(NOON))
    again = Batch(made.agent, made.region, made.epoch, made.entries, stamps=tuple(Stamp(**each) for each in given))
    async with collecting(tmp_path / "new", clock=SettableClock(NOON + HOUR)) as collector:
        ledger = collector.rooms.intake.ledger
        ledger._database.execute("CREATE TRIGGER no BEFORE INSERT ON minutes BEGIN SELECT RAISE(ABORT, 'no'); END")
        assert (await collector.send(again)).http == 503
        ledger._database.execute("DROP TRIGGER no")
        for _ in range(2):
            assert (await collector.send(again)).json["duplicates"] == 1
        assert ledger.restored(2**62) == {("east-1", "e1"): 1}
        assert collector.rooms.intake.foreign_stamps == 0


# --- what is said of an epoch ----------------------------------------------------------------------------------------


async def test_counts_of_a_copy_that_lags_behind_do_not_take_back_what_was_said(tmp_path: Path) -> None:
    clock = SettableClock()
    async with collecting(tmp_path, clock=clock) as collector:
        await collector.send(batch(counts={"scheduled": 100, "delivered": 99, "waiting": 1}))
        await collector.send(batch(counts={"scheduled": 60, "delivered": 60}))
        await collector.send(batch(epoch="e2", counts={"scheduled": 5, "delivered": 5}))
        assert {each.epoch: each.counts["scheduled"] for each in collector.rooms.intake.ledger.latest()} == {
            "e1": 100, "e2": 5,
        }  # fmt: skip
    async with collecting(tmp_path, clock=clock) as again:
        await again.send(batch(counts={"scheduled": 61, "delivered": 61}))
        assert {each.counts["scheduled"] for each in again.rooms.intake.ledger.latest()} == {100, 5}
        await again.send(batch(counts={"scheduled": 101, "delivered": 101}))
        assert {each.counts["scheduled"] for each in again.rooms.intake.ledger.latest()} == {101, 5}


@pytest.mark.parametrize(
    "said",
    [
        Batch("east-1", "east", "e1", (), software="x" * 61),
        Batch("east-1", "east", "e1", (), software="a\nb"),
        Batch("east-1", "east", "e1", (), {"x" * 61: 1}),
    ],
)
async def test_what_is_kept_for_every_minute_has_to_be_short(collector: Collector, said: Batch) -> None:
    assert (await collector.send(said)).http == 400
    assert collector.rooms.intake.ledger.latest() == []


# --- answers ---------------------------------------------------------------------------------------------------------


async def test_a_proxy_that_answers_413_to_everything_costs_no_record(outbox: Outbox, clock: SettableClock) -> None:
    await fill(outbox, 4)
    async with scripted(refuses(413, "too large")) as server:
        shipping = Shipping(outbox, clock, rounds=30)
        shipper = await shipping.run(server.url)
        assert "HTTP 413" in shipper.trouble
        assert shipping.waits[-1] == 30.0
        kept(outbox, 4)
        server.script = [accepts]
        await shipping.run(server.url)
        kept(outbox, 0)


async def test_a_limit_that_no_record_fits_costs_ten_an_hour_at_most(outbox: Outbox, clock: SettableClock) -> None:
    reply: Reply = lambda made: refuses(413)(made) if made.entries else accepts(made)  # noqa: E731
    await fill(outbox, 30)
    async with scripted(reply) as server:
        await Shipping(outbox, clock, rounds=60).run(server.url)
    assert outbox.counts()["dead_lettered"] == 10
    kept(outbox, 20)


async def test_an_answer_without_an_end_is_not_read_to_its_end(outbox: Outbox, clock: SettableClock) -> None:
    await fill(outbox, 1)
    async with scripted(lambda _: web.Response(body=b" " * 5_000_000)) as server:
        shipper = await Shipping(outbox, clock).run(server.url)
    assert "more than 4000000 bytes" in shipper.trouble
    kept(outbox, 1)


async def test_gaps_that_did_not_fit_into_one_batch_are_answered_by_the_next(
    outbox: Outbox, clock: SettableClock
) -> None:
    await fill(outbox, 1400)
    gaps = (1, 500), (502, 1001), (1003, 1400)
    async with scripted(lambda made: accepts(made, high_water=max(1401, made.entries[-1].seq))) as server:
        await Shipping(outbox, clock, rounds=3).run(server.url)
    await fill(outbox, 1)
    async with scripted(lambda made: accepts(made, high_water=1401, gaps=gaps)) as server:
        await Shipping(outbox, clock, rounds=6).run(server.url)
        assert [made.entries[0].seq for made in server.batches] == [1401, 1, 1003]


async def test_an_exchange_in_which_the_collectors_clock_was_set_places_nothing(
    outbox: Outbox, clock: SettableClock
) -> None:
    await fill(outbox, 1)
    for received, answered in ((NOON, NOON + HOUR), (NOON + HOUR, NOON), (2**60, 2**60), (0, 0)):
        async with scripted(lambda made: accepts(made, received_at=received, answered_at=answered)) as server:  # noqa: B023
            shipper = await Shipping(outbox, clock).run(server.url)
            assert shipper.collector_clock.estimate is None
        await fill(outbox, 1)


# --- clocks, and what goes on ----------------------------------------------------------------------------------------


async def test_delivered_records_are_let_go_of_though_the_clock_was_set_back_by_years(
    tmp_path: Path, outbox: Outbox, clock: SettableClock
) -> None:
    async def delivered(at: int) -> None:
        clock.at = at
        await outbox.acknowledge(await outbox.append(encode_record(run(at))) or 0)

    for at in (NOON + 4000 * DAY, NOON, NOON + 2 * HOUR + 2 * MINUTE):
        await delivered(at)
    with closing(sqlite3.connect(tmp_path / "spool")) as database:
        assert [seq for (seq,) in database.execute("SELECT seq FROM records ORDER BY seq")] == [1, 3]


async def test_a_round_over_references_of_before_a_reload_says_nothing_of_those_of_now() -> None:
    transport, machine = Wires(SystemClock()), SystemClock()
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    place = StreamRequest("127.0.0.1", server.sockets[0].getsockname()[1])
    lost = Outcome(OutcomeClass.SERVICE_DOWN, "timeout", "net/wait")
    try:
        references = References({"old": place}, transport, machine)
        began = machine.monotonic()
        assert await references.finding(lost, began) is None
        references.serve({"new": place}, 10 * SECOND, 2 * SECOND)
        assert await references.finding(lost, began) is None, "both were reached all the time"
        asking = asyncio.create_task(references.finding(lost, began))
        await asyncio.sleep(0)
        references.serve({}, 10 * SECOND, 2 * SECOND)
        assert await asking is None, "who has no references any more has none that were not reached"
    finally:
        server.close()
        await server.wait_closed()
        await transport.close()


async def test_what_has_to_go_on_begins_anew_after_an_error_that_nobody_foresaw() -> None:
    told: list[str] = []
    begun: list[float] = []

    async def work() -> None:
        raise OverflowError("too\x1blarge")

    async def pause(seconds: float) -> None:
        begun.append(seconds)
        if len(begun) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await kept_up(work, told.append, pause)
    assert len(told) == 3
    assert "OverflowError: too\\x1blarge" in told[0]
