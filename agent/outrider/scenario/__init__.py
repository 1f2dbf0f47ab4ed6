"""A scenario: what its file says (`file`), how names are filled in (`naming`), one run of it (`run`), and how a run is
undone (`undoing`)."""

from __future__ import annotations

from outrider.scenario.file import Cleanup, Inquiry, Money, Scenario, Step, held_against
from outrider.scenario.naming import (
    GENERATORS,
    OPAQUE,
    Path,
    Problem,
    Scalar,
    as_text,
    is_generator,
    plain_names,
    references,
    render,
)
from outrider.scenario.run import Call, ScenarioRun
from outrider.scenario.undoing import CleanupState

__all__ = [
    "GENERATORS",
    "OPAQUE",
    "Call",
    "Cleanup",
    "CleanupState",
    "Inquiry",
    "Money",
    "Path",
    "Problem",
    "Scalar",
    "Scenario",
    "ScenarioRun",
    "Step",
    "as_text",
    "held_against",
    "is_generator",
    "plain_names",
    "references",
    "render",
]
