"""Medians with their spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def spread(values: Sequence[float], unit: str, digits: int = 3) -> str:
    """Median, and from the least to the most."""
    return (
        f"{statistics.median(values):.{digits}f} {unit} "
        f"({min(values):.{digits}f} to {max(values):.{digits}f}, {len(values)} runs)"
    )
