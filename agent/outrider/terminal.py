"""What people see on a terminal: tables of records, statements, windows. Programs read `--json`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from outrider.core.outcome import STANDINGS, OutcomeClass, Standing
from outrider.core.units import SECOND, format_duration
from outrider.core.wire import RunRecord

Plain = Mapping[str, Any]

VERDICT_STYLES = {"met": "green", "missed": "bold red", "inconclusive": "yellow", "no data": "dim"}
_STANDING_STYLES = {Standing.GOOD: "green", Standing.BAD: "red", Standing.PARTNER: "yellow", Standing.VOID: "dim"}
_INFINITE = "∞"
_NOTHING = "–"


def console() -> Console:
    """Standard output; wide enough for the tables where it is no terminal. NO_COLOR is honoured."""
    return Console(width=None if sys.stdout.isatty() else 150, highlight=False)


def verdict(text: str) -> str:
    """A verdict in its colour."""
    return f"[{VERDICT_STYLES.get(text, '')}]{text}[/]"


def outcome(text: str) -> str:
    """An outcome class in the colour of its standing."""
    return f"[{_STANDING_STYLES[STANDINGS[OutcomeClass(text)]]}]{text}[/]"


def seconds(duration: int | None, samples: int = 1) -> str:
    """Microseconds as seconds, rounded up to the millisecond; infinity for None, unless there was no sample."""
    if duration is None:
        return _INFINITE if samples else _NOTHING
    return f"{-(-duration // 1000) / 1000:.3f} s"


def percent(share: Plain | None) -> str:
    """A share of a statement as it was cut."""
    return _NOTHING if share is None else str(share["percent"]).replace("%", " %")


def show_records(records: Sequence[RunRecord]) -> None:
    """The table of `outrider once`."""
    table = Table("check", "outcome", "whose", "time", "step", "code", "place", "detail", box=None, pad_edge=False)
    for record in records:
        detail = escape(record.detail)
        if record.cleanup == "unconfirmed":
            detail = f"[bold red]cleanup not confirmed[/] {detail}"
        table.add_row(
            escape(record.check),
            outcome(record.outcome),
            "" if record.fault == "none" else record.fault,
            seconds(record.latency),
            escape(record.step),
            escape(record.code),
            escape(record.place),
            detail,
        )
    console().print(table)


def show_outcomes(rows: Iterable[Plain]) -> None:
    """The table of `outrider outcomes`."""
    table = Table("place", "code", "outcome", "whose", "network", "end to end", box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            escape(row["place"]),
            escape(row["code"]),
            outcome(row["outcome"]),
            "" if row["fault"] == "none" else row["fault"],
            row["network"],
            row["end_to_end"],
        )
    console().print(table)


def show_statement(statement: Plain) -> None:
    """The statement as people read it."""
    out = console()
    period = statement["period"]
    label = f", {escape(period['label'])}" if period["label"] else ""
    out.print(f"\n[bold]Statement: {escape(statement['agreement'])}[/]{label}")
    out.print(
        f"{period['start']} to {period['end']} as of {statement['as_of']}, verdict {verdict(statement['verdict'])}"
    )
    for line in _span_lines(statement):
        out.print(f"[yellow]{line}[/]")
    out.print()
    out.print(_guarantees(statement["guarantees"]))
    for guarantee in statement["guarantees"]:
        out.print()
        out.print(f"[bold]{guarantee['id']}[/] {verdict(guarantee['verdict'])}: {escape(guarantee['reason'])}")
        out.print(f"  {escape(guarantee['margin']['text'])}")
        if "adjusted" in guarantee:
            for line in _response_lines(guarantee):
                out.print(f"  {line}")
        else:
            out.print(_checks(guarantee["checks"]))
            for line in _outage_lines(guarantee["checks"]):
                out.print(f"  {line}")
        for line in _view_lines(guarantee["views"]):
            out.print(f"  {line}")
    if statement["windows"]:
        out.print("\n[bold]Maintenance[/]")
        out.print(windows_table(statement["windows"]))
    if statement.get("delivery"):
        out.print("\n[bold]Delivery[/]")
        for each in statement["delivery"]:
            out.print(f"  {_delivery_line(each)}")


def _delivery_line(row: Plain) -> str:
    """Where an agent's promised runs went; what is nothing is left out, but for what was delivered."""
    words = {"skipped": "skipped", "lost_in_flight": "lost in flight", "waiting": "waiting", "dropped": "dropped",
             "dead_lettered": "set aside", "under_way": "under way", "gaps": "missing",
             "declared_lost": "declared lost"}  # fmt: skip
    rest = "".join(f", {row[name]} {word}" for name, word in words.items() if row[name])
    carried = f" and {row['carried_over']} carried over" if row["carried_over"] else ""
    return f"{escape(row['agent'])}: {row['promised']} promised{carried}, {row['delivered']} delivered{rest}"


