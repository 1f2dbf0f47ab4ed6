"""The embedded store: what it says it has kept is kept, and what it counts is what was put in."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from collector_support import NOON, keep, run

from outrider.core.intervals import Interval, Intervals
from outrider.core.outcome import OutcomeClass
from outrider.core.sli import OUTCOME_NUMBER
from outrider.core.units import HOUR, MILLISECOND, MINUTE, SECOND
from outrider.core.wire import Phases, StepRecord
from outrider_collector.store import Excluded, Moved, NewRecord, Seen, Selection, StoreFailedError
from outrider_collector.store.duckdb_store import DuckdbStore

OK, DOWN, VOID = (
    OUTCOME_NUMBER[each] for each in (OutcomeClass.OK, OutcomeClass.SERVICE_DOWN, OutcomeClass.AGENT_FAULT)
)
HERE = Interval(NOON - HOUR, NOON + HOUR)
EVERYTHING = 2**31 - 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.duckdb"


@pytest.fixture
def store(path: Path) -> Iterator[DuckdbStore]:
    made = DuckdbStore(path)
    yield made
    made.close()


def select(*excluded: Interval, checks: tuple[str, ...] = ("eligibility",), ledger: int = EVERYTHING) -> Selection:
    return Selection(checks, HERE, ledger, tuple(Excluded("eligibility", each) for each in excluded))


def rows(columns: Mapping[str, Any], *names: str) -> list[tuple[Any, ...]]:
    return sorted(zip(*(columns[name].tolist() for name in names), strict=True))


def new(seq: int, number: int = 0, agent: str = "east-1", epoch: str = "e1", **changes: Any) -> NewRecord:
    return NewRecord(agent, epoch, seq, number, run(NOON + seq, **changes))


# --- the ledger ------------------------------------------------------------------------------------------------------


def test_extents_are_the_ranges_that_are_kept_for_each_agent_and_epoch(store: DuckdbStore) -> None:
    store.append([new(1), new(2), new(5)], NOON)
    store.append([new(3), new(9, epoch="e2"), new(1, agent="west-1")], NOON)
    store.append([new(6), new(7)], NOON)
    assert store.extents() == {
        ("east-1", "e1"): [(1, 3), (5, 7)],
        ("east-1", "e2"): [(9, 9)],
        ("west-1", "e1"): [(1, 1)],
    }


@pytest.mark.parametrize("number", [0, 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_digests_keep_all_their_64_bits(store: DuckdbStore, path: Path, number: int) -> None:
    store.append([new(1, number), new(2, 17)], NOON)
    assert store.digests("east-1", "e1", 1, 1) == {1: number}
    assert store.digests("east-1", "e1", 1, 9) == {1: number, 2: 17}
    assert store.digests("east-1", "e2", 1, 9) == store.digests("west-1", "e1", 1, 9) == {}


def test_the_position_is_the_last_one_recorded_by_then(store: DuckdbStore) -> None:
    assert (store.position(2**62), store.last_recorded()) == (0, 0)
    assert [store.append([new(seq)], NOON + at) for seq, at in ((1, 0), (2, 5), (3, 5), (4, 9))] == [1, 2, 3, 4]
    assert [store.position(NOON + at) for at in (-1, 0, 4, 5, 8, 9, 100)] == [0, 1, 1, 3, 3, 4, 4]
    assert store.last_recorded() == NOON + 9


def test_what_was_recorded_later_does_not_exist_for_an_earlier_position(store: DuckdbStore) -> None:
    first = keep(store, [run(outcome="service_down")], NOON)
    keep(store, [run(NOON + SECOND), run(NOON + SECOND, check="portal", region="west")], NOON + 1)
    for ledger, expected in ((0, []), (first, [(DOWN, 1)]), (EVERYTHING, [(OK, 1), (DOWN, 1)])):
        selection = select(ledger=ledger)
        assert rows(store.slice_counts(selection, MINUTE), "outcome", "n") == expected
        assert rows(store.latency_counts(selection), "outcome", "n") == expected
        assert rows(store.failures([selection], 9)[0], "outcome", "n") == [pair for pair in expected if pair[0] != OK]
        assert rows(store.latency_line("eligibility", HERE, ledger, MINUTE), "outcome", "n") == expected
    assert store.seen(HERE, first) == [Seen("eligibility", "east", NOON, MINUTE)]
    assert rows(store.latest(HERE, first), "check", "outcome") == [("eligibility", DOWN)]
    assert rows(store.latest(HERE, EVERYTHING), "check", "outcome") == [("eligibility", OK), ("portal", OK)]


@pytest.mark.parametrize("purpose", ["load", "verify", "once", "", "Probe"])
def test_runs_that_are_not_probes_are_kept_and_never_counted(store: DuckdbStore, purpose: str) -> None:
    keep(store, [run(purpose=purpose, outcome="service_down")], NOON)
    assert store.extents() == {("east-1", "e1"): [(1, 1)]}
    keep(store, [run(check="other")], NOON)
    selection = select()
    found = (
        store.slice_counts(selection, MINUTE),
        store.latency_counts(selection),
        store.failures([selection], 9)[0],
        store.straddlers(selection, [Excluded("eligibility", Interval(NOON + 1, NOON + 2))]),
        store.latency_line("eligibility", HERE, EVERYTHING, MINUTE),
    )
    assert [len(columns["outcome"]) for columns in found] == [0] * 5
    assert [seen.check for seen in store.seen(HERE, EVERYTHING)] == ["other"]


# --- counting --------------------------------------------------------------------------------------------------------


def test_slices_are_counted_by_region_and_outcome_with_the_left_out_apart(store: DuckdbStore) -> None:
    keep(
        store,
        [
            run(NOON + 10 * SECOND),
            run(NOON + 29_999_999),
            run(NOON + 30 * SECOND),  # the first instant of the window
            run(NOON + 50 * SECOND, outcome="service_down"),
            run(NOON + 55 * SECOND, region="west"),
            run(NOON + 64_999_999),
            run(NOON + 65 * SECOND),  # the first instant after it
            run(NOON + 40 * SECOND, check="portal"),
        ],
        NOON,
    )
    window = Interval(NOON + 30 * SECOND, NOON + 65 * SECOND)
    minute = NOON // MINUTE
    counted = store.slice_counts(select(window, checks=("eligibility", "portal")), MINUTE)
    assert rows(counted, "check", "slice", "region", "outcome", "left_out", "n") == [
        ("eligibility", minute, "east", OK, 0, 2),
        ("eligibility", minute, "east", OK, 1, 1),
        ("eligibility", minute, "east", DOWN, 1, 1),
        ("eligibility", minute, "west", OK, 1, 1),
        ("eligibility", minute + 1, "east", OK, 0, 1),
        ("eligibility", minute + 1, "east", OK, 1, 1),
        ("portal", minute, "east", OK, 0, 1),
    ]
    by_five = store.slice_counts(select(window), 5 * MINUTE)
    assert rows(by_five, "slice", "region", "left_out", "n") == [
        (minute // 5, "east", 0, 3), (minute // 5, "east", 1, 1), (minute // 5, "east", 1, 2),
        (minute // 5, "west", 1, 1),
    ]  # fmt: skip


def test_a_window_of_hours_and_one_inside_a_minute_leave_out_each_run_once(store: DuckdbStore) -> None:
    keep(store, [run(NOON + minute * MINUTE + 7 * SECOND) for minute in range(-60, 60)], NOON)
    windows = (Interval(NOON - 30 * MINUTE, NOON), Interval(NOON + 7 * SECOND, NOON + 7 * SECOND + 1))
    counted = store.slice_counts(select(*windows), MINUTE)
    assert int(counted["n"].sum()) == 120
    assert int(counted["n"][counted["left_out"] == 1].sum()) == 31


def test_the_span_begins_with_its_first_instant_and_ends_before_its_last(store: DuckdbStore) -> None:
    keep(store, [run(at) for at in (HERE.start - 1, HERE.start, HERE.end - 1, HERE.end)], NOON)
    assert int(store.slice_counts(select(), MINUTE)["n"].sum()) == 2
    assert store.seen(HERE, EVERYTHING) == [Seen("eligibility", "east", HERE.end - 1, MINUTE)]


def test_only_an_interval_longer_than_the_slice_speaks_for_later_ones(store: DuckdbStore) -> None:
    slot = NOON + 5 * SECOND
    keep(
        store,
        [
            run(slot + 400, scheduled_at=slot, interval=5 * MINUTE, clock_offset=SECOND, clock_error=10),
            run(slot + 200, scheduled_at=slot, interval=MINUTE, region="west"),
        ],
        NOON,
    )
    counted = store.slice_counts(select(), MINUTE)
    assert rows(counted, "region", "last_at", "speaks_until") == [
        ("east", slot + 400 + SECOND, slot + 5 * MINUTE + SECOND),
        ("west", slot + 200, 0),
    ]
    assert set(store.slice_counts(select(), 5 * MINUTE)["speaks_until"].tolist()) == {0}
    assert [seen.interval for seen in sorted(store.seen(HERE, EVERYTHING), key=str)] == [5 * MINUTE, MINUTE]


@pytest.mark.parametrize(
    ("latency", "bucket"),
    [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2), (9_999_999, 10_000), (10_000_000, 10_000), (10_000_001, 10_001)],
)
def test_every_whole_millisecond_is_an_edge_and_belongs_to_the_bucket_below(
    store: DuckdbStore, latency: int, bucket: int
) -> None:
    keep(store, [run(latency=latency)], NOON)
    assert rows(store.latency_counts(select()), "bucket", "n", "total") == [(bucket, 1, latency)]
    assert rows(store.latency_line("eligibility", HERE, EVERYTHING, MINUTE), "bucket", "n") == [(bucket, 1)]
    assert store.latencies(select(), bucket, [OK]).tolist() == [latency]


def test_latencies_are_counted_by_outcome_and_whether_left_out_in_order_of_buckets(store: DuckdbStore) -> None:
    keep(
        store,
        [
            run(NOON, latency=5500),
            run(NOON + 1, latency=5501),
            run(NOON + 2, latency=5502, outcome="service_down"),
            run(NOON + MINUTE, latency=5503),
            run(NOON + 3, latency=700),
        ],
        NOON,
    )
    selection = select(Interval(NOON + MINUTE, NOON + 2 * MINUTE))
    counted = store.latency_counts(selection)
    assert counted["bucket"].tolist() == sorted(counted["bucket"].tolist())
    assert rows(counted, "bucket", "outcome", "left_out", "n", "total") == [
        (1, OK, 0, 1, 700), (6, OK, 0, 2, 11001), (6, OK, 1, 1, 5503), (6, DOWN, 0, 1, 5502),
    ]  # fmt: skip
    assert sorted(store.latencies(selection, 6, [OK]).tolist()) == [5500, 5501]
    assert sorted(store.latencies(selection, 6, [OK, DOWN]).tolist()) == [5500, 5501, 5502]
    assert store.latencies(selection, 7, [OK]).tolist() == []


def test_sums_of_latencies_go_beyond_32_bits(store: DuckdbStore) -> None:
    keep(store, [run(NOON + n, latency=2**52) for n in range(50)], NOON)
    assert rows(store.latency_counts(select()), "n", "total") == [(50, 50 * 2**52)]


def test_straddlers_are_the_runs_under_way_when_a_window_opened(store: DuckdbStore) -> None:
    opens = NOON + 20 * SECOND
    keep(
        store,
        [
            run(opens - 3 * SECOND, latency=3 * SECOND, outcome="service_down"),  # ends in the very instant
            run(opens - 3 * SECOND - 1, latency=3 * SECOND),  # ended before
            run(opens - 1, latency=9 * SECOND, region="west"),
            run(opens, latency=9 * SECOND),  # sent inside
            run(opens - 1, latency=9 * SECOND, check="portal"),
        ],
        NOON,
    )
    window = Interval(opens, opens + MINUTE)
    found = store.straddlers(select(window, checks=("eligibility", "portal")), [Excluded("eligibility", window)])
    assert rows(found, "check", "region", "ts", "outcome", "latency") == [
        ("eligibility", "east", opens - 3 * SECOND, DOWN, 3 * SECOND),
        ("eligibility", "west", opens - 1, OK, 9 * SECOND),
    ]
    assert len(store.straddlers(select(), [])["ts"]) == 0


def test_failures_are_grouped_by_cause_with_the_most_frequent_first(store: DuckdbStore) -> None:
    failed = {"outcome": "service_down", "code": "42", "place": "aaa/2000A", "step": "inquiry"}
    keep(
        store,
        [run(NOON)]
        + [run(NOON + n * SECOND, **failed) for n in (1, 2, 3)]
        + [run(NOON + n * SECOND, **{**failed, "code": "503", "place": "status"}) for n in (4, 5)]
        + [run(NOON + 6 * SECOND, **{**failed, "region": "west"}), run(NOON + 90 * SECOND, **failed)],
        NOON,
    )
    found = store.failures([select(Interval(NOON + MINUTE, NOON + 2 * MINUTE))], 9)[0]
    names = ("n", "region", "outcome", "code", "place", "step", "first_at", "last_at")
    assert list(zip(*(found[name].tolist() for name in names), strict=True)) == [
        (3, "east", DOWN, "42", "aaa/2000A", "inquiry", NOON + SECOND, NOON + 3 * SECOND),
        (2, "east", DOWN, "503", "status", "inquiry", NOON + 4 * SECOND, NOON + 5 * SECOND),
        (1, "west", DOWN, "42", "aaa/2000A", "inquiry", NOON + 6 * SECOND, NOON + 6 * SECOND),
    ]
    assert store.failures([select()], 1)[0]["n"].tolist() == [4]


def test_the_failures_of_many_selections_are_those_of_each_alone(store: DuckdbStore) -> None:
    chance = random.Random(5)
    for position in range(2):
        batch = [
            run(
                chance.randrange(HERE.start, HERE.end), check=chance.choice(["card", "eligibility", "portal"]),
                region=chance.choice(["east", "west"]), outcome=chance.choice(["ok", "service_down", "malformed"]),
                code=chance.choice(["", "42", "503"]),
            )
            for _ in range(600)
        ]  # fmt: skip
        keep(store, batch, NOON + position)

    def some() -> Selection:
        start = chance.randrange(HERE.start - HOUR, HERE.end)
        span = Interval(start, start + chance.choice([SECOND, 5 * MINUTE, 3 * HOUR]))
        checks = tuple(chance.sample(["card", "eligibility", "portal", "nobody"], chance.choice([1, 3])))
        windows = Intervals(
            Interval(at, at + 7 * MINUTE) for at in (chance.randrange(span.start, span.end) for _ in range(3))
        )
        excluded = tuple(Excluded(checks[0], each) for each in windows)
        return Selection(checks, span, chance.choice([1, 2]), excluded, chance.choice([(), ("west",)]))

    def plain(columns: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        names = ("check", "region", "outcome", "code", "place", "step", "n", "first_at", "last_at")
        return list(zip(*(columns[name].tolist() for name in names), strict=True))

    selections = [some() for _ in range(40)]
    together = [plain(each) for each in store.failures([*selections, selections[0]], 7)]
    assert together == [plain(store.failures([each], 7)[0]) for each in [*selections, selections[0]]]
    assert max(len(each) for each in together) == 7
    for selection, found in zip(selections, together, strict=False):
        kept = store.runs(selection, 10_000, is_latest=False)
        failed = int((kept["outcome"] != OK).sum())
        assert sum(n for *_, n, _, _ in found) == failed or len(found) == 7, selection
    assert store.failures([], 7) == []


def test_failures_are_where_a_run_is_counted(store: DuckdbStore) -> None:
    store.append([new(1, outcome="service_down")], NOON)
    before = replace(select(), span=Interval(NOON - SECOND, NOON))
    moved = replace(before, moved=(Moved("east-1", "e1", 1, "eligibility", NOON + 1, NOON - 1),))
    assert [store.failures([each], 9)[0]["n"].tolist() for each in (before, moved)] == [[], [1]]


def test_the_latest_run_of_each_check_and_region_comes_with_its_texts(store: DuckdbStore) -> None:
    odd = "new \u2013 x\0y"
    keep(
        store,
        [
            run(NOON, detail="old"),
            run(
                NOON + 5,
                outcome="service_down",
                code="42",
                place="aaa",
                detail="new \u2013 x\0y",
                cleanup="unconfirmed",
            ),
            run(NOON + 3, region="west", latency=77),
            run(HERE.end, detail="after the span"),
        ],
        NOON,
    )
    found = store.latest(HERE, EVERYTHING)
    names = ("check", "region", "ts", "outcome", "code", "place", "detail", "latency", "cleanup")
    assert rows(found, *names) == [
        ("eligibility", "east", NOON + 5, DOWN, "42", "aaa", odd, 400 * MILLISECOND, "unconfirmed"),
        ("eligibility", "west", NOON + 3, OK, "", "", "", 77, "none"),
    ]


def test_the_latency_line_has_bins_on_the_grid(store: DuckdbStore) -> None:
    keep(store, [run(NOON), run(NOON + 1), run(NOON + 5 * MINUTE), run(NOON, region="west")], NOON)
    line = store.latency_line("eligibility", HERE, EVERYTHING, 5 * MINUTE)
    at = NOON // (5 * MINUTE)
    assert rows(line, "bin", "region", "bucket", "n") == [
        (at, "east", 400, 2), (at, "west", 400, 1), (at + 1, "east", 400, 1)
    ]  # fmt: skip
    assert len(store.latency_line("nobody", HERE, EVERYTHING, MINUTE)["n"]) == 0


# --- clocks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "error", "ts", "outcome"),
    [
        (None, None, NOON, VOID),
        (0, 0, NOON, OK),
        (1500, 10, NOON + 1500, OK),
        (-HOUR // 2, SECOND, NOON - HOUR // 2, OK),
        (0, SECOND + 1, NOON, VOID),
        (5, 2**53, NOON + 5, VOID),
    ],
)
def test_a_run_counts_at_its_instant_on_the_collectors_clock_and_is_void_where_that_is_too_uncertain(
    store: DuckdbStore, offset: int | None, error: int | None, ts: int, outcome: int
) -> None:
    keep(store, [run(NOON, clock_offset=offset, clock_error=error)], NOON)
    assert rows(store.slice_counts(select(), MINUTE), "last_at", "outcome") == [(ts, outcome)]
    assert rows(store.latency_counts(select()), "outcome") == [(outcome,)]
    assert rows(store.latest(HERE, EVERYTHING), "ts", "outcome") == [(ts, outcome)]
    assert len(store.latencies(select(), 400, [OK])) == (1 if outcome == OK else 0)


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"interval": 10**30}, "too large"),
        ({"status": 2**40}, "out of range"),
        ({"steps": (StepRecord("a", "ok", "", "", 1, Phases()),) * 200}, "out of range"),
        ({"detail": "half a pair \ud800"}, "keep the records"),
    ],
)
def test_an_append_that_fails_keeps_nothing_says_why_and_spoils_no_name_of_later_ones(
    store: DuckdbStore, path: Path, wrong: dict[str, Any], message: str
) -> None:
    store.append([new(1, detail="first")], NOON)
    with pytest.raises(StoreFailedError, match=message):
        store.append([new(2, code="only here"), new(3, place="and here", **wrong)], NOON)
    assert store.extents() == {("east-1", "e1"): [(1, 1)]}
    assert store.append([new(2, detail="second", code="42"), new(3, detail="third")], NOON) == 2
    for reopen in (False, True):
        reader = DuckdbStore(path) if reopen else store  # which reads the names anew from the file
        assert rows(reader.latest(HERE, EVERYTHING), "detail") == [("third",)]
        assert rows(reader.latest(Interval(NOON, NOON + 3), EVERYTHING), "detail", "code") == [("second", "42")]
        reader.close()


@pytest.mark.parametrize(
    "setting", ["checkpoint_threshold = '1GB'", "checkpoint_threshold = '100KB'"], ids=["the log", "the checkpoint"]
)
def test_a_full_disk_is_told_loses_nothing_and_the_store_goes_on_when_there_is_room(path: Path, setting: str) -> None:
    """In a process of its own: no file of it may grow beyond a limit, which is what a full disk looks like."""
    script = f"""
