"""An agreement as OpenSLO v1 documents (https://github.com/OpenSLO/OpenSLO): a Service, and an SLI and an SLO for each
clause.

Rules
-----
1. Availability is `Timeslices`: in each slice the share of regions that are not down, which has to be one minus the
   quorum at least. A response time is `Occurrences`: runs within the limit / all that count.
2. What OpenSLO has no word for stands in annotations under `outrider/`, as text, and the whole clause in words in
   `outrider/meaning`. Nothing is left out, but a reader that knows OpenSLO alone judges by less than was agreed.
3. A target of 100 % cannot be said (targets are below 1), and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import yaml

from outrider.core.clause_text import in_words
from outrider.core.guarantee import Agreement, Guarantee, Measure
from outrider.core.outcome import STANDINGS
from outrider.core.period import PeriodKind
from outrider.core.units import DAY, MINUTE, Duration, format_duration, format_instant
from outrider.core.verdict import cut_percent
from outrider.redact import printable

Plain = dict[str, Any]

_VERSION = "openslo/v1"
_LONGEST_NAME, _LONGEST_DESCRIPTION, _LONGEST_ANNOTATION = 63, 1050, 50_000
_ANCHOR = "2023-01-01 00:00:00"
"""When calendar windows are counted from: the first day of a month, and a Sunday, as the weeks of CORE want it."""

_WINDOWS = {PeriodKind.MONTH: "1M", PeriodKind.WEEK: "1w", PeriodKind.DAY: "1d"}


class NotExpressibleError(ValueError):
    """A clause that OpenSLO v1 cannot hold; the message says which and why."""


def to_openslo(agreement: Agreement) -> str:
    """YAML documents. Raises NotExpressibleError."""
    return yaml.safe_dump_all(
        _documents(agreement), sort_keys=False, allow_unicode=True, explicit_start=True, width=110
    )


def _documents(agreement: Agreement) -> Iterator[Plain]:
    service = _name(agreement.name)
    about = {"outrider/timezone": agreement.zone.key}
    if agreement.in_force_from is not None:
        about["outrider/in-force-from"] = format_instant(agreement.in_force_from)
    spec = {"description": f"Promised by {printable(agreement.name)}."}
    yield _document("Service", service, agreement.name, about, spec)
    taken: set[str] = set()
    for clause in agreement.guarantees:
        if clause.target == 1:
            raise NotExpressibleError(f"{clause.id}: OpenSLO v1 has no target of 100 %; it has to be below that")
        name = _unlike(_name(f"{service}-{clause.id}"), taken)
        taken.add(name)
        title = f"{clause.id} {clause.title}"
        yield _document("SLI", name, title, {}, {"ratioMetric": _ratio(clause)})
        yield _document("SLO", name, title, dict(_annotations(clause)), _objective(clause, service, name))


def _document(kind: str, name: str, title: str, annotations: dict[str, str], spec: Plain) -> Plain:
    metadata: Plain = {"name": name, "displayName": printable(title)}
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": _VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _ratio(clause: Guarantee) -> Plain:
    """Numerator and denominator; what they are counted from stands in the source's own fields."""

    def counted(what: str) -> Plain:
        fields: Plain = {"count": what, "checks": [printable(each) for each in clause.checks]}
        if clause.regions:
            fields["regions"] = [printable(each) for each in clause.regions]
        return {"metricSource": {"type": "outrider", "spec": fields}}

    if clause.limit is not None:
        good = f"good runs that took {format_duration(clause.limit)} or less"
        return {"counter": True, "good": counted(good), "total": counted("good and bad runs")}
    return {
        "counter": False,
        "good": counted("regions with data in the slice that are not down"),
        "total": counted("regions with data in the slice"),
    }


def _objective(clause: Guarantee, service: str, indicator: str) -> Plain:
    objective: Plain = {"displayName": printable(clause.title), "targetPercent": float(clause.target * 100)}
    if clause.measure is Measure.AVAILABILITY:
        objective |= {
            "timeSliceTarget": float(1 - clause.quorum),
            "timeSliceWindow": _slice(clause.slice),
        }
    return {
        "description": printable(in_words(clause), _LONGEST_DESCRIPTION),
        "service": service,
        "indicatorRef": indicator,
        "timeWindow": [_window(clause)],
        "budgetingMethod": "Timeslices" if clause.measure is Measure.AVAILABILITY else "Occurrences",
        "objectives": [objective],
    }


def _window(clause: Guarantee) -> Plain:
    if clause.rolling is not None:
        return {"duration": f"{clause.rolling // DAY}d", "isRolling": True}
    calendar = {"startTime": _ANCHOR, "timeZone": clause.zone.key}
    return {"duration": _WINDOWS[clause.period], "calendar": calendar, "isRolling": False}


def _slice(length: Duration) -> str | float:
    """Whole minutes in OpenSLO's shorthand; else minutes as a number, and exactly in the annotation."""
    return f"{length // MINUTE}m" if not length % MINUTE else float(Fraction(length, MINUTE))


def _annotations(clause: Guarantee) -> Iterator[tuple[str, str]]:
    """Rule 2."""
    yield "outrider/meaning", printable(in_words(clause), _LONGEST_ANNOTATION)
    yield "outrider/strict", str(clause.strict).lower()
    yield "outrider/slice", format_duration(clause.slice)
    yield "outrider/composite", clause.composite.value
    yield "outrider/view", clause.view.value
    yield "outrider/coverage-floor", cut_percent(clause.coverage_floor, 12)
    yield "outrider/windows-excuse", str(clause.windows_excuse).lower()
    yield "outrider/notice", format_duration(clause.notice)
    if clause.emergency_notice is not None:
        yield "outrider/emergency-notice", format_duration(clause.emergency_notice)
    if clause.cap is not None:
        yield "outrider/cap", format_duration(clause.cap)
    yield "outrider/void-inflight", str(clause.void_inflight).lower()
    if clause.regions:
        yield "outrider/regions", printable(", ".join(clause.regions), _LONGEST_ANNOTATION)
    for outcome, standing in clause.standings.items():
        if standing is not STANDINGS[outcome]:
            yield f"outrider/counts.{outcome.value}", standing.value


def _name(text: str) -> str:
    """A name as RFC 1123 has them: lowercase letters, digits and dashes, 63 at most."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:_LONGEST_NAME].strip("-") or "agreement"


def _unlike(name: str, taken: set[str]) -> str:
    """The same, or with a number where another clause has it."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name[: _LONGEST_NAME - 1 - len(str(number))].rstrip('-')}-{number}"
    return found
