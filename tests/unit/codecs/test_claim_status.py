from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from x12_support import CREATED, acknowledged, edited, lines, oracle_errors, ta1

from outrider.codecs import x12
from outrider.codecs.claim_status import (
    Claim,
    ClaimInquiry,
    ClaimStatus,
    Dependent,
    Member,
    read_request,
    read_response,
    write_request,
    write_response,
)
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.codecs.x12 import X12Error
from outrider.core.outcome import Expected, Finding, Observation, OutcomeClass, classify

MEMBER = Member("QUILLFEATHER", "OTTOLINE", "W998877665", "19710203", "F")
CHILD = Dependent("QUILLFEATHER", "BARNABY", "20090817", "M")
CLAIM = Claim("ACCT-55501", "125.00", "20260301", "20260303", "PAYERS-77")
PERSON = ("QUILLFEATHER", "OTTOLINE", "BARNABY", "W998877665", "19710203", "20090817", "ACCT-55501", "PAYERS-77")
INQUIRY = ClaimInquiry(
    "OUTRIDER",
    "CLEARING",
    42,
    "trace-0001",
    "SYNTHETIC PAYER",
    "99001",
    "SYNTHETIC SERVICE",
    "S99",
    "SYNTHETIC CLINIC",
    "1234567893",
    MEMBER,
    CLAIM,
    created=CREATED,
)
FAMILY = replace(INQUIRY, dependent=CHILD)
PAID = (ClaimStatus("F1", "65", charged="125.00", paid="100.00"),)


def answer(inquiry: ClaimInquiry = INQUIRY, *statuses: ClaimStatus, trace: str | None = None) -> bytes:
    return write_response(inquiry, control_number=77, created=CREATED, statuses=statuses or PAID, trace=trace)


def observed(raw: bytes) -> Observation:
    return read_response(raw, trace="trace-0001")


def places(raw: bytes) -> list[tuple[str, str]]:
    return [(finding.code, finding.place) for finding in observed(raw).findings]


# --- 276 -------------------------------------------------------------------------------------------------------

UPPER_LEVELS = [
    "HL*1**20*1",
    "NM1*PR*2*SYNTHETIC PAYER*****PI*99001",
    "HL*2*1*21*1",
    "NM1*41*2*SYNTHETIC SERVICE*****46*S99",
    "HL*3*2*19*1",
    "NM1*1P*2*SYNTHETIC CLINIC*****XX*1234567893",
]
NAME_LINE = "NM1*IL*1*QUILLFEATHER*OTTOLINE****MI*W998877665"
HEADER = "BHT*0010*13*trace-0001*20260601*221530"
ASKED = [
    "TRN*1*trace-0001",
    "REF*1K*PAYERS-77",
    "REF*EJ*ACCT-55501",
    "AMT*T3*125.00",
    "DTP*472*RD8*20260301-20260303",
]


def test_a_request_about_a_subscribers_claim_has_the_segments_of_the_guide() -> None:
    assert lines(write_request(INQUIRY)) == [
        HEADER,
        *UPPER_LEVELS,
        "HL*4*3*22*0",
        "DMG*D8*19710203*F",
        NAME_LINE,
        *ASKED,
    ]


def test_a_request_about_a_dependents_claim_has_the_demographics_of_the_dependent_alone() -> None:
    assert lines(write_request(FAMILY))[7:] == [
        "HL*4*3*22*1",
        NAME_LINE,
        "HL*5*4*23",
        "DMG*D8*20090817*M",
        "NM1*QC*1*QUILLFEATHER*BARNABY",
        *ASKED,
    ]


@pytest.mark.parametrize("last_day", ["", "20260301"])
def test_a_claim_of_one_day_is_asked_for_by_that_day(last_day: str) -> None:
    raw = write_request(replace(INQUIRY, claim=Claim(first_day="20260301", last_day=last_day)))
    assert lines(raw)[-2:] == ["TRN*1*trace-0001", "DTP*472*D8*20260301"]


