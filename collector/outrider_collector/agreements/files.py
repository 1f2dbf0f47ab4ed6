"""Agreement files: YAML -> core values. Mistakes are told with file:line:column.

Rules
-----
1. What a file leaves out has the default that core has for it; here stands only how each parameter is written.
2. Shares are percentages in text, "99.9%", so that they stay exact.
3. `regions` of the agreement holds for each guarantee that lists none of its own.
4. Nothing comes from outside (`${env:NAME}`): both parties read the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, ClassVar, Self
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from outrider.core.guarantee import Agreement, Composite, Guarantee, Measure, ParameterError, View
from outrider.core.outcome import STANDINGS, OutcomeClass, Standing
from outrider.core.period import PeriodKind
from outrider.core.units import Duration, parse_duration, parse_instant
from outrider.strict_yaml import DurationText, Loaded, TextScalar, default, load_file
from outrider.zones import read_zone

_ROLLING = re.compile(r"rolling +(\S+)")
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,12})?) ?%")


def parse_percent(text: str) -> Fraction:
    """Read "99.9%" as an exact fraction. Raises ValueError."""
    found = _PERCENT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a percentage; write it like '99.9%'")
    return Fraction(found[1]) / 100


def parse_period_name(text: str) -> tuple[PeriodKind, Duration | None]:
    """Read "month", or "rolling 30d" with its length. Raises ValueError."""
    rolls = _ROLLING.fullmatch(text)
    return (PeriodKind(text), None) if rolls is None else (PeriodKind.ROLLING, parse_duration(rolls[1]))


class ShareText(TextScalar, Fraction):
    """A share of 1, exactly, written like 99.9%."""

    __slots__ = ()
    schema: ClassVar[Mapping[str, object]] = {
        "type": "string",
        "description": "a percentage, like 99.9%",
        "pattern": r"^(100(\.0{1,12})?|\d{1,2}(\.\d{1,12})?) ?%$",
    }

    @classmethod
    def from_text(cls, text: str) -> Self:
        return cls(parse_percent(text))


class PeriodText(TextScalar, str):
    """A calendar period by its name, or `rolling` with its length."""

    __slots__ = ()
    schema: ClassVar[Mapping[str, object]] = {
        "type": "string",
        "description": "month, week (Sunday to Saturday), day, or rolling 30d (whole days)",
        "pattern": r"^(month|week|day|rolling +\d{1,3}d)$",
    }

    @classmethod
    def from_text(cls, text: str) -> Self:
        if not _ROLLING.fullmatch(text) and text not in {"month", "week", "day"}:
            raise ValueError(f"{text!r} is not a period; write month, week, day, or one like rolling 30d")
        parse_period_name(text)
        return cls(text)


Regions = Annotated[
    tuple[Annotated[str, Meta(min_length=1)], ...],
    Meta(min_length=1, description="regions that must speak; no other counts. Without a list: whoever is heard of"),
]


class GuaranteeFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One clause as its file says."""

    id: Annotated[str, Meta(min_length=1, description="its name in statements: G1")]
    title: Annotated[str, Meta(min_length=1, description="what was promised, in a few words")]
    measure: Annotated[Measure, Meta(description="what the clause is about")]
    target: Annotated[ShareText, Meta(description="the share that must be reached: 99.9%")]
    strict: Annotated[bool, Meta(description="true where the share must be exceeded: greater than")] = False
    limit: Annotated[
        DurationText | None,
        Meta(description="response_time only: a transaction counts if it took this long or less; whole milliseconds"),
    ] = None
    checks: Annotated[
        tuple[str, ...], Meta(min_length=1, description="names and patterns (*, ?) of the checks in scope")
    ] = ("*",)
    composite: Annotated[
        Composite,
        Meta(description="several checks: each is judged and the worst stands; or one service, up if all or any are"),
    ] = Composite.WORST
    regions: Regions | None = None
    slice: Annotated[DurationText, Meta(description="the unit of up and down; divides 15 minutes")] = default(
        DurationText, "60s"
    )
    quorum: Annotated[
        ShareText, Meta(description="the service is down if more than this share of the regions with data is down")
    ] = default(ShareText, "50%")
    period: Annotated[PeriodText, Meta(description="what the clause is judged over")] = default(PeriodText, "month")
    notice: Annotated[
        DurationText, Meta(description="how long before its start a window must be announced to excuse anything")
    ] = default(DurationText, "72h")
    emergency_notice: Annotated[
        DurationText | None,
        Meta(description="the same for emergency maintenance, which excuses nothing without it; 0s to the notice"),
    ] = None
    windows_excuse: Annotated[bool, Meta(description="false where scheduled downtime counts too")] = True
    cap: Annotated[DurationText | None, Meta(description="the most that may be excused of a check in a period")] = None
    void_inflight: Annotated[
        bool, Meta(description="true: a bad run that was under way when a window opened is void")
    ] = False
    view: Annotated[View, Meta(description="whether a partner's failure is held against the network")] = View.NETWORK
    coverage_floor: Annotated[ShareText, Meta(description="below it, met becomes inconclusive")] = default(
        ShareText, "0%"
    )
    counts: Annotated[
        dict[OutcomeClass, Standing],
        Meta(description="outcome classes that count differently here: throttled: void"),
    ] = {}


class AgreementFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An agreement between a network and those who use it."""

    name: Annotated[str, Meta(min_length=1, description="the agreement's name, in every statement")]
    timezone: Annotated[str, Meta(min_length=1, description="IANA zone that its periods are cut in: America/New_York")]
    in_force_from: Annotated[
        str | None, Meta(description="nothing before this instant is measured: 2026-01-01T00:00:00-05:00")
    ] = None
    regions: Regions | None = None
    guarantees: Annotated[tuple[GuaranteeFile, ...], Meta(min_length=1, description="its clauses")]


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
    file, at = loaded.value.guarantees[number], ("guarantees", number)
    if file.limit is not None and file.limit % 1000:
        raise loaded.located.error((*at, "limit"), "a limit must be a whole number of milliseconds")
    kind, rolling = parse_period_name(file.period)
    listed = file.regions is not None
    try:
        return Guarantee(
            id=file.id,
            title=file.title,
            measure=file.measure,
            target=Fraction(file.target),
            strict=file.strict,
            limit=None if file.limit is None else int(file.limit),
            checks=file.checks,
            slice=int(file.slice),
            quorum=Fraction(file.quorum),
            notice=int(file.notice),
            emergency_notice=None if file.emergency_notice is None else int(file.emergency_notice),
            windows_excuse=file.windows_excuse,
            cap=None if file.cap is None else int(file.cap),
            void_inflight=file.void_inflight,
            view=file.view,
            coverage_floor=Fraction(file.coverage_floor),
            period=kind,
            rolling=rolling,
            regions=(file.regions if listed else loaded.value.regions) or (),
            composite=file.composite,
            zone=zone,
            standings={**STANDINGS, **file.counts},
        )
    except ParameterError as error:
        is_above = error.parameter == "regions" and not listed
        raise loaded.located.error(("regions",) if is_above else (*at, error.parameter), str(error)) from None
