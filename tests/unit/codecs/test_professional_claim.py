from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from x12_support import CREATED, acknowledged, edited, guide_errors, guide_verdicts, lines, oracle_errors, ta1

from outrider.codecs import x12
from outrider.codecs.claim_status import Claim as ClaimAskedFor
from outrider.codecs.claim_status import ClaimInquiry, ClaimStatus
from outrider.codecs.claim_status import write_response as write_status
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.codecs.professional_claim import (
    ACCEPTED,
    Address,
    BillingProvider,
    Claim,
    Dependent,
    Member,
    ServiceLine,
    Submission,
    Submitter,
    Verdict,
    read_response,
    read_submission,
    response_lines,
    write_response,
    write_submission,
)
from outrider.codecs.x12 import X12Error
from outrider.core.outcome import Expected, Finding, Observation, OutcomeClass, classify

C = OutcomeClass
MEMBER = Member("QUILLFEATHER", "OTTOLINE", "W998877665", "19710203", "F")
CHILD = Dependent("QUILLFEATHER", "BARNABY", "20090817", "M")
HOME = Address("9 LARKSPUR MEWS", "WIMBLEHURST", "NY", "10001")
CLINIC = BillingProvider(
    "SYNTHETIC CLINIC", "1234567893", "123456789", Address("1 MAIN ST", "TESTVILLE", "NY", "100010001")
)
VISIT = ServiceLine("99213", "75", "20260301")
TEST = ServiceLine("87880", "50.50", "20260301", "20260303", "2", "UN", ("25",), (1, 2))
CLAIM = Claim("CLAIM-77", ("R519", "J069"), (VISIT, TEST))
SUBMISSION = Submission(
    "OUTRIDER",
    "CLEARING",
    42,
    "trace-0001",
    "SYNTHETIC PAYER",
    "99001",
    Submitter("SYNTHETIC SERVICE", "S99", "5555550100"),
    "SYNTHETIC CLEARING",
    CLINIC,
    MEMBER,
    HOME,
    CLAIM,
    created=CREATED,
)
FAMILY = replace(SUBMISSION, dependent=CHILD, member=replace(MEMBER, birth_date="", gender=""))
PERSON = (
    "QUILLFEATHER", "OTTOLINE", "BARNABY", "W998877665", "19710203", "20090817", "R519", "LARKSPUR", "WIMBLEHURST",
    "P-9",
)  # fmt: skip


def answer(
    submission: Submission = SUBMISSION, verdict: Verdict = ACCEPTED, trace: str | None = None, payer_claim: str = "P-9"
) -> bytes:
    return write_response(
        submission, control_number=77, created=CREATED, verdict=verdict, trace=trace, payer_claim=payer_claim
    )


def observed(raw: bytes) -> Observation:
    return read_response(raw, trace="trace-0001", claim="CLAIM-77", control_number=42)


def places(raw: bytes) -> list[tuple[str, str]]:
    return [(finding.code, finding.place) for finding in observed(raw).findings]


# --- the claim -------------------------------------------------------------------------------------------------

HEADER = "BHT*0019*00*trace-0001*20260601*221530*CH"
SUBMITTER_LINE = "NM1*41*2*SYNTHETIC SERVICE*****46*S99"
CONTACT_LINE = "PER*IC**TE*5555550100"
RECEIVER_LINE = "NM1*40*2*SYNTHETIC CLEARING*****46*CLEARING"
PROVIDER_LINE = "NM1*85*2*SYNTHETIC CLINIC*****XX*1234567893"
NAME_LINE = "NM1*IL*1*QUILLFEATHER*OTTOLINE****MI*W998877665"
BIRTH_LINE = "DMG*D8*19710203*F"
PAYER_LINE = "NM1*PR*2*SYNTHETIC PAYER*****PI*99001"
CHILD_LINE = "NM1*QC*1*QUILLFEATHER*BARNABY"
HOME_LINES = ["N3*9 LARKSPUR MEWS", "N4*WIMBLEHURST*NY*10001"]
UPPER = [
    HEADER, SUBMITTER_LINE, CONTACT_LINE, RECEIVER_LINE, "HL*1**20*1", PROVIDER_LINE, "N3*1 MAIN ST",
    "N4*TESTVILLE*NY*100010001", "REF*EI*123456789",
]  # fmt: skip
CLAIM_LINE = "CLM*CLAIM-77*125.50***11:B:1*Y*A*Y*Y"
DIAGNOSES_LINE = "HI*ABK:R519*ABF:J069"
VISIT_LINES = ["LX*1", "SV1*HC:99213*75*UN*1***1", "DTP*472*D8*20260301"]
TEST_LINES = ["LX*2", "SV1*HC:87880:25*50.50*UN*2***1:2", "DTP*472*RD8*20260301-20260303"]
CLAIM_LINES = [CLAIM_LINE, DIAGNOSES_LINE, *VISIT_LINES, *TEST_LINES]


def test_a_claim_of_a_subscriber_has_the_segments_of_the_guide() -> None:
    subscriber = ["HL*2*1*22*0", "SBR*P*18*******CI", NAME_LINE, *HOME_LINES, BIRTH_LINE, PAYER_LINE]
    assert lines(write_submission(SUBMISSION)) == [*UPPER, *subscriber, *CLAIM_LINES]


def test_a_claim_of_a_dependent_hangs_on_the_patient_who_alone_has_an_address_and_a_birth_date() -> None:
    subscriber = ["HL*2*1*22*1", "SBR*P********CI", NAME_LINE, PAYER_LINE]
    patient = ["HL*3*2*23*0", "PAT*19", CHILD_LINE, *HOME_LINES, "DMG*D8*20090817*M"]
    assert lines(write_submission(FAMILY)) == [*UPPER, *subscriber, *patient, *CLAIM_LINES]


def test_the_group_and_the_set_say_which_guide_they_follow() -> None:
    interchange = x12.read(write_submission(SUBMISSION))
    (group,) = interchange.groups
    assert (group.functional_id, group.version, group.control_number, interchange.usage) == (
        "HC",
        "005010X222A1",
        "42",
        "T",
    )
    assert [each.set_id for each in group.transactions] == ["837"]


