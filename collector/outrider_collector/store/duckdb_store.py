"""The embedded store: DuckDB, one file, append only, for one collector on one machine.

DuckDB locks other processes out of its file, so commands ask a running collector and open the file only when none
runs. There is no key and no index: what is new is decided before a row comes here.

After an error that DuckDB calls fatal (no room for a checkpoint, a sync that failed) it answers nothing until the file
is opened anew; the next question does that.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise, product
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from outrider.core.intervals import Interval, Intervals
from outrider.core.outcome import OutcomeClass
from outrider.core.sli import OUTCOME_NUMBER
from outrider.core.units import HOUR, MINUTE, SECOND, Duration, Instant
from outrider.core.wire import Phases
from outrider_collector.store import Columns, Excluded, Moved, NewRecord, Seen, Selection, StoreFailedError, schema

_PHASES = ("resolve", "connect", "tls", "send", "wait", "receive")
_TEXTS = ("region", "code", "place", "step", "detail", "cleanup")
_NULLABLE = ("clock_offset", "clock_error")
_NULL = -(2**62)
_PATIENCE_S = 30.0
"""How long closing waits for questions under way."""


class DuckdbStore:
    """See `outrider_collector.store.Store`. Raises StoreFailedError where the file cannot be opened."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._append_lock = threading.RLock()
        self._idle = threading.Condition()
        self._asking = 0
        self._is_closing = False
        self._names: dict[str, int] = {}
        self._texts: list[str] = []
        self._is_broken = False
        self._is_doubtful = False
        self._open()

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._database = duckdb.connect(str(self._path), read_only=self._read_only)
        except (duckdb.Error, OSError) as error:
            raise StoreFailedError(f"cannot open {self._path}: {_first_line(error)}") from error
        try:
            if not self._read_only:
                self._database.execute(schema.SCHEMA)
                self._database.execute("CHECKPOINT")
            self._load_names()
        except duckdb.Error as error:
            self._database.close()
            raise StoreFailedError(f"cannot open {self._path}: {_first_line(error)}") from error

    def _recover(self) -> None:
        """Take up work after a failure: a broken database is opened anew, and names are those that were kept."""
        with self._append_lock:
            if self._is_broken:
                self._database.close()
                self._open()
            elif self._is_doubtful:
                try:
                    self._load_names()
                except duckdb.Error as error:
                    raise self._failed(error, "read its names") from error
            self._is_broken = self._is_doubtful = False

    def _failed(self, error: Exception, what: str) -> StoreFailedError:
        self._is_broken = self._is_broken or isinstance(error, duckdb.FatalException)
        return StoreFailedError(f"the store could not {what}: {_first_line(error)}")

    # --- writing -------------------------------------------------------------------------------------------------

    def append(self, records: Sequence[NewRecord], recorded_at: Instant) -> int:
        with self._append_lock:
            self._recover()
            known = len(self._texts)
            try:
                self._database.execute("BEGIN")
                position = int(self._database.execute("SELECT COALESCE(max(id), 0) FROM batches").fetchall()[0][0]) + 1
                self._insert("runs", _columns(self._run_row(each, position) for each in records))
                self._insert("steps", _columns(row for each in records for row in self._step_rows(each)))
                self._insert("batches", _columns(self._batch_rows(records, position, recorded_at)))
                self._insert(
                    "names", {"id": _ints(range(known, len(self._texts))), "text": _words(self._texts[known:])}
                )
                self._database.execute("COMMIT")
            except Exception as error:
                self._is_doubtful = True
                self._roll_back()
                raise self._failed(error, "keep the records") from error
            return position

    def _roll_back(self) -> None:
        with contextlib.suppress(duckdb.Error):  # there may be no transaction left to take back
            self._database.execute("ROLLBACK")

    def _insert(self, table: str, columns: Mapping[str, NDArray[Any]]) -> None:
        if not columns or not len(next(iter(columns.values()))):
            return
        self._database.register("incoming", dict(columns))
        try:
            names = ", ".join(f'"{name}"' for name in columns)
            values = ", ".join(f'NULLIF("{name}", {_NULL})' if name in _NULLABLE else f'"{name}"' for name in columns)
            self._database.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM incoming")
        finally:
            with contextlib.suppress(duckdb.Error):  # in a transaction that failed; its error is the one to tell
                self._database.unregister("incoming")

    def _run_row(self, new: NewRecord, position: int) -> dict[str, int]:
        record, number = new.record, self._number
        offset, error = record.clock_offset, record.clock_error
        return {
            "ts": record.started_at + (offset or 0),
            "scheduled_at": record.scheduled_at,
            "interval": record.interval,
            "region": number(record.region),
            "agent": number(new.agent),
            "epoch": number(new.epoch),
            "seq": new.seq,
            "batch": position,
            "check_id": number(record.check),
            "scenario": number(record.scenario),
            "step": number(record.step),
            "purpose": number(record.purpose),
            "outcome": OUTCOME_NUMBER[OutcomeClass(record.outcome)],
            "code": number(record.code),
            "place": number(record.place),
            "detail": number(record.detail),
            "cleanup": number(record.cleanup),
            "latency": record.latency,
            **_phase_columns(record.phases),
            "http_status": record.status,
            "clock_offset": _NULL if offset is None else offset,
            "clock_error": _NULL if error is None else error,
            "digest": new.digest,
        }

    def _step_rows(self, new: NewRecord) -> Iterable[dict[str, int]]:
        for place, step in enumerate(new.record.steps):
            yield {
                "ts": new.record.started_at + (new.record.clock_offset or 0),
                "agent": self._number(new.agent),
                "epoch": self._number(new.epoch),
                "seq": new.seq,
                "number": place,
                "check_id": self._number(new.record.check),
                "step": self._number(step.name),
                "outcome": OUTCOME_NUMBER[OutcomeClass(step.outcome)],
                "code": self._number(step.code),
                "place": self._number(step.place),
                "latency": step.latency,
                **_phase_columns(step.phases),
                "http_status": step.status,
            }

    def _batch_rows(
        self, records: Sequence[NewRecord], position: int, recorded_at: Instant
    ) -> Iterable[dict[str, int]]:
        """One row for each unbroken range of seq, so that `extents` can be read off this small table."""
        ordered = sorted(records, key=lambda each: (each.agent, each.epoch, each.seq))
        numbered = enumerate(ordered)
        for _, group in groupby(numbered, key=lambda pair: (pair[1].agent, pair[1].epoch, pair[1].seq - pair[0])):
            members = [record for _, record in group]
            content = b"".join(member.digest.to_bytes(8, "big") for member in members)
            yield {
                "id": position,
                "agent": self._number(members[0].agent),
                "epoch": self._number(members[0].epoch),
                "first_seq": members[0].seq,
                "n": len(members),
                "hash": int.from_bytes(hashlib.sha256(content).digest()[:8], "big"),
                "recorded_at": recorded_at,
            }

    # --- names ---------------------------------------------------------------------------------------------------

    def _load_names(self) -> None:
        rows = self._database.execute("SELECT id, text FROM names ORDER BY id").fetchall()
        self._names, self._texts = {text: number for number, text in rows}, [text for _, text in rows]

    def _number(self, text: str) -> int:
        if text not in self._names:
            self._names[text] = len(self._texts)
            self._texts.append(text)
        return self._names[text]

    # --- reading -------------------------------------------------------------------------------------------------

    def held(self, ledger: int) -> dict[tuple[str, str], tuple[int, int]]:
        rows = self._ask(
            "SELECT agent, epoch, CAST(sum(n) AS BIGINT) AS n, max(first_seq + n - 1) AS last FROM batches "
            "WHERE id <= $ledger GROUP BY 1, 2",
            {"ledger": ledger},
        )
        found = zip(*(rows[name].tolist() for name in ("agent", "epoch", "n", "last")), strict=True)
        return {(self._texts[agent], self._texts[epoch]): (n, last) for agent, epoch, n, last in found}

    def extents(self) -> dict[tuple[str, str], list[tuple[int, int]]]:
        rows = self._ask("SELECT agent, epoch, first_seq, n FROM batches ORDER BY agent, epoch, first_seq")
        found: defaultdict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for agent, epoch, first, n in zip(*(rows[name].tolist() for name in rows), strict=True):
            ranges = found[self._texts[agent], self._texts[epoch]]
            if ranges and ranges[-1][1] + 1 == first:
                ranges[-1] = (ranges[-1][0], first + n - 1)
            else:
                ranges.append((first, first + n - 1))
        return dict(found)

    def digests(self, agent: str, epoch: str, first: int, last: int) -> dict[int, int]:
        rows = self._ask(
            "SELECT seq, digest FROM runs WHERE agent = $agent AND epoch = $epoch AND seq BETWEEN $first AND $last",
            {"agent": self._names.get(agent, -1), "epoch": self._names.get(epoch, -1), "first": first, "last": last},
        )
        return dict(zip(rows["seq"].tolist(), rows["digest"].tolist(), strict=True))

    def recorded(self, agent: str, epoch: str, first: int, last: int) -> dict[int, Instant]:
        rows = self._ask(
            "SELECT first_seq, n, recorded_at FROM batches WHERE agent = $agent AND epoch = $epoch "
            "AND first_seq <= $last AND first_seq + n > $first",
            {"agent": self._names.get(agent, -1), "epoch": self._names.get(epoch, -1), "first": first, "last": last},
        )
        return {
            seq: at
            for start, n, at in zip(*(rows[name].tolist() for name in rows), strict=True)
            for seq in range(max(start, first), min(start + n - 1, last) + 1)
        }

    def position(self, as_of: Instant) -> int:
        rows = self._ask("SELECT COALESCE(max(id), 0) AS id FROM batches WHERE recorded_at <= $as_of", {"as_of": as_of})
        return int(rows["id"][0])

    def last_recorded(self) -> Instant:
        return int(self._ask("SELECT COALESCE(max(recorded_at), 0) AS at FROM batches")["at"][0])

    def first_recorded(self) -> Instant | None:
        rows = self._ask("SELECT COALESCE(min(recorded_at), -1) AS at FROM batches")
        return int(rows["at"][0]) if rows["at"][0] >= 0 else None

    def days(self, ledger: int) -> dict[int, int]:
        rows = self._ask(schema.DAYS, {"ledger": ledger})
        return dict(zip(rows["day"].tolist(), rows["position"].tolist(), strict=True))

    def recorded_between(self, span: Interval, after: int, ledger: int) -> int:
        return int(self._ask(schema.RECORDED_BETWEEN, {**self._bounds(span, ledger), "after": after})["n"][0])

    def export(self, path: Path, span: Interval, after: int, ledger: int) -> None:
        quoted = str(path).replace("'", "''")
        bounds = {"start": span.start, "end": span.end, "after": after, "ledger": ledger}
        self._ask(f"COPY ({schema.SEALED_ROWS}) TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)", bounds)

    def seen(self, span: Interval, ledger: int) -> list[Seen]:
        rows = self._named(self._ask(schema.SEEN, self._bounds(span, ledger)))
        names = ("check", "region", "last", "interval")
        return [Seen(*row) for row in zip(*(rows[name].tolist() for name in names), strict=True)]

    def touched(self, span: Interval, ledger: int, width: Duration) -> Columns:
        return self._named(self._ask(schema.TOUCHED, {**self._bounds(span, ledger), "width": width}))

    def slice_counts(self, selection: Selection, length: Duration) -> Columns:
        return self._select(schema.SLICE_COUNTS, selection, {"length": length})

    def latency_counts(self, selection: Selection) -> Columns:
        return self._select(schema.LATENCY_COUNTS, selection, {})

    def latencies(self, selection: Selection, bucket: int, outcomes: Sequence[int]) -> NDArray[np.int64]:
        rows = self._select(schema.LATENCIES, selection, {"bucket": bucket})
        latency: NDArray[np.int64] = rows["latency"].astype(np.int64)
        return latency[np.isin(rows["outcome"], list(outcomes))]

    def straddlers(self, selection: Selection, edges: Sequence[Excluded]) -> Columns:
        table = {
            "check_id": _ints(self._names.get(edge.check, -1) for edge in edges),
            "at": _ints(edge.span.start for edge in edges),
        }
        return self._select(schema.STRADDLERS, selection, {}, {"edges": table})

    def failures(self, selections: Sequence[Selection], most: int) -> list[Columns]:
        asked = self._asked(selections)
        times = [each.span for each in selections] or [Interval(0, 1)]
        hull = Interval(min(each.start for each in times), max(each.end for each in times))
        bounds = {name: value for name, value in self._bounds(hull, 0).items() if name != "ledger"}
        sql, tables = schema.FAILURES, {"asked": asked}
        if moved := {run for each in selections for run in each.moved}:
            sql, tables = schema.moved(sql), {**tables, "moved": self._moved(tuple(moved))}
        rows = self._named(self._ask(sql, {**bounds, "most": most}, tables))
        edges = np.searchsorted(rows.pop("number"), np.arange(len(selections) + 1)).tolist()
        return [{name: column[start:end] for name, column in rows.items()} for start, end in pairwise(edges)]

    def near(self, selection: Selection, edges: Mapping[str, Sequence[Instant]]) -> Columns:
        found = self._select(schema.NEAR, selection, {}, {"edges": self._by_second(edges)})
        texts = _words(self._texts)
        return {name: texts[column] if name in ("agent", "epoch") else column for name, column in found.items()}

    def _by_second(self, edges: Mapping[str, Sequence[Instant]]) -> dict[str, NDArray[Any]]:
        """Each edge with the seconds that a run near it may be in, which is what the join is keyed by."""
        at = np.array([each for instants in edges.values() for each in instants], dtype=np.int64)
        numbers = _ints(self._names.get(check, -1) for check in edges)
        check_id = np.repeat(numbers, [len(instants) for instants in edges.values()])
        return {
            "check_id": np.tile(check_id, 3),
            "at": np.tile(at, 3),
            "second": np.concatenate([at // SECOND + off for off in (-1, 0, 1)]),
        }

    def latest(self, span: Interval, ledger: int) -> Columns:
        return self._named(self._ask(schema.LATEST, self._bounds(span, ledger)))

    def latency_line(self, check: str, span: Interval, ledger: int, width: Duration) -> Columns:
        number = self._names.get(check, -1)
        bounds = self._bounds(span, ledger)
        return self._named(self._ask(schema.LATENCY_LINE, {**bounds, "check": number, "width": width}))

    def runs(self, selection: Selection, most: int, *, is_latest: bool) -> Columns:
        return self._select(schema.RUNS, selection, {"most": most, "direction": -1 if is_latest else 1})

    def close(self) -> None:
        with self._idle:  # DuckDB closes no file that a question is still being answered from
            self._is_closing = True
            self._idle.wait_for(lambda: not self._asking, _PATIENCE_S)
            self._database.close()

    def _bounds(self, span: Interval, ledger: int) -> dict[str, int]:
        return {"purpose": self._names.get("probe", -1), "start": span.start, "end": span.end, "ledger": ledger}

    def _select(
        self,
        sql: str,
        selection: Selection,
        parameters: Mapping[str, int],
        tables: Mapping[str, Mapping[str, NDArray[Any]]] | None = None,
    ) -> Columns:
        known = {"wanted": self._wanted(selection), "excluded": self._exclusions(selection.excluded)}
        if selection.moved:
            sql, known = schema.moved(sql), {**known, "moved": self._moved(selection.moved)}
        bounds = self._bounds(selection.span, selection.ledger)
        return self._named(self._ask(sql, {**bounds, **parameters}, {**known, **(tables or {})}))

    def _moved(self, moved: Sequence[Moved]) -> dict[str, NDArray[Any]]:
        return {
            "agent": _ints(self._names.get(each.agent, -1) for each in moved),
            "epoch": _ints(self._names.get(each.epoch, -1) for each in moved),
            "seq": _ints(each.seq for each in moved),
            "at": _ints(each.to for each in moved),
        }

    def _wanted(self, selection: Selection) -> dict[str, NDArray[Any]]:
        """Each check with each region that is asked about."""
        regions = [self._names.get(each, -1) for each in selection.regions] or [schema.ANY_REGION]
        checks = [self._names.get(check, -1) for check in selection.checks]
        return {
            "check_id": _ints(check for check in checks for _ in regions),
            "region": _ints(region for _ in checks for region in regions),
        }

    def _asked(self, selections: Sequence[Selection]) -> dict[str, NDArray[Any]]:
        """What is left of each check in each selection, by the selection's number, and cut at hours."""
        rows: list[tuple[int, ...]] = []
        for number, of in enumerate(selections):
            regions = [self._names.get(each, -1) for each in of.regions] or [schema.ANY_REGION]
            for check in of.checks:
                left = Intervals((of.span,)) - Intervals(each.span for each in of.excluded if each.check == check)
                for region, (start, end) in product(regions, [(each.start, each.end) for each in left]):
                    for hour in range(start // HOUR, -(-end // HOUR)):
                        lo, hi = max(start, hour * HOUR), min(end, (hour + 1) * HOUR)
                        rows.append((number, self._names.get(check, -1), region, hour, lo, hi, of.ledger))
        names = ("number", "check_id", "region", "hour", "lo", "hi", "ledger")
        table = np.array(rows, dtype=np.int64).reshape(len(rows), len(names))
        return {name: np.ascontiguousarray(table[:, at]) for at, name in enumerate(names)}

    def _exclusions(self, excluded: Sequence[Excluded]) -> dict[str, NDArray[Any]]:
        """Each excluded span cut at minutes, which is what the join is keyed by."""
        rows: list[tuple[int, int, int, int]] = []
        for each in excluded:
            number = self._names.get(each.check, -1)
            for minute in range(each.span.start // MINUTE, -(-each.span.end // MINUTE)):
                rows.append(
                    (number, minute, max(each.span.start, minute * MINUTE), min(each.span.end, (minute + 1) * MINUTE))
                )
        table = np.array(rows, dtype=np.int64).reshape(len(rows), 4)
        return {name: np.ascontiguousarray(table[:, at]) for at, name in enumerate(("check_id", "slice", "lo", "hi"))}

    def _ask(
        self,
        sql: str,
        parameters: Mapping[str, int] | None = None,
        tables: Mapping[str, Mapping[str, NDArray[Any]]] | None = None,
    ) -> dict[str, NDArray[Any]]:
        if self._is_broken:
            self._recover()
        try:
            with self._counted(), self._database.cursor() as cursor:
                for name, columns in (tables or {}).items():
                    cursor.register(name, dict(columns))
                result = cursor.execute(sql, dict(parameters)) if parameters else cursor.execute(sql)
                return {name: np.asarray(column) for name, column in result.fetchnumpy().items()}
        except duckdb.Error as error:
            raise self._failed(error, "answer") from error

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._idle:
            if self._is_closing:
                raise StoreFailedError("the store could not answer: it is closed")
            self._asking += 1
        try:
            yield
        finally:
            with self._idle:
                self._asking -= 1
                self._idle.notify_all()

    def _named(self, rows: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Numbers of names back to texts; checks and regions keep their numbers beside them."""
        texts = _words(self._texts)
        named = {name: texts[column] if name in _TEXTS else column for name, column in rows.items()}
        for text, number in (("check", "check_id"), ("region", "region_id")):
            if number in rows:
                named[text] = texts[rows[number]]
        return named


def _phase_columns(phases: Phases) -> dict[str, int]:
    return {name: getattr(phases, name) for name in _PHASES}


def _columns(rows: Iterable[Mapping[str, int]]) -> dict[str, NDArray[Any]]:
    """Rows of whole numbers as columns. Digests need all 64 bits, so they are unsigned."""
    table = list(rows)
    if not table:
        return {}
    return {
        name: np.array([row[name] for row in table], dtype=np.uint64 if name in ("digest", "hash") else np.int64)
        for name in table[0]
    }


def _ints(values: Iterable[int]) -> NDArray[np.int64]:
    return np.array(list(values), dtype=np.int64)


def _words(values: Iterable[str]) -> NDArray[np.object_]:
    return np.array(list(values), dtype=np.object_)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