def test_the_envelope_says_who_asks_whom() -> None:
    interchange = x12.read(write_request(replace(INQUIRY, sender_qualifier="30", receiver_qualifier="01")))
    assert (interchange.sender_qualifier, interchange.sender) == ("30", "OUTRIDER")
    assert (interchange.receiver_qualifier, interchange.receiver) == ("01", "CLEARING")
    assert (interchange.control_number, interchange.usage) == ("000000042", "T")
    assert (interchange.groups[0].functional_id, interchange.groups[0].version) == ("HR", "005010X212")


def test_the_oracle_finds_nothing_wrong_with_what_is_written() -> None:
    loops = ("2200B", "2200C", "2200D", "")
    for inquiry in (INQUIRY, FAMILY):
        assert oracle_errors(write_request(inquiry)) == []
        for loop in loops:
            assert oracle_errors(answer(inquiry, ClaimStatus("E1", loop=loop))) == []


WORDS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ' -.0123456789", min_size=1, max_size=20)
DATES = st.dates(datetime(1900, 1, 1).date(), datetime(2100, 1, 1).date()).map(lambda day: day.strftime("%Y%m%d"))  # noqa: DTZ001 - days alone
MAYBE_DATES = st.one_of(st.just(""), DATES)
GENDERS = st.sampled_from(["", "M", "F", "U"])
AMOUNTS = st.one_of(st.just(""), st.decimals(0, 10**9, places=2).map(str))
CLAIMS = st.builds(
    lambda account, amount, days, own: Claim(account, amount, days[0], days[1], own),
    st.one_of(st.just(""), WORDS),
    AMOUNTS,
    st.one_of(
        st.just(("", "")),
        DATES.map(lambda day: (day, "")),
        st.lists(DATES, min_size=2, max_size=2, unique=True).map(sorted),
    ),
    st.one_of(st.just(""), WORDS),
)
INQUIRIES = st.builds(
    ClaimInquiry,
    WORDS.map(lambda word: word.strip()[:15].strip() or "A"),
    st.sampled_from(["CLEARING", "R"]),
    st.integers(1, 999_999_999),
    WORDS,
    WORDS,
    WORDS,
    WORDS,
    WORDS,
    WORDS,
    st.sampled_from(["1234567893", ""]),
    st.builds(Member, WORDS, WORDS, WORDS, MAYBE_DATES, GENDERS),
    CLAIMS,
    created=st.datetimes(datetime(2000, 1, 1), datetime(2069, 1, 1)).map(  # noqa: DTZ001 - made aware right here
        lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
    ),
    usage=st.sampled_from(["T", "P"]),
    dependent=st.one_of(st.none(), st.builds(Dependent, WORDS, WORDS, DATES, GENDERS)),
    reference=st.sampled_from(["", "ref-9"]),
)


@settings(max_examples=200, deadline=None)
@given(INQUIRIES)
def test_a_request_is_read_back_as_it_was_written(inquiry: ClaimInquiry) -> None:
    if inquiry.trace == inquiry.reference:
        inquiry = replace(inquiry, reference="")
    if inquiry.dependent is not None:  # only the patient has demographics
        inquiry = replace(inquiry, member=replace(inquiry.member, birth_date="", gender=""))
    assert read_request(write_request(inquiry)) == inquiry


def test_what_a_payer_can_do_without_is_read_as_empty() -> None:
    raw = edited(
        write_request(INQUIRY),
        (NAME_LINE, "NM1*IL*1"),
        ("DMG*D8*19710203*F", ""),
        ("REF*1K*PAYERS-77", ""),
        ("REF*EJ*ACCT-55501", "REF*BLT*111"),
        ("AMT*T3*125.00", ""),
        ("DTP*472*RD8*20260301-20260303", ""),
        (UPPER_LEVELS[5], "NM1*1P*2*SYNTHETIC CLINIC*****SV*55"),
    )
    inquiry = read_request(raw)
    assert (inquiry.member, inquiry.claim, inquiry.provider_npi) == (Member("", "", "", ""), Claim(), "")


