"""Agreement files: what is refused and where, by the loader and by the schema; each clause in words; OpenSLO."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from outrider.cli import main
from outrider.core.clause_text import in_words
from outrider.core.guarantee import Agreement, Composite, Guarantee, Measure, View
from outrider.core.outcome import STANDINGS, OutcomeClass, Standing
from outrider.core.period import PeriodKind
from outrider.core.units import DAY, HOUR, SECOND
from outrider.redact import printable
from outrider.strict_yaml import ConfigError, read_value
from outrider.zones import read_zone
from outrider_collector.agreements.files import load_agreement, parse_percent
from outrider_collector.agreements.openslo import NotExpressibleError, to_openslo
from outrider_collector.agreements.schema import FILE_NAME, agreement_schema

GUARANTEES = Path(__file__).resolve().parents[2] / "config" / "guarantees"
SCHEMA = json.loads(agreement_schema())
FITS = Draft202012Validator(SCHEMA)
HEAD = "name: A\ntimezone: America/New_York\n"
CLAUSE = "guarantees:\n- id: G1\n  title: up\n  measure: availability\n  target: 99%\n"
TIMED = "guarantees:\n- id: G3\n  title: fast\n  measure: response_time\n  target: 90%\n"

# What a file says, where it is wrong (line:column), what is said of it, and whether a schema can say it too.
REFUSED: list[tuple[str, str, str, bool]] = [
    (HEAD + CLAUSE + "  limit: 10s\n", "8:10", "belongs to a response_time guarantee", True),
    (HEAD + TIMED, "4:3", "belongs to a response_time guarantee", True),
    (HEAD + TIMED + "  limit: 0s\n", "8:10", "longer than nothing", False),
    (HEAD + TIMED + "  limit: 1.5ms\n", "8:10", "whole number of milliseconds", False),
    (HEAD + TIMED + "  limit: ten\n", "8:10", "not a duration", True),
    (HEAD + TIMED + "  limit: ${env:LIMIT}\n", "8:10", "not a duration", True),
    (HEAD + TIMED + "  limit: 10s\n  composite: all\n", "9:14", "pools the runs", True),
    (HEAD + CLAUSE.replace("99%", "99"), "7:11", "a percentage, like 99.9%", True),
    (HEAD + CLAUSE.replace("99%", "0%"), "7:11", "cannot be reached", True),
    (HEAD + CLAUSE.replace("99%", "101%"), "7:11", "cannot be reached", True),
    (HEAD + CLAUSE.replace("99%", "-1%"), "7:11", "not a percentage", True),
    (HEAD + CLAUSE.replace("99%", "99.9/1%"), "7:11", "not a percentage", True),
    (HEAD + CLAUSE.replace("99%", "100.0 %") + "  strict: true\n", "7:11", "cannot be reached", True),
    (HEAD + CLAUSE + "  strict: sometimes\n", "8:11", "strict", True),
    (HEAD + CLAUSE + "  period: fortnight\n", "8:11", "not a period; write month", True),
    (HEAD + CLAUSE + "  period: rolling\n", "8:11", "not a period", True),
    (HEAD + CLAUSE + "  period: rolling 36h\n", "8:11", "whole days", True),
    (HEAD + CLAUSE + "  period: rolling 0d\n", "8:11", "1d to 366d", True),
    (HEAD + CLAUSE + "  period: rolling 367d\n", "8:11", "1d to 366d", True),
    (HEAD + CLAUSE + "  period: rolling 30d\n  cap: 4h\n", "9:8", "has no beginning", True),
    (HEAD + CLAUSE + "  cap: 0s\n", "8:8", "windows_excuse: false", False),
    (HEAD + CLAUSE + "  slice: 7s\n", "8:10", "divide 15 minutes", False),
    (HEAD + CLAUSE + "  quorum: 100%\n", "8:11", "between 0 and 1", True),
    (HEAD + CLAUSE + "  quorum: 0.0%\n", "8:11", "between 0 and 1", True),
    (HEAD + CLAUSE + "  notice: -1h\n", "8:11", "not a duration", True),
    (HEAD + CLAUSE + "  notice: 72\n", "8:11", "a duration", True),
    (HEAD + CLAUSE + "  coverage_floor: 100.5%\n", "8:19", "nor above 100 %", True),
    (HEAD + CLAUSE + "  void_inflight: maybe\n", "8:18", "void_inflight", True),
    (HEAD + CLAUSE + "  view: sideways\n", "8:9", "network", True),
    (HEAD + CLAUSE + "  composite: best\n", "8:14", "worst, all, any", True),
    (HEAD + CLAUSE + "  regions: []\n", "8:12", "length >= 1", True),
    (HEAD + CLAUSE + "  regions: [east, east]\n", "8:12", "listed twice", True),
    (HEAD + "regions: [east, east]\n" + CLAUSE, "3:10", "listed twice", True),
    (HEAD + CLAUSE + "  checks: []\n", "8:11", "length >= 1", True),
    (HEAD + CLAUSE + "  counts: {throttled: fine}\n", "8:23", "expected one of good, bad", True),
    (HEAD + CLAUSE + "  counts: {slow: bad}\n", "8:12", "slow", True),
    (HEAD + CLAUSE + "  quorums: 50%\n", "8:3", "quorum", True),
    (HEAD + CLAUSE + CLAUSE.removeprefix("guarantees:\n"), "3:1", "ids of their own", False),
    (HEAD + "guarantees: []\n", "3:13", "length >= 1", True),
    ("name: A\ntimezone: Mars/Olympus\n" + CLAUSE, "2:11", "Mars/Olympus", False),
    (HEAD + "in_force_from: 2026-01-01\n" + CLAUSE, "3:16", "2026-01-01", False),
    ("timezone: UTC\n" + CLAUSE, "1:1", "name", True),
]


def plain(text: str) -> Any:
    return read_value(text, file="a.yaml").value


@pytest.mark.parametrize(("text", "at", "message", "by_schema"), REFUSED)
def test_a_mistake_is_told_with_its_place_and_the_schema_sees_it_if_it_can(
    tmp_path: Path, text: str, at: str, message: str, by_schema: bool
) -> None:
    path = tmp_path / "agreement.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_agreement(path)
    said = str(raised.value)
    assert said.startswith(f"{path}:{at}: ")
    assert message in said
    assert FITS.is_valid(plain(text)) is not by_schema


@pytest.mark.parametrize(
    "text",
    [
        HEAD + CLAUSE,
        HEAD + TIMED + "  limit: 1.5s\n  period: rolling 366d\n",
        HEAD + "regions: [east]\nin_force_from: 2026-01-01T00:00:00Z\n" + CLAUSE + "  regions: [west, east]\n",
        HEAD + CLAUSE + "  period: day\n  cap: 1h\n  composite: any\n  strict: false\n  counts: {throttled: void}\n",
        HEAD + CLAUSE + "  limit: null\n  cap:\n",
        HEAD + CLAUSE.replace("99%", "100%"),
        HEAD + CLAUSE.replace("99%", "99.123456789012 %") + "  strict: true\n",
    ],
)
def test_what_loads_fits_the_schema(tmp_path: Path, text: str) -> None:
    path = tmp_path / "agreement.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_agreement(path)
    assert [error.message for error in FITS.iter_errors(plain(text))] == []


@pytest.mark.parametrize("path", sorted(GUARANTEES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_agreement_fits_the_schema_that_ships_beside_it_and_names_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [error.message for error in FITS.iter_errors(plain(text))] == []
    assert text.startswith(f"# yaml-language-server: $schema={FILE_NAME}\n")


def test_the_schema_that_ships_is_the_one_that_the_model_makes(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert main(["agreement", "schema"]) == 0
    told = capsysbinary.readouterr().out
    assert told == agreement_schema() == (GUARANTEES / FILE_NAME).read_bytes()
    clause = SCHEMA["$defs"]["GuaranteeFile"]["properties"]
    described = {name: each.get("description") or each["anyOf"][0].get("description") for name, each in clause.items()}
    assert [name for name, text in described.items() if not text] == []


def test_regions_of_the_agreement_hold_where_a_clause_lists_none(tmp_path: Path) -> None:
    path = tmp_path / "agreement.yaml"
    own = CLAUSE.removeprefix("guarantees:\n").replace("G1", "G2") + "  regions: [west]\n"
    path.write_text(HEAD + "regions: [east, north]\n" + CLAUSE + own, encoding="utf-8")
    assert [each.regions for each in load_agreement(path).guarantees] == [("east", "north"), ("west",)]


@pytest.mark.parametrize(
    ("text", "share"), [("99.9%", Fraction(999, 1000)), ("50 %", Fraction(1, 2)), ("0%", Fraction(0))]
)
def test_a_percentage_is_exact(text: str, share: Fraction) -> None:
    assert parse_percent(text) == share


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20))
def test_what_is_no_percentage_is_refused_and_nothing_else_happens(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= parse_percent(text) < 10


# --- in words ---------------------------------------------------------------------------------------------------------

ZONE = read_zone("America/New_York")
UP = Guarantee("G1", "up", Measure.AVAILABILITY, Fraction(999, 1000), strict=True, zone=ZONE)
FAST = Guarantee(
    "G3", "fast", Measure.RESPONSE_TIME, Fraction(9, 10), limit=10 * SECOND, checks=("eligibility",), zone=ZONE
)


def test_a_clause_in_words_is_one_sentence_with_all_that_decides() -> None:
    maintenance = "maintenance that was announced 72h before is left out; a partner's failure is left to the partner."
    assert in_words(UP) == (
        "in each calendar month of America/New_York, each of the checks is up in more than 99.9 % of the slices of 1m; "
        f"a check is down where more than 50 % of the regions with data are; {maintenance}"
    )
    assert in_words(FAST) == (
        "in each calendar month of America/New_York, at least 90 % of the runs of the checks eligibility succeed "
        f"within 10s; {maintenance}"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"period": PeriodKind.WEEK}, "in each calendar week, Sunday to Saturday, of America/New_York"),
        ({"period": PeriodKind.DAY}, "on each calendar day of"),
        ({"period": PeriodKind.ROLLING, "rolling": 30 * DAY}, "over the last 30 days, each of the checks"),
        ({"composite": Composite.ALL}, "the checks are all up together in more than"),
        ({"composite": Composite.ANY, "checks": ("a", "b*")}, "at least one of the checks a, b* is up in"),
        ({"windows_excuse": False}, "maintenance counts, announced or not"),
        ({"cap": 4 * HOUR}, "is left out, up to 4h in a month"),
        ({"void_inflight": True}, "under way when it began is void"),
        ({"notice": 0}, "announced before it begins is left out"),
        ({"view": View.END_TO_END}, "a partner's failure is held against the network"),
        ({"regions": ("east", "west")}, "the regions east, west must speak, and no other counts"),
        ({"coverage_floor": Fraction(1, 2)}, "less than 50 % of the slices, met becomes inconclusive"),
        ({"standings": {**STANDINGS, OutcomeClass.THROTTLED: Standing.VOID}}, "other than usual, throttled is void"),
        ({"quorum": Fraction(1, 3)}, "more than 33.333333333333 % of the regions"),
    ],
)
def test_each_parameter_that_differs_is_said(changes: dict[str, Any], said: str) -> None:
    assert said in in_words(replace(UP, **changes))


# --- OpenSLO ----------------------------------------------------------------------------------------------------------


def documents(agreement: Agreement) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(to_openslo(agreement)))


def test_an_agreement_is_a_service_and_an_sli_and_an_slo_for_each_clause() -> None:
    found = documents(load_agreement(GUARANTEES / "caqh-core.yaml"))
    assert [(each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in found] == [
        ("openslo/v1", "Service", "caqh-core-profile"),
        ("openslo/v1", "SLI", "caqh-core-profile-core-1"),
        ("openslo/v1", "SLO", "caqh-core-profile-core-1"),
        ("openslo/v1", "SLI", "caqh-core-profile-core-2"),
        ("openslo/v1", "SLO", "caqh-core-profile-core-2"),
    ]
    _, _, fast, _, up = (each["spec"] for each in found)
    assert (fast["service"], fast["indicatorRef"], fast["budgetingMethod"]) == (
        "caqh-core-profile", "caqh-core-profile-core-1", "Occurrences"
    )  # fmt: skip
    assert fast["objectives"] == [
        {"displayName": "Real-time transactions answered within 20 seconds", "targetPercent": 90.0}
    ]
    assert fast["timeWindow"] == [
        {
            "duration": "1M",
            "calendar": {"startTime": "2023-01-01 00:00:00", "timeZone": "America/New_York"},
            "isRolling": False,
        }
    ]
    assert (up["timeWindow"][0]["duration"], up["budgetingMethod"]) == ("1w", "Timeslices")
    (objective,) = up["objectives"]
    assert (objective["targetPercent"], objective["timeSliceTarget"], objective["timeSliceWindow"]) == (90.0, 0.5, "1m")


def test_what_openslo_has_no_word_for_stands_in_annotations() -> None:
    clause = replace(
        UP, cap=4 * HOUR, regions=("east", "west"), void_inflight=True, slice=2 * SECOND,
        standings={**STANDINGS, OutcomeClass.THROTTLED: Standing.VOID},
    )  # fmt: skip
    service, sli, slo = documents(Agreement("A", (clause,), ZONE, in_force_from=0))
    assert service["metadata"]["annotations"] == {
        "outrider/timezone": "America/New_York", "outrider/in-force-from": "1970-01-01T00:00:00Z"
    }  # fmt: skip
    annotations = slo["metadata"]["annotations"]
    assert all(isinstance(value, str) for value in annotations.values())
    assert annotations.pop("outrider/meaning") == in_words(clause)
    assert annotations == {
        "outrider/strict": "true", "outrider/slice": "2s", "outrider/composite": "worst", "outrider/view": "network",
        "outrider/coverage-floor": "0%", "outrider/windows-excuse": "true", "outrider/notice": "3d",
        "outrider/cap": "4h", "outrider/void-inflight": "true", "outrider/regions": "east, west",
        "outrider/counts.throttled": "void",
    }  # fmt: skip
    assert sli["spec"]["ratioMetric"]["good"]["metricSource"]["spec"]["regions"] == ["east", "west"]
    assert slo["spec"]["objectives"][0]["timeSliceWindow"] == pytest.approx(1 / 30)


def test_a_rolling_clause_is_a_rolling_window_and_a_day_of_quarters_has_whole_minutes() -> None:
    rolling = replace(UP, period=PeriodKind.ROLLING, rolling=30 * DAY, slice=900 * SECOND)
    (spec,) = (each["spec"] for each in documents(Agreement("A", (rolling,), ZONE)) if each["kind"] == "SLO")
    assert spec["timeWindow"] == [{"duration": "30d", "isRolling": True}]
    assert spec["objectives"][0]["timeSliceWindow"] == "15m"


def test_a_target_of_all_is_refused_since_openslo_has_none() -> None:
    with pytest.raises(NotExpressibleError, match="G1: OpenSLO v1 has no target of 100 %"):
        to_openslo(Agreement("A", (replace(UP, target=Fraction(1), strict=False),), ZONE))


@settings(max_examples=100, deadline=None)
@given(
    st.text(min_size=1, max_size=90), st.lists(st.text(min_size=1, max_size=90), min_size=1, max_size=4, unique=True)
)
def test_names_are_such_as_openslo_wants_and_differ_whatever_ids_are(name: str, ids: list[str]) -> None:
    text = to_openslo(Agreement(name, tuple(replace(UP, id=each, title=each) for each in ids), ZONE))
    found = list(yaml.safe_load_all(text))
    for kind in ("SLI", "SLO"):
        names = [each["metadata"]["name"] for each in found if each["kind"] == kind]
        assert len(set(names)) == len(names) == len(ids)
        for each in names:
            assert len(each) <= 63
            assert set(each) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
            assert each[0] != "-" != each[-1]
    assert [each["metadata"]["displayName"] for each in found if each["kind"] == "SLO"] == [
        printable(f"{each} {each}") for each in ids
    ]


# --- the command ------------------------------------------------------------------------------------------------------


def test_validate_says_what_each_clause_means_and_ends_with_104_where_one_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["agreement", "validate"]) == 0
    shown = capsys.readouterr().out
    for words in (
        "G1 Available 24 x 7 x 365: in each calendar month",
        "CORE-2 System availability in each calendar week: in",
    ):
        assert words in shown
    right, wrong = tmp_path / "right.yaml", tmp_path / "wrong.yaml"
    right.write_text(HEAD + CLAUSE, encoding="utf-8")
    wrong.write_text(HEAD + CLAUSE + "  slice: 7s\n", encoding="utf-8")
    assert main(["agreement", "validate", str(wrong), str(right)]) == 104
    told = capsys.readouterr()
    assert told.err.startswith(f"{wrong}:8:10: G1: a slice must divide 15 minutes")
    assert f"{right}: A\n" in told.out, "the others are told all the same"
    assert main(["agreement", "validate", str(tmp_path / "nowhere.yaml")]) == 104


def test_export_writes_openslo_or_ends_with_104(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agreement", "export", "--openslo", str(GUARANTEES / "network-services.yaml")]) == 0
    assert [each["kind"] for each in yaml.safe_load_all(capsys.readouterr().out)] == ["Service", *["SLI", "SLO"] * 2]
    path = tmp_path / "agreement.yaml"
    path.write_text(HEAD + CLAUSE.replace("99%", "100%"), encoding="utf-8")
    assert main(["agreement", "export", "--openslo", str(path)]) == 104
    assert capsys.readouterr().err == f"{path}: G1: OpenSLO v1 has no target of 100 %; it has to be below that\n"
    path.write_text(HEAD, encoding="utf-8")
    assert main(["agreement", "export", "--openslo", str(path)]) == 104
    assert "guarantees" in capsys.readouterr().err
