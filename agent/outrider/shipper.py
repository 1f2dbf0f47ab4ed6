"""Spool -> collector: one batch at a time, in order, for as long as it takes.

Rules (delivery)
----------------
200      stored, or stored before: acknowledge up to the collector's high-water mark.
401, 403 not enrolled, or speaking for another agent: keep, back off, say so.
409      the same seq with another content (this spool was cloned): begin a new epoch; back off if that does not help.
413      split the batch.
422      one record of this batch cannot be read: dead-letter that one, with its reason.
429, 503 wait as long as Retry-After says (an hour at most), with full jitter on top.
Anything else, or no answer: back off with full jitter. There is no deadline, and nothing is given up.
"""

from __future__ import annotations

import asyncio
import gzip
import random  # noqa: TID251 - jitter only
import re
from collections.abc import Awaitable, Callable

import aiohttp

from outrider import __version__
from outrider.clock import MachineClock
from outrider.codecs.records import BatchError, decode_answer, decode_refusal, encode_batch
from outrider.collector_clock import CollectorClock
from outrider.core.units import SECOND, Duration
from outrider.core.wire import Batch, BatchAnswer, Entry
from outrider.redact import printable
from outrider.spool import Outbox, SpoolError

MOST_RECORDS = 1_000
MOST_BYTES = 1_000_000
_REQUEST_TIMEOUT_S = 30
_SHORTEST_BACKOFF_S = 0.2
_LONGEST_BACKOFF_S = 30.0
_LONGEST_RETRY_AFTER_S = 3600
_SECONDS = re.compile(r"[0-9]{1,9}")


