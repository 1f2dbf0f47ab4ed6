"""What a window is verified by: its versions, and the runs around it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeAlias

from outrider.core.maintenance import Announcement
from outrider.core.units import Duration, Instant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of one check from one region in order: instants and latencies (us), and which of them were BAD. Raises
    ValueError unless there is one of each."""

    at: Ints
    latency: Ints
    is_bad: Bools

    def __post_init__(self) -> None:
        if not len(self.at) == len(self.latency) == len(self.is_bad):
            raise ValueError(f"{len(self.at)} instants, {len(self.latency)} latencies, {len(self.is_bad)} standings")

    def __len__(self) -> int:
        return len(self.at)

    def part(self, start: int, stop: int) -> Runs:
        return Runs(self.at[start:stop], self.latency[start:stop], self.is_bad[start:stop])


@dataclass(frozen=True, slots=True)
class Vantage:
    """A check as one region saw it around the window; `interval` is how often it runs (us)."""

    check: str
    region: str
    interval: Duration
    before: Runs
    during: Runs
    after: Runs

    @property
    def name(self) -> str:
        return f"{self.check} from {self.region}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a window is judged by. `history` is in the order of recording; `notices` is what each guarantee that windows
    excuse asks for, None where it excuses no window like this one; no run after `closes_at` is looked at. Raises
    ValueError without a history."""

    history: tuple[Announcement, ...]
    notices: tuple[tuple[str, Duration | None], ...]
    places: tuple[Vantage, ...]
    as_of: Instant
    closes_at: Instant

    def __post_init__(self) -> None:
        if not self.history:
            raise ValueError("a window that was never announced cannot be verified")

    @property
    def latest(self) -> Announcement:
        return self.history[-1]


def is_in_scope(version: Announcement, check: str) -> bool:
    """Whether a version's scope names the check, cancelled or not."""
    return any(fnmatchcase(check, pattern) for pattern in version.scope)
