"""Checking a folder of seals: offline, from the folder and the public key alone.

Rules
-----
1. What a seal says counts only if its signature is right. Of one whose signature is wrong, nothing else is said than
   where the chain breaks.
2. A row is looked for by what the seal signed: which records there are (ranges), and the hash of each one (the leaves,
   whose root is signed). The Parquet file is what is checked, and is believed in nothing.
3. Whatever is in the folder, the answer is a list of failures. Of each kind the first 20 are named and all are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import UNSET

from outrider.core.merkle import HASH_BYTES, leaf_hash, merkle_root
from outrider.core.units import format_instant
from outrider_collector.evidence import (
    MOST_SEAL_BYTES,
    PUBLIC_KEY,
    Seal,
    SealError,
    SealFiles,
    Tree,
    decode_seal,
    encode_seal,
    fingerprint,
    name_of_day,
    number_of_day,
    seal_names,
)
from outrider_collector.evidence.keys import is_signed, key_hex
from outrider_collector.evidence.rows import COLUMNS, Row, RowsError, read_rows

MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that is wrong. `seal` is the name that its files begin with; agent, epoch and seq where a row is meant.

    kind: no_seals, signature, key, chain, missing_seal, missing_day, head, unreadable, leaves, root, windows,
    statements, changed, missing, added.
    """

    kind: str
    message: str
    seal: str = ""
    agent: str = ""
    epoch: str = ""
    seq: int | None = None


@dataclass(slots=True)
class Findings:
    """What a check came to. `counts` counts failures of each kind, the unnamed too."""

    failures: list[Failure] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    gaps: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seals: int = 0
    records: int = 0
    first_day: str = ""
    last_day: str = ""
    head: str = ""

    def fail(self, failure: Failure) -> None:
        self.counts[failure.kind] += 1
        if self.counts[failure.kind] <= MOST_NAMED:
            self.failures.append(failure)

    @property
    def is_ok(self) -> bool:
        return not self.counts


def check_folder(folder: Path, key: Ed25519PublicKey, head: str = "") -> Findings:
    """Check every seal of a folder. `head` is the hash of a seal that has to be in the chain, as the other party was
    told it: without that, seals taken off the end are not noticed. Raises OSError where the folder cannot be listed."""
    findings = Findings()
    names = seal_names(folder)
    if not names:
        findings.fail(Failure("no_seals", f"there is no seal in {folder}"))
    walk = _Walk(folder, key, findings)
    for name in names:
        walk.step(name)
    _check_days(walk.signed, findings)
    if head and head not in walk.hashes:
        findings.fail(Failure("head", f"no seal has the hash {head[:64]}: seals were taken off the end, or replaced"))
    _note_strangers(folder, names, findings)
    findings.head = walk.hashes[-1] if walk.hashes else ""
    return findings


