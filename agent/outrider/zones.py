"""Time zones by their IANA names, from the time-zone data that is pinned with this package (tzdata).

Neither a period nor a day may depend on what the machine happens to have, which may be old, or nothing at all.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, reset_tzpath

reset_tzpath(())

UTC = ZoneInfo("UTC")


def read_zone(name: str) -> ZoneInfo:
    """The zone of a name like America/New_York. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not an IANA time zone; write it like America/New_York") from None
