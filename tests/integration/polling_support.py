"""Waiting for what nobody tells: a look again and again, with a limit past which the test fails."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

PATIENCE_S = 20.0
_BETWEEN_LOOKS_S = 0.005


async def until(what: str, look: Callable[[], Awaitable[object]]) -> None:
    """Look until it is true. Raises AssertionError, with what was waited for, when patience is over."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE_S
    while not await look():
        assert loop.time() < end, f"gave up waiting until {what}"
        await asyncio.sleep(_BETWEEN_LOOKS_S)


async def until_true(what: str, look: Callable[[], object]) -> None:
    """The same for a look that need not wait itself."""

    async def looked() -> object:
        return look()

    await until(what, looked)


def a_thread_is_in(function: str) -> bool:
    """Whether a thread is in a function of this name right now, as its innermost frame: waiting for a lock, say."""
    return any(frame.f_code.co_name == function for frame in sys._current_frames().values())
