"""Evidence over a real store: days are sealed and checked, and whatever is changed afterwards is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from collector_support import NOON, SETTLE, SettableClock, keep, run
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.core.maintenance import Announcement
from outrider.core.merkle import leaf_hash, merkle_root
from outrider.core.units import DAY, HOUR, MINUTE, Instant
from outrider.core.wire import StepRecord
from outrider_collector.evidence import SealFiles, Tree, canonical, decode_seal, encode_seal, seal_names
from outrider_collector.evidence.checking import Findings, check_folder
from outrider_collector.evidence.keys import KeyFileError, key_hex, private_key, public_key
from outrider_collector.evidence.rows import COLUMNS
from outrider_collector.evidence.sealing import EvidenceError, Sealer
from outrider_collector.issued import Revision
from outrider_collector.issued.register import IssuedRegister
from outrider_collector.store.duckdb_store import DuckdbStore
from outrider_collector.windows import WindowRegister

TODAY = NOON // DAY * DAY
FIRST = "000001-2026-06-15-r1"
SECOND = "000002-2026-06-16-r1"


@dataclass
class Bench:
    """A store, a register and a sealer under a clock that stands still."""

    home: Path
    clock: SettableClock
    store: DuckdbStore
    register: WindowRegister
    issued: IssuedRegister
    sealer: Sealer

    @property
    def folder(self) -> Path:
        return self.home / "evidence"

    def check(self, head: str = "", key: Path | None = None) -> Findings:
        return check_folder(self.folder, public_key(key or self.folder / "key.pub"), head)

    def files(self, name: str = FIRST) -> SealFiles:
        return SealFiles(self.folder, name)

    def seal_at(self, at: Instant) -> list[str]:
        self.clock.at = at
        return [each.seal.name for each in self.sealer.seal()]


def made(
    home: Path, clock: SettableClock, store: DuckdbStore, register: WindowRegister, issued: IssuedRegister
) -> Sealer:
    def announcements(at: Instant) -> tuple[Announcement, ...]:
        return register.announcements(at)

    def statements(at: Instant) -> list[dict[str, object]]:
        return [each.sealed for each in issued.revisions(at)]

    key = home / "results.evidence.key"
    return Sealer(
        home / "evidence",
        key,
        store,
        as_of=clock.now,
        announcements=announcements,
        settle=SETTLE,
        statements=statements,
    )


def issued_day(number: int = 1) -> Revision:
    """A revision of a day, with nothing behind it."""
    start, end = NOON - 2 * DAY, NOON - DAY
    return Revision("2026-06-13", number, start, end, NOON, 1, "met", "ab", "{}", "cd", "outrider", "2026a", "ops", 0)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    clock = SettableClock()
    store = DuckdbStore(tmp_path / "results.duckdb")
    register = WindowRegister(tmp_path / "windows.sqlite", clock)
    issued = IssuedRegister(tmp_path / "statements.sqlite", clock)
    yield Bench(tmp_path, clock, store, register, issued, made(tmp_path, clock, store, register, issued))
    issued.close()
    register.close()
    store.close()


@pytest.fixture
def two_days(bench: Bench) -> Bench:
    """40 records on each of two days, by two agents, an announcement on each, both days sealed."""
    for day in (0, 1):
        at = NOON + day * DAY
        bench.clock.at = at
        for agent in ("east-1", "west-1"):
            steps = (
                StepRecord("one", "ok", "", "", 10, run().phases),
                StepRecord("two", "ok", "7", 'a/"b"', 20, run().phases),
            )
            keep(bench.store, [run(at + n * MINUTE, detail=f"é {n}", steps=steps) for n in range(20)], at, agent)
        bench.register.announce(at + 90 * HOUR, at + 91 * HOUR, reason=f"änderung {day}")
    assert bench.seal_at(TODAY + 2 * DAY + SETTLE) == [FIRST, SECOND]
    return bench


def failures(findings: Findings) -> list[tuple[str, str, int | None]]:
    return [(each.kind, each.agent, each.seq) for each in findings.failures]


def rewrite(path: Path, select: str) -> None:
    """Make a Parquet file anew from itself."""
    beside = path.with_name("made.parquet")
    duckdb.execute(f"COPY ({select.format(path=path)}) TO '{beside}' (FORMAT parquet)")
    beside.replace(path)


# --- what is sealed --------------------------------------------------------------------------------------------------


def test_sealed_days_check_out_with_every_record_and_its_columns(two_days: Bench) -> None:
    findings = two_days.check()
    assert (findings.is_ok, findings.seals, findings.records, findings.gaps, findings.notes) == (True, 2, 80, [], [])
    assert (findings.first_day, findings.last_day) == ("2026-06-15", "2026-06-16")
    assert findings.head == two_days.sealer.chain()[-1].hash
    seal = decode_seal(two_days.files().seal.read_bytes())
    assert seal.ranges == (("east-1", "e1", 1, 20), ("west-1", "e1", 1, 20))
    assert (seal.previous, seal.windows.count, seal.after, seal.ledger) == (None, 2, 0, 4)
    found = duckdb.execute(f"SELECT * FROM read_parquet('{two_days.files().records}')")
    assert tuple(column[0] for column in found.description or ()) == COLUMNS
    row = dict(zip(COLUMNS, found.fetchall()[21], strict=True))
    assert (row["agent"], row["seq"], row["digest"], row["position"]) == ("west-1", 2, f"{2:016x}", 2)
    assert (row["outcome"], row["detail"], row["ts"], row["recorded_at"]) == ("ok", "é 1", NOON + MINUTE, NOON)
    assert json.loads(row["steps"])[1][:5] == ["two", "ok", "7", 'a/"b"', 20]
    assert two_days.files(SECOND).windows.read_bytes() == b"", "both were announced before the first seal"


def test_a_day_is_sealed_when_it_is_old_enough_and_once(bench: Bench) -> None:
    keep(bench.store, [run()], NOON)
    assert bench.seal_at(TODAY + DAY + SETTLE - 1) == []
    assert not bench.folder.exists()
    assert bench.seal_at(TODAY + DAY + SETTLE) == [FIRST]
    assert bench.seal_at(TODAY + DAY + SETTLE) == []


def test_late_results_go_into_an_addendum_and_the_first_seal_stays(bench: Bench) -> None:
    keep(bench.store, [run(), run(NOON + 1)], NOON)
    bench.seal_at(TODAY + DAY + SETTLE)
    before = {path: path.read_bytes() for path in bench.files().all}
    keep(bench.store, [run(NOON + 2)], bench.clock.at)
    assert bench.sealer.seal(only_with_a_new_day=True) == [], "it waits for the next day"
    assert bench.seal_at(bench.clock.at) == ["000002-2026-06-15-r2"]
    addendum = decode_seal(bench.files("000002-2026-06-15-r2").seal.read_bytes())
    assert (addendum.ranges, addendum.after, addendum.ledger) == ((("east-1", "e1", 3, 3),), 1, 2)
    assert {path: path.read_bytes() for path in bench.files().all} == before
    assert bench.check().is_ok


def test_a_day_without_records_is_sealed_and_named_as_a_gap(bench: Bench) -> None:
    keep(bench.store, [run()], NOON)
    assert len(bench.seal_at(TODAY + 3 * DAY + SETTLE)) == 3
    findings = bench.check()
    assert (findings.is_ok, findings.gaps) == (True, ["2026-06-16: no records", "2026-06-17: no records"])


def test_a_store_without_records_has_nothing_to_seal(bench: Bench) -> None:
    assert bench.seal_at(TODAY + 9 * DAY) == []


def test_windows_announced_later_are_in_the_next_seal(two_days: Bench) -> None:
    two_days.register.announce(NOON + 200 * HOUR, NOON + 201 * HOUR, reason="later")
    two_days.seal_at(TODAY + 3 * DAY + SETTLE)
    lines = two_days.files("000003-2026-06-17-r1").windows.read_text().splitlines()
    assert [json.loads(line)["reason"] for line in lines] == ["later"]
    assert two_days.check().is_ok


def test_issued_statements_are_in_the_next_seal_and_those_before_stay(two_days: Bench) -> None:
    two_days.issued.add(issued_day(), b"{}")
    two_days.seal_at(TODAY + 3 * DAY + SETTLE)
    two_days.issued.add(issued_day(2), b"{}")
    two_days.seal_at(TODAY + 4 * DAY + SETTLE)
    for number, name in ((1, "000003-2026-06-17-r1"), (2, "000004-2026-06-18-r1")):
        (line,) = two_days.files(name).statements.read_text().splitlines()
        found = json.loads(line)
        assert (found["period"], found["number"], found["author"], found["why"]) == ("2026-06-13", number, "ops", [])
    assert two_days.check().is_ok
    path = two_days.files("000003-2026-06-17-r1").statements
    path.write_bytes(path.read_bytes().replace(b'"verdict":"met"', b'"verdict":"missed"'))
    findings = two_days.check()
    assert failures(findings) == [("statements", "", None)]
    assert "its issued statements are not those that were sealed" in findings.failures[0].message


def as_older(bench: Bench, name: str) -> None:
    """A seal as the software before made it: the older format, without statements, signed anew."""
    files = bench.files(name)
    plain = json.loads(files.seal.read_bytes()) | {"format": "outrider-evidence/1"}
    raw = canonical({key: value for key, value in plain.items() if key not in ("statements", "partial")})
    files.seal.write_bytes(raw)
    files.signature.write_bytes(private_key(bench.home / "results.evidence.key").sign(raw))
    files.statements.unlink()


def test_a_chain_of_the_older_format_stays_valid_and_goes_on_in_the_newer_one(bench: Bench) -> None:
    keep(bench.store, [run()], NOON)
    bench.seal_at(TODAY + DAY + SETTLE)
    as_older(bench, FIRST)
    assert bench.check().is_ok
    bench.issued.add(issued_day(), b"{}")
    assert bench.seal_at(TODAY + 2 * DAY + SETTLE) == [SECOND]
    assert decode_seal(bench.files(SECOND).seal.read_bytes()).statements == Tree(
        count=1, root=merkle_root([leaf_hash(bench.files(SECOND).statements.read_bytes()[:-1])]).hex()
    )
    assert bench.check().is_ok
    bench.seal_at(TODAY + 3 * DAY + SETTLE)
    as_older(bench, "000003-2026-06-17-r1")
    findings = bench.check()
    assert (findings.counts, "seals without statements, after one" in findings.failures[0].message) == ({"chain": 1}, 1)


# --- a day that is not over ------------------------------------------------------------------------------------------


def test_a_day_sealed_before_it_is_over_is_named_as_partial_until_a_seal_completes_it(bench: Bench) -> None:
    keep(bench.store, [run(), run(NOON + 1)], NOON)
    bench.clock.at = NOON + HOUR
    assert [each.seal.name for each in bench.sealer.seal(with_today=True)] == [FIRST]
    assert bench.sealer.seal(with_today=True) == [], "nothing new came in"
    assert bench.seal_at(bench.clock.at) == [], "and without being asked, no day is sealed before it is over"
    findings = bench.check()
    assert (findings.is_ok, findings.gaps) == (True, [])
    assert findings.partial == ["2026-06-15: sealed at 2026-06-15T13:00:00Z, before it was over; no seal completes it"]
    keep(bench.store, [run(NOON + 2)], bench.clock.at)
    assert [each.seal.name for each in bench.sealer.seal(with_today=True)] == ["000002-2026-06-15-r2"]
    bench.clock.at = TODAY + DAY + SETTLE
    completed = bench.sealer.seal(only_with_a_new_day=True)
    assert [(each.seal.name, each.seal.records.count, each.seal.gap) for each in completed] == [
        ("000003-2026-06-15-r3", 0, None)
    ]
    findings = bench.check()
    assert (findings.is_ok, findings.partial, findings.gaps, findings.records) == (True, [], [], 3)


def test_a_day_sealed_early_that_stays_without_records_ends_as_a_gap(bench: Bench) -> None:
    keep(bench.store, [run()], NOON)
    bench.clock.at = NOON + DAY
    assert len(bench.sealer.seal(with_today=True)) == 2
    assert bench.check().gaps == []
    bench.seal_at(TODAY + 2 * DAY + SETTLE)
    assert (bench.check().gaps, bench.check().partial) == (["2026-06-16: no records"], [])


def test_openssl_reads_key_and_signature(two_days: Bench) -> None:
    files = two_days.files()
    told = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", two_days.folder / "key.pub", "-rawin",
         "-in", files.seal, "-sigfile", files.signature],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Signature Verified Successfully" in told.stdout, told.stderr


# --- what is changed afterwards --------------------------------------------------------------------------------------

ROWS = "SELECT * FROM read_parquet('{path}')"


@pytest.mark.parametrize(
    ("select", "named"),
    [
        (
            "SELECT * REPLACE (CASE WHEN seq = 7 AND agent = 'west-1' THEN latency + 1 ELSE latency END AS latency)"
            " FROM read_parquet('{path}')",
            [("changed", "west-1", 7)],
        ),
        (f"{ROWS} WHERE NOT (agent = 'east-1' AND seq = 20)", [("missing", "east-1", 20)]),
        (f"{ROWS} WHERE agent <> 'west-1' OR seq > 2", [("missing", "west-1", 1), ("missing", "west-1", 2)]),
        (
            f"{ROWS} UNION ALL SELECT * REPLACE (99 AS seq) FROM read_parquet('{{path}}') WHERE seq = 1",
            [("added", "east-1", 99), ("added", "west-1", 99)],
        ),
        (f"{ROWS} UNION ALL {ROWS} WHERE seq = 3 AND agent = 'east-1'", [("added", "east-1", 3)]),
        (
            "SELECT * REPLACE (CASE WHEN seq = 5 AND agent = 'east-1' THEN 50 ELSE seq END AS seq)"
            " FROM read_parquet('{path}')",
            [("missing", "east-1", 5), ("added", "east-1", 50)],
        ),
        (f"{ROWS} ORDER BY latency, seq DESC", []),
    ],
    ids=["a value", "a row less", "two rows less", "rows more", "a row twice", "a row renamed", "another order"],
)
def test_the_rows_that_were_changed_are_named(
    two_days: Bench, select: str, named: list[tuple[str, str, int | None]]
) -> None:
    rewrite(two_days.files().records, select)
    findings = two_days.check()
    assert failures(findings) == named
    assert {each.seal for each in findings.failures} <= {FIRST}


def flip(path: Path, at: int = 5) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def swap(one: Path, other: Path) -> None:
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def edit(bench: Bench) -> None:
    path = bench.files().seal
    path.write_bytes(path.read_bytes().replace(b'"after":0', b'"after":1'))


def forge(bench: Bench) -> None:
    """Another seal with another key, all of it in order by itself."""
    files, key = bench.files(), Ed25519PrivateKey.generate()
    seal = decode_seal(files.seal.read_bytes())
    raw = encode_seal(type(seal)(**{name: getattr(seal, name) for name in seal.__struct_fields__} | {
        "key": key_hex(key.public_key())}))  # fmt: skip
    files.seal.write_bytes(raw)
    files.signature.write_bytes(key.sign(raw))


def remove_first(bench: Bench) -> None:
    for path in bench.files().all:
        path.unlink()


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (edit, {"signature", "chain", "missing_day"}),
        (forge, {"key", "chain", "missing_day"}),
        (remove_first, {"missing_seal", "missing_day"}),
        (lambda b: swap(b.files().records, b.files(SECOND).records), {"missing", "added"}),
        (lambda b: swap(b.files().leaves, b.files(SECOND).leaves), {"leaves"}),
        (lambda b: swap(b.files().signature, b.files(SECOND).signature), {"signature"}),
        (lambda b: swap(b.files().windows, b.files(SECOND).windows), {"windows"}),
        (lambda b: swap(b.files().seal, b.files(SECOND).seal), {"chain", "signature"}),
        (lambda b: flip(b.files().leaves), {"leaves"}),
        (lambda b: flip(b.files().signature), {"signature", "missing_day"}),
        (lambda b: flip(b.files().windows, 40), {"windows"}),
        (lambda b: b.files().records.write_bytes(b.files().records.read_bytes()[:-50]), {"unreadable"}),
        (lambda b: b.files().records.write_bytes(b""), {"unreadable"}),
        (lambda b: b.files().records.unlink(), {"unreadable"}),
        (lambda b: b.files().leaves.write_bytes(b.files().leaves.read_bytes()[:-1]), {"leaves"}),
        (lambda b: b.files().leaves.unlink(), {"leaves"}),
        (lambda b: b.files().signature.write_bytes(b""), {"signature", "missing_day"}),
        (lambda b: b.files().signature.unlink(), {"signature", "missing_day"}),
        (lambda b: b.files().windows.unlink(), {"windows"}),
        (
            lambda b: b.files().seal.write_bytes(b.files().seal.read_bytes()[:100]),
            {"unreadable", "chain", "missing_day"},
        ),
        (lambda b: rewrite(b.files().records, "SELECT * EXCLUDE (detail) FROM read_parquet('{path}')"), {"unreadable"}),
        (lambda b: rewrite(b.files().records, "SELECT *, 1 AS more FROM read_parquet('{path}')"), {"unreadable"}),
        (
            lambda b: rewrite(
                b.files().records, "SELECT * REPLACE (CAST(latency AS DOUBLE) AS latency) FROM read_parquet('{path}')"
            ),
            {"unreadable"},
        ),
    ],
)
def test_a_folder_that_was_tampered_with_fails_in_the_right_way(
    two_days: Bench, change: Callable[[Bench], None], kinds: set[str]
) -> None:
    change(two_days)
    findings = two_days.check()
    assert set(findings.counts) == kinds, findings.failures


@pytest.mark.parametrize("ending", ["seal", "signature", "records", "leaves", "windows"])
def test_a_pipe_in_the_place_of_a_file_is_told_and_not_waited_for(two_days: Bench, ending: str) -> None:
    path = getattr(two_days.files(), ending)
    path.unlink()
    os.mkfifo(path)
    code = (
        "import sys; from pathlib import Path; from outrider_collector.evidence.checking import check_folder; "
        "from outrider_collector.evidence.keys import public_key; folder = Path(sys.argv[1]); "
        "sys.exit(check_folder(folder, public_key(folder / 'key.pub')).is_ok)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(two_days.folder)], timeout=60, check=False)
    assert done.returncode == 0, "it came to an end, and not to an all-clear"


@pytest.fixture(scope="module")
def sealed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One day of 30 records and an announcement, sealed."""
    home = tmp_path_factory.mktemp("sealed")
    clock = SettableClock()
    store, register = DuckdbStore(home / "results.duckdb"), WindowRegister(home / "windows.sqlite", clock)
    keep(store, [run(NOON + n, detail=f"x{n}") for n in range(30)], NOON)
    register.announce(NOON + 90 * HOUR, NOON + 91 * HOUR)
    issued = IssuedRegister(home / "statements.sqlite", clock)
    issued.add(issued_day(), b"{}")
    clock.at += DAY
    made(home, clock, store, register, issued).seal()
    issued.close()
    register.close()
    store.close()
    return home / "evidence"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_flipped_bit_anywhere_is_told_and_nothing_crashes(sealed_folder: Path, data: st.DataObject) -> None:
    key = public_key(sealed_folder / "key.pub")
    path = data.draw(st.sampled_from(SealFiles(sealed_folder, FIRST).all))
    raw = path.read_bytes()
    at = data.draw(st.integers(0, 8 * len(raw) - 1))
    changed = bytearray(raw)
    changed[at // 8] ^= 1 << at % 8
    path.write_bytes(changed)
    try:
        findings = check_folder(sealed_folder, key)
    finally:
        path.write_bytes(raw)
    if path.suffix != ".parquet":  # there, not every byte is of a row
        assert not findings.is_ok


def test_where_leaves_and_records_were_both_changed_it_says_that_no_row_can_be_named(two_days: Bench) -> None:
    flip(two_days.files().leaves)
    rewrite(two_days.files().records, f"{ROWS} WHERE seq > 1")
    assert set(two_days.check().counts) == {"leaves", "root"}


def test_seals_taken_off_the_end_are_noticed_by_whoever_was_told_the_head(two_days: Bench) -> None:
    head = two_days.check().head
    assert two_days.check(head).is_ok
    for path in two_days.files(SECOND).all:
        path.unlink()
    assert two_days.check().is_ok
    assert set(two_days.check(head).counts) == {"head"}


def test_another_key_fails_every_seal(two_days: Bench) -> None:
    private_key(two_days.home / "other.key")
    other = Sealer(
        two_days.folder, two_days.home / "other.key", two_days.store,
        as_of=two_days.clock.now, announcements=lambda at: (), settle=SETTLE,
    )  # fmt: skip
    (two_days.home / "other.pub").write_bytes(other.public_key())
    assert two_days.check(key=two_days.home / "other.pub").counts == {"key": 2}
    two_days.clock.at += DAY
    with pytest.raises(EvidenceError, match="was sealed with another key"):
        other.seal()


def test_of_many_rows_twenty_are_named_and_all_are_counted(two_days: Bench) -> None:
    rewrite(two_days.files().records, f"{ROWS} WHERE false")
    findings = two_days.check()
    assert (len(findings.failures), findings.counts["missing"]) == (20, 40)


def test_what_a_crash_left_is_noted_and_written_again(two_days: Bench) -> None:
    left = two_days.files("000003-2026-06-17-r1").records
    left.write_bytes(b"half")
    assert two_days.check().notes == [f"{left.name} belongs to no seal, and was not looked at"]
    two_days.seal_at(TODAY + 3 * DAY + SETTLE)
    findings = two_days.check()
    assert (findings.is_ok, findings.notes, findings.seals) == (True, [], 3)


# --- what a sealer refuses -------------------------------------------------------------------------------------------


def test_the_folder_of_another_store_is_refused(two_days: Bench, tmp_path: Path) -> None:
    store = DuckdbStore(tmp_path / "other" / "results.duckdb")
    keep(store, [run()], NOON)
    sealer = made(tmp_path, two_days.clock, store, two_days.register, two_days.issued)
    two_days.clock.at += DAY
    with pytest.raises(EvidenceError, match="was sealed up to ledger position 4, and the store ends at 1"):
        sealer.seal()
    store.close()
    assert two_days.check().is_ok


def test_a_store_that_was_put_back_to_an_earlier_state_is_not_sealed_on(two_days: Bench) -> None:
    path = two_days.home / "results.duckdb"
    two_days.store.close()
    shutil.copy(path, two_days.home / "backup.duckdb")
    later = DuckdbStore(path)
    keep(later, [run(NOON + 7, outcome="service_down")], two_days.clock.at + 1)
    assert made(
        two_days.home, SettableClock(two_days.clock.at + 2), later, two_days.register, two_days.issued
    ).seal(), "an addendum"
    later.close()
    shutil.copy(two_days.home / "backup.duckdb", path)
    restored = DuckdbStore(path)
    for n in range(3):  # its ledger soon reaches further than the seals, with other records at the same positions
        keep(restored, [run(NOON + DAY + n)], two_days.clock.at + HOUR)
    with pytest.raises(EvidenceError, match=r"up to ledger position 5 as of .*, and the store has 4 of that time"):
        made(
            two_days.home, SettableClock(TODAY + 3 * DAY + SETTLE), restored, two_days.register, two_days.issued
        ).seal()
    restored.close()


def test_a_register_that_lost_an_announcement_is_not_sealed_over(two_days: Bench, tmp_path: Path) -> None:
    register = WindowRegister(tmp_path / "fresh.sqlite", two_days.clock)
    sealer = made(tmp_path, two_days.clock, two_days.store, register, two_days.issued)
    two_days.clock.at += DAY
    with pytest.raises(EvidenceError, match="no longer holds the announcements that were sealed"):
        sealer.seal()
    assert "no longer holds" in sealer.trouble
    register.close()
    assert two_days.seal_at(two_days.clock.at) == ["000003-2026-06-17-r1"]


def test_a_register_that_lost_an_issued_statement_is_not_sealed_over(two_days: Bench, tmp_path: Path) -> None:
    two_days.issued.add(issued_day(), b"{}")
    two_days.seal_at(TODAY + 3 * DAY + SETTLE)
    issued = IssuedRegister(tmp_path / "fresh.sqlite", two_days.clock)
    sealer = made(tmp_path, two_days.clock, two_days.store, two_days.register, issued)
    two_days.clock.at += DAY
    with pytest.raises(EvidenceError, match="no longer holds those that were sealed"):
        sealer.seal()
    issued.close()


def test_the_key_is_its_owners_alone_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.key"
    first = private_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert key_hex(private_key(path).public_key()) == key_hex(first.public_key())
    assert [each.name for each in path.parent.iterdir()] == ["a.key"]
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="others may read this key"):
        private_key(path)


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\xff" * 99]
)
def test_a_file_that_is_no_key_is_refused_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.key"
    path.write_bytes(content)
    path.chmod(0o600)
    for read in (private_key, public_key):
        with pytest.raises(KeyFileError, match="in PEM") as refused:
            read(path)
        assert "AAAA" not in str(refused.value)
    assert path.read_bytes() == content