@pytest.mark.parametrize(
    ("charges", "total"),
    [(("75", "50.50"), "125.50"), (("75.00", "50.00"), "125"), (("0.01", "0.1"), "0.11"), (("0",), "0")],
)
def test_the_charge_of_a_claim_is_the_sum_of_its_lines(charges: tuple[str, ...], total: str) -> None:
    made = replace(CLAIM, lines=tuple(replace(VISIT, charge=charge) for charge in charges))
    assert made.charge == total
    raw = write_submission(replace(SUBMISSION, claim=made))
    assert lines(raw)[16].startswith(f"CLM*CLAIM-77*{total}*")
    assert read_submission(raw).claim == made


WORDS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ' -.0123456789", min_size=1, max_size=20)
DATES = st.dates(datetime(1900, 1, 1).date(), datetime(2100, 1, 1).date()).map(lambda day: day.strftime("%Y%m%d"))  # noqa: DTZ001 - days alone
GENDERS = st.sampled_from(["M", "F", "U"])
AMOUNTS = st.integers(0, 10_000_000).map(lambda c: f"{c // 100}.{c % 100:02d}")
ADDRESSES = st.builds(Address, WORDS, WORDS, st.sampled_from(["NY", "CA"]), st.sampled_from(["10001", "100010001"]))
LINES = st.builds(
    ServiceLine,
    st.sampled_from(["99213", "87880", "G0008"]),
    AMOUNTS,
    st.just("20260301"),
    st.sampled_from(["", "20260302"]),
    st.sampled_from(["1", "2.5"]),
    st.sampled_from(["UN", "MJ"]),
    st.sampled_from([(), ("25",), ("25", "59", "LT", "RT")]),
    st.sampled_from([(1,), (2, 1)]),
)
CLAIMS = st.builds(
    Claim,
    st.text("ABC-0123456789", min_size=1, max_size=20),
    st.sampled_from([("R519", "J069"), ("Z00", "R519", "M1611")]),
    st.lists(LINES, min_size=1, max_size=50).map(tuple),
    st.sampled_from(["11", "02"]),
    st.sampled_from(["1", "7"]),
    st.sampled_from(["Y", "N"]),
    st.sampled_from(["A", "B", "C"]),
    st.sampled_from(["Y", "N", "W"]),
    st.sampled_from(["Y", "I"]),
    st.sampled_from(["CI", "MC", "12"]),
)


@st.composite
def submissions(draw: st.DrawFn) -> Submission:
    child = draw(st.one_of(st.none(), st.builds(Dependent, WORDS, WORDS, DATES, GENDERS)))
    born = ("", "") if child else (draw(DATES), draw(GENDERS))
    claim = draw(CLAIMS)
    return Submission(
        draw(st.sampled_from(["OUTRIDER", "A"])),
        draw(st.sampled_from(["CLEARING", "R"])),
        draw(st.integers(1, 999_999_999)),
        draw(WORDS),
        draw(WORDS),
        draw(WORDS),
        Submitter(draw(WORDS), draw(WORDS), "5555550100"),
        draw(WORDS),
        BillingProvider(draw(WORDS), "1234567893", "123456789", replace(draw(ADDRESSES), zip_code="100010001")),
        Member(draw(WORDS), draw(WORDS), draw(WORDS), *born),
        draw(ADDRESSES),
        replace(claim, relationship=draw(st.sampled_from(["01", "19", "G8"]))) if child else claim,
        created=draw(st.datetimes(datetime(2000, 1, 1), datetime(2069, 1, 1))).replace(microsecond=0, tzinfo=UTC),  # noqa: DTZ001 - made aware right here
        usage=draw(st.sampled_from(["T", "P"])),
        dependent=child,
    )


@settings(max_examples=200, deadline=None)
@given(submissions())
def test_a_submission_is_read_back_as_it_was_written(submission: Submission) -> None:
    assert read_submission(write_submission(submission)) == submission


def broken(*changes: tuple[str, str], of: Submission = SUBMISSION) -> Callable[[], bytes]:
    return lambda: edited(write_submission(of), *changes)


