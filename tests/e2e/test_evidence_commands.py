"""`outrider seal` and `outrider verify-evidence` as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from collector_support import keep, run
from processes_support import DEMO_CONFIG, Network, get, network, outrider, text, until

from outrider.core.units import DAY, HOUR
from outrider_collector.store.duckdb_store import DuckdbStore

DAYS = 3


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A collector that finds records of three days ago in its store, none of two days ago, and some of yesterday."""
    with network(tmp_path_factory.mktemp("net")) as made:
        today = time.time_ns() // 1000 // DAY * DAY
        store = DuckdbStore(made.folder / "store.duckdb")
        for day in (3, 1):
            at = today - day * DAY + HOUR
            keep(store, [run(at + n) for n in range(5)], at + HOUR)
        store.close()
        config = made.folder / "collector.yaml"
        plain = (DEMO_CONFIG / "collector.yaml").read_text().replace("${env:OUTRIDER_AGREEMENT}", "agreement.yaml")
        config.write_text(plain + "evidence: evidence\n")
        (made.folder / "agreement.yaml").write_text((DEMO_CONFIG / "agreement.yaml").read_text())
        made.start("collector", "collector", "--config", str(config))
        until(
            "the days are sealed", lambda: len((get(f"{made.collector_url}/v1/evidence") or {"seals": ()})["seals"]) > 2
        )
        yield made


@pytest.fixture
def folder(net: Network, tmp_path: Path) -> Path:
    """A copy of the evidence, to do anything with."""
    for path in (net.folder / "evidence").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture
def key(net: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    told = outrider("seal", "--collector", net.collector_url, "--public-key")
    assert told.returncode == 0, told.stderr
    path = tmp_path_factory.mktemp("key") / "collector.pub"
    path.write_text(told.stdout)
    return path


def test_a_collector_seals_by_itself_and_the_folder_checks_out(net: Network, folder: Path, key: Path) -> None:
    listed = outrider("seal", "--collector", net.collector_url, "--list")
    assert (listed.returncode, len(listed.stdout.splitlines())) == (0, DAYS)
    assert "no records" in listed.stdout
    again = outrider("seal", "--collector", net.collector_url)
    assert (again.returncode, "no seal: no day is due" in again.stdout) == (0, True)
    head = listed.stdout.split()[-1]
    done = outrider("verify-evidence", str(folder), "--key", str(key), "--head", head)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("ok: 3 seals, ")
    assert done.stdout.count("gap     ") == 1
    assert "note" not in done.stdout
    alone = outrider("verify-evidence", str(folder))
    assert (alone.returncode, "lies in the folder itself" in alone.stdout) == (0, True)


def test_one_changed_value_is_named_by_its_row(folder: Path, key: Path) -> None:
    path = sorted(folder.glob("000001-*.parquet"))[0]
    duckdb.execute(
        "COPY (SELECT * REPLACE (CASE WHEN seq = 3 THEN 'service_down' ELSE outcome END AS outcome) "
        f"FROM read_parquet('{path}')) TO '{path}.new' (FORMAT parquet)"
    )
    path.with_name(f"{path.name}.new").replace(path)
    done = outrider("verify-evidence", str(folder), "--key", str(key))
    assert done.returncode == 1
    assert "the row of agent east-1, epoch e1, seq 3 was changed" in done.stdout
    plain = outrider("verify-evidence", str(folder), "--key", str(key), "--json")
    found = json.loads(plain.stdout)
    assert (plain.returncode, found["ok"], found["counts"]) == (1, False, {"changed": 1})
    assert [(each["agent"], each["seq"]) for each in found["failures"]] == [("east-1", 3)]


def test_a_folder_without_seals_fails(tmp_path: Path, key: Path) -> None:
    done = outrider("verify-evidence", str(tmp_path), "--key", str(key))
    assert (done.returncode, "there is no seal in" in done.stdout) == (1, True)


def test_wrong_arguments_are_104_and_say_what_is_wrong(folder: Path, key: Path) -> None:
    for argv, words in (
        ((str(folder / "nowhere"),), "there is no such folder"),
        ((str(key),), "there is no such folder"),
        ((str(folder), "--key", str(folder / "none.pub")), "No such file"),
        ((str(folder), "--key", str(next(folder.glob("*.leaves")))), "no public key in PEM"),
        ((str(folder), "--head", "abc"), "--head is a SHA-256 in hex"),
        ((), "required: DIR"),
    ):
        done = outrider("verify-evidence", *argv)
        assert (done.returncode, words in done.stderr) == (104, True), (argv, done.stderr)
        assert "Traceback" not in done.stderr
    (folder / "key.pub").unlink()
    done = outrider("verify-evidence", str(folder))
    assert (done.returncode, "give --key FILE" in done.stderr) == (104, True)


@pytest.mark.parametrize("missing", ["duckdb", "cryptography"])
def test_a_missing_library_is_named_with_its_extra(folder: Path, missing: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from outrider.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "verify-evidence", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 104
    assert f"outrider verify-evidence needs {missing}: pip install 'outrider[collector]'" in done.stderr


def test_the_private_key_is_in_no_log_and_no_answer(net: Network) -> None:
    secret = (net.folder / "store.evidence.key").read_text().splitlines()[1]
    assert "PRIVATE" not in text(f"{net.collector_url}/v1/evidence/key")
    told = [path.read_bytes() for path in [net.folder / "collector.log", *(net.folder / "evidence").iterdir()]]
    assert all(secret.encode() not in each for each in told)
    assert b"sealed 000001-" in told[0]


def test_a_collector_that_seals_nothing_says_how_it_would(tmp_path: Path) -> None:
    with network(tmp_path) as plain:
        plain.start_collector()
        done = outrider("seal", "--collector", plain.collector_url)
        assert (done.returncode, "`evidence: FOLDER`" in done.stderr) == (104, True)


def test_an_evidence_folder_without_a_name_is_a_mistake_in_the_file(net: Network, tmp_path: Path) -> None:
    config = tmp_path / "collector.yaml"
    config.write_text((DEMO_CONFIG / "collector.yaml").read_text() + 'evidence: " "\n')
    (tmp_path / "agreement.yaml").write_text((DEMO_CONFIG / "agreement.yaml").read_text())
    done = outrider("collector", "--config", str(config), environment=net.environment())
    assert (done.returncode, "name the folder that days are sealed into" in done.stderr) == (104, True)