def _span_lines(statement: Plain) -> Iterable[str]:
    """What was judged, where that is not the whole period, or the period is not the clause's own."""
    period = (statement["period"]["start"], statement["period"]["end"])
    elsewhere: dict[str, list[str]] = {}
    for guarantee in statement["guarantees"]:
        measured = guarantee["measured"]
        if measured and (measured["start"], measured["end"]) != period:
            elsewhere.setdefault(f"judged from {measured['start']} to {measured['end']} only", []).append(
                guarantee["id"]
            )
        if not guarantee["is_clause_period"]:
            span = f"judged over this span; the clause itself is about a {guarantee['clause_period']}"
            elsewhere.setdefault(span, []).append(guarantee["id"])
    return [f"{', '.join(ids)}: {text}" for text, ids in elsewhere.items()]


def _guarantees(guarantees: Iterable[Plain]) -> Table:
    table = Table("", "guarantee", "verdict", "target", "adjusted", "raw", "lowest coverage", box=None, pad_edge=False)
    for guarantee in guarantees:
        adjusted, raw = _headline(guarantee)
        regions = [region for check in guarantee["checks"] for region in check["coverage"] if region["of"]]
        lowest = min(regions, key=lambda region: Fraction(region["slices"], region["of"]), default=None)
        table.add_row(
            guarantee["id"],
            escape(guarantee["title"]),
            verdict(guarantee["verdict"]),
            ("> " if guarantee["target"]["strict"] else "≥ ") + percent(guarantee["target"]),
            adjusted,
            raw,
            percent(lowest),
        )
    return table


def _headline(guarantee: Plain) -> tuple[str, str]:
    """Adjusted and raw; for several checks, of the one that is worst off."""
    if "adjusted" in guarantee:
        return tuple(percent(guarantee[side]["share"]) for side in ("adjusted", "raw"))  # type: ignore[return-value]
    parts = [part for part in guarantee["checks"] if part["adjusted"]["low"] is not None]
    if not parts:
        return _NOTHING, _NOTHING
    worst = min(parts, key=lambda part: _fraction(part["adjusted"]["low"]))
    return percent(worst["adjusted"]["figure"]), percent(worst["raw"]["figure"])


def _fraction(share: Plain) -> Fraction:
    return Fraction(share["numerator"], share["denominator"])


def _checks(parts: Iterable[Plain]) -> Table:
    table = Table(
        "  check", "verdict", "adjusted", "at least", "at most", "raw", "up", "down", "unknown", "excused",
        "good samples", "5-min mean", box=None, pad_edge=False,
    )  # fmt: skip
    for part in parts:
        adjusted = part["adjusted"]
        table.add_row(
            "  " + escape(part["check"]),
            verdict(part["verdict"]),
            percent(adjusted["figure"]),
            percent(adjusted["low"]),
            percent(adjusted["high"]),
            percent(part["raw"]["figure"]),
            *(str(adjusted[key]) for key in ("up", "down", "unknown", "excused")),
            percent(adjusted["good_share"]),
            percent(adjusted["five_minute_mean"]),
        )
    return table


