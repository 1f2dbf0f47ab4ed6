"""Files that come with the program: `config/` and `scenarios/`, in an installed wheel or in a checkout."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

_PACKAGE = Path(str(files("outrider")))


def shipped(*parts: str) -> Path:
    """The path of a shipped file or folder, as in shipped("scenarios", "eligibility.yaml")."""
    installed = _PACKAGE.joinpath("_shipped", *parts)
    return installed if installed.exists() else _PACKAGE.parents[1].joinpath(*parts)
