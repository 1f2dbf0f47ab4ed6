from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from x12_support import CREATED, acknowledged, edited, lines, oracle_errors, ta1

from outrider.codecs import x12
from outrider.codecs.eligibility import (
    Benefit,
    Dependent,
    Inquiry,
    Member,
    Rejection,
    read_inquiry,
    read_response,
    write_inquiry,
    write_response,
)
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.codecs.x12 import X12Error
from outrider.core.outcome import Expected, Finding, Observation, OutcomeClass, classify

MEMBER = Member("QUILLFEATHER", "OTTOLINE", "W998877665", "19710203", "F")
CHILD = Dependent("QUILLFEATHER", "BARNABY", "20090817", "M")
PERSON = ("QUILLFEATHER", "OTTOLINE", "BARNABY", "W998877665", "19710203", "20090817")
INQUIRY = Inquiry(
    "OUTRIDER",
    "CLEARING",
    42,
    "trace-0001",
    "SYNTHETIC PAYER",
    "99001",
    "SYNTHETIC CLINIC",
    "1234567893",
    MEMBER,
    created=CREATED,
    service_date="20260601",
)
FAMILY = replace(INQUIRY, dependent=CHILD)
ACTIVE = (Benefit("1", "IND", ("30",), "HM", "GOLD 1"), Benefit("B", service_types=("35", "98"), amount="25"))


def answer(inquiry: Inquiry = INQUIRY, **arguments: object) -> bytes:
    return write_response(inquiry, control_number=77, created=CREATED, **arguments)  # type: ignore[arg-type]


def observed(raw: bytes) -> Observation:
    return read_response(raw, trace="trace-0001")


# --- 270 -------------------------------------------------------------------------------------------------------


def test_an_inquiry_about_a_subscriber_has_the_segments_of_the_guide() -> None:
    assert lines(write_inquiry(INQUIRY)) == [
        "BHT*0022*13*trace-0001*20260601*221530",
        "HL*1**20*1",
        "NM1*PR*2*SYNTHETIC PAYER*****PI*99001",
        "HL*2*1*21*1",
        "NM1*1P*2*SYNTHETIC CLINIC*****XX*1234567893",
        "HL*3*2*22*0",
        "TRN*1*trace-0001*9OUTRIDER1",
        "NM1*IL*1*QUILLFEATHER*OTTOLINE****MI*W998877665",
        "DMG*D8*19710203*F",
        "DTP*291*D8*20260601",
        "EQ*30",
    ]


def test_an_inquiry_about_a_dependent_carries_the_trace_on_the_dependents_level() -> None:
    assert lines(write_inquiry(FAMILY))[5:] == [
        "HL*3*2*22*1",
        "NM1*IL*1*QUILLFEATHER*OTTOLINE****MI*W998877665",
        "DMG*D8*19710203*F",
        "HL*4*3*23*0",
        "TRN*1*trace-0001*9OUTRIDER1",
        "NM1*03*1*QUILLFEATHER*BARNABY",
        "DMG*D8*20090817*M",
        "DTP*291*D8*20260601",
        "EQ*30",
    ]


def test_the_envelope_says_who_asks_whom_and_that_it_is_a_test() -> None:
    interchange = x12.read(write_inquiry(replace(INQUIRY, sender_qualifier="30", receiver_qualifier="01")))
    assert (interchange.sender_qualifier, interchange.sender) == ("30", "OUTRIDER")
    assert (interchange.receiver_qualifier, interchange.receiver) == ("01", "CLEARING")
    assert (interchange.control_number, interchange.usage) == ("000000042", "T")
    assert interchange.groups[0].functional_id == "HS"


def test_the_oracle_finds_nothing_wrong_with_what_is_written() -> None:
    for raw in (
        write_inquiry(INQUIRY),
        write_inquiry(FAMILY),
        answer(benefits=ACTIVE),
        answer(FAMILY, benefits=ACTIVE),
        answer(rejections=[Rejection("42", "2000A")]),
        answer(FAMILY, rejections=[Rejection("75", "2100D")]),
    ):
        assert oracle_errors(raw) == []