def test_references_and_dates_of_a_service_line_are_not_the_claims() -> None:
    raw = edited(
        write_request(replace(INQUIRY, claim=Claim("ACCT-1"))),
        ("REF*EJ*ACCT-1", "REF*EJ*ACCT-1~SVC*HC:99203*150.00*****1~REF*1K*X~DTP*472*D8*20260501"),
    )
    assert read_request(raw).claim == Claim("ACCT-1")


BROKEN_REQUESTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "no trace": (lambda: edited(write_request(INQUIRY), ("TRN*1*trace-0001", "")), "no-trn"),
    "an empty trace": (lambda: edited(write_request(INQUIRY), ("TRN*1*trace-0001", "TRN*1")), "no-trn"),
    "a trace of another kind": (
        lambda: edited(write_request(INQUIRY), ("TRN*1*trace-0001", "TRN*2*trace-0001")),
        "no-trn",
    ),
    "a trace on the wrong level": (
        lambda: edited(write_request(FAMILY), ("TRN*1*trace-0001", ""), ("HL*5*4*23", "TRN*1*x~HL*5*4*23")),
        "no-trn",
    ),
    "no member": (lambda: edited(write_request(INQUIRY), (NAME_LINE, "")), "no-member"),
    "no dependent's name": (
        lambda: edited(write_request(FAMILY), ("NM1*QC*1*QUILLFEATHER*BARNABY", "")),
        "no-member",
    ),
    "no payer": (lambda: edited(write_request(INQUIRY), (UPPER_LEVELS[1], "")), "no-payer"),
    "no submitter": (lambda: edited(write_request(INQUIRY), (UPPER_LEVELS[3], "")), "no-submitter"),
    "no provider": (lambda: edited(write_request(INQUIRY), (UPPER_LEVELS[5], "")), "no-provider"),
    "no BHT": (lambda: edited(write_request(INQUIRY), (HEADER, "")), "no-bht"),
    "a date that is none": (
        lambda: edited(write_request(INQUIRY), (HEADER, "BHT*0010*13*trace-0001*20261301*2215")),
        "bad-date",
    ),
    "a birth date that is none": (
        lambda: edited(write_request(INQUIRY), ("DMG*D8*19710203*F", "DMG*D8*3 Feb 71")),
        "bad-date",
    ),
    "a day of service that is none": (
        lambda: edited(write_request(INQUIRY), ("DTP*472*RD8*20260301-20260303", "DTP*472*D8*soon")),
        "bad-date",
    ),
    "days of service the wrong way round": (
        lambda: edited(write_request(INQUIRY), ("DTP*472*RD8*20260301-20260303", "DTP*472*RD8*20260303-20260301")),
        "bad-date",
    ),
    "an amount that is none": (
        lambda: edited(write_request(INQUIRY), ("AMT*T3*125.00", "AMT*T3*much")),
        "bad-amount",
    ),
    "a level that is left out": (lambda: edited(write_request(INQUIRY), ("HL*3*2*19*1", "HL*3*2*22*1")), "hl-level"),
    "two claims": (
        lambda: edited(write_request(INQUIRY), ("AMT*T3*125.00", "AMT*T3*125.00~TRN*1*trace-0002~AMT*T3*1")),
        "wrong-set",
    ),
    "two subscribers": (
        lambda: edited(write_request(INQUIRY), ("AMT*T3*125.00", f"AMT*T3*125.00~HL*5*3*22*0~{NAME_LINE}")),
        "wrong-set",
    ),
    "an answer": (answer, "wrong-set"),
    "another version": (lambda: write_request(INQUIRY).replace(b"005010X212", b"005010X214"), "wrong-version"),
    "a broken interchange": (lambda: write_request(INQUIRY)[:-5], "truncated"),
}