BROKEN_SUBMISSIONS: dict[str, tuple[Callable[[], bytes], str]] = {
    "no BHT": (broken((HEADER, "")), "no-bht"),
    "an encounter": (broken((HEADER, HEADER.replace("*CH", "*RP"))), "not-a-claim"),
    "a cancellation": (broken((HEADER, HEADER.replace("*00*", "*01*"))), "not-a-claim"),
    "an institutional structure": (broken((HEADER, HEADER.replace("0019", "0010"))), "not-a-claim"),
    "two headers": (broken((HEADER, f"{HEADER}~{HEADER}")), "twice"),
    "two services on a line": (broken((VISIT_LINES[1], f"{VISIT_LINES[1]}~{VISIT_LINES[1]}")), "twice"),
    "no trace": (broken((HEADER, HEADER.replace("trace-0001", ""))), "no-trn"),
    "a trace that is too long": (broken((HEADER, HEADER.replace("trace-0001", "T" * 31))), "bad-reference"),
    "no submitter": (broken((SUBMITTER_LINE, "")), "no-submitter"),
    "no contact": (broken((CONTACT_LINE, "")), "no-contact"),
    "a contact without a telephone": (broken((CONTACT_LINE, "PER*IC**EM*5555550100")), "bad-code"),
    "no receiver": (broken((RECEIVER_LINE, "")), "no-receiver"),
    "no provider": (broken((PROVIDER_LINE, "")), "no-provider"),
    "a wrong check digit": (broken((PROVIDER_LINE, PROVIDER_LINE.replace("893", "890"))), "bad-npi"),
    "another kind of number": (broken((PROVIDER_LINE, PROVIDER_LINE.replace("*XX*", "*24*"))), "bad-npi"),
    "a provider without a street": (broken(("N3*1 MAIN ST", "")), "no-address"),
    "a provider without a city": (broken(("N4*TESTVILLE*NY*100010001", "")), "no-address"),
    "a provider with a short ZIP code": (
        broken(("N4*TESTVILLE*NY*100010001", "N4*TESTVILLE*NY*10001")),
        "bad-code",
    ),
    "no tax id": (broken(("REF*EI*123456789", "REF*SY*123456789")), "no-tax-id"),
    "a tax id with a dash": (broken(("REF*EI*123456789", "REF*EI*12-3456789")), "bad-code"),
    "no subscriber": (broken(("SBR*P*18*******CI", "")), "no-subscriber"),
    "no name": (broken((NAME_LINE, "")), "no-member"),
    "no member id": (broken((NAME_LINE, "NM1*IL*1*QUILLFEATHER*OTTOLINE")), "bad-length"),
    "no payer": (broken((PAYER_LINE, "")), "no-payer"),
    "no birth date": (broken((BIRTH_LINE, "")), "no-dmg"),
    "no gender": (broken((BIRTH_LINE, "DMG*D8*19710203")), "no-dmg"),
    "no street": (broken((HOME_LINES[0], "")), "no-address"),
    "a dependent without a name": (broken((CHILD_LINE, ""), of=FAMILY), "no-member"),
    "a dependent without a PAT": (broken(("PAT*19", ""), of=FAMILY), "no-member"),
    "a stranger's relationship": (broken(("PAT*19", "PAT*99"), of=FAMILY), "bad-code"),
    "a dependent without an address": (broken((HOME_LINES[1], ""), of=FAMILY), "no-address"),
    "a claim on the subscriber, whose dependent is the patient": (
        broken((PAYER_LINE, f"{PAYER_LINE}~{CLAIM_LINE}"), (f"{CLAIM_LINE}~{DIAGNOSES_LINE}", ""), of=FAMILY),
        "no-claim",
    ),
    "a patient below the provider": (broken(("HL*3*2*23*0", "HL*3*1*23*0"), of=FAMILY), "hl-level"),
    "no claim": (broken((CLAIM_LINE, "")), "no-claim"),
    "two claims": (broken((TEST_LINES[2], f"{TEST_LINES[2]}~{CLAIM_LINE}")), "wrong-set"),
    "two subscribers": (broken((TEST_LINES[2], f"{TEST_LINES[2]}~HL*3*1*22*0")), "wrong-set"),
    "a claim without a number": (broken((CLAIM_LINE, CLAIM_LINE.replace("CLAIM-77", ""))), "bad-length"),
    "a claim whose number is too long": (broken((CLAIM_LINE, CLAIM_LINE.replace("CLAIM-77", "C" * 21))), "bad-length"),
    "a claim without a place": (broken((CLAIM_LINE, CLAIM_LINE.replace("11:B:1", ""))), "bad-code"),
    "a place of another list": (broken((CLAIM_LINE, CLAIM_LINE.replace(":B:", ":A:"))), "bad-code"),
    "an unknown assignment": (broken((CLAIM_LINE, CLAIM_LINE.replace("*Y*A*", "*Y*Q*"))), "bad-code"),
    "no diagnosis": (broken((DIAGNOSES_LINE, "")), "no-hi"),
    "a diagnosis of the ninth revision": (broken((DIAGNOSES_LINE, "HI*BK:78400")), "no-hi"),
    "a name for a diagnosis": (broken((DIAGNOSES_LINE, "HI*ABK:QUILLFEATHER")), "bad-code"),
    "a pointer to no diagnosis": (broken((DIAGNOSES_LINE, "HI*ABK:R519")), "bad-code"),
    "a pointer that is no number": (broken((VISIT_LINES[1], VISIT_LINES[1][:-1] + "A")), "bad-code"),
    "no pointer": (broken((VISIT_LINES[1], VISIT_LINES[1][:-4])), "bad-code"),
    "no lines": (broken(*((line, "") for line in (*VISIT_LINES, *TEST_LINES))), "no-line"),
    "lines that do not count on": (broken(("LX*2", "LX*3")), "lx-number"),
    "a line without a service": (broken((VISIT_LINES[1], "")), "no-sv1"),
    "a line without a day": (broken((VISIT_LINES[2], "DTP*471*D8*20260301")), "no-date"),
    "a day that is none": (broken((VISIT_LINES[2], "DTP*472*D8*soon")), "bad-date"),
    "days in the wrong order": (broken((TEST_LINES[2], "DTP*472*RD8*20260303-20260301")), "bad-date"),
    "a charge that is no number": (broken((VISIT_LINES[1], "SV1*HC:99213*much*UN*1***1")), "bad-amount"),
    "a claim's charge that is no number": (broken((CLAIM_LINE, CLAIM_LINE.replace("125.50", "-1"))), "bad-amount"),
    "charges that do not add up": (broken((CLAIM_LINE, CLAIM_LINE.replace("125.50", "125.49"))), "clm02-sum"),
    "a charge that one line lost": (broken((VISIT_LINES[1], "SV1*HC:99213*57*UN*1***1")), "clm02-sum"),
    "a drug": (broken((VISIT_LINES[1], "SV1*N4:99213*75*UN*1***1")), "bad-code"),
    "a service outside the lists": (broken((VISIT_LINES[1], "SV1*HC:VISIT!*75*UN*1***1")), "bad-code"),
    "an answer": (answer, "wrong-set"),
    "another guide": (lambda: write_submission(SUBMISSION).replace(b"X222A1", b"X223A2"), "wrong-version"),
    "a broken interchange": (lambda: write_submission(SUBMISSION)[:-5], "truncated"),
}


@pytest.mark.parametrize("name", BROKEN_SUBMISSIONS)
def test_a_claim_without_a_part_is_refused_with_its_name(name: str) -> None:
    make, code = BROKEN_SUBMISSIONS[name]
    with pytest.raises(X12Error) as caught:
        read_submission(make())
    assert caught.value.code == code
    assert not any(word in str(caught.value) for word in PERSON)


def test_what_the_guide_allows_beside_is_passed_over() -> None:
    more = edited(
        write_submission(SUBMISSION),
        ("HL*1**20*1", "HL*1**20*1~PRV*BI*PXC*207Q00000X"),
        ("REF*EI*123456789", "REF*EI*123456789~PER*IC*DESK*TE*5555550101~NM1*87*2~N3*9 ELSEWHERE~N4*FAR*CA*90001"),
        (PAYER_LINE, f"{PAYER_LINE}~N3*3 PAYER WAY~N4*TESTVILLE*NY*10002"),
        (CLAIM_LINE, f"{CLAIM_LINE}~REF*D9*THEIRS-1"),
        (DIAGNOSES_LINE, f"{DIAGNOSES_LINE}~HI*BP:00400~NM1*82*1*HAND*HELPING****XX*1234567893~SBR*S*18*******MC"),
        (VISIT_LINES[2], f"{VISIT_LINES[2]}~DTP*471*D8*20200101~NM1*QB*2~SVD*99001*75*HC:99213**1~DTP*573*D8*20260302"),
    )
    assert read_submission(more) == SUBMISSION
    assert lines(more) != lines(write_submission(SUBMISSION))