WORDS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ' -.0123456789", min_size=1, max_size=20)
DATES = st.dates(datetime(1900, 1, 1).date(), datetime(2100, 1, 1).date()).map(lambda day: day.strftime("%Y%m%d"))  # noqa: DTZ001 - days alone
GENDERS = st.sampled_from(["", "M", "F", "U"])
CODES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=2)
INQUIRIES = st.builds(
    Inquiry,
    WORDS.map(lambda word: word.strip()[:15].strip() or "A"),
    st.sampled_from(["CLEARING", "R"]),
    st.integers(1, 999_999_999),
    WORDS,
    WORDS,
    WORDS,
    WORDS,
    st.sampled_from(["1234567893", ""]),
    st.builds(Member, WORDS, WORDS, WORDS, st.one_of(DATES, st.just("")), GENDERS),
    created=st.datetimes(datetime(2000, 1, 1), datetime(2069, 1, 1)).map(  # noqa: DTZ001 - made aware right here
        lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
    ),
    service_types=st.lists(CODES, min_size=1, max_size=5).map(tuple),
    service_date=st.one_of(DATES, st.just("")),
    usage=st.sampled_from(["T", "P"]),
    dependent=st.one_of(st.none(), st.builds(Dependent, WORDS, WORDS, DATES, GENDERS)),
    reference=st.sampled_from(["", "ref-9"]),
)


@settings(max_examples=200, deadline=None)
@given(INQUIRIES)
def test_an_inquiry_is_read_back_as_it_was_written(inquiry: Inquiry) -> None:
    if inquiry.trace == inquiry.reference:
        inquiry = replace(inquiry, reference="")
    assert read_inquiry(write_inquiry(inquiry)) == inquiry


def test_several_questions_and_several_traces_are_read_as_the_guide_allows() -> None:
    raw = edited(
        write_inquiry(INQUIRY),
        ("EQ*30", "EQ*30~EQ*35^AL"),
        ("TRN*1*trace-0001*9OUTRIDER1", "TRN*1*trace-0001*9OUTRIDER1~TRN*1*other*9CLEARING1"),
        ("DTP*291*D8*20260601", "DTP*102*D8*19990101~DTP*291*RD8*20260601-20260630"),
    )
    inquiry = read_inquiry(raw)
    assert inquiry.service_types == ("30", "35", "AL")
    assert (inquiry.trace, inquiry.service_date) == ("trace-0001", "20260601")


def test_what_a_payer_can_do_without_is_read_as_empty() -> None:
    raw = edited(
        write_inquiry(INQUIRY),
        ("NM1*IL*1*QUILLFEATHER*OTTOLINE****MI*W998877665", "NM1*IL*1"),
        ("DMG*D8*19710203*F", ""),
        ("DTP*291*D8*20260601", ""),
        ("NM1*1P*2*SYNTHETIC CLINIC*****XX*1234567893", "NM1*1P*2*SYNTHETIC CLINIC*****SV*55"),
    )
    inquiry = read_inquiry(raw)
    assert inquiry.member == Member("", "", "", "")
    assert (inquiry.service_date, inquiry.provider_npi) == ("", "")


