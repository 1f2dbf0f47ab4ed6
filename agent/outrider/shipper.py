"""Spool -> collector: one batch at a time, in order, for as long as it takes.

Rules (delivery)
----------------
200      stored, or stored before: acknowledge up to the collector's high-water mark, keep its stamps. Gaps below our
         mark mean that the collector lost records (it was restored): send what is kept again, declare the rest lost.
400      the collector cannot read the batch: halve it until one record is left. That one is set aside only if the
         collector takes an empty batch right then, and so many an hour at most: a proxy that refuses everything costs
         nothing but time.
401, 403 not enrolled, revoked, or speaking for another agent: keep, back off, say so. The credential's file is looked
         at before each batch, so that another one is taken as soon as it is there.
409      the same seq with another content. What comes before it is shared history and goes out first. If the collector
         has an earlier form of the same record (it gave something up since), it is delivered. Else this spool was
         cloned: from that seq on a new epoch begins. An answer that names no record of the batch is backed off from.
413      split the batch; a record alone is set aside as with 400.
422      one record of this batch cannot be read: dead-letter that one, with its reason.
429, 503 wait as long as Retry-After says (an hour at most), with full jitter on top.
Anything else, or no answer: back off with full jitter. There is no deadline, and nothing is given up.
"""

from __future__ import annotations

import asyncio
import gzip
import random  # noqa: TID251 - jitter only
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from outrider import __version__
from outrider.clock import MachineClock
from outrider.codecs.records import BatchError, decode_answer, decode_refusal, encode_batch
from outrider.collector_access import AccessFileError, CollectorAccess
from outrider.collector_clock import CollectorClock
from outrider.core.units import HOUR, MINUTE, SECOND, Duration
from outrider.core.wire import Batch, BatchAnswer, Entry, Refusal
from outrider.redact import printable
from outrider.spool import Outbox, Recalled, SpoolError

MOST_RECORDS = 1_000
MOST_BYTES = 1_000_000
_REQUEST_TIMEOUT_S = 30
_SHORTEST_BACKOFF_S = 0.2
_LONGEST_BACKOFF_S = 30.0
_LONGEST_RETRY_AFTER_S = 3600
_LARGEST_ANSWER = 4_000_000
_MOST_SET_ASIDE = 10
"""Records set aside in an hour because a batch with one of them could not be read."""

_ASK_AGAIN: Duration = 10 * MINUTE
"""A gap that is still there after it was answered is answered again no sooner."""