@pytest.mark.parametrize("name", BROKEN_REQUESTS)
def test_a_request_without_a_part_is_refused_with_its_name(name: str) -> None:
    make, code = BROKEN_REQUESTS[name]
    with pytest.raises(X12Error) as caught:
        read_request(make())
    assert caught.value.code == code
    assert not any(word in str(caught.value) for word in PERSON)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: replace(INQUIRY, control_number=0), "control-number"),
        (lambda: replace(INQUIRY, trace=""), "no-trn"),
        (lambda: replace(INQUIRY, usage="X"), "isa15"),
        (lambda: replace(INQUIRY, created=datetime(2026, 6, 1)), "bad-date"),  # noqa: DTZ001 - that is the point
        (lambda: Claim("A" * 51), "bad-reference"),
        (lambda: Claim(amount="12.345"), "bad-amount"),
        (lambda: Claim(amount="-1"), "bad-amount"),
        (lambda: Claim(first_day="2026-03-01"), "bad-date"),
        (lambda: Claim(last_day="20260301"), "bad-date"),
        (lambda: ClaimStatus("PAID"), "bad-code"),
        (lambda: ClaimStatus("P3F"), "bad-code"),  # only F3 has such an ending
        (lambda: ClaimStatus("F1", "sixty"), "bad-code"),
        (lambda: ClaimStatus("F1", entity="x"), "bad-code"),
        (lambda: ClaimStatus("F1", loop="2100C"), "bad-loop"),
        (lambda: ClaimStatus("F1", paid="all"), "bad-amount"),
        (lambda: answer(INQUIRY, ClaimStatus("F1", loop="2200E")), "bad-loop"),
        (lambda: answer(INQUIRY, ClaimStatus("F1"), ClaimStatus("E1", loop="2200B")), "bad-loop"),
        (lambda: write_request(replace(INQUIRY, claim=Claim("A*B"))), "separator-in-element"),
    ],
)
def test_what_cannot_be_is_not_built(make: Callable[[], object], code: str) -> None:
    with pytest.raises(X12Error) as caught:
        make()
    assert caught.value.code == code


def test_a_request_prints_nothing_about_the_person_or_the_claim() -> None:
    shown = repr(FAMILY)
    assert "trace-0001" in shown
    assert not any(word in shown for word in PERSON)


# --- 277 as it is written --------------------------------------------------------------------------------------

HEADER_BACK = "BHT*0010*08*S77*20260601*221530*DG"
TRACE_BACK = "TRN*2*trace-0001"
PAID_LINE = "STC*F1:65*20260601**125.00*100.00"


def test_an_answer_about_a_claim_has_the_segments_of_the_guide() -> None:
    about = ["REF*1K*PAYERS-77", "REF*EJ*ACCT-55501", "DTP*472*RD8*20260301-20260303"]
    assert lines(answer()) == [
        HEADER_BACK, *UPPER_LEVELS, "HL*4*3*22*0", NAME_LINE, TRACE_BACK, PAID_LINE, *about,
    ]  # fmt: skip
    assert lines(answer(FAMILY))[7:] == [
        "HL*4*3*22*1", NAME_LINE, "HL*5*4*23", "NM1*QC*1*QUILLFEATHER*BARNABY", TRACE_BACK, PAID_LINE, *about,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("loop", "end"),
    [
        ("2200B", ["HL*2*1*21*0", UPPER_LEVELS[3], "TRN*2*their-own", "STC*E1:0:PR*20260601"]),
        ("2200C", ["HL*3*2*19*0", UPPER_LEVELS[5], "TRN*1*0", "STC*E1:0:PR*20260601"]),
        ("2200D", ["HL*4*3*22*0", NAME_LINE, TRACE_BACK, "STC*E1:0:PR*20260601"]),
    ],
)
def test_a_status_above_the_claim_ends_the_answer_in_its_loop(loop: str, end: list[str]) -> None:
    inquiry = replace(FAMILY, reference="their-own")
    assert lines(answer(inquiry, ClaimStatus("E1", loop=loop, entity="PR")))[-4:] == end


def test_an_answer_goes_back_the_way_the_request_came() -> None:
    interchange = x12.read(answer(replace(INQUIRY, sender_qualifier="30", usage="P")))
    assert (interchange.sender, interchange.receiver, interchange.usage) == ("CLEARING", "OUTRIDER", "P")
    assert (interchange.sender_qualifier, interchange.receiver_qualifier) == ("ZZ", "30")
    assert (interchange.control_number, interchange.groups[0].functional_id) == ("000000077", "HN")


