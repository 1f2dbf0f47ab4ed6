"""Making seals: which days are due, and how one seal's files come to be. See the rules of the package."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from outrider import __version__
from outrider.core.intervals import Interval
from outrider.core.maintenance import Announcement
from outrider.core.merkle import leaf_hash, merkle_root
from outrider.core.units import DAY, Duration, Instant, format_instant
from outrider_collector.evidence import (
    NO_RECORDS,
    PUBLIC_KEY,
    Seal,
    SealError,
    SealFiles,
    Tree,
    as_ranges,
    canonical,
    decode_seal,
    encode_seal,
    fingerprint,
    name_of_day,
    number_of_day,
    seal_names,
)
from outrider_collector.evidence.files import make_whole, write_whole
from outrider_collector.evidence.keys import KeyFileError, key_hex, private_key, public_pem
from outrider_collector.evidence.rows import COLUMNS, RowsError, read_rows
from outrider_collector.store import Store, StoreFailedError


class EvidenceError(StoreFailedError):
    """Nothing could be sealed; the message says why. What was sealed before stands."""


@dataclass(frozen=True, slots=True)
class Due:
    """A seal to make: of a day (since 1970), for what came in at ledger positions above `after`; `is_partial` where the
    day is not over, `completes` where it was not at its last seal. `before` records of it are sealed already."""

    day: int
    revision: int = 1
    after: int = 0
    is_partial: bool = False
    completes: bool = False
    before: int = 0


@dataclass(frozen=True, slots=True)
class SoFar:
    """What was sealed of a day: its last revision, the ledger position that it reaches, whether it is partial, and how
    many records all its seals hold."""

    revision: int
    ledger: int
    is_partial: bool = False
    records: int = 0


@dataclass(frozen=True, slots=True)
class Sealed:
    """A seal that was made, and the hash by which the next one names it."""

    seal: Seal
    hash: str

    @property
    def plain(self) -> dict[str, Any]:
        """For JSON and for people: all of the seal but its lists."""
        plain: dict[str, Any] = msgspec.to_builtins(self.seal)
        return {name: plain[name] for name in plain if name not in ("columns", "ranges")} | {"hash": self.hash}


def due(
    sealed: Mapping[int, SoFar], latest: Mapping[int, int], since: int, last: int, today: int | None = None
) -> list[Due]:
    """What to seal, in order: days that have no seal yet, addenda to those that do, and what there is of days that are
    not over, up to `today`, where that is asked for.

    latest: day -> the last position with a record of it. since: the first day of the chain; days before it are sealed
    where they have records. last: the last day that is old enough.
    """
    fresh = {day for day in range(since, last + 1) if day not in sealed}
    fresh |= {day for day in latest if day <= last and day not in sealed}
    addenda = [
        Due(day, so_far.revision + 1, so_far.ledger, completes=so_far.is_partial, before=so_far.records)
        for day, so_far in sorted(sealed.items())
        if day <= last and (so_far.is_partial or latest.get(day, 0) > so_far.ledger)
    ]
    early = [
        Due(day, sealed[day].revision + 1, sealed[day].ledger, is_partial=True, before=sealed[day].records)
        if day in sealed
        else Due(day, is_partial=True)
        for day in range(max(last + 1, since), (last if today is None else today) + 1)
        if day not in sealed or latest.get(day, 0) > sealed[day].ledger
    ]
    return [Due(day) for day in sorted(fresh)] + addenda + early


class Sealer:
    """Keeps one folder's chain. Safe to use from several threads; every method but `close` blocks while it works.

    `as_of` gives an instant up to which the ledger is complete; `announcements` those recorded by an instant, and
    `statements` those issued by one, each as plain values that stay the same for good.
    """

    def __init__(
        self,
        folder: Path,
        key: Path,
        store: Store,
        *,
        as_of: Callable[[], Instant],
        announcements: Callable[[Instant], Sequence[Announcement]],
        settle: Duration,
        statements: Callable[[Instant], Sequence[Mapping[str, Any]]] = lambda _: (),
    ) -> None:
        self.trouble = ""
        self.last_day: int | None = None
        """The last whole day, since 1970, that is known to be sealed."""
        self._statements = statements
        self._folder, self._key, self._store = folder, key, store
        self._as_of, self._announcements, self._settle = as_of, announcements, settle
        self._lock = threading.Lock()
        self._is_closed = False

    def public_key(self) -> bytes:
        """The public key in PEM; made now, if there is none yet. Raises EvidenceError."""
        try:
            return public_pem(private_key(self._key))
        except KeyFileError as error:
            raise EvidenceError(str(error)) from None

    def chain(self) -> list[Sealed]:
        """The seals of the folder, in order. Raises EvidenceError."""
        try:
            return [self._read(name) for name in (seal_names(self._folder) if self._folder.exists() else [])]
        except OSError as error:
            raise EvidenceError(f"cannot read {self._folder}: {error.strerror or error}") from None

    def _read(self, name: str) -> Sealed:
        files = SealFiles(self._folder, name)
        raw = files.seal.read_bytes()
        try:
            return Sealed(decode_seal(raw), fingerprint(raw))
        except SealError as error:
            raise EvidenceError(f"{files.seal}: {error}; restore the folder, or seal into an empty one") from None

    def seal(self, *, only_with_a_new_day: bool = False, with_today: bool = False) -> list[Sealed]:
        """Seal what is due; the seals made. With `only_with_a_new_day`, addenda wait until a day is due, so that an
        agent that catches up does not cause one seal after the other. With `with_today`, days that are not over are
        sealed too, as partial. Raises EvidenceError, StoreFailedError."""
        with self._lock:
            try:
                made = self._seal(only_with_a_new_day=only_with_a_new_day, with_today=with_today)
            except (OSError, KeyFileError, RowsError) as error:
                reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
                self.trouble = f"nothing was sealed in {self._folder}: {reason}"
                raise EvidenceError(self.trouble) from error
            except StoreFailedError as error:
                self.trouble = str(error)
                raise
            self.trouble = ""
            return made

    def _seal(self, *, only_with_a_new_day: bool, with_today: bool) -> list[Sealed]:
        first = self._store.first_recorded()
        if first is None:
            return []
        as_of = self._as_of()
        ledger = self._store.position(as_of)
        chain = self.chain()
        since = number_of_day(chain[0].seal.since) if chain else first // DAY
        sealed = _so_far(chain)
        self.last_day = max((day for day, so_far in sealed.items() if not so_far.is_partial), default=None)
        last_over = (as_of - self._settle) // DAY - 1
        wanted = due(sealed, self._store.days(ledger), since, last_over, as_of // DAY if with_today else None)
        if not wanted or (only_with_a_new_day and not any(it.revision == 1 or it.completes for it in wanted)):
            return []
        key = private_key(self._key)
        self._check_same(chain, key_hex(key.public_key()), ledger)
        basis = _Basis(
            name_of_day(since),
            as_of,
            ledger,
            [canonical(_plain(each)) for each in self._announcements(as_of)],
            [canonical(each) for each in self._statements(as_of)],
            key_hex(key.public_key()),
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._folder / PUBLIC_KEY, public_pem(key))
        made: list[Sealed] = []
        for each in wanted:
            if self._is_closed:
                break
            last = made[-1] if made else chain[-1] if chain else None
            seal, files = self._write(each, last, basis)
            raw = encode_seal(seal)
            write_whole(files.signature, key.sign(raw))
            write_whole(files.seal, raw)
            made.append(Sealed(seal, fingerprint(raw)))
            if not seal.is_partial:
                self.last_day = max(each.day, self.last_day or each.day)
        return made

    def _check_same(self, chain: Sequence[Sealed], key: str, ledger: int) -> None:
        """Go on with a chain only where it is this store's, under the same key."""
        if chain and chain[-1].seal.key != key:
            raise EvidenceError(
                f"{self._folder} was sealed with another key than {self._key}; seal into an empty folder"
            )
        if chain and chain[-1].seal.ledger > ledger:
            raise EvidenceError(
                f"{self._folder} was sealed up to ledger position {chain[-1].seal.ledger}, and the store ends at "
                f"{ledger}: it is another store's evidence, or the store lost records; seal into an empty folder"
            )
        # Positions that a restored store lost are given out again. Stamps are not: there it has less than was sealed.
        for each in chain[-1:]:
            found = self._store.position(each.seal.as_of)
            if found < each.seal.ledger:
                raise EvidenceError(
                    f"{self._folder} was sealed up to ledger position {each.seal.ledger} as of "
                    f"{format_instant(each.seal.as_of)}, and the store has {found} of that time: it lost records; "
                    "restore it, or seal into an empty folder"
                )

    def _write(self, wanted: Due, last: Sealed | None, basis: _Basis) -> tuple[Seal, SealFiles]:
        """Everything of a seal but itself and its signature, which follow when this is on the disk."""
        number = last.seal.number + 1 if last else 1
        day = name_of_day(wanted.day)
        files = SealFiles(self._folder, f"{number:06d}-{day}-r{wanted.revision}")
        span = Interval(wanted.day * DAY, (wanted.day + 1) * DAY)
        sealed_windows, sealed_statements = _sealed_lines(last.seal if last else None, basis)
        make_whole(files.records, lambda path: self._store.export(path, span, wanted.after, basis.ledger))
        leaves: list[bytes] = []

        def each_identity() -> Any:
            for row in read_rows(files.records):
                leaves.append(row.leaf)
                yield row.identity

        ranges = as_ranges(each_identity())
        write_whole(files.leaves, b"".join(leaves))
        write_whole(files.windows, b"".join(line + b"\n" for line in basis.windows[sealed_windows:]))
        write_whole(files.statements, b"".join(line + b"\n" for line in basis.statements[sealed_statements:]))
        is_gap = not leaves and not wanted.before and not wanted.is_partial
        return Seal(
            number=number,
            previous=last.hash if last else None,
            since=basis.since,
            day=day,
            revision=wanted.revision,
            gap=NO_RECORDS if is_gap else None,
            columns=COLUMNS,
            records=Tree(count=len(leaves), root=merkle_root(leaves).hex()),
            ranges=ranges,
            after=wanted.after,
            ledger=basis.ledger,
            as_of=basis.as_of,
            windows=_tree(basis.windows),
            statements=_tree(basis.statements),
            partial=wanted.is_partial,
            software=f"outrider {__version__}",
            key=basis.key,
        ), files

    def close(self) -> None:
        """Begin no further seal, and wait for the one that is being made."""
        self._is_closed = True
        with self._lock:
            pass


