"""The report of a window verification as HTML and as a schema; made again from a filed report, the same bytes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from collector_support import NOON, Collector, collecting
from test_window_verification import LATER, command, good, overran, report, slower, told, too_few

from outrider.core.units import HOUR
from outrider_collector.forms.reading import StatementError
from outrider_collector.forms.verification_document import SIGNS, lay_out, to_html
from outrider_collector.forms.verification_reading import json_schema, read_report


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    async with collecting(tmp_path) as made:
        made.clock.at = NOON - 3 * HOUR
        yield made


def outrider(*argv: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "outrider", "window", "verify", *argv], capture_output=True, timeout=60, check=False
    )


async def test_a_filed_report_makes_the_same_page_and_the_same_exit_code(collector: Collector, tmp_path: Path) -> None:
    window = await told(collector, slower())
    first, again, filed = tmp_path / "first.html", tmp_path / "again.html", tmp_path / "report.json"
    code, out, err = await command(collector, window, "--json", "--html", str(first))
    assert (code, err) == (1, "")
    filed.write_text(out)
    made = outrider("--report", str(filed), "--html", str(again), "--json")
    assert (made.returncode, made.stdout.decode()) == (1, out)
    assert again.read_bytes() == first.read_bytes()
    page = first.read_text()
    assert "default-src &#39;none&#39;; style-src &#39;sha256-" in page
    assert not re.search(r"<script|<link|<img|\shref=|\ssrc=|\sstyle=|url\(|@import", page)
    for words in ("✕</span> failed", "eligibility from east", "significant, and at least 1.2 times", "2h to spare"):
        assert words in page, words
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


@pytest.mark.parametrize("records", [good, slower, overran, too_few])
async def test_every_report_has_the_shape_of_its_schema_and_every_mark_a_sign(
    collector: Collector, records: Any
) -> None:
    window = await told(collector, records())
    for query in ({}, {"as_of": "2026-06-15T11:00:00Z"}, {"as_of": "2026-06-15T12:30:00Z"}, {"ratio": "2.5"}):
        read = read_report(await report(collector, window, **query))
        document = lay_out(read)
        cells = [
            cell for section in document.sections for table in section.tables for row in table.rows for cell in row
        ]
        assert {cell.verdict for cell in cells if not isinstance(cell, str)} <= SIGNS.keys()
        assert to_html(read) == to_html(read)


async def test_a_page_that_cannot_be_written_loses_no_report(collector: Collector, tmp_path: Path) -> None:
    window = await told(collector, good())
    code, out, err = await command(collector, window, "--json", "--html", str(tmp_path / "nowhere" / "r.html"))
    assert (code, json.loads(out)["verdict"], "No such file" in err) == (104, "all clear", True)


async def test_a_window_that_was_cancelled_has_a_page_too(collector: Collector) -> None:
    window = await told(collector, good(), at=NOON - HOUR)
    await collector.ask("POST", f"/v1/windows/{window}/cancel", json={"reason": "not needed"})
    page = to_html(read_report(await report(collector, window))).decode()
    assert "the window was cancelled" in page
    assert "The window is not over." in page


async def test_what_somebody_wrote_is_text_on_the_page(collector: Collector) -> None:
    window = await told(collector, good())
    plain = await report(collector, window)
    plain["window"] |= {"reason": "<script>alert(1)</script>\x1b[2J", "author": "\u202eops"}
    page = to_html(read_report(plain)).decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page


async def test_the_schema_is_printed_and_what_is_no_report_is_refused(collector: Collector, tmp_path: Path) -> None:
    made = outrider("--schema")
    assert (made.returncode, made.stdout) == (0, json_schema())
    assert json.loads(made.stdout)["$schema"].endswith("2020-12/schema")
    window = await told(collector, good(), at=LATER)
    plain = await report(collector, window)
    wrong: Any
    for wrong in ({**plain, "more": 1}, {**plain, "verdict": "fine"}, {**plain, "schema": 2}, [], "x"):
        with pytest.raises(StatementError, match="no window verification of schema 1"):
            read_report(wrong)
    path = tmp_path / "wrong.json"
    for text, words in (("[]", b"no window verification"), ("{", b"wrong.json: "), ("[" * 100_000, b"wrong.json: ")):
        path.write_text(text)
        made = outrider("--report", str(path))
        assert (made.returncode, words in made.stderr, b"Traceback" in made.stderr) == (104, True, False), made.stderr


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("w-1", "--schema"), b"name one window by its ID"),
        (("--report", "x", "--ratio", "2"), b"--ratio: belongs to the verification of a window"),
        (("--report", "x", "--wait"), b"--wait: belongs to"),
        (("--schema", "--html", "x"), b"--html: belongs to"),
        (("--report", "/nowhere/x"), b"No such file"),
        (("w-1", "--probe-interval", "2s"), b"an interval belongs to --probe-locally"),
    ],
)
def test_arguments_that_do_not_go_together_exit_with_104(argv: tuple[str, ...], words: bytes) -> None:
    made = outrider(*argv)
    assert (made.returncode, words in made.stderr) == (104, True), made.stderr