# --- 277 as it is read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("inquiry", [INQUIRY, FAMILY])
@pytest.mark.parametrize("category", ["A0", "A3", "P1", "F1", "F2", "F3F", "R16", "RQ"])
def test_what_a_claim_is_is_a_fact_and_no_finding(inquiry: ClaimInquiry, category: str) -> None:
    observation = observed(answer(inquiry, ClaimStatus(category, "20")))
    assert observation.findings == ()
    assert observation.facts == {"set": ("277",), "stc": (category,), "stc_code": ("20",), "trn": ("trace-0001",)}
    assert classify([Expected("stc", (category,))], observation, OUTCOME_TABLE).is_ok
    assert classify([Expected("stc", ("F0",))], observation, OUTCOME_TABLE).outcome is OutcomeClass.BUSINESS_UNEXPECTED


@pytest.mark.parametrize("loop", ["2200B", "2200C", "2200D", "2200E"])
@pytest.mark.parametrize("category", ["D0", "A4", "E0", "E1", "E9"])
def test_a_status_that_tells_none_is_found_in_its_loop(category: str, loop: str) -> None:
    raw = answer(FAMILY, ClaimStatus(category, "35", loop=loop))
    assert places(raw) == [(category, f"stc/{loop}")]
    assert "status 35" in observed(raw).findings[0].detail


@pytest.mark.parametrize(
    ("category", "outcome"),
    [
        ("E0", OutcomeClass.PROBE_FAULT),
        ("E1", OutcomeClass.SERVICE_DOWN),
        ("E2", OutcomeClass.PARTNER_DOWN),
        ("E3", OutcomeClass.PROBE_FAULT),
        ("E4", OutcomeClass.PROBE_FAULT),
        ("E7", OutcomeClass.SERVICE_DOWN),
        ("D0", OutcomeClass.BUSINESS_UNEXPECTED),
        ("A4", OutcomeClass.BUSINESS_UNEXPECTED),
    ],
)
def test_the_shipped_table_says_whose_fault_it_is(category: str, outcome: OutcomeClass) -> None:
    for loop in ("2200B", "2200C", "2200D"):
        observation = observed(answer(INQUIRY, ClaimStatus(category, loop=loop)))
        assert classify([Expected("stc", ("F1",))], observation, OUTCOME_TABLE).outcome is outcome


def test_a_claim_that_is_expected_not_to_be_found_is_ok() -> None:
    assert classify([Expected("stc", ("D0",))], observed(answer(INQUIRY, ClaimStatus("D0"))), OUTCOME_TABLE).is_ok


def test_statuses_of_service_lines_and_further_composites_are_read_in_order() -> None:
    line = "SVC*HC:99203*150.00*0.00****1~STC*F2:88:QC*20260612********P1:20*E1:0"
    observation = observed(edited(answer(), (PAID_LINE, f"{PAID_LINE}~{line}")))
    assert observation.facts["stc"] == ("F1", "F2", "P1", "E1")
    assert observation.facts["stc_code"] == ("65", "88", "20", "0")
    assert [(finding.code, finding.place) for finding in observation.findings] == [("E1", "stc/2220D")]


def test_a_pharmacys_reject_code_has_a_shape_of_its_own() -> None:
    observation = observed(edited(answer(), (PAID_LINE, "STC*F2:7X::RX*20260601")))
    assert observation.facts["stc_code"] == ("7X",)


