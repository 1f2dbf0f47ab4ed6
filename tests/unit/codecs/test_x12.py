from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyx12.x12file import X12Reader

from outrider.codecs import x12
from outrider.codecs.x12 import Composite, Draft, Repeated, Separators, X12Error, read, write

ISA = "ISA*00*          *00*          *ZZ*SENDER         *30*RECEIVER       *260601*2215*^*00501*000000042*0*T*:"
BODY = (
    "ST*271*0007*005010X279A1",
    "BHT*0022*11*trace-1*20260601*221500",
    "HL*1**20*1",
    "NM1*PR*2*SYNTHETIC PAYER*****PI*99001",
    "HL*2*1*21*1",
    "NM1*1P*2*SYNTHETIC CLINIC*****XX*1234567893",
    "HL*3*2*22*0",
    "TRN*2*trace-1*9OUTRIDER1",
    "NM1*IL*1*QUILLFEATHER*OTTOLINE****MI*W998877665",
    "DMG*D8*19710203*F",
    "EB*1**30^35*HM*GOLD:PLUS",
    "SE*12*0007",
)
GOOD = (ISA, "GS*HB*SENDER*RECEIVER*20260601*2215*42*X*005010X279A1", *BODY, "GE*1*42", "IEA*1*000000042")
PERSON = ("QUILLFEATHER", "OTTOLINE", "W998877665", "19710203")


def joined(segments: tuple[str, ...] | list[str], terminator: str = "~", gap: str = "") -> bytes:
    return "".join(segment + terminator + gap for segment in segments).encode("latin-1")


def replaced(old: str, new: str) -> bytes:
    raw = joined(GOOD)
    assert raw.count(old.encode()) == 1, old
    return raw.replace(old.encode(), new.encode())


def refusal(raw: bytes) -> X12Error:
    with pytest.raises(X12Error) as caught:
        read(raw)
    return caught.value


def oracle_errors(raw: bytes) -> list[tuple[str, str]]:
    """Kind and code of each error that pyx12's map-less reader finds."""
    reader = X12Reader(io.StringIO(raw.decode("latin-1"), newline=""))
    errors = []
    for _segment in reader:
        errors += reader.pop_errors()
    reader.cleanup()
    errors += reader.pop_errors()
    return [(error[0], error[1]) for error in errors]


def test_a_good_interchange_is_read_with_all_its_parts() -> None:
    interchange = read(joined(GOOD))
    assert (interchange.sender_qualifier, interchange.sender) == ("ZZ", "SENDER")
    assert (interchange.receiver_qualifier, interchange.receiver) == ("30", "RECEIVER")
    assert (interchange.control_number, interchange.usage, interchange.version) == ("000000042", "T", "00501")
    assert interchange.separators == Separators("*", "^", ":", "~")
    (group,) = interchange.groups
    assert (group.functional_id, group.control_number, group.version) == ("HB", "42", "005010X279A1")
    (transaction,) = group.transactions
    assert (transaction.set_id, transaction.control_number, transaction.version) == ("271", "0007", "005010X279A1")
    assert [segment.id for segment in transaction.segments] == [text.split("*")[0] for text in BODY]
    assert [segment.number for segment in transaction.segments] == list(range(3, 15))
    assert interchange.transactions == (transaction,)
    assert interchange.acknowledgements == ()


def test_elements_are_counted_from_one_and_absent_ones_are_empty() -> None:
    interchange = read(joined(GOOD))
    benefit = interchange.transactions[0].segments[10]
    assert [benefit.get(n) for n in (0, 1, 2, 3, 5, 6, 99)] == ["", "1", "", "30^35", "GOLD:PLUS", "", ""]
    assert benefit.repeats(3, interchange.separators) == ("30", "35")
    assert benefit.components(5, interchange.separators) == ("GOLD", "PLUS")
    assert benefit.repeats(2, interchange.separators) == ()