def test_a_submission_prints_nothing_about_the_person() -> None:
    assert not any(word in repr(FAMILY) + repr(SUBMISSION) for word in (*PERSON, "CLAIM-77", "99213"))


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: Address("", "X", "NY", "10001"), "bad-length"),
        (lambda: Address("X", "X" * 31, "NY", "10001"), "bad-length"),
        (lambda: Address("X", "X", "ny", "10001"), "bad-code"),
        (lambda: Address("X", "X", "NY", "10001-0001"), "bad-code"),
        (lambda: Submitter("X", "S", "555-0100"), "bad-code"),
        (lambda: replace(CLINIC, npi="1234567890"), "bad-npi"),
        (lambda: replace(CLINIC, npi=""), "bad-npi"),
        (lambda: replace(CLINIC, address=HOME), "bad-code"),
        (lambda: replace(CLINIC, tax_id="12-3456789"), "bad-code"),
        (lambda: replace(VISIT, charge="1.234"), "bad-amount"),
        (lambda: replace(VISIT, charge="-1"), "bad-amount"),
        (lambda: replace(VISIT, units="few"), "bad-code"),
        (lambda: replace(VISIT, basis="XX"), "bad-code"),
        (lambda: replace(VISIT, modifiers=("1", "25")), "bad-code"),
        (lambda: replace(VISIT, modifiers=("25",) * 5), "bad-code"),
        (lambda: replace(VISIT, pointers=()), "bad-code"),
        (lambda: replace(VISIT, pointers=(1, 1)), "bad-code"),
        (lambda: replace(VISIT, pointers=(1, 2, 3, 4, 5)), "bad-code"),
        (lambda: replace(VISIT, first_day="2026-03-01"), "bad-date"),
        (lambda: replace(VISIT, last_day="20260228"), "bad-date"),
        (lambda: replace(CLAIM, identifier="C" * 21), "bad-length"),
        (lambda: replace(CLAIM, diagnoses=()), "bad-code"),
        (lambda: replace(CLAIM, diagnoses=("R51.9", "J069")), "bad-code"),
        (lambda: replace(CLAIM, diagnoses=("R519",)), "bad-code"),
        (lambda: replace(CLAIM, diagnoses=("R519",) * 13), "bad-code"),
        (lambda: replace(CLAIM, lines=()), "no-line"),
        (lambda: replace(CLAIM, lines=(VISIT,) * 51), "no-line"),
        (lambda: replace(CLAIM, place_of_service="OFFICE"), "bad-code"),
        (lambda: replace(CLAIM, release="N"), "bad-code"),
        (lambda: replace(CLAIM, relationship="18"), "bad-code"),
        (lambda: replace(SUBMISSION, trace="T" * 31), "bad-reference"),
        (lambda: replace(SUBMISSION, reference="other"), "bad-reference"),
        (lambda: replace(SUBMISSION, member=replace(MEMBER, birth_date="")), "no-dmg"),
        (lambda: replace(SUBMISSION, dependent=replace(CHILD, gender="")), "no-dmg"),
        (lambda: replace(SUBMISSION, payer_id=""), "bad-length"),
        (lambda: replace(SUBMISSION, payer_name=""), "bad-length"),
        (lambda: replace(SUBMISSION, dependent=replace(CHILD, last="")), "bad-length"),
        (lambda: Submitter("", "S", "5555550100"), "bad-length"),
        (lambda: replace(SUBMISSION, control_number=0), "control-number"),
        (lambda: Verdict("accepted", "20"), "bad-code"),
        (lambda: Verdict("A3", "33", "2200E"), "bad-loop"),
        (lambda: Verdict("A3", "33", entity="nobody"), "bad-code"),
        (lambda: write_submission(replace(SUBMISSION, receiver_name="A~B")), "separator-in-element"),
    ],
)
def test_what_cannot_be_is_not_built(make: Callable[[], object], code: str) -> None:
    with pytest.raises(X12Error) as caught:
        make()
    assert caught.value.code == code


LONGEST: list[tuple[Callable[[str], object], int]] = [
    (lambda text: replace(HOME, street=text), 55),
    (lambda text: replace(HOME, city=text), 30),
    (lambda text: replace(SUBMISSION.submitter, name=text), 60),
    (lambda text: replace(SUBMISSION.submitter, identifier=text), 80),
    (lambda text: replace(CLINIC, name=text), 60),
    (lambda text: replace(CLAIM, identifier=text), 20),
    (lambda text: replace(SUBMISSION, receiver_name=text), 60),
    (lambda text: replace(SUBMISSION, payer_name=text), 60),
    (lambda text: replace(SUBMISSION, payer_id=text), 80),
    (lambda text: replace(SUBMISSION, member=replace(MEMBER, member_id=text)), 80),
    (lambda text: replace(SUBMISSION, member=replace(MEMBER, last=text)), 60),
]


@pytest.mark.parametrize(("make", "most"), LONGEST)
def test_a_text_is_as_long_as_the_guide_lets_it_be_and_no_longer(make: Callable[[str], object], most: int) -> None:
    make("X" * most)
    with pytest.raises(X12Error) as caught:
        make("X" * (most + 1))
    assert caught.value.code == "bad-length"


def test_a_claim_has_twelve_diagnoses_and_a_service_may_point_to_the_last() -> None:
    many = replace(CLAIM, diagnoses=("R519",) * 12, lines=(replace(VISIT, pointers=(12,)),))
    assert read_submission(write_submission(replace(SUBMISSION, claim=many))).claim == many