MISMATCHES: dict[str, Callable[[], bytes]] = {
    "somebody else's trace": lambda: answer(trace="trace-0002"),
    "somebody else's trace for a dependent": lambda: answer(FAMILY, trace="trace-0002"),
    "an empty trace": lambda: edited(answer(), (TRACE_BACK, "TRN*2")),
    "a trace that refers to nothing": lambda: edited(answer(), (TRACE_BACK, "TRN*1*trace-0001")),
    "our claim and somebody else's": lambda: edited(
        answer(), (PAID_LINE, f"{PAID_LINE}~TRN*2*trace-0002~STC*P1:20*20260601")
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISMATCHES)
def test_an_answer_to_somebody_elses_question_is_a_mismatch(name: str) -> None:
    observation = observed(MISMATCHES[name]())
    assert [(finding.code, finding.place) for finding in observation.findings] == [("mismatch", "echo/trn")]
    assert classify([], observation, OUTCOME_TABLE).outcome is OutcomeClass.MALFORMED
    assert "trace-0002" not in repr(observation)


def test_a_mismatch_above_the_claim_comes_before_the_status_there() -> None:
    foreign = answer(INQUIRY, ClaimStatus("E0", loop="2200B"), trace="trace-0002")
    assert places(foreign) == [("mismatch", "echo/trn"), ("E0", "stc/2200B")]
    no_claim = edited(
        answer(),
        (UPPER_LEVELS[3], f"{UPPER_LEVELS[3]}~{TRACE_BACK}~STC*E0:0*20260601"),
        (f"{NAME_LINE}~{TRACE_BACK}", NAME_LINE),
        (PAID_LINE, ""),
    )
    assert places(no_claim) == [("mismatch", "echo/trn"), ("E0", "stc/2200B")]


def test_a_provider_level_has_no_trace_to_repeat() -> None:
    assert places(answer(INQUIRY, ClaimStatus("E0", "24", loop="2200C"))) == [("E0", "stc/2200C")]


def test_a_mismatch_comes_before_the_statuses() -> None:
    raw = answer(INQUIRY, ClaimStatus("E1"), trace="trace-0002")
    assert [place for _, place in places(raw)] == ["echo/trn", "stc/2200D"]


BROKEN_ANSWERS: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "nothing": (lambda: b"", "empty", "x12/ISA"),
    "a web page": (lambda: b"<html>QUILLFEATHER</html>", "no-isa", "x12/ISA"),
    "half an answer": (lambda: answer()[:400], "truncated", "x12/segment"),
    "a wrong count": (lambda: answer().replace(b"SE*16*", b"SE*15*"), "se01-count", "x12/SE01"),
    "a name for a category": (
        lambda: edited(answer(), (PAID_LINE, "STC*QUILLFEATHER:65*20260601")),
        "bad-code",
        "x12/STC01",
    ),
    "a category alone": (lambda: edited(answer(), (PAID_LINE, "STC*F1*20260601")), "bad-code", "x12/STC01"),
    "no category": (lambda: edited(answer(), (PAID_LINE, "STC**20260601")), "bad-code", "x12/STC01"),
    "a name for a status": (
        lambda: edited(answer(), (PAID_LINE, "STC*F1:OTTO*20260601")),
        "bad-code",
        "x12/STC01",
    ),
    "a name in a further status": (
        lambda: edited(answer(), (PAID_LINE, "STC*F1:65*20260601********QUILLFEATHER")),
        "bad-code",
        "x12/STC10",
    ),
    "a status without a trace in front of it": (
        lambda: edited(answer(), (TRACE_BACK, "")),
        "misplaced",
        "x12/STC",
    ),
    "a status outside every level": (
        lambda: edited(answer(), ("HL*1**20*1", "STC*E1:0~HL*1**20*1")),
        "misplaced",
        "x12/STC",
    ),
    "a subscriber below the receiver": (
        lambda: edited(answer(), ("HL*4*3*22*0", "HL*4*2*22*0")),
        "hl-level",
        "x12/HL03",
    ),
    "a TA1 without a reason": (lambda: ta1("TA1*000000042*260601*2215*R"), "bad-code", "x12/TA105"),
}


