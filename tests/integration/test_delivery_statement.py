"""The conservation on the statement: what agents promised, and where each run went, made again to the byte."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from collector_support import NOON, Collector, batch, collecting, run

from outrider.core.units import HOUR, MINUTE, SECOND, format_instant
from outrider.core.wire import Batch, Lost
from outrider.terminal.statement import show_statement
from outrider_collector.forms.csv_form import to_csv
from outrider_collector.forms.html_form import to_html
from outrider_collector.forms.pdf_form import to_pdf
from outrider_collector.forms.reading import read_statement

WAYS = ("skipped", "lost_in_flight", "delivered", "waiting", "dropped", "dead_lettered", "under_way")


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    async with collecting(tmp_path) as made:
        yield made


async def said(collector: Collector, at: int, **counts: int) -> None:
    collector.clock.at = at
    assert (await collector.send(batch(counts=counts))).http == 200


async def statement(collector: Collector, start: int, end: int, **more: str) -> Any:
    query = {"from": format_instant(start), "to": format_instant(end), **more}
    answer = await collector.get("/v1/statements", **query)
    assert answer.http == 200, answer.raw
    read_statement(answer.json)
    return answer.json


async def test_the_statement_says_where_the_runs_of_the_period_went_and_it_adds_up(collector: Collector) -> None:
    await said(collector, NOON - 10 * MINUTE, scheduled=100, skipped=4, delivered=90, waiting=5, stripped_details=1)
    await said(
        collector, NOON + 30 * MINUTE,
        scheduled=190, skipped=6, delivered=150, waiting=10, dropped_quota=9, dropped_corrupt=1, dropped_unwritable=2,
        dead_lettered=3, lost_in_flight=7, stripped_details=4, stripped_phases=2,
    )  # fmt: skip
    collector.clock.at = NOON + 2 * HOUR
    (row,) = (await statement(collector, NOON, NOON + HOUR))["delivery"]
    assert (row["agent"], row["region"], row["epoch"]) == ("east-1", "east", "e1")
    assert (row["promised"], row["carried_over"]) == (90, 6)
    assert [row[name] for name in WAYS] == [2, 7, 60, 10, 12, 3, 2]
    assert row["promised"] + row["carried_over"] == sum(row[name] for name in WAYS)
    assert row["stripped"] == 5


async def test_gaps_and_declared_losses_are_counted_apart(collector: Collector) -> None:
    made = batch(run(NOON), first=10, counts={"scheduled": 10})
    await collector.send(Batch(made.agent, made.region, made.epoch, made.entries, lost=(Lost(1, 4, "not_kept"),)))
    collector.clock.at = NOON + 2 * HOUR
    (row,) = (await statement(collector, NOON, NOON + HOUR))["delivery"]
    assert (row["gaps"], row["declared_lost"], row["restored"]) == (5, 4, 0)


async def test_as_of_an_instant_it_comes_out_the_same_whatever_is_said_later(collector: Collector) -> None:
    await said(collector, NOON + MINUTE, scheduled=10, delivered=10)
    await said(collector, NOON + 5 * MINUTE + SECOND, scheduled=20, delivered=20)
    collector.clock.at = NOON + 5 * MINUTE + 2 * SECOND
    as_of = format_instant(collector.clock.at)
    first = await statement(collector, NOON, NOON + HOUR, as_of=as_of)
    assert [row["promised"] for row in first["delivery"]] == [10], "the running minute is not over"
    await said(collector, NOON + 5 * MINUTE + 30 * SECOND, scheduled=25, delivered=25)
    made = batch(epoch="e1")
    await collector.send(Batch(made.agent, made.region, made.epoch, (), lost=(Lost(1, 4, "not_kept"),)))
    collector.clock.at = NOON + 3 * HOUR
    assert await statement(collector, NOON, NOON + HOUR, as_of=as_of) == first
    (row,) = (await statement(collector, NOON, NOON + HOUR))["delivery"]
    assert (row["promised"], row["declared_lost"]) == (25, 4), "counts as they stood last, though the agent sent none"


async def test_an_epoch_that_was_silent_in_the_period_is_left_out(collector: Collector) -> None:
    await said(collector, NOON - 2 * HOUR, scheduled=10, delivered=10)
    collector.clock.at = NOON + 2 * HOUR
    assert (await statement(collector, NOON, NOON + HOUR))["delivery"] == []


async def test_every_form_shows_it_and_a_statement_from_before_is_still_read(
    collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    await said(collector, NOON + MINUTE, scheduled=812, skipped=1, delivered=800, waiting=11)
    collector.clock.at = NOON + 2 * HOUR
    plain = await statement(collector, NOON, NOON + HOUR)
    read = read_statement(plain)
    assert b"Where the promised runs went" in to_html(read)
    assert b"east-1 (east)" in to_html(read)
    assert b",delivery,1,promised,812,," in to_csv(read)
    assert to_pdf(read).startswith(b"%PDF")
    show_statement(plain)
    assert "east-1: 812 promised, 800 delivered, 1 skipped, 11 waiting" in capsys.readouterr().out
    old = json.loads(json.dumps(plain))
    del old["delivery"]
    assert b"Where the promised" not in to_html(read_statement(old))
    assert b"delivery" not in to_csv(read_statement(old))
