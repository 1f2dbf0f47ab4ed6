"""Windows: in a statement, in a table of their own, and with every version."""

from __future__ import annotations

from collections.abc import Iterable

from rich.markup import escape
from rich.table import Table

from outrider.core.units import SECOND, format_duration
from outrider.terminal import Plain, console


def window_lines(windows: Iterable[Plain]) -> Iterable[str]:
    """Each window with its notice, and what it takes out under each guarantee."""
    for window in windows:
        notice = format_duration(window["versions"][0]["notice_us"] // SECOND * SECOND)
        reason = f": {escape(window['reason'])}" if window["reason"] else ""
        yield f"{escape(window['window'])}, {_act(window)}{reason}"
        yield f"  {window['start']} to {window['end']}, notice {notice}, scope {escape(', '.join(window['scope']))}"
        yield from (f"  excused under {_excuse(each)}" for each in window["excuses"])


def windows_table(windows: Iterable[Plain]) -> Table:
    """Windows with what each excuses under each guarantee."""
    table = Table(
        "window", "last act", "start", "end", "notice", "scope", "excuses", "reason", box=None, pad_edge=False
    )
    for window in windows:
        first = window["versions"][0]
        table.add_row(
            window["window"],
            _act(window),
            window["start"],
            window["end"],
            format_duration(first["notice_us"] // SECOND * SECOND),
            escape(", ".join(window["scope"])),
            "\n".join(_excuse(excuse) for excuse in window["excuses"]),
            escape(window["reason"]),
        )
    return table


def _act(made: Plain) -> str:
    return f"{made['act']} [yellow](emergency)[/]" if made.get("emergency") else str(made["act"])


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
            _act(made),
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
