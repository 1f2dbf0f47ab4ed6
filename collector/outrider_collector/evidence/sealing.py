"""Making seals: which days are due, and how one seal's files come to be. See the rules of the package."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from outrider import __version__
from outrider.core.intervals import Interval
from outrider.core.maintenance import Announcement
from outrider.core.merkle import leaf_hash, merkle_root
from outrider.core.units import DAY, Duration, Instant
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
    """A seal to make: of a day (since 1970), for what came in at ledger positions above `after`."""

    day: int
    revision: int = 1
    after: int = 0


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


def due(sealed: Mapping[int, tuple[int, int]], latest: Mapping[int, int], since: int, last: int) -> list[Due]:
    """What to seal, in order: days that have no seal yet, then addenda to those that do.

    sealed: day -> its last revision and the ledger position it reaches. latest: day -> the last position with a record
    of it. since: the first day of the chain; days before it are sealed where they have records. last: the last day that
    is old enough.
    """
    fresh = {day for day in range(since, last + 1) if day not in sealed}
    fresh |= {day for day in latest if day <= last and day not in sealed}
    addenda = [
        Due(day, sealed[day][0] + 1, sealed[day][1])
        for day in sorted(latest)
        if day in sealed and latest[day] > sealed[day][1]
    ]
    return [Due(day) for day in sorted(fresh)] + addenda


class Sealer:
    """Keeps one folder's chain. Safe to use from several threads; every method but `close` blocks while it works.

    `as_of` gives an instant up to which the ledger is complete; `announcements` those recorded by an instant.
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
    ) -> None:
        self.trouble = ""
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

    def seal(self, *, only_with_a_new_day: bool = False) -> list[Sealed]:
        """Seal what is due; the seals made. With `only_with_a_new_day`, addenda wait until a day is due, so that an
        agent that catches up does not cause one seal after the other. Raises EvidenceError, StoreFailedError."""
        with self._lock:
            try:
                made = self._seal(only_with_a_new_day=only_with_a_new_day)
            except (OSError, KeyFileError, RowsError) as error:
                reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
                self.trouble = f"nothing was sealed in {self._folder}: {reason}"
                raise EvidenceError(self.trouble) from error
            except StoreFailedError as error:
                self.trouble = str(error)
                raise
            self.trouble = ""
            return made

    def _seal(self, *, only_with_a_new_day: bool) -> list[Sealed]:
        first = self._store.first_recorded()
        if first is None:
            return []
        as_of = self._as_of()
        ledger = self._store.position(as_of)
        chain = self.chain()
        since = number_of_day(chain[0].seal.since) if chain else first // DAY
        sealed = {number_of_day(each.seal.day): (each.seal.revision, each.seal.ledger) for each in chain}
        wanted = due(sealed, self._store.days(ledger), since, (as_of - self._settle) // DAY - 1)
        if not wanted or (only_with_a_new_day and wanted[0].revision > 1):
            return []
        key = private_key(self._key)
        self._check_same(chain, key_hex(key.public_key()), ledger)
        windows = [canonical(_plain(each)) for each in self._announcements(as_of)]
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._folder / PUBLIC_KEY, public_pem(key))
        made: list[Sealed] = []
        for each in wanted:
            if self._is_closed:
                break
            last = made[-1] if made else chain[-1] if chain else None
            sealed_windows = _sealed_windows(last.seal if last else None, windows)
            seal, files = self._write(
                each, last, since, as_of, ledger, windows, sealed_windows, key_hex(key.public_key())
            )
            raw = encode_seal(seal)
            write_whole(files.signature, key.sign(raw))
            write_whole(files.seal, raw)
            made.append(Sealed(seal, fingerprint(raw)))
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

    def _write(
        self,
        wanted: Due,
        last: Sealed | None,
        since: int,
        as_of: Instant,
        ledger: int,
        windows: Sequence[bytes],
        sealed_windows: int,
        key: str,
    ) -> tuple[Seal, SealFiles]:
        """Everything of a seal but itself and its signature, which follow when this is on the disk."""
        number = last.seal.number + 1 if last else 1
        day = name_of_day(wanted.day)
        files = SealFiles(self._folder, f"{number:06d}-{day}-r{wanted.revision}")
        span = Interval(wanted.day * DAY, (wanted.day + 1) * DAY)
        make_whole(files.records, lambda path: self._store.export(path, span, wanted.after, ledger))
        leaves: list[bytes] = []

        def each_identity() -> Any:
            for row in read_rows(files.records):
                leaves.append(row.leaf)
                yield row.identity

        ranges = as_ranges(each_identity())
        write_whole(files.leaves, b"".join(leaves))
        write_whole(files.windows, b"".join(line + b"\n" for line in windows[sealed_windows:]))
        return Seal(
            number=number,
            previous=last.hash if last else None,
            since=name_of_day(since),
            day=day,
            revision=wanted.revision,
            gap=None if leaves else NO_RECORDS,
            columns=COLUMNS,
            records=Tree(count=len(leaves), root=merkle_root(leaves).hex()),
            ranges=ranges,
            after=wanted.after,
            ledger=ledger,
            as_of=as_of,
            windows=_tree(windows),
            software=f"outrider {__version__}",
            key=key,
        ), files

    def close(self) -> None:
        """Begin no further seal, and wait for the one that is being made."""
        self._is_closed = True
        with self._lock:
            pass


def _sealed_windows(last: Seal | None, windows: Sequence[bytes]) -> int:
    """How many announcements are sealed already. Raises EvidenceError where those are no longer what was sealed."""
    count = last.windows.count if last else 0
    if last and _tree(windows[:count]) != last.windows:
        raise EvidenceError("the register of windows no longer holds the announcements that were sealed; restore it")
    return count


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