@pytest.mark.parametrize("numbers", ["TE*5555550100", "EM*A@B.TEST*TE*5555550100", "EM*A@B.TEST*FX*1*TE*5555550100"])
def test_a_contact_may_name_its_telephone_in_any_of_three_places(numbers: str) -> None:
    assert read_submission(broken((CONTACT_LINE, f"PER*IC**{numbers}"))()) == SUBMISSION


# --- the 277CA -------------------------------------------------------------------------------------------------

TRACE_BACK = "TRN*2*trace-0001"
CLAIM_BACK = "TRN*2*CLAIM-77"
RECEIVED = "STC*A1:19:PR*20260601*WQ*125.50"
TAKEN = "STC*A2:20*20260601*WQ*125.50"
RECEIPT = [
    "BHT*0085*08*S77*20260601*221530*TH",
    "HL*1**20*1",
    PAYER_LINE,
    "TRN*1*S77",
    "DTP*050*D8*20260601",
    "DTP*009*D8*20260601",
    "HL*2*1*21*1",
    SUBMITTER_LINE,
    TRACE_BACK,
    RECEIVED,
]
OF_THE_PROVIDER = ["HL*3*2*19*1", PROVIDER_LINE, "TRN*1*S77", "STC*A1:19:PR**WQ*125.50"]
OF_THE_CLAIM = ["HL*4*3*PT", "NM1*QC*1*QUILLFEATHER*OTTOLINE****MI*W998877665", CLAIM_BACK]
DAYS_BACK = "DTP*472*RD8*20260301-20260303"


def test_an_acceptance_has_the_segments_of_the_guide_and_repeats_both_numbers() -> None:
    totals = [["QTY*90*1", "AMT*YU*125.50"], ["QTY*QA*1", "AMT*YU*125.50"]]
    claim = [*OF_THE_CLAIM, TAKEN, "REF*1K*P-9", DAYS_BACK]
    assert lines(answer()) == [*RECEIPT, *totals[0], *OF_THE_PROVIDER, *totals[1], *claim]
    assert lines(answer(FAMILY))[19] == "NM1*QC*1*QUILLFEATHER*BARNABY****MI*W998877665"


def test_what_was_accepted_is_facts_alone() -> None:
    assert observed(answer()) == Observation(
        (),
        {
            "set": ("277",),
            "stc": ("A1", "A1", "A2"),
            "stc_code": ("19", "19", "20"),
            "stc_loop": ("2200B", "2200C", "2200D"),
            "stc_action": ("WQ", "WQ", "WQ"),
            "trn": ("trace-0001", "CLAIM-77"),
            "ack": (),
        },
    )
    assert classify([Expected("stc", ("A2",))], observed(answer()), OUTCOME_TABLE).is_ok


@pytest.mark.parametrize(
    ("code", "loop", "outcome"),
    [
        ("A3", "2200B", C.PROBE_FAULT),
        ("A6", "2200B", C.PROBE_FAULT),
        ("A7", "2200C", C.PROBE_FAULT),
        ("A8", "2200C", C.PROBE_FAULT),
        ("A3", "2200D", C.BUSINESS_UNEXPECTED),
        ("A6", "2200D", C.BUSINESS_UNEXPECTED),
        ("A7", "2200D", C.BUSINESS_UNEXPECTED),
        ("A8", "2200D", C.BUSINESS_UNEXPECTED),
        ("A4", "2200D", C.BUSINESS_UNEXPECTED),
        ("E1", "2200B", C.SERVICE_DOWN),
        ("E2", "2200B", C.PARTNER_DOWN),
        ("E1", "2200D", C.SERVICE_DOWN),
        ("E2", "2200D", C.PARTNER_DOWN),
        ("E3", "2200D", C.PROBE_FAULT),
        ("E4", "2200B", C.PROBE_FAULT),
    ],
)
def test_a_rejection_ends_the_answer_at_its_level_and_is_classified_by_code_and_place(
    code: str, loop: str, outcome: OutcomeClass
) -> None:
    raw = answer(FAMILY, Verdict(code, "33", loop, "IL"))
    assert places(raw) == [(code, f"stc/{loop}")]
    assert [line[:2] for line in lines(raw) if line.startswith("HL")] == ["HL"] * ("ABCD".index(loop[-1]) + 1)
    assert observed(raw).facts["stc_action"][-1] == "U"
    assert classify([Expected("stc", ("A2",))], observed(raw), OUTCOME_TABLE).outcome is outcome
    assert classify([Expected("stc", (code,))], observed(raw), OUTCOME_TABLE).is_ok, "who expects it gets what he wants"
    assert lines(raw)[10:12] == ["QTY*AA*1", "AMT*YY*125.50"], "the totals count it as rejected"


@pytest.mark.parametrize("code", ["A0", "A1", "A2", "A5"])
def test_what_takes_the_claim_on_is_no_finding(code: str) -> None:
    assert places(answer(verdict=Verdict(code, "20"))) == []


def test_another_acceptance_than_expected_is_unexpected() -> None:
    outcome = classify([Expected("stc", ("A2",))], observed(answer(verdict=Verdict("A5", "20"))), OUTCOME_TABLE)
    assert (outcome.outcome, outcome.place) == (C.BUSINESS_UNEXPECTED, "expect/stc")


def test_a_status_of_a_service_line_and_further_statuses_are_read_too() -> None:
    line = "SVC*HC:99213*75*****1~STC*A7:454:82**U~REF*FJ*1~DTP*472*D8*20260301"
    rejected = "STC*A3:187*20260601*U*125.50******A8:21:IL"
    raw = edited(answer(), (TAKEN, rejected), (DAYS_BACK, f"{DAYS_BACK}~{line}"))
    assert places(raw) == [("A3", "stc/2200D"), ("A8", "stc/2200D"), ("A7", "stc/2220D")]
    assert observed(raw).facts["stc_code"] == ("19", "19", "187", "21", "454")


def test_a_claim_that_was_split_is_ours_in_each_part() -> None:
    second = f"{CLAIM_BACK}~STC*A5:20*20260601*WQ*50.50~REF*1K*P-10"
    raw = edited(answer(), (DAYS_BACK, f"{DAYS_BACK}~{second}"))
    assert places(raw) == []
    assert observed(raw).facts["trn"] == ("trace-0001", "CLAIM-77", "CLAIM-77")


