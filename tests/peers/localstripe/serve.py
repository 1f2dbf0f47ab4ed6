"""Serves an aiohttp application on a free port of 127.0.0.1, and prints the port.

    python serve.py MODULE:APPLICATION [MODULE:CLASS.METHOD ...]

Run by the interpreter of the peer's own virtual environment. The peer's own command binds everywhere; and the methods
that are named after the application, by which a peer would write its state where all its copies find it, do nothing.
"""

from __future__ import annotations

import asyncio
import importlib
import signal
import sys
from typing import Any

from aiohttp import web


def found(name: str) -> tuple[Any, str]:
    """What holds a named thing, and the thing's own name: "a.b:C.d" is ("d" of C in the module a.b)."""
    module, _, path = name.partition(":")
    holder: Any = importlib.import_module(module)
    *outer, last = path.split(".")
    for part in outer:
        holder = getattr(holder, part)
    return holder, last


async def serve(application: web.Application) -> None:
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(runner.addresses[0][1], flush=True)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    application_name, *without = sys.argv[1:]
    for name in without:
        holder, last = found(name)
        setattr(holder, last, lambda *_: None)
    holder, last = found(application_name)
    asyncio.run(serve(getattr(holder, last)))
