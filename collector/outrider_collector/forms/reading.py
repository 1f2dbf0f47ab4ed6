"""The shape of a statement, field by field: what its JSON Schema says, and what the forms read.

Instants are RFC 3339 in UTC, durations microseconds, shares exact with a percentage that is cut. Nothing else may be
in a statement: a field that is not known here would be missing from every form.

Statements of schema 1 were filed before there were days and bands: they are read as they are, and their forms show
what they have. A schema that is newer than this program is refused by name, before anything else of it is looked at.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

Instant = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$")]
Percent = Annotated[str, Meta(pattern=r"^\d+(\.\d{1,5})?%$")]
Count = Annotated[int, Meta(ge=0)]
ClausePeriod = Annotated[str, Meta(pattern=r"^(month|week|day|rolling [1-9]\d*d)$")]
Verdict = Literal["met", "missed", "inconclusive", "no data"]
View = Literal["network", "end_to_end"]
Standing = Literal["good", "bad", "void", "partner"]
Date = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
State = Literal["missed", "partly down", "inconclusive", "no data", "up", "excused", "not in force"]
NEWEST_SCHEMA = 2


class StatementError(ValueError):
    """What was read is no statement; the message says where and why."""


class Share(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An exact share; `percent` is cut to five decimals."""

    numerator: Count
    denominator: Annotated[int, Meta(ge=1)]
    percent: Percent


