"""What every long-running command shares: log lines, signals, the event loop, a web server of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import ssl
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import uvloop
from aiohttp import web

from outrider.redact import printable

T = TypeVar("T")
_BEFORE_ANEW_S = 5


def log_to_stderr(name: str) -> logging.Logger:
    """Plain lines for people, with the process's name."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format=f"%(asctime)s {name}: %(message)s", datefmt="%H:%M:%S"
    )
    return logging.getLogger("outrider")


def run_on_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def stop_on_signals(stop: Callable[[], None], *, with_stdin: bool = False) -> None:
    """Call `stop` on SIGTERM or SIGINT; with `with_stdin` also when standard input ends, which is how a process that
    was started by another one notices that the other is gone."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if with_stdin:
        loop.add_reader(sys.stdin.fileno(), _stop_at_end, stop)


def reload_on_hangup(reload: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run `reload` on SIGHUP, one at a time with what else calls it; where the system has that signal."""
    loop, running = asyncio.get_running_loop(), set[asyncio.Task[object]]()

    def begin() -> None:
        task = loop.create_task(reload())
        running.add(task)
        task.add_done_callback(running.discard)

    loop.add_signal_handler(signal.SIGHUP, begin)


async def kept_up(
    work: Callable[[], Coroutine[Any, Any, None]],
    tell: Callable[[str], None],
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Do what has to go on for as long as the process. An error that nobody foresaw is told, and it begins anew: nobody
    would notice that it had ended. Raises only CancelledError."""
    while True:
        try:
            await work()
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            told = printable(f"{type(error).__name__}: {error}")
            tell(f"an error of our own, going on in {_BEFORE_ANEW_S} s: {told} ({where.name}, line {where.lineno})")
        await pause(_BEFORE_ANEW_S)


def _stop_at_end(stop: Callable[[], None]) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop()


@contextlib.asynccontextmanager
async def serving(app: web.Application, host: str, port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve an application; gives its base URL. Raises OSError where the address is not to be had."""
    # Bodies are opened by whoever reads them, within a bound; aiohttp would open a bomb in one piece.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2, auto_decompress=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=tls)
        await site.start()
        taken = runner.addresses[0][1]
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://{f'[{host}]' if ':' in host else host}:{taken}"
    finally:
        await runner.cleanup()
