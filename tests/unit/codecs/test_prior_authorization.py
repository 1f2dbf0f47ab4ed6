from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from x12_support import CREATED, acknowledged, edited, lines, oracle_errors, ta1

from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.codecs.prior_authorization import (
    Decision,
    Dependent,
    Event,
    Member,
    ReviewRejection,
    ReviewRequest,
    read_request,
    read_response,
    write_request,
    write_response,
)
from outrider.codecs.x12 import X12Error
from outrider.core.outcome import Expected, Finding, Observation, OutcomeClass, classify

MEMBER = Member("QUILLFEATHER", "OTTOLINE", "W998877665", "19710203", "F")
CHILD = Dependent("QUILLFEATHER", "BARNABY", "20090817", "M")
PERSON = ("QUILLFEATHER", "OTTOLINE", "BARNABY", "W998877665", "19710203", "20090817", "R519", "AUTH-77")
REQUEST = ReviewRequest(
    "OUTRIDER",
    "CLEARING",
    42,
    "trace-0001",
    "SYNTHETIC PAYER",
    "99001",
    "SYNTHETIC CLINIC",
    "1234567893",
    MEMBER,
    Event("HS", "3", "20260610", "R519"),
    created=CREATED,
)
FAMILY = replace(REQUEST, dependent=CHILD)
CERTIFIED = Decision("A1", "AUTH-77")


def answer(
    request: ReviewRequest = REQUEST, verdict: Decision | ReviewRejection = CERTIFIED, trace: str | None = None
) -> bytes:
    return write_response(request, control_number=77, created=CREATED, verdict=verdict, trace=trace)


def observed(raw: bytes) -> Observation:
    return read_response(raw, trace="trace-0001")


def places(raw: bytes) -> list[tuple[str, str]]:
    return [(finding.code, finding.place) for finding in observed(raw).findings]


# --- the request -----------------------------------------------------------------------------------------------

HEADER = "BHT*0007*13*trace-0001*20260601*221530"
PAYER_LINE = "NM1*X3*2*SYNTHETIC PAYER*****PI*99001"
PROVIDER_LINE = "NM1*1P*2*SYNTHETIC CLINIC*****XX*1234567893"
NAME_LINE = "NM1*IL*1*QUILLFEATHER*OTTOLINE****MI*W998877665"
BIRTH_LINE = "DMG*D8*19710203*F"
TRACE_LINE = "TRN*1*trace-0001*9OUTRIDER1"
UPPER = ["HL*1**20*1", PAYER_LINE, "HL*2*1*21*1", PROVIDER_LINE, "HL*3*2*22*1", NAME_LINE, BIRTH_LINE]
CHILD_LINES = ["HL*4*3*23*1", "NM1*QC*1*QUILLFEATHER*BARNABY", "DMG*D8*20090817*M"]
WHEN_AND_WHY = ["DTP*AAH*D8*20260610", "HI*ABK:R519"]


def test_a_request_has_the_segments_of_the_guide() -> None:
    event = [TRACE_LINE, "UM*HS*I*3", *WHEN_AND_WHY]
    assert lines(write_request(REQUEST)) == [HEADER, *UPPER, "HL*4*3*EV*0", *event]
    assert lines(write_request(FAMILY)) == [HEADER, *UPPER, *CHILD_LINES, "HL*5*4*EV*0", *event]


WORDS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ' -.0123456789", min_size=1, max_size=20)
DATES = st.dates(datetime(1900, 1, 1).date(), datetime(2100, 1, 1).date()).map(lambda day: day.strftime("%Y%m%d"))  # noqa: DTZ001 - days alone
GENDERS = st.sampled_from(["", "M", "F", "U"])
REQUESTS = st.builds(
    ReviewRequest,
    WORDS.map(lambda word: word.strip()[:15].strip() or "A"),
    st.sampled_from(["CLEARING", "R"]),
    st.integers(1, 999_999_999),
    WORDS,
    WORDS,
    WORDS,
    WORDS,
    st.sampled_from(["1234567893", ""]),
    st.builds(Member, WORDS, WORDS, WORDS, st.one_of(DATES, st.just("")), GENDERS),
    st.builds(
        Event,
        st.sampled_from(["HS", "AR", "SC", "IN"]),
        st.sampled_from(["", "3", "86", "AL"]),
        st.one_of(DATES, st.just("")),
        st.sampled_from(["", "R519", "Z00", "M1611"]),
    ),
    created=st.datetimes(datetime(2000, 1, 1), datetime(2069, 1, 1)).map(  # noqa: DTZ001 - made aware right here
        lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
    ),
    usage=st.sampled_from(["T", "P"]),
    dependent=st.one_of(st.none(), st.builds(Dependent, WORDS, WORDS, DATES, GENDERS)),
    reference=st.sampled_from(["", "ref-9"]),
)