class Target(Share, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must be reached, or exceeded where strict."""

    strict: bool


class Span(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[start, end)."""

    start: Instant
    end: Instant


class Period(Span, frozen=True, kw_only=True, forbid_unknown_fields=True):
    label: str


class Replaced(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The issued statement that this one takes the place of; the hash is over its canonical JSON (RFC 8785)."""

    revision: Annotated[int, Meta(ge=1)]
    as_of: Instant
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class KnownExpiry(Span, frozen=True, kw_only=True, forbid_unknown_fields=True):
    checks: tuple[str, ...]


class Margin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What would have changed the verdict."""

    unit: Literal["slices", "transactions"]
    by: Count | None
    text: str


class Cause(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    outcome: str
    code: str
    place: str
    samples: Count


class Outage(Span, frozen=True, kw_only=True, forbid_unknown_fields=True):
    length_us: Count
    regions: tuple[str, ...]
    samples: Count
    causes: tuple[Cause, ...]


class Availability(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One check, in slices and in samples; the first outages only, of `outages_in_all`."""

    figure: Share | None
    low: Share | None
    high: Share | None
    up: Count
    down: Count
    unknown: Count
    excused: Count
    samples: Count
    good: Count
    bad: Count
    void: Count
    good_share: Share | None
    five_minute_mean: Share | None
    outages_in_all: Count
    unknown_us: Count


class Raw(Availability, frozen=True, kw_only=True, forbid_unknown_fields=True):
    outages: tuple[Span, ...]


class Adjusted(Availability, frozen=True, kw_only=True, forbid_unknown_fields=True):
    outages: tuple[Outage, ...]


class Coverage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Slices in which a region had data."""

    region: str
    slices: Count
    of: Count
    percent: Percent | None


class Day(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One check on one day of the agreement's time zone, in slices; those that were not in force are not counted."""

    day: Date
    state: State
    up: Count
    down: Count
    unknown: Count
    excused: Count


class ClauseDay(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A clause on one day: as its worst checks, which are named where it is neither up nor excused."""

    day: Date
    state: State
    in_period: bool
    checks: tuple[str, ...]


class Bin(Span, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Processing times of a part of the period. Where there are samples, a percentile of null is infinite. `excused`
    counts the transactions that maintenance left out."""

    samples: Count
    failed: Count
    within: Count
    excused: Count
    p50_us: Count | None
    p90_us: Count | None
    p99_us: Count | None


class Bands(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nearest-rank percentiles, failures as infinity, each rounded up to a multiple of `precision_us`."""

    bin: Literal["day", "hour", "5 min", "1 min"]
    precision_us: Count
    rounding: Literal["up"]
    bins: tuple[Bin, ...]


class Check(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    check: str
    verdict: Verdict
    reason: str
    margin: Margin
    excused: tuple[Span, ...]
    excused_us: Count
    adjusted: Adjusted
    raw: Raw
    coverage: tuple[Coverage, ...]
    days: tuple[Day, ...] | UnsetType = UNSET


class Response(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Processing times; where there are samples, a time of null is infinite."""

    share: Share | None
    share_interval: tuple[Share, Share] | None
    within: Count
    samples: Count
    failed: Count
    partner_failed: Count
    void: Count
    p90_us: Count | None
    p90_us_interval: tuple[Count | None, Count | None] | UnsetType = UNSET
    fastest_mean_us: Count | None
    answered_mean_us: Count | None
    answered_share: Share | None


class Readings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The readings of a response-time clause."""

    adjusted: Response
    raw: Response


class OwnPeriod(Span, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of a clause's own periods: whole, though it may begin before the statement's. `decides`: the guarantee's
    figures are this one's."""

    label: str
    measured: Span | None
    decides: bool
    verdict: Verdict
    reason: str
    margin: Margin
    decided_by: str | None
    adjusted: Share | None
    raw: Share | None
    checks: tuple[Check, ...]
    together: Check | None
    readings: Readings | None


class InView(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The clause as one view has it."""

    view: View
    decides: bool
    verdict: Verdict
    reason: str
    partner_failed: Count
    adjusted: Share | None
    raw: Share | None


class UncertainEdge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    at: Instant
    edge: Literal["the period begins", "the period ends", "maintenance begins", "maintenance ends"]
    runs: Annotated[int, Meta(ge=1)]


class UncertainCheck(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first edges only, of `edges_in_all`."""

    check: str
    runs: Annotated[int, Meta(ge=1)]
    edges: tuple[UncertainEdge, ...]
    edges_in_all: Annotated[int, Meta(ge=1)]


class Uncertain(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Runs whose instant's error bar reaches across an edge of the period or of excused time. Verdict, reason and
    adjusted figure are those of the other reading, which has each on the other side of its edge, and does not decide.
    `differs`: its verdict is another one."""

    runs: Annotated[int, Meta(ge=1)]
    checks: Annotated[tuple[UncertainCheck, ...], Meta(min_length=1)]
    verdict: Verdict
    reason: str
    adjusted: Share | None
    differs: bool
    text: str


class Guarantee(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A clause: its parameters, its verdict and what that rests on. `days` are there for availability, what follows
    them for response times; neither `days` nor `bands` where nothing could be measured.

    `regions`: those that had to speak. `decided_by`: the check that decides, of several. `together`: the checks as one
    service. `periods`: the clause's own, where it was judged over those. `uncertain`: only where a run's instant may be
    on either side of an edge.
    """

    id: str
    title: str
    measure: Literal["availability", "response_time"]
    evidence: Literal["observed"]
    target: Target
    view: View
    notice_us: Count
    emergency_notice_us: Count | UnsetType = UNSET
    slice_us: Count
    coverage_floor: Share
    scope: tuple[str, ...]
    quorum: Share
    cap_us: Count | None
    windows_excuse: bool
    void_inflight: bool
    counts: dict[str, Standing]
    regions: tuple[str, ...] | None
    composite: Literal["worst", "all", "any"]
    clause_period: ClausePeriod
    is_clause_period: bool
    measured: Span | None
    verdict: Verdict
    reason: str
    margin: Margin
    decided_by: str | None
    checks: tuple[Check, ...]
    together: Check | None
    views: tuple[InView, ...]
    periods: tuple[OwnPeriod, ...]
    days: tuple[ClauseDay, ...] | UnsetType = UNSET
    bands: Bands | UnsetType = UNSET
    limit_us: Count | UnsetType = UNSET
    adjusted: Response | UnsetType = UNSET
    raw: Response | UnsetType = UNSET
    remark: str | UnsetType | None = UNSET
    uncertain: Uncertain | UnsetType = UNSET


class Version(Span, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One announcement of a window; its notice is negative where it was recorded after the start."""

    window: str
    version: Annotated[int, Meta(ge=1)]
    act: Literal["announce", "move", "extend", "shorten", "complete", "cancel"]
    recorded_at: Instant
    notice_us: int
    scope: tuple[str, ...]
    reason: str
    author: str
    emergency: bool | UnsetType = UNSET


class Excuse(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a window takes out of the period under a guarantee."""

    guarantee: str
    excused_us: Count
    why_not: str | None


class Window(Version, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A window as its latest version has it, with all of them."""

    versions: Annotated[tuple[Version, ...], Meta(min_length=1)]
    excuses: tuple[Excuse, ...]


class Delivery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an agent's runs of the period went, in runs: what was promised and carried over is the sum of `skipped` to
    `under_way`. `gaps` are records that the collector lacks and asks for, `declared_lost` those that never come,
    `restored` those sent again with the stamp of their first arrival; these three since the epoch began."""

    agent: str
    region: str
    epoch: str
    at: Instant
    promised: int
    carried_over: int
    skipped: int
    lost_in_flight: int
    delivered: int
    waiting: int
    dropped: int
    dead_lettered: int
    under_way: int
    stripped: int
    gaps: Count
    declared_lost: Count
    restored: Count


class Statement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The account of one period. Made again from the same facts it is byte for byte the same. `revision` is null where
    it was not issued."""

    schema: Literal[1, 2]
    agreement: str
    timezone: str
    timezone_data: str
    in_force_from: Instant | None
    settle_us: Count
    known_expiries: tuple[KnownExpiry, ...]
    period: Period
    as_of: Instant
    ledger: Count
    revision: Annotated[int, Meta(ge=1)] | None = None
    replaces: Replaced | None = None
    verdict: Verdict
    guarantees: tuple[Guarantee, ...]
    windows: tuple[Window, ...]
    delivery: tuple[Delivery, ...] | UnsetType = UNSET


_NOT_SAID: dict[str, Any] = {"regions": None, "composite": "worst", "decided_by": None, "together": None, "periods": []}
"""What clauses of schema 1 did not say, as it was then."""


def raised(plain: Any) -> Any:
    """A statement of schema 1 with what it did not say; any other as it is. Raises nothing."""
    if not isinstance(plain, dict) or plain.get("schema") != 1 or not isinstance(plain.get("guarantees"), list):
        return plain
    guarantees = [{**_NOT_SAID, **each} if isinstance(each, dict) else each for each in plain["guarantees"]]
    return {**plain, "guarantees": guarantees}


def read_statement(plain: Any) -> Statement:
    """A statement from decoded JSON. Raises StatementError."""
    schema = plain.get("schema") if isinstance(plain, dict) else None
    if type(schema) is int and schema > NEWEST_SCHEMA:
        raise StatementError(
            f"this statement is of schema {schema}, and this version of outrider reads schemas up to {NEWEST_SCHEMA}: "
            f"a newer one made it, and can make its forms"
        )
    try:
        return msgspec.convert(raised(plain), Statement, strict=True)
    except msgspec.ValidationError as error:
        raise StatementError(f"this is no statement of schema 1 or {NEWEST_SCHEMA}: {error}") from None


def json_schema() -> bytes:
    """The JSON Schema (2020-12) of a statement, always the same bytes."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Outrider statement, schema {NEWEST_SCHEMA}",
        **msgspec.json.schema(Statement),
    }
    return msgspec.json.format(msgspec.json.encode(schema, order="deterministic"), indent=1) + b"\n"
