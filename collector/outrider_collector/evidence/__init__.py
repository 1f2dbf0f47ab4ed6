"""Evidence: each UTC day's records, sealed so that the other party can check them without trusting anybody's database.

Rules
-----
1. A seal is a canonical JSON document with a detached Ed25519 signature over its exact bytes. It names the hash of the
   seal before it, so that the seals of a folder are one chain, and no seal can be taken out of its middle.
2. A day is sealed once, as revision 1, when it is old enough. What comes in later goes into an addendum (revision 2, 3,
   ...) that holds the new records alone; what was sealed stays valid as it is.
3. The seal names each record, as ranges of seq for each agent and epoch, and the Merkle root of their rows in that
   order. The hashes of the rows stand beside it, so that a changed row can be named and not only noticed.
4. Every day from the first on has a seal. A day without records is sealed too, and says that it is a gap.
5. The announcements of maintenance windows recorded by then have a root of their own, over all of them in order of
   recording; each seal's file holds those that are new. So have the statements issued by then.
6. A day that is sealed before it is over, because somebody asked for it, has a seal that is marked partial. When it is
   over, an addendum that is not completes it, also where nothing came in meanwhile.
7. Seals of the older format have no statements and are never partial. They stay valid, and a chain goes on from them.
8. Nothing is written under its own name until it is whole and on the disk; the seal itself comes last. Files that no
   seal names are what a crash left, and are written again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from outrider.core.units import DAY, Instant, format_instant, parse_instant

FORMAT = "outrider-evidence/2"
FORMATS = ("outrider-evidence/1", FORMAT)
PUBLIC_KEY = "key.pub"
NO_RECORDS = "no records"
MOST_SEAL_BYTES = 64 << 20
_SEAL_NAME = re.compile(r"\d{6,}-\d{4}-\d\d-\d\d-r\d+\.seal\.json")


class SealError(ValueError):
    """Bytes that are no seal; the message says why."""


class Tree(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many entries, and the Merkle root over their leaves in hex."""

    count: int
    root: str


class Seal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is signed. Instants in microseconds since 1970, UTC.

    number: place in the chain, from 1. previous: SHA-256 of the previous seal's file, null in the first. since: the
    first day that the chain has to have. after, ledger: the records are those of the day at ledger positions above
    `after`, up to `ledger`. ranges: (agent, epoch, first seq, last seq) in the order of the leaves. windows: over every
    announcement recorded by `as_of`. statements: over every statement issued by then, and partial: whether the day was
    not over; both from format 2 on. key: the signer's public key, 32 bytes in hex.
    """

    format: str = FORMAT
    number: int
    previous: str | None
    since: str
    day: str
    revision: int
    gap: str | None
    columns: tuple[str, ...]
    records: Tree
    ranges: tuple[tuple[str, str, int, int], ...]
    after: int
    ledger: int
    as_of: Instant
    windows: Tree
    statements: Tree | UnsetType = UNSET
    partial: bool | UnsetType = UNSET
    software: str
    key: str

    @property
    def name(self) -> str:
        """What the names of its files begin with; in the order of names, seals are in the order of the chain."""
        return f"{self.number:06d}-{self.day}-r{self.revision}"

    @property
    def is_partial(self) -> bool:
        """Whether it was made before its day was over."""
        return self.partial is True


@dataclass(frozen=True, slots=True)
class SealFiles:
    """The files of one seal; `statements` from format 2 on."""

    folder: Path
    name: str
    seal: Path = field(init=False)
    signature: Path = field(init=False)
    records: Path = field(init=False)
    leaves: Path = field(init=False)
    windows: Path = field(init=False)
    statements: Path = field(init=False)

    def __post_init__(self) -> None:
        endings = {
            "seal": "seal.json",
            "signature": "seal.sig",
            "records": "parquet",
            "leaves": "leaves",
            "windows": "windows.jsonl",
            "statements": "statements.jsonl",
        }
        for attribute, ending in endings.items():
            object.__setattr__(self, attribute, self.folder / f"{self.name}.{ending}")

    @property
    def all(self) -> tuple[Path, ...]:
        return self.seal, self.signature, self.records, self.leaves, self.windows, self.statements


def seal_names(folder: Path) -> list[str]:
    """What the names of each seal's files begin with, in the order of the chain. Raises OSError."""
    found = (path.name for path in folder.iterdir() if _SEAL_NAME.fullmatch(path.name))
    names = [name.removesuffix(".seal.json") for name in found]
    return sorted(names, key=lambda name: (int(name.partition("-")[0]), name))


def canonical(plain: Any) -> bytes:
    """JSON with sorted keys and no white space, UTF-8 (as RFC 8785; all our numbers are whole)."""
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def encode_seal(seal: Seal) -> bytes:
    """The bytes that are signed, and that the next seal names by their hash."""
    return canonical(msgspec.to_builtins(seal))


def decode_seal(raw: bytes) -> Seal:
    """Read a seal. Raises SealError."""
    if len(raw) > MOST_SEAL_BYTES:
        raise SealError(f"it is longer than {MOST_SEAL_BYTES} bytes")
    try:
        seal = msgspec.json.decode(raw, type=Seal)
        number_of_day(seal.day), number_of_day(seal.since)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise SealError(f"it cannot be read: {error}") from None
    if seal.format not in FORMATS:
        raise SealError(f"its format is {seal.format[:40]!r}; this version reads {' and '.join(FORMATS)}")
    if {seal.statements is UNSET, seal.partial is UNSET} != {seal.format != FORMAT}:
        raise SealError("it has not the fields of its format")
    if sum(last - first + 1 for _, _, first, last in seal.ranges) != seal.records.count or any(
        not 1 <= first <= last for _, _, first, last in seal.ranges
    ):
        raise SealError("its ranges do not add up to its count")
    return seal


def fingerprint(raw: bytes) -> str:
    """SHA-256 of a seal's file in hex: what the next seal calls `previous`."""
    return hashlib.sha256(raw).hexdigest()


def number_of_day(day: str) -> int:
    """ "2026-06-15" as days since 1970. Raises ValueError."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
        raise ValueError(f"{day[:40]!r} is not a day like 2026-06-15")
    return parse_instant(f"{day}T00:00:00Z") // DAY


def name_of_day(number: int) -> str:
    """Days since 1970 as "2026-06-15"."""
    return format_instant(number * DAY)[:10]


def as_ranges(identities: Iterable[tuple[str, str, int]]) -> tuple[tuple[str, str, int, int], ...]:
    """(agent, epoch, seq), in order, as (agent, epoch, first, last)."""
    ranges: list[tuple[str, str, int, int]] = []
    for agent, epoch, seq in identities:
        if ranges and ranges[-1][:2] == (agent, epoch) and ranges[-1][3] == seq - 1:
            ranges[-1] = (agent, epoch, ranges[-1][2], seq)
        else:
            ranges.append((agent, epoch, seq, seq))
    return tuple(ranges)
