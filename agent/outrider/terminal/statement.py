"""A statement as people read it, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from outrider.core.units import format_duration
from outrider.terminal import NOTHING, Plain, console, percent, seconds, verdict
from outrider.terminal.windows import window_lines

_WIDEST = 100
_MOST_OUTAGES = 10
DAYS = {
    "up": "[green]█[/]",
    "partly down": "[red]▄[/]",
    "missed": "[bold red]X[/]",
    "inconclusive": "[yellow]?[/]",
    "no data": "[dim]·[/]",
    "excused": "[dim]=[/]",
    "not in force": " ",
}
"""A day in one letter."""


def show_statement(statement: Plain) -> None:
    """The statement as people read it, at most 100 columns wide."""
    out = console()
    out.width = min(out.width, _WIDEST)
    period = statement["period"]
    label = f", {escape(period['label'])}" if period["label"] else ""
    out.print(f"\n[bold]Statement: {escape(statement['agreement'])}[/]{label}")
    out.print(
        f"{period['start']} to {period['end']} as of {statement['as_of']}, verdict {verdict(statement['verdict'])}"
    )
    if statement.get("revision"):
        replaced = statement["replaces"]
        instead = f", replaces r{replaced['revision']} of {replaced['as_of']}" if replaced else ""
        out.print(f"issued as revision r{statement['revision']}{instead}")
    for line in _span_lines(statement):
        out.print(f"[yellow]{line}[/]")
    out.print()
    out.print(_guarantees(statement["guarantees"]))
    for guarantee in statement["guarantees"]:
        _show_guarantee(out, guarantee)
    if statement["windows"]:
        out.print("\n[bold]Maintenance[/]")
        for line in window_lines(statement["windows"]):
            out.print(line)
    if statement.get("delivery"):
        out.print("\n[bold]Delivery[/], in full minutes of the period")
        for each in statement["delivery"]:
            out.print(f"  {_delivery_line(each)}")


def _show_guarantee(out: Console, guarantee: Plain) -> None:
    out.print()
    out.print(f"[bold]{guarantee['id']}[/] {verdict(guarantee['verdict'])}: {escape(guarantee['reason'])}")
    out.print(f"  {escape(guarantee['margin']['text'])}")
    if uncertain := guarantee.get("uncertain"):
        text = escape(uncertain["text"])
        out.print(f"  [yellow]{text}[/]" if uncertain["differs"] else f"  {text}")
    if silent := _silent(guarantee):
        out.print(f"  [yellow]no run from {escape(', '.join(silent))}[/]")
    if guarantee["periods"]:
        out.print(_periods(guarantee["periods"]))
    if "adjusted" in guarantee:
        out.print(_readings(guarantee))
        lines = _response_lines(guarantee)
    else:
        out.print(_checks(_parts(guarantee)))
        periods = guarantee["periods"] or [guarantee]
        parts = [part for each in periods for part in _parts(each)]
        lines = (*_day_lines(guarantee), *_outage_lines(parts))
    for line in lines:
        out.print(f"  {line}")
    if any(part["coverage"] for part in guarantee["checks"]):
        out.print(_coverage(guarantee["checks"]))
    for line in _view_lines(guarantee["views"]):
        out.print(f"  {line}")


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
        measured = None if guarantee["periods"] else guarantee["measured"]
        if measured and (measured["start"], measured["end"]) != period:
            elsewhere.setdefault(f"judged from {measured['start']} to {measured['end']} only", []).append(
                guarantee["id"]
            )
        if not guarantee["is_clause_period"]:
            span = f"judged over this span; the clause's own period is the {guarantee['clause_period']}"
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
    """Adjusted and raw of what decides, named where it is one of several checks or periods."""
    (view,) = (each for each in guarantee["views"] if each["decides"])
    period = [each["label"] for each in guarantee["periods"] if each["decides"]]
    named = ", ".join(filter(None, [guarantee["decided_by"], *period]))
    adjusted = percent(view["adjusted"]) + (f" ({escape(named)})" if named else "")
    return adjusted, percent(view["raw"])


def _parts(judged: Plain) -> list[Plain]:
    """The rows of a guarantee or of one of its periods: the checks as one service, where they are, then each."""
    return [*([judged["together"]] if judged["together"] else []), *judged["checks"]]


def _silent(guarantee: Plain) -> list[str]:
    """Regions that had to speak, of which there is no run in any check."""
    spoke = {each["region"] for part in guarantee["checks"] for each in part["coverage"] if each["slices"]}
    return [region for region in guarantee["regions"] or () if guarantee["checks"] and region not in spoke]


def _periods(periods: Iterable[Plain]) -> Table:
    """The clause's own periods, each judged by itself."""
    table = Table(box=None, pad_edge=False)
    for head in ("  period", "verdict", "adjusted", "raw"):
        table.add_column(head, no_wrap=True)
    table.add_column("why")
    for each in periods:
        check = f"{each['decided_by']}: " if each["decided_by"] else ""
        table.add_row(
            "  " + each["label"] + (" (decides)" if each["decides"] else ""),
            verdict(each["verdict"]),
            percent(each["adjusted"]),
            percent(each["raw"]),
            escape(check + each["reason"]),
        )
    return table


