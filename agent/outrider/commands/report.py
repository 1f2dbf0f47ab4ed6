"""`outrider report`: the statement of a period. Exit 0 if every guarantee is met, 99 if one is missed, else 2.

`--issue` hands it out as a revision, which `--revision` makes again (see `outrider.commands.report_issued`).

CSV, HTML and PDF are made here, from the JSON that the collector answered or that was filed: so each party makes the
same bytes from the same statement, and the collector spends nothing on them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from outrider.collector_client import CollectorError, ask
from outrider.commands import BAD_CONFIG, FAILED, INCONCLUSIVE, MISSED, PASS, report_issued
from outrider.commands.collector_options import add_collector, endpoint
from outrider.commands.processes import run_on_loop

if TYPE_CHECKING:
    from outrider_collector.forms.reading import Statement

LARGEST_STATEMENT = 256 << 20
_FORMS = ("csv", "html", "pdf")


def add(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--period", metavar="PERIOD", help="a month 2026-06, a week 2026-W23, or a day 2026-06-01")
    which.add_argument("--last", metavar="DURATION", help="whole slices of the last 30m, 24h, ...")
    which.add_argument("--from", dest="start", metavar="TIME", help="from a time like 2026-06-01T00:00:00Z, with --to")
    which.add_argument(
        "--statement", metavar="FILE", type=Path, help="one that was kept as JSON; no collector is asked"
    )
    which.add_argument("--schema", action="store_true", help="print the JSON Schema of statements, and no statement")
    report_issued.add(parser, which)
    parser.add_argument("--to", metavar="TIME", help="with --from")
    parser.add_argument("--as-of", metavar="TIME", help="as the facts stood then; now without")
    add_collector(parser)
    out = parser.add_mutually_exclusive_group()
    out.add_argument("--json", action="store_true", help="the statement as JSON")
    out.add_argument("--csv", metavar="FILE", help="write it as CSV, a row for each fact; - is standard output")
    parser.add_argument("--html", metavar="FILE", help="write it as one HTML file that loads nothing")
    parser.add_argument("--pdf", metavar="FILE", help="write it as PDF")


def run(arguments: argparse.Namespace) -> int:
    if arguments.schema:
        from outrider_collector.forms.reading import json_schema

        sys.stdout.buffer.write(json_schema())
        return PASS
    if mistake := report_issued.wrong(arguments):
        print(f"outrider report: {mistake}", file=sys.stderr)
        return BAD_CONFIG
    answer: dict[str, Any] | None = None
    try:
        if not arguments.statement:
            arguments.collector = endpoint(arguments)
        if arguments.revisions or arguments.compare:
            return report_issued.listed(arguments)
        if arguments.issue or arguments.revision is not None:
            answer = report_issued.issued(arguments)
            statement = answer["statement"]
        else:
            statement = _filed(arguments.statement) if arguments.statement else run_on_loop(_asked(arguments))
        write_forms(statement, {form: getattr(arguments, form) for form in _FORMS if getattr(arguments, form)})
    except CollectorError as error:
        print(f"outrider report: {error}", file=sys.stderr)
        return BAD_CONFIG if error.refused else FAILED
    except (OSError, ValueError) as error:
        print(f"outrider report: {error}", file=sys.stderr)
        return BAD_CONFIG
    if arguments.csv != "-":
        show(statement, as_json=arguments.json)
    if answer is not None:
        return report_issued.tell(answer, quiet=arguments.json or arguments.csv == "-", exit_code=exit_code)
    return exit_code(statement)


async def _asked(arguments: argparse.Namespace) -> Any:
    wanted = {"period": arguments.period, "last": arguments.last, "from": arguments.start, "to": arguments.to}
    query = {key: value for key, value in {**wanted, "as_of": arguments.as_of}.items() if value}
    return await ask(arguments.collector, "/v1/statements", query=query)


def _filed(path: Path) -> Any:
    """A statement that was kept. Raises OSError, and ValueError for what is none."""
    from outrider_collector.forms.reading import read_statement

    with path.open("rb") as file:
        raw = file.read(LARGEST_STATEMENT + 1)
    if len(raw) > LARGEST_STATEMENT:
        raise ValueError(f"{path} is larger than any statement ({LARGEST_STATEMENT} bytes)")
    try:
        plain = msgspec.json.decode(raw)
        read_statement(plain)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from None
    return plain


def write_forms(plain: Any, wanted: Mapping[str, str]) -> None:
    """Make every form (csv, html, pdf), then write each where it is wanted; "-" is standard output, for CSV.

    A mistake in one leaves no half of the set behind. Raises OSError, and ValueError for what is no statement.
    """
    if not wanted:
        return
    from outrider_collector.forms.reading import read_statement

    statement = read_statement(plain)
    if len(set(wanted.values())) < len(wanted):
        raise ValueError("two forms go into the same file")
    made = {form: _maker(form)(statement) for form in wanted}
    for form, target in wanted.items():
        if (form, target) == ("csv", "-"):
            sys.stdout.buffer.write(made[form])
            sys.stdout.buffer.flush()
        else:
            Path(target).write_bytes(made[form])


def _maker(form: str) -> Callable[[Statement], bytes]:
    match form:
        case "csv":
            from outrider_collector.forms.csv_form import to_csv

            return to_csv
        case "html":
            from outrider_collector.forms.html_form import to_html

            return to_html
    from outrider_collector.forms.pdf_form import to_pdf

    return to_pdf


def show(statement: dict[str, Any], *, as_json: bool) -> None:
    """Print a statement."""
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(statement, order="deterministic"), indent=1).decode())
    else:
        from outrider.terminal.statement import show_statement
        from outrider_collector.forms.reading import raised

        show_statement(raised(statement))


def exit_code(statement: dict[str, Any]) -> int:
    """99 where a guarantee is missed, 2 where one cannot be judged, 0 where all are met."""
    verdicts = {guarantee["verdict"] for guarantee in statement["guarantees"]}
    if "missed" in verdicts:
        return MISSED
    return PASS if verdicts == {"met"} else INCONCLUSIVE
