"""The pages under docs/ against the code: lists that somebody has to keep by hand, and forgets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from pathlib import Path

import pytest

from outrider.codecs.published_cards import PUBLISHED
from outrider.probes.table import PROBES
from outrider.probes.x12 import TRANSACTIONS
from outrider.probes.x12_envelopes import ENVELOPES
from outrider.scenario.naming import GENERATORS
from outrider_sandbox.faults import KINDS
from outrider_sandbox.services import SERVICES

PROJECT = Path(__file__).resolve().parents[2]
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((PROJECT / "docs").glob("*.md"))}
SCENARIOS = {path.stem for path in (PROJECT / "scenarios").glob("*.yaml")}


def first_cells(page: str, heading: str) -> set[str]:
    """Every name in backticks in the first column of the table with this heading, to the table's end."""
    rows = PAGES[page].partition(f"| {heading} |")[2].partition("\n\n")[0].splitlines()
    return {name for row in rows if row.startswith("|") for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


def test_readme_names_every_page() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert [page for page in PAGES if f"](docs/{page})" not in readme] == []


@pytest.mark.parametrize(
    ("page", "heading", "known"),
    [
        ("sandbox.md", "Kind", set(KINDS)),
        ("configuration.md", "Probe | `request`", set(PROBES)),
        ("configuration.md", "`transaction`", set(TRANSACTIONS)),
        ("configuration.md", "`envelope`", set(ENVELOPES)),
        ("configuration.md", "Name", SCENARIOS),
    ],
)
def test_a_table_has_one_row_for_each_that_there_is(page: str, heading: str, known: Set[str]) -> None:
    parameters = {name for kind in KINDS.values() for name in kind.parameters}
    assert first_cells(page, heading) - (parameters - known) == known


def test_the_sandbox_page_names_what_each_fault_can_be_told() -> None:
    page = PAGES["sandbox.md"].partition("## Faults")[2]
    told = [(kind, name) for kind, each in KINDS.items() for name in each.parameters if name not in page]
    assert told == []
    assert [name for name in SERVICES if f"| {name} |" not in PAGES["sandbox.md"]] == []


def test_the_generators_are_told() -> None:
    assert [name for name in GENERATORS if f"`${{{name}}}`" not in PAGES["configuration.md"]] == []


def test_no_page_holds_a_card_number_that_is_not_published() -> None:
    assert set(_sixteen_digits(PAGES.values())) - PUBLISHED == set()


def _sixteen_digits(pages: Iterable[str]) -> Iterable[str]:
    for page in pages:
        yield from re.findall(r"(?<![0-9])[0-9]{15,16}(?![0-9])", page)


def test_a_link_between_pages_leads_somewhere() -> None:
    for page, text in PAGES.items():
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (PROJECT / "docs" / link).exists(), f"{page}: {link}"
