"""Each trial adds a row; the table of all rows is printed at the end, and kept where FAULTS_TABLE says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.ground import Sum, Trial, lay

_ROWS: list[tuple[str, Sum, str]] = []
_HEAD = ("Fault", "promised", "delivered", "missing", "twice", "wrong", "declared", "Seen")


@pytest.fixture(scope="session", autouse=True)
def network() -> None:
    if os.environ.get("OUTRIDER_FAULTS") != "namespaces":
        pytest.skip("run by `make faults`, as root, in namespaces of its own", allow_module_level=True)
    lay()


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def entered() -> Callable[[str, Sum, str], None]:
    """Enter a trial's sum into the table, and hold it to the promise."""

    def enter(fault: str, came: Sum, seen: str = "") -> None:
        _ROWS.append((fault, came, seen))
        assert came.promised > 0
        assert (came.missing, came.twice, came.wrong) == (0, 0, 0), came

    return enter


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _ROWS:
        return
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    for fault, came, seen in _ROWS:
        figures = (came.promised, came.delivered, came.missing, came.twice, came.wrong, came.declared)
        lines.append("| " + " | ".join([fault, *map(str, figures), seen]) + " |")
    terminalreporter.write_line("")
    terminalreporter.write_line("\n".join(lines))
    if path := os.environ.get("FAULTS_TABLE"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("\n".join(lines) + "\n")
