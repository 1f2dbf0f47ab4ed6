"""`outrider agent doctor`: how an agent's spool stands, where its runs went, and what to do.

It reads the spool's file, changing nothing, also while the agent runs; it asks the agent's own port and the collector,
and does without them where they do not answer. Exit 0 sound, 1 trouble, 104 bad configuration.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from outrider.clock import Clock
from outrider.collector_access import AccessFileError, CollectorAccess
from outrider.commands import FAILED, PASS
from outrider.config import AgentConfig
from outrider.core.units import MINUTE, SECOND, Duration, format_duration, format_instant
from outrider.redact import printable
from outrider.spool import Examined, conservation, examine

_PATIENCE_S = 3
_OLD: Duration = 10 * MINUTE
_NEARLY_FULL = 0.9
_GAUGES = {
    "outrider_clock_offset_seconds": "clock_offset_s",
    "outrider_clock_error_seconds": "clock_error_s",
    "outrider_last_acknowledgement_seconds": "last_acknowledgement_s",
    "outrider_shipper_trouble": "shipper_trouble",
}
_TERMS = (
    "skipped", "lost_in_flight", "delivered", "waiting", "dropped_quota", "dropped_corrupt", "dropped_unwritable",
    "dead_lettered",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trouble:
    what: str
    do: str


@dataclass(frozen=True, slots=True)
class Live:
    """What the processes said: the agent's gauges, None where it does not answer; "" or why the collector does not."""

    gauges: dict[str, float] | None
    collector_trouble: str


async def doctor(config: AgentConfig, clock: Clock, *, as_json: bool) -> int:
    """Print the report; the exit code."""
    live = await _ask(config)
    found = await asyncio.to_thread(examine, config.spool_path)
    troubles = list(_troubles(config, clock, found, live))
    plain = _plain(config, found, live, troubles)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(plain, order="deterministic"), indent=1).decode())
    else:
        print("\n".join(_lines(plain)))
    return FAILED if troubles else PASS


async def _ask(config: AgentConfig) -> Live:
    access = CollectorAccess(config.collector_files)
    host, port = config.listen
    own = f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        own_text, own_trouble = await _text(session, own)
        try:
            tls = await asyncio.to_thread(access.tls) if config.collector_url.startswith("https:") else True
            _, collector_trouble = await _text(session, config.collector_url.rstrip("/") + "/-/healthy", tls)
        except AccessFileError as error:
            collector_trouble = str(error)
    return Live(None if own_trouble else _gauges(own_text), collector_trouble)


async def _text(session: aiohttp.ClientSession, url: str, tls: ssl.SSLContext | bool = True) -> tuple[str, str]:
    """What a URL answers, and why it did not."""
    try:
        async with session.get(url, ssl=tls, allow_redirects=False) as response:
            text = await response.text()
            return text, "" if response.status == 200 else f"HTTP {response.status}: {printable(text[:200].strip())}"
    except (aiohttp.ClientError, TimeoutError, OSError, UnicodeDecodeError, ValueError) as error:
        return "", str(error) or type(error).__name__


def _gauges(text: str) -> dict[str, float]:
    found = {}
    for line in text.splitlines():
        name = _GAUGES.get(line.partition("{")[0])
        if name is not None and not line.startswith("#"):
            found[name] = float(line.rpartition(" ")[2])
    return found


def _troubles(config: AgentConfig, clock: Clock, found: Examined, live: Live) -> Iterator[Trouble]:
    if found.trouble:
        yield Trouble(f"spool: {found.trouble}", "start the agent: it sets aside what it cannot read, and goes on")
    counts = found.counts
    scheduled, ways = conservation(counts)
    if ways > scheduled:
        yield Trouble(f"conservation: {ways} runs are accounted for, and only {scheduled} were scheduled",
                      "keep the spool's file and report this: it must never happen")  # fmt: skip
    for name, text, do in (
        ("dropped_quota", "dropped at the quota", "raise spool.quota, or see why the collector was away for so long"),
        ("dropped_corrupt", "damaged in the file", "check the disk; what is left of them is in the dead letters"),
        ("dropped_unwritable", "could not be written", "see that the disk has room and can be written"),
        ("dead_lettered", "set aside as unreadable", "update the collector, or report the reasons that are shown"),
    ):
        if counts.get(name):
            yield Trouble(f"{counts[name]} results {text}, in this epoch", do)
    for path in found.set_aside:
        yield Trouble(f"a damaged spool was set aside as {path.name}", "keep it for whoever asks, then move it away")
    if found.size + found.log > _NEARLY_FULL * config.spool_quota:
        yield Trouble(f"the spool takes {found.size + found.log} of {config.spool_quota} bytes",
                      "nothing waits for ever: old results make room; raise spool.quota to keep more")  # fmt: skip
    if found.oldest is not None and clock.now() - found.oldest > _OLD:
        yield Trouble(f"the oldest result waits since {format_instant(found.oldest)}", "see the collector's line")
    if live.collector_trouble:
        yield Trouble(f"collector {config.collector_url}: {live.collector_trouble}",
                      "results wait in the spool meanwhile; start the collector, or correct `collector`")  # fmt: skip
    yield from _live_troubles(live.gauges or {})


