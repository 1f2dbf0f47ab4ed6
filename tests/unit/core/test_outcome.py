"""Which finding decides, and what it means: rules 1 to 5, with a made-up table so that no shipped row hides a fault."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.core.outcome import (
    FAULTS,
    OK,
    STANDINGS,
    Expected,
    Fault,
    Finding,
    Observation,
    Outcome,
    OutcomeClass,
    Rule,
    Standing,
    classify,
)

C = OutcomeClass
TABLE = (
    Rule("net/*", "*", C.SERVICE_DOWN),
    Rule("status", "5??", C.SERVICE_DOWN),
    Rule("status", "418", C.OK),
    Rule("aaa/2000A", "42", C.SERVICE_DOWN),
    Rule("aaa/*", "42", C.PARTNER_DOWN),
    Rule("aaa/*", "*", C.BUSINESS_UNEXPECTED),
    Rule("expect/*", "missing", C.MALFORMED),
    Rule("expect/*", "unexpected", C.BUSINESS_UNEXPECTED),
    Rule("echo/*", "*", C.MALFORMED),
)


def seen(*places: str, **facts: str) -> Observation:
    """An observation of findings written "place=code", and facts of one value."""
    findings = (place.partition("=") for place in places)
    return Observation(
        tuple(Finding(code, place) for place, _, code in findings), {name: (value,) for name, value in facts.items()}
    )


def meaning(observation: Observation, *expected: Expected) -> tuple[OutcomeClass, str, str]:
    outcome = classify(expected, observation, TABLE)
    return outcome.outcome, outcome.place, outcome.code


# --- rule 1: place and code together, in the order of the table --------------------------------------------------


@pytest.mark.parametrize(
    ("place", "code", "outcome"),
    [
        ("net/connect", "refused", C.SERVICE_DOWN),
        ("status", "500", C.SERVICE_DOWN),
        ("status", "599", C.SERVICE_DOWN),
        ("aaa/2000A", "42", C.SERVICE_DOWN),
        ("aaa/2100A", "42", C.PARTNER_DOWN),
        ("aaa/2100C", "75", C.BUSINESS_UNEXPECTED),
        ("status", "418", C.OK),  # a row can say that something is no trouble
        # Rule 4: what the table does not know is never in the service's favour.
        ("status", "50", C.MALFORMED),
        ("status", "5000", C.MALFORMED),
        ("status/reason", "500", C.MALFORMED),
        ("Status", "500", C.MALFORMED),  # case counts
        ("aaa", "42", C.MALFORMED),
        ("", "", C.MALFORMED),
    ],
)
def test_place_and_code_decide_together(place: str, code: str, outcome: OutcomeClass) -> None:
    assert classify((), Observation((Finding(code, place),)), TABLE).outcome is outcome


def test_rows_in_front_go_before_those_behind() -> None:
    own = Rule("status", "503", C.THROTTLED)
    finding = seen("status=503")
    assert classify((), finding, (own, *TABLE)).outcome is C.THROTTLED
    assert classify((), finding, (*TABLE, own)).outcome is C.SERVICE_DOWN


def test_an_empty_table_makes_everything_malformed_but_what_is_ok() -> None:
    assert classify((), seen("status=503"), ()).outcome is C.MALFORMED
    assert classify((), seen(), ()) == OK


# --- rules 2 and 3: expectations, and the order of findings ------------------------------------------------------

AAA_75 = Expected("aaa", ("75",))


@pytest.mark.parametrize(
    ("observation", "expected", "result"),
    [
        pytest.param(seen(), (), (C.OK, "", ""), id="nothing found, nothing expected"),
        pytest.param(seen("aaa/2100C=75", aaa="75"), (AAA_75,), (C.OK, "", ""), id="an expected rejection is ok"),
        pytest.param(
            seen("aaa/2100C=75", aaa="75"),
            (),
            (C.BUSINESS_UNEXPECTED, "aaa/2100C", "75"),
            id="an unexpected one is not",
        ),
        pytest.param(
            seen("aaa/2100C=72", aaa="72"), (AAA_75,), (C.BUSINESS_UNEXPECTED, "aaa/2100C", "72"), id="another code"
        ),
        pytest.param(
            seen("status=500", aaa="75"), (AAA_75,), (C.SERVICE_DOWN, "status", "500"), id="another fact's trouble"
        ),
        pytest.param(
            seen("aaa/2100C=75", "aaa/2100A=42", aaa="75"),
            (AAA_75,),
            (C.PARTNER_DOWN, "aaa/2100A", "42"),
            id="the first finding that nobody expected decides",
        ),
        pytest.param(
            seen("aaa/2100A=42", "status=500"), (), (C.PARTNER_DOWN, "aaa/2100A", "42"), id="found first, wire first"
        ),
        pytest.param(
            seen("status=418", "status=500"), (), (C.SERVICE_DOWN, "status", "500"), id="a row that says ok goes on"
        ),
        pytest.param(
            seen("net/wait=timeout"),
            (AAA_75,),
            (C.SERVICE_DOWN, "net/wait", "timeout"),
            id="trouble goes before expectations",
        ),
        pytest.param(seen(eb="1"), (AAA_75,), (C.MALFORMED, "expect/aaa", "missing"), id="a fact is not there"),
        pytest.param(
            seen(eb="6"),
            (Expected("eb", ("1",)),),
            (C.BUSINESS_UNEXPECTED, "expect/eb", "unexpected"),
            id="another value",
        ),
        pytest.param(seen(eb="6"), (Expected("eb", ("1", "6")),), (C.OK, "", ""), id="one of several values"),
        pytest.param(
            seen(trn="other", eb="6"),
            (Expected("trn", ("mine",), echo=True), Expected("eb", ("1",))),
            (C.MALFORMED, "echo/trn", "mismatch"),
            id="somebody else's answer",
        ),
        pytest.param(
            seen(eb="1"), (Expected("trn", ("mine",), echo=True),), (C.MALFORMED, "echo/trn", "mismatch"), id="no echo"
        ),
        pytest.param(
            seen(eb="6"),
            (Expected("eb", ("1",)), Expected("aaa", ("75",))),
            (C.BUSINESS_UNEXPECTED, "expect/eb", "unexpected"),
            id="the first expectation that is not met",
        ),
    ],
)
def test_the_first_thing_that_nobody_expected_decides(
    observation: Observation, expected: tuple[Expected, ...], result: tuple[OutcomeClass, str, str]
) -> None:
    assert meaning(observation, *expected) == result


def test_of_several_values_one_match_is_enough() -> None:
    several: Mapping[str, tuple[str, ...]] = {"eb": ("B", "1", "C")}
    assert classify((Expected("eb", ("1",)),), Observation((), several), TABLE) == OK


def test_a_failed_exchange_says_nothing_but_that() -> None:
    assert Observation.failed("timeout", "net/wait", "no answer") == Observation(
        (Finding("timeout", "net/wait", "no answer"),)
    )


# --- what is said about it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("observation", "expected", "detail"),
    [
        (seen(eb="6"), Expected("eb", ("1", "2")), "expected 1 or 2, got 6"),
        (seen(), Expected("eb", ("1",)), "expected 1, but the answer has no eb"),
        (seen(trn="X"), Expected("trn", ("Y",), echo=True), "the answer is to somebody else's question"),
        (Observation((), {"eb": tuple("ABCDEFG")}), Expected("eb", ("1",)), "expected 1, got A, B, C, D, E"),
        (Observation((), {"eb": ("x" * 10**6,)}), Expected("eb", ("1",)), "expected 1, got " + "x" * 2000),
    ],
)
def test_a_detail_tells_what_was_expected_and_not_more_of_the_answer_than_one_can_read(
    observation: Observation, expected: Expected, detail: str
) -> None:
    assert classify((expected,), observation, TABLE).detail == detail


def test_a_finding_keeps_its_own_detail() -> None:
    found = Observation((Finding("503", "status", "HTTP status 503"),))
    assert classify((), found, TABLE) == Outcome(C.SERVICE_DOWN, "503", "status", "HTTP status 503")


@pytest.mark.parametrize(("place", "fact"), [("aaa/2000A", "aaa"), ("status", "status"), ("a/b/c", "a"), ("", "")])
def test_a_finding_is_about_the_first_part_of_its_place(place: str, fact: str) -> None:
    assert Finding("1", place).fact == fact


# --- rule 5: how classes count -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "fault", "standing"),
    [
        (C.OK, Fault.NONE, Standing.GOOD),
        (C.BUSINESS_UNEXPECTED, Fault.SERVICE, Standing.GOOD),
        (C.PARTNER_DOWN, Fault.PARTNER, Standing.PARTNER),
        (C.SERVICE_DOWN, Fault.SERVICE, Standing.BAD),
        (C.MALFORMED, Fault.SERVICE, Standing.BAD),
        (C.THROTTLED, Fault.SERVICE, Standing.BAD),
        (C.PROBE_FAULT, Fault.AGENT, Standing.VOID),
        (C.AGENT_FAULT, Fault.AGENT, Standing.VOID),
    ],
)
def test_a_class_has_a_culprit_and_a_standing(outcome: OutcomeClass, fault: Fault, standing: Standing) -> None:
    assert (Outcome(outcome).fault, STANDINGS[outcome]) == (fault, standing)
    assert Outcome(outcome).is_ok is (outcome is C.OK)


def test_no_class_is_without_a_culprit_or_a_standing() -> None:
    assert set(FAULTS) == set(STANDINGS) == set(OutcomeClass)


TEXTS = st.text(max_size=12) | st.sampled_from(["status", "aaa/2000A", "42", "[", "*", "?", "net/wait"])
FINDINGS = st.lists(st.builds(Finding, TEXTS, TEXTS), max_size=4).map(tuple)
OBSERVATIONS = st.builds(
    Observation, FINDINGS, st.dictionaries(TEXTS, st.lists(TEXTS, max_size=3).map(tuple), max_size=3)
)
EXPECTATIONS = st.lists(st.builds(Expected, TEXTS, st.lists(TEXTS, max_size=2).map(tuple), st.booleans()), max_size=3)


@given(OBSERVATIONS, EXPECTATIONS)
@settings(max_examples=200, deadline=None)
def test_nothing_that_was_observed_makes_the_verdict_fail(observed: Observation, expected: list[Expected]) -> None:
    outcome = classify(iter(expected), observed, TABLE)
    found = {(finding.place, finding.code) for finding in observed.findings}
    unmet = {(f"expect/{one.fact}", code) for one in expected for code in ("missing", "unexpected")}
    foreign = {(f"echo/{one.fact}", "mismatch") for one in expected if one.echo}
    assert outcome == OK or (outcome.place, outcome.code) in found | unmet | foreign