TRACE_LINE = "TRN*1*trace-0001*9OUTRIDER1"
NAME_LINE = "NM1*IL*1*QUILLFEATHER*OTTOLINE****MI*W998877665"
BROKEN_INQUIRIES: dict[str, tuple[Callable[[], bytes], str]] = {
    "no trace": (lambda: edited(write_inquiry(INQUIRY), (TRACE_LINE, "")), "no-trn"),
    "an empty trace": (lambda: edited(write_inquiry(INQUIRY), (TRACE_LINE, "TRN*1")), "no-trn"),
    "a trace of another kind": (lambda: edited(write_inquiry(INQUIRY), (TRACE_LINE, "TRN*2*trace-0001")), "no-trn"),
    "an originator too short": (lambda: edited(write_inquiry(INQUIRY), (TRACE_LINE, "TRN*1*x*9")), "bad-originator"),
    "no member": (lambda: edited(write_inquiry(INQUIRY), (NAME_LINE, "")), "no-member"),
    "somebody else's name segment": (lambda: edited(write_inquiry(INQUIRY), (NAME_LINE, "NM1*QC*1*X")), "no-member"),
    "no dependent's name": (
        lambda: edited(write_inquiry(FAMILY), ("NM1*03*1*QUILLFEATHER*BARNABY", "")),
        "no-member",
    ),
    "no payer": (lambda: edited(write_inquiry(INQUIRY), ("NM1*PR*2*SYNTHETIC PAYER*****PI*99001", "")), "no-payer"),
    "no provider": (
        lambda: edited(write_inquiry(INQUIRY), ("NM1*1P*2*SYNTHETIC CLINIC*****XX*1234567893", "")),
        "no-provider",
    ),
    "no question": (lambda: edited(write_inquiry(INQUIRY), ("EQ*30", "")), "no-eq"),
    "a question that is no code": (lambda: edited(write_inquiry(INQUIRY), ("EQ*30", "EQ*thirty")), "no-eq"),
    "no BHT": (lambda: edited(write_inquiry(INQUIRY), ("BHT*0022*13*trace-0001*20260601*221530", "")), "no-bht"),
    "a date that is none": (
        lambda: edited(
            write_inquiry(INQUIRY), ("BHT*0022*13*trace-0001*20260601*221530", "BHT*0022*13**20261301*2215")
        ),
        "bad-date",
    ),
    "a birth date that is none": (
        lambda: edited(write_inquiry(INQUIRY), ("DMG*D8*19710203*F", "DMG*D8*3 Feb 71")),
        "bad-date",
    ),
    "a service date that is none": (
        lambda: edited(write_inquiry(INQUIRY), ("DTP*291*D8*20260601", "DTP*291*D8*soon")),
        "bad-date",
    ),
    "a gender that is none": (lambda: edited(write_inquiry(INQUIRY), ("DMG*D8*19710203*F", "DMG*D8**X")), "bad-code"),
    "a level too deep": (lambda: edited(write_inquiry(INQUIRY), ("HL*3*2*22*0", "HL*3*2*23*0")), "hl-level"),
    "a level that is unknown": (lambda: edited(write_inquiry(INQUIRY), ("HL*3*2*22*0", "HL*3*2*19*0")), "hl-level"),
    "two members": (
        lambda: edited(write_inquiry(INQUIRY), ("EQ*30", f"EQ*30~HL*4*2*22*0~{NAME_LINE}~EQ*30")),
        "wrong-set",
    ),
    "an answer": (lambda: answer(benefits=ACTIVE), "wrong-set"),
    "another version": (
        lambda: write_inquiry(INQUIRY).replace(b"005010X279A1", b"005010X279"),
        "wrong-version",
    ),
    "a broken interchange": (lambda: write_inquiry(INQUIRY)[:-5], "truncated"),
    "a control number of nought": (
        lambda: write_inquiry(INQUIRY).replace(b"000000042", b"000000000"),
        "control-number",
    ),
}


@pytest.mark.parametrize("name", BROKEN_INQUIRIES)
def test_an_inquiry_without_a_part_is_refused_with_its_name(name: str) -> None:
    make, code = BROKEN_INQUIRIES[name]
    with pytest.raises(X12Error) as caught:
        read_inquiry(make())
    assert caught.value.code == code
    assert not any(word in str(caught.value) for word in PERSON)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"control_number": 0}, "control-number"),
        ({"control_number": 1_000_000_000}, "control-number"),
        ({"trace": ""}, "no-trn"),
        ({"trace": "x" * 51}, "no-trn"),
        ({"trace_originator": "OUTRIDER"}, "bad-originator"),
        ({"created": datetime(2026, 6, 1)}, "bad-date"),  # noqa: DTZ001 - a time without an offset is the point
        ({"service_date": "2026-06-01"}, "bad-date"),
        ({"service_types": ()}, "no-eq"),
        ({"service_types": ("300",)}, "no-eq"),
        ({"usage": "X"}, "isa15"),
    ],
)
def test_an_inquiry_that_cannot_be_is_not_built(change: dict[str, object], code: str) -> None:
    with pytest.raises(X12Error) as caught:
        replace(INQUIRY, **change)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_an_inquiry_prints_nothing_about_the_person() -> None:
    shown = repr(FAMILY)
    assert "trace-0001" in shown
    assert not any(word in shown for word in PERSON)