class Shipper:
    """Ships until cancelled; `collector_clock` learns from every answer.

    `pause` waits for so many seconds; `jitter` draws a number between two. Tests bring their own.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        url: str,
        region: str,
        clock: MachineClock,
        collector_clock: CollectorClock | None = None,
        interval: Duration = SECOND,
        warn: Callable[[str], None] = lambda _: None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.collector_clock = collector_clock or CollectorClock(clock)
        self.last_answer_at: Duration | None = None
        self.trouble = ""
        self._outbox = outbox
        self._url = url.rstrip("/") + "/v1/results"
        self._region = region
        self._clock = clock
        self._interval_s = interval / SECOND
        self._warn = warn
        self._pause = pause
        self._jitter = jitter
        self._most = MOST_RECORDS
        self._failures = 0

    async def run(self) -> None:
        """Ship whatever waits, again and again. Raises only CancelledError."""
        async with self._session() as session:
            while True:
                await self._pause(await self._ship_some(session))

    async def greet(self, patience: Duration) -> bool:
        """Send an empty batch, so that the first run already has an estimate of the clock; whether it was answered."""
        try:
            async with asyncio.timeout(patience / SECOND), self._session() as session:
                await self._send(session, ())
        except (aiohttp.ClientError, TimeoutError, OSError, BatchError, SpoolError) as error:
            self._warn(f"collector {self._url} does not answer yet: {error or type(error).__name__}")
        return self.collector_clock.estimate is not None

    async def drain(self, patience: Duration) -> bool:
        """Ship until nothing waits, for at most `patience` microseconds; whether that succeeded."""
        give_up = self._clock.monotonic() + patience
        async with self._session() as session:
            while self._outbox.counts()["waiting"]:
                left = give_up - self._clock.monotonic()
                if left <= 0:
                    return False
                try:
                    async with asyncio.timeout(left / SECOND):
                        await self._pause(await self._ship_some(session))
                except TimeoutError:
                    return False
        return True

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def _ship_some(self, session: aiohttp.ClientSession) -> float:
        """Send one batch; the seconds to wait before the next."""
        try:
            entries = await self._outbox.read(self._most, MOST_BYTES)
            return await self._send(session, entries) if entries else self._interval_s
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return self._back_off(f"no answer: {error or type(error).__name__}")
        except (BatchError, SpoolError) as error:
            return self._back_off(str(error))

    async def _send(self, session: aiohttp.ClientSession, entries: tuple[Entry, ...]) -> float:
        outbox = self._outbox
        batch = Batch(
            outbox.agent,
            self._region,
            outbox.epoch,
            entries,
            _as_if_delivered(outbox, entries),
            software=__version__,
            clock=self.collector_clock.estimate,
        )
        body = await asyncio.to_thread(gzip.compress, encode_batch(batch), 6, mtime=0)
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        sent_at, began = self._clock.boottime(), self._clock.monotonic()
        async with session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
            answer = await response.read()
            round_trip = self._clock.monotonic() - began
            if response.status == 200:
                accepted = decode_answer(answer)
                self.collector_clock.learn(accepted, sent_at, round_trip)
                await self.collector_clock.keep()
                return await self._accepted(accepted, entries)
            retry_after = response.headers.get("Retry-After", "")
            return await self._refused(response.status, answer, retry_after, entries)

    async def _accepted(self, answer: BatchAnswer, entries: tuple[Entry, ...]) -> float:
        # The collector may know more of this epoch than we have sent (this spool was restored): that is not ours.
        if not entries:
            return self._interval_s
        last = entries[-1].seq
        await self._outbox.acknowledge(min(answer.high_water, last))
        if answer.high_water < last:
            return self._back_off(f"record {last} was sent, but only {answer.high_water} is acknowledged")
        self._failures, self.trouble, self.last_answer_at = 0, "", self._clock.monotonic()
        was_full = len(entries) >= self._most or sum(len(entry.body) for entry in entries) >= MOST_BYTES // 2
        self._most = min(MOST_RECORDS, self._most * 2)
        # A backlog is drained without a pause, but not in step with other agents that came back with us.
        return self._jitter(0, 0.05) if was_full else self._interval_s

    async def _refused(self, status: int, raw: bytes, retry_after: str, entries: tuple[Entry, ...]) -> float:
        refusal = decode_refusal(raw)
        error = printable(refusal.error)
        match status:
            case 409 if entries:
                pause = self._back_off(f"HTTP 409: {error}") if self._failures else 0
                self._failures += 1
                self._warn(f"the collector has other records under this epoch, beginning a new one: {error}")
                await self._outbox.begin_new_epoch()
                return pause
            case 413 if len(entries) > 1:
                self._most = max(1, len(entries) // 2)
                return 0
            case 413 if entries:
                await self._outbox.dead_letter(entries[0].seq, "larger than the collector takes")
                return 0
            case 422 if refusal.seq in {entry.seq for entry in entries}:
                assert refusal.seq is not None
                self._warn(f"the collector cannot read record {refusal.seq}: {error}")
                await self._outbox.dead_letter(refusal.seq, error)
                return 0
            case 429 | 503 if _SECONDS.fullmatch(retry_after):
                self._back_off(f"HTTP {status}: {error}")
                wait = min(int(retry_after), _LONGEST_RETRY_AFTER_S)
                return wait + self._jitter(0, max(1.0, wait))
        return self._back_off(f"HTTP {status}: {error}")

    def _back_off(self, trouble: str) -> float:
        """Full jitter: anywhere up to a bound that doubles."""
        if trouble != self.trouble:
            self._warn(f"collector {self._url}: {trouble}; results wait in the spool")
        self.trouble = trouble
        self._failures += 1
        bound = min(_LONGEST_BACKOFF_S, _SHORTEST_BACKOFF_S * 2 ** min(self._failures, 12))
        return self._jitter(bound / 10, bound)


def _as_if_delivered(outbox: Outbox, entries: tuple[Entry, ...]) -> dict[str, int]:
    """The totals as they are once this batch is stored: that is when the collector looks at them."""
    counts = outbox.counts()
    counts["waiting"] -= len(entries)
    counts["delivered"] = counts.get("delivered", 0) + len(entries)
    return counts
