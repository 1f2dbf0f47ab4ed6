"""Asking a running collector, for commands that work with one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from outrider.codecs.records import decode_refusal
from outrider.collector_access import AccessFileError, CollectorAccess

DEFAULT_URL = "http://127.0.0.1:8080"
_TIMEOUT_S = 120


class CollectorError(Exception):
    """The collector refused, or did not answer; the message says which and why. `refused` tells them apart."""

    def __init__(self, message: str, *, refused: bool) -> None:
        super().__init__(message)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A collector's address, and how to prove who asks."""

    url: str
    access: CollectorAccess

    @property
    def has_token(self) -> bool:
        """Whether the collector is told who asks."""
        return bool(self.access.headers())

    def __str__(self) -> str:
        return self.url


async def ask_for_text(url: str | Endpoint, path: str) -> bytes:
    """The bytes of an answer that is no JSON. Raises CollectorError."""
    return await _ask(url, path, "GET", {}, None)


async def send_text(url: str | Endpoint, path: str, body: bytes) -> Any:
    """POST something that is no JSON; the JSON it answers. Raises CollectorError."""
    return _decoded(url, await _ask(url, path, "POST", {}, body))


async def ask(
    url: str | Endpoint,
    path: str,
    *,
    method: str = "GET",
    query: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
) -> Any:
    """One request; the JSON it answers. Raises CollectorError."""
    return _decoded(
        url, await _ask(url, path, method, dict(query or {}), None if body is None else msgspec.json.encode(body))
    )


def _decoded(url: str | Endpoint, raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CollectorError(f"no collector answers at {url}: {error}", refused=False) from None


async def _ask(where: str | Endpoint, path: str, method: str, query: Mapping[str, str], body: bytes | None) -> bytes:
    url, access = (where, CollectorAccess()) if isinstance(where, str) else (where.url, where.access)
    try:
        headers = await asyncio.to_thread(access.headers)
        tls = await asyncio.to_thread(access.tls) if url.startswith("https:") else True
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)) as session,
            session.request(
                method, url.rstrip("/") + path, params=query, data=body, headers=headers, ssl=tls, allow_redirects=False
            ) as response,
        ):
            raw = await response.read()
            if response.status >= 400:
                raise CollectorError(decode_refusal(raw).error, refused=response.status < 500)
            return raw
    except AccessFileError as error:
        raise CollectorError(str(error), refused=True) from None
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
        told = f"{url!r} is not the address of a collector; write it like {DEFAULT_URL}"
        raise CollectorError(told, refused=True) from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise CollectorError(f"no collector answers at {url}: {error or type(error).__name__}", refused=False) from None