def test_a_name_with_a_separator_is_refused_not_sent() -> None:
    with pytest.raises(X12Error) as caught:
        write_inquiry(replace(INQUIRY, member=Member("A*B", "C", "D", "19700101")))
    assert (caught.value.code, caught.value.where) == ("separator-in-element", "NM103")


# --- 271 as it is written --------------------------------------------------------------------------------------


def test_an_answer_goes_back_the_way_the_inquiry_came() -> None:
    interchange = x12.read(answer(replace(INQUIRY, sender_qualifier="30", usage="P"), benefits=ACTIVE))
    assert (interchange.sender, interchange.receiver) == ("CLEARING", "OUTRIDER")
    assert (interchange.sender_qualifier, interchange.receiver_qualifier) == ("ZZ", "30")
    assert (interchange.control_number, interchange.usage) == ("000000077", "P")
    assert interchange.groups[0].functional_id == "HB"


def test_an_answer_with_benefits_has_the_segments_of_the_guide() -> None:
    assert lines(answer(FAMILY, benefits=ACTIVE)) == [
        "BHT*0022*11*trace-0001*20260601*221530",
        "HL*1**20*1",
        "NM1*PR*2*SYNTHETIC PAYER*****PI*99001",
        "HL*2*1*21*1",
        "NM1*1P*2*SYNTHETIC CLINIC*****XX*1234567893",
        "HL*3*2*22*1",
        "NM1*IL*1*QUILLFEATHER*OTTOLINE****MI*W998877665",
        "DMG*D8*19710203*F",
        "HL*4*3*23*0",
        "TRN*2*trace-0001*9OUTRIDER1",
        "NM1*03*1*QUILLFEATHER*BARNABY",
        "DMG*D8*20090817*M",
        "DTP*291*D8*20260601",
        "EB*1*IND*30*HM*GOLD 1",
        "EB*B**35^98****25",
    ]


PAYER_NAME = "NM1*PR*2*SYNTHETIC PAYER*****PI*99001"
UPPER_LEVELS = ["HL*1**20*1", PAYER_NAME, "HL*2*1*21*1", "NM1*1P*2*SYNTHETIC CLINIC*****XX*1234567893"]
TRACE_BACK = "TRN*2*trace-0001*9OUTRIDER1"


@pytest.mark.parametrize(
    ("loop", "expected"),
    [
        ("2000A", ["HL*1**20*0", "AAA*Y**42*P", PAYER_NAME]),
        ("2100A", ["HL*1**20*0", PAYER_NAME, "AAA*Y**42*P"]),
        ("2100B", [*UPPER_LEVELS[:2], "HL*2*1*21*0", UPPER_LEVELS[3], "AAA*Y**42*P"]),
        ("2100C", [*UPPER_LEVELS, "HL*3*2*22*0", TRACE_BACK, NAME_LINE, "AAA*Y**42*P", "DMG*D8*19710203*F"]),
    ],
)
def test_a_rejection_stands_in_its_loop_and_ends_the_hierarchy(loop: str, expected: list[str]) -> None:
    assert lines(answer(rejections=[Rejection("42", loop, "P")]))[1:] == expected


