"""Forms of a statement: they say what its JSON says, make what others wrote harmless, and come out the same again."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import astuple, replace
from fractions import Fraction
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from collector_support import G1, G3, NOON, SETTLE, UTC, keep, run
from fpdf import FPDF

from outrider.cli import main
from outrider.core.daily import DayState
from outrider.core.guarantee import Agreement, Guarantee, KnownExpiry
from outrider.core.intervals import Interval
from outrider.core.maintenance import Act, Announcement
from outrider.core.units import DAY, HOUR, MINUTE, SECOND
from outrider.terminal.statement import DAYS, show_statement
from outrider_collector.accounting import Accountant
from outrider_collector.forms.band import band_of
from outrider_collector.forms.bars import GLYPHS, MEANINGS, bars_of
from outrider_collector.forms.csv_form import COLUMNS, to_csv
from outrider_collector.forms.html_form import to_html
from outrider_collector.forms.pdf_figures import draw_band, draw_bars
from outrider_collector.forms.pdf_form import latin, to_pdf
from outrider_collector.forms.reading import State, Statement, StatementError, json_schema, raised, read_statement
from outrider_collector.statement import make_statement
from outrider_collector.store.duckdb_store import DuckdbStore

HALF_HOUR = Interval(NOON, NOON + 30 * MINUTE)
TONES = {"good", "bad", "unsure", "quiet", "paper"}
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
    plain = make_statement(accountant, accountant.basis(HALF_HOUR, as_of, windows), "2026-06")
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
        ({"schema": 0}, r"Invalid enum value 0 - at `\$.schema`"),
        ({"schema": 3}, r"is of schema 3, and this version of outrider reads schemas up to 2: a newer one made it"),
        ({"schema": "2"}, r"Expected `int`, got `str` - at `\$.schema`"),
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
    later = {"revision", "replaces", "delivery"}
    assert set(found["properties"]) - set(found["required"]) == later, "statements from before have none"
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
    assert not names & {"script", "img", "link", "iframe", "object", "form", "a", "base"}
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


@pytest.mark.parametrize("word", [1, 3, 4, 6, 7, 9, 11, 14, 20])
def test_texts_of_words_that_break_badly_fit_on_a_page(store: DuckdbStore, word: int) -> None:
    keep(store, [run(NOON + n, region=region, outcome="service_down") for n in range(3) for region in "ab"], NOON)
    words = ("W" * word + " ") * 5_000
    window = Announcement("w-1", 1, Act.ANNOUNCE, NOON, NOON + HOUR, NOON - DAY, ("*",), words, words)
    plain = made_of(store, window, name=words)
    outage = plain["guarantees"][0]["checks"][0]["adjusted"]["outages"]
    for each in outage:
        each["causes"][0]["place"] = words
    assert to_pdf(read_statement(plain)).rstrip().endswith(b"%%EOF")


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


# --- pictures ---------------------------------------------------------------------------------------------------------


def without_pictures(plain: dict[str, Any]) -> dict[str, Any]:
    """The same statement as it was filed before there were days and bands."""
    older = json.loads(json.dumps({**plain, "schema": 1}))
    for guarantee in older["guarantees"]:
        for place in (guarantee, *guarantee["checks"]):
            for name in ("days", "bands", "regions", "composite", "decided_by", "together", "periods"):
                place.pop(name, None)
    return dict(older)


def test_a_statement_of_the_older_schema_is_shown_as_it_was_filed(store: DuckdbStore) -> None:
    plain = without_pictures(eventful(store))
    statement = read_statement(plain)
    assert (statement.schema, statement.guarantees[0].composite, statement.guarantees[0].periods) == (1, "worst", ())
    html = to_html(statement)
    assert b"<svg" not in html
    assert plain["guarantees"][0]["reason"] in html.decode()
    assert "The last" not in printed(to_pdf(statement))
    assert rows_of(to_csv(statement))[0]["value"] == "1"


def test_a_state_of_a_day_is_told_by_its_shape_without_colour() -> None:
    shapes = {
        state: tuple(tuple(value for value in astuple(shape) if value not in TONES) for shape in glyph)
        for state, glyph in GLYPHS.items()
    }
    assert set(GLYPHS) == set(MEANINGS) == {each.value for each in DayState} == set(get_args(State)) == set(DAYS)
    assert len(set(shapes.values())) == len(GLYPHS)
    assert len(set(DAYS.values())) == len({re.sub(r"\[.*?\]", "", sign) for sign in DAYS.values()}) == len(DAYS)


def test_every_check_has_a_row_of_bars_that_says_in_words_what_it_shows(store: DuckdbStore) -> None:
    plain = eventful(store)
    page = Reader(to_html(read_statement(plain)))
    pictures = [found for tag, found in page.tags if tag == "svg" and found.get("role") == "img"]
    labels = [str(found["aria-label"]) for found in pictures if "aria-label" in found]
    for guarantee in plain["guarantees"]:
        if guarantee["measure"] != "availability":
            continue
        for check in guarantee["checks"]:
            states = [day["state"] for day in check["days"]]
            assert len(states) == 90
            (label,) = [each for each in labels[: len(guarantee["checks"]) + 1] if each.startswith(check["check"])]
            for state in set(states):
                assert f"{states.count(state)} {state}" in label
    assert labels[0].startswith("G1: the worst of 2 checks")
    named = [found["aria-labelledby"] for found in pictures if "aria-label" not in found]
    ids = {found.get("id") for _, found in page.tags}
    assert named
    assert all(set(str(each).split()) <= ids for each in named)


def test_a_band_has_its_limit_its_units_and_marks_what_is_off_the_scale(store: DuckdbStore) -> None:
    plain = eventful(store)
    statement = read_statement(plain)
    (band, *_) = [found for each in statement.guarantees if (found := band_of(each, statement))]
    bins = plain["guarantees"][1]["bands"]["bins"]
    assert len(band.columns) + len(band.gaps) == len(bins) == 30
    assert [column.p90 is None for column in band.columns] == [
        each["p90_us"] is None for each in bins if each["samples"]
    ]
    assert band.is_off_scale
    (excused,) = [gap for gap in band.gaps if gap.is_excused]
    assert excused.words == "2026-06-15 12:08: excused"
    assert (band.limit_label, band.above[-1][1]) == ("limit 10 s", "10 s")
    assert 0 < band.limit < 1
    assert all(0 <= value <= 1 for each in band.columns for value in (each.left, each.right, each.low, each.high))
    html, pdf = Reader(to_html(statement)).text, printed(to_pdf(statement))
    for text in ("limit 10 s", "off the scale", "rounded up to 1 ms", "The last 90 days", "Processing times"):
        assert text in html
        assert text in pdf


def test_a_picture_leaves_no_colour_behind_it(store: DuckdbStore) -> None:
    """Cells of a table have no fill of their own: they take the one that was set last."""
    statement = read_statement(eventful(store))
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", size=8)
    for guarantee in statement.guarantees:
        if bars := bars_of(guarantee, statement):
            draw_bars(pdf, bars, latin)
        elif band := band_of(guarantee, statement):
            draw_band(pdf, band, latin)
        colours = [color.colors for color in (pdf.fill_color, pdf.draw_color) if color is not None]
        assert [set(each) for each in colours] == [{1}, {0}]


@pytest.mark.parametrize("width", [100, 60])
def test_the_terminal_shows_all_of_it_in_a_hundred_columns(
    store: DuckdbStore, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    plain = eventful(store)
    show_statement(plain)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 100
    for part in plain["guarantees"][0]["checks"]:
        assert "".join(re.sub(r"\[.*?\]", "", DAYS[day["state"]]) for day in part["days"]).strip() in shown
    for each in plain["windows"]:
        assert f"{each['start']} to {each['end']}" in shown
    assert "p90 by 1 min: above the limit in 3 of" in shown
    show_statement(raised(without_pictures(plain)))
    assert "90 days" not in capsys.readouterr().out


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
