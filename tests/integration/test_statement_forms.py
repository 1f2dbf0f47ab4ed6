"""Forms of a statement: they say what its JSON says, make what others wrote harmless, and come out the same again."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from collector_support import G1, G3, NOON, SETTLE, UTC, keep, run

from outrider.cli import main
from outrider.core.guarantee import Agreement, Guarantee, KnownExpiry
from outrider.core.intervals import Interval
from outrider.core.maintenance import Act, Announcement
from outrider.core.units import DAY, HOUR, MINUTE, SECOND
from outrider_collector.accounting import Accountant
from outrider_collector.forms.csv_form import COLUMNS, to_csv
from outrider_collector.forms.html_form import to_html
from outrider_collector.forms.pdf_form import latin, to_pdf
from outrider_collector.forms.reading import Statement, StatementError, json_schema, read_statement
from outrider_collector.statement import make_statement
from outrider_collector.store.duckdb_store import DuckdbStore

HALF_HOUR = Interval(NOON, NOON + 30 * MINUTE)
SCRIPT = '<script src="//evil.example/x.js">alert(1)</script>'
FORMULA = '=HYPERLINK("http://evil.example";"paid")'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckdbStore]:
    made = DuckdbStore(tmp_path / "results.duckdb")
    yield made
    made.close()


def made_of(
    store: DuckdbStore,
    *windows: Announcement,
    guarantees: tuple[Guarantee, ...] = (G1, G3),
    as_of: int = NOON + DAY,
    name: str = "Network services",
    known: tuple[KnownExpiry, ...] = (),
) -> dict[str, Any]:
    accountant = Accountant(store, Agreement(name, guarantees, UTC), SETTLE, known)
    plain = make_statement(accountant, store, accountant.basis(HALF_HOUR, as_of, windows), "2026-06")
    return dict(json.loads(msgspec.json.encode(plain, order="deterministic")))


def eventful(store: DuckdbStore) -> dict[str, Any]:
    """Outages, a partner's failure, a window in time and one too late, and names that others chose to do harm with."""
    for region in ("east", SCRIPT):
        for minute in range(HALF_HOUR.start, HALF_HOUR.end, MINUTE):
            is_down = NOON + 3 * MINUTE <= minute < NOON + 6 * MINUTE
            outcome = "service_down" if is_down else "ok"
            code = "</td><img src=x onerror=alert(2)>" if is_down else ""
            keep(store, [run(minute + 5 * SECOND, region=region, outcome=outcome, code=code, place="-2+3")], NOON)
    keep(store, [run(NOON + 20 * MINUTE + 30 * SECOND, outcome="partner_down", fault="partner")], NOON)
    keep(store, [run(NOON + n * MINUTE, check="@card", region="west") for n in range(3)], NOON)
    early, late = NOON - 100 * HOUR, NOON + 4 * MINUTE + 30 * SECOND
    windows = (
        Announcement("w-1", 1, Act.ANNOUNCE, NOON + 8 * MINUTE, NOON + 9 * MINUTE, early, ("*",), FORMULA, SCRIPT),
        Announcement(
            "w-2", 1, Act.ANNOUNCE, NOON + 4 * MINUTE, NOON + 5 * MINUTE, late, ("*",), "\u202ereversed\n2", "+ops"
        ),
        Announcement("w-2", 2, Act.CANCEL, NOON + 4 * MINUTE, NOON + 5 * MINUTE, late + SECOND, ("*",), "", "Ørsted ✓"),
    )
    known = (KnownExpiry(("card*",), HALF_HOUR),)
    floored = replace(G3, id="G3b", coverage_floor=Fraction(1), cap=HOUR, void_inflight=True)
    uncounted = replace(G1, id="G1b", windows_excuse=False, coverage_floor=Fraction(1, 3))
    return made_of(store, *windows, guarantees=(G1, G3, floored, uncounted), name=f"A & {SCRIPT}", known=known)


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(content.decode(), newline="")))


def leaves(value: Any) -> Iterator[Any]:
    match value:
        case dict():
            for each in value.values():
                yield from leaves(each)
        case list():
            for each in value:
                yield from leaves(each)
        case _:
            yield value