@settings(max_examples=200, deadline=None)
@given(REQUESTS)
def test_a_request_is_read_back_as_it_was_written(request: ReviewRequest) -> None:
    assert read_request(write_request(request)) == request


BROKEN_REQUESTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "no trace": (lambda: edited(write_request(REQUEST), (TRACE_LINE, "")), "no-trn"),
    "an empty trace": (lambda: edited(write_request(REQUEST), (TRACE_LINE, "TRN*1")), "no-trn"),
    "a short originator": (lambda: edited(write_request(REQUEST), (TRACE_LINE, "TRN*1*x*9")), "bad-originator"),
    "no payer": (lambda: edited(write_request(REQUEST), (PAYER_LINE, "")), "no-payer"),
    "no provider": (lambda: edited(write_request(REQUEST), (PROVIDER_LINE, "")), "no-provider"),
    "no member": (lambda: edited(write_request(REQUEST), (NAME_LINE, "")), "no-member"),
    "no dependent's name": (lambda: edited(write_request(FAMILY), (CHILD_LINES[1], "")), "no-member"),
    "no event": (lambda: edited(write_request(REQUEST), ("UM*HS*I*3", "")), "no-event"),
    "no BHT": (lambda: edited(write_request(REQUEST), (HEADER, "")), "no-bht"),
    "an unknown category": (lambda: edited(write_request(REQUEST), ("UM*HS*I*3", "UM*XX*I*3")), "bad-code"),
    "an unknown type": (lambda: edited(write_request(REQUEST), ("UM*HS*I*3", "UM*HS*I*three")), "bad-code"),
    "a name for a diagnosis": (
        lambda: edited(write_request(REQUEST), ("HI*ABK:R519", "HI*ABK:QUILLFEATHER")),
        "bad-code",
    ),
    "a day that is none": (
        lambda: edited(write_request(REQUEST), ("DTP*AAH*D8*20260610", "DTP*AAH*D8*soon")),
        "bad-date",
    ),
    "an event on the requester": (lambda: edited(write_request(REQUEST), ("HL*4*3*EV*0", "HL*4*2*EV*0")), "hl-level"),
    "two events": (
        lambda: edited(write_request(REQUEST), ("HI*ABK:R519", "HI*ABK:R519~HL*5*3*EV*0~UM*HS*I*3")),
        "wrong-set",
    ),
    "an answer": (answer, "not-a-request"),
    "another version": (lambda: write_request(REQUEST).replace(b"005010X217", b"005010X216"), "wrong-version"),
    "a broken interchange": (lambda: write_request(REQUEST)[:-5], "truncated"),
}


@pytest.mark.parametrize("name", BROKEN_REQUESTS)
def test_a_request_without_a_part_is_refused_with_its_name(name: str) -> None:
    make, code = BROKEN_REQUESTS[name]
    with pytest.raises(X12Error) as caught:
        read_request(make())
    assert caught.value.code == code
    assert not any(word in str(caught.value) for word in PERSON)


def test_services_below_the_event_are_passed_over() -> None:
    raw = edited(write_request(REQUEST), ("HI*ABK:R519", "HI*ABK:R519~HL*5*4*SS*0~TRN*1*x~UM*SC*I*86"))
    raw = edited(raw, ("HL*4*3*EV*0", "HL*4*3*EV*1"))
    assert read_request(raw) == REQUEST


def test_a_request_prints_nothing_about_the_person() -> None:
    assert not any(word in repr(FAMILY) for word in PERSON)


# --- the answer ------------------------------------------------------------------------------------------------

HEADER_BACK = "BHT*0007*11*trace-0001*20260601*221530*18"
TRACE_BACK = "TRN*2*trace-0001*9OUTRIDER1"


