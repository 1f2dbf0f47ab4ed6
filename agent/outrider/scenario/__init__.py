"""A scenario: what its file says (`file`), how names are filled in (`naming`), and one run of it (`run`)."""

from __future__ import annotations

from outrider.scenario.file import Cleanup, Money, Scenario, Step
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
from outrider.scenario.run import Call, CleanupState, ScenarioRun

__all__ = [
    "GENERATORS",
    "OPAQUE",
    "Call",
    "Cleanup",
    "CleanupState",
    "Money",
    "Path",
    "Problem",
    "Scalar",
    "Scenario",
    "ScenarioRun",
    "Step",
    "as_text",
    "is_generator",
    "plain_names",
    "references",
    "render",
]