MISMATCHES: dict[str, Callable[[], bytes]] = {
    "both numbers are somebody else's": lambda: answer(trace="trace-0002"),
    "somebody else's submission": lambda: edited(answer(), (TRACE_BACK, "TRN*2*trace-0002")),
    "somebody else's claim": lambda: edited(answer(), (CLAIM_BACK, "TRN*2*CLAIM-78")),
    "our claim and somebody else's": lambda: edited(
        answer(), (DAYS_BACK, f"{DAYS_BACK}~TRN*2*CLAIM-78~STC*A2:20*20260601*WQ*1")
    ),
    "our claim as a trace of their own": lambda: edited(answer(), (CLAIM_BACK, "TRN*1*CLAIM-77")),
    "the numbers have changed places": lambda: edited(answer(), (TRACE_BACK, CLAIM_BACK)),
    "no trace of the submission": lambda: edited(answer(), (f"{TRACE_BACK}~{RECEIVED}", "QTY*90*1")),
    "a rejection of somebody else's": lambda: answer(verdict=Verdict("A3", "33", "2200B"), trace="trace-0002"),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_an_answer_to_somebody_elses_claim_is_malformed_whatever_it_says(name: str) -> None:
    observation = observed(MISMATCHES[name]())
    first = observation.findings[0]
    assert (first.code, first.place) == ("mismatch", "echo/trn")
    assert classify([Expected("stc", ("A2", "A3"))], observation, OUTCOME_TABLE).outcome is C.MALFORMED
    assert not any(word in repr(observation) for word in ("trace-0002", "CLAIM-78"))


MALFORMED: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "nothing": (lambda: b"", "empty", "x12/ISA"),
    "half an answer": (lambda: answer()[:300], "truncated", "x12/segment"),
    "our own claim": (lambda: write_submission(SUBMISSION), "wrong-set", "x12/ST01"),
    "another purpose": (lambda: edited(answer(), (RECEIPT[0], RECEIPT[0].replace("*08*", "*11*"))), "not-an-answer",
                        "x12/BHT"),
    "no header": (lambda: edited(answer(), (RECEIPT[0], "")), "not-an-answer", "x12/HL"),
    "a claim without a status": (lambda: edited(answer(), (TAKEN, "")), "no-status", "x12/TRN"),
    "a submission without a status": (lambda: edited(answer(), (RECEIVED, "")), "no-status", "x12/TRN"),
    "a provider without a status": (
        lambda: edited(answer(), (OF_THE_PROVIDER[-1], "")), "no-status", "x12/TRN"),
    "two claims, the first without a status": (
        lambda: edited(answer(), (CLAIM_BACK, f"{CLAIM_BACK}~{CLAIM_BACK}")), "no-status", "x12/TRN"),
    "a status without a trace": (lambda: edited(answer(), (CLAIM_BACK, "")), "misplaced", "x12/STC"),
    "a status of the payer": (
        lambda: edited(answer(), ("DTP*050*D8*20260601", RECEIVED)), "misplaced", "x12/STC"),
    "no action": (lambda: edited(answer(), (TAKEN, TAKEN.replace("*WQ", "*"))), "bad-code", "x12/STC03"),
    "an unknown action": (lambda: edited(answer(), (TAKEN, TAKEN.replace("WQ", "F"))), "bad-code", "x12/STC03"),
    "accepted and rejected": (
        lambda: edited(answer(), (TAKEN, TAKEN.replace("WQ", "U"))), "stc-contradiction", "x12/STC01"),
    "rejected and accepted": (
        lambda: edited(answer(), (TAKEN, TAKEN.replace("A2:20", "A3:33"))), "stc-contradiction", "x12/STC01"),
    "a second status that contradicts": (
        lambda: edited(answer(), (TAKEN, f"{TAKEN}******A7:21")), "stc-contradiction", "x12/STC10"),
    "a category of claim status": (
        lambda: edited(answer(), (TAKEN, TAKEN.replace("A2:20", "F1:65"))), "bad-code", "x12/STC01"),
    "an error in what was asked": (lambda: answer(verdict=Verdict("E0", "0")), "bad-code", "x12/STC01"),
    "a name for a status": (
        lambda: edited(answer(), (TAKEN, TAKEN.replace("A2:20", "A2:OTTOLINE"))), "bad-code", "x12/STC01"),
    "receipt without the claim": (
        lambda: edited(answer(), ("~".join([*OF_THE_CLAIM, TAKEN, "REF*1K*P-9", DAYS_BACK]), "")),
        "no-claim",
        "x12/SE",
    ),
    "an empty number of the payer's": (
        lambda: edited(answer(), ("REF*1K*P-9", "REF*1K")), "bad-reference", "x12/REF02"),
    "a count that is none": (lambda: edited(answer(), ("QTY*90*1", "QTY*90*one")), "bad-amount", "x12/QTY02"),
    "an amount that is none": (lambda: edited(answer(), ("QTY*90*1~AMT*YU*125.50", "AMT*YU*all")), "bad-amount",
                               "x12/AMT02"),
    "a patient below the receiver": (lambda: edited(answer(), ("HL*4*3*PT", "HL*4*2*PT")), "hl-level", "x12/HL03"),
    "another guide": (lambda: answer().replace(b"005010X214", b"005010X364"), "wrong-version", "x12/GS08"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_acknowledgement_of_a_claim_is_one_finding_and_malformed(name: str) -> None:
    make, code, place = MALFORMED[name]
    assert places(make()) == [(code, place)]
    assert classify([], observed(make()), OUTCOME_TABLE).outcome is C.MALFORMED
    assert not any(word in repr(observed(make())) for word in PERSON)


def test_a_claim_status_answer_is_no_acknowledgement_of_a_claim() -> None:
    inquiry = ClaimInquiry("OUTRIDER", "CLEARING", 42, "trace-0001", "P", "9", "S", "9", "C", "1234567893", MEMBER,
                           ClaimAskedFor("CLAIM-77"), created=CREATED)  # fmt: skip
    raw = write_status(inquiry, control_number=1, created=CREATED, statuses=[ClaimStatus("A2", "20")])
    assert places(raw) == [("wrong-version", "x12/GS08")]


# --- the 999 ---------------------------------------------------------------------------------------------------

OUR_GROUP = "AK1*HC*42*005010X222A1"
OUR_SET = "AK2*837*0001*005010X222A1"


def accepting(verdict: str = "A") -> bytes:
    return acknowledged(OUR_GROUP, OUR_SET, f"IK5*{verdict}", f"AK9*{verdict}*1*1*1")


@pytest.mark.parametrize(
    ("raw", "verdicts"),
    [
        (accepting(), ("A", "A")),
        (accepting("E"), ("E", "E")),
        (acknowledged(OUR_GROUP, "AK9*A*1*1*1"), ("A",)),
        (acknowledged("AK1*HC*000000042", "AK9*A*1*1*1"), ("A",)),
        (acknowledged(OUR_GROUP, OUR_SET, "IK3*SV1*20**8", "IK4*2*782*I12", "IK5*E", "AK9*E*1*1*1"), ("E", "E")),
    ],
)
def test_a_999_that_accepts_is_a_full_answer(raw: bytes, verdicts: tuple[str, ...]) -> None:
    observation = observed(raw)
    assert (observation.findings, observation.facts["set"], observation.facts["ack"]) == ((), ("999",), verdicts)
    assert classify([Expected("ack", ("A", "E"))], observation, OUTCOME_TABLE).is_ok
    missing = classify([Expected("stc", ("A2",))], observation, OUTCOME_TABLE)
    assert (missing.outcome, missing.code, missing.place) == (C.MALFORMED, "missing", "expect/stc")


ABOUT_OTHERS: dict[str, bytes] = {
    "another group": acknowledged("AK1*HC*43", OUR_SET, "IK5*A", "AK9*A*1*1*1"),
    "another kind of group": acknowledged("AK1*HS*42", "AK9*A*1*1*1"),
    "a number that is none": acknowledged("AK1*HC*4Z", "AK9*A*1*1*1"),
    "another set": acknowledged(OUR_GROUP, "AK2*837*0002", "IK5*A", "AK9*A*1*1*1"),
    "another kind of set": acknowledged(OUR_GROUP, "AK2*270*0001", "IK5*A", "AK9*A*1*1*1"),
    "our set and another": acknowledged(OUR_GROUP, OUR_SET, "IK5*A", "AK2*837*0002", "IK5*A", "AK9*A*2*2*2"),
    "a rejection of another group": acknowledged("AK1*HC*43", OUR_SET, "IK5*R*5", "AK9*R*1*1*0"),
    "a rejection of another interchange": ta1("TA1*000000043*260601*2215*R*024"),
}


@pytest.mark.parametrize("name", ABOUT_OTHERS)
def test_an_acknowledgement_of_somebody_elses_is_malformed_whatever_it_says(name: str) -> None:
    observation = observed(ABOUT_OTHERS[name])
    assert places(ABOUT_OTHERS[name]) == [("mismatch", "echo/ack")]
    assert classify([Expected("ack", ("A",))], observation, OUTCOME_TABLE).outcome is C.MALFORMED


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (acknowledged(OUR_GROUP, OUR_SET, "IK5*R*5", "AK9*R*1*1*0"), [("R", "999/IK501"), ("R", "999/AK901")]),
        (acknowledged(OUR_GROUP, "AK9*R*1*1*0*1"), [("R", "999/AK901")]),
        (ta1("TA1*000000042*260601*2215*R*024"), [("024", "ta1/TA105")]),
    ],
)
def test_what_rejects_our_own_is_the_probes_fault(raw: bytes, expected: list[tuple[str, str]]) -> None:
    assert places(raw) == expected
    assert classify([Expected("stc", ("A2",))], observed(raw), OUTCOME_TABLE).outcome is C.PROBE_FAULT


