"""Hygiene of payments in forms, tokens and bank accounts: each guard, and what somebody would try to get past it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_hygiene import BARE, HEAD, LIMIT, LOOK_UP, PAN, PAYING, STEP, load, made, post, refusal, run

from outrider.hygiene import private_values
from outrider.redact import card_numbers
from outrider.scenario import Scenario

WRONG, RIGHT = "021000022", "110000000"


def form(name: str, path: str, fields: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "request": {"method": "POST", "path": path, "form": fields}, **more}


# --- card numbers


@pytest.mark.parametrize(
    "line",
    [
        f"form: {{ card: {{ number: '{PAN}' }} }}",
        f"form: {{ card: {{ number: {PAN} }} }}",
        f"form: {{ 'card[number]': '{PAN}' }}",
        f"form: {{ token: '{PAN}' }}",
        f"form: {{ token: 'tok_{PAN}' }}",
        f"json: {{ token: '{PAN}' }}",
        f"form: {{ items: [ {{}}, '{PAN}' ] }}",
        f"form: {{ 'k{PAN}': x }}",
        f"body: 'card%5Bnumber%5D={PAN}&card%5Bcvc%5D=123'",
        f"body: 'card[number]={'+'.join(PAN[at : at + 4] for at in range(0, 16, 4))}'",
        f"form: {{ metadata: {{ note: 'paid with {PAN}' }} }}",
    ],
)
def test_an_unlisted_card_number_in_a_form_or_as_a_token_does_not_load(tmp_path: Path, line: str) -> None:
    error = refusal(tmp_path, f"{HEAD}{STEP}      {line}\n")
    assert (error.line, "is a card number" in error.message) == (10, True)
    assert not card_numbers(str(error))


@pytest.mark.parametrize("line", ["form: {{ token: '${{a}}${{b}}' }}", "json: {{ token: '${{a}} ${{b}}' }}"])
def test_a_card_number_in_pieces_is_no_token(tmp_path: Path, line: str) -> None:
    text = f"{HEAD}names: {{ a: '{PAN[:8]}', b: '{PAN[8:]}' }}\n{STEP}      {line.format()}\n"
    assert "is a card number" in refusal(tmp_path, text).message


@pytest.mark.parametrize("fields", [{"token": "${a}"}, {"card": {"number": "${b}${a}"}}, {"card[number]": "${b}-${a}"}])
def test_a_card_number_that_a_service_gave_is_not_sent_in_a_form(fields: dict[str, Any]) -> None:
    whole = "token" in fields
    answers = {"/look": {"a": PAN if whole else PAN[8:], "b": PAN[:8]}}
    record, asked = run(made(LOOK_UP, form("pay", "/pay", fields)), answers)
    assert asked == ["/look"]
    assert (record.outcome, record.place, record.step) == ("agent_fault", "agent/request", "pay")
    assert not card_numbers(record.detail)


def test_a_token_in_a_secret_may_look_like_a_card_number_in_a_form_too() -> None:
    assert run(made(form("pay", "/pay", {"token": "${secret:TOKEN}"})), {}, {"secret:TOKEN": PAN})[1] == ["/pay"]


# --- money


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("form: { amount: 101, currency: USD }", "101 is more than"),
        ("form: { amount: '101' }", "101 is more than"),
        ("form: { 'order[amount]': 101 }", "101 is more than"),
        ("form: { order: { amount: { value: 101 } } }", "101 is more than"),
        ("form: { amount: 1.00 }", "written in minor units"),
        ("form: { amount: '${sum}' }", "1100 is more than"),
        ("form: { amount: 100, currency: EUR }", "the currency is not USD"),
        ("form: { amount: 100, 'order[currency]': eur }", "the currency is not USD"),
        ("body: 'order%5Bamount%5D=101'", "101 is more than"),
        ("body: 'amount=100&amount=101'", "101 is more than"),
        ('body: \'{"amount": 101, "amount": 100}\'', "101 is more than"),
        ('body: \'{"amount": 100, "currency": "EUR", "currency": "USD"}\'', "the currency is not USD"),
        ("body: '{\"am\\u006funt\": 101}'", "101 is more than"),
    ],
)
def test_money_in_a_form_is_guarded_as_in_json(tmp_path: Path, line: str, message: str) -> None:
    old = "json: { amount: 100, currency: USD }\n    cap"
    assert load(tmp_path, PAYING.replace(old, "form: { amount: 100, currency: USD }\n    cap")).money is not None
    error = refusal(tmp_path, PAYING.replace(old, f"{line}\n    cap"))
    assert (error.line, message in error.message) == (12, True)


@pytest.mark.parametrize("amount", ["101", "1.00", "-1", "all"])
def test_an_amount_that_came_in_at_run_time_is_held_to_the_limit_in_a_form(amount: str) -> None:
    pay = form("pay", "/pay", {"order": {"amount": "${a}"}})
    scenario = made(LOOK_UP, pay, money=LIMIT, no_cleanup_because="it is never sent")
    record, asked = run(scenario, {"/look": {"a": amount, "b": ""}})
    assert (asked, record.outcome, record.place) == (["/look"], "agent_fault", "agent/request")


CAPTURE = "  - name: capture\n    pays: true\n    request: { method: POST, path: /capture }\n"
UNDO = PAYING[PAYING.index("cleanup:") :].replace("undoes: pay", "undoes: pay\n    unless: capture")


def test_a_capture_that_pays_is_not_taken_for_the_undoing_of_what_it_captures(tmp_path: Path) -> None:
    error = refusal(tmp_path, BARE + CAPTURE + UNDO)
    assert "step 'capture' pays, and no cleanup undoes it" in error.message
    refund = "  - { name: back, undoes: capture, unless: undo, request: { method: POST, path: /refund } }\n"
    assert load(tmp_path, BARE + CAPTURE + UNDO + refund)


def test_a_payment_whose_cleanups_give_way_to_each_other_is_undone(tmp_path: Path) -> None:
    other = "  - { name: other, undoes: pay, unless: [undo], request: { method: POST, path: /refund } }\n"
    undo = PAYING[PAYING.index("cleanup:") :].replace("undoes: pay", "undoes: pay\n    unless: [other]")
    assert load(tmp_path, BARE + undo + other)


# --- routing numbers


@pytest.mark.parametrize(
    "line",
    [
        "form: {{ account: {{ routing_number: '{}' }} }}",
        "form: {{ 'account[routing_number]': '{}' }}",
        "form: {{ us_bank_account: {{ Routing-Number: {} }} }}",
        "form: {{ bank_routing_number: '{}' }}",
        "json: {{ bankAccountRoutingNumber: '{}' }}",
        "json: {{ account: [ {{ aba_number: '{}' }} ] }}",
        "body: 'account%5Brouting_number%5D={}&x=1'",
        "body: 'account.routing_number={}'",
        'body: \'{{"account": {{"routing_number": "{}"}}}}\'',
        "headers: {{ X-Routing-Number: '{}' }}",
    ],
)
def test_a_wrong_routing_number_does_not_load_wherever_it_stands(tmp_path: Path, line: str) -> None:
    error = refusal(tmp_path, f"{HEAD}{STEP}      {line.format(WRONG)}\n")
    assert (error.line, "not an ABA routing number" in error.message) == (10, True)
    assert load(tmp_path, f"{HEAD}{STEP}      {line.format(RIGHT)}\n")


@pytest.mark.parametrize("send", [post, form])
@pytest.mark.parametrize(("number", "is_sent"), [(WRONG, False), (RIGHT, True), ("", False), ("11000000 0", False)])
def test_a_routing_number_that_came_in_at_run_time_is_checked_before_it_is_sent(
    send: Any, number: str, is_sent: bool
) -> None:
    steps = LOOK_UP, send("pay", "/pay", {"account": {"routing_number": "${a}"}})
    record, asked = run(made(*steps), {"/look": {"a": number, "b": ""}})
    assert asked == (["/look", "/pay"] if is_sent else ["/look"])
    assert record.outcome == ("ok" if is_sent else "agent_fault")
    secret = made(send("pay", "/pay", {"account": {"routing_number": "${secret:ROUTING}"}}))
    record, asked = run(secret, {}, {"secret:ROUTING": number})
    assert asked == (["/pay"] if is_sent else [])
    assert not number or number not in record.detail


def test_a_wrong_routing_number_keeps_no_money_from_being_given_back() -> None:
    begin = post("begin", "/begin", {}, capture={"a": "json.a"})
    undo = post("undo", "/undo", {"routing_number": "${a}"}, undoes="begin")
    record, asked = run(made(begin, cleanup=[undo]), {"/begin": {"a": WRONG}})
    assert (asked, record.cleanup) == (["/begin", "/undo"], "confirmed")


# --- people and their accounts


@pytest.mark.parametrize(
    ("fields", "private"),
    [
        ({"account": {"holder": "ZWYX QUILL", "account_number": "000123456789"}}, {"ZWYX QUILL", "000123456789"}),
        ({"account[holder]": "ZWYX QUILL", "account[account_number]": "000123456789"}, {"ZWYX QUILL", "000123456789"}),
        ({"nameOnAccount": "ZWYX QUILL", "accountNumber": "000123456789"}, {"ZWYX QUILL", "000123456789"}),
        ({"avs": {"line": "200 Zwyx Street", "postal_code": "20000"}}, {"200 Zwyx Street", "20000"}),
        ({"billing_details": {"address": {"line1": "1 Zwyx"}, "name": "QUILL"}}, {"1 Zwyx", "QUILL"}),
        ({"account": {"routing_number": RIGHT, "type": "checking"}, "amount": "100"}, set()),
    ],
)
@pytest.mark.parametrize("send", [post, form])
def test_holders_addresses_and_account_numbers_are_private(
    send: Any, fields: dict[str, Any], private: set[str]
) -> None:
    scenario: Scenario = made(send("pay", "/pay", fields))
    assert set(private_values(scenario)) == private


def test_private_values_are_found_in_a_form_that_is_written_out() -> None:
    body = "account%5Bholder%5D=ZWYX+QUILL&account%5Baccount_number%5D=000123456789&x=1"
    scenario = made({"name": "pay", "request": {"method": "POST", "path": "/pay", "body": body}})
    assert set(private_values(scenario)) == {"ZWYX QUILL", "000123456789"}
