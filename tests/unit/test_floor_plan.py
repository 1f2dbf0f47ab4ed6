"""The floor plan as a test: who may import whom. The plan is the table below; docs/architecture.md explains it.

Imports go strictly downward. Modules on one floor do not import each other, except inside one package folder, and
there without circles. The collector and the sandbox stand on floors 0 and 1 alone.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ROOTS = ("agent", "collector", "sandbox")

FLOORS = {
    "outrider.core": 0,
    "outrider.clock": 1,
    "outrider.codecs": 1,
    "outrider.redact": 1,
    "outrider.resources": 1,
    "outrider.strict_yaml": 1,
    "outrider.zones": 1,
    "outrider.collector_access": 1,
    "outrider.collector_clock": 2,
    "outrider.scenario": 2,
    "outrider.spool": 2,
    "outrider.transport": 2,
    "outrider.generators": 3,
    "outrider.hygiene": 3,
    "outrider.probes": 3,
    "outrider.purse": 4,
    "outrider.target_policy": 4,
    "outrider.references": 4,
    "outrider.execution": 4,
    "outrider.check_set_settings": 4,
    "outrider.config": 5,
    "outrider.runner": 6,
    "outrider.check_sets": 6,
    "outrider.check_set_client": 8,
    "outrider.shipper": 6,
    "outrider.collector_client": 6,
    "outrider.agent_http": 8,
    "outrider.reloading": 7,
    "outrider.demo": 7,
    "outrider.terminal": 7,
    "outrider.issued_terminal": 8,
    "outrider.live": 8,
    "outrider.verification_terminal": 8,
    "outrider.commands": 9,
    "outrider.cli": 10,
    "outrider.__main__": 11,
}
GUESTS = {"outrider_collector": 1, "outrider_sandbox": 1}
"""Packages of their own, and the highest floor of `outrider` that they may stand on."""

GROUND = {"outrider"}
"""The package itself holds the version and nothing else; everybody may read it."""

IMPURE = {
    "asyncio", "datetime.now", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets",
    "select", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time",
    "urllib", "uuid",
}  # fmt: skip


def modules(project: Path) -> dict[str, Path]:
    """Every module of the three source roots by its import name."""
    found = {}
    for root in ROOTS:
        for path in sorted((project / root).glob("outrider*/**/*.py")):
            parts = path.relative_to(project / root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: set[str]) -> Iterator[tuple[int, str]]:
    """Every import in a file, lazy ones too, as (line, module). `from a import b` means a.b where that is a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            module = node.module or ""
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}" if f"{module}.{alias.name}" in known else module


def room(module: str) -> str:
    """The row of the plan that a module belongs to."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "outrider" and len(parts) > 1 else parts[0]


def is_allowed(importer: str, imported: str) -> bool:
    top, below = room(importer), room(imported)
    if top == below or below in GROUND:
        return True
    if top in GUESTS:
        return FLOORS.get(below, 99) <= GUESTS[top]
    if below in GUESTS:
        return top == "outrider.commands"
    return FLOORS[below] < FLOORS[top]


def climbs(project: Path) -> list[str]:
    """Every import that goes up, or sideways."""
    tree = modules(project)
    known = set(tree)
    return [
        f"{path.relative_to(project)}:{line}: {importer} may not import {imported}"
        for importer, path in tree.items()
        for line, imported in imports(path, known)
        if imported.partition(".")[0].startswith("outrider") and not is_allowed(importer, imported)
    ]


def circles(project: Path) -> list[str]:
    """Modules that import each other in a ring, also inside one folder."""
    tree = modules(project)
    known = set(tree)
    edges = {
        importer: {imported for _, imported in imports(path, known) if imported in known and imported != importer}
        for importer, path in tree.items()
    }
    found: list[str] = []
    done: set[str] = set()
    way: list[str] = []

    def visit(module: str) -> None:
        if module in way:
            found.append(" -> ".join([*way[way.index(module) :], module]))
            return
        if module in done:
            return
        way.append(module)
        for imported in sorted(edges[module]):
            visit(imported)
        way.pop()
        done.add(module)

    for module in sorted(edges):
        visit(module)
    return found


def test_every_module_has_a_floor() -> None:
    homeless = {room(module) for module in modules(PROJECT)} - FLOORS.keys() - GUESTS.keys() - GROUND
    assert not homeless, f"give {homeless} a floor in FLOORS, and a line in docs/architecture.md"


def test_every_floor_has_its_module() -> None:
    assert FLOORS.keys() | GUESTS.keys() <= {room(module) for module in modules(PROJECT)}


def test_nobody_imports_upward() -> None:
    assert climbs(PROJECT) == []


def test_nobody_imports_in_a_ring() -> None:
    assert circles(PROJECT) == []


def test_core_knows_the_standard_library_and_lazily_numpy_and_nothing_of_the_world() -> None:
    tree = modules(PROJECT)
    for module, path in tree.items():
        if room(module) != "outrider.core":
            continue
        for line, imported in imports(path, set(tree)):
            top = imported.partition(".")[0]
            assert top in {"outrider", "numpy"} | set(sys.stdlib_module_names), f"{path}:{line}: {imported}"
            assert top not in IMPURE, f"{path}:{line}: core has no {imported}"


def planted(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("agent/outrider/core/x.py", "from outrider.codecs import y\n"),
        ("agent/outrider/core/x.py", "def lazily():\n    import outrider.cli\n"),
        ("agent/outrider/runner.py", "from outrider.shipper import Shipper\n"),
        ("agent/outrider/runner.py", "from outrider_collector import app\n"),
        ("collector/outrider_collector/app.py", "from outrider.spool import Outbox\n"),
        ("sandbox/outrider_sandbox/app.py", "import outrider_collector.app\n"),
    ],
)
def test_the_plan_notices_a_planted_climb(tmp_path: Path, name: str, text: str) -> None:
    assert len(climbs(planted(tmp_path, {name: text}))) == 1


def test_the_plan_lets_a_step_down_pass(tmp_path: Path) -> None:
    files = {
        "agent/outrider/runner.py": "from outrider.core.units import SECOND\nfrom outrider import __version__\n",
        "agent/outrider/core/a.py": "from outrider.core import b\n",
        "agent/outrider/core/b.py": "",
        "agent/outrider/commands/c.py": "from outrider_collector.app import build_app\n",
    }
    assert climbs(planted(tmp_path, files)) == []
    assert circles(tmp_path) == []


def test_the_plan_notices_a_planted_ring(tmp_path: Path) -> None:
    files = {
        "agent/outrider/core/a.py": "from outrider.core import b\n",
        "agent/outrider/core/b.py": "from outrider.core.a import something\n",
    }
    assert circles(planted(tmp_path, files)) == ["outrider.core.a -> outrider.core.b -> outrider.core.a"]