def test_a_rejected_dependent_stands_below_the_subscriber() -> None:
    written = lines(answer(FAMILY, rejections=[Rejection("67", "2100D", "C")]))
    assert written[8:] == [
        "HL*4*3*23*0",
        TRACE_BACK,
        "NM1*03*1*QUILLFEATHER*BARNABY",
        "AAA*N**67*C",
        "DMG*D8*20090817*M",
    ]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"benefits": ACTIVE, "rejections": [Rejection("42", "2100C")]}, "both"),
        ({"rejections": [Rejection("42", "2100A"), Rejection("75", "2100C")]}, "bad-loop"),
        ({"rejections": [Rejection("67", "2100D")]}, "bad-loop"),
        ({"benefits": [Benefit("1", plan="A^B")]}, "separator-in-element"),
    ],
)
def test_an_answer_that_contradicts_itself_is_refused(arguments: dict[str, object], code: str) -> None:
    with pytest.raises(X12Error) as caught:
        write_response(INQUIRY, control_number=77, created=CREATED, **arguments)  # type: ignore[arg-type]
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: Rejection("7", "2100C"), "bad-code"),
        (lambda: Rejection("75", "2000C"), "bad-loop"),
        (lambda: Rejection("75", "2100C", "Z"), "bad-code"),
        (lambda: Benefit(""), "bad-code"),
        (lambda: Benefit("1", service_types=("300",)), "bad-code"),
    ],
)
def test_a_code_that_cannot_be_is_not_built(make: Callable[[], object], code: str) -> None:
    with pytest.raises(X12Error) as caught:
        make()
    assert caught.value.code == code


# --- 271 as it is read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("inquiry", [INQUIRY, FAMILY], ids=["subscriber", "dependent"])
def test_a_good_answer_gives_facts_and_no_findings(inquiry: Inquiry) -> None:
    observation = observed(answer(inquiry, benefits=ACTIVE))
    assert observation.findings == ()
    assert observation.facts == {
        "set": ("271",),
        "eb": ("1", "B"),
        "aaa": (),
        "service_types": ("30", "35", "98"),
        "trn": ("trace-0001",),
    }


@pytest.mark.parametrize("loop", ["2000A", "2100A", "2100B", "2100C", "2100D"])
def test_a_rejection_is_found_in_its_loop(loop: str) -> None:
    observation = observed(answer(FAMILY, rejections=[Rejection("42", loop, "P")]))
    (finding,) = observation.findings
    assert (finding.code, finding.place) == ("42", f"aaa/{loop}")
    assert "follow-up P" in finding.detail
    assert observation.facts["aaa"] == ("42",)


@pytest.mark.parametrize(
    ("loop", "code", "outcome"),
    [
        ("2000A", "42", OutcomeClass.SERVICE_DOWN),
        ("2100A", "42", OutcomeClass.PARTNER_DOWN),
        ("2100C", "42", OutcomeClass.PARTNER_DOWN),
        ("2100A", "80", OutcomeClass.PARTNER_DOWN),
        ("2100B", "51", OutcomeClass.PROBE_FAULT),
        ("2100C", "75", OutcomeClass.BUSINESS_UNEXPECTED),
    ],
)
def test_the_shipped_table_says_whose_fault_a_rejection_is(loop: str, code: str, outcome: OutcomeClass) -> None:
    observation = observed(answer(rejections=[Rejection(code, loop)]))
    assert classify([Expected("eb", ("1",))], observation, OUTCOME_TABLE).outcome is outcome


def test_an_expected_rejection_is_ok() -> None:
    observation = observed(answer(rejections=[Rejection("75", "2100C")]))
    assert classify([Expected("aaa", ("75",))], observation, OUTCOME_TABLE).is_ok


def test_rejections_are_found_in_the_order_of_the_answer() -> None:
    observation = observed(answer(rejections=[Rejection("72", "2100C", "C"), Rejection("58", "2100C", "C")]))
    assert [finding.code for finding in observation.findings] == ["72", "58"]
    assert observation.facts["aaa"] == ("72", "58")


@pytest.mark.parametrize(
    ("after", "loop"),
    [
        ("EB*1*IND*30*HM*GOLD 1", "2110C"),
        ("EB*1*IND*30*HM*GOLD 1~LS*2120~NM1*P3*1*X~LE*2120", "2110C"),
    ],
)
def test_a_rejection_deeper_in_the_answer_is_placed_there(after: str, loop: str) -> None:
    old = after.partition("~")[0]
    observation = observed(edited(answer(benefits=ACTIVE), (old, f"{after}~AAA*N**15*C")))
    assert [(finding.code, finding.place) for finding in observation.findings] == [("15", f"aaa/{loop}")]