@pytest.mark.parametrize(
    ("raw", "code", "place"),
    [
        (acknowledged("AK9*A*1*1*1"), "no-ak1", "x12/SE"),
        (acknowledged(OUR_GROUP, OUR_SET, "AK9*A*1*1*1"), "no-verdict", "x12/AK9"),
        (acknowledged(OUR_GROUP, OUR_SET, "IK5*A"), "no-verdict", "x12/IK5"),
        (acknowledged(OUR_GROUP, "AK9*A*1*1"), "bad-count", "x12/AK902"),
        (acknowledged(OUR_GROUP, "AK9*A*1*1*0"), "ak9-contradiction", "x12/AK904"),
        (acknowledged(OUR_GROUP, "AK9*R*1*1*1"), "ak9-contradiction", "x12/AK904"),
        (acknowledged(OUR_GROUP, "AK9*OTTOLINE*1*1*1"), "bad-code", "x12/AK901"),
        (accepting().replace(b"X231A1", b"X230A1"), "wrong-version", "x12/GS08"),
    ],
)
def test_a_999_that_does_not_hold_together_is_malformed(raw: bytes, code: str, place: str) -> None:
    assert places(raw) == [(code, place)]
    assert not any(word in repr(observed(raw)) for word in PERSON)


def test_a_ta1_that_accepts_is_no_answer() -> None:
    assert places(ta1("TA1*000000042*260601*2215*A*000")) == [("wrong-set", "x12/ST01")]


# --- both ------------------------------------------------------------------------------------------------------


def in_two_groups(verdict: Verdict = ACCEPTED, **numbers: Any) -> bytes:
    body = tuple(line.split("*") for line in (OUR_GROUP, OUR_SET, "IK5*A", "AK9*A*1*1*1"))
    own = response_lines(SUBMISSION, control_number=77, created=CREATED, verdict=verdict)
    return x12.write_groups(
        [
            x12.DraftGroup("FA", "005010X231A1", (x12.Draft("999", body),), 901),
            x12.DraftGroup("HN", "005010X214", (x12.Draft("277", tuple(own)),), 902),
        ],
        sender="CLEARING",
        receiver="OUTRIDER",
        control_number=901,
        created=CREATED,
        **numbers,
    )


@pytest.mark.parametrize("between", [b"", b"\r\n", b" \n\n"])
def test_both_acknowledgements_may_come_as_two_groups_or_as_two_interchanges(between: bytes) -> None:
    for raw in (in_two_groups() + between, accepting() + between + answer(), answer() + between + accepting()):
        observation = observed(raw)
        assert observation.findings == ()
        assert set(observation.facts["set"]) == {"999", "277"}
        assert (observation.facts["ack"], observation.facts["stc"][-1]) == (("A", "A"), "A2")
        both = [Expected("ack", ("A",)), Expected("stc", ("A2",))]
        assert classify(both, observation, OUTCOME_TABLE).is_ok


