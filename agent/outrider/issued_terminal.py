"""What people see of issued statements: the list, what came of issuing one, and what changed between two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from outrider.core.units import format_duration
from outrider.terminal import console, percent, verdict

Plain = Mapping[str, Any]

_HEADLINES = {
    "adjusted.bad", "adjusted.down", "adjusted.excused", "adjusted.failed", "adjusted.figure", "adjusted.high",
    "adjusted.low", "adjusted.p90_us", "adjusted.samples", "adjusted.share", "adjusted.unknown", "adjusted.up",
    "adjusted.void", "adjusted.within", "excused_us", "raw.figure", "raw.samples", "raw.share", "reason", "verdict",
    "cap_us", "limit_us", "notice_us", "target", "target.strict",
}  # fmt: skip
"""Facts of a clause that are shown here; JSON has all of them."""

_LISTS = ("adjusted.outages ", "excused ")
_NOTHING = "–"


def show_issued(issued: Plain, *, is_new: bool) -> None:
    """What came of issuing, in a line or two."""
    name = f"{issued['period']} r{issued['number']}"
    if is_new:
        console().print(f"\n[bold]{escape(name)} issued[/] at {issued['issued_at']}, SHA-256 {issued['sha256']}")
        for reason in issued["why"]:
            console().print(f"  because of {escape(reason)}")
    else:
        console().print(
            f"\n[bold]{escape(name)} still holds[/]: nothing that changes it came in since {issued['as_of']}; no new "
            f"revision, SHA-256 {issued['sha256']}"
        )


def show_revisions(revisions: Iterable[Plain]) -> None:
    """The table of `outrider report --revisions`; below it why a statement is due again."""
    shown = list(revisions)
    if not shown:
        console().print("no statement was issued; `outrider report --period 2026-06 --issue` issues one")
        return
    table = Table("period", "", "verdict", "as of", "issued", "by", "stands", "SHA-256", box=None, pad_edge=False)
    for each in shown:
        stands = f"replaced by r{each['replaced_by']}" if each["replaced_by"] else "[green]yes[/]"
        table.add_row(
            escape(each["period"]),
            f"r{each['number']}",
            verdict(each["verdict"]),
            each["as_of"],
            each["issued_at"],
            escape(each["author"]),
            "[yellow]stale[/]" if each["stale"] else stands,
            each["sha256"][:16],
        )
    console().print(table)
    for each in shown:
        if each["stale"]:
            reasons = escape("; ".join(each["stale_because"]))
            console().print(f"[yellow]{escape(each['period'])} r{each['number']} is stale[/]: {reasons}")


def show_changes(compared: Plain) -> None:
    """What changed from one revision to another, clause by clause."""
    out = console()
    before, after = compared["before"], compared["after"]
    out.print(
        f"\n[bold]{escape(compared['period'])}, r{before['number']} to r{after['number']}[/]: "
        f"verdict {verdict(before['verdict'])} to {verdict(after['verdict'])}; as of {before['as_of']} and "
        f"{after['as_of']}; {compared['results_between']} results of the period came in between"
    )
    for reason in after["why"]:
        out.print(f"  r{after['number']} was issued because of {escape(reason)}")
    if not compared["changes"]:
        out.print("Nothing else changed.")
    hidden = 0
    for title, some in _by_place(compared["changes"]).items():
        shown = [each for each in some if _is_headline(each)]
        hidden += len(some) - len(shown)
        if shown:
            out.print(f"\n[bold]{escape(title)}[/]")
            out.print(_table(shown))
    if hidden:
        out.print(f"\nand {hidden} figures that follow from these; --json has all of them")


def _by_place(changes: Iterable[Plain]) -> dict[str, list[Plain]]:
    found: dict[str, list[Plain]] = {}
    for each in changes:
        clause, check, window = (each.get(name, "") for name in ("clause", "check", "window"))
        title = f"window {window}" if window else ", ".join(filter(None, (clause, check))) or "the statement"
        found.setdefault(title, []).append(each)
    return found


def _is_headline(change: Plain) -> bool:
    what = change["what"]
    return not change.get("clause") or what in _HEADLINES or what.startswith(_LISTS) or what in ("guarantee", "check")


def _table(changes: Iterable[Plain]) -> Table:
    table = Table("  what", "before", "after", box=None, pad_edge=False)
    for each in changes:
        is_time = each["what"].endswith("_us")
        values = (_value(each[side], is_time=is_time) for side in ("before", "after"))
        table.add_row(f"  {escape(each['what'])}", *map(escape, values))
    return table


def _value(value: Any, *, is_time: bool) -> str:
    match value:
        case None:
            return _NOTHING
        case {"percent": _, "numerator": numerator, "denominator": denominator}:
            return f"{percent(value)} ({numerator}/{denominator})"
        case {"start": start, "end": end}:
            return f"{start} to {end}"
        case dict():
            return "there"
        case int() if is_time:
            return format_duration(value)
        case list():
            return ", ".join(_value(each, is_time=False) for each in value) or _NOTHING
    return str(value)