MISMATCHES: dict[str, Callable[[], bytes]] = {
    "somebody else's trace": lambda: answer(benefits=ACTIVE, trace="trace-0002"),
    "somebody else's trace for a dependent": lambda: answer(FAMILY, benefits=ACTIVE, trace="trace-0002"),
    "no trace": lambda: edited(answer(benefits=ACTIVE), (TRACE_BACK, "")),
    "an empty trace": lambda: edited(answer(benefits=ACTIVE), (TRACE_BACK, "TRN*2")),
    "only the payer's own trace": lambda: edited(answer(benefits=ACTIVE), (TRACE_BACK, "TRN*1*payers-own*9PAYER0001")),
    "somebody else's reference": lambda: edited(
        answer(benefits=ACTIVE), ("BHT*0022*11*trace-0001*20260601*221530", "BHT*0022*11*other*20260601*221530")
    ),
    "our patient and somebody else's": lambda: edited(
        answer(benefits=ACTIVE), ("EB*B**35^98****25", "EB*B~HL*4*2*22*0~TRN*2*trace-0002*9OUTRIDER1~NM1*IL*1*X~EB*1")
    ),
    "somebody else's patient and ours": lambda: edited(
        answer(benefits=ACTIVE),
        ("HL*3*2*22*0", "HL*3*2*22*0~TRN*2*trace-0002*9OUTRIDER1~NM1*IL*1*X~EB*1~HL*4*2*22*0"),
    ),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_an_answer_to_somebody_elses_question_is_a_mismatch(name: str) -> None:
    observation = observed(MISMATCHES[name]())
    assert [(finding.code, finding.place) for finding in observation.findings] == [("mismatch", "echo/trn")]
    assert classify([], observation, OUTCOME_TABLE).outcome is OutcomeClass.MALFORMED


def test_a_foreign_trace_is_not_repeated_because_it_may_be_an_account_number() -> None:
    observation = observed(answer(benefits=ACTIVE, trace="ACCOUNT-9"))
    assert observation.facts["trn"] == ()
    assert "ACCOUNT-9" not in repr(observation)


@pytest.mark.parametrize(
    "more",
    [
        "TRN*1*payers-own*9PAYER0001",
        "TRN*2*clearinghouse*9CLEARING1",
    ],
)
def test_traces_of_others_beside_ours_are_fine(more: str) -> None:
    for both in (f"{TRACE_BACK}~{more}", f"{more}~{TRACE_BACK}"):
        assert observed(edited(answer(benefits=ACTIVE), (TRACE_BACK, both))).findings == ()


def test_above_the_subscriber_no_trace_is_due() -> None:
    raw = edited(
        answer(rejections=[Rejection("42", "2100A")]),
        ("BHT*0022*11*trace-0001*20260601*221530", "BHT*0022*11**20260601*221530"),
    )
    assert [finding.place for finding in observed(raw).findings] == ["aaa/2100A"]


def test_a_mismatch_comes_before_the_rejections() -> None:
    observation = observed(answer(rejections=[Rejection("75", "2100C")], trace="trace-0002"))
    assert [finding.place for finding in observation.findings] == ["echo/trn", "aaa/2100C"]


BROKEN_ANSWERS: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "nothing": (lambda: b"", "empty", "x12/ISA"),
    "a web page": (lambda: b"<html>QUILLFEATHER</html>", "no-isa", "x12/ISA"),
    "half an answer": (lambda: answer(benefits=ACTIVE)[:400], "truncated", "x12/segment"),
    "a wrong count": (lambda: answer(benefits=ACTIVE).replace(b"SE*14*", b"SE*15*"), "se01-count", "x12/SE01"),
    "a wrong set number": (
        lambda: answer(benefits=ACTIVE).replace(b"*0001~GE", b"*0002~GE"),
        "st02-se02",
        "x12/SE02",
    ),
    "a benefit without a code": (
        lambda: edited(answer(benefits=ACTIVE), ("EB*1*IND*30*HM*GOLD 1", "EB**IND*30")),
        "bad-code",
        "x12/EB01",
    ),
    "a name for a benefit code": (
        lambda: edited(answer(benefits=ACTIVE), ("EB*1*IND*30*HM*GOLD 1", "EB*QUILLFEATHER")),
        "bad-code",
        "x12/EB01",
    ),
    "a name for a service type": (
        lambda: edited(answer(benefits=ACTIVE), ("EB*1*IND*30*HM*GOLD 1", "EB*1**30^QUILLFEATHER")),
        "bad-code",
        "x12/EB03",
    ),
    "an empty service type": (
        lambda: edited(answer(benefits=ACTIVE), ("EB*1*IND*30*HM*GOLD 1", "EB*1**30^^35")),
        "bad-code",
        "x12/EB03",
    ),
    "a rejection without a reason": (
        lambda: edited(answer(rejections=[Rejection("75", "2100C")]), ("AAA*N**75*N", "AAA*N")),
        "bad-code",
        "x12/AAA03",
    ),
    "a rejection that is neither yes nor no": (
        lambda: edited(answer(rejections=[Rejection("75", "2100C")]), ("AAA*N**75*N", "AAA***75*N")),
        "bad-code",
        "x12/AAA01",
    ),
    "a birth date for a follow-up": (
        lambda: edited(answer(rejections=[Rejection("75", "2100C")]), ("AAA*N**75*N", "AAA*N**75*19710203")),
        "bad-code",
        "x12/AAA04",
    ),
    "a rejection outside every level": (
        lambda: edited(answer(), ("HL*1**20*1", "AAA*N**75*N~HL*1**20*1")),
        "misplaced",
        "x12/AAA",
    ),
    "a subscriber below the payer": (
        lambda: edited(answer(), ("HL*3*2*22*0", "HL*3*1*22*0")),
        "hl-level",
        "x12/HL03",
    ),
    "no level at all": (
        lambda: x12.write(
            [x12.Draft("271", (("BHT", "0022", "11", "trace-0001"),))],
            sender="A",
            receiver="B",
            control_number=1,
            created=CREATED,
            functional_id="HB",
            version="005010X279A1",
        ),
        "no-hl",
        "x12/SE",
    ),
    "a verdict that is none": (lambda: acknowledged("AK1*HS*42", "AK9*QUILLFEATHER"), "bad-code", "x12/AK901"),
    "a TA1 without a reason": (lambda: ta1("TA1*000000042*260601*2215*R"), "bad-code", "x12/TA105"),
}