import resource, signal
from pathlib import Path
import duckdb
from collector_support import NOON, keep, run
from outrider_collector.store import StoreFailedError
from outrider_collector.store.duckdb_store import DuckdbStore

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = DuckdbStore(Path({str(path)!r}))
kept = 0

def attempt():
    global kept
    try:
        keep(store, [run(NOON + n, detail=f"{{kept}} {{n}} " + "x" * 500) for n in range(200)], NOON)
        kept += 200
    except StoreFailedError as error:
        return str(error)

attempt()
duckdb.connect({str(path)!r}).execute("SET {setting}")
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))
while not attempt():
    pass
told = [attempt() for _ in range(5)]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
tries = 1
while attempt():
    tries += 1
print(kept, all(told), tries)
"""
    done = in_python(script)
    kept, told, tries = done.stdout.split()
    assert (told, int(tries) <= 3) == ("True", True), done.stdout
    store = DuckdbStore(path)
    ((first, last),) = store.extents()["east-1", "e1"]
    assert first == 1
    assert last - int(kept) in (0, 200), "a commit that was told as failed may have been synced before the failure"
    assert int(store.slice_counts(select(), MINUTE)["n"].sum()) == last
    store.close()


def test_a_second_process_is_told_that_the_store_is_in_use(store: DuckdbStore, path: Path) -> None:
    done = in_python(
        "from pathlib import Path\nfrom outrider_collector.store import StoreFailedError\n"
        "from outrider_collector.store.duckdb_store import DuckdbStore\n"
        f"try:\n    DuckdbStore(Path({str(path)!r}))\nexcept StoreFailedError as error:\n    print(error)\n"
    )
    assert f"cannot open {path}" in done.stdout
    assert "lock" in done.stdout


def test_a_file_that_is_no_store_is_refused_by_name_and_left_alone(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreFailedError, match=f"cannot open {path}"):
        DuckdbStore(path)
    assert path.read_bytes() == b"not a database" * 1000
    with pytest.raises(StoreFailedError, match=f"cannot open {path.parent}"):
        DuckdbStore(path.parent)
    with pytest.raises(StoreFailedError, match="cannot open"):
        DuckdbStore(path / "below a file")


def test_steps_are_kept_in_order_with_their_run(store: DuckdbStore, path: Path) -> None:
    steps = (
        StepRecord("authorize", "ok", "", "", 100, Phases(1, 2, 3, 4, 5, 6), 201),
        StepRecord("void", "service_down", "503", "status", 200, Phases(wait=9), 503),
    )
    store.append([new(7, steps=steps)], NOON)
    store.close()
    with duckdb.connect(str(path), read_only=True) as database:
        found = database.execute(
            "SELECT s.seq, s.number, n.text, s.latency, s.tls, s.wait, s.http_status FROM steps s "
            "JOIN names n ON n.id = s.step ORDER BY s.number"
        ).fetchall()
    assert found == [(7, 0, "authorize", 100, 3, 5, 201), (7, 1, "void", 200, 0, 9, 503)]


# --- kill -9 ---------------------------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from collector_support import NOON, run
from outrider_collector.store import NewRecord
from outrider_collector.store.duckdb_store import DuckdbStore

store = DuckdbStore(Path(sys.argv[1]))
following = store.extents().get(("east-1", "e1"), [(0, 0)])[-1][1] + 1
while True:
    seqs = range(following, following + 7)
    store.append([NewRecord("east-1", "e1", n, n * 2**40, run(NOON + n, detail=f"run {n}")) for n in seqs], NOON)
    following += 7
    print(following - 1, flush=True)
"""


