"""Window verification over a real store: the report over HTTP, and the command as a process, with its exit codes."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from collector_support import G1, NOON, Collector, collecting, keep, run

from outrider.clock import SystemClock
from outrider.collector_client import CollectorError
from outrider.commands.following import Progress, followed
from outrider.core.units import DAY, HOUR, MILLISECOND, MINUTE, SECOND, Instant, format_instant
from outrider.core.wire import RunRecord
from outrider_collector import verifying

END = NOON + HOUR
LATER = NOON + 6 * HOUR
REGIONS = ("east", "west")


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    async with collecting(tmp_path) as made:
        made.clock.at = NOON - 3 * HOUR
        yield made


def minutes(start: Instant, end: Instant) -> range:
    return range(start + 7 * SECOND, end, MINUTE)


def well(spans: Iterable[range], check: str = "eligibility", *, slower: float = 1, **changes: Any) -> list[RunRecord]:
    """Good runs of around 400 ms, from every region."""
    chance = random.Random(check)
    return [
        run(at, check=check, region=region, latency=int(slower * chance.gauss(400, 20)) * MILLISECOND, **changes)
        for span in spans
        for at in span
        for region in REGIONS
    ]


def down(span: range, check: str = "eligibility", **changes: Any) -> list[RunRecord]:
    return well([span], check, outcome="service_down", fault="service", code="503", place="status", **changes)


BEFORE = minutes(NOON - 4 * HOUR, NOON)
DURING = (*minutes(NOON, NOON + 10 * MINUTE), *minutes(NOON + 40 * MINUTE, END))
AFTER = minutes(END, LATER)
OUT_OF_SCOPE = well([minutes(NOON - 4 * HOUR, LATER)], "portal")
MAINTENANCE = [
    *well([minutes(NOON, NOON + 10 * MINUTE), minutes(NOON + 40 * MINUTE, END)]),
    *down(minutes(NOON + 10 * MINUTE, NOON + 40 * MINUTE)),
    *OUT_OF_SCOPE,
]


def good() -> list[RunRecord]:
    return [*well([BEFORE]), *MAINTENANCE, *well([AFTER])]


def slower() -> list[RunRecord]:
    return [*well([BEFORE]), *MAINTENANCE, *well([AFTER], slower=1.4)]


def overran() -> list[RunRecord]:
    late = minutes(END, END + 4 * MINUTE)
    return [*well([BEFORE]), *MAINTENANCE, *down(late), *well([minutes(END + 4 * MINUTE, LATER)])]


def too_few() -> list[RunRecord]:
    return [*well([BEFORE]), *MAINTENANCE, *well([minutes(END, END + HOUR)])]


async def announced(collector: Collector, **changes: Any) -> str:
    window = {"start": format_instant(NOON), "duration": "1h", "scope": ["eligibility"], "reason": "database"}
    answer = await collector.announce(**{**window, "allow_unknown_checks": True, **changes})
    assert answer.http == 201, answer.raw
    return str(answer.json["window"])


async def told(collector: Collector, records: list[RunRecord], at: Instant = LATER) -> str:
    """A window announced in time, and what the agents sent by an instant."""
    window = await announced(collector)
    keep(collector.rooms.store, records, at)
    collector.clock.at = at
    return window


async def report(collector: Collector, window: str, **query: str) -> Any:
    answer = await collector.get(f"/v1/windows/{window}/verification", **query)
    assert answer.http == 200, answer.raw
    return answer.json


async def command(collector: Collector, *argv: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "outrider", "window", "verify", "--collector", collector.url, *argv,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    assert b"Traceback" not in err
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize(
    ("records", "exit_code", "words"),
    [
        (good, 0, ("all clear", "met by 2h", "240 runs", "30 bad runs", "portal (out of scope): stayed up")),
        (slower, 1, ("failed", "slower than before", "at least 1.2 times")),
        (overran, 1, ("failed", "overran, bad until 3m7s after the window's end", "3m7s after the end")),
        (too_few, 2, ("inconclusive", "60 runs after; 140 are missing to 200")),
    ],
)
async def test_the_command_tells_the_verdict_by_its_exit_code(
    collector: Collector, records: Callable[[], list[RunRecord]], exit_code: int, words: tuple[str, ...]
) -> None:
    window = await told(collector, records())
    code, out, err = await command(collector, window)
    assert code == exit_code, (out, err)
    for each in words:
        assert each in " ".join(out.split()), out
    code, out, err = await command(collector, window, "--json")
    assert (code, json.loads(out)["verdict"], err) == (exit_code, words[0], "")


async def test_the_report_counts_each_check_and_region_and_comes_out_the_same_again(collector: Collector) -> None:
    window = await told(collector, slower())
    first = await collector.get(f"/v1/windows/{window}/verification", as_of=format_instant(LATER))
    made = first.json
    assert made["before"]["notices"][0] == {
        "guarantee": "G1", "required_us": HOUR, "given_us": 3 * HOUR, "margin_us": 2 * HOUR, "is_met": True
    }  # fmt: skip
    assert [(each["region"], each["runs"]) for each in made["before"]["baselines"]] == [("east", 240), ("west", 240)]
    trouble = made["during"]["in_scope"][0]
    assert (trouble["first_after_start_us"], trouble["bad_runs"]) == (10 * MINUTE + 7 * SECOND, 30)
    assert trouble["last_before_end_us"] == 20 * MINUTE + 53 * SECOND
    assert [each["change"] for each in made["after"]["comparisons"]] == ["slower", "slower"]
    collector.clock.at += DAY
    keep(collector.rooms.store, down(minutes(LATER, LATER + HOUR)), LATER + DAY)
    again = await collector.get(f"/v1/windows/{window}/verification", as_of=format_instant(LATER))
    assert again.raw == first.raw, "what was recorded later does not exist for an earlier instant"
    assert any("not good again" in each for each in (await report(collector, window))["failures"])


async def test_how_slow_is_slower_may_be_asked_for_and_is_told(collector: Collector) -> None:
    window = await told(collector, slower())
    code, out, err = await command(collector, window, "--ratio", "1.5")
    assert (code, err) == (0, ""), out
    assert "slower is 1.5 times or more, from 200 runs on each side" in out
    assert "significant, but less than 1.5 times" in " ".join(out.split())
    code, out, _ = await command(collector, window, "--ratio", "1.3", "--json")
    assert (code, json.loads(out)["settings"]) == (1, {"ratio": "1.3", "baseline_runs": 200})


async def test_fewer_runs_may_be_enough_where_that_is_asked_for(collector: Collector) -> None:
    window = await told(collector, too_few())
    code, out, _ = await command(collector, window, "--baseline-runs", "60", "--json")
    assert (code, json.loads(out)["verdict"]) == (0, "all clear")
    code, out, _ = await command(collector, window, "--baseline-runs", "61")
    assert (code, "1 are missing to 61" in out) == (2, True), out


@pytest.mark.parametrize("purpose", ["load", "verify", "cleanup"])
async def test_runs_of_another_purpose_are_never_in_it(collector: Collector, purpose: str) -> None:
    window = await told(collector, good())
    before = await report(collector, window, as_of=format_instant(LATER))
    keep(collector.rooms.store, down(AFTER, purpose=purpose), LATER)
    assert await report(collector, window, as_of=format_instant(LATER)) == before
    assert before["verdict"] == "all clear"


async def test_what_an_agent_or_a_partner_failed_says_nothing_about_the_window(collector: Collector) -> None:
    at = minutes(END, END + 20 * MINUTE)
    void = well([at], outcome="agent_fault", fault="agent")
    partner = well([at], outcome="partner_down", fault="partner")
    window = await told(collector, [*good(), *void, *partner])
    assert (await report(collector, window))["verdict"] == "all clear"


async def test_another_window_that_was_announced_too_late_hides_nothing(collector: Collector) -> None:
    window = await announced(collector)
    keep(collector.rooms.store, [*well([BEFORE]), *MAINTENANCE, *down(minutes(END, END + 30 * MINUTE)),
                                 *well([minutes(END + 30 * MINUTE, LATER)])], LATER)  # fmt: skip
    collector.clock.at = LATER
    await announced(collector, start=format_instant(END), duration="30m")
    assert any("overran, bad until 29m7s" in each for each in (await report(collector, window))["failures"])


async def test_the_next_window_announced_in_time_keeps_its_own_trouble(collector: Collector) -> None:
    window = await announced(collector)
    await announced(collector, start=format_instant(END), duration="30m")
    keep(collector.rooms.store, [*well([BEFORE]), *MAINTENANCE, *down(minutes(END, END + 30 * MINUTE)),
                                 *well([minutes(END + 30 * MINUTE, LATER)])], LATER)  # fmt: skip
    collector.clock.at = LATER
    assert (await report(collector, window))["verdict"] == "all clear"


@pytest.mark.parametrize(("void_inflight", "verdict"), [(False, "failed"), (True, "all clear")])
async def test_a_run_under_way_when_the_window_opened_is_judged_as_the_agreement_has_it(
    tmp_path: Path, void_inflight: bool, verdict: str
) -> None:
    straddling = run(NOON - 2 * SECOND, latency=5 * SECOND, outcome="service_down", fault="service")
    async with collecting(tmp_path, guarantees=(replace(G1, void_inflight=void_inflight),)) as collector:
        collector.clock.at = NOON - 3 * HOUR
        window = await told(collector, [*good(), straddling])
        assert (await report(collector, window))["verdict"] == verdict


async def test_no_more_runs_are_read_than_the_bound_and_the_nearest_ones(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "MOST", 210)
    window = await told(collector, good())
    made = await report(collector, window)
    assert {each["runs"] for each in made["before"]["baselines"]} == {210}
    assert {each["runs"]["after"] for each in made["after"]["comparisons"]} == {210}
    assert made["verdict"] == "all clear"


@pytest.mark.parametrize(
    ("query", "http", "words"),
    [({"as_of": "yesterday"}, 422, "as_of: 'yesterday' is not a time"),
     ({"as_of": "2020-01-01T00:00:00Z"}, 404, "there is no window"),
     ({"rato": "1.3"}, 422, "rato: is unknown; a verification takes as_of, ratio, baseline_runs")],
)  # fmt: skip
async def test_a_question_that_cannot_be_meant_is_refused(
    collector: Collector, query: dict[str, str], http: int, words: str
) -> None:
    window = await announced(collector)
    answer = await collector.get(f"/v1/windows/{window}/verification", **query)
    assert (answer.http, words in answer.error) == (http, True), answer.raw
    assert (await collector.get("/v1/windows/w-none/verification")).http == 404


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("w-none",), "there is no window 'w-none'"),
        (("w-none", "--limit", "5m"), "a limit belongs to --wait"),
        (("w-none", "--wait", "--limit", "soon"), "is not a duration"),
        (("w-none", "--wait", "--limit", "0s"), "longer than nothing"),
        (("w-none", "--wait", "--as-of", "2026-06-15T12:00:00Z"), "what is past is not waited for"),
        ((), "ID"),
        (("w-none", "--ratio", "0.9"), "ratio: '0.9' is not a number from 1 to 100"),
        (("w-none", "--ratio", "nan"), "ratio: 'nan' is not a number"),
        (("w-none", "--ratio", "1e9"), "ratio: '1e9' is not a number"),
        (("w-none", "--baseline-runs", "19"), "baseline_runs: '19' is not a whole number from 20 to 3000"),
        (("w-none", "--baseline-runs", "-200"), "baseline_runs: '-200' is not a whole number"),
    ],
)
async def test_bad_arguments_exit_with_104(collector: Collector, argv: tuple[str, ...], words: str) -> None:
    code, out, err = await command(collector, *argv)
    assert (code, out, words in err) == (104, "", True), err


async def test_waiting_ends_at_its_limit_with_what_is_open_told_once(collector: Collector) -> None:
    window = await told(collector, well([BEFORE]), NOON + MINUTE)
    code, out, err = await command(collector, window, "--wait", "--limit", "300ms")
    assert code == 2
    assert "the window ends 2026-06-15T13:00:00Z" in out
    assert err.splitlines() == ["waiting: the window ends 2026-06-15T13:00:00Z"]


def asked(url: str, window: str) -> argparse.Namespace:
    return argparse.Namespace(collector=url, window=window, as_of=None, ratio=None, baseline_runs=None)


class Told(Progress):
    """Progress that also says when it was shown."""

    def __init__(self) -> None:
        super().__init__(is_live=False)
        self.is_shown = asyncio.Event()

    def show(self, pending: list[str], more_about: str = "") -> None:
        super().show(pending, more_about)
        self.is_shown.set()


async def test_waiting_ends_with_an_all_clear_as_soon_as_nothing_is_open(
    collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    window = await told(collector, [*well([BEFORE]), *MAINTENANCE], NOON + 30 * MINUTE)
    arguments = asked(collector.url, window)
    progress = Told()
    following = asyncio.create_task(followed(arguments, MINUTE, progress, SystemClock(), poll=20 * MILLISECOND))
    await asyncio.wait_for(progress.is_shown.wait(), 30)
    keep(collector.rooms.store, well([minutes(END, END + HOUR)]), NOON + 40 * MINUTE)
    collector.clock.at = END + HOUR
    progress.is_shown.clear()
    await asyncio.wait_for(progress.is_shown.wait(), 30)
    keep(collector.rooms.store, well([minutes(END + HOUR, LATER)]), END + HOUR + SECOND)
    collector.clock.at = LATER
    last = await asyncio.wait_for(following, 30)
    assert (last["verdict"], last["pending"]) == ("all clear", [])
    assert "waiting: the window ends" in capsys.readouterr().err


async def test_a_collector_that_was_never_there_is_not_waited_for() -> None:
    arguments = asked("http://127.0.0.1:9", "w-1")
    with pytest.raises(CollectorError, match="no collector answers"):
        await followed(arguments, MINUTE, Progress(is_live=False), SystemClock())
