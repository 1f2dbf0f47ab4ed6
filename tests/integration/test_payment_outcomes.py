"""What a gateway's answers mean: each payment scenario against answers that nobody expected, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sandbox_support import Sandbox, running
from test_payment_cleanup import PAYING
from test_scenarios import SHIPPED, run

from outrider.core.outcome import Fault, OutcomeClass
from outrider.execution import Execution
from outrider.scenario import CleanupState
from outrider_sandbox.services import SERVICES

C = OutcomeClass
DECLINE = "json.error.decline_code"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running(services=dict.fromkeys(SERVICES, 0)) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("code", "expected", "place", "fault"),
    [
        ("do_not_honor", C.BUSINESS_UNEXPECTED, "status", Fault.SERVICE),
        ("insufficient_funds", C.BUSINESS_UNEXPECTED, "status", Fault.SERVICE),
        ("incorrect_cvc", C.BUSINESS_UNEXPECTED, "status", Fault.SERVICE),
        ("issuer_unavailable", C.PARTNER_DOWN, DECLINE, Fault.PARTNER),
        ("processing_error", C.PARTNER_DOWN, DECLINE, Fault.PARTNER),
    ],
)
@pytest.mark.parametrize("name", sorted(PAYING.keys() - {"card-decline"}))
async def test_a_decline_is_the_issuers_trouble_or_unexpected_by_its_code(
    sandbox: Sandbox, name: str, code: str, expected: OutcomeClass, place: str, fault: Fault
) -> None:
    await sandbox.put_fault("decline", code=code)
    execution = await run(sandbox, name)
    outcome = execution.outcome
    assert (outcome.outcome, outcome.place, outcome.fault) == (expected, place, fault)
    assert outcome.code == ("402" if place == "status" else code)
    assert execution.cleanup is CleanupState.NONE
    assert await sandbox.fault_hits() == {"one": 1}


@pytest.mark.parametrize(
    ("code", "expected", "place"),
    [
        ("insufficient_funds", C.OK, ""),
        ("lost_card", C.BUSINESS_UNEXPECTED, f"expect/{DECLINE}"),
        ("issuer_unavailable", C.PARTNER_DOWN, DECLINE),
    ],
)
async def test_an_expected_decline_is_expected_for_its_own_reason(
    sandbox: Sandbox, code: str, expected: OutcomeClass, place: str
) -> None:
    await sandbox.put_fault("decline", code=code)
    outcome = (await run(sandbox, "card-decline")).outcome
    assert (outcome.outcome, outcome.place) == (expected, place)


CHANGES = [
    ("card-avs-mismatch", {"200 Mismatch": "1 Right", '"20000"': '"30301"'}, C.BUSINESS_UNEXPECTED, "avs_result"),
    ("card-avs-mismatch", {"json.cvv_result: M": "json.cvv_result: P"}, C.BUSINESS_UNEXPECTED, "cvv_result"),
    ("card-cvv-mismatch", {'cvc: "200"': 'cvc: "123"'}, C.BUSINESS_UNEXPECTED, "cvv_result"),
    ("card-cvv-mismatch", {"json.cvv_result": "json.cvc_result"}, C.MALFORMED, "cvc_result"),
    ("ach-debit-void", {"json.status: pending": "json.status: settled"}, C.BUSINESS_UNEXPECTED, "status"),
    (
        "card-sale-refund",
        {"json.amount_refunded: 100": "json.amount_refunded: 99"},
        C.BUSINESS_UNEXPECTED,
        "amount_refunded",
    ),
]


@pytest.mark.parametrize(("name", "changes", "expected", "fact"), CHANGES)
async def test_another_result_than_the_expected_one_is_unexpected_and_is_undone(
    sandbox: Sandbox, tmp_path: Path, name: str, changes: dict[str, str], expected: OutcomeClass, fact: str
) -> None:
    execution = await changed(sandbox, tmp_path, name, changes)
    assert (execution.outcome.outcome, execution.outcome.place) == (expected, f"expect/json.{fact}")
    assert execution.cleanup is CleanupState.CONFIRMED


@pytest.mark.parametrize(
    ("name", "changes", "expected", "code"),
    [
        ("card-sale-refund", {"/v1/sales": "/v1/payments/pay_x/refund"}, C.PROBE_FAULT, "400"),
        ("card-sale-refund", {"reference: ${reference}\n": "reference: two words\n"}, C.PROBE_FAULT, "400"),
        ("card-token-sale-void", {"token: ${token}": "token: tok_nobody"}, C.PROBE_FAULT, "400"),
        ("card-sale-refund", {"/v1/sales": "/v2/sales"}, C.MALFORMED, "404"),
        ("card-sale-refund", {'"${sale_key}" }': '"${sale_key}", Content-Type: text/plain }'}, C.PROBE_FAULT, "415"),
        ("card-decline", {"4000000000009995": "4000000000000010"}, C.BUSINESS_UNEXPECTED, "unexpected"),
    ],
)  # fmt: skip
async def test_a_request_that_is_refused_as_wrong_is_ours(
    sandbox: Sandbox, tmp_path: Path, name: str, changes: dict[str, str], expected: OutcomeClass, code: str
) -> None:
    outcome = (await changed(sandbox, tmp_path, name, changes)).outcome
    assert (outcome.outcome, outcome.code) == (expected, code)


@pytest.mark.parametrize("name", ["card-token-sale-void", "ach-debit-void"])
async def test_a_void_that_comes_after_settlement_is_unexpected(name: str) -> None:
    async with running(settlement_s=0.0, services=dict.fromkeys(SERVICES, 0)) as sandbox:
        execution = await run(sandbox, name)
    outcome = execution.outcome
    assert (outcome.outcome, outcome.code, outcome.place) == (C.BUSINESS_UNEXPECTED, "409", "status")


async def changed(sandbox: Sandbox, tmp_path: Path, name: str, changes: dict[str, str]) -> Execution:
    text = SHIPPED[name].read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return await run(sandbox, name, path)