def cell_of(leaf: Any) -> str:
    text = {None: "", True: "true", False: "false"}[leaf] if leaf is None or isinstance(leaf, bool) else str(leaf)
    text = text.replace("\n", "\\n").replace("\u202e", "\\u202e")
    return f"'{text}" if isinstance(leaf, str) and text.startswith(("=", "+", "-", "@")) else text


# --- the schema -------------------------------------------------------------------------------------------------------


def test_real_statements_are_what_the_schema_says_and_nothing_is_lost_in_reading(store: DuckdbStore) -> None:
    empty = made_of(store)
    young = made_of(store, as_of=NOON + SECOND)
    for plain in (empty, young, eventful(store)):
        assert json.loads(msgspec.json.encode(read_statement(plain))) == plain


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, r"Invalid enum value 2 - at `\$.schema`"),
        ({"verdict": "fine"}, "Invalid enum value 'fine'"),
        ({"verdict": None}, "Expected `str`, got `null`"),
        ({"as_of": "yesterday"}, "matching regex"),
        ({"extra": 1}, "unknown field `extra`"),
        ({"ledger": -1}, ">= 0"),
        ({"guarantees": [{}]}, r"missing required field `id` - at `\$.guarantees\[0\]`"),
    ],
)
def test_what_is_no_statement_is_refused_with_its_place(store: DuckdbStore, change: Any, message: str) -> None:
    with pytest.raises(StatementError, match=message):
        read_statement({**made_of(store), **change})


def test_the_schema_names_every_field_and_allows_no_other() -> None:
    schema = json.loads(json_schema())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    found = schema["$defs"]["Statement"]
    assert (found["additionalProperties"], set(found["properties"])) == (False, set(Statement.__struct_fields__))
    assert set(found["properties"]) - set(found["required"]) == {"delivery"}, "statements from before have none"
    assert "limit_us" not in schema["$defs"]["Guarantee"]["required"]
    assert json_schema() == json_schema()


# --- CSV --------------------------------------------------------------------------------------------------------------


def test_every_fact_of_the_statement_is_a_row(store: DuckdbStore) -> None:
    plain = eventful(store)
    content = to_csv(read_statement(plain))
    rows = rows_of(content)
    assert (content.startswith(",".join(COLUMNS).encode() + b"\r\n"), content.endswith(b"\r\n")) == (True, True)
    cells = {cell for row in rows for cell in row.values()}
    listed = {part for cell in cells for part in cell.split("; ")}
    for leaf in leaves(plain):
        assert cell_of(leaf) in cells | listed, leaf
    where = ("G1", "eligibility", "guarantees.checks.adjusted", "figure")
    (figure,) = [row for row in rows if tuple(row[key] for key in ("guarantee", "check", "part", "field")) == where]
    (check,) = [each for each in plain["guarantees"][0]["checks"] if each["check"] == "eligibility"]
    adjusted = check["adjusted"]["figure"]
    assert [figure[key] for key in ("value", "numerator", "denominator")] == [
        adjusted["percent"], str(adjusted["numerator"]), str(adjusted["denominator"])
    ]  # fmt: skip


def test_no_cell_begins_like_a_formula_and_no_row_is_two_lines(store: DuckdbStore) -> None:
    content = to_csv(read_statement(eventful(store)))
    rows = rows_of(content)
    assert len(content.split(b"\r\n")) == len(rows) + 2
    texts = [cell for row in rows for cell in row.values() if not re.fullmatch(r"-?\d+", cell)]
    assert not [cell for cell in texts if cell.lstrip()[:1] in set("=+-@＝＋－＠\t\r\n")]
    assert {"'" + FORMULA, "'@card", "'+ops", "'-2+3", "\\u202ereversed\\n2"} <= set(texts)
    assert "-30000000" in {row["value"] for row in rows}, "a number of ours is a number"


# --- HTML and PDF -----------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Tags with their attributes, and the text outside the style sheet."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._tag = ""
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._tag = tag

    def handle_data(self, data: str) -> None:
        if self._tag != "style":
            self.text += data