class _Walk:
    """Along the chain, one seal at a time."""

    def __init__(self, folder: Path, key: Ed25519PublicKey, findings: Findings) -> None:
        self.signed: list[Seal] = []
        self.hashes: list[str] = []
        self._folder, self._key, self._findings = folder, key, findings
        self._number = 0
        self._windows = _Lines("announcements of windows")
        self._statements = _Lines("issued statements")

    def step(self, name: str) -> None:
        files = SealFiles(self._folder, name)
        self._findings.seals += 1
        try:
            raw = _read(files.seal, MOST_SEAL_BYTES + 1)
            seal = decode_seal(raw)
        except (OSError, SealError) as error:
            self._fail("unreadable", name, f"the seal is not to be read: {_reason(error)}")
            raw, seal = b"", None
        number = int(name.partition("-")[0])
        self._check_link(name, number, seal)
        self._number = max(self._number, number)
        self.hashes.append(fingerprint(raw) if raw else "")
        if seal is None or not self._check_signature(files, seal, raw):
            self._windows.leaves = self._statements.leaves = None
            return
        self.signed.append(seal)
        self._findings.records += seal.records.count
        if seal.gap is not None:
            self._findings.gaps.append(f"{seal.day}: {seal.gap}")
        _RowCheck(files, seal, self._findings).run()
        self._check_lines("windows", files.windows, self._windows, name, seal.windows)
        if seal.statements is not UNSET:
            self._check_lines("statements", files.statements, self._statements, name, seal.statements)
        elif self._statements.leaves:
            self._fail("chain", name, "it has the format of seals without statements, after one that has them")

    def _fail(self, kind: str, name: str, message: str) -> None:
        self._findings.fail(Failure(kind, message, name))

    def _check_link(self, name: str, number: int, seal: Seal | None) -> None:
        for missing in range(self._number + 1, min(number, self._number + 1 + 10 * MOST_NAMED)):
            self._fail("missing_seal", name, f"seal {missing} is not there")
            self._windows.leaves = self._statements.leaves = None
        if number <= self._number:
            self._fail("chain", name, f"there are two seals with the number {number}")
        if seal is None:
            return
        if seal.name != name:
            self._fail("chain", name, f"the file's name is not that of the seal in it, {seal.name[:60]}")
        if number == self._number + 1 and seal.previous != (self.hashes[-1] if self.hashes else None):
            self._fail("chain", name, f"it does not follow from seal {self._number}, which was changed or replaced")

    def _check_signature(self, files: SealFiles, seal: Seal, raw: bytes) -> bool:
        given = key_hex(self._key)
        try:
            signature = _read(files.signature, 1000)
        except OSError as error:
            self._fail("signature", files.name, f"the signature is not to be read: {_reason(error)}")
            return False
        if is_signed(self._key, signature, raw) and seal.key == given and encode_seal(seal) == raw:
            return True
        if seal.key != given:
            self._fail("key", files.name, f"it names the key {seal.key[:16]}..., and was checked with {given[:16]}...")
        else:
            self._fail(
                "signature", files.name, "its signature is wrong: the seal was edited, or signed by somebody else"
            )
        return False

    def _check_lines(self, kind: str, path: Path, lines: _Lines, name: str, sealed: Tree) -> None:
        """Lines are added only: all of them so far, these included, have the root that was signed."""
        if lines.leaves is None:
            self._findings.notes.append(f"{name}: {lines.what} not checked, since a seal before it is not valid")
            return
        try:
            read = _read(path, MOST_SEAL_BYTES).split(b"\n")
        except OSError as error:
            self._fail(kind, name, f"the {lines.what} are not to be read: {_reason(error)}")
            lines.leaves = None
            return
        lines.leaves += [leaf_hash(line) for line in read[:-1]]
        is_right = read[-1] == b"" and merkle_root(lines.leaves).hex() == sealed.root
        if not is_right or len(lines.leaves) != sealed.count:
            self._fail(kind, name, f"its {lines.what} are not those that were sealed")
            lines.leaves = None


@dataclass(slots=True)
class _Lines:
    """The leaves of all lines of one kind so far; None once they are not known."""

    what: str
    leaves: list[bytes] | None = field(default_factory=list)