def test_a_decision_stands_on_the_patient_event() -> None:
    event = [TRACE_BACK, "UM*HS*I*3", "HCR*A1*AUTH-77", *WHEN_AND_WHY]
    assert lines(answer()) == [HEADER_BACK, *UPPER, "HL*4*3*EV*0", *event]
    assert lines(answer(FAMILY))[8:] == [*CHILD_LINES, "HL*5*4*EV*0", *event]
    assert lines(answer(verdict=Decision("A4")))[0].endswith("*19"), "more is to follow"


@pytest.mark.parametrize(
    ("loop", "end"),
    [
        ("2000A", ["HL*1**20*0", "AAA*Y**42*P", PAYER_LINE]),
        ("2010A", ["HL*1**20*0", PAYER_LINE, "AAA*Y**42*P"]),
        ("2010B", ["HL*2*1*21*0", PROVIDER_LINE, "AAA*Y**42*P"]),
        ("2010C", ["HL*3*2*22*0", NAME_LINE, "AAA*Y**42*P", BIRTH_LINE]),
        ("2010D", ["HL*4*3*23*0", CHILD_LINES[1], "AAA*Y**42*P", CHILD_LINES[2]]),
        ("2000E", ["HL*5*4*EV*0", TRACE_BACK, "AAA*Y**42*P", "UM*HS*I*3", *WHEN_AND_WHY]),
    ],
)
def test_a_rejection_ends_the_hierarchy_and_is_found_in_its_loop(loop: str, end: list[str]) -> None:
    raw = answer(FAMILY, ReviewRejection("42", loop, "P"))
    assert lines(raw)[-len(end) :] == end
    assert places(raw) == [("42", f"aaa/{loop}")]
    outcome = classify([Expected("hcr", ("A1",))], observed(raw), OUTCOME_TABLE).outcome
    assert outcome is (OutcomeClass.SERVICE_DOWN if loop == "2000A" else OutcomeClass.PARTNER_DOWN)


@pytest.mark.parametrize("action", ["A1", "A2", "A3", "A4", "A6", "C", "CT", "NA"])
def test_what_was_decided_is_a_fact_and_its_number_is_not(action: str) -> None:
    observation = observed(answer(verdict=Decision(action, "AUTH-77")))
    assert observation == Observation((), {"set": ("278",), "hcr": (action,), "aaa": (), "trn": ("trace-0001",)})
    assert classify([Expected("hcr", (action,))], observation, OUTCOME_TABLE).is_ok
    unexpected = classify([Expected("hcr", ("A5",))], observation, OUTCOME_TABLE)
    assert unexpected.outcome is OutcomeClass.BUSINESS_UNEXPECTED


def test_a_decision_about_a_service_is_read_too() -> None:
    observation = observed(edited(answer(), ("HI*ABK:R519", "HI*ABK:R519~HL*5*4*SS*0~TRN*2*other~HCR*A3")))
    assert (observation.findings, observation.facts["hcr"]) == ((), ("A1", "A3"))