def test_a_full_disk_leaves_the_chain_as_it_was_and_is_made_good_later(tmp_path: Path) -> None:
    """In a process of its own: no file of it may grow beyond a limit, which is what a full disk looks like."""
    script = f"""
import resource, signal
from pathlib import Path
from collector_support import NOON, SETTLE, SettableClock, keep, run
from outrider.core.units import DAY
from outrider_collector.evidence.sealing import Sealer
from outrider_collector.store import StoreFailedError
from outrider_collector.store.duckdb_store import DuckdbStore

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
home = Path({str(tmp_path)!r})
clock, store = SettableClock(), DuckdbStore(home / "results.duckdb")
sealer = Sealer(home / "evidence", home / "a.key", store, as_of=clock.now, announcements=lambda at: (), settle=SETTLE)
keep(store, [run(NOON + n) for n in range(10)], NOON)
clock.at += DAY
sealer.seal()
keep(store, [run(NOON + DAY + n, detail=str(n) * 20) for n in range(3000)], clock.at)
clock.at += DAY
for limit in (0, 200, 5_000, 90_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        sealer.seal()
        print("sealed", limit)
    except StoreFailedError as error:
        print("refused", limit, bool(sealer.trouble), len(list((home / "evidence").iterdir())))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print("then", [each.seal.name for each in sealer.seal()], sealer.trouble == "")
store.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    told = done.stdout.splitlines()
    assert [line.split()[:3] for line in told[:-1]] == [
        ["refused", str(limit), "True"] for limit in (0, 200, 5_000, 90_000)
    ], (done.stdout, done.stderr)
    assert told[-1] == f"then ['{SECOND}'] True"
    findings = check_folder(tmp_path / "evidence", public_key(tmp_path / "evidence" / "key.pub"))
    assert (findings.is_ok, findings.notes, findings.records) == (True, [], 3010)


def test_a_copy_of_the_folder_under_an_odd_name_checks_out_alike(two_days: Bench, tmp_path: Path) -> None:
    odd = tmp_path / "it's [a] *copy?"
    shutil.copytree(two_days.folder, odd)
    assert check_folder(odd, public_key(odd / "key.pub")).is_ok
    assert seal_names(odd) == [FIRST, SECOND]
