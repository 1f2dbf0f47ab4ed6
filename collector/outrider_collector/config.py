"""The collector's configuration, and agreements: YAML -> core values. Every mistake is told with file:line:column."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from outrider.core.guarantee import Agreement, Guarantee, KnownExpiry, Measure, View
from outrider.core.intervals import Interval
from outrider.core.outcome import STANDINGS, OutcomeClass, Standing
from outrider.core.period import PeriodKind
from outrider.core.units import SECOND, Duration, parse_instant
from outrider.strict_yaml import ConfigError, DurationText, Loaded, ProcessNames, default, load_file
from outrider.zones import read_zone
from outrider_collector.calendar_source import is_address

SHORTEST_INTERVAL: Duration = SECOND


class GuaranteeFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One clause as its file says. Shares are written as percentages in text, "99.9%", so that they stay exact."""

    id: str
    title: str
    measure: Measure
    target: str
    strict: bool = False
    limit: DurationText | None = None
    checks: tuple[str, ...] = ("*",)
    slice: DurationText = default(DurationText, "60s")
    quorum: str = "50%"
    notice: DurationText = default(DurationText, "72h")
    emergency_notice: DurationText | None = None
    windows_excuse: bool = True
    cap: DurationText | None = None
    void_inflight: bool = False
    view: View = View.NETWORK
    coverage_floor: str = "0%"
    period: PeriodKind = PeriodKind.MONTH
    counts: dict[OutcomeClass, Standing] = {}


class AgreementFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An agreement: its guarantees, the zone that its periods are cut in, and since when it holds, if that matters."""

    name: str
    timezone: str
    in_force_from: str | None = None
    guarantees: list[GuaranteeFile]


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
    `evidence` is the folder that days are sealed into; without it none are."""

    listen: str = "127.0.0.1:8080"
    store: str
    agreement: str
    settle: DurationText = default(DurationText, "60s")
    recent: DurationText = default(DurationText, "60m")
    known_expiries: list[KnownExpiryFile] = []
    calendars: list[CalendarFile] = []
    evidence: str | None = None


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


def load_collector(path: Path, environ: Mapping[str, str] = os.environ) -> CollectorConfig:
    """Read a collector's file and its agreement. Raises ConfigError."""
    loaded = load_file(path, CollectorFile, names=ProcessNames(environ, path.parent))
    host, _, port = loaded.value.listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise loaded.located.error(("listen",), f"{loaded.value.listen!r} is not an address like 127.0.0.1:8080")
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


def load_agreement(path: Path) -> Agreement:
    """Read an agreement. Raises ConfigError."""
    loaded = load_file(path, AgreementFile, expand=False)
    try:
        zone = read_zone(loaded.value.timezone)
    except ValueError as error:
        raise loaded.located.error(("timezone",), str(error)) from None
    guarantees = tuple(_guarantee(loaded, number, zone) for number in range(len(loaded.value.guarantees)))
    try:
        in_force_from = None if loaded.value.in_force_from is None else parse_instant(loaded.value.in_force_from)
    except ValueError as error:
        raise loaded.located.error(("in_force_from",), str(error)) from None
    try:
        return Agreement(loaded.value.name, guarantees, zone, in_force_from)
    except ValueError as error:
        raise loaded.located.error(("guarantees",), str(error), at_key=True) from None


def _guarantee(loaded: Loaded[AgreementFile], number: int, zone: ZoneInfo) -> Guarantee:
    file = loaded.value.guarantees[number]
    at = ("guarantees", number)

    def share(key: str) -> Fraction:
        try:
            return parse_percent(getattr(file, key))
        except ValueError as error:
            raise loaded.located.error((*at, key), str(error)) from None

    settings: dict[str, Any] = {key: share(key) for key in ("target", "quorum", "coverage_floor")}
    if file.limit is not None and file.limit % 1000:
        raise loaded.located.error((*at, "limit"), "a limit must be a whole number of milliseconds")
    try:
        return Guarantee(
            id=file.id,
            title=file.title,
            measure=file.measure,
            strict=file.strict,
            limit=None if file.limit is None else int(file.limit),
            checks=file.checks,
            slice=int(file.slice),
            notice=int(file.notice),
            emergency_notice=None if file.emergency_notice is None else int(file.emergency_notice),
            windows_excuse=file.windows_excuse,
            cap=None if file.cap is None else int(file.cap),
            void_inflight=file.void_inflight,
            view=file.view,
            period=file.period,
            zone=zone,
            standings={**STANDINGS, **file.counts},
            **settings,
        )
    except ValueError as error:
        raise loaded.located.error(at, str(error)) from None


def parse_percent(text: str) -> Fraction:
    """Read "99.9%" as an exact fraction. Raises ValueError."""
    number = text.removesuffix("%").strip()
    try:
        if not text.endswith("%") or "/" in number or "e" in number.lower():
            raise ValueError
        return Fraction(number) / 100
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{text!r} is not a percentage; write it like '99.9%'") from None


__all__ = ["AgreementFile", "CollectorConfig", "CollectorFile", "ConfigError", "load_agreement", "load_collector"]
