"""Hygiene at load and before sending: each rule, and what somebody would try to get past it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs.check_digits import is_npi, is_routing_number, passes_luhn
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.codecs.published_cards import PUBLISHED, SOURCES
from outrider.config import load_scenario
from outrider.core.timetable import Timetable
from outrider.core.units import MINUTE, SECOND, parse_instant
from outrider.core.wire import RunRecord
from outrider.execution import Check, Execution, Surroundings
from outrider.hygiene import private_values
from outrider.hygiene.walking import fields
from outrider.probes import Target
from outrider.probes.table import PROBES
from outrider.redact import card_numbers
from outrider.scenario import Scenario
from outrider.strict_yaml import ConfigError
from outrider.transport import HttpReply
from outrider.transport.fake import FakeTransport
from outrider_sandbox import cards as sandbox_cards

# Nobody's: made up here, and closed with the digit that the Luhn check asks for.
PAN = "4912345678901" + next(f"{end:03d}" for end in range(1000) if passes_luhn(f"4912345678901{end:03d}"))
AMEX = "37123456789" + next(f"{end:04d}" for end in range(10_000) if passes_luhn(f"37123456789{end:04d}"))
LONGEST = "6212345678901234" + next(f"{end:03d}" for end in range(1000) if passes_luhn(f"6212345678901234{end:03d}"))
GROUPS = [PAN[start : start + 4] for start in range(0, 16, 4)]
FULLWIDTH = PAN.translate({ord(str(digit)): 0xFF10 + digit for digit in range(10)})
ARABIC = PAN.translate({ord(str(digit)): 0x0660 + digit for digit in range(10)})

HEAD = "name: x\ntitle: X\nsynthetic: true\nprobe: http\n"
STEP = "steps:\n  - name: one\n    request:\n      path: /x\n      method: POST\n"


def refusal(tmp_path: Path, text: str) -> ConfigError:
    path = tmp_path / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_scenario(path)
    assert caught.value.file == str(path)
    return caught.value


def load(tmp_path: Path, text: str) -> Scenario:
    path = tmp_path / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    return load_scenario(path)


# --- card numbers


@pytest.mark.parametrize("number", sorted(PUBLISHED))
def test_every_number_on_the_list_is_one_that_the_rule_would_find(number: str) -> None:
    assert card_numbers(number) == [number]


def test_every_source_of_the_list_is_named_by_who_publishes_it_and_where() -> None:
    assert all(re.fullmatch(r"[A-Z][\w.]+, [\w.]+/[\w./-]+", source) for source in SOURCES)


def test_the_sandbox_knows_no_card_that_a_scenario_may_not_use() -> None:
    assert sandbox_cards._PURPOSE.keys() <= PUBLISHED


@pytest.mark.parametrize("number", sorted(PUBLISHED))
def test_a_published_test_number_loads(tmp_path: Path, number: str) -> None:
    assert load(tmp_path, HEAD + STEP + f'      json: {{ number: "{number}" }}\n')


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (HEAD + STEP + f'      json: {{ card: {{ number: "{PAN}" }} }}\n', 10),
        (HEAD + STEP + f"      json: {{ card: {{ number: {PAN} }} }}\n", 10),
        (HEAD + STEP + f"      json: {{ card: {{ number: {PAN}.0 }} }}\n", 10),
        (HEAD + STEP + f"      json: {{ card: {{ number: -{PAN} }} }}\n", 10),
        (HEAD + STEP + f"      json: {{ cards: [ {{}}, [1, '{AMEX}'] ] }}\n", 10),
        (HEAD + STEP + f"      json: {{ cards: [ {{}}, {LONGEST} ] }}\n", 10),
        (HEAD + STEP + f"      json:\n        a: 1\n        k{PAN}: 1\n", 12),
        (HEAD + STEP + f"      headers: {{ X-Card: '{PAN}' }}\n", 10),
        (HEAD + STEP + f"      body: 'number={PAN}&cvc=123'\n", 10),
        (HEAD + STEP + f"      body: |\n        first\n        {PAN}\n", 10),
        (HEAD + STEP.replace("/x", f"/x/{PAN}"), 8),
        (HEAD + STEP + f"    expect: {{ json.number: '{PAN}' }}\n", 10),
        (HEAD + STEP + f"    expect: {{ json.number: {PAN} }}\n", 10),
        (HEAD + STEP + f"    expect:\n      json.number: [1, {PAN}]\n", 11),
        (HEAD + STEP + f"    echo: {{ json.number: '{PAN}' }}\n", 10),
        (HEAD + STEP + f"    capture: {{ a{PAN}: json.id }}\n", 10),
        (HEAD + f"names: {{ number: '{PAN}' }}\n" + STEP, 5),
        (HEAD + f"names: {{ number: {PAN} }}\n" + STEP, 5),
        (HEAD + f"description: pays with {PAN}\n" + STEP, 5),
        (HEAD + f"# once it was {PAN}\n" + STEP, 5),
        (HEAD + STEP + f"      json: {{ a: 1 }} # or {' '.join(GROUPS)}\n", 10),
        (HEAD.replace("title: X", f"title: {PAN}") + STEP, 2),
        (HEAD + f"unknown: {PAN}\n" + STEP, 5),
        (HEAD + STEP + f"  - name: '{PAN}'\n    request: {{ path: /y }}\n", 10),
        (HEAD + STEP + f"cleanup:\n  - {{ name: u, undoes: one, request: {{ path: '/{PAN}' }} }}\n", 11),
    ],
)  # fmt: skip
def test_an_unlisted_card_number_does_not_load_wherever_it_stands(tmp_path: Path, text: str, line: int) -> None:
    error = refusal(tmp_path, text)
    assert error.line == line
    assert "is a card number, and no published test number" in error.message
    assert not card_numbers(str(error))


@pytest.mark.parametrize(
    "written",
    [
        " ".join(GROUPS), "-".join(GROUPS), ".".join(GROUPS), "_".join(GROUPS), "  ".join(GROUPS), " - ".join(GROUPS),
        "\\t".join(GROUPS), "\\u00a0".join(GROUPS), "\\u2011".join(GROUPS), "\\u200b".join(GROUPS), "\\n".join(GROUPS),
        FULLWIDTH, ARABIC, "".join(f"\\x{ord(digit):02x}" for digit in PAN),
        "".join(f"%{ord(digit):02X}" for digit in PAN), "%20".join(GROUPS), "+".join(GROUPS) + "%41",
        "".join(f"&#{ord(digit)};" for digit in PAN), "".join(f"\\\\u{ord(digit):04x}" for digit in PAN),
        f"x{PAN}x", f"{PAN}=3412", f"16{PAN}00000000", "/".join(GROUPS), "$$".join(GROUPS), ", ".join(GROUPS),
        "'+'".join(GROUPS), f"%3{PAN[0]}&#{ord(PAN[1])};{PAN[2:]}", f"%253{PAN[0]}{PAN[1:]}",
        f"\\\\u{{3{PAN[0]}}}{PAN[1:]}",
    ],
)  # fmt: skip
def test_a_card_number_does_not_load_however_it_is_written(tmp_path: Path, written: str) -> None:
    assert refusal(tmp_path, HEAD + STEP + f'      body: "{written}"\n').line == 10


@pytest.mark.parametrize(
    ("names", "path", "at"),
    [
        ({"first": PAN[:8], "last": PAN[8:]}, "/${first}${last}", "steps"),
        ({"first": PAN[:8], "last": PAN[8:]}, "/${first} ${last}", "steps"),
        ({"first": PAN[:8], "last": PAN[8:]}, "/${first}%20${last}", "steps"),
        ({"first": PAN[:8]}, "/${first}" + PAN[8:], "steps"),
        ({"last": PAN[8:]}, f"/{PAN[:8]}-${{last}}", "steps"),
        ({"first": PAN[:8], "whole": "${first}" + PAN[8:]}, "/", "names"),
        ({"a": PAN[:6], "b": "${a}" + PAN[6:12], "c": "${b}"}, "/${c}" + PAN[12:], "steps"),
        ({"digit": PAN[0]}, "/${digit}" + PAN[1:], "steps"),
    ],
)
def test_a_card_number_in_pieces_does_not_load(tmp_path: Path, names: dict[str, str], path: str, at: str) -> None:
    written = "".join(f"  {name}: '{text}'\n" for name, text in names.items())
    error = refusal(tmp_path, f"{HEAD}names:\n{written}{STEP.replace('/x', path)}")
    assert "is a card number" in error.message
    assert error.line == {"steps": 9 + len(names), "names": 5 + len(names)}[at]


@pytest.mark.parametrize(
    "text",
    [
        HEAD + STEP + "      json: { number: '${secret:CARD_TOKEN}' }\n",
        HEAD + STEP + f"      json: {{ number: '{PAN[:15]}{(int(PAN[15]) + 1) % 10}' }}\n",  # no Luhn number
        HEAD + STEP + f"      json: {{ one: '{PAN[:8]}', two: '{PAN[8:]}' }}\n",
        HEAD + STEP + f"      json: {{ number: '{PAN[:8]}${{stan}}{PAN[8:]}' }}\n",
        HEAD + STEP + "      json: { number: '4242 4242 4242 4242' }\n",
        HEAD + STEP + "      json: { number: 4242424242424242 }\n",
        HEAD + "names: { a: '42424242' }\n" + STEP.replace("/x", "/${a}${a}"),
    ],
)
def test_what_is_no_unlisted_card_number_loads(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text)


# --- what only a rendered request shows


class Still:
    """A clock that stands."""

    def now(self) -> int:
        return parse_instant("2026-06-01T12:00:00Z")

    def monotonic(self) -> int:
        return 0


Answers = Mapping[str, dict[str, Any]]


def run(made: Scenario, answers: Answers, drawn: Mapping[str, str] | None = None) -> tuple[RunRecord, list[str]]:
    """One run, cleanup included: its record, and the paths that were asked. Answers are JSON by path."""

    def respond(request: Any) -> HttpReply:
        body = msgspec.json.encode(answers.get(request.url.removeprefix("http://x.test"), {}))
        return HttpReply(200, (("Content-Type", "application/json"),), body)

    transport = FakeTransport(respond)
    around = Surroundings("r", transport, Still(), lambda name: (drawn or {}).get(name, name.upper()), OUTCOME_TABLE)
    timetable = Timetable("r", "c", MINUTE, MINUTE, None)
    execution = Execution(Check("c", made, Target("t", "http://x.test"), timetable, 10 * SECOND), around)

    async def whole() -> None:
        await execution.measure()
        await execution.clean_up((0,))

    asyncio.run(whole())
    record = execution.record(purpose="probe", scheduled_at=0)
    return record, [request.url.removeprefix("http://x.test") for request in transport.sent]


def made(*steps: dict[str, Any], **more: Any) -> Scenario:
    head = {"name": "x", "title": "X", "synthetic": True, "probe": "http"}
    return msgspec.convert({**head, "steps": steps, **more}, Scenario)


def post(name: str, path: str, json: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "request": {"method": "POST", "path": path, "json": json}, **more}


@pytest.mark.parametrize(
    ("scenario", "answers"),
    [
        (made(post("pay", "/pay", {"number": PAN})), {}),
        (made(post("pay", "/pay", {"number": "${a}${b}"}), names={"a": PAN[:8], "b": PAN[8:]}), {}),
        (made(post("pay", "/pay", {"number": "${a}"}), names={"a": "${b}", "b": PAN}), {}),
        (made({"name": "pay", "request": {"path": "/${a}-${b}"}}, names={"a": PAN[:8], "b": PAN[8:]}), {}),
        (made({"name": "pay", "request": {"path": "/pay", "headers": {"X-Card": PAN}}}), {}),
    ],
)
def test_a_request_with_an_unlisted_card_number_is_not_sent(scenario: Scenario, answers: Answers) -> None:
    if "b" in scenario.names and scenario.names["a"] == "${b}":
        scenario = msgspec.structs.replace(scenario, names={"b": PAN, "a": "${b}"})
    record, asked = run(scenario, answers)
    assert asked == []
    assert (record.outcome, record.place, record.code) == ("agent_fault", "agent/request", "cannot-prepare")
    assert "is a card number" in record.detail
    assert not card_numbers(record.detail)


LOOK_UP = {"name": "look", "request": {"path": "/look"}, "capture": {"a": "json.a", "b": "json.b"}}


@pytest.mark.parametrize("number", ["${a}", "${b}${a}", "${b} - ${a}"])
def test_a_card_number_that_a_service_gave_is_not_sent_on(number: str) -> None:
    whole = number == "${a}"
    answers = {"/look": {"a": PAN if whole else PAN[8:], "b": PAN[:8]}}
    record, asked = run(made(LOOK_UP, post("pay", "/pay", {"number": number})), answers)
    assert asked == ["/look"]
    assert (record.outcome, record.place, record.step) == ("agent_fault", "agent/request", "pay")
    assert not card_numbers(record.detail)


def test_an_id_that_looks_like_a_card_number_may_stand_in_a_path_and_in_a_cleanup() -> None:
    begin = post("begin", "/begin", {}, capture={"id": "json.id"})
    undo = post("undo", "/undo", {"id": "${id}"}, undoes="begin")
    show = {"name": "show", "request": {"path": "/show/${id}"}}
    record, asked = run(made(begin, show, cleanup=[undo]), {"/begin": {"id": PAN}})
    assert asked == ["/begin", f"/show/{PAN}", "/undo"]
    assert (record.outcome, record.cleanup) == ("ok", "confirmed")


def test_a_token_in_a_secret_and_a_drawn_number_may_look_like_a_card_number() -> None:
    drawn = {"secret:TOKEN": PAN, "control_number": PAN}
    pay = post("pay", "/pay", {"token": "${secret:TOKEN}", "n": "${control_number}"})
    record, asked = run(made(pay), {}, drawn)
    assert (record.outcome, asked) == ("ok", ["/pay"])


# --- money

PAYING = """\
name: x
title: X
synthetic: true
probe: http
money: { max_amount: 100, currency: USD }
names: { amount: "100", sum: "1${amount}" }
steps:
  - name: pay
    request:
      method: POST
      path: /pay
      json: { amount: 100, currency: USD }
    capture: { id: json.id }
