"""The shape of a window verification, field by field: what its JSON Schema says, and what its HTML is made from.

Instants are RFC 3339 in UTC, durations microseconds. Nothing else may be in a report.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from outrider_collector.forms.reading import Count, Instant, StatementError, Version

Decimal = Annotated[str, Meta(pattern=r"^\d+(\.\d+)?$")]
Bystanding = Literal["stayed up", "did not stay up", "no data"]
Change = Literal["slower", "not slower", "too few runs"]


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many times slower is slower, and from how many runs on each side."""

    ratio: Decimal
    baseline_runs: Annotated[int, Meta(ge=1)]


class Notice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a guarantee asks for, null where it excuses no such window; what was given is negative after the start."""

    guarantee: str
    required_us: Count | None
    given_us: int
    margin_us: int | None
    is_met: bool | None


class Baseline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    check: str
    region: str
    runs: Count
    missing: Count


class Before(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    notices: tuple[Notice, ...]
    baselines: tuple[Baseline, ...]


class Trouble(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bad runs, and how they lie to the window's edges: what is negative lies outside."""

    check: str
    region: str
    first_bad: Instant
    last_bad: Instant
    bad_runs: Count
    first_after_start_us: int
    last_before_end_us: int


class Bystander(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    check: str
    state: Bystanding


class During(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    in_scope: tuple[Trouble, ...]
    out_of_scope: tuple[Bystander, ...]
    did_not_stay_up: tuple[Trouble, ...]


class Back(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Good runs since the last bad one, of the last three."""

    check: str
    region: str
    good_running: Count
    is_back: bool


class Sides(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    before: Count
    after: Count


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure on both sides (null for infinite), their ratio (null where there is none), and the corrected p-value."""

    name: Literal["median", "p90"]
    before_us: Count | None
    after_us: Count | None
    ratio: Decimal | None
    p: Decimal
    is_significant: bool
    is_worse: bool


class Comparison(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    change: Change
    reason: str
    runs: Sides
    blocks: Sides
    questions: tuple[Question, ...]


class After(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    back: tuple[Back, ...]
    comparisons: tuple[Comparison, ...]


class LocalCheck(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Runs after the window from the machine that asked. Void ones, and those that a partner failed, are counted in
    none of the others; `first_good` is the first one since the last bad one."""

    check: str
    runs: Count
    bad_runs: Count
    void_runs: Count
    good_running: Count
    is_back: bool
    first_good: Instant | None
    last_bad: Instant | None


class Local(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came from local probing. It never enters the accounts, nor the comparison."""

    purpose: Literal["verify"]
    region: str
    interval_us: Annotated[int, Meta(ge=1_000_000)]
    checks: tuple[LocalCheck, ...]
    unconfirmed_cleanups: Count


class Report(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The verification of one window. Made again from the same facts it is the same."""

    schema: Literal[1]
    settings: Settings
    window: Version
    as_of: Instant
    verdict: Literal["all clear", "failed", "inconclusive"]
    failures: tuple[str, ...]
    pending: tuple[str, ...]
    missing: tuple[str, ...]
    before: Before
    during: During
    after: After
    local: Local | UnsetType = UNSET


def read_report(plain: Any) -> Report:
    """A report from decoded JSON. Raises StatementError."""
    try:
        return msgspec.convert(plain, Report, strict=True)
    except msgspec.ValidationError as error:
        raise StatementError(f"this is no window verification of schema 1: {error}") from None


def json_schema() -> bytes:
    """The JSON Schema (2020-12) of a report, always the same bytes."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Outrider window verification, schema 1",
        **msgspec.json.schema(Report),
    }
    return msgspec.json.format(msgspec.json.encode(schema, order="deterministic"), indent=1) + b"\n"