class _RowCheck:
    """One seal's rows against what it signed."""

    def __init__(self, files: SealFiles, seal: Seal, findings: Findings) -> None:
        self._files, self._seal, self._findings = files, seal, findings

    def run(self) -> None:
        if self._seal.columns != COLUMNS:
            self._fail("unreadable", "its columns are those of another version; check it with that one")
            return
        leaves = self._leaves()
        try:
            if leaves is None:
                self._check_root_alone()
            else:
                self._compare(leaves)
        except RowsError as error:
            self._fail("unreadable", f"the records are not to be read: {error}")

    def _leaves(self) -> bytes | None:
        """The hashes that were sealed; None, and a failure, where the file is not what was signed."""
        length = self._seal.records.count * HASH_BYTES
        try:
            raw = _read(self._files.leaves, length) if self._files.leaves.stat().st_size == length else None
        except OSError as error:
            self._fail("leaves", f"the leaf hashes are not to be read: {_reason(error)}")
            return None
        if raw is not None and len(raw) == length:
            leaves = (raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES))
            if merkle_root(leaves).hex() == self._seal.records.root:
                return raw
        self._fail("leaves", "the leaf hashes are not those that were sealed")
        return None

    def _check_root_alone(self) -> None:
        root = merkle_root(row.leaf for row in read_rows(self._files.records)).hex()
        if root == self._seal.records.root:
            self._findings.notes.append(f"{self._files.name}: its records are what was sealed; its leaf hashes are not")
        else:
            self._fail(
                "root", "the records are not those that were sealed; which ones cannot be told without the leaves"
            )

    def _compare(self, leaves: bytes) -> None:
        """Walk both in order. What is in one alone is missing or added; what is in both has the sealed hash, or was
        changed."""
        there = read_rows(self._files.records)
        row = next(there, None)
        for sealed in _sealed(self._seal, leaves):
            while row is not None and row.identity < sealed.identity:
                self._fail_row("added", row)
                row = next(there, None)
            if row is None or row.identity != sealed.identity:
                self._fail_row("missing", sealed)
                continue
            if row.leaf != sealed.leaf:
                self._fail_row("changed", row)
            row = next(there, None)
        while row is not None:
            self._fail_row("added", row)
            row = next(there, None)

    def _fail(self, kind: str, message: str) -> None:
        self._findings.fail(Failure(kind, message, self._files.name))

    def _fail_row(self, kind: str, row: Row) -> None:
        words = {"changed": "was changed", "missing": "is missing", "added": "was added"}
        message = f"the row of agent {row.agent}, epoch {row.epoch}, seq {row.seq} {words[kind]}"
        self._findings.fail(Failure(kind, message, self._files.name, row.agent, row.epoch, row.seq))


def _sealed(seal: Seal, leaves: bytes) -> Iterator[Row]:
    at = 0
    for agent, epoch, first, last in seal.ranges:
        for seq in range(first, last + 1):
            yield Row(agent, epoch, seq, leaves[at : at + HASH_BYTES])
            at += HASH_BYTES


def _check_days(signed: Sequence[Seal], findings: Findings) -> None:
    """Every day from the chain's first to its last has a seal, and the revisions of each day are without a hole."""
    if not signed:
        return
    since = number_of_day(signed[0].since)
    revisions: dict[int, list[int]] = {}
    for seal in signed:
        revisions.setdefault(number_of_day(seal.day), []).append(seal.revision)
    findings.first_day, findings.last_day = name_of_day(min(revisions)), name_of_day(max(revisions))
    for day in range(since, max(revisions)):
        if day not in revisions:
            findings.fail(Failure("missing_day", f"{name_of_day(day)} has no valid seal"))
    last = {number_of_day(seal.day): seal for seal in signed}
    findings.partial = [
        f"{each.day}: sealed at {format_instant(each.as_of)}, before it was over; no seal completes it"
        for _, each in sorted(last.items())
        if each.is_partial
    ]
    for day, found in sorted(revisions.items()):
        if found != list(range(1, len(found) + 1)):
            findings.fail(Failure("chain", f"{name_of_day(day)} has the revisions {found[:MOST_NAMED]}, not 1, 2, ..."))


def _note_strangers(folder: Path, names: Sequence[str], findings: Findings) -> None:
    known = {path.name for name in names for path in SealFiles(folder, name).all} | {PUBLIC_KEY}
    strangers = sorted(path.name for path in folder.iterdir() if path.name not in known)
    findings.notes += [f"{name} belongs to no seal, and was not looked at" for name in strangers[:MOST_NAMED]]


def _read(path: Path, most: int) -> bytes:
    """Raises OSError; also for a pipe or a device, which whoever made the folder could let us wait at for ever."""
    if path.exists() and not path.is_file():
        raise OSError("it is no regular file")
    with path.open("rb") as file:
        return file.read(most)


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def findings_plain(findings: Findings) -> dict[str, Any]:
    """For JSON."""
    return {
        "ok": findings.is_ok,
        "seals": findings.seals,
        "records": findings.records,
        "first_day": findings.first_day,
        "last_day": findings.last_day,
        "head": findings.head,
        "counts": dict(sorted(findings.counts.items())),
        "failures": [
            {name: getattr(each, name) for name in Failure.__slots__ if getattr(each, name) not in ("", None)}
            for each in findings.failures
        ],
        "gaps": findings.gaps,
        "partial": findings.partial,
        "notes": findings.notes,
    }
