"""The report on X12 files of others, run on files that are written here; on others' own only where a variable says so.

OUTRIDER_X12_SAMPLES names a folder of such files. Nothing of it is copied into this tree.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import test_claim_status as claim_status
import test_eligibility as eligibility
import test_prior_authorization as prior_authorization
from bench.x12_samples import examine, main
from x12_support import acknowledged, edited, ta1

from outrider.codecs.eligibility import Rejection, write_inquiry

COVERED = eligibility.answer(benefits=eligibility.ACTIVE)
DAMAGED = COVERED.replace(b"~SE*14*0001", b"~SE*14*0003")
TWO_CLAIMS = claim_status.answer().replace(b"~SE*16", b"~TRN*2*trace-0002~STC*P1:20~SE*18")
HEADER = "BHT*0022*11*trace-0001*20260601*221530"
SHARED = os.environ.get("OUTRIDER_X12_SAMPLES", "")


def test_a_damaged_sample_is_reported_with_segment_and_byte() -> None:
    (line,) = examine(DAMAGED)
    assert line == f"ERROR st02-se02 at SE02, segment 16, byte {DAMAGED.index(b'SE*14')}: SE02 does not repeat ST02"


SAMPLES: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "an inquiry": (
        write_inquiry(eligibility.INQUIRY), ("270 005010X279A1: 13 segments", "as a real-time request read"),
    ),
    "a question that real time does not take": (
        edited(write_inquiry(eligibility.INQUIRY), ("EQ*30", "")),
        ("as a real-time request refused: no-eq at SE, segment",),
    ),
    "an answer": (COVERED, ("eb: 1 B", "service_types: 30 35 98")),
    "an answer whose reference is not its trace": (
        edited(COVERED, (HEADER, HEADER.replace("trace-0001", "another"))), ("eb: 1 B",),
    ),
    "a rejection": (
        eligibility.answer(rejections=[Rejection("75", "2100C")]), ("aaa: 75", "finding 75 at aaa/2100C"),
    ),
    "claims of two questions": (TWO_CLAIMS, ("stc: F1 P1", "finding mismatch at echo/trn")),
    "a review": (prior_authorization.answer(), ("278 005010X217: 16 segments", "hcr: A1")),
    "an acknowledgement": (acknowledged("AK1*HS*42", "AK9*A*1*1*1"), ("999 005010X231A1: 4 segments",)),
    "a TA1": (ta1("TA1*000000042*260601*2215*R*024"), ("transactions 0 in 0, acknowledgements 1",)),
    "a web page": (b"<html></html>", ("ERROR no-isa at ISA, segment 0, byte 0",)),
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_reported_with_what_it_says_and_nothing_of_a_person(name: str) -> None:
    raw, told = SAMPLES[name]
    report = "\n".join(examine(raw))
    assert [line for line in told if line not in report] == []
    assert not any(word in report for word in (*eligibility.PERSON, *claim_status.PERSON, "trace-0001"))


def test_a_folder_is_read_through_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "271").mkdir()
    (tmp_path / "271" / "covered.271").write_bytes(COVERED)
    (tmp_path / "271" / "damaged").write_bytes(b"\xef\xbb\xbf\r\n" + DAMAGED)
    (tmp_path / "broken.edi").write_bytes(b"")
    (tmp_path / "README.md").write_text("not X12")
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "3 files: 1 hold together, 2 do not"
    assert f"271/damaged\n  ERROR st02-se02 at SE02, segment 16, byte {DAMAGED.index(b'SE*14') + 5}" in out
    assert "broken.edi\n  ERROR empty" in out
    assert "README" not in out
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "271",
        "README.md",
        "broken.edi",
        "covered.271",
        "damaged",
    ]


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["no-such-folder"]])
def test_without_a_folder_there_is_a_usage_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 104
    assert capsys.readouterr().err == "usage: python -m bench.x12_samples DIR\n"


@pytest.mark.skipif(not SHARED, reason="OUTRIDER_X12_SAMPLES names no folder")
def test_the_samples_of_others_hold_together_but_for_the_known_defect(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([SHARED]) == 0
    out = capsys.readouterr().out
    assert [line.strip() for line in out.splitlines() if "ERROR" in line] == [
        "ERROR st02-se02 at SE02, segment 10, byte 346: SE02 does not repeat ST02"
    ]