MISMATCHES: dict[str, Callable[[], bytes]] = {
    "somebody else's trace": lambda: answer(trace="trace-0002"),
    "no trace": lambda: edited(answer(), (TRACE_BACK, "")),
    "a trace that refers to nothing": lambda: edited(answer(), (TRACE_BACK, "TRN*1*trace-0001*9OUTRIDER1")),
    "somebody else's reference": lambda: edited(answer(), (HEADER_BACK, HEADER_BACK.replace("trace-0001", "other"))),
    "our event and somebody else's": lambda: edited(
        answer(), ("HI*ABK:R519", "HI*ABK:R519~HL*5*3*EV*0~TRN*2*trace-0002~HCR*A3")
    ),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_an_answer_to_somebody_elses_question_is_a_mismatch(name: str) -> None:
    observation = observed(MISMATCHES[name]())
    assert [(finding.code, finding.place) for finding in observation.findings] == [("mismatch", "echo/trn")]
    assert "trace-0002" not in repr(observation)


def test_traces_of_others_beside_ours_are_fine() -> None:
    assert places(edited(answer(), (TRACE_BACK, f"TRN*1*their-own*9CLEARING1~{TRACE_BACK}"))) == []


@pytest.mark.parametrize(
    ("make", "code", "place"),
    [
        (lambda: b"", "empty", "x12/ISA"),
        (lambda: answer()[:300], "truncated", "x12/segment"),
        (lambda: write_request(REQUEST), "not-an-answer", "x12/BHT02"),
        (lambda: edited(answer(), ("HCR*A1*AUTH-77", "HCR*QUILLFEATHER")), "bad-code", "x12/HCR01"),
        (lambda: edited(answer(), (BIRTH_LINE, f"{BIRTH_LINE}~HCR*A1")), "misplaced", "x12/HCR"),
        (lambda: edited(answer(), ("HL*1**20*1", "AAA*N**75*N~HL*1**20*1")), "misplaced", "x12/AAA"),
        (lambda: answer().replace(b"005010X217", b"005010X216"), "wrong-version", "x12/GS08"),
        (lambda: ta1("TA1*000000042*260601*2215*R*024"), "024", "ta1/TA105"),
        (lambda: acknowledged("AK1*HI*42", "AK9*R*1*1*0"), "R", "999/AK901"),
    ],
)
def test_what_is_no_answer_is_one_finding(make: Callable[[], bytes], code: str, place: str) -> None:
    assert places(make()) == [(code, place)]
    assert not any(word in repr(observed(make())) for word in PERSON)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: Event("XX", "3"), "bad-code"),
        (lambda: Event("HS", "3", "2026-06-01"), "bad-date"),
        (lambda: Event("HS", "3", diagnosis="R51.9"), "bad-code"),
        (lambda: Decision("YES"), "bad-code"),
        (lambda: ReviewRejection("7", "2010C"), "bad-code"),
        (lambda: ReviewRejection("75", "2010C", "?"), "bad-code"),
        (lambda: ReviewRejection("75", "2100C"), "bad-loop"),
        (lambda: answer(verdict=ReviewRejection("67", "2010D")), "bad-loop"),
        (lambda: replace(REQUEST, trace_originator="SHORT"), "bad-originator"),
    ],
)
def test_what_cannot_be_is_not_built(make: Callable[[], object], code: str) -> None:
    with pytest.raises(X12Error) as caught:
        make()
    assert caught.value.code == code


def test_the_oracle_finds_nothing_wrong_with_what_is_written() -> None:
    for request in (REQUEST, FAMILY):
        assert oracle_errors(write_request(request)) == []
        assert oracle_errors(answer(request)) == []
        for loop in ("2000A", "2010A", "2010B", "2010C", "2000E"):
            assert oracle_errors(answer(request, ReviewRejection("42", loop))) == []


ANSWERS = st.sampled_from(
    [answer(), answer(FAMILY), answer(FAMILY, ReviewRejection("75", "2010D")), write_request(REQUEST)]
)


@settings(max_examples=200, deadline=None)
@given(ANSWERS, st.data())
def test_a_damaged_message_is_observed_and_never_raises_or_names_anybody(raw: bytes, data: st.DataObject) -> None:
    damaged = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(damaged)))
        length = data.draw(st.integers(0, 10))
        damaged[start : start + length] = data.draw(
            st.one_of(st.binary(max_size=4), st.sampled_from([b"~", b"*", b"~HCR*", b"~AAA*", b"HL*1", b""]))
        )
    check(bytes(damaged))


@settings(max_examples=200, deadline=None)
@given(ANSWERS, st.data())
def test_a_message_whose_segments_are_shuffled_raises_nothing_but_the_typed_error(
    raw: bytes, data: st.DataObject
) -> None:
    segments = raw.decode().split("~")[:-1]
    for _ in range(data.draw(st.integers(1, 3))):
        moved = segments.pop(data.draw(st.integers(3, len(segments) - 4)))
        if data.draw(st.booleans()):
            segments.insert(data.draw(st.integers(3, len(segments) - 3)), moved)
    check(edited(("~".join(segments) + "~").encode()))


def check(raw: bytes) -> None:
    """Both readers: one observes, the other raises X12Error or reads; neither names anybody."""
    observation = observed(raw)
    assert all(isinstance(finding, Finding) and "/" in finding.place for finding in observation.findings)
    assert observation.findings or observation.facts["set"] == ("278",)
    told = "".join(f.code + f.place + f.detail for f in observation.findings) + repr(observation.facts)
    try:
        assert 1 <= len(read_request(raw).trace) <= 50
    except X12Error as error:
        told += str(error)
    assert not any(word in told for word in PERSON)