def _outage_lines(parts: Iterable[Plain]) -> Iterable[str]:
    for part in parts:
        for outage in part["adjusted"]["outages"]:
            causes = ", ".join(
                f"{cause['outcome']} ({cause['code']} at {cause['place']})" for cause in outage["causes"]
            )
            yield (
                f"[red]outage[/] {escape(part['check'])}: {outage['start']} to {outage['end']} "
                f"({format_duration(outage['length_us'])}), {', '.join(map(escape, outage['regions']))}: "
                f"{escape(causes) or 'no run was ok'}, {outage['samples']} failed samples"
            )
        if (more := part["adjusted"]["outages_in_all"] - len(part["adjusted"]["outages"])) > 0:
            yield f"[red]and {more} more outages[/] of {escape(part['check'])}"


def _response_lines(guarantee: Plain) -> Iterable[str]:
    for side in ("adjusted", "raw"):
        figures = guarantee[side]
        samples = figures["samples"]
        nine_tenths = 9 * samples // 10
        yield (
            f"{side:9} {figures['within']} of {figures['samples']} within {format_duration(guarantee['limit_us'])} = "
            f"{percent(figures['share'])}; p90 {seconds(figures['p90_us'], samples)}; {figures['failed']} failed; "
            f"mean of the fastest nine tenths {seconds(figures['fastest_mean_us'], nine_tenths)}; "
            f"of answered ones only {percent(figures['answered_share'])}; "
            f"{figures['partner_failed']} left out as a partner failed, {figures['void']} void"
        )
    interval = guarantee["adjusted"]["share_interval"]
    if interval:
        yield f"95 % interval of the share: {percent(interval[0])} to {percent(interval[1])}"
    if guarantee["remark"]:
        yield f"[yellow]{escape(guarantee['remark'])}[/]"


_VIEW_WORDS = {"network": "network view", "end_to_end": "end to end"}


def _view_lines(views: Sequence[Plain]) -> Iterable[str]:
    """Both views, where a partner's failures part them."""
    if not any(view["partner_failed"] for view in views):
        return
    yield f"{views[0]['partner_failed']} runs failed at a partner:"
    for view in views:
        decides = ", which decides" if view["decides"] else ""
        figures = f"adjusted {percent(view['adjusted'])}, raw {percent(view['raw'])}"
        yield f"  {_VIEW_WORDS[view['view']]}{decides}: {verdict(view['verdict'])}; {figures}"


def windows_table(windows: Iterable[Plain]) -> Table:
    """Windows with what each excuses under each guarantee."""
    table = Table(
        "window", "last act", "start", "end", "notice", "scope", "excuses", "reason", box=None, pad_edge=False
    )
    for window in windows:
        first = window["versions"][0]
        table.add_row(
            window["window"],
            window["act"],
            window["start"],
            window["end"],
            format_duration(first["notice_us"] // SECOND * SECOND),
            escape(", ".join(window["scope"])),
            "\n".join(_excuse(excuse) for excuse in window["excuses"]),
            escape(window["reason"]),
        )
    return table


def _excuse(excuse: Plain) -> str:
    text = f"{excuse['guarantee']}: {format_duration(excuse['excused_us'])}"
    return text if excuse["why_not"] is None else f"{text} [yellow]({escape(excuse['why_not'])})[/]"


def show_windows(windows: Iterable[Plain]) -> None:
    """The table of `outrider window`; below it what comes too late to excuse all that it says."""
    shown = list(windows)
    console().print(windows_table(shown))
    for window in shown:
        for late in window.get("late", ()):
            what = "will not excuse" if late["excuses"] == "nothing" else "will excuse a part only"
            console().print(
                f"[yellow]{window['window']} {what} under {escape(late['guarantee'])}[/]: it had to be recorded by "
                f"{late['recorded_by']}; what was recorded last can excuse from {late['excusable_from']} on"
            )


def show_history(window: Plain) -> None:
    """Every version of a window, then how it stands."""
    table = Table("version", "act", "start", "end", "recorded", "notice", "scope", "author", "reason", box=None)
    for made in window["versions"]:
        table.add_row(
            str(made["version"]),
            made["act"],
            made["start"],
            made["end"],
            made["recorded_at"],
            format_duration(made["notice_us"] // SECOND * SECOND),
            escape(", ".join(made["scope"])),
            escape(made["author"]),
            escape(made["reason"]),
        )
    console().print(table)
    show_windows([window])