def _checks(parts: Sequence[Plain]) -> Table:
    """Two lines for each check: its figures, and what they are made of."""
    table = Table("  check", "verdict", "adjusted", "at least", "at most", "raw", box=None, pad_edge=False)
    for part in parts:
        adjusted = part["adjusted"]
        table.add_row(
            "  " + escape(part["check"]),
            verdict(part["verdict"]),
            percent(adjusted["figure"]),
            percent(adjusted["low"]),
            percent(adjusted["high"]),
            percent(part["raw"]["figure"]),
        )
    table.add_row()
    table.add_row(*(f"[bold]{each}[/]" for each in ("  slices", "up", "down", "unknown", "excused", "good samples")))
    for part in parts:
        counts = (str(part["adjusted"][key]) for key in ("up", "down", "unknown", "excused"))
        table.add_row("  " + escape(part["check"]), *counts, percent(part["adjusted"]["good_share"]))
    return table


def _coverage(parts: Iterable[Plain]) -> Table:
    """A line for each check: the region with the least data; the others are in the other forms."""
    table = Table("  coverage of", "regions", "least of them", "slices with data", "share", box=None, pad_edge=False)
    for part in parts:
        least = min(part["coverage"], key=lambda region: region["slices"], default=None)
        if least is not None:
            share = NOTHING if least["percent"] is None else least["percent"].replace("%", " %")
            slices = f"{least['slices']} of {least['of']}"
            regions = str(len(part["coverage"]))
            table.add_row("  " + escape(part["check"]), regions, escape(least["region"]), slices, share)
    return table


def _day_lines(guarantee: Plain) -> Iterable[str]:
    """A letter a day, for each check."""
    days = guarantee.get("days") or []
    if not days:
        return
    yield ""
    yield f"{len(days)} days, {days[0]['day']} to {days[-1]['day']}:"
    for part in guarantee["checks"]:
        yield escape(part["check"])
        yield "".join(DAYS[day["state"]] for day in part["days"])
    found = {day["state"] for part in guarantee["checks"] for day in part["days"]}
    yield ", ".join(f"{sign} {state}" for state, sign in DAYS.items() if state in found and sign.strip())


def _outage_lines(parts: Sequence[Plain]) -> Iterable[str]:
    """The longest outages, in order of time, and how many more there were."""
    every = [(part["check"], outage) for part in parts for outage in part["adjusted"]["outages"]]
    longest = sorted(every, key=lambda pair: (-pair[1]["length_us"], pair[1]["start"], pair[0]))[:_MOST_OUTAGES]
    for check, outage in sorted(longest, key=lambda pair: (pair[1]["start"], pair[0])):
        causes = ", ".join(f"{cause['outcome']} ({cause['code']} at {cause['place']})" for cause in outage["causes"])
        yield (
            f"[red]outage[/] {escape(check)}: {outage['start']} to {outage['end']} "
            f"({format_duration(outage['length_us'])}), {', '.join(map(escape, outage['regions']))}: "
            f"{escape(causes) or 'no run was ok'}, {outage['samples']} failed samples"
        )
    if (more := sum(part["adjusted"]["outages_in_all"] for part in parts) - len(longest)) > 0:
        yield f"[red]and {more} more outages[/]: see --html, --pdf or --csv"


def _readings(guarantee: Plain) -> Table:
    """The readings of a response-time clause beside each other."""
    limit = format_duration(guarantee["limit_us"])
    both = [guarantee[side] for side in ("adjusted", "raw")]
    rows: Sequence[tuple[str, Callable[[Plain], str]]] = (
        (f"share within {limit}, failures counted as slow (decides)", lambda it: percent(it["share"])),
        ("transactions within / all", lambda it: f"{it['within']} of {it['samples']}"),
        ("p90, failures infinite", lambda it: seconds(it["p90_us"], it["samples"])),
        ("mean of the fastest nine tenths", lambda it: seconds(it["fastest_mean_us"], 9 * it["samples"] // 10)),
        (f"share within {limit} of answered ones only", lambda it: percent(it["answered_share"])),
        ("failed", lambda it: str(it["failed"])),
        ("left out as a partner failed", lambda it: str(it["partner_failed"])),
        ("void", lambda it: str(it["void"])),
    )
    table = Table("  reading", "adjusted", "raw", box=None, pad_edge=False)
    for name, read in rows:
        table.add_row("  " + name, *map(read, both))
    return table


def _response_lines(guarantee: Plain) -> Iterable[str]:
    interval = guarantee["adjusted"]["share_interval"]
    if interval:
        yield f"95 % interval of the share: {percent(interval[0])} to {percent(interval[1])}"
    if p90 := guarantee["adjusted"].get("p90_us_interval"):
        yield f"95 % interval of p90: {seconds(p90[0])} to {seconds(p90[1])}"
    if bands := guarantee.get("bands"):
        yield _band_line(bands, guarantee["limit_us"])
    if guarantee["remark"]:
        yield f"[yellow]{escape(guarantee['remark'])}[/]"


def _band_line(bands: Plain, limit: int) -> str:
    known = [each for each in bands["bins"] if each["samples"]]
    over = [each for each in known if each["p90_us"] is None or each["p90_us"] > limit]
    text = f"p90 by {bands['bin']}: above the limit in {len(over)} of {len(known)}"
    if not over:
        return text
    worst = max(over, key=lambda each: (each["p90_us"] is None, each["p90_us"] or 0))
    return f"[yellow]{text}[/], at worst {seconds(worst['p90_us'])} from {worst['start']} on"


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
