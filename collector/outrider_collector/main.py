"""The collector's process: open the store, serve until told to stop, close in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from outrider.clock import Clock
from outrider_collector.accounting import Accountant
from outrider_collector.app import Rooms, build_app
from outrider_collector.calendar_schedule import add_calendars, follow
from outrider_collector.config import CollectorConfig
from outrider_collector.evidence_api import add_evidence, keep_sealed, make_sealer
from outrider_collector.house_metrics import HouseMetrics
from outrider_collector.intake import Intake
from outrider_collector.issued.api import add_issued, keep_looked_at, make_issuer
from outrider_collector.issued.register import IssuedRegister
from outrider_collector.metrics import CollectorMetrics
from outrider_collector.pages import add_pages, count_running
from outrider_collector.store import StoreFailedError
from outrider_collector.store.duckdb_store import DuckdbStore
from outrider_collector.summaries import Summaries
from outrider_collector.windows import WindowRegister

COUNT_EVERY_S = 300


@asynccontextmanager
async def opened(config: CollectorConfig, clock: Clock) -> AsyncIterator[web.Application]:
    """The collector's application with its store open. Raises StoreFailedError where it cannot be opened."""
    store = await asyncio.to_thread(DuckdbStore, config.store)
    try:
        intake = Intake(store, clock, config.store.with_suffix(".as-of"))
    except BaseException:
        store.close()
        raise
    try:
        windows = config.store.with_suffix(".windows.sqlite")
        register = WindowRegister(windows, clock, earliest=lambda: intake.earliest_stamp)
    except BaseException:
        intake.close()
        store.close()
        raise
    try:
        issued = IssuedRegister(
            config.store.with_suffix(".statements.sqlite"), clock, earliest=lambda: intake.earliest_stamp
        )
        intake.stamp_after(issued.last_as_of())
    except BaseException:
        register.close()
        intake.close()
        store.close()
        raise
    summaries = Summaries(store)
    rooms = Rooms(
        config=config,
        clock=clock,
        store=store,
        intake=intake,
        register=register,
        accountant=Accountant(store, config.agreement, config.settle, config.known_expiries, summaries),
        metrics=CollectorMetrics(intake),
    )
    app = build_app(rooms)
    add_pages(app)
    issuer = make_issuer(rooms, issued)
    add_issued(app, issuer)
    sealer = make_sealer(rooms, issued)
    add_evidence(app, sealer)
    background = {asyncio.create_task(_keep_counted(rooms)), asyncio.create_task(keep_looked_at(issuer))}
    calendars = add_calendars(app)
    background |= {asyncio.create_task(follow(rooms, each)) for each in calendars}
    rooms.metrics.registry.register(HouseMetrics(calendars, sealer, issuer))
    if sealer is not None:
        background.add(asyncio.create_task(keep_sealed(sealer)))
    try:
        yield app
    finally:
        summaries.stop()
        for each in background:
            each.cancel()
        await asyncio.wait(background)
        if sealer is not None:
            await asyncio.to_thread(sealer.close)
        await asyncio.to_thread(intake.close)
        issued.close()
        register.close()
        store.close()


async def _keep_counted(rooms: Rooms) -> None:
    """Make the running statements now and then though nobody asks, so that whoever asks at the end of a quiet month
    does not wait for all of it to be counted."""
    while True:
        with contextlib.suppress(StoreFailedError):  # whoever asks is told; it may be well again by the next time
            await asyncio.to_thread(count_running, rooms)
        await asyncio.sleep(COUNT_EVERY_S)
