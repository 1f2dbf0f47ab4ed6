"""ISO 8583 scenarios: what does not load, what a dry run shows, and when a reversal is due."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from outrider.codecs.check_digits import passes_luhn
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.commands.dry_run import requests
from outrider.config import load_scenario
from outrider.core.outcome import Finding, Observation
from outrider.core.timetable import Timetable
from outrider.core.units import SECOND
from outrider.execution import Check
from outrider.hygiene import asked_for
from outrider.probes import Target
from outrider.redact import card_numbers
from outrider.resources import shipped
from outrider.scenario import CleanupState, Scenario, ScenarioRun, is_generator
from outrider.strict_yaml import ConfigError

PATH = shipped("scenarios") / "iso8583-authorize-reverse.yaml"
TEXT = PATH.read_text(encoding="utf-8")
CARD = "4242424242424242"
# Nobody's: made up here, and closed with the digit that the Luhn check asks for.
UNLISTED = "4912345678901" + next(f"{end:03d}" for end in range(1000) if passes_luhn(f"4912345678901{end:03d}"))
S = CleanupState


def refusal(tmp_path: Path, text: str) -> ConfigError:
    path = tmp_path / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_scenario(path)
    return caught.value


def line_of(text: str) -> int:
    return TEXT[: TEXT.index(text)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (f'pan: "{CARD}"', f'pan: "{UNLISTED}"', "pan:", "is a card number, and no published test number"),
        (f'pan: "{CARD}"', f'de48: "ref {UNLISTED}"', "pan:", "is a card number"),
        ("amount: 100\n", "amount: 101\n", "amount: 100\n", "101 is more than the 100"),
        ("amount: 100\n", 'amount: "000000010000"\n', "amount: 100\n", "10000 is more than the 100"),
        ("amount: 100\n", "de4: 100\n", "amount: 100\n", "'de4' is written 'amount'"),
        ("amount: 100\n", 'amount: 100\n        de6: "000000010000"\n', "transmission_date_time", "'de6' is an amount"),
        ('currency: "840"', 'currency: "978"', 'currency: "840"', "the currency is not USD"),
        ('currency: "840"', 'currency: "999"', 'currency: "840"', "the currency is not USD"),
        ('currency: "840"', "merchant_type2: x", 'currency: "840"', "'merchant_type2' is no field"),
        ("merchant_type:", "de35:", "merchant_type:", "'de35' is never sent: no track, PIN, chip data"),
        (
            "money: { max_amount: 100, currency: USD }",
            "description: none",
            "message: authorization",
            "and the scenario sets no limit",
        ),
        (
            "max_amount: 100, currency: USD",
            "max_amount: 100, currency: EUR",
            'currency: "840"',
            "the currency is not EUR",
        ),
        (
            "${now:MMDDhhmmss}",
            "${now:MMDDHHmmss}",
            "sent_at: ${now",
            "is not a name (did you mean 'now:MMDDhhmmss'?); known",
        ),
    ],
)
def test_what_breaks_a_rule_does_not_load_and_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, line: str, message: str
) -> None:
    assert old in TEXT
    error = refusal(tmp_path, TEXT.replace(old, new, 1))
    assert message in str(error)
    assert error.line == line_of(line)
    assert UNLISTED not in str(error)


def test_an_authorization_that_nothing_reverses_does_not_load(tmp_path: Path) -> None:
    alone = TEXT[: TEXT.index("  - name: reverse\n")]
    assert "pays, and no cleanup undoes it" in str(refusal(tmp_path, alone))


def test_a_scenario_is_checked_without_the_library_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outrider.codecs.extras.find_spec", lambda name: None)
    assert load_scenario(PATH).name == "iso8583-authorize-reverse"
    assert "field 41 is" in str(refusal(tmp_path, TEXT.replace("terminal: ", "terminal: TOO-LONG-A-NAME")))


def test_a_run_is_counted_in_the_currency_of_its_number() -> None:
    assert asked_for(load_scenario(PATH)) == ("USD", 200)  # the reversal names the amount too


@pytest.mark.parametrize("name", ["now:MMDDhhmmss", "now:YYYY-MM-DDThh:mm:ss", "now:hhmmss", "now"])
def test_a_form_of_the_time_is_a_generator(name: str) -> None:
    assert is_generator(name)


@pytest.mark.parametrize("name", ["now:", "now:x", "now:HHMM", "now:%Y", "now: MMDD\n"])
def test_what_is_no_form_of_the_time_is_no_generator(name: str) -> None:
    assert not is_generator(name)


def test_a_dry_run_shows_every_message_and_no_more_than_the_ends_of_the_card() -> None:
    check = Check("x", load_scenario(PATH), Target("switch", "tcp://switch.test:8583"),
                  Timetable("test", "x", 60 * SECOND), 5 * SECOND)  # fmt: skip
    drawn = {"stan": "000042", "now:MMDDhhmmss": "1123235959", "now:hhmmss": "235959", "now:MMDD": "1123",
             "now:YYMMDD": "261123"}  # fmt: skip
    shown = list(requests(check, drawn.__getitem__, frozenset()))
    assert [(each.step, each.url) for each in shown] == [
        (step, "tcp://switch.test:8583") for step in ("authorize", "reverse", "reverse-what-was-authorized")
    ]
    for each in shown:
        assert "\n    2 pan                    424242******4242\n" in each.sent
        assert not card_numbers(each.sent)
        assert CARD not in each.sent
        dumped = re.findall(r"^  [0-9A-F]{4}  ([0-9A-F*:]+)$", each.sent, re.MULTILINE)
        pairs = ":".join(dumped).split(":")
        text = "".join("*" if pair == "**" else chr(int(pair, 16)) for pair in pairs)
        assert "16424242******4242" in text
        assert "4242424" not in text
    assert "   90 original               010000004211232359590000000000000000000000" in shown[1].sent


# --- when a reversal is due -----------------------------------------------------------------------------------------


def scenario() -> Scenario:
    return load_scenario(PATH)


def responded(code: str, version: int = 1987) -> Observation:
    return Observation((Finding(code, f"de39/{version}"),), {"de39": (code,)})


@pytest.mark.parametrize(
    ("observation", "state"),
    [
        *((responded(code), S.NONE) for code in ("05", "51", "54", "14", "30", "12", "03", "58", "63")),
        *((responded(code, 1993), S.NONE) for code in ("100", "116", "904")),
        *(
            (responded(code), S.UNCONFIRMED)
            for code in ("91", "92", "96", "68", "94", "06", "09", "22", "10", "99", "N7")
        ),
        *((responded(code, 1993), S.UNCONFIRMED) for code in ("907", "909", "911", "913")),
        (Observation.failed("timeout", "net/wait"), S.UNCONFIRMED),
        (Observation.failed("reset", "net/receive"), S.UNCONFIRMED),
        (Observation.failed("truncated", "net/receive"), S.UNCONFIRMED),
        (Observation.failed("bad-length", "body/frame"), S.UNCONFIRMED),
        (Observation.failed("unreadable", "iso8583/de39"), S.UNCONFIRMED),
        (Observation.failed("missing", "iso8583/de39"), S.UNCONFIRMED),
        (Observation.failed("mismatch", "echo/de11"), S.UNCONFIRMED),
        (Observation.failed("refused", "net/connect"), S.NONE),
        (Observation.failed("cannot-prepare", "agent/request"), S.NONE),
    ],
)
def test_a_reversal_is_due_unless_the_authorization_was_never_sent_or_was_declined(
    observation: Observation, state: S
) -> None:
    run = ScenarioRun(scenario(), lambda name: name, OUTCOME_TABLE)
    run.next()
    run.feed(observation)
    assert run.is_measured_over
    assert run.cleanup is state


@pytest.mark.parametrize(
    ("code", "state"),
    [("00", S.CONFIRMED), ("25", S.CONFIRMED), ("12", S.UNCONFIRMED), ("96", S.UNCONFIRMED), ("91", S.UNCONFIRMED)],
)
def test_a_reversal_is_confirmed_by_an_approval_or_by_nothing_to_reverse(code: str, state: S) -> None:
    run = ScenarioRun(scenario(), lambda name: name, OUTCOME_TABLE)
    run.next()
    run.feed(Observation.failed("timeout", "net/wait"))
    call = run.next()
    assert call is not None
    assert call.step.name == "reverse-what-was-authorized"
    first = call.request
    run.feed(responded(code))
    assert run.cleanup is state
    run.try_again()
    again = run.next()
    assert (again is None) == (state is S.CONFIRMED)
    assert again is None or again.request == first


def test_a_reversal_that_was_a_step_needs_no_cleanup() -> None:
    run = ScenarioRun(scenario(), lambda name: name, OUTCOME_TABLE)
    for _ in range(2):
        run.next()
        run.feed(responded("00"))
    assert run.outcome.is_ok
    assert (run.next(), run.cleanup) == (None, S.NONE)


def test_a_decline_that_the_switch_gives_to_a_reversal_leaves_it_due() -> None:
    run = ScenarioRun(scenario(), lambda name: name, OUTCOME_TABLE)
    for code in ("00", "64"):
        run.next()
        run.feed(responded(code))
    assert run.cleanup is S.UNCONFIRMED