@pytest.mark.parametrize("terminator", ["~", "\x1d", "\r", "\n", "'"])
@pytest.mark.parametrize("gap", ["", "\n", "\r\n", "\r\n    ", "\t"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n  "])
def test_terminators_line_ends_indentation_and_a_byte_order_mark_change_nothing(
    terminator: str, gap: str, start: bytes
) -> None:
    raw = start + joined(GOOD, terminator, gap)
    segments = read(raw).transactions[0].segments
    assert [(s.number, s.id, s.elements) for s in segments] == [
        (s.number, s.id, s.elements) for s in read(joined(GOOD)).transactions[0].segments
    ]
    for segment in segments:
        text = "*".join((segment.id, *segment.elements)).encode()
        assert raw[segment.offset : segment.offset + len(text)] == text


def test_every_separator_is_taken_from_its_place() -> None:
    raw = joined(GOOD).translate(bytes.maketrans(b"*^:~", b"|\x1e\x1f\x1d"))
    interchange = read(raw)
    assert interchange.separators == Separators("|", "\x1e", "\x1f", "\x1d")
    benefit = interchange.transactions[0].segments[10]
    assert benefit.repeats(3, interchange.separators) == ("30", "35")
    assert benefit.components(5, interchange.separators) == ("GOLD", "PLUS")


def test_a_tab_may_be_the_element_separator() -> None:
    raw = joined(GOOD, gap="\r\n").replace(b"*", b"\t")
    assert read(raw).separators.element == "\t"
    assert refusal(raw.replace(b"DMG", b"\tDMG")).code == "segment-id"


def test_before_00402_an_interchange_has_no_repetition_separator() -> None:
    raw = joined([ISA.replace("*^*00501", "*U*00401"), *GOOD[1:]])
    interchange = read(raw)
    assert interchange.separators.repetition == ""
    assert interchange.transactions[0].segments[10].repeats(3, interchange.separators) == ("30^35",)


def test_bytes_beyond_ascii_are_kept_one_character_for_one_byte() -> None:
    raw = joined(GOOD).replace(b"OTTOLINE", "MÜNÜ".encode())
    name = read(raw).transactions[0].segments[8]
    assert name.get(4).encode("latin-1") == "MÜNÜ".encode()


def test_empty_elements_at_the_end_and_leading_zeros_in_counts_are_tolerated() -> None:
    raw = replaced("DMG*D8*19710203*F", "DMG*D8*19710203*F**").replace(b"SE*12*", b"SE*0012*")
    assert read(raw).transactions[0].segments[9].get(4) == ""


def test_an_interchange_may_hold_several_groups_and_sets() -> None:
    second_set = [text.replace("0007", "0008") for text in BODY]
    segments = [
        *GOOD[:-2],
        *second_set,
        "GE*2*42",
        GOOD[1].replace("*42*", "*43*"),
        *BODY,
        "GE*1*43",
        "IEA*2*000000042",
    ]
    interchange = read(joined(segments))
    assert [t.control_number for t in interchange.transactions] == ["0007", "0008", "0007"]
    assert [g.control_number for g in interchange.groups] == ["42", "43"]
    assert oracle_errors(joined(segments)) == []


def test_a_ta1_may_stand_alone_between_isa_and_iea() -> None:
    interchange = read(joined([ISA, "TA1*000000041*260601*2215*R*024", "IEA*0*000000042"]))
    assert interchange.groups == ()
    assert interchange.acknowledgements[0].get(5) == "024"


DEFECTS: dict[str, tuple[Callable[[], bytes], str, str, int]] = {
    "nothing": (lambda: b"", "empty", "ISA", 0),
    "blanks": (lambda: b"\xef\xbb\xbf \r\n", "empty", "ISA", 0),
    "a web page": (lambda: b"<html><body>Service Unavailable</body></html>", "no-isa", "ISA", 0),
    "json": (lambda: b'{"error": "unavailable"}', "no-isa", "ISA", 0),
    "lower case": (lambda: joined(GOOD).lower(), "no-isa", "ISA", 0),
    "UTF-16": (lambda: joined(GOOD).decode().encode("utf-16"), "no-isa", "ISA", 0),
    "an ISA element too short": (lambda: replaced("*SENDER         *", "*SENDER*"), "isa-width", "ISA", 1),
    "an ISA element too long": (lambda: replaced("*SENDER         *30", "*SENDER          *30"), "isa-width", "ISA", 1),
    "a separator inside an ISA element": (lambda: replaced("SENDER    ", "SEN*ER    "), "isa-width", "ISA", 1),
    "a terminator inside an ISA element": (lambda: replaced("SENDER    ", "SEN~ER    "), "separators", "ISA", 1),
    "a component separator inside ISA": (lambda: replaced("SENDER    ", "SEN:ER    "), "separators", "ISA", 1),
    "two separators that are the same": (lambda: replaced("*T*:~", "*T*^~"), "separators", "ISA", 1),
    "a letter as separator": (lambda: replaced("*T*:~", "*T*:X"), "separators", "ISA", 1),
    "a terminator beyond ASCII": (lambda: joined(GOOD).replace(b"~", b"\xa7"), "separators", "ISA", 1),
    "a control number with letters": (lambda: joined(GOOD).replace(b"0000042", b"0000O42"), "isa-digits", "ISA13", 1),
    "a date that is none": (lambda: replaced("*260601*2215*^", "*26-6-1*2215*^"), "isa-digits", "ISA09", 1),
    "an unknown usage": (lambda: replaced("*0*T*:", "*0*X*:"), "isa15", "ISA15", 1),
    "IEA02 is not ISA13": (lambda: replaced("IEA*1*000000042", "IEA*1*000000043"), "iea02-isa13", "IEA02", 16),
    "IEA02 without its zeros": (lambda: replaced("IEA*1*000000042", "IEA*1*42"), "iea02-isa13", "IEA02", 16),
    "IEA01 counts wrongly": (lambda: replaced("IEA*1*", "IEA*2*"), "iea01-count", "IEA01", 16),
    "IEA is short": (lambda: replaced("IEA*1*000000042", "IEA*1"), "element-count", "IEA", 16),
    "GE02 is not GS06": (lambda: replaced("GE*1*42", "GE*1*41"), "ge02-gs06", "GE02", 15),
    "GE01 counts wrongly": (lambda: replaced("GE*1*42", "GE*2*42"), "ge01-count", "GE01", 15),
    "GS is short": (lambda: replaced("*X*005010X279A1~ST", "*X~ST"), "element-count", "GS", 2),
    "GS06 has letters": (lambda: replaced("*2215*42*X", "*2215*4A*X"), "gs06", "GS06", 2),
    "GS01 of another kind": (lambda: replaced("GS*HB", "GS*HS"), "gs01-st01", "ST01", 3),
    "SE02 is not ST02": (lambda: replaced("SE*12*0007", "SE*12*0008"), "st02-se02", "SE02", 14),
    "SE02 without its zeros": (lambda: replaced("SE*12*0007", "SE*12*7"), "st02-se02", "SE02", 14),
    "SE01 counts one too many": (lambda: replaced("SE*12*", "SE*13*"), "se01-count", "SE01", 14),
    "SE01 is no number": (lambda: replaced("SE*12*", "SE*many*"), "se01-count", "SE01", 14),
    "SE01 is an endless number": (lambda: replaced("SE*12*", f"SE*{'9' * 9999}*"), "se01-count", "SE01", 14),
    "SE01 is empty": (lambda: replaced("SE*12*", "SE**"), "se01-count", "SE01", 14),
    "SE has a third element": (lambda: replaced("SE*12*0007", "SE*12*0007*1"), "element-count", "SE", 14),
    "ST03 is not GS08": (lambda: replaced("0007*005010X279A1", "0007*005010X279"), "gs08-st03", "ST03", 3),
    "ST03 is missing": (lambda: replaced("0007*005010X279A1", "0007"), "gs08-st03", "ST03", 3),
    "ST01 is no set id": (lambda: replaced("ST*271*", "ST*27A*"), "st01", "ST01", 3),
    "ST02 is empty": (lambda: replaced("ST*271*0007*", "ST*271**"), "st02-repeated", "ST02", 3),
    "a segment is lost": (lambda: replaced("DMG*D8*19710203*F~", ""), "se01-count", "SE01", 13),
    "a parent that does not exist": (lambda: replaced("HL*2*1*21", "HL*2*7*21"), "hl-parent", "HL02", 7),
    "a level that is its own parent": (lambda: replaced("HL*2*1*21", "HL*2*2*21"), "hl-parent", "HL02", 7),
    "a parent that comes later": (lambda: replaced("HL*2*1*21", "HL*2*3*21"), "hl-parent", "HL02", 7),
    "a parent that is closed": (lambda: hierarchy("1*", "2*1", "3*1", "4*2"), "hl-parent", "HL02", 7),
    "a parent below another root": (lambda: hierarchy("1*", "2*1", "3*", "4*2"), "hl-parent", "HL02", 7),
    "a parent in the set before": (
        lambda: joined([*GOOD[:-2], BODY[0].replace("0007", "0008"), "HL*1*3*20", "SE*3*0008", "GE*2*42", GOOD[-1]]),
        "hl-parent",
        "HL02",
        16,
    ),
    "HL numbers with a gap": (lambda: replaced("HL*3*2*22", "HL*4*2*22"), "hl-number", "HL01", 9),
    "HL numbers from nought": (lambda: replaced("HL*1**20", "HL*0**20"), "hl-number", "HL01", 5),
    "a broken segment id": (lambda: replaced("DMG*D8", "dmg*D8"), "segment-id", "segment", 12),
    "an indented element": (lambda: replaced("DMG*D8", "*DMG*D8"), "segment-id", "segment", 12),
    "an empty segment": (lambda: replaced("DMG*D8", "~DMG*D8"), "empty-segment", "segment", 12),
    "a control character": (lambda: replaced("SYNTHETIC PAYER", "SYNTHETIC\x00PAYER"), "bad-character", "segment", 6),
    "a line broken inside an element": (lambda: replaced("TIC PAYER", "TIC\nPAYER"), "bad-character", "segment", 6),
    "a blank before a terminator": (lambda: replaced("SE*12*0007~", "SE*12*0007 ~"), "st02-se02", "SE02", 14),
    "no SE": (lambda: replaced("SE*12*0007~", ""), "no-se", "GE", 14),
    "no GE": (lambda: replaced("GE*1*42~", ""), "no-ge", "IEA", 15),
    "no GS": (lambda: replaced(GOOD[1] + "~", ""), "misplaced", "ST", 2),
    "no ST": (lambda: replaced(BODY[0] + "~", ""), "misplaced", "SE", 13),
    "no ISA": (lambda: joined(GOOD[1:]), "no-isa", "ISA", 0),
    "a second ST": (lambda: replaced(BODY[1], BODY[0]), "no-se", "ST", 4),
    "a second GS": (lambda: replaced("GE*1*42~", GOOD[1] + "~"), "no-ge", "GS", 15),
    "a second ISA inside": (lambda: replaced(BODY[1], ISA), "misplaced", "ISA", 4),
    "a group that ends twice": (lambda: replaced("GE*1*42~", "GE*1*42~GE*1*42~"), "misplaced", "GE", 16),
    "a set number twice": (lambda: joined([*GOOD[:-2], *BODY, "GE*2*42", GOOD[-1]]), "st02-repeated", "ST02", 15),
    "a group number twice": (lambda: joined([*GOOD[:-1], *GOOD[1:-1], "IEA*2*000000042"]), "gs06-repeated", "GS06", 16),
    "a group without sets": (lambda: joined([*GOOD[:2], "GE*0*42", GOOD[-1]]), "empty-group", "GE01", 3),
    "no group and no TA1": (lambda: joined([ISA, "IEA*0*000000042"]), "empty-interchange", "IEA01", 2),
    "a body segment outside a set": (lambda: replaced("GE*1*42~", "REF*1*2~GE*1*42~"), "misplaced", "REF", 15),
    "a TA1 inside a group": (lambda: replaced("GE*1*42~", "TA1*1~GE*1*42~"), "misplaced", "TA1", 15),
    "a TA1 inside a set": (lambda: replaced(BODY[1], "TA1*1"), "no-se", "TA1", 4),
    "text after IEA": (lambda: joined(GOOD) + b"\r\nBYE", "after-iea", "IEA", 17),
    "a NUL after IEA": (lambda: joined(GOOD) + b"\x00", "after-iea", "IEA", 17),
    "a second interchange": (lambda: joined(GOOD) * 2, "after-iea", "IEA", 17),
    "a segment after IEA": (lambda: joined([*GOOD, "REF*1"]), "after-iea", "IEA", 17),
    "an empty segment after IEA": (lambda: joined(GOOD) + b"~", "after-iea", "IEA", 17),
}  # fmt: skip


def hierarchy(*levels: str) -> bytes:
    """A set with these HL01*HL02 pairs."""
    body = [BODY[0], *(f"HL*{level}*20*1" for level in levels), f"SE*{len(levels) + 2}*0007"]
    return joined([*GOOD[:2], *body, *GOOD[-2:]])


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_reported_with_its_code_and_place(name: str) -> None:
    make, code, where, segment = DEFECTS[name]
    raw = make()
    error = refusal(raw)
    assert (error.code, error.where, error.segment) == (code, where, segment)
    assert 0 <= error.offset <= len(raw)
    assert f"segment {segment}, byte {error.offset}" in str(error)


def test_the_offset_of_an_error_points_at_its_segment() -> None:
    raw = b"\xef\xbb\xbf" + joined(GOOD, gap="\r\n  ").replace(b"SE*12*0007", b"SE*12*0009")
    assert raw[refusal(raw).offset :].startswith(b"SE*12*0009")


def test_the_offset_of_a_control_character_points_at_the_character() -> None:
    raw = joined(GOOD, gap="\r\n").replace(b"19710203", b"1971\x0b203")
    error = refusal(raw)
    assert error.code == "bad-character"
    assert raw[error.offset : error.offset + 1] == b"\x0b"


def test_a_truncated_interchange_is_reported_with_its_offset() -> None:
    raw = joined(GOOD)
    for length in range(1, len(raw)):
        error = refusal(raw[:length])
        assert (error.code, error.offset) == ("truncated", length)


def test_levels_may_be_siblings_and_a_parent_stays_open_for_them() -> None:
    raw = hierarchy("1*", "2*1", "3*2", "4*2", "5*1", "6*")
    assert len(read(raw).transactions[0].segments) == 8
    assert oracle_errors(raw) == []


def test_a_message_above_the_cap_is_refused_before_it_is_read() -> None:
    raw = joined(GOOD)
    assert read(raw, max_bytes=len(raw)).control_number == "000000042"
    with pytest.raises(X12Error, match="more than the 100") as caught:
        read(raw, max_bytes=100)
    assert caught.value.code == "too-large"
    assert refusal(b"ISA" * x12.MAX_BYTES).code == "too-large"


HOSTILE: dict[str, tuple[Callable[[int], bytes], str]] = {
    "blanks in front": (lambda size: b" " * size, "empty"),
    "empty segments": (lambda size: joined(GOOD[:1]) + b"~" * size, "empty-segment"),
    "empty elements": (lambda size: joined(GOOD[:3]) + b"*" * size, "truncated"),
    "tiny segments": (lambda size: joined(GOOD[:3]) + b"AB~" * (size // 3), "truncated"),
    "blanks between segments": (lambda size: joined(GOOD[:3]) + b" " * size, "truncated"),
    "blanks after the end": (lambda size: joined(GOOD) + b" " * size + b"x", "after-iea"),
    "a deep hierarchy that breaks": (
        lambda size: joined(
            [*GOOD[:3], *(f"HL*{n}*{n - 1 or ''}*20" for n in range(1, size // 20)), f"HL*{size // 20}*none*20"]
        ),
        "hl-parent",
    ),
    "a control character at the end of much": (
        lambda size: joined(
            [*GOOD[:3], *["REF*1*2"] * (size // 8), "REF*\x00", f"SE*{size // 8 + 3}*0007", *GOOD[-2:]]
        ),
        "bad-character",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_up_to_the_cap_is_refused_without_quadratic_work(name: str) -> None:
    make, code = HOSTILE[name]
    raw = make(x12.MAX_BYTES - 2000)
    assert len(raw) <= x12.MAX_BYTES
    assert refusal(raw).code == code


def test_a_deep_hierarchy_is_read() -> None:
    levels = [f"{n}*{n - 1 or ''}" for n in range(1, 20_001)]
    assert len(read(hierarchy(*levels)).transactions[0].segments) == 20_002


@pytest.mark.parametrize("name", DEFECTS)
def test_an_error_repeats_nothing_about_a_person(name: str) -> None:
    error = refusal_or_none(DEFECTS[name][0]())
    assert error is not None
    for word in PERSON:
        assert word not in str(error)
        assert word not in repr(error)


def test_a_name_in_the_place_of_a_segment_id_is_not_repeated() -> None:
    error = refusal(joined([*GOOD[:-2], "DOE*JANE", *GOOD[-2:]]))
    assert (error.code, error.where) == ("misplaced", "segment")
    assert "DOE" not in str(error)


def test_values_do_not_print_what_a_message_says() -> None:
    shown = repr(read(joined(GOOD)))
    assert "NM1" in shown
    assert not any(word in shown for word in PERSON)


# --- the oracle ------------------------------------------------------------------------------------------------


ORACLE_MUTATIONS = [
    ("SE*12*", "SE*11*", ("st", "4")),
    ("SE*12*0007", "SE*12*0008", ("st", "3")),
    ("GE*1*42", "GE*2*42", ("gs", "5")),
    ("GE*1*42", "GE*1*43", ("gs", "4")),
    ("IEA*1*", "IEA*3*", ("isa", "021")),
    ("IEA*1*000000042", "IEA*1*000000001", ("isa", "001")),
    ("HL*2*1*21", "HL*2*7*21", ("seg", "HL2")),
    ("HL*3*2*22", "HL*4*2*22", ("seg", "HL1")),
    ("DMG*D8", "dmg*D8", ("seg", "1")),
    ("IEA*1*000000042~", "", ("isa", "023")),
]


def test_the_oracle_finds_nothing_wrong_with_good_messages() -> None:
    assert oracle_errors(joined(GOOD)) == []
    assert oracle_errors(joined(GOOD, gap="\r\n")) == []


@pytest.mark.parametrize(("old", "new", "expected"), ORACLE_MUTATIONS)
def test_what_the_oracle_reports_is_reported_here_too(old: str, new: str, expected: tuple[str, str]) -> None:
    raw = replaced(old, new)
    assert expected in oracle_errors(raw)
    assert isinstance(refusal_or_none(raw), X12Error)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_the_oracle_rejects_is_never_accepted_here(data: st.DataObject) -> None:
    segments = list(GOOD)
    at = data.draw(st.integers(1, len(segments) - 1))
    match data.draw(st.sampled_from(["drop", "repeat", "swap", "digit"])):
        case "drop":
            del segments[at]
        case "repeat":
            segments.insert(at, segments[at])
        case "swap":
            other = data.draw(st.integers(1, len(segments) - 1))
            segments[at], segments[other] = segments[other], segments[at]
        case "digit":
            segments[at] = segments[at].replace("1", "2")
    raw = joined(segments)
    if refusal_or_none(raw) is None:
        assert oracle_errors(raw) == []


def refusal_or_none(raw: bytes) -> X12Error | None:
    try:
        read(raw)
    except X12Error as error:
        return error
    return None


# --- writing ---------------------------------------------------------------------------------------------------

CREATED = datetime(2026, 6, 1, 22, 15, 30, tzinfo=UTC)


def written(*lines: x12.Line, separators: Separators = x12.DEFAULT_SEPARATORS) -> bytes:
    return write(
        [Draft("271", lines, "0009")],
        sender="SENDER",
        receiver="RECEIVER",
        control_number=42,
        created=CREATED,
        functional_id="HB",
        version="005010X279A1",
        separators=separators,
    )


def test_the_writer_fills_counts_and_repeats_numbers() -> None:
    raw = written(("BHT", "0022", "11"), ("HL", "1", "", "20", "0"))
    assert raw.decode().split("~") == [
        "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260601*2215*^*00501*000000042*0*T*:",
        "GS*HB*SENDER*RECEIVER*20260601*221530*42*X*005010X279A1",
        "ST*271*0009*005010X279A1",
        "BHT*0022*11",
        "HL*1**20*0",
        "SE*4*0009",
        "GE*1*42",
        "IEA*1*000000042",
        "",
    ]
    assert oracle_errors(raw) == []


def test_times_are_written_in_utc() -> None:
    local = CREATED.astimezone(timezone(timedelta(hours=-5)))
    raw = write(
        [Draft("271", ())],
        sender="A",
        receiver="B",
        control_number=1,
        created=local,
        functional_id="HB",
        version="005010",
    )
    assert b"*260601*2215*" in raw
    assert b"*20260601*221530*" in raw


def test_an_interchange_of_acknowledgements_alone_can_be_written() -> None:
    line = ("TA1", "000000042", "260601", "2215", "R", "024")
    raw = write([], sender="A", receiver="B", control_number=9, created=CREATED, acknowledgements=[line])
    assert read(raw).acknowledgements[0].elements == line[1:]


def test_composites_and_repetitions_are_written_with_their_separators() -> None:
    raw = written(("EB", "1", Repeated(("30", Composite(("35", "", "X", "")))), Composite(("HC", "99203")), ""))
    assert b"~EB*1*30^35::X*HC:99203~" in raw


UNWRITABLE: dict[str, tuple[x12.Line, str, str]] = {
    "an element separator": (("NM1", "A*B"), "separator-in-element", "NM101"),
    "a terminator": (("NM1", "", "A~B"), "separator-in-element", "NM102"),
    "a component separator": (("NM1", Repeated(("A:B",))), "separator-in-element", "NM101"),
    "a repetition separator": (("NM1", Composite(("A^B",))), "separator-in-element", "NM101"),
    "a line end": (("NM1", "A\nB"), "bad-character", "NM101"),
    "a letter beyond ISO 8859-1": (("NM1", "Ł"), "bad-character", "NM101"),
    "a long id": (("NM12", "A"), "segment-id", "segment"),
    "no id": ((), "segment-id", "segment"),
}


@pytest.mark.parametrize("name", UNWRITABLE)
def test_what_x12_cannot_express_is_refused_and_never_changed(name: str) -> None:
    line, code, where = UNWRITABLE[name]
    with pytest.raises(X12Error) as caught:
        written(("BHT", "0022"), line)
    assert (caught.value.code, caught.value.where, caught.value.segment) == (code, where, 5)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("control_number", 0, "control-number"),
        ("control_number", 1_000_000_000, "control-number"),
        ("sender", "", "isa-width"),
        ("sender", "SIXTEEN-LETTERS-", "isa-width"),
        ("receiver", " PADDED", "isa-width"),
        ("sender_qualifier", "Z", "isa-width"),
        ("usage", "X", "isa15"),
        ("created", datetime(2026, 6, 1), "isa-date"),  # noqa: DTZ001 - a time without an offset is the point
        ("separators", Separators(repetition=""), "separators"),
        ("sender", "A*B", "separator-in-element"),
    ],
)
def test_an_envelope_that_cannot_be_is_refused(field: str, value: object, code: str) -> None:
    arguments: dict[str, object] = {
        "sender": "A",
        "receiver": "B",
        "control_number": 1,
        "created": CREATED,
        "functional_id": "HB",
        "version": "005010",
    }
    with pytest.raises(X12Error) as caught:
        write([Draft("271", ())], **(arguments | {field: value}))  # type: ignore[arg-type]
    assert caught.value.code == code


@pytest.mark.parametrize("chosen", ["**:~", "*^:*", "*^ ~", "*^:é", "*^:7", "*^:\x00"])
def test_separators_that_cannot_work_are_refused(chosen: str) -> None:
    with pytest.raises(X12Error, match="ISA") as caught:
        Separators(*chosen)
    assert caught.value.code == "separators"


def test_a_separator_is_one_character() -> None:
    with pytest.raises(X12Error):
        Separators(element="", segment="~|")


TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="*^:~\x7f"), max_size=12)
ELEMENTS = st.lists(TEXT, max_size=6)
SETS = st.lists(st.tuples(st.sampled_from(["REF", "N3", "MSG", "XYZ"]), ELEMENTS), max_size=8)
SEPARATORS = st.sampled_from(
    [Separators(), Separators("|", "^", ":", "\n"), Separators("*", "\x1e", "\x1f", "\x1d"), Separators(segment="\r")]
)


@settings(max_examples=200, deadline=None)
@given(SETS, SEPARATORS)
def test_what_is_written_is_read_back(lines: list[tuple[str, list[str]]], separators: Separators) -> None:
    lines = [(name, [text.replace("|", "") for text in texts]) for name, texts in lines]
    raw = written(*((name, *texts) for name, texts in lines), separators=separators)
    transaction = read(raw).transactions[0]
    assert read(raw).separators == separators
    assert [(s.id, list(s.elements)) for s in transaction.segments[1:-1]] == [
        (name, without_empty_end(texts)) for name, texts in lines
    ]


def without_empty_end(texts: list[str]) -> list[str]:
    while texts and not texts[-1]:
        texts = texts[:-1]
    return texts


# --- fuzz ------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_reading_any_bytes_raises_nothing_but_the_typed_error(noise: bytes, after_isa: bool) -> None:
    refusal_or_none((ISA.encode() + b"~" if after_isa else b"") + noise)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_reading_a_damaged_message_raises_nothing_but_the_typed_error(data: st.DataObject) -> None:
    raw = bytearray(joined(GOOD, gap=data.draw(st.sampled_from(["", "\r\n"]))))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        length = data.draw(st.integers(0, 8))
        raw[start : start + length] = data.draw(
            st.one_of(st.binary(max_size=6), st.sampled_from([b"~", b"*", b"HL*", b"SE*"]))
        )
    error = refusal_or_none(bytes(raw))
    if error is not None:
        assert error.code
        assert 0 <= error.offset <= len(raw)
        assert not any(word in str(error) for word in PERSON)
