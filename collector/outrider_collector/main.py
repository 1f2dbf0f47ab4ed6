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
from outrider_collector.delivery import DeliveryLedger
from outrider_collector.evidence_api import add_evidence, keep_sealed, make_sealer
from outrider_collector.intake import Intake
from outrider_collector.metrics import CollectorMetrics
from outrider_collector.pages import add_pages, running_accounts
from outrider_collector.stamps import Stamper
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
        ledger = DeliveryLedger(config.store.with_suffix(".delivery.sqlite"))
        intake = Intake(store, clock, ledger, Stamper(config.store.with_suffix(".stamps.key")))
    except BaseException:
        store.close()
        raise
    try:
        windows = config.store.with_suffix(".windows.sqlite")
        register = WindowRegister(windows, clock, earliest=lambda: intake.earliest_stamp)
    except BaseException:
        intake.close()
        ledger.close()
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
    sealer = make_sealer(rooms)
    add_evidence(app, sealer)
    background = {asyncio.create_task(_keep_counted(rooms))}
    background |= {asyncio.create_task(follow(rooms, each)) for each in add_calendars(app)}
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
        register.close()
        ledger.close()
        store.close()


async def _keep_counted(rooms: Rooms) -> None:
    """Make the running accounts now and then though nobody asks, so that whoever asks at the end of a quiet month does
    not wait for all of it to be counted."""
    while True:
        with contextlib.suppress(StoreFailedError):  # whoever asks is told; it may be well again by the next time
            await asyncio.to_thread(running_accounts, rooms)
        await asyncio.sleep(COUNT_EVERY_S)