_MOST_GAPS = 1_000
_SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class _Refused:
    """Any answer but 200."""

    status: int
    refusal: Refusal
    retry_after: str


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
        access: CollectorAccess | None = None,
    ) -> None:
        self.collector_clock = collector_clock or CollectorClock(clock)
        self.last_answer_at: Duration | None = None
        self.trouble = ""
        self._outbox = outbox
        self._url = url.rstrip("/") + "/v1/results"
        self._region = region
        self.clock = clock
        self._interval_s = interval / SECOND
        self._warn = warn
        self._pause = pause
        self._jitter = jitter
        self._access = access or CollectorAccess()
        self._tls: ssl.SSLContext | bool = True
        self._most = MOST_RECORDS
        self._failures = 0
        self._before: int | None = None
        self._gaps: tuple[tuple[int, int], ...] = ()
        self._answered: dict[tuple[str, int, int], Duration] = {}
        self._is_resends_turn = True
        self._set_aside_at: list[Duration] = []

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
        except (aiohttp.ClientError, TimeoutError, OSError, AccessFileError, BatchError, SpoolError) as error:
            self._warn(f"collector {self._url} does not answer yet: {error or type(error).__name__}")
        return self.collector_clock.estimate is not None

    async def drain(self, patience: Duration) -> bool:
        """Ship until nothing waits, for at most `patience` microseconds; whether that succeeded."""
        give_up = self.clock.monotonic() + patience
        async with self._session() as session:
            while self._outbox.counts()["waiting"]:
                left = give_up - self.clock.monotonic()
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

    async def _proof(self) -> dict[str, str]:
        """Who we are, as its files say at this moment: another credential or certificate needs no restart."""
        if self._url.startswith("https:"):
            self._tls = await asyncio.to_thread(self._access.tls)
        return await asyncio.to_thread(self._access.headers)

    async def _ship_some(self, session: aiohttp.ClientSession) -> float:
        """Send one batch; the seconds to wait before the next."""
        try:
            if self._gaps and self._is_resends_turn:
                # In turns, so that what is new does not wait for a whole day to be sent again.
                self._is_resends_turn = False
                return await self._answer_gaps(session)
            self._is_resends_turn = True
            entries = await self._outbox.read(self._most, MOST_BYTES)
            if self._before is not None:
                entries = tuple(entry for entry in entries if entry.seq < (self._before or 0)) or entries
            if entries:
                return await self._send(session, entries)
            return 0 if self._gaps else self._interval_s
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return self._back_off(f"no answer: {error or type(error).__name__}")
        except (AccessFileError, BatchError, SpoolError) as error:
            return self._back_off(str(error))

    async def _send(self, session: aiohttp.ClientSession, entries: tuple[Entry, ...]) -> float:
        answer = await self._post(session, Recalled(entries))
        if isinstance(answer, BatchAnswer):
            return await self._accepted(answer, entries)
        return await self._refused(session, answer, entries)

    async def _post(
        self, session: aiohttp.ClientSession, sent: Recalled, *, is_new: bool = True
    ) -> BatchAnswer | _Refused:
        """Send a batch, and learn from the answer what time it is there."""
        outbox = self._outbox
        counts = _as_if_delivered(outbox, sent.entries if is_new else ())
        batch = Batch(
            outbox.agent,
            self._region,
            outbox.epoch,
            sent.entries,
            counts,
            software=__version__,
            stamps=sent.stamps,
            lost=sent.lost,
            clock=self.collector_clock.estimate,
        )
        body = await asyncio.to_thread(gzip.compress, encode_batch(batch), 6, mtime=0)
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"} | await self._proof()
        sent_at = self.clock.boottime()
        async with session.post(
            self._url, data=body, headers=headers, ssl=self._tls, allow_redirects=False
        ) as response:
            answer = await _read(response)
            round_trip = self.clock.boottime() - sent_at
            if response.status == 200:
                accepted = decode_answer(answer)
                self.collector_clock.learn(accepted, sent_at, round_trip)
                await self.collector_clock.keep()
                return accepted
            return _Refused(response.status, decode_refusal(answer), response.headers.get("Retry-After", ""))

    async def _accepted(self, answer: BatchAnswer, entries: tuple[Entry, ...]) -> float:
        # The collector may know more of this epoch than we have sent (this spool was restored): that is not ours.
        if not entries:
            self._note_gaps(answer)
            return self._interval_s
        last = entries[-1].seq
        ours = {entry.seq for entry in entries}
        await self._outbox.acknowledge(
            min(answer.high_water, last), [each for each in answer.stamps if each.seq in ours]
        )
        self._note_gaps(answer)
        if answer.high_water < last:
            return self._back_off(f"record {last} was sent, but only {answer.high_water} is acknowledged")
        was_split = self._before is not None or self._most < MOST_RECORDS
        self._succeeded()
        was_full = len(entries) >= self._most or sum(len(entry.body) for entry in entries) >= MOST_BYTES // 2
        self._before = None
        self._most = min(MOST_RECORDS, self._most * 2)
        # A backlog is drained without a pause, but not in step with other agents that came back with us.
        return (
            self._jitter(0, 0.05) if was_full or (was_split and self._outbox.counts()["waiting"]) else self._interval_s
        )

    def _succeeded(self) -> None:
        self._failures, self.trouble, self.last_answer_at = 0, "", self.clock.monotonic()

    # --- what the collector asks for again ---------------------------------------------------------------------------

    def _note_gaps(self, answer: BatchAnswer) -> None:
        """What the collector lacks of what it acknowledged once; a gap that was just answered is left for a while."""
        epoch, mark, now = self._outbox.epoch, self._outbox.acknowledged, self.clock.monotonic()
        lacking = [gap for gap in answer.gaps[:_MOST_GAPS] if gap[0] <= min(gap[1], mark)]
        if answer.high_water < mark:
            lacking.append((max(1, answer.high_water + 1), mark))
        if len(self._answered) > _MOST_GAPS:
            self._answered.clear()
        self._gaps = tuple(
            gap for gap in lacking if now - self._answered.get((epoch, *gap), now - _ASK_AGAIN) >= _ASK_AGAIN
        )

    async def _answer_gaps(self, session: aiohttp.ClientSession) -> float:
        gaps, self._gaps = self._gaps, ()
        again = await self._outbox.recall(gaps, self._most, MOST_BYTES)
        if not again:
            return 0
        answer = await self._post(session, again, is_new=False)
        if isinstance(answer, BatchAnswer):
            until = max([each.seq for each in again.entries[-1:]] + [each.last for each in again.lost[-1:]])
            answered = [gap for gap in gaps if gap[0] <= until]  # a batch may be too small for all
            self._answered |= {(self._outbox.epoch, *gap): self.clock.monotonic() for gap in answered}
            self._note_gaps(answer)
            self._succeeded()
            self._outbox.count("resent", len(again.entries))
            self._warn(
                f"the collector lacked records that it had acknowledged: sent {len(again.entries)} again, declared "
                f"{sum(each.last - each.first + 1 for each in again.lost)} lost"
            )
            return self._jitter(0, 0.05)
        status, refusal = answer.status, answer.refusal
        if status == 422 and refusal.seq in {entry.seq for entry in again.entries}:
            assert refusal.seq is not None
            await self._outbox.give_up(refusal.seq)
            self._gaps = gaps
            return 0
        if status == 413 and len(again.entries) > 1:
            self._most, self._gaps = max(1, len(again.entries) // 2), gaps
            return 0
        self._answered |= {(self._outbox.epoch, *gap): self.clock.monotonic() for gap in gaps}
        return self._told_to_wait(status, f"HTTP {status}: {printable(refusal.error)}", answer.retry_after)

    async def _refused(self, session: aiohttp.ClientSession, refused: _Refused, entries: tuple[Entry, ...]) -> float:
        status, refusal = refused.status, refused.refusal
        error = printable(refusal.error)
        named = refusal.seq if refusal.seq in {entry.seq for entry in entries} else None
        match status:
            case 409 if named is not None:
                return await self._conflicted(named, refusal.digest or "", error, entries)
            case 413 if len(entries) > 1:
                self._most = max(1, len(entries) // 2)
                return 0
            case 413 if entries and await self._is_culprit(session):
                self._warn(f"record {entries[0].seq} is larger than the collector takes")
                await self._outbox.dead_letter(entries[0].seq, "larger than the collector takes")
                return 0
            case 422 if named is not None:
                self._warn(f"the collector cannot read record {named}: {error}")
                await self._outbox.dead_letter(named, error)
                return 0
            case 400 if entries:
                return await self._unread(session, error, entries)
        return self._told_to_wait(status, f"HTTP {status}: {error}", refused.retry_after)

    def _told_to_wait(self, status: int, trouble: str, retry_after: str) -> float:
        pause = self._back_off(trouble)
        if status in (429, 503) and _SECONDS.fullmatch(retry_after):
            wait = min(int(retry_after), _LONGEST_RETRY_AFTER_S)
            return wait + self._jitter(0, max(1.0, wait))
        return pause

    async def _conflicted(self, seq: int, known: str, error: str, entries: tuple[Entry, ...]) -> float:
        """Everything below the first conflict is shared history, and goes out under this epoch."""
        pause = self._back_off(f"HTTP 409: {error}") if self._failures else 0
        self._failures += 1
        if seq > entries[0].seq:
            self._before = seq
            return 0
        self._before = None
        if await self._outbox.is_same(seq, known):
            await self._outbox.acknowledge(seq)
            return 0
        self._warn(f"the collector has other records under this epoch, beginning a new one: {error}")
        await self._outbox.begin_new_epoch(seq)
        self._gaps = ()
        return pause

    async def _unread(self, session: aiohttp.ClientSession, error: str, entries: tuple[Entry, ...]) -> float:
        """Halve the batch; one record alone is the culprit if the collector reads a batch without it."""
        if len(entries) > 1:
            self._most = max(1, len(entries) // 2)
            return self._back_off(f"HTTP 400: {error}")
        if await self._is_culprit(session):
            self._warn(f"the collector cannot read a batch with record {entries[0].seq}: {error}")
            await self._outbox.dead_letter(entries[0].seq, f"the collector cannot read a batch with it: {error}")
            return 0
        return self._back_off(f"HTTP 400: {error}")

    async def _is_culprit(self, session: aiohttp.ClientSession) -> bool:
        """Whether a record that was refused alone may be set aside: who refuses everything means no record."""
        now = self.clock.monotonic()
        self._set_aside_at = [at for at in self._set_aside_at if now - at < HOUR]
        if len(self._set_aside_at) >= _MOST_SET_ASIDE:
            return False
        if not isinstance(await self._post(session, Recalled()), BatchAnswer):
            return False
        self._set_aside_at.append(now)
        return True

    def _back_off(self, trouble: str) -> float:
        """Full jitter: anywhere up to a bound that doubles."""
        if trouble != self.trouble:
            self._warn(f"collector {self._url}: {trouble}; results wait in the spool")
        self.trouble = trouble
        self._failures += 1
        bound = min(_LONGEST_BACKOFF_S, _SHORTEST_BACKOFF_S * 2 ** min(self._failures, 12))
        return self._jitter(bound / 10, bound)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """An answer, whoever gave it: no more of it than a collector says. Raises BatchError."""
    found = bytearray()
    async for part in response.content.iter_chunked(1 << 16):
        found += part
        if len(found) > _LARGEST_ANSWER:
            raise BatchError(f"HTTP {response.status} with more than {_LARGEST_ANSWER} bytes: no collector answers so")
    return bytes(found)


def _as_if_delivered(outbox: Outbox, entries: tuple[Entry, ...]) -> dict[str, int]:
    """The totals as they are once this batch is stored: that is when the collector looks at them."""
    counts = outbox.counts()
    counts["waiting"] -= len(entries)
    counts["delivered"] = counts.get("delivered", 0) + len(entries)
    return counts