def _live_troubles(gauges: dict[str, float]) -> Iterator[Trouble]:
    if gauges.get("shipper_trouble"):
        yield Trouble("the agent's last exchange with the collector failed", "see its log for the answer")
    if gauges.get("clock_error_s", 0) > 1:
        yield Trouble(f"the clock's error bar is {gauges['clock_error_s']:.3f} s: runs are void beyond 1 s",
                      "see the way to the collector: its round trip is too long")  # fmt: skip


def _plain(config: AgentConfig, found: Examined, live: Live, troubles: list[Trouble]) -> dict[str, Any]:
    scheduled, ways = conservation(found.counts)
    return {
        "sound": not troubles,
        "agent": config.name,
        "epoch": None if found.totals is None else found.totals.epoch,
        "conservation": {
            "scheduled": scheduled,
            **{name: found.counts.get(name, 0) for name in _TERMS},
            "under_way": scheduled - ways,
        },
        "stripped": {name: found.counts.get(f"stripped_{name}", 0) for name in ("details", "phases")},
        "resent": found.counts.get("resent", 0),
        "spool": {
            "path": str(found.path),
            "bytes": found.size + found.log,
            "quota": int(config.spool_quota),
            "oldest_waiting": None if found.oldest is None else format_instant(found.oldest),
            "delivered_and_kept": found.kept,
            "dead_letters": [{"seq": seq, "reason": printable(reason)} for seq, reason in found.dead_letters],
            "set_aside": [str(path) for path in found.set_aside],
        },
        "last_acknowledgement": None if found.last_stamp is None else format_instant(found.last_stamp),
        "agent_answers": live.gauges is not None,
        "live": live.gauges,
        "collector": {"url": config.collector_url, "trouble": live.collector_trouble or None},
        "troubles": [{"what": each.what, "do": each.do} for each in troubles],
    }


def _lines(plain: dict[str, Any]) -> Iterator[str]:
    terms, spool, live = plain["conservation"], plain["spool"], plain["live"]
    yield f"agent {plain['agent']}, epoch {plain['epoch'] or 'unknown'}"
    sides = " + ".join(f"{terms[name]} {name.replace('_', ' ')}" for name in (*_TERMS, "under_way"))
    yield f"conservation: {terms['scheduled']} scheduled = {sides}"
    yield f"spool {spool['path']}: {spool['bytes']} of {spool['quota']} bytes"
    yield f"delivered and still kept: {spool['delivered_and_kept']}, sent again: {plain['resent']}"
    yield f"oldest that waits: {spool['oldest_waiting'] or 'none'}"
    yield f"gave up for room: {plain['stripped']['details']} texts, {plain['stripped']['phases']} timings"
    yield f"last acknowledgement: {plain['last_acknowledgement'] or 'none is known'}"
    for each in spool["dead_letters"]:
        yield f"dead letter {each['seq']}: {each['reason']}"
    if live is None:
        yield "agent: does not answer; this is what its file says"
    elif "clock_offset_s" in live:
        since = format_duration(round(live.get("last_acknowledgement_s", 0)) * SECOND)
        yield f"agent: answers; clock offset {live['clock_offset_s']:+.6f} s ± {live.get('clock_error_s', 0):.6f} s, " \
              f"acknowledged {since} ago"  # fmt: skip
    else:
        yield "agent: answers; no estimate of the clock yet"
    yield f"collector {plain['collector']['url']}: {plain['collector']['trouble'] or 'answers'}"
    if plain["sound"]:
        yield "sound"
    for each in plain["troubles"]:
        yield f"trouble: {each['what']}"
        yield f"  do: {each['do']}"
