"""`outrider window`: maintenance windows. The collector stamps each announcement; what was recorded stays.

Refused, because it cannot be meant: exit code 104. Recorded, but too late to excuse: 0, and a line that says so.
`verify` has codes of its own (`verify_window`).
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from outrider.collector_client import CollectorError, ask, ask_for_text, send_text
from outrider.commands import BAD_CONFIG, FAILED, PASS, verify_window
from outrider.commands.collector_options import add_collector, endpoint
from outrider.commands.processes import run_on_loop
from outrider.commands.window_yaml import windows_yaml
from outrider.redact import printable

_TIME = "with an offset, like 2026-06-01T22:00:00-04:00, or a wall time of --timezone"


def add(parser: argparse.ArgumentParser) -> None:
    common = argparse.ArgumentParser(add_help=False)
    add_collector(common)
    common.add_argument("--json", action="store_true", help="as JSON")
    signed = argparse.ArgumentParser(add_help=False)
    signed.add_argument("--author", default="", help="default: who you are to the collector, or here")
    zoned = argparse.ArgumentParser(add_help=False)
    zoned.add_argument("--timezone", metavar="ZONE", help="of times without an offset, like America/New_York")
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    _add_announce(acts.add_parser("announce", parents=[common, signed, zoned], help="record a new window"))
    move = acts.add_parser("move", parents=[common, signed, zoned], help="put a window that has not begun elsewhere")
    move.add_argument("--start", required=True, metavar="TIME", help=_TIME)
    _add_end(move, is_required=False)
    for name, text in (("extend", "let a window last longer"), ("shorten", "end a window earlier")):
        resize = acts.add_parser(name, parents=[common, signed, zoned], help=text)
        until = resize.add_mutually_exclusive_group(required=True)
        until.add_argument("--end", metavar="TIME", help=_TIME)
        until.add_argument("--by", metavar="DURATION", help="like 30m")
    for name, text in (("complete", "end a window that runs, now"), ("cancel", "take a window back")):
        acts.add_parser(name, parents=[common, signed], help=text)
    for name in ("move", "extend", "shorten", "complete", "cancel"):
        acts.choices[name].add_argument("window", metavar="ID")
        acts.choices[name].add_argument("--reason", help="why it changes; without, the reason stays")
    acts.add_parser("list", parents=[common], help="every window with what it excuses")
    history = acts.add_parser("history", parents=[common], help="every version of one window")
    history.add_argument("window", metavar="ID")
    verify_window.add(acts.add_parser("verify", parents=[common], help="whether a window went as it was announced"))
    _add_import(
        acts.add_parser("import", parents=[common, signed, zoned], help="windows from a calendar or a YAML file")
    )
    export = acts.add_parser("export", parents=[common], help="every window as iCalendar; as JSON with --json")
    export.add_argument("--yaml", action="store_true", help="as a file that `import` reads")
    export.add_argument("file", nargs="?", type=Path, metavar="FILE", help="standard output without")


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="FILE|URL", help="an iCalendar or YAML file, or its http(s) address")
    parser.add_argument("--calendar", metavar="NAME", help="what its events are known by; the file's name without")
    parser.add_argument("--scope", action="append", metavar="PATTERN", help="checks, for events that name none")
    parser.add_argument("--allow-unknown-checks", action="store_true", help="scopes may be of checks still to come")
    parser.add_argument("--dry-run", action="store_true", help="say what would be recorded, and record nothing")


def _add_announce(announce: argparse.ArgumentParser) -> None:
    announce.add_argument("--start", required=True, metavar="TIME", help=_TIME)
    _add_end(announce, is_required=True)
    announce.add_argument(
        "--recurrence", metavar="RRULE", help="like FREQ=WEEKLY;BYDAY=SU: a window for each occurrence in a year"
    )
    announce.add_argument("--exdate", action="append", metavar="TIME", help="an occurrence to leave out")
    announce.add_argument("--scope", action="append", metavar="PATTERN", help="checks it covers; all without")
    announce.add_argument("--allow-unknown-checks", action="store_true", help="the scope is of checks still to come")
    announce.add_argument("--reason", default="")
    announce.add_argument(
        "--emergency", action="store_true", help="not planned: shown, and excuses only what the agreement says so of"
    )


def _add_end(parser: argparse.ArgumentParser, *, is_required: bool) -> None:
    until = parser.add_mutually_exclusive_group(required=is_required)
    until.add_argument("--end", metavar="TIME", help="the first instant after it")
    until.add_argument("--duration", metavar="DURATION", help="like 4h or 90m")


def run(arguments: argparse.Namespace) -> int:
    try:
        _refuse_unsendable(arguments)
        arguments.collector = endpoint(arguments)
        if arguments.act == "verify":
            return verify_window.run(arguments)
        if arguments.act == "export" and arguments.json and arguments.yaml:
            raise CollectorError("--json and --yaml: one form at a time", refused=True)
        if arguments.act == "export" and not (arguments.json or arguments.yaml):
            return _write(run_on_loop(ask_for_text(arguments.collector, "/v1/windows.ics")), arguments.file)
        answer = run_on_loop(_import(arguments) if arguments.act == "import" else _ask(arguments))
    except CollectorError as error:
        print(f"outrider window: {error}", file=sys.stderr)
        return BAD_CONFIG if error.refused else FAILED
    if arguments.act == "export" and arguments.yaml:
        return _write(windows_yaml(answer["windows"]), arguments.file)
    if arguments.act == "export":
        return _write(msgspec.json.format(msgspec.json.encode(answer, order="deterministic")) + b"\n", arguments.file)
    _show(arguments, answer)
    return PASS


def _refuse_unsendable(arguments: argparse.Namespace) -> None:
    """What a shell can hand over and JSON or an address cannot carry. Raises CollectorError."""
    for name, given in vars(arguments).items():
        for text in given if isinstance(given, list) else [given]:
            if isinstance(text, str) and name != "source" and not text.isascii() and not _is_utf8(text):
                option = name if name == "window" else f"--{name.replace('_', '-')}"
                raise CollectorError(f"{option}: {text!r} is not UTF-8", refused=True)
    window = getattr(arguments, "window", None)
    if window is not None and not window.strip("."):  # an address would lose it
        raise CollectorError(f"there is no window {window!r}; `outrider window list` shows them", refused=True)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _show(arguments: argparse.Namespace, answer: Any) -> None:
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(answer, order="deterministic"), indent=1).decode())
        return
    from outrider.terminal.windows import show_history, show_windows

    if arguments.act == "import":
        for made in answer["recorded"]:
            print(
                f"{made['act']:8} {made['window']}  {made['start']} to {made['end']}  {printable(made['reason'], 80)}"
            )
        verb = "would be recorded" if answer["dry_run"] else "recorded"
        print(f"{len(answer['recorded'])} {verb}, {answer['unchanged']} unchanged, {answer['left_alone']} left alone")
    elif arguments.act == "history":
        show_history(answer)
    else:
        show_windows(answer.get("windows", [answer]))


def _write(text: bytes, file: Path | None) -> int:
    try:
        if file is None:
            sys.stdout.buffer.write(text)
            sys.stdout.flush()
        else:
            file.write_bytes(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"outrider window: {file or 'standard output'} cannot be written: {error.strerror}", file=sys.stderr)
        return FAILED
    return PASS


async def _ask(arguments: argparse.Namespace) -> Any:
    if arguments.act in ("list", "export"):
        return await ask(arguments.collector, "/v1/windows")
    if arguments.act == "announce":
        return await ask(arguments.collector, "/v1/windows", method="POST", body=_announcement(arguments))
    path = f"/v1/windows/{quote(arguments.window, safe='')}"
    if arguments.act == "history":
        return await ask(arguments.collector, path)
    body = _given(arguments, "start", "end", "duration", "by", "timezone", "reason")
    return await ask(arguments.collector, f"{path}/{arguments.act}", method="POST", body=body | _signed(arguments))


async def _import(arguments: argparse.Namespace) -> Any:
    from outrider_collector.calendars.source import SourceError, is_address, read_source

    source: str = arguments.source
    name = arguments.calendar
    if name is None and is_address(source):
        raise CollectorError(
            "--calendar: give the calendar at this address a name, its events are known by it", refused=True
        )
    try:
        raw = await read_source(source)
    except SourceError as error:
        raise CollectorError(str(error), refused=not is_address(source)) from None
    query: list[tuple[str, str]] = [("calendar", name or Path(source).name), *_signed(arguments).items()]
    is_yaml = source.lower().endswith((".yaml", ".yml"))
    query += [("format", "yaml")] if is_yaml else []
    query += [("scope", pattern) for pattern in arguments.scope or ()]
    query += [("timezone", arguments.timezone)] if arguments.timezone else []
    query += [(flag, "true") for flag in ("allow_unknown_checks", "dry_run") if getattr(arguments, flag)]
    try:
        return await send_text(arguments.collector, f"/v1/windows/import?{urlencode(query)}", raw)
    except CollectorError as error:
        if is_yaml and error.refused:  # a line for each mistake, and each begins with its place
            told = "\n".join(f"{source}:{each}" if each[0].isdecimal() else each for each in str(error).splitlines())
            raise CollectorError(told, refused=True) from None
        raise CollectorError(f"{name or source}: {error}", refused=error.refused) from None


def _announcement(arguments: argparse.Namespace) -> dict[str, Any]:
    body = _given(arguments, "start", "end", "duration", "timezone", "recurrence", "scope", "reason")
    if arguments.exdate:
        body["exdates"] = arguments.exdate
    if arguments.allow_unknown_checks:
        body["allow_unknown_checks"] = True
    if arguments.emergency:
        body["emergency"] = True
    return body | _signed(arguments)


def _given(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(arguments, name, None)) is not None}


def _signed(arguments: argparse.Namespace) -> dict[str, str]:
    """Whom a token speaks for the collector knows; without one it takes our word."""
    if not arguments.author and arguments.collector.has_token:
        return {}
    return {"author": arguments.author or _logged_in()}


def _logged_in() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # containers run as users without a name
        return f"user {os.getuid()}"