def test_the_html_runs_nothing_loads_nothing_and_shows_what_others_wrote_as_text(store: DuckdbStore) -> None:
    content = to_html(read_statement(eventful(store)))
    page = Reader(content)
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "img", "link", "iframe", "object", "svg", "form", "a", "base"}
    attributes = {name for _, found in page.tags for name in found}
    assert not {name for name in attributes if name.startswith("on")} | (attributes & {"src", "href", "style"})
    assert "url(" not in content.decode()
    assert "@import" not in content.decode()
    (policy,) = [found["content"] for tag, found in page.tags if found.get("http-equiv")]
    assert str(policy).startswith("default-src 'none'; style-src 'sha256-")
    for written in (SCRIPT, FORMULA, "</td><img src=x onerror=alert(2)>", "\\u202ereversed\\n2"):
        assert written in page.text


def test_the_style_sheet_has_the_hash_that_the_page_allows(store: DuckdbStore) -> None:
    import base64
    import hashlib

    text = to_html(read_statement(made_of(store))).decode()
    style = text[text.index("<style>") + 7 : text.index("</style>")]
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in text
    assert "@media print" in style
    assert "prefers-color-scheme: dark" in style


def printed(content: bytes) -> str:
    """The text of an uncompressed PDF, its pieces joined by blanks."""
    pieces = re.findall(rb"\(((?:\\.|[^\\()])*)\) ?Tj", content, re.DOTALL)
    return " ".join(re.sub(rb"\\(.)", rb"\1", piece, flags=re.DOTALL).decode("latin-1") for piece in pieces)


def test_html_and_pdf_say_what_the_json_says(store: DuckdbStore) -> None:
    plain = eventful(store)
    statement = read_statement(plain)
    html = Reader(to_html(statement)).text
    pdf = re.sub(r"\s+", "", printed(to_pdf(statement)))
    wanted = [plain["as_of"], plain["period"]["start"], "missed", "inconclusive", "network view", "end to end", "p90"]
    for guarantee in plain["guarantees"]:
        wanted += [guarantee["id"], guarantee["reason"], guarantee["margin"]["text"]]
        for check in guarantee["checks"]:
            for share in (check["adjusted"]["figure"], check["adjusted"]["low"], check["raw"]["figure"]):
                wanted += (
                    [share["percent"].replace("%", " %")] if share and guarantee["measure"] == "availability" else []
                )
            wanted += [f"{each['slices']} of {each['of']}" for each in check["coverage"]]
            wanted += [each["start"] for each in check["adjusted"]["outages"]]
    for window in plain["windows"]:
        wanted += [window["window"], *(each["recorded_at"] for each in window["versions"])]
        wanted += [each["why_not"] for each in window["excuses"] if each["why_not"]]
    assert "Mean of the fastest nine tenths" in html
    for text in wanted:
        assert text in html
        assert re.sub(r"\s+", "", text) in pdf, text
    interval = plain["guarantees"][1]["adjusted"]["share_interval"]
    assert " to ".join(each["percent"].replace("%", " %") for each in interval) in html


def test_a_verdict_is_a_sign_and_a_word_beside_its_colour(store: DuckdbStore) -> None:
    statement = read_statement(eventful(store))
    html, pdf = to_html(statement).decode(), printed(to_pdf(statement))
    assert '<span class="mark bad"><span aria-hidden="true">✕</span> missed</span>' in html
    assert "(x) missed" in pdf
    assert "(?) inconclusive" in pdf


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zürich ±2", "Zürich ±2"),
        ("Łódź ✓ ∞", "\\u0141ód\\u017a \\u2713 infinite"),
        ("a\nb\x00\u202e", "a\\nb\\x00\\u202e"),
        ("x" * 30, "xxxxxxxxxxxxxxxxx..."),
        ("\U0001f4a5" * 30, "\\U0001f4a5\\U0001f..."),
    ],
)
def test_a_pdf_writes_what_latin_1_does_not_have_as_escapes(text: str, shown: str) -> None:
    assert latin(text, 20 if len(text) == 30 else 100) == shown


