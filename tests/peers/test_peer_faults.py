"""Real faults of real peers: refused keys, unknown cards, lost answers, a peer that dies between two steps."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from peers_support import COMMANDS, SCENARIOS, Peer, run, running

from outrider.config import load_scenario
from outrider.core.outcome import OutcomeClass as C
from outrider.core.units import SECOND
from outrider.scenario import CleanupState, Scenario

MOCK, LOCAL = "stripe-stateful-mock", "localstripe"
LONG_ENOUGH = SECOND


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Peer]]:
    folder = tmp_path_factory.mktemp("peers")
    with running(MOCK, folder) as mock, running(LOCAL, folder) as local:
        yield {MOCK: mock, LOCAL: local}


def shipped(peer: str, name: str) -> Scenario:
    return load_scenario(SCENARIOS[peer][name])


def changed(peer: str, name: str, old: str, new: str, folder: Path) -> Scenario:
    text = SCENARIOS[peer][name].read_text(encoding="utf-8")
    assert old in text
    path = folder / f"{name}.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return load_scenario(path)


# --- lost answers

EVERY_STEP = [
    pytest.param(peer, name, number, id=f"{peer}-{name}-{step.name}")
    for peer, found in SCENARIOS.items()
    for name in found
    for number, step in enumerate(load_scenario(SCENARIOS[peer][name]).steps, start=1)
]

GIVEN_BACK_TWICE = {
    ("charge-authorize-void", "void"),
    ("intent-authorize-capture-refund", "refund"),
    ("intent-sale-refund", "refund"),
    ("token-charge-refund", "refund"),
}
"""localstripe neither knows idempotency keys nor refuses to refund what has been refunded: where the answer to a refund
is lost, the cleanup refunds once more. (A gateway that does either gives back once: see the other peer.)"""


@pytest.mark.parametrize(("peer", "name", "number"), EVERY_STEP)
async def test_whichever_answer_is_lost_the_money_is_given_back(
    peers: dict[str, Peer], peer: str, name: str, number: int
) -> None:
    """The peer is stopped when the request goes out and goes on when the check has given up: it does what it was asked
    to, and nobody hears of it."""
    at, scenario = peers[peer], shipped(peer, name)
    step = scenario.steps[number - 1].name
    owed_before = at.owed()
    execution = await run(at, scenario, before={number: at.freeze}, then=at.go_on, timeout=LONG_ENOUGH)
    assert (execution.outcome.outcome, execution.outcome.code) == (C.SERVICE_DOWN, "timeout")
    assert execution.outcome.place == "net/wait"
    assert execution.cleanup is not CleanupState.UNCONFIRMED
    twice = peer == LOCAL and (name, step) in GIVEN_BACK_TWICE
    assert at.owed() - owed_before == (-100 if twice else 0)


async def test_a_charge_whose_answer_was_lost_is_one_charge_found_by_its_key(peers: dict[str, Peer]) -> None:
    at = peers[MOCK]
    before = len(at.charges())
    execution = await run(
        at, shipped(MOCK, "charge-cleanup"), before={1: at.freeze}, then=at.go_on, timeout=LONG_ENOUGH
    )
    assert execution.cleanup is CleanupState.CONFIRMED
    assert len(at.charges()) == before + 1


# --- a peer that dies


@pytest.mark.parametrize(("peer", "name", "number"), [(MOCK, "charge-refund", 2), (LOCAL, "token-charge-refund", 4)])
async def test_a_peer_that_dies_after_the_charge_is_down_and_the_cleanup_is_not_confirmed(
    tmp_path: Path, peer: str, name: str, number: int
) -> None:
    with running(peer, tmp_path) as dying:

        def die() -> None:
            assert dying.owed() == 100
            dying.end()

        execution = await run(dying, shipped(peer, name), before={number: die})
    assert (execution.outcome.outcome, execution.outcome.place) == (C.SERVICE_DOWN, "net/connect")
    assert execution.cleanup is CleanupState.UNCONFIRMED


@pytest.mark.parametrize("peer", COMMANDS)
async def test_a_peer_that_is_not_there_is_down_and_nothing_is_left_to_undo(tmp_path: Path, peer: str) -> None:
    with running(peer, tmp_path) as gone:
        gone.end()
        execution = await run(gone, shipped(peer, "declines"))
    assert (execution.outcome.outcome, execution.outcome.code) == (C.SERVICE_DOWN, "refused")
    assert execution.cleanup is CleanupState.NONE


# --- what the peer refuses


@pytest.mark.parametrize("key", ["rk_test_outrider_Zq5vKd8w", "nonsense"])
@pytest.mark.parametrize("peer", COMMANDS)
async def test_a_wrong_key_is_the_probes_fault_and_nothing_is_charged(
    peers: dict[str, Peer], peer: str, key: str
) -> None:
    wrong = {"PEER_KEY": key, "PEER_LOGIN": base64.b64encode(f"{key}:".encode()).decode()}
    charges = len(peers[peer].charges())
    for name in SCENARIOS[peer]:
        execution = await run(peers[peer], shipped(peer, name), secrets=wrong)
        assert (execution.outcome.outcome, execution.outcome.code) == (C.PROBE_FAULT, "401")
        assert execution.cleanup is CleanupState.NONE
    assert len(peers[peer].charges()) == charges


@pytest.mark.parametrize(
    ("token", "outcome", "code", "cleanup"),
    [
        # The peer answers an unknown card with 500, and plays that back under the key: nobody can know.
        ("tok_nobody", C.SERVICE_DOWN, "500", CleanupState.UNCONFIRMED),
        ("tok_500", C.SERVICE_DOWN, "500", CleanupState.UNCONFIRMED),
        ("tok_429", C.THROTTLED, "429", CleanupState.NONE),
        ("tok_chargeDeclined", C.BUSINESS_UNEXPECTED, "402", CleanupState.NONE),
        # Charged, and the service refuses to give it back: disputed.
        ("tok_createDispute", C.OK, "", CleanupState.UNCONFIRMED),
    ],
)
async def test_what_a_card_brings_about_is_classified(
    tmp_path: Path, token: str, outcome: C, code: str, cleanup: CleanupState
) -> None:
    with running(MOCK, tmp_path) as peer:
        execution = await run(peer, changed(MOCK, "charge-cleanup", "tok_mastercard", token, tmp_path))
        assert (execution.outcome.outcome, execution.outcome.code) == (outcome, code)
        assert execution.cleanup is cleanup
        assert peer.owed() == (100 if token == "tok_createDispute" else 0)


async def test_an_unknown_card_is_refused(peers: dict[str, Peer], tmp_path: Path) -> None:
    unknown = changed(LOCAL, "intent-sale-refund", 'payment_method: "${card}"', "payment_method: pm_nobody", tmp_path)
    execution = await run(peers[LOCAL], unknown)
    assert (execution.outcome.outcome, execution.outcome.code) == (C.MALFORMED, "404")
    assert execution.cleanup is CleanupState.NONE


@pytest.mark.parametrize(
    ("peer", "decline", "approve"),
    [
        (MOCK, "source: tok_chargeDeclined }", "source: tok_visa }"),
        (LOCAL, 'number: "4000000000000341"', 'number: "4111111111111111"'),
    ],
)
async def test_a_card_that_should_have_been_declined_and_was_not_is_refunded(
    peers: dict[str, Peer], tmp_path: Path, peer: str, decline: str, approve: str
) -> None:
    owed, charges = peers[peer].owed(), len(peers[peer].charges())
    scenario = changed(peer, "declines", decline, approve, tmp_path)
    if peer == LOCAL:
        scenario = changed_last4(scenario)
    execution = await run(peers[peer], scenario)
    assert execution.outcome.place == "expect/status"
    assert execution.cleanup is CleanupState.CONFIRMED
    assert (peers[peer].owed(), len(peers[peer].charges())) == (owed, charges + 1)


def changed_last4(scenario: Scenario) -> Scenario:
    for step in scenario.steps:
        if "json.card.last4" in step.expect:
            step.expect["json.card.last4"] = "1111"
    return scenario