@dataclass(frozen=True, slots=True)
class _Basis:
    """What the seals of one round are made from. Announcements and issued statements are lines, as recorded."""

    since: str
    as_of: Instant
    ledger: int
    windows: Sequence[bytes]
    statements: Sequence[bytes]
    key: str


def _so_far(chain: Sequence[Sealed]) -> dict[int, SoFar]:
    """What was sealed, by day."""
    found: dict[int, SoFar] = {}
    for seal in (each.seal for each in chain):
        day = number_of_day(seal.day)
        before = found[day].records if day in found else 0
        found[day] = SoFar(seal.revision, seal.ledger, seal.is_partial, before + seal.records.count)
    return found


def _sealed_lines(last: Seal | None, basis: _Basis) -> tuple[int, int]:
    """How many announcements and statements are sealed already. Raises EvidenceError where those are no longer what
    was sealed."""
    windows = last.windows if last else _tree(())
    statements = last.statements if last and last.statements is not UNSET else _tree(())
    for what, sealed, lines in (
        ("windows no longer holds the announcements", windows, basis.windows),
        ("issued statements no longer holds those", statements, basis.statements),
    ):
        if _tree(lines[: sealed.count]) != sealed:
            raise EvidenceError(f"the register of {what} that were sealed; restore it")
    return windows.count, statements.count


def _tree(entries: Sequence[bytes]) -> Tree:
    return Tree(count=len(entries), root=merkle_root(map(leaf_hash, entries)).hex())


def _plain(announcement: Announcement) -> dict[str, Any]:
    """Fields by name: one that is added to announcements later must not change what older ones hash to."""
    return {
        "window": announcement.window,
        "version": announcement.version,
        "act": str(announcement.act),
        "start": announcement.start,
        "end": announcement.end,
        "recorded_at": announcement.recorded_at,
        "scope": list(announcement.scope),
        "reason": announcement.reason,
        "author": announcement.author,
        **({"emergency": True} if announcement.emergency else {}),
    }
