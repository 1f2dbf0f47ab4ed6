"""The collector's process: open the store, serve until told to stop, close in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web

from outrider.clock import Clock, MachineClock
from outrider_collector.access.api import add_access, open_registers
from outrider_collector.access.gate import Gate
from outrider_collector.access.login import add_login
from outrider_collector.accounting import Accountant
from outrider_collector.app import Rooms, build_app
from outrider_collector.calendars.schedule import add_calendars, follow
from outrider_collector.check_sets import CheckSetRegister
from outrider_collector.check_sets_api import add_check_sets
from outrider_collector.config import CollectorConfig
from outrider_collector.delivery import DeliveryLedger
from outrider_collector.evidence_api import add_evidence, keep_sealed, make_sealer
from outrider_collector.held_clock import ClockMetrics, HeldClock
from outrider_collector.house_metrics import HouseMetrics
from outrider_collector.intake import Intake
from outrider_collector.issued.api import add_issued, keep_looked_at, make_issuer
from outrider_collector.issued.register import IssuedRegister
from outrider_collector.metrics import CollectorMetrics
from outrider_collector.pages import add_pages, count_running
from outrider_collector.stamps import Stamper
from outrider_collector.store import StoreFailedError
from outrider_collector.store.duckdb_store import DuckdbStore
from outrider_collector.summaries import Summaries
from outrider_collector.windows import WindowRegister

COUNT_EVERY_S = 300


@asynccontextmanager
async def opened(config: CollectorConfig, machine: MachineClock) -> AsyncIterator[web.Application]:
    """The collector's application with its store open. Raises StoreFailedError where it cannot be opened."""
    clock = HeldClock(machine)
    with ExitStack() as stack:
        rooms = await asyncio.to_thread(_open, config, clock, stack)
        app = build_app(rooms)
        add_pages(app)
        register = IssuedRegister(_beside(config, "statements.sqlite"), clock, lambda: rooms.intake.earliest_stamp)
        stack.callback(register.close)
        rooms.intake.stamp_after(register.last_as_of())
        issuer, sealer, calendars = make_issuer(rooms, register), make_sealer(rooms, register), add_calendars(app)
        add_issued(app, issuer)
        add_evidence(app, sealer)
        check_sets = await asyncio.to_thread(CheckSetRegister, _beside(config, "check-sets.sqlite"), clock)
        stack.callback(check_sets.close)
        add_check_sets(app, check_sets)
        registers = await asyncio.to_thread(open_registers, rooms)
        if registers is not None:
            stack.callback(registers.close)
        add_access(app, Gate(config.access, clock, rooms.metrics.registry, registers))
        add_login(app)
        rooms.metrics.registry.register(HouseMetrics(calendars, sealer, issuer))
        rooms.metrics.registry.register(ClockMetrics(clock))
        running = [_keep_counted(rooms), keep_looked_at(issuer), *(follow(rooms, each) for each in calendars)]
        if sealer is not None:
            running.append(keep_sealed(sealer))
        background = [asyncio.create_task(each) for each in running]
        try:
            yield app
        finally:
            rooms.accountant.summaries.stop()
            for each in background:
                each.cancel()
            await asyncio.wait(background)
            if sealer is not None:
                await asyncio.to_thread(sealer.close)
            await asyncio.to_thread(rooms.intake.close)


def _beside(config: CollectorConfig, name: str) -> Path:
    """A file of the collector's that lies beside its store."""
    return config.store.with_suffix(f".{name}")


def _open(config: CollectorConfig, clock: Clock, stack: ExitStack) -> Rooms:
    """Everything that keeps something, each closed by the stack in the order opposite to this one; blocks."""
    store = DuckdbStore(config.store)
    stack.callback(store.close)
    ledger = DeliveryLedger(_beside(config, "delivery.sqlite"))
    stack.callback(ledger.close)
    intake = Intake(store, clock, _beside(config, "as-of"), ledger, Stamper(_beside(config, "stamps.key")))
    stack.callback(intake.close)
    windows = WindowRegister(_beside(config, "windows.sqlite"), clock, earliest=lambda: intake.earliest_stamp)
    stack.callback(windows.close)
    return Rooms(
        config=config,
        clock=clock,
        store=store,
        intake=intake,
        register=windows,
        accountant=Accountant(store, config.agreement, config.settle, config.known_expiries, Summaries(store)),
        metrics=CollectorMetrics(intake),
    )


async def _keep_counted(rooms: Rooms) -> None:
    """Make the running statements now and then though nobody asks, so that whoever asks at the end of a quiet month
    does not wait for all of it to be counted."""
    while True:
        with contextlib.suppress(StoreFailedError):  # whoever asks is told; it may be well again by the next time
            await asyncio.to_thread(count_running, rooms)
        await asyncio.sleep(COUNT_EVERY_S)