cleanup:
  - name: undo
    undoes: pay
    request: { method: POST, path: "/void/${id}" }
"""


def test_a_payment_within_its_limit_and_with_its_cleanup_loads(tmp_path: Path) -> None:
    assert load(tmp_path, PAYING).money is not None


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("money: { max_amount: 100, currency: USD }", "description: none", 10, "sets no limit"),
        ("amount: 100, currency: USD }\n    cap", "amount: 101, currency: USD }\n    cap", 12, "101 is more than"),
        ("{ amount: 100, currency: USD }\n    cap", '{ amount: "101" }\n    cap', 12, "101 is more than"),
        ("{ amount: 100, currency: USD }\n    cap", '{ amount: "${sum}" }\n    cap', 12, "1100 is more than"),
        ("{ amount: 100, currency: USD }\n    cap", '{ amount: "${amount}0" }\n    cap', 12, "1000 is more than"),
        ("{ amount: 100, currency: USD }\n    cap", "{ total: [{ Amount: { value: 101 } }] }\n    cap", 12, "101 is"),
        ("{ amount: 100, currency: USD }\n    cap", "{ amountInMinor: 101 }\n    cap", 12, "101 is more than"),
        ("{ amount: 100, currency: USD }\n    cap", "{ amount: 1.00 }\n    cap", 12, "written in minor units"),
        ("{ amount: 100, currency: USD }\n    cap", "{ amount: -1 }\n    cap", 12, "written in minor units"),
        ("{ amount: 100, currency: USD }\n    cap", "{ amount: true }\n    cap", 12, "written in minor units"),
        ("{ amount: 100, currency: USD }\n    cap", "{ amount: 1e9 }\n    cap", 12, "written in minor units"),
        ("{ amount: 100, currency: USD }\n    cap", "{ amount: ' 100' }\n    cap", 12, "written in minor units"),
        ("currency: USD }\n    cap", "currency: KWD }\n    cap", 12, "the currency is not USD"),
        ("json: { amount: 100, currency: USD }", "body: amount=101&x=1", 12, "101 is more than"),
        ("json: { amount: 100, currency: USD }", "body: '{\"amount\": 101}'", 12, "101 is more than"),
        ("json: { amount: 100, currency: USD }", "body: '<a><Amount>101</Amount></a>'", 12, "101 is more than"),
        ("json: { amount: 100, currency: USD }", 'body: \'<x:a xmlns:x="y"><x:b amount="101"/></x:a>\'', 12, "101 is"),
        ("json: { amount: 100, currency: USD }", "body: '<a><amount>101</amount>'", 12, "101 is more than"),
        ("json: { amount: 100, currency: USD }", "body: '<!DOCTYPE a><a><b amount=\"101\">x</b></a>'", 12, "101 is"),
        ("json: { amount: 100, currency: USD }", "headers: { X-Amount: '101' }", 12, "101 is more than"),
        ("path: /pay", "path: /pay?amount=101", 11, "101 is more than"),
        ("max_amount: 100", "max_amount: -1", 5, "less than nothing"),
        ("max_amount: 100", "max_amount: 1.5", 5, "expected a whole number"),
        ("max_amount: 100, currency: USD", "max_amount: 100, currency: usd", 5, "is not a currency"),
        ('path: "/void/${id}"', 'path: "/void/${id}", json: { amount: 101 }', 17, "101 is more than"),
        ("undoes: pay", "undoes: pay\n    unless: pay", 8, "no cleanup undoes it"),
        ("cleanup:\n", 'no_cleanup_because: "  "\nx:\n', 15, "unknown key 'x'"),
    ],
)
def test_money_that_is_not_guarded_does_not_load(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    assert PAYING.count(old) == 1
    error = refusal(tmp_path, PAYING.replace(old, new))
    assert message in error.message
    assert error.line == line


BARE = PAYING[: PAYING.index("cleanup:")]


def test_a_payment_without_a_cleanup_does_not_load_unless_it_says_why(tmp_path: Path) -> None:
    error = refusal(tmp_path, BARE)
    assert (error.line, "no cleanup undoes it" in error.message) == (8, True)
    assert refusal(tmp_path, BARE + 'no_cleanup_because: " "\n').line == 8
    assert load(tmp_path, BARE + "no_cleanup_because: the service declines it\n")


def test_a_cleanup_of_another_step_is_no_cleanup_of_the_payment(tmp_path: Path) -> None:
    look = "  - name: look\n    request: { path: /look }\n"
    other = "cleanup:\n  - { name: undo, undoes: look, unless: pay, request: { path: /undo } }\n"
    assert "no cleanup undoes it" in refusal(tmp_path, BARE + look + other).message


def test_a_step_that_undoes_a_payment_needs_no_cleanup_of_its_own(tmp_path: Path) -> None:
    refund = "  - name: refund\n    request: { method: POST, path: /refund, json: { amount: 100 } }\n"
    undo = PAYING[PAYING.index("cleanup:") :].replace("undoes: pay", "undoes: pay\n    unless: refund")
    assert load(tmp_path, BARE + refund + undo)
    assert refusal(tmp_path, BARE + refund + undo.replace("unless: refund", "unless: pay")).line == 8


def test_a_step_that_says_that_it_pays_needs_a_limit_and_a_cleanup(tmp_path: Path) -> None:
    capture = HEAD + STEP.replace("name: one", "name: one\n    pays: true")
    assert "sets no limit" in refusal(tmp_path, capture).message
    assert "no cleanup" in refusal(tmp_path, capture + "money: { max_amount: 1, currency: USD }\n").message


@pytest.mark.parametrize(
    ("amount", "currency", "most", "loads"),
    [
        ("1.00", "USD", 100, True), ("'1.00'", "USD", 100, True), ("1", "USD", 100, True), ("1.01", "USD", 100, False),
        ("100", "USD", 100, False), ("100", "JPY", 100, True), ("1.5", "JPY", 100, False),
        ("0.100", "KWD", 100, True), ("0.101", "KWD", 100, False), ("'1e0'", "USD", 100, False),
        ("'1,00'", "USD", 100, False), ("0.001", "USD", 100, False), ("Infinity", "USD", 100, False),
    ],
)  # fmt: skip
def test_a_service_that_takes_major_units_is_held_to_the_limit_in_minor_ones(
    tmp_path: Path, amount: str, currency: str, most: int, loads: bool
) -> None:
    text = PAYING.replace("max_amount: 100, currency: USD", f"max_amount: {most}, currency: {currency}, unit: major")
    text = text.replace("{ amount: 100, currency: USD }", f"{{ amount: {amount} }}")
    if loads:
        assert load(tmp_path, text)
    else:
        assert refusal(tmp_path, text).line == 12


LIMIT = {"max_amount": 100, "currency": "USD"}


@pytest.mark.parametrize("amount", ["101", "9" * 30, "-5", "1.00", "all"])
def test_an_amount_that_came_in_at_run_time_is_held_to_the_limit(amount: str) -> None:
    pay = post("pay", "/pay", {"amount": "${a}"})
    scenario = made(LOOK_UP, pay, money=LIMIT, no_cleanup_because="it is never sent")
    record, asked = run(scenario, {"/look": {"a": amount, "b": ""}})
    assert asked == ["/look"]
    assert (record.outcome, record.place, record.step) == ("agent_fault", "agent/request", "pay")


def test_an_amount_from_a_secret_is_held_to_the_limit() -> None:
    pay = post("pay", "/pay", {"amount": "${secret:SUM}"})
    assert run(made(pay, money=LIMIT), {}, {"secret:SUM": "101"})[1] == []
    assert run(made(pay, money=LIMIT), {}, {"secret:SUM": "100"})[1] == ["/pay"]


def test_a_payment_without_a_limit_is_not_sent_even_where_its_file_was_never_checked() -> None:
    record, asked = run(made(post("pay", "/pay", {"amount": 1})), {})
    assert (record.place, asked) == ("agent/request", [])


# --- identifiers, and what is synthetic

X12 = """\
name: x
title: X
synthetic: true
probe: x12
names: { npi: "1234567893" }
steps:
  - name: ask
    request:
      path: /x
      sender: A
      receiver: B
      payer: { name: P, id: P1 }
      provider: { name: C, id: "1234567893" }
      member: { last: OUTRIDER, first: TESTONE, id: OUT1, birth_date: "19700101" }
