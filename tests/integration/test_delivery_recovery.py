"""What delivery does when something was copied, restored, or cannot be read: nothing twice, nothing merged, nothing
lost without a word. A real spool and shipper against a real collector, over real sockets."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from aiohttp import web
from collector_support import NOON, Collector, SettableClock, batch, collecting, run
from delivery_support import Reply, Shipping, accepts, fill, kept, refuses, scripted

from outrider.codecs.records import encode_record
from outrider.core.units import DAY, HOUR, MINUTE, SECOND
from outrider.core.wire import Batch, Lost, Stamp
from outrider.spool import Outbox

DELIVERY_FILES = ("results.duckdb", "results.delivery.sqlite", "results.stamps.key")


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


def cloned(original: Path, clone: Path) -> None:
    """Copy a spool as it lies there."""
    for end in ("", "-wal"):
        if (file := Path(f"{original}{end}")).exists():
            shutil.copyfile(file, f"{clone}{end}")


def rows(collector: Collector) -> Counter[int]:
    """When each stored run began -> how many rows there are of it."""
    with closing(collector.rooms.store._database.cursor()) as cursor:  # type: ignore[attr-defined]
        return Counter(began for (began,) in cursor.execute("SELECT scheduled_at FROM runs").fetchall())


# --- a copied spool --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["original", "clone"])
async def test_what_waited_when_a_spool_was_copied_is_stored_once_though_both_send_it(
    tmp_path: Path, clock: SettableClock, collector: Collector, first: str
) -> None:
    original = Outbox(tmp_path / "original", agent="east-1", clock=clock)
    await fill(original, 5)
    cloned(tmp_path / "original", tmp_path / "clone")
    clone = Outbox(tmp_path / "clone", agent="east-1", clock=clock)
    both = {"original": original, "clone": clone}
    for number, each in enumerate(both.values(), start=1):
        for own in range(3):
            each.count("scheduled")
            await each.append(encode_record(run(NOON + number * HOUR + own)))
    order = ["original", "clone"] if first == "original" else ["clone", "original"]
    for name in order:
        await Shipping(both[name], clock, rounds=6).run(collector.url)
        kept(both[name], 0)
    stored = rows(collector)
    assert set(stored.values()) == {1}, "nothing twice"
    assert len(stored) == 5 + 3 + 3, "nothing lost"
    assert both[order[0]].epoch != both[order[1]].epoch
    extents = collector.rooms.store.extents()
    assert extents == {
        ("east-1", both[order[0]].epoch): [(1, 8)], ("east-1", both[order[1]].epoch): [(1, 3)]
    }  # fmt: skip
    original.close()
    clone.close()


async def test_a_moved_spool_goes_on_in_its_epoch_and_loses_nothing(
    tmp_path: Path, clock: SettableClock, collector: Collector
) -> None:
    original = Outbox(tmp_path / "original", agent="east-1", clock=clock)
    await fill(original, 4)
    original.close()
    shutil.move(tmp_path / "original", tmp_path / "moved")
    moved = Outbox(tmp_path / "moved", agent="east-1", clock=clock)
    await fill(moved, 2)
    await Shipping(moved, clock, rounds=2).run(collector.url)
    assert collector.rooms.store.extents() == {("east-1", moved.epoch): [(1, 6)]}
    kept(moved, 0)
    moved.close()


@pytest.mark.parametrize("stripped_first", [True, False])
async def test_a_record_that_gave_something_up_after_the_copy_is_still_known_as_the_same(
    tmp_path: Path, clock: SettableClock, collector: Collector, stripped_first: bool
) -> None:
    original = Outbox(tmp_path / "original", agent="east-1", clock=clock)
    await fill(original, 3, detail="x" * 3000)
    cloned(tmp_path / "original", tmp_path / "clone")
    clone = Outbox(tmp_path / "clone", agent="east-1", clock=clock)
    await original._ask(original._file.make_room)
    assert original.counts()["stripped_details"] == 3
    order = [original, clone] if stripped_first else [clone, original]
    for each in order:
        await Shipping(each, clock, rounds=10).run(collector.url)
        kept(each, 0)
    assert original.epoch == clone.epoch, "no conflict: it is the same history"
    assert len(rows(collector)) == 3
    assert set(rows(collector).values()) == {1}
    original.close()
    clone.close()


async def test_a_record_sent_whole_whose_answer_was_lost_is_delivered_once_though_it_gave_something_up_since(
    outbox: Outbox, clock: SettableClock, collector: Collector
) -> None:
    await fill(outbox, 3, detail="x" * 3000)
    waiting = await outbox.read(10, 10**6)
    await collector.rooms.intake.submit(Batch("east-1", "east", outbox.epoch, waiting))
    await outbox._ask(outbox._file.make_room)
    assert outbox.counts()["stripped_details"] == 3
    epoch = outbox.epoch
    await Shipping(outbox, clock, rounds=10).run(collector.url)
    kept(outbox, 0)
    assert (outbox.epoch, len(rows(collector)), outbox.counts()["delivered"]) == (epoch, 3, 3)


# --- a collector restored from a backup ------------------------------------------------------------------------------


@asynccontextmanager
async def restored_since(tmp_path: Path, outbox: Outbox, clock: SettableClock) -> AsyncIterator[Collector]:
    """Five runs, a backup, five more runs; then the backup is all there is, a day later."""
    (tmp_path / "backup").mkdir()
    (tmp_path / "live").mkdir()
    async with collecting(tmp_path / "live", clock=clock) as before:
        await fill(outbox, 5)
        await Shipping(outbox, clock).run(before.url)
    for name in DELIVERY_FILES:
        shutil.copyfile(tmp_path / "live" / name, tmp_path / "backup" / name)
    (tmp_path / "backup" / "results.stamps.key").chmod(0o600)
    clock.at += HOUR
    async with collecting(tmp_path / "live", clock=clock) as lost:
        await fill(outbox, 5, code="later")
        await Shipping(outbox, clock).run(lost.url)
    clock.at += HOUR
    async with collecting(tmp_path / "backup", clock=clock) as after:
        yield after


async def test_a_restored_collector_is_sent_again_what_it_lacks_and_is_complete(
    tmp_path: Path, outbox: Outbox, clock: SettableClock
) -> None:
    async with restored_since(tmp_path, outbox, clock) as collector:
        who = "east-1", outbox.epoch
        assert collector.rooms.store.extents()[who] == [(1, 5)]
        await fill(outbox, 1, code="now")
        shipping = Shipping(outbox, clock, rounds=3)
        await shipping.run(collector.url)
        assert collector.rooms.store.extents()[who] == [(1, 11)]
        assert "sent 5 again, declared 0 lost" in shipping.warnings[0]
        assert collector.rooms.intake.ledger.restored(2**62) == {who: 5}, "each with the stamp it got first"
        assert collector.rooms.intake.foreign_stamps == 0
        counts = outbox.counts()
        assert (counts["resent"], counts["delivered"]) == (5, 11), "delivered once each"
        kept(outbox, 0)


async def test_a_greeting_is_enough_to_notice_a_restored_collector(
    tmp_path: Path, outbox: Outbox, clock: SettableClock
) -> None:
    async with restored_since(tmp_path, outbox, clock) as collector:
        shipping = Shipping(outbox, clock, rounds=3)
        await shipping.to(collector.url).greet(5 * SECOND)
        await shipping.run(collector.url)
        assert collector.rooms.store.extents()["east-1", outbox.epoch] == [(1, 10)]


async def test_what_the_spool_keeps_no_longer_is_declared_lost_once_and_asked_for_no_more(
    tmp_path: Path, outbox: Outbox, clock: SettableClock
) -> None:
    async with restored_since(tmp_path, outbox, clock) as collector:
        with closing(sqlite3.connect(tmp_path / "spool", isolation_level=None)) as database:
            database.execute("DELETE FROM records WHERE seq IN (7, 8)")
        await fill(outbox, 1, code="now")
        shipping = Shipping(outbox, clock, rounds=6)
        await shipping.run(collector.url)
        who = "east-1", outbox.epoch
        assert collector.rooms.store.extents()[who] == [(1, 6), (9, 11)]
        assert [(each.start, each.end) for each in collector.rooms.intake.ledger.lost()[who]] == [(7, 9)]
        answer = await collector.send(batch(epoch=outbox.epoch))
        assert (answer.json["high_water"], answer.json["gaps"]) == (11, [])
        assert sum("declared 2 lost" in each for each in shipping.warnings) == 1
    async with collecting(tmp_path / "backup", clock=clock) as again:
        answer = await again.send(batch(epoch=outbox.epoch))
        assert answer.json["gaps"] == [], "also after a restart"


async def test_a_gap_that_was_refused_or_dropped_is_declared_with_its_reason(
    outbox: Outbox, clock: SettableClock, collector: Collector
) -> None:
    await fill(outbox, 2)
    await outbox.append(b'{"check":"of another planet"}')
    await fill(outbox, 2)
    outbox.count("scheduled")
    await Shipping(outbox, clock, rounds=4).run(collector.url)
    with closing(sqlite3.connect(collector.rooms.config.store.with_suffix(".delivery.sqlite"))) as database:
        assert database.execute("SELECT first, last, reason FROM losses").fetchall() == [(3, 3, "dead_lettered")]
    kept(outbox, 0)


async def test_a_collector_that_keeps_asking_for_the_same_gap_is_not_answered_all_the_time(
    outbox: Outbox, clock: SettableClock
) -> None:
    await fill(outbox, 6)
    with closing(sqlite3.connect(outbox._file.path, isolation_level=None)) as database:
        database.execute("SELECT 1")
    async with scripted(lambda made: accepts(made, high_water=6, gaps=((1, 2),))) as server:
        shipping = Shipping(outbox, clock, rounds=8)
        await shipping.run(server.url)
        assert server.sizes == [6, 2], "sent, sent again once, and then left for a while"
        clock.elapsed += 11 * MINUTE
        await fill(outbox, 1)
        await shipping.run(server.url)
        assert server.sizes[2:4] == [1, 2]


async def test_a_stamp_that_this_collector_did_not_sign_makes_a_record_no_more_than_new(collector: Collector) -> None:
    made = batch(run(NOON), run(NOON + 1))
    forged = tuple(Stamp(entry.seq, NOON - DAY, "0" * 32) for entry in made.entries)
    answer = await collector.send(Batch(made.agent, made.region, made.epoch, made.entries, stamps=forged))
    assert (answer.http, answer.json["stored"]) == (200, 2)
    assert {each["recorded_at"] for each in answer.json["stamps"]} == {NOON}
    assert collector.rooms.intake.ledger.restored(2**62) == {}
    assert collector.rooms.intake.foreign_stamps == 2


async def test_a_stamp_of_one_record_does_not_fit_another(collector: Collector) -> None:
    answer = await collector.send(batch(run(NOON)))
    (stamp,) = answer.json["stamps"]
    collector.clock.at += HOUR
    for other in (
        batch(run(NOON + 5), epoch="e2"),
        batch(run(NOON + 5), agent="west-1"),
        batch(run(NOON + 5), first=2),
    ):
        stolen = tuple(Stamp(entry.seq, stamp["recorded_at"], stamp["signature"]) for entry in other.entries)
        sent = Batch(other.agent, other.region, other.epoch, other.entries, stamps=stolen)
        assert (await collector.send(sent)).http == 200
    assert collector.rooms.intake.ledger.restored(2**62) == {}


async def test_a_duplicate_is_answered_with_the_stamp_that_it_got_first(collector: Collector) -> None:
    first = await collector.send(batch(run(NOON), run(NOON + 1)))
    collector.clock.at += HOUR
    again = await collector.send(batch(run(NOON), run(NOON + 1), run(NOON + 2)))
    assert again.json["stamps"][:2] == first.json["stamps"]
    assert again.json["stamps"][2]["recorded_at"] == NOON + HOUR


# --- 400 -------------------------------------------------------------------------------------------------------------


async def test_of_a_batch_that_cannot_be_read_the_one_culprit_is_found_and_the_others_are_delivered(
    outbox: Outbox, clock: SettableClock
) -> None:
    def chokes_on_the_seventh(made: Batch) -> web.StreamResponse:
        if any(each.seq == 7 for each in made.entries):
            return refuses(400, "the batch cannot be read: \x1b[2J")(made)  # type: ignore[return-value]
        return accepts(made) if made.entries else accepts_empty()

    await fill(outbox, 20)
    async with scripted(chokes_on_the_seventh) as server:
        shipping = Shipping(outbox, clock, rounds=40)
        await shipping.run(server.url)
    assert (outbox.counts()["dead_lettered"], outbox.counts()["delivered"]) == (1, 19)
    assert any("record 7" in each and "\\x1b" in each for each in shipping.warnings)
    with closing(sqlite3.connect(outbox._file.path)) as database:
        assert database.execute("SELECT seq FROM dead_letters").fetchall() == [(7,)]
    kept(outbox, 0)


def accepts_empty() -> web.StreamResponse:
    body = (
        b'{"high_water":0,"stored":0,"duplicates":0,"received_at":1781524800000000,"answered_at":1781524800000000,'
        b'"recorded_at":1781524800000000}'
    )
    return web.Response(body=body)


async def test_a_proxy_that_answers_400_to_everything_costs_no_record(outbox: Outbox, clock: SettableClock) -> None:
    await fill(outbox, 8)
    async with scripted(refuses(400, "<html>Bad Request</html>"), accepts) as server:
        server.script = [refuses(400, "<html>Bad Request</html>")]
        shipping = Shipping(outbox, clock, rounds=30)
        shipper = await shipping.run(server.url)
        assert "HTTP 400" in shipper.trouble
        assert shipping.waits[-1] == 30.0
        kept(outbox, 8)
        assert outbox.counts().get("dead_lettered", 0) == 0
        server.script = [accepts]
        await shipping.run(server.url)
        kept(outbox, 0)


async def test_a_reader_that_fails_on_every_record_is_given_ten_an_hour_at_most(
    outbox: Outbox, clock: SettableClock
) -> None:
    reply: Reply = lambda made: refuses(400, "no")(made) if made.entries else accepts_empty()  # noqa: E731
    await fill(outbox, 30)
    async with scripted(reply) as server:
        shipping = Shipping(outbox, clock, rounds=60)
        await shipping.run(server.url)
        assert outbox.counts()["dead_lettered"] == 10
        clock.elapsed += HOUR
        await shipping.run(server.url)
        assert outbox.counts()["dead_lettered"] == 20
    kept(outbox, 10)


# --- what the collector remembers ------------------------------------------------------------------------------------


async def test_the_agents_counts_survive_the_collectors_restart(tmp_path: Path, clock: SettableClock) -> None:
    async with collecting(tmp_path, clock=clock) as collector:
        await collector.send(batch(run(NOON), counts={"scheduled": 7, "skipped": 4, "delivered": 1, "waiting": 2}))
        await collector.send(batch(agent="west-1", counts={"scheduled": 1}))
        before = (await collector.get("/v1/status")).json["agents"]
    async with collecting(tmp_path, clock=clock) as again:
        assert (await again.get("/v1/status")).json["agents"] == before
        assert before[0]["ways"] == {
            "skipped": 4, "lost_in_flight": 0, "delivered": 1, "waiting": 2, "dropped": 0, "dead_lettered": 0,
            "under_way": 0,
        }  # fmt: skip


async def test_a_ledger_that_cannot_be_written_is_503_and_the_batch_is_a_duplicate_when_it_comes_again(
    collector: Collector,
) -> None:
    ledger = collector.rooms.intake.ledger
    ledger._database.execute("CREATE TRIGGER no BEFORE INSERT ON minutes BEGIN SELECT RAISE(ABORT, 'no'); END")
    refused = await collector.send(batch(run(NOON)))
    assert (refused.http, refused.headers["Retry-After"]) == (503, "1")
    ledger._database.execute("DROP TRIGGER no")
    again = await collector.send(batch(run(NOON)))
    assert (again.http, again.json["stored"], again.json["duplicates"]) == (200, 0, 1)


@pytest.mark.parametrize(
    "lost",
    [Lost(0, 1, "x"), Lost(3, 2, "x"), Lost(1, 2**53, "x"), Lost(1, 1, ""), Lost(1, 1, "a\nb"), Lost(1, 1, "x" * 41)],
)
async def test_a_declared_loss_that_cannot_be_meant_is_400(collector: Collector, lost: Lost) -> None:
    assert (await collector.send(Batch("east-1", "east", "e1", (), lost=(lost,)))).http == 400
    assert collector.rooms.intake.ledger.lost() == {}


async def test_one_agents_losses_are_not_anothers(collector: Collector) -> None:
    await collector.send(Batch("west-1", "west", "e1", (), lost=(Lost(1, 3, "not_kept"),)))
    answer = await collector.send(batch(run(NOON), first=4))
    assert answer.json["gaps"] == [[1, 3]]


# --- neighbouring versions -------------------------------------------------------------------------------------------

FROZEN = Path(__file__).resolve().parents[1] / "unit" / "codecs" / "wire_v1"


async def test_a_batch_that_the_first_version_wrote_is_stored_and_answered_in_its_terms(collector: Collector) -> None:
    raw = gzip.compress((FROZEN / "batch.json").read_bytes())
    answer = await collector.send(raw)
    assert (answer.http, answer.json["stored"], answer.json["high_water"]) == (200, 3, 10)
    assert answer.json["gaps"] == [[1, 6], [9, 9]]
    assert (await collector.send(raw)).json["duplicates"] == 3


async def test_a_batch_of_a_version_to_come_is_refused_with_the_versions_that_are_read(collector: Collector) -> None:
    raw = (FROZEN / "batch.json").read_bytes().replace(b'"version":1', b'"version":3')
    answer = await collector.send(gzip.compress(raw))
    assert (answer.http, answer.error) == (400, "the batch has wire version 3; this side reads 1 to 2")


async def test_an_answer_of_the_first_version_acknowledges_and_gives_no_stamps(
    outbox: Outbox, clock: SettableClock
) -> None:
    old = (FROZEN / "answer.json").read_bytes()
    await fill(outbox, 10)
    async with scripted(lambda _: web.Response(body=old)) as server:
        await Shipping(outbox, clock).run(server.url)
    kept(outbox, 0)
    with closing(sqlite3.connect(outbox._file.path)) as database:
        assert database.execute("SELECT count(*) FROM stamps").fetchall() == [(0,)]
