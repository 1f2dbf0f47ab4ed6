"""The report of a window verification as people read it. Programs read `--json`."""

from __future__ import annotations

from collections.abc import Iterable

from rich.markup import escape
from rich.table import Table

from outrider.core.units import Duration, format_duration
from outrider.core.verification import RUNNING, told
from outrider.terminal import Plain, console, seconds

_STYLES = {"all clear": "bold green", "failed": "bold red", "inconclusive": "yellow"}
_STATES = {"stayed up": "green", "did not stay up": "red", "no data": "yellow"}
_CHANGES = {"slower": "bold red", "not slower": "green", "too few runs": "yellow"}


def show_verification(report: Plain) -> None:
    """Verdict first, then before, during and after."""
    out, window = console(), report["window"]
    out.print(
        f"\n[bold]Window {window['window']}[/] [{_STYLES[report['verdict']]}]{report['verdict']}[/]"
        f"  {'emergency: ' if window.get('emergency') else ''}{escape(window['reason'])}"
    )
    out.print(
        f"{window['start']} to {window['end']}, scope {escape(', '.join(window['scope']))}, as of {report['as_of']}"
    )
    settings = report["settings"]
    out.print(f"slower is {settings['ratio']} times or more, from {settings['baseline_runs']} runs on each side")
    for name, style in (("failures", "red"), ("pending", "yellow"), ("missing", "yellow")):
        for text in report[name]:
            out.print(f"  [{style}]{name.rstrip('s'):8}[/] {escape(text)}")
    out.print("\n[bold]Before[/]")
    for line in _before_lines(report["before"]):
        out.print(f"  {line}")
    out.print("[bold]During[/]")
    for line in _during_lines(report["during"]):
        out.print(f"  {line}")
    if report["after"]["back"]:
        out.print("[bold]After[/]")
        out.print(_after_table(report["after"]))
    if "local" in report:
        out.print("[bold]Probed locally[/] (purpose verify: in no account, and in no comparison)")
        for line in _local_lines(report["local"]):
            out.print(f"  {line}")


def _before_lines(before: Plain) -> Iterable[str]:
    for each in before["notices"]:
        margin = each["margin_us"]
        if margin is None:
            yield f"{escape(each['guarantee'])}: no notice applies, emergency maintenance excuses nothing"
            continue
        by = f"[green]met[/] by {told(margin)}" if margin >= 0 else f"[red]missed[/] by {told(-margin)}"
        yield f"{escape(each['guarantee'])}: notice of {format_duration(each['required_us'])} {by}"
    for each in before["baselines"]:
        short = f", [yellow]{each['missing']} missing[/]" if each["missing"] else ""
        yield f"{escape(each['check'])} from {escape(each['region'])}: {each['runs']} runs{short}"


def _during_lines(during: Plain) -> Iterable[str]:
    for each in during["in_scope"]:
        first = _against(each["first_after_start_us"], "after", "before", "the start")
        last = _against(each["last_before_end_us"], "before", "after", "the end")
        yield (
            f"{escape(each['check'])} from {escape(each['region'])}: {each['bad_runs']} bad runs, the first {first}, "
            f"the last {last}"
        )
    if not during["in_scope"]:
        yield "no bad run in scope"
    for each in during["out_of_scope"]:
        yield f"{escape(each['check'])} (out of scope): [{_STATES[each['state']]}]{each['state']}[/]"


def _against(distance: Duration, inside: str, outside: str, edge: str) -> str:
    if distance == 0:
        return f"at {edge}"
    return f"{told(distance)} {inside} {edge}" if distance > 0 else f"[red]{told(-distance)} {outside} {edge}[/]"


def _local_lines(local: Plain) -> Iterable[str]:
    for each in local["checks"]:
        state = "[green]good again[/]" if each["is_back"] else "[yellow]open[/]"
        void = f", {each['void_runs']} void" if each["void_runs"] else ""
        yield (
            f"{escape(each['check'])}: {state}, {each['good_running']} good runs running of {RUNNING}, "
            f"{each['bad_runs']} of {each['runs']} bad{void}"
        )


def _after_table(after: Plain) -> Table:
    table = Table("check", "good running", "p90 before", "p90 after", "compared", "", box=None, pad_edge=False)
    compared = {each["name"]: each for each in after["comparisons"]}
    for back in after["back"]:
        name = f"{back['check']} from {back['region']}"
        comparison = compared.get(name)
        p90 = next((each for each in (comparison or {}).get("questions", ()) if each["name"] == "p90"), None)
        change = "" if comparison is None else comparison["change"]
        table.add_row(
            escape(name),
            f"[{'green' if back['is_back'] else 'red'}]{back['good_running']}[/]",
            "" if p90 is None else seconds(p90["before_us"]),
            "" if p90 is None else seconds(p90["after_us"]),
            f"[{_CHANGES[change]}]{change}[/]" if change else "",
            "" if comparison is None else escape(comparison["reason"]),
        )
    return table
