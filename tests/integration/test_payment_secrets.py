"""What payments must not show: no security code, account number or holder in a dry run, and none in a record."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from sandbox_support import Sandbox, running
from test_payment_cleanup import PAYING, run
from test_scenarios import SHIPPED

from outrider.codecs.records import encode_record
from outrider.commands.dry_run import requests
from outrider.config import load_scenario
from outrider.core.timetable import Timetable
from outrider.core.units import SECOND
from outrider.execution import Check
from outrider.hygiene import private_values
from outrider.probes import Target
from outrider.redact import MASK, Redactor, card_numbers
from outrider.scenario import Scenario

CODES = {
    code
    for scenario in PAYING.values()
    for code in re.findall(r'"cvc": ?"(\d+)"', msgspec.json.encode(scenario).decode())
}
SECRET = ("000123456789", "OUTRIDER TEST", "Mismatch Street", "1 Test Street")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


def dry(scenario: Scenario) -> str:
    check = Check("c", scenario, Target("t", "http://x.test"), Timetable("t", "c", 60 * SECOND), SECOND)
    drawn = itertools.count(1)
    shown = list(requests(check, lambda name: f"{name}-{next(drawn)}", frozenset()))
    assert len(shown) == len(list(scenario.located_steps()))
    assert all(each.sent for each in shown)
    return "\n".join(each.sent for each in shown)


@pytest.mark.parametrize("name", PAYING)
def test_a_dry_run_shows_no_security_code_account_number_or_person(name: str) -> None:
    text = dry(PAYING[name])
    assert not card_numbers(text)
    assert not any(secret in text or secret.replace(" ", "+") in text for secret in SECRET)
    codes = re.findall(r"(?:cvc%5D=|\"cvc\":\"?)([^&\",}]+)", text)
    assert set(codes) == ({MASK} if name != "ach-debit-void" and "cvc" in text else set())
    assert {"123", "200"} == CODES


def test_a_dry_run_shows_the_form_as_it_is_sent() -> None:
    text = dry(PAYING["card-sale-refund-form"])
    assert "Content-Type: application/x-www-form-urlencoded" in text
    assert (
        f"card%5Bnumber%5D=424242******4242&card%5Bexp_month%5D=12&card%5Bexp_year%5D=2034&card%5Bcvc%5D={MASK}&"
        in text
    )
    assert "metadata%5Bsynthetic%5D=true" in text


PRIVATE = {"account_number": "000222222227", "holder": "ZWYX QUILL"}


@pytest.mark.parametrize("fact", ["json.account.last4", "json.account.type", "json.reference"])
@pytest.mark.parametrize("named", PRIVATE)
async def test_no_record_holds_the_account_or_its_holder(sandbox: Sandbox, fact: str, named: str) -> None:
    scenario = PAYING["ach-debit-void"]
    first, *rest = scenario.steps
    body = first.request["json"]
    body = {**body, "account": {**body["account"], **PRIVATE}}
    changed = msgspec.structs.replace(
        first, request={**first.request, "json": body}, expect={"status": 201, fact: PRIVATE[named]}
    )
    made = msgspec.structs.replace(scenario, steps=[changed, *rest])
    redactor = Redactor(private_values(made))
    async with run(sandbox, made, []) as (execution, _):
        await execution.clean_up((0,))
        record = execution.record(purpose="probe", scheduled_at=0)
    assert (record.outcome, record.place, record.cleanup) == ("business_unexpected", f"expect/{fact}", "confirmed")
    shown = encode_record(replace(record, detail=redactor.detail(record.detail))).decode()
    assert MASK in shown
    assert not any(secret in shown for secret in ("000222222227", "ZWYX", "QUILL"))


def test_every_payment_scenario_marks_its_traffic_and_names_published_cards_alone() -> None:
    for name, scenario in PAYING.items():
        marked = [
            step
            for step in scenario.steps
            if "amount" in {**step.request.get("json", {}), **step.request.get("form", {})}
        ]
        assert marked, name
        for step in marked:
            body = step.request.get("json") or step.request["form"]
            assert body["metadata"]["synthetic"] == "true", name
            assert "Idempotency-Key" in step.request["headers"], name
        assert load_scenario(Path(SHIPPED[name])).money is not None