def in_python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parent,
    )


def test_after_kill_9_every_acknowledged_append_is_there_once_whole_and_with_its_names(path: Path) -> None:
    rng, acknowledged = random.Random(20260615), 0
    for _ in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent
        ) as writer:
            assert writer.stdout is not None
            for _ in range(rng.randrange(1, 9)):
                acknowledged = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
    store = DuckdbStore(path)
    ((first, last),) = store.extents()["east-1", "e1"]
    assert (first, last % 7) == (1, 0), "an append is there as a whole or not at all"
    assert last in (acknowledged, acknowledged + 7)
    assert store.digests("east-1", "e1", 1, last) == {seq: seq * 2**40 for seq in range(1, last + 1)}
    store.close()
    with duckdb.connect(str(path), read_only=True) as database:
        found = database.execute("SELECT r.seq, n.text FROM runs r JOIN names n ON n.id = r.detail").fetchall()
    assert sorted(found) == [(seq, f"run {seq}") for seq in range(1, last + 1)]


def test_closing_waits_for_the_questions_under_way(tmp_path: Path) -> None:
    """DuckDB refuses to close a file that a cursor still reads: "connection is busy"."""
    for _ in range(10):
        store = DuckdbStore(tmp_path / "results.duckdb")
        started, answered = threading.Event(), threading.Event()

        def ask(
            store: DuckdbStore = store, started: threading.Event = started, answered: threading.Event = answered
        ) -> None:
            with contextlib.suppress(StoreFailedError):
                while not answered.is_set():
                    store.position(NOON)
                    started.set()

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert started.wait(10)
        store.close()
        answered.set()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