@pytest.mark.parametrize("name", BROKEN_ANSWERS)
def test_an_answer_that_does_not_hold_together_is_one_finding_and_no_facts(name: str) -> None:
    make, code, place = BROKEN_ANSWERS[name]
    observation = observed(make())
    assert [(finding.code, finding.place) for finding in observation.findings] == [(code, place)]
    assert observation.facts == {}
    assert classify([], observation, OUTCOME_TABLE).outcome is OutcomeClass.MALFORMED
    assert not any(word in repr(observation) for word in PERSON)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: ta1("TA1*000000042*260601*2215*R*024"), [("024", "ta1/TA105")]),
        (lambda: ta1("TA1*000000042*260601*2215*A*000"), [("wrong-set", "x12/ST01")]),
        (
            lambda: acknowledged("AK1*HR*42", "AK2*276*0001", "IK5*R*5", "AK9*R*1*1*0"),
            [("R", "999/IK501"), ("R", "999/AK901")],
        ),
        (lambda: acknowledged("AK1*HR*42", "AK9*A*1*1*1"), [("wrong-set", "x12/ST01")]),
        (lambda: write_request(INQUIRY), [("wrong-set", "x12/ST01")]),
        (lambda: answer().replace(b"005010X212", b"005010X214"), [("wrong-version", "x12/GS08")]),
    ],
)
def test_what_is_no_277_of_the_guide_is_named(make: Callable[[], bytes], expected: list[tuple[str, str]]) -> None:
    assert places(make()) == expected


# --- whatever a stranger sends ---------------------------------------------------------------------------------

ANSWERS = st.sampled_from(
    [
        answer(),
        answer(FAMILY, ClaimStatus("P1", "20")),
        answer(INQUIRY, ClaimStatus("E1", loop="2200B")),
        answer(INQUIRY, ClaimStatus("E0", "24", loop="2200C")),
        acknowledged("AK1*HR*42", "IK3*NM1*8", "IK4*9*67*7*W998877665", "IK5*R*5", "AK9*R"),
        ta1("TA1*000000042*260601*2215*R*024"),
    ]
)


@settings(max_examples=200, deadline=None)
@given(ANSWERS, st.data())
def test_a_damaged_answer_is_observed_and_never_raises_or_names_anybody(raw: bytes, data: st.DataObject) -> None:
    damaged = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(damaged)))
        length = data.draw(st.integers(0, 10))
        damaged[start : start + length] = data.draw(
            st.one_of(st.binary(max_size=4), st.sampled_from([b"~", b"*", b":", b"STC*", b"~TRN*", b"HL*1", b""]))
        )
    check_observation(observed(bytes(damaged)))


@settings(max_examples=200, deadline=None)
@given(ANSWERS, st.data())
def test_an_answer_whose_segments_are_shuffled_is_observed_and_never_raises(raw: bytes, data: st.DataObject) -> None:
    segments = raw.decode().split("~")[:-1]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(1, len(segments) - 1))
        match data.draw(st.sampled_from(["drop", "repeat", "move"])):
            case "drop" if len(segments) > 2:
                del segments[at]
            case "repeat":
                segments.insert(at, segments[at])
            case _:
                segments.insert(data.draw(st.integers(1, len(segments) - 1)), segments.pop(at))
    text = "~".join(segments) + "~"
    check_observation(observed(edited(text.encode()) if "~ST*" in text and "~SE*" in text else text.encode()))


def check_observation(observation: Observation) -> None:
    assert all(
        isinstance(finding, Finding) and finding.code and "/" in finding.place for finding in observation.findings
    )
    assert observation.findings or observation.facts["set"] == ("277",)
    said = "".join(f.code + f.place + f.detail for f in observation.findings) + repr(observation.facts)
    assert not any(word in said for word in PERSON)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_reading_a_damaged_request_raises_nothing_but_the_typed_error(data: st.DataObject) -> None:
    segments = write_request(data.draw(st.sampled_from([INQUIRY, FAMILY]))).decode().split("~")[:-1]
    at = data.draw(st.integers(2, len(segments) - 4))
    elements = segments[at].split("*")
    element = data.draw(st.integers(0, len(elements) - 1))
    elements[element] = data.draw(st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=12))
    segments[at] = "*".join(elements)
    if data.draw(st.booleans()):
        del segments[data.draw(st.integers(3, len(segments) - 4))]
    text = "~".join(segments) + "~"
    raw = edited(text.encode("latin-1")) if text.isascii() and "~ST*" in text else text.encode("latin-1")
    told = ""
    try:
        assert read_request(raw).sender_id == "OUTRIDER"
    except X12Error as error:
        told = str(error)
    assert not any(word in told for word in PERSON)
