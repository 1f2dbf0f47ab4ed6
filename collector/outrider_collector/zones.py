"""Time zones by name, from the pinned data alone."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, reset_tzpath

# Periods are cut by the pinned time-zone data that statements name, not by whatever the machine has.
reset_tzpath(())


def find_zone(name: str) -> ZoneInfo:
    """A zone by its IANA name. Raises ValueError with what would have been right."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not an IANA time zone; write it like America/New_York") from None