def test_texts_as_long_as_the_collector_takes_break_no_form(store: DuckdbStore) -> None:
    keep(store, [run(NOON + MINUTE)], NOON)
    wide = "W" * 200_000
    window = Announcement(
        "w-1", 1, Act.ANNOUNCE, NOON, NOON + HOUR, NOON - DAY, tuple("W" * 50 for _ in range(500)), wide, wide
    )
    statement = read_statement(made_of(store, window, name=wide))
    assert len(to_pdf(statement)) < 1_000_000
    assert len(to_html(statement)) < 1_000_000
    assert max(len(cell) for row in rows_of(to_csv(statement)) for cell in row.values()) <= 32_001


# --- made again -------------------------------------------------------------------------------------------------------

MAKERS = {"csv": to_csv, "html": to_html, "pdf": to_pdf}


def test_every_form_comes_out_byte_for_byte_the_same(store: DuckdbStore, tmp_path: Path) -> None:
    plain = eventful(store)
    filed = tmp_path / "statement.json"
    filed.write_bytes(msgspec.json.encode(plain))
    for seed, zone in (("1", "UTC"), ("77", "Asia/Tokyo")):
        command = [sys.executable, "-m", "outrider", "report", "--statement", str(filed), "--json"]
        forms = [each for form in ("html", "pdf") for each in (f"--{form}", str(tmp_path / f"{seed}.{form}"))]
        done = subprocess.run(
            [*command, *forms], capture_output=True, env={"PYTHONHASHSEED": seed, "TZ": zone, "PATH": ""}, check=False
        )
        assert (done.returncode, done.stderr) == (99, b"")
    assert main(["report", "--statement", str(filed), "--csv", str(tmp_path / "1.csv")]) == 99
    for form, make in MAKERS.items():
        content = make(read_statement(plain))
        assert content == make(read_statement(json.loads(filed.read_bytes())))
        for path in tmp_path.glob(f"*.{form}"):
            assert path.read_bytes() == content, path.name
    assert b"CreationDate (D:20260616120000Z" in to_pdf(read_statement(plain))


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_csv_goes_to_standard_output_alone(
    store: DuckdbStore, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    filed = tmp_path / "statement.json"
    filed.write_bytes(msgspec.json.encode(eventful(store)))
    assert main(["report", "--statement", str(filed), "--csv", "-"]) == 99
    out, error = capfdbinary.readouterr()
    assert (rows_of(out)[0]["field"], error) == ("schema", b"")


def test_the_schema_is_printed_by_the_command(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["report", "--schema"]) == 0
    assert capfdbinary.readouterr().out == json_schema()


def test_a_terminal_says_what_would_have_changed_the_verdict(
    store: DuckdbStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = eventful(store)
    filed = tmp_path / "statement.json"
    filed.write_bytes(msgspec.json.encode(plain))
    main(["report", "--statement", str(filed)])
    shown = re.sub(r"\s+", " ", capsys.readouterr().out)
    for guarantee in plain["guarantees"]:
        assert guarantee["margin"]["text"] in shown


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated"),
        (b"[" * 100_000, "statement.json: "),
        (b"\xff\xfe", "statement.json: "),
        (b'{"schema": 1}', "missing required field `agreement`"),
    ],
)
def test_a_file_that_is_no_statement_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    filed = tmp_path / "statement.json"
    filed.write_bytes(content)
    assert main(["report", "--statement", str(filed), "--html", str(tmp_path / "out.html")]) == 104
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.html").exists()


def test_a_form_that_cannot_be_written_is_told(
    store: DuckdbStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filed = tmp_path / "statement.json"
    filed.write_bytes(msgspec.json.encode(made_of(store)))
    assert main(["report", "--statement", str(filed), "--html", str(tmp_path / "none" / "out.html")]) == 104
    assert "No such file or directory" in capsys.readouterr().err
    same = str(tmp_path / "same")
    assert main(["report", "--statement", str(filed), "--html", same, "--pdf", same]) == 104
    assert "two forms go into the same file" in capsys.readouterr().err
    assert not Path(same).exists()
