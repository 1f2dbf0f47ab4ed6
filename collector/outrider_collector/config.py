"""The collector's configuration, YAML -> core values. Every mistake is told with file:line:column."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from outrider.core.guarantee import Agreement, KnownExpiry
from outrider.core.intervals import Interval
from outrider.core.units import SECOND, Duration, parse_instant
from outrider.strict_yaml import ConfigError, DurationText, Loaded, ProcessNames, default, load_file
from outrider.zones import read_zone
from outrider_collector.access.settings import OPEN, Access, AccessSettings, LimitsFile, TlsFile, read_access
from outrider_collector.agreements.files import load_agreement
from outrider_collector.calendars.source import is_address

SHORTEST_INTERVAL: Duration = SECOND


class KnownExpiryFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a credential of ours was known to have expired: a refusal by everyone is no outage then (R3)."""

    start: str
    end: str
    checks: tuple[str, ...] = ("*",)


class CalendarFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A calendar whose events are windows: a file (beside this one) or an http(s) address, read every `interval`."""

    name: str
    source: str
    interval: DurationText = default(DurationText, "15m")
    timezone: str | None = None
    scope: tuple[str, ...] = ("*",)
    allow_unknown_checks: bool = False


class CollectorFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A collector. `settle` is how old a slice must be before it is judged: timeout plus delivery.
    `evidence` is the folder that days are sealed into; without it none are. Without `access` a collector is open on
    loopback and closed beyond."""

    listen: str = "127.0.0.1:8080"
    store: str
    agreement: str
    settle: DurationText = default(DurationText, "60s")
    recent: DurationText = default(DurationText, "60m")
    known_expiries: list[KnownExpiryFile] = []
    calendars: list[CalendarFile] = []
    evidence: str | None = None
    access: Access | None = None
    metrics: Access = Access.REQUIRED
    tls: TlsFile | None = None
    limits: LimitsFile = LimitsFile()


@dataclass(frozen=True, slots=True)
class CalendarSetting:
    """A calendar that the collector reads by itself. `zone` is for times that name none."""

    name: str
    source: str
    interval: Duration
    zone: ZoneInfo | None
    scope: tuple[str, ...]
    allow_unknown_checks: bool


@dataclass(frozen=True, slots=True)
class CollectorConfig:
    """What a collector runs by."""

    listen: tuple[str, int]
    store: Path
    agreement: Agreement
    settle: Duration
    recent: Duration
    known_expiries: tuple[KnownExpiry, ...] = ()
    calendars: tuple[CalendarSetting, ...] = ()
    evidence: Path | None = None
    access: AccessSettings = OPEN


def load_collector(path: Path, environ: Mapping[str, str] = os.environ) -> CollectorConfig:
    """Read a collector's file and its agreement. Raises ConfigError."""
    loaded = load_file(path, CollectorFile, names=ProcessNames(environ, path.parent))
    host, _, port = loaded.value.listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise loaded.located.error(("listen",), f"{loaded.value.listen!r} is not an address like 127.0.0.1:8080")
    file = loaded.value
    access = read_access(
        loaded, host.strip("[]"), access=file.access, metrics=file.metrics, tls=file.tls, limits=file.limits,
        folder=path.parent,
    )  # fmt: skip
    agreement = load_agreement(path.parent / loaded.value.agreement)
    if loaded.value.evidence is not None and not loaded.value.evidence.strip():
        raise loaded.located.error(("evidence",), "name the folder that days are sealed into, or leave `evidence` out")
    if loaded.value.recent < max(guarantee.slice for guarantee in agreement.guarantees):
        raise loaded.located.error(("recent",), "the page's lookback must be at least one slice of the agreement")
    return CollectorConfig(
        (host.strip("[]"), int(port)),
        path.parent / loaded.value.store,
        agreement,
        int(loaded.value.settle),
        int(loaded.value.recent),
        tuple(_known_expiry(loaded, number) for number in range(len(loaded.value.known_expiries))),
        tuple(_calendar(loaded, number, path.parent) for number in range(len(loaded.value.calendars))),
        None if loaded.value.evidence is None else path.parent / loaded.value.evidence,
        access,
    )


def _calendar(loaded: Loaded[CollectorFile], number: int, folder: Path) -> CalendarSetting:
    file, at = loaded.value.calendars[number], ("calendars", number)
    if not file.name or any(file.name == other.name for other in loaded.value.calendars[:number]):
        raise loaded.located.error((*at, "name"), "a calendar has a name of its own")
    if file.interval < SHORTEST_INTERVAL:
        raise loaded.located.error((*at, "interval"), "a calendar is read every second at most")
    if not file.scope:
        raise loaded.located.error((*at, "scope"), "an empty scope covers nothing; leave it out for everything")
    try:
        zone = None if file.timezone is None else read_zone(file.timezone)
    except ValueError as error:
        raise loaded.located.error((*at, "timezone"), str(error)) from None
    source = file.source if is_address(file.source) else str(folder / file.source)
    return CalendarSetting(file.name, source, int(file.interval), zone, file.scope, file.allow_unknown_checks)


def _known_expiry(loaded: Loaded[CollectorFile], number: int) -> KnownExpiry:
    file = loaded.value.known_expiries[number]
    try:
        return KnownExpiry(file.checks, Interval(parse_instant(file.start), parse_instant(file.end)))
    except ValueError as error:
        raise loaded.located.error(("known_expiries", number), str(error)) from None


__all__ = ["CollectorConfig", "CollectorFile", "ConfigError", "load_agreement", "load_collector"]