@pytest.mark.parametrize("name", BROKEN_ANSWERS)
def test_an_answer_that_does_not_hold_together_is_one_finding_and_no_facts(name: str) -> None:
    make, code, place = BROKEN_ANSWERS[name]
    observation = observed(make())
    assert [(finding.code, finding.place) for finding in observation.findings] == [(code, place)]
    assert "segment" in observation.findings[0].detail
    assert "byte" in observation.findings[0].detail
    assert observation.facts == {}
    assert classify([], observation, OUTCOME_TABLE).outcome is OutcomeClass.MALFORMED


def test_a_rejecting_ta1_is_found_with_its_note() -> None:
    observation = observed(ta1("TA1*000000042*260601*2215*R*024"))
    assert [(finding.code, finding.place) for finding in observation.findings] == [("024", "ta1/TA105")]
    assert observation.facts["set"] == ("TA1",)
    assert classify([], observation, OUTCOME_TABLE).outcome is OutcomeClass.PROBE_FAULT


@pytest.mark.parametrize("verdict", ["A*000", "E*003"])
def test_a_ta1_that_accepts_is_still_no_answer(verdict: str) -> None:
    observation = observed(ta1(f"TA1*000000042*260601*2215*{verdict}"))
    assert [(finding.code, finding.place) for finding in observation.findings] == [("wrong-set", "x12/ST01")]


def test_a_rejecting_999_is_found_with_the_place_but_not_the_value_of_the_error() -> None:
    observation = observed(
        acknowledged(
            "AK1*HS*42*005010X279A1",
            "AK2*270*0001*005010X279A1",
            "IK3*NM1*8**8",
            "IK4*9*67*7*W998877665",
            "IK4*3*1035*6*QUILLFEATHER",
            "IK5*R*5",
            "AK9*R*1*1*0",
        )
    )
    assert [(f.code, f.place) for f in observation.findings] == [("R", "999/IK501"), ("R", "999/AK901")]
    assert "NM1 at 8, element 9, error 7" in observation.findings[0].detail
    assert not any(word in repr(observation) for word in PERSON)
    assert observation.facts["set"] == ("999",)
    assert classify([], observation, OUTCOME_TABLE).outcome is OutcomeClass.PROBE_FAULT


