"""The key `check_sets` of an agent's file: whose check sets it takes from its collector, and how far they may go.

Without the key an agent takes no checks from anybody. Whoever holds the private key that belongs to one of the public
keys can say what the agent checks, within all that the rest of the file allows; the collector cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from outrider.codecs.extras import MissingExtraError, require
from outrider.core.units import SECOND, Duration
from outrider.probes import Target
from outrider.strict_yaml import DurationText, Loaded, default


class CheckSetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose check sets are taken from the collector, and how far they may go. Any of several keys will do, so that one
    can follow another. `secrets` are those that a set's checks may name."""

    public_key_file: str | list[str]
    interval: DurationText = default(DurationText, "30s")
    shortest_interval: DurationText = default(DurationText, "5s")
    secrets: list[str] = []

    @property
    def key_files(self) -> list[str]:
        return [self.public_key_file] if isinstance(self.public_key_file, str) else self.public_key_file


@dataclass(frozen=True, slots=True)
class Granted:
    """What an agent's own file grants to check sets. `keys` are Ed25519 public keys in hex; `names` those of all its
    own checks, also where they do not run; a scenario that is named is looked for in `scenario_dirs`, then among those
    shipped."""

    keys: frozenset[str]
    interval: Duration
    shortest_interval: Duration
    secrets: frozenset[str]
    names: frozenset[str]
    targets: Mapping[str, Target]
    scenario_dirs: tuple[Path, ...]


def read_granted(
    loaded: Loaded[Any],
    settings: CheckSetSettings | None,
    base: Path,
    targets: Mapping[str, Target],
    scenario_dirs: Iterable[str],
) -> Granted | None:
    """What a file with these settings grants; None where it has none. Raises ConfigError."""
    if settings is None:
        return None
    at = ("check_sets",)
    try:
        require("check-sets", "check_sets")
    except MissingExtraError as error:
        raise loaded.located.error(at, str(error), at_key=True) from None
    for key, value in (("interval", settings.interval), ("shortest_interval", settings.shortest_interval)):
        if value < SECOND:
            raise loaded.located.error((*at, key), f"{key}: at least a second")
    return Granted(
        keys=_keys(loaded, base, settings),
        interval=int(settings.interval),
        shortest_interval=int(settings.shortest_interval),
        secrets=frozenset(settings.secrets),
        names=frozenset(check.name for check in loaded.value.checks),
        targets=targets,
        scenario_dirs=tuple(base / folder for folder in scenario_dirs),
    )


def _keys(loaded: Loaded[Any], base: Path, settings: CheckSetSettings) -> frozenset[str]:
    from outrider.codecs.ed25519_keys import KeyFileError, key_hex, public_key

    at = ("check_sets", "public_key_file")
    if not settings.key_files:
        raise loaded.located.error(at, "name a file with a public key; without one no check set is taken")
    try:
        return frozenset(key_hex(public_key(base / name)) for name in settings.key_files)
    except KeyFileError as error:
        raise loaded.located.error(at, f"{error}; `outrider checks key` prints one") from None
