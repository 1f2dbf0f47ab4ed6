"""Collector -> agent: ask for the newest check set now and then, take it or refuse it, and say which.

Rules
-----
1. Nothing that the collector answers is believed before it is verified; an answer is at most MOST_BYTES, may take
   TIMEOUT_S, and is not followed elsewhere.
2. A set that was refused is looked at again only when it or the agent's own file has changed. The refusal is counted,
   logged and reported once.
3. The collector is told what is in force when that changes, and every REPORT_EVERY.
4. Agents do not ask in step: each pause is drawn anew. After failures pauses grow, up to LONGEST_PAUSE.
"""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - jitter only
import ssl
from collections.abc import Awaitable, Callable
from hashlib import sha256

import aiohttp
import msgspec

from outrider.check_sets import SetRefusedError
from outrider.codecs.check_sets import MOST_BYTES, CheckSetError, SignedSet, Taken, decode
from outrider.collector_access import AccessFileError, CollectorAccess
from outrider.config import AgentConfig
from outrider.core.units import MINUTE, SECOND, Duration
from outrider.redact import printable
from outrider.reloading import Configured

TIMEOUT_S = 10
REPORT_EVERY: Duration = 10 * MINUTE
LONGEST_PAUSE: Duration = 10 * MINUTE
_UNASKED: Duration = 5 * SECOND
"""How long until the next look whether the agent's own file has `check_sets` now."""


class OfferError(Exception):
    """The collector did not answer, or not as it should."""


class CheckSetClient:
    """Asks until cancelled. `pause` waits for so many seconds; `jitter` draws a number between two."""

    def __init__(
        self,
        configured: Configured,
        *,
        access: CollectorAccess | None = None,
        info: Callable[[str], object] = lambda _: None,
        warn: Callable[[str], object] = lambda _: None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.trouble = ""
        self._configured = configured
        self._access = access or CollectorAccess()
        self._info = info
        self._warn = warn
        self._pause = pause
        self._jitter = jitter
        self._failures = 0
        self._seen: tuple[str, AgentConfig] | None = None
        self._reported: Taken | None = None
        self._reported_since: Duration = 0

    async def run(self) -> None:
        """Ask again and again. Raises only CancelledError."""
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        ) as session:
            while True:
                granted = self._configured.own.granted
                if granted is None:
                    await self._pause(_UNASKED / SECOND)
                    continue
                await self.ask(session)
                longest = max(granted.interval, LONGEST_PAUSE)
                wait = min(granted.interval * 2 ** min(self._failures, 12), longest) / SECOND
                self._reported_since += int(wait * SECOND)
                await self._pause(self._jitter(wait * 0.8, wait * 1.2))

    async def ask(self, session: aiohttp.ClientSession) -> None:
        """Ask once, and report. Raises only CancelledError."""
        try:
            await self._look(session)
            await self._report(session)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, OfferError, AccessFileError) as error:
            self._failures += 1
            trouble = printable(str(error)) or type(error).__name__
            if trouble != self.trouble:
                self._warn(f"check sets from {self._configured.own.collector_url}: {trouble}")
            self.trouble = trouble
        else:
            self._failures, self.trouble = 0, ""

    async def _look(self, session: aiohttp.ClientSession) -> None:
        own = self._configured.own
        is_seen = self._seen is not None and self._seen[1] is own
        proof, tls = await self._proof()
        headers = {"Accept-Encoding": "identity"} | proof
        if is_seen and self._seen is not None:
            headers["If-None-Match"] = f'"{self._seen[0]}"'
        query = {"agent": own.name, "region": own.region}
        url = self._url("/v1/check-sets/current")
        async with session.get(url, params=query, headers=headers, ssl=tls, allow_redirects=False) as response:
            if response.status == 204 or (response.status == 304 and is_seen):
                return
            if response.status != 200:
                raise OfferError(f"HTTP {response.status}")
            raw = await _bounded(response)
        await self._consider(raw, own)

    async def _proof(self) -> tuple[dict[str, str], ssl.SSLContext | bool]:
        """Who we are and whom we trust, as the files say at this moment."""
        is_secure = self._configured.own.collector_url.startswith("https:")
        tls = await asyncio.to_thread(self._access.tls) if is_secure else True
        return await asyncio.to_thread(self._access.headers), tls

    def _url(self, path: str) -> str:
        return self._configured.own.collector_url.rstrip("/") + path

    async def _consider(self, raw: bytes | None, own: AgentConfig) -> None:
        """Take what was offered, or refuse it."""
        version, digest = 0, "too-large" if raw is None else sha256(raw).hexdigest()
        if self._seen == (digest, own):
            return  # told before
        try:
            signed = _read(raw)
            version = signed.version
            change = await self._configured.take(signed)
            if change is not None:
                self._info(f"check set {version} is in force: {change}")
        except SetRefusedError as error:
            refusal = self._configured.sets.refuse(version, error)
            self._warn(f"a check set was refused ({refusal.reason}): {refusal.words}; the agent goes on as before")
        self._seen = (digest, own)

    async def _report(self, session: aiohttp.ClientSession) -> None:
        taken = self._configured.sets.taken(self._configured.own)
        if taken == self._reported and self._reported_since < REPORT_EVERY:
            return
        url, body = self._url("/v1/check-sets/taken"), msgspec.json.encode(taken)
        proof, tls = await self._proof()
        headers = {"Content-Type": "application/json"} | proof
        async with session.post(url, data=body, headers=headers, ssl=tls, allow_redirects=False) as response:
            if response.status not in (200, 204):
                raise OfferError(f"the report was not taken: HTTP {response.status}")
        self._reported, self._reported_since = taken, 0


def _read(raw: bytes | None) -> SignedSet:
    if raw is None:
        raise SetRefusedError("unreadable", f"it is larger than {MOST_BYTES} bytes, and was not read on")
    try:
        return decode(raw)
    except CheckSetError as error:
        raise SetRefusedError("unreadable", str(error)) from None


async def _bounded(response: aiohttp.ClientResponse) -> bytes | None:
    """The body; None where it is larger than a set may be."""
    found = bytearray()
    async for chunk in response.content.iter_any():
        found += chunk
        if len(found) > MOST_BYTES:
            return None
    return bytes(found)