def test_a_999_that_puts_a_name_where_a_segment_id_belongs_has_it_dropped() -> None:
    observation = observed(
        acknowledged("AK1*HS*42", "IK3*QUILLFEATHER*19710203", "IK4*W998877665**8", "IK5*R", "AK9*R")
    )
    assert "a segment at ?, element ?, error 8" in observation.findings[0].detail
    assert not any(word in repr(observation) for word in PERSON)


@pytest.mark.parametrize("verdict", ["A", "E"])
def test_a_999_that_accepts_is_still_no_answer(verdict: str) -> None:
    observation = observed(acknowledged("AK1*HS*42", "AK2*270*0001", f"IK5*{verdict}", f"AK9*{verdict}*1*1*1"))
    assert [(finding.code, finding.place) for finding in observation.findings] == [("wrong-set", "x12/ST01")]


def test_another_transaction_set_is_the_wrong_one() -> None:
    observation = observed(write_inquiry(INQUIRY))
    assert [(finding.code, finding.place) for finding in observation.findings] == [("wrong-set", "x12/ST01")]
    assert observation.facts["set"] == ("270",)


def test_another_version_of_the_271_is_the_wrong_one() -> None:
    observation = observed(answer(benefits=ACTIVE).replace(b"005010X279A1", b"005010X279"))
    assert [(finding.code, finding.place) for finding in observation.findings] == [("wrong-version", "x12/GS08")]


def test_an_answer_that_says_nothing_is_no_answer() -> None:
    observation = observed(answer())
    assert [(finding.code, finding.place) for finding in observation.findings] == [("no-answer", "x12/SE")]
    verdict = classify([Expected("aaa", ("75",))], observation, OUTCOME_TABLE)
    assert verdict.outcome is OutcomeClass.MALFORMED


# --- nobody is named -------------------------------------------------------------------------------------------


def said(observation: Observation) -> str:
    findings = "".join(f.code + f.place + f.detail for f in observation.findings)
    return findings + repr(observation.facts)


@pytest.mark.parametrize("name", [*MISMATCHES, *BROKEN_ANSWERS])
def test_no_finding_and_no_fact_names_a_person(name: str) -> None:
    make = MISMATCHES[name] if name in MISMATCHES else BROKEN_ANSWERS[name][0]
    assert not any(word in said(observed(make())) for word in PERSON)


ANSWERS = st.sampled_from(
    [
        answer(benefits=ACTIVE),
        answer(FAMILY, benefits=ACTIVE),
        answer(rejections=[Rejection("42", "2000A")]),
        answer(FAMILY, rejections=[Rejection("75", "2100D")]),
        acknowledged("AK1*HS*42", "IK3*NM1*8", "IK4*9*67*7*W998877665", "IK5*R*5", "AK9*R"),
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
            st.one_of(st.binary(max_size=4), st.sampled_from([b"~", b"*", b"EB*", b"~AAA*", b"HL*1", b""]))
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
    mended = edited(text.encode()) if "~ST*" in text and "~SE*" in text else text.encode()
    check_observation(observed(mended))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_an_observation(noise: bytes) -> None:
    assert observed(noise).findings


def check_observation(observation: Observation) -> None:
    assert all(
        isinstance(finding, Finding) and finding.code and "/" in finding.place for finding in observation.findings
    )
    assert observation.findings or observation.facts["set"] == ("271",)
    assert not any(word in said(observation) for word in PERSON)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_reading_a_damaged_inquiry_raises_nothing_but_the_typed_error(data: st.DataObject) -> None:
    segments = write_inquiry(data.draw(st.sampled_from([INQUIRY, FAMILY]))).decode().split("~")[:-1]
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
        assert read_inquiry(raw).sender_id == "OUTRIDER"
    except X12Error as error:
        told = str(error)
    assert not any(word in told for word in PERSON)
