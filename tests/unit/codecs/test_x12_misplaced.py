"""Damage that leaves every count and number right: what an answer says must still be said of somebody, in its place.

A wrong acceptance is worse than a wrong refusal, so each row is an answer that once looked like a good one.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import test_claim_status as claim_status
import test_eligibility as eligibility
import test_prior_authorization as prior_authorization
from x12_support import acknowledged, edited, ta1

from outrider.codecs.claim_status import read_response as read_277
from outrider.codecs.eligibility import Rejection
from outrider.codecs.eligibility import read_response as read_271
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.codecs.prior_authorization import ReviewRejection
from outrider.codecs.prior_authorization import read_response as read_278
from outrider.core.outcome import Observation, OutcomeClass, classify

TRACE_BACK = "TRN*2*trace-0001*9OUTRIDER1"
COVERED = eligibility.answer(benefits=eligibility.ACTIVE)
CHILD_COVERED = eligibility.answer(eligibility.FAMILY, benefits=eligibility.ACTIVE)
NOT_FOUND = eligibility.answer(rejections=[Rejection("75", "2100C")])
PAID = claim_status.answer()
CHILD_PAID = claim_status.answer(claim_status.FAMILY)
CERTIFIED = prior_authorization.answer()
CHILD_CERTIFIED = prior_authorization.answer(prior_authorization.FAMILY)
IL = "NM1*IL*1*QUILLFEATHER*OTTOLINE****MI*W998877665"
ACTIVE_LINE, COPAY_LINE = "EB*1*IND*30*HM*GOLD 1", "EB*B**35^98****25"
PAID_LINE = "STC*F1:65*20260601**125.00*100.00"
HEADER = "BHT*0022*11*trace-0001*20260601*221530"

Edits = tuple[tuple[str, str], ...]

ELIGIBILITY: dict[str, tuple[bytes, Edits, str, str]] = {
    "the subscriber's level is lost": (COVERED, (("HL*3*2*22*0", ""),), "misplaced", "x12/TRN"),
    "the subscriber's level has another id": (COVERED, (("HL*3*2*22*0", "HX*3*2*22*0"),), "misplaced", "x12/TRN"),
    "level and trace are lost": (COVERED, (("HL*3*2*22*0", ""), (TRACE_BACK, "")), "misplaced", "x12/EB"),
    "the subscriber's level says receiver": (COVERED, (("HL*3*2*22*0", "HL*3*2*21*0"),), "hl-level", "x12/HL03"),
    "the subscriber's level says nothing": (COVERED, (("HL*3*2*22*0", "HL*3*2"),), "element-count", "x12/HL"),
    "a benefit of the payer": (COVERED, (("HL*2*1*21*1", f"{ACTIVE_LINE}~HL*2*1*21*1"),), "misplaced", "x12/EB"),
    "a benefit of the provider": (COVERED, (("HL*3*2*22*0", "EB*1~HL*3*2*22*0"),), "misplaced", "x12/EB"),
    "a benefit before every level": (COVERED, (("HL*1**20*1", "EB*1~HL*1**20*1"),), "misplaced", "x12/EB"),
    "a benefit of nobody": (COVERED, ((IL, ""), ("DMG*D8*19710203*F", "")), "misplaced", "x12/EB"),
    "a subscriber who is a payer": (COVERED, ((IL, "NM1*PR*2*SYNTHETIC PAYER"),), "bad-entity", "x12/NM101"),
    "a subscriber who is a dependent": (COVERED, ((IL, "NM1*03*1*A*B"),), "bad-entity", "x12/NM101"),
    "the dependent's level is lost": (CHILD_COVERED, (("HL*4*3*23*0", ""),), "misplaced", "x12/TRN"),
    "the dependent's level and trace are lost": (
        CHILD_COVERED, (("HL*4*3*23*0", ""), (TRACE_BACK, "")), "bad-entity", "x12/NM101",
    ),
    "a trace below the name": (COVERED, ((IL, f"{IL}~{TRACE_BACK}"),), "misplaced", "x12/TRN"),
    "a rejection of the receiver's level": (NOT_FOUND, ((TRACE_BACK, ""), ("HL*3*2*22*0", "AAA*N**75*C~HL*3*2*22*0"),
        ("HL*2*1*21*1", "HL*2*1*21*1~AAA*N**42*P")), "misplaced", "x12/AAA"),
    "a rejection before the subscriber's name": (NOT_FOUND, ((IL, f"AAA*N**72*C~{IL}"),), "misplaced", "x12/AAA"),
    "a rejection of a further entity": (
        COVERED, ((COPAY_LINE, "LS*2120~NM1*P3*1*X~AAA*N**15*C~LE*2120"),), "misplaced", "x12/AAA",
    ),
    "no header": (COVERED, ((HEADER, ""),), "no-bht", "x12/ST"),
    "a second header": (COVERED, (("HL*3*2*22*0", f"{HEADER}~HL*3*2*22*0"),), "misplaced", "x12/BHT"),
    "a header in another place": (
        COVERED, ((HEADER, ""), ("HL*1**20*1", f"REF*1*2~{HEADER}~HL*1**20*1")), "no-bht", "x12/ST",
    ),
    "a question": (COVERED, ((HEADER, HEADER.replace("*11*", "*13*")),), "not-an-answer", "x12/BHT02"),
    "neither benefit nor rejection": (COVERED, ((ACTIVE_LINE, ""), (COPAY_LINE, "")), "no-answer", "x12/SE"),
}  # fmt: skip

CLAIMS: dict[str, tuple[bytes, Edits, str, str]] = {
    "the subscriber's level is lost": (PAID, (("HL*4*3*22*0", ""),), "bad-entity", "x12/NM101"),
    "level and name are lost": (PAID, (("HL*4*3*22*0", ""), (IL, "")), "misplaced", "x12/STC01"),
    "the dependent's level is lost": (CHILD_PAID, (("HL*5*4*23", ""),), "bad-entity", "x12/NM101"),
    "a paid claim of the receiver": (
        PAID, (("HL*3*2*19*1", f"TRN*2*trace-0001~{PAID_LINE}~HL*3*2*19*1"),), "misplaced", "x12/STC01",
    ),
    "a status of the payer": (
        PAID, (("HL*2*1*21*1", "TRN*2*trace-0001~STC*E1:0~HL*2*1*21*1"),), "misplaced", "x12/TRN",
    ),
    "a claim of nobody": (PAID, ((IL, ""),), "misplaced", "x12/TRN"),
    "a status of a name": (PAID, (("TRN*2*trace-0001", ""),), "misplaced", "x12/STC"),
    "a line of no claim": (PAID, (("TRN*2*trace-0001", "SVC*HC:99203*150"),), "misplaced", "x12/SVC"),
    "a question": (PAID, (("BHT*0010*08*S77*20260601*221530*DG", "BHT*0010*13*S77*20260601*221530"),),
        "not-an-answer", "x12/BHT02"),
    "no header": (PAID, (("BHT*0010*08*S77*20260601*221530*DG", ""),), "no-bht", "x12/ST"),
    "no status": (PAID, ((PAID_LINE, ""),), "no-answer", "x12/SE"),
}  # fmt: skip

REVIEWS: dict[str, tuple[bytes, Edits, str, str]] = {
    "the event's level is lost": (CERTIFIED, (("HL*4*3*EV*0", ""),), "misplaced", "x12/TRN"),
    "the event's level and trace are lost": (
        CERTIFIED, (("HL*4*3*EV*0", ""), (TRACE_BACK, "")), "misplaced", "x12/HCR",
    ),
    "the dependent's level is lost": (
        CHILD_CERTIFIED, (("HL*4*3*23*1", ""), ("HL*5*4*EV*0", "HL*4*3*EV*0")), "bad-entity", "x12/NM101",
    ),
    "a decision about a name": (
        CERTIFIED, (("HCR*A1*AUTH-77", "NM1*71*1*X~HCR*A1*AUTH-77"),), "misplaced", "x12/HCR",
    ),
    "a decision about the payer": (CERTIFIED, (("HL*2*1*21*1", "HCR*A1~HL*2*1*21*1"),), "misplaced", "x12/HCR"),
    "a rejection of the subscriber's level": (CERTIFIED, ((IL, f"AAA*N**72*C~{IL}"),), "misplaced", "x12/AAA"),
    "no header": (CERTIFIED, (("BHT*0007*11*trace-0001*20260601*221530*18", ""),), "no-bht", "x12/ST"),
    "neither decision nor rejection": (CERTIFIED, (("HCR*A1*AUTH-77", ""),), "no-answer", "x12/SE"),
}  # fmt: skip

READERS: dict[str, Callable[[bytes], Observation]] = {
    "271": eligibility.observed,
    "277": claim_status.observed,
    "278": prior_authorization.observed,
}
ROWS = [
    pytest.param(set_id, *row, id=f"{set_id} {name}")
    for set_id, rows in (("271", ELIGIBILITY), ("277", CLAIMS), ("278", REVIEWS))
    for name, row in rows.items()
]


@pytest.mark.parametrize(("set_id", "raw", "edits", "code", "place"), ROWS)
def test_an_answer_that_says_something_in_the_wrong_place_is_malformed(
    set_id: str, raw: bytes, edits: Edits, code: str, place: str
) -> None:
    read = READERS[set_id]
    assert "x12/" not in "".join(finding.place for finding in read(raw).findings)
    observation = read(edited(raw, *edits))
    assert [(finding.code, finding.place) for finding in observation.findings] == [(code, place)]
    assert observation.facts == {}
    assert classify([], observation, OUTCOME_TABLE).outcome is OutcomeClass.MALFORMED


STRANGERS: dict[str, Edits] = {
    "a second subscriber without a trace": ((COPAY_LINE, "HL*4*2*22*0~NM1*IL*1*X~EB*1"),),
    "the benefits of a second subscriber alone": (
        (ACTIVE_LINE, "HL*4*2*22*0~NM1*IL*1*X~EB*1"), (COPAY_LINE, ""),
    ),
    "a dependent of somebody else's trace": ((COPAY_LINE, "HL*4*3*23*0~TRN*2*trace-0002~NM1*03*1*X~EB*1"),),
    "a subscriber after our dependent": (
        (COPAY_LINE, "HL*4*3*23*0~NM1*03*1*X~EB*1~HL*5*2*22*0~NM1*IL*1*Y~EB*1"),
    ),
    "a rejection of a second subscriber, and no reference": (
        (HEADER, "BHT*0022*11**20260601*221530"), (COPAY_LINE, "HL*4*2*22*0~NM1*IL*1*X~AAA*N**75*C"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGERS)
def test_benefits_of_somebody_who_carries_no_trace_of_ours_are_a_mismatch(name: str) -> None:
    places = [finding.place for finding in eligibility.observed(edited(COVERED, *STRANGERS[name])).findings]
    assert places[0] == "echo/trn"


def test_a_dependent_below_our_trace_is_ours() -> None:
    raw = edited(COVERED, (COPAY_LINE, "HL*4*3*23*0~NM1*03*1*X~EB*1"))
    assert eligibility.observed(raw).findings == ()


def test_a_rejected_subscriber_of_a_dependents_inquiry_needs_no_trace() -> None:
    raw = edited(NOT_FOUND, (TRACE_BACK, ""))
    assert [finding.place for finding in eligibility.observed(raw).findings] == ["aaa/2100C"]
    nobodys = edited(raw, (HEADER, "BHT*0022*11**20260601*221530"))
    assert [finding.place for finding in eligibility.observed(nobodys).findings] == ["echo/trn", "aaa/2100C"]


ACKNOWLEDGEMENTS: dict[str, tuple[bytes, tuple[str, str]]] = {
    "a TA1 that rejects ours": (ta1("TA1*000000042*260601*2215*R*024"), ("024", "ta1/TA105")),
    "a TA1 that rejects another": (ta1("TA1*000000041*260601*2215*R*024"), ("mismatch", "echo/ack")),
    "a TA1 that rejects a name": (ta1("TA1*QUILL*260601*2215*R*024"), ("mismatch", "echo/ack")),
    "a 999 that rejects ours": (acknowledged("AK1*HS*42", "AK9*R*1*1*0"), ("R", "999/AK901")),
    "a 999 that rejects ours with zeros": (acknowledged("AK1*HS*000000042", "AK9*R*1*1*0"), ("R", "999/AK901")),
    "a 999 that rejects another": (acknowledged("AK1*HS*43", "AK9*R*1*1*0"), ("mismatch", "echo/ack")),
    "a 999 that rejects none": (acknowledged("AK1*HS", "AK9*R*1*1*0"), ("mismatch", "echo/ack")),
    "a TA1 with a verdict of its own": (ta1("TA1*000000042*260601*2215*Q*024"), ("bad-code", "x12/TA104")),
    "a 999 with a verdict of its own": (acknowledged("AK1*HS*42", "AK9*Q*1*1*0"), ("bad-code", "x12/AK901")),
    "a 999 without its group": (acknowledged("AK2*270*0001", "IK5*R*5", "AK9*R"), ("not-a-999", "x12/ST")),
    "a 999 without its verdict": (acknowledged("AK1*HS*42", "AK2*270*0001", "IK5*R*5"), ("not-a-999", "x12/ST")),
    "a 999 without anything": (acknowledged(), ("not-a-999", "x12/ST")),
}


@pytest.mark.parametrize("read", [read_271, read_277, read_278])
@pytest.mark.parametrize("name", ACKNOWLEDGEMENTS)
def test_an_acknowledgement_is_held_against_our_control_number(name: str, read: Callable[..., Observation]) -> None:
    raw, expected = ACKNOWLEDGEMENTS[name]
    observation = read(raw, trace="trace-0001", control_number=42)
    first = observation.findings[0]
    assert (first.code, first.place) == expected
    verdict = classify([], observation, OUTCOME_TABLE).outcome
    is_about_us = expected[1].startswith(("ta1/", "999/"))
    assert verdict is (OutcomeClass.PROBE_FAULT if is_about_us else OutcomeClass.MALFORMED)


def test_a_foreign_acknowledgement_beside_our_answer_is_not_forgiven() -> None:
    raw = COVERED.replace(b"~GS*", b"~TA1*000000041*260601*2215*A*000~GS*", 1)
    observation = read_271(raw, trace="trace-0001", control_number=42)
    assert [(finding.code, finding.place) for finding in observation.findings] == [("mismatch", "echo/ack")]
    ours = raw.replace(b"000000041", b"000000042")
    assert read_271(ours, trace="trace-0001", control_number=42).findings == ()


# --- what is valid has to be read ------------------------------------------------------------------------------

ANSWERS = {
    "271": COVERED,
    "271 of a dependent": CHILD_COVERED,
    "271 that rejects": NOT_FOUND,
    "277": PAID,
    "277 of a dependent": CHILD_PAID,
    "278": CERTIFIED,
    "278 of a dependent": CHILD_CERTIFIED,
}


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["bare", "BOM"])
@pytest.mark.parametrize("gap", [b"", b"\n", b"\r\n", b"\r\n\t  "], ids=["-", "LF", "CRLF", "indented"])
@pytest.mark.parametrize("terminator", [b"~", b"\x1d", b"\r", b"\n"], ids=["~", "GS", "CR", "LF"])
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_says_the_same_however_its_segments_are_ended(
    name: str, terminator: bytes, gap: bytes, start: bytes
) -> None:
    read, raw = READERS[name[:3]], ANSWERS[name]
    plain, other = read(raw), read(start + raw.replace(b"~", terminator + gap))
    assert other.facts == plain.facts
    assert [(finding.code, finding.place) for finding in other.findings] == [
        (finding.code, finding.place) for finding in plain.findings
    ]


VARIATIONS: dict[str, tuple[bytes, Edits]] = {
    "no demographics, no dates": (COVERED, (("DMG*D8*19710203*F", ""), ("DTP*291*D8*20260601", ""))),
    "no originator of the trace": (COVERED, ((TRACE_BACK, "TRN*2*trace-0001"),)),
    "no reference in the header": (COVERED, ((HEADER, "BHT*0022*11**20260601*2215"),)),
    "address, dates and relationship": (
        COVERED,
        (("DMG*D8*19710203*F", "REF*6P*G1~N3*1 ROAD~N4*TOWN*KS*66044~DMG*D8*19710203*F~INS*Y*18~DTP*346*D8*20260101"),),
    ),
    "loops of further entities": (
        COVERED,
        ((COPAY_LINE, f"LS*2120~NM1*P3*1*X~PRV*PC~LE*2120~MSG*TEXT~{COPAY_LINE}~HSD*VS*5~LS*2120~NM1*PR*2*Y~LE*2120"),),
    ),
    "a further entity without LS and LE": (COVERED, ((COPAY_LINE, f"NM1*P3*1*X~{COPAY_LINE}"),)),
    "benefit details": (
        COVERED, ((COPAY_LINE, f"REF*18*P~DTP*348*D8*20260101~III*ZZ*11~{COPAY_LINE}~DTP*349*D8*20261231"),),
    ),
    "a payer's contact": (COVERED, (("HL*2*1*21*1", "PER*IC*HELP*TE*8005550100~HL*2*1*21*1"),)),
    "many benefits": (COVERED, ((COPAY_LINE, "~".join([COPAY_LINE] * 300)),)),
    "several statuses of a claim": (PAID, ((PAID_LINE, f"{PAID_LINE}~STC*P1:20*20260602*U*5~STC*F2:88:PR*20260603"),)),
    "several statuses in one segment": (PAID, ((PAID_LINE, "STC*F1:65*20260601********F1:66*F1:101"),)),
    "service lines": (
        PAID, (("DTP*472*RD8*20260301-20260303", "DTP*472*D8*20260301~SVC*HC:1*5~STC*F1:65~SVC*HC:2*5~STC*F2:88"),),
    ),
    "two claims of one question": (
        PAID, (("DTP*472*RD8*20260301-20260303", "DTP*472*D8*20260301~TRN*2*trace-0001~STC*P1:20"),),
    ),
    "a service of its own": (CERTIFIED, (("HI*ABK:R519", "HI*ABK:R519~HL*5*4*SS*0~TRN*2*line-1~HCR*A3"),)),
    "a decision and its provider": (CERTIFIED, (("HI*ABK:R519", "REF*BB*1~NM1*71*1*X~N3*Y~PRV*PE"),)),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIATIONS)
def test_what_the_guides_allow_is_read(name: str) -> None:
    raw, edits = VARIATIONS[name]
    set_id = {COVERED: "271", PAID: "277", CERTIFIED: "278"}[raw]
    observation = READERS[set_id](edited(raw, *edits))
    assert observation.findings == ()
    assert observation.facts["set"] == (set_id,)
    assert observation.facts["trn"]


def test_several_transactions_of_one_answer_are_read_together() -> None:
    segments = COVERED.decode().split("~")
    one = segments[2:-3]
    second = [segment.replace("*0001", "*0002") if segment[:3] in ("ST*", "SE*") else segment for segment in one]
    raw = "~".join([*segments[:2], *one, *second, "GE*2*77", *segments[-2:]]).encode()
    observation = eligibility.observed(raw)
    assert observation.findings == ()
    assert observation.facts["eb"] == ("1", "B", "1", "B")
    nothing = raw.replace(b"EB*1*IND*30*HM*GOLD 1~EB*B**35^98****25~SE*14*0002", b"SE*12*0002")
    assert [finding.code for finding in eligibility.observed(nothing).findings] == ["no-answer"]


def test_a_review_that_names_neither_reference_nor_event_is_nobodys() -> None:
    rejected = prior_authorization.answer(verdict=ReviewRejection("72", "2010C"))
    assert [finding.place for finding in prior_authorization.observed(rejected).findings] == ["aaa/2010C"]
    nobodys = edited(rejected, ("BHT*0007*11*trace-0001*20260601*221530*18", "BHT*0007*11**20260601*221530*18"))
    assert [finding.place for finding in prior_authorization.observed(nobodys).findings] == ["echo/trn", "aaa/2010C"]
