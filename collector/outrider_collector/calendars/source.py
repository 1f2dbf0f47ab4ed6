"""Where a calendar comes from: a file, or an http(s) address. Bounded in size and time.

An address may hold a secret (calendars are often shared by one), so that errors name the host and nothing else.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

LARGEST = 4 << 20
_TIMEOUT_S = 30


class SourceError(Exception):
    """The calendar could not be had; the message says why."""


def is_address(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def shown(source: str) -> str:
    """A source as it may be shown: of an address, the host."""
    if not is_address(source):
        return source
    try:
        return f"{urlsplit(source).scheme}://{urlsplit(source).hostname}/..."
    except ValueError:
        return "an address that cannot be read"


async def read_source(source: str) -> bytes:
    """The bytes of a calendar. Raises SourceError."""
    return await _fetched(source) if is_address(source) else await asyncio.to_thread(_from_file, Path(source))


def _from_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read: {getattr(error, 'strerror', error)}") from None
    _refuse_too_large(len(found), str(path))
    return found


async def _fetched(address: str) -> bytes:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)) as session,
            session.get(address, max_redirects=5) as response,
        ):
            if response.status != 200:
                raise SourceError(f"{shown(address)} answers {response.status}")
            found = bytearray()
            async for piece in response.content.iter_chunked(1 << 16):
                found += piece
                _refuse_too_large(len(found), shown(address))
            return bytes(found)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise SourceError(f"{shown(address)} cannot be had: {type(error).__name__}") from None


def _refuse_too_large(size: int, source: str) -> None:
    if size > LARGEST:
        raise SourceError(f"{source} is larger than {LARGEST} bytes")
