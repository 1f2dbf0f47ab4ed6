"""Spool -> collector: one batch at a time, in order, for as long as it takes.

Rules (delivery)
----------------
200      stored, or stored before: acknowledge up to the collector's high-water mark.
401, 403 not enrolled, or speaking for another agent: keep, back off, say so.
409      the same seq with another content (this spool was cloned): begin a new epoch.
413      split the batch.
422      one record cannot be read: dead-letter that one, with its reason.
429, 503 wait as long as Retry-After says, with full jitter on top.
Anything else, or no answer: back off with full jitter. There is no deadline, and nothing is given up.
"""

from __future__ import annotations

import asyncio
import gzip
import random  # noqa: TID251 - jitter only
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from outrider import __version__
from outrider.clock import Clock
from outrider.codecs.records import BatchError, decode_answer, decode_refusal, encode_batch
from outrider.core.units import SECOND, Duration
from outrider.core.wire import Batch, BatchAnswer, Entry
from outrider.spool import Outbox

MOST_RECORDS = 1_000
MOST_BYTES = 1_000_000
_REQUEST_TIMEOUT_S = 30
_SHORTEST_BACKOFF_S = 0.2
_LONGEST_BACKOFF_S = 30.0


@dataclass(frozen=True, slots=True)
class Offset:
    """Collector's clock minus ours, and the half width of its error bar; microseconds."""

    offset: Duration
    error: Duration


class Shipper:
    """Ships until cancelled. `offset` is the best estimate so far, of the exchange with the least round trip."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        url: str,
        region: str,
        clock: Clock,
        interval: Duration = SECOND,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.offset: Offset | None = None
        self.last_answer_at: Duration | None = None
        self.trouble = ""
        self._outbox = outbox
        self._url = url.rstrip("/") + "/v1/results"
        self._region = region
        self._clock = clock
        self._interval_s = interval / SECOND
        self._warn = warn
        self._most = MOST_RECORDS
        self._failures = 0

    async def run(self) -> None:
        """Ship whatever waits, again and again. Raises only CancelledError."""
        async with self._session() as session:
            while True:
                pause = await self._ship_some(session)
                await asyncio.sleep(pause)

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
                        await asyncio.sleep(await self._ship_some(session))
                except TimeoutError:
                    return False
        return True

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def _ship_some(self, session: aiohttp.ClientSession) -> float:
        """Send one batch; the seconds to wait before the next."""
        entries = await self._outbox.read(self._most, MOST_BYTES)
        if not entries:
            return self._interval_s
        try:
            return await self._send(session, entries)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return self._back_off(f"no answer: {error or type(error).__name__}")
        except BatchError as error:
            return self._back_off(str(error))

    async def _send(self, session: aiohttp.ClientSession, entries: tuple[Entry, ...]) -> float:
        outbox = self._outbox
        batch = Batch(outbox.agent, self._region, outbox.epoch, entries, outbox.counts(), software=__version__)
        body = await asyncio.to_thread(gzip.compress, encode_batch(batch), 6, mtime=0)
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        sent_at = self._clock.now(), self._clock.monotonic()
        async with session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
            answer = await response.read()
            round_trip = self._clock.monotonic() - sent_at[1]
            if response.status == 200:
                return await self._accepted(decode_answer(answer), sent_at[0], round_trip, len(entries))
            retry_after = response.headers.get("Retry-After", "")
            return await self._refused(response.status, answer, retry_after, entries)

    async def _accepted(self, answer: BatchAnswer, sent_at: int, round_trip: Duration, sent: int) -> float:
        await self._outbox.acknowledge(answer.high_water)
        self._estimate(answer, sent_at, round_trip)
        self._failures, self.trouble, self.last_answer_at = 0, "", self._clock.monotonic()
        was_full = sent >= self._most
        self._most = min(MOST_RECORDS, self._most * 2)
        # A backlog is drained without a pause, but not in step with other agents that came back with us.
        return random.uniform(0, 0.05) if was_full else self._interval_s

    def _estimate(self, answer: BatchAnswer, sent_at: int, round_trip: Duration) -> None:
        """As NTP does (RFC 5905, 8): the collector's own time in hand is not part of the way."""
        way = max(0, round_trip - (answer.answered_at - answer.received_at))
        offset = (answer.received_at + answer.answered_at) // 2 - (sent_at + round_trip // 2)
        if self.offset is None or way // 2 <= self.offset.error:
            self.offset = Offset(offset, way // 2)
        else:
            # An old estimate is worth less as clocks drift apart; 15 ppm is what a quartz does.
            self.offset = Offset(self.offset.offset, self.offset.error + self._interval_us() * 15 // 10**6 + 1)

    def _interval_us(self) -> Duration:
        return round(self._interval_s * SECOND)

    async def _refused(self, status: int, raw: bytes, retry_after: str, entries: tuple[Entry, ...]) -> float:
        refusal = decode_refusal(raw)
        match status:
            case 409:
                self._warn(f"the collector has other records under this epoch, beginning a new one: {refusal.error}")
                await self._outbox.begin_new_epoch()
                return 0
            case 413 if len(entries) > 1:
                self._most = max(1, len(entries) // 2)
                return 0
            case 413:
                await self._outbox.dead_letter(entries[0].seq, "larger than the collector takes")
                return 0
            case 422 if refusal.seq is not None:
                self._warn(f"the collector cannot read record {refusal.seq}: {refusal.error}")
                await self._outbox.dead_letter(refusal.seq, refusal.error)
                return 0
            case 429 | 503 if retry_after.isdigit():
                self._back_off(f"HTTP {status}: {refusal.error}")
                return int(retry_after) + random.uniform(0, max(1.0, int(retry_after)))
        return self._back_off(f"HTTP {status}: {refusal.error}")

    def _back_off(self, trouble: str) -> float:
        """Full jitter: anywhere up to a bound that doubles."""
        if trouble != self.trouble:
            self._warn(f"collector {self._url}: {trouble}; results wait in the spool")
        self.trouble = trouble
        self._failures += 1
        bound = min(_LONGEST_BACKOFF_S, _SHORTEST_BACKOFF_S * 2 ** min(self._failures, 12))
        return random.uniform(bound / 10, bound)