"""


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("1234567893", True), ("1245319599", True), ("2000000002", None), ("1234567890", False), ("3234567893", False),
     ("123456789", False), ("12345678930", False), ("808401234567893", False), ("", False),
     ("\uff11234567893", False)],
)  # fmt: skip
def test_an_npi_has_ten_digits_and_the_luhn_check_digit_after_80840(text: str, is_one: bool | None) -> None:
    assert is_npi(text) is (passes_luhn("80840" + text) if is_one is None else is_one)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("021000021", True), ("011401533", True), ("110000000", True), ("021000022", False), ("012000021", False),
     ("000000000", False), ("02100002", False), ("0210000210", False), ("", False)],
)  # fmt: skip
def test_a_routing_number_has_nine_digits_with_weights_3_7_1(text: str, is_one: bool) -> None:
    assert is_routing_number(text) is is_one


@pytest.mark.parametrize("npi", ['"1234567890"', '"123456789"', "OUT1234567", '"1234567893 "', '"${npi}0"', '""'])
def test_a_provider_without_a_right_npi_does_not_load(tmp_path: Path, npi: str) -> None:
    error = refusal(tmp_path, X12.replace('id: "1234567893"', f"id: {npi}"))
    assert (error.line, "not an NPI" in error.message) == (13, True)


@pytest.mark.parametrize("npi", ['"1234567893"', '"${npi}"', '"${secret:NPI}"'])
def test_a_provider_with_a_right_npi_loads(tmp_path: Path, npi: str) -> None:
    assert load(tmp_path, X12.replace('id: "1234567893"', f"id: {npi}"))


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("json: {{ bank: {{ routing_number: '{}' }} }}", "021000022"),
        ("json: {{ bank: {{ routing_number: {} }} }}", "110000001"),
        ("json: {{ accounts: [{{ routingNumber: '{}' }}] }}", "1"),
        ("body: routing_number={}&account_number=1", "021000022"),
    ],
)
def test_a_wrong_routing_number_does_not_load(tmp_path: Path, line: str, wrong: str) -> None:
    error = refusal(tmp_path, f"{HEAD}{STEP}      {line.format(wrong)}\n")
    assert (error.line, "not an ABA routing number" in error.message) == (10, True)
    assert load(tmp_path, f"{HEAD}{STEP}      {line.format('110000000')}\n")


@pytest.mark.parametrize("word", ["false", '"true"', "yes", "1", ""])
def test_a_scenario_that_is_not_synthetic_does_not_load(tmp_path: Path, word: str) -> None:
    assert refusal(tmp_path, X12.replace("synthetic: true", f"synthetic: {word}")).line == 3


def test_a_scenario_that_does_not_say_that_it_is_synthetic_does_not_load(tmp_path: Path) -> None:
    assert "synthetic" in refusal(tmp_path, X12.replace("synthetic: true\n", "")).message


@pytest.mark.parametrize(("line", "usage"), [("", "T"), ("      usage: T\n", "T"), ("      usage: P\n", "P")])
def test_isa15_is_t_unless_the_scenario_says_p(tmp_path: Path, line: str, usage: str) -> None:
    request = load(tmp_path, X12 + line).steps[0].request
    drawn = {"control_number": "7", "now": "2026-06-01T12:00:00Z", "today": "2026-06-01"}
    sent = PROBES["x12"].prepare(request, Target("t", "http://x.test"), lambda name: drawn.get(name, "A" * 32))
    isa = sent.request.body[sent.request.body.index(b"ISA*") :][:106].decode()
    assert isa.split("*")[15] == usage


@pytest.mark.parametrize("usage", ["p", "X", '""', "true"])
def test_isa15_is_nothing_but_t_or_p(tmp_path: Path, usage: str) -> None:
    assert refusal(tmp_path, X12 + f"      usage: {usage}\n").line == 15


# --- what scenarios say about people


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ('json: { patient: { name: "TESTQUILL", id: 987650004 } }', {"TESTQUILL", "987650004"}),
        ("json: { card: { holder: TESTQUILL, exp_year: 2034 }, full_name: OUT QUILL }", {"TESTQUILL", "OUT QUILL"}),
        ('form: { cardholder: "QUILL ${uuid} OUT", pin: 1 }', {"QUILL ", " OUT"}),
        ('body: \'{"member": {"last": "QUILL"}}\'', {"QUILL"}),
        ("body: 'first=TESTQUILL&x=y'", {"TESTQUILL"}),
        ("form: { 'patient[name]': QUILL, 'card.holder': OUT, 'a[member][x]': OUTER }", {"QUILL", "OUT", "OUTER"}),
        ('body: \'<p:Patient xmlns:p="u"><p:Name>QUILL</p:Name><Id v="OUT1"/></p:Patient>\'', {"QUILL", "OUT1"}),
        ("body: '<Patient><Last>QUILL</Last>'", {"QUILL"}),
        ("body: '<a><Last>O&apos;QUILL</Last><b dob=\"19700102\">x</b>'", {"O'QUILL", "19700102"}),
        ("json: { member: { age: 100, is_child: true }, amounts: 1000000 }", set()),
    ],
)
def test_what_a_scenario_says_about_people_is_known_wherever_it_stands(
    tmp_path: Path, request_: str, said: set[str]
) -> None:
    text = HEAD + "no_cleanup_because: nothing is sent\nmoney: { max_amount: 9999999, currency: USD }\n"
    assert set(private_values(load(tmp_path, text + STEP + f"      {request_}\n"))) == said


@settings(max_examples=200, deadline=None)
@given(body=st.text(st.sampled_from("<>/ab=:\"' &;!-[]CDAT?\n1"), max_size=60))
def test_a_body_that_only_looks_like_xml_is_walked_without_an_error(body: str) -> None:
    assert all(place for place, _ in fields({"body": f"<{body}"}))