def test_a_taken_in_claim_that_is_then_rejected_is_rejected() -> None:
    rejected = Verdict("A3", "33", entity="IL")
    for raw in (in_two_groups(rejected), accepting() + answer(verdict=rejected)):
        assert places(raw) == [("A3", "stc/2200D")]


@pytest.mark.parametrize(
    ("raw", "code", "place"),
    [
        (accepting() + answer(trace="trace-0002"), "mismatch", "echo/trn"),
        (acknowledged("AK1*HC*43", "AK9*A*1*1*1") + answer(), "mismatch", "echo/ack"),
        (accepting() + answer()[:-9], "truncated", "x12/segment"),
        (accepting() + answer()[:200], "truncated", "x12/segment"),
        (accepting() + answer() + b"<html>", "after-iea", "x12/IEA"),
        (answer() + answer(), "isa13-repeated", "x12/ISA13"),
        (ta1("TA1*000000042*260601*2215*R*024") + accepting(), "024", "ta1/TA105"),
    ],
)
def test_of_two_interchanges_each_is_held_to_the_rules(raw: bytes, code: str, place: str) -> None:
    assert places(raw)[0] == (code, place)


# --- the oracle, and damage ------------------------------------------------------------------------------------


def test_pyx12_finds_nothing_wrong_with_what_is_written_by_its_own_map_of_the_guides() -> None:
    verdicts = (ACCEPTED, Verdict("A7", "33", entity="IL"))
    for submission in (SUBMISSION, FAMILY, replace(SUBMISSION, claim=replace(CLAIM, lines=(VISIT,) * 50))):
        raw = write_submission(submission)
        assert (oracle_errors(raw), guide_errors(raw)) == ([], [])
        for verdict in verdicts:
            raw = answer(submission, verdict)
            assert (oracle_errors(raw), guide_errors(raw)) == ([], [])
    for loop in ("2200B", "2200C"):  # the map wants the levels below, which the guide ends there
        assert oracle_errors(answer(verdict=Verdict("A3", "33", loop))) == []
    assert (oracle_errors(in_two_groups()), guide_errors(in_two_groups())) == ([], [])


@pytest.mark.parametrize(
    "change",
    [
        (PROVIDER_LINE, PROVIDER_LINE.replace("*XX*", "*24*")),
        ("REF*EI*123456789", ""),
        (CLAIM_LINE, CLAIM_LINE.replace(":B:1", ":Q:1")),
        (VISIT_LINES[2], ""),
    ],
)
def test_pyx12_and_the_reader_both_notice_what_the_guide_does_not_allow(change: tuple[str, str]) -> None:
    raw = edited(write_submission(SUBMISSION), change)
    assert guide_errors(raw)
    with pytest.raises(X12Error):
        read_submission(raw)


@pytest.mark.parametrize("submission", [SUBMISSION, FAMILY], ids=["subscriber", "dependent"])
@pytest.mark.parametrize("times", [0, 2])
def test_a_segment_that_pyx12_misses_or_finds_once_too_often_is_refused_here_too(
    submission: Submission, times: int
) -> None:
    raw = write_submission(submission)
    body = lines(raw)
    changed = [[*body[:at], *body[at : at + 1] * times, *body[at + 1 :]] for at in range(len(body))]
    verdicts = guide_verdicts(raw, [body, *changed])
    assert verdicts[0]
    assert verdicts.count(False) > len(body) // 2
    for segments, is_right in zip(changed, verdicts[1:], strict=True):
        if not is_right:
            with pytest.raises(X12Error):
                read_submission(edited(raw, ("~".join(body), "~".join(segments))))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([write_submission(FAMILY), answer(), accepting() + answer(), in_two_groups()]), st.data())
def test_whatever_pyx12_rejects_without_a_map_is_never_accepted_here(raw: bytes, data: st.DataObject) -> None:
    segments = raw.decode().split("~")[:-1]
    at = data.draw(st.integers(1, len(segments) - 1))
    match data.draw(st.sampled_from(["drop", "repeat", "swap", "digit"])):
        case "drop":
            del segments[at]
        case "repeat":
            segments.insert(at, segments[at])
        case "swap":
            other = data.draw(st.integers(1, len(segments) - 1))
            segments[at], segments[other] = segments[other], segments[at]
        case _:
            segments[at] = segments[at].replace("1", "2")
    changed = ("~".join(segments) + "~").encode()
    if not observed(changed).findings:
        assert oracle_errors(changed) == []


MESSAGES = st.sampled_from(
    [
        answer(),
        answer(FAMILY),
        answer(FAMILY, Verdict("A7", "33", entity="QC")),
        accepting() + answer(),
        in_two_groups(),
        accepting(),
        write_submission(SUBMISSION),
        write_submission(FAMILY),
    ]
)
PIECES = [b"~", b"*", b"~STC*", b"~TRN*2*", b"HL*1", b"~CLM*", b"~LX*", b"~AK2*", b"ISA", b"~IEA*1*", b""]


@settings(max_examples=200, deadline=None)
@given(MESSAGES, st.data())
def test_a_damaged_message_is_observed_and_never_raises_or_names_anybody(raw: bytes, data: st.DataObject) -> None:
    damaged = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(damaged)))
        length = data.draw(st.integers(0, 10))
        damaged[start : start + length] = data.draw(st.one_of(st.binary(max_size=4), st.sampled_from(PIECES)))
    check(bytes(damaged))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([answer(FAMILY), accepting(), write_submission(SUBMISSION), write_submission(FAMILY)]), st.data()
)
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
    assert observation.findings or {"277", "999"} & set(observation.facts["set"])
    told = "".join(f.code + f.place + f.detail for f in observation.findings) + repr(observation.facts)
    try:
        claim = read_submission(raw).claim
        assert (claim.charge, len(claim.lines)) > ("", 0)
    except X12Error as error:
        told += str(error)
    assert not any(word in told for word in PERSON)
