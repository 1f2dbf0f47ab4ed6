"""A window verification laid out for people, with the headings, facts and tables of the statement's forms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from msgspec import UNSET

from outrider.core.units import Duration, format_duration
from outrider.core.verification import RUNNING, told
from outrider_collector.forms.document import NOTHING, Cell, Document, Mark, Section, Table, seconds
from outrider_collector.forms.html_form import render
from outrider_collector.forms.verification_reading import Comparison, Local, Notice, Report, Trouble
from outrider_collector.page_values import VERDICTS
from outrider_collector.page_values import Mark as Sign

SIGNS: Mapping[str, Sign] = {
    **VERDICTS,
    "all clear": Sign("✓", "all clear", "good"),
    "failed": Sign("✕", "failed", "bad"),
    "not asked for": Sign("–", "not asked for", "quiet"),
    "enough": Sign("✓", "enough", "good"),
    "too few": Sign("?", "too few", "unsure"),
    "stayed up": Sign("✓", "stayed up", "good"),
    "did not stay up": Sign("✕", "did not stay up", "bad"),
    "good again": Sign("✓", "good again", "good"),
    "not good": Sign("✕", "not good", "bad"),
    "open": Sign("?", "open", "unsure"),
    "missing": Sign("–", "missing", "quiet"),
    "slower": Sign("✕", "slower", "bad"),
    "not slower": Sign("✓", "not slower", "good"),
    "too few runs": Sign("?", "too few runs", "unsure"),
}


def to_html(report: Report) -> bytes:
    """The whole file, UTF-8; the same report is the same bytes."""
    return render(lay_out(report), SIGNS)


def lay_out(report: Report) -> Document:
    """Everything that a report says."""
    window = report.window
    sections = [_findings(report), _before(report), _during(report), _after(report)]
    if report.local is not UNSET:
        sections.append(_local(report.local))
    return Document(
        title=f"Verification: window {window.window}",
        subtitle=f"{window.start} to {window.end}",
        mark=Mark(report.verdict),
        facts=tuple(_facts(report)),
        sections=tuple(sections),
        notes=(
            "Made from the agents' ordinary runs, at most two days on either side; void runs, those that a partner "
            "failed, and time that another window excuses are left out.",
            "A failed run counts as slower than any. p90 is by nearest rank; times are rounded up to the millisecond.",
            "p-values are of one-sided permutation tests, corrected for all questions together (Holm). "
            "All times are in UTC.",
        ),
    )


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    window = report.window
    yield "As of", report.as_of
    yield "Scope", ", ".join(window.scope)
    yield "Reason", window.reason or NOTHING
    if window.emergency is True:
        yield "Kind", "emergency maintenance"
    yield "Last act", f"{window.act}, version {window.version}, recorded {window.recorded_at}"
    yield "Author", window.author or NOTHING
    yield "Slower is", f"{report.settings.ratio} times or more, and significantly so"
    yield "Compared from", f"{report.settings.baseline_runs} runs on each side"


def _findings(report: Report) -> Section:
    found = [
        (text, Mark(mark))
        for mark, texts in (("failed", report.failures), ("open", report.pending), ("missing", report.missing))
        for text in texts
    ]
    rows: list[tuple[Cell, ...]] = [(str(number), *each) for number, each in enumerate(found, start=1)]
    if not rows:
        return Section("Findings", None, ("It went as it was announced, and all is as it was before.",), (), ())
    return Section("Findings", None, (), (), (Table("", ("No.", "Finding", "State"), tuple(rows), (1, 12, 3)),))


def _before(report: Report) -> Section:
    notices: tuple[tuple[Cell, ...], ...] = tuple(map(_notice, report.before.notices))
    baselines: tuple[tuple[Cell, ...], ...] = tuple(
        (it.check, it.region, str(it.runs), str(it.missing), Mark("too few" if it.missing else "enough"))
        for it in report.before.baselines
    )
    tables = (
        Table("Notice", ("Guarantee", "Asked for", "Given", "Margin", "State"), notices, (5, 4, 4, 6, 4)),
        Table("Runs before the window", ("Check", "Region", "Runs", "Missing", "State"), baselines, (8, 5, 3, 3, 4)),
    )
    return Section("Before", None, _unless(tables, "Nothing is known of the time before."), (), _filled(tables))


def _notice(it: Notice) -> tuple[Cell, ...]:
    given = _signed(it.given_us, "before the start", "after the start")
    if it.required_us is None or it.margin_us is None:
        return it.guarantee, NOTHING, given, "emergency maintenance excuses nothing here", Mark("not asked for")
    margin = _signed(it.margin_us, "to spare", "too late")
    return it.guarantee, format_duration(it.required_us), given, margin, Mark("met" if it.is_met else "missed")


def _during(report: Report) -> Section:
    during = report.during
    states: tuple[tuple[Cell, ...], ...] = tuple((it.check, Mark(it.state)) for it in during.out_of_scope)
    tables = (
        _troubles("Trouble in scope", during.in_scope),
        Table("Checks out of scope", ("Check", "State"), states, (8, 6)),
        _troubles("Trouble out of scope", during.did_not_stay_up),
    )
    lead = () if during.in_scope else ("No bad run in scope.",)
    return Section("During", None, lead, (), _filled(tables))


def _troubles(caption: str, troubles: Iterable[Trouble]) -> Table:
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            it.check, it.region, str(it.bad_runs), it.first_bad,
            _signed(it.first_after_start_us, "after the start", "before the start"), it.last_bad,
            _signed(it.last_before_end_us, "before the end", "after the end"),
        )
        for it in troubles
    )  # fmt: skip
    columns = ("Check", "Region", "Bad runs", "First", "Against the start", "Last", "Against the end")
    return Table(caption, columns, rows, (7, 4, 3, 7, 6, 7, 6))


def _after(report: Report) -> Section:
    back: tuple[tuple[Cell, ...], ...] = tuple(
        (it.check, it.region, f"{it.good_running} of {RUNNING}", Mark("good again" if it.is_back else "not good"))
        for it in report.after.back
    )
    compared = tuple(chain.from_iterable(map(_compared, report.after.comparisons)))
    columns = ("Check and region", "Figure", "Before", "After", "Ratio", "p", "Runs", "Change", "Why")
    tables = (
        Table("Good runs running", ("Check", "Region", "Good running", "State"), back, (8, 5, 4, 5)),
        Table("Response times before and after", columns, compared, (9, 3, 4, 4, 3, 4, 5, 5, 10)),
    )
    return Section("After", None, _unless(tables, "The window is not over."), (), _filled(tables))


def _compared(it: Comparison) -> Iterator[tuple[Cell, ...]]:
    runs = f"{it.runs.before}, {it.runs.after}"
    if not it.questions:
        yield it.name, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, runs, Mark(it.change), it.reason
    for number, each in enumerate(it.questions):
        figures = (each.name, seconds(each.before_us), seconds(each.after_us), each.ratio or NOTHING, each.p)
        is_first = number == 0
        yield (
            it.name, *figures, runs, Mark("slower" if each.is_worse else "not slower"), it.reason if is_first else "",
        )  # fmt: skip


def _local(local: Local) -> Section:
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            it.check, f"{it.runs - it.bad_runs} of {it.runs}", str(it.void_runs), it.last_bad or NOTHING,
            it.first_good or NOTHING, f"{it.good_running} of {RUNNING}", Mark("good again" if it.is_back else "open"),
        )
        for it in local.checks
    )  # fmt: skip
    columns = ("Check", "Good runs", "Void", "Last bad", "First good since", "Good running", "State")
    lead = (
        f"Runs of purpose “verify” from the machine that asked, as region {local.region}, every "
        f"{format_duration(local.interval_us)} after the window. They stayed there: they are in no account, and in "
        "none of the figures above.",
    )
    return Section("Probed locally", None, lead, (), (Table("", columns, rows, (8, 4, 3, 7, 7, 4, 5)),))


def _filled(tables: Iterable[Table]) -> tuple[Table, ...]:
    return tuple(each for each in tables if each.rows)


def _unless(tables: Iterable[Table], otherwise: str) -> tuple[str, ...]:
    return () if _filled(tables) else (otherwise,)


def _signed(distance: Duration, ahead: str, behind: str) -> str:
    return f"{told(distance)} {ahead}" if distance >= 0 else f"{told(-distance)} {behind}"