# --- runs, one by one ------------------------------------------------------------------------------------------------


def test_the_first_or_the_latest_runs_of_each_check_and_region_are_given_in_order(store: DuckdbStore) -> None:
    east = [new(n) for n in range(1, 6)]
    west = [new(n, agent="west-1", region="west", outcome="service_down") for n in (2, 4)]
    others = [new(1, agent="load-1", purpose="load"), new(1, agent="far-1", check="portal")]
    store.append([*reversed(east), *west, *others], NOON)
    store.append([new(9, agent="late-1")], NOON + 1)

    def runs(most: int, *, is_latest: bool, **changes: Any) -> list[tuple[str, int, int]]:
        found = store.runs(select(ledger=1, **changes), most, is_latest=is_latest)
        assert set(found["check"]) <= {"eligibility"}
        at = (found["ts"] - NOON).tolist()
        return list(zip(found["region"].tolist(), at, found["outcome"].tolist(), strict=True))

    assert runs(2, is_latest=False) == [("east", 1, OK), ("east", 2, OK), ("west", 2, DOWN), ("west", 4, DOWN)]
    assert runs(2, is_latest=True) == [("east", 4, OK), ("east", 5, OK), ("west", 2, DOWN), ("west", 4, DOWN)]
    assert runs(9, is_latest=True) == runs(9, is_latest=False)
    left = store.runs(select(Interval(NOON + 2, NOON + 5), ledger=1), 9, is_latest=False)
    assert (left["ts"] - NOON).tolist() == [1, 5]
    assert len(store.runs(select(checks=("nowhere",)), 9, is_latest=True)["ts"]) == 0
