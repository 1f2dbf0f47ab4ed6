"""What the tests of the X12 codecs share: messages taken apart, edited and counted anew; acknowledgements; pyx12."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from pyx12.params import params
from pyx12.x12file import X12Reader
from pyx12.x12n_document import x12n_document

from outrider.codecs import x12

CREATED = datetime(2026, 6, 1, 22, 15, 30, tzinfo=UTC)


def lines(raw: bytes) -> list[str]:
    """The segments between ST and SE."""
    return raw.decode().split("~")[3:-4]


def edited(raw: bytes, *changes: tuple[str, str]) -> bytes:
    """The message with segments changed, and SE01 counted anew. A change to "" takes the segment out."""
    text = raw.decode()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old + "~", new + "~" if new else "")
    segments = text.split("~")
    start = next(n for n, segment in enumerate(segments) if segment.startswith("ST*"))
    end = next(n for n, segment in enumerate(segments) if segment.startswith("SE*"))
    segments[end] = f"SE*{end - start + 1}*{segments[end].split('*')[2]}"
    return "~".join(segments).encode()


def acknowledged(*body: str) -> bytes:
    """A 999 with this body."""
    drafts = [x12.Draft("999", tuple(line.split("*") for line in body))]
    return x12.write(
        drafts,
        sender="CLEARING",
        receiver="OUTRIDER",
        control_number=78,
        created=CREATED,
        functional_id="FA",
        version="005010X231A1",
    )


def ta1(line: str) -> bytes:
    return x12.write(
        [],
        sender="CLEARING",
        receiver="OUTRIDER",
        control_number=79,
        created=CREATED,
        acknowledgements=[line.split("*")],
    )


def oracle_errors(raw: bytes) -> list[object]:
    reader = X12Reader(io.StringIO(raw.decode()))
    errors: list[object] = []
    for _segment in reader:
        errors += reader.pop_errors()
    reader.cleanup()
    errors += reader.pop_errors()
    return errors


def guide_errors(raw: bytes) -> list[str]:
    """What pyx12, by its map of the guide, has against a message: the IK3, IK4, IK5 and AK9 of its 999 that reject."""
    is_right, segments = _judged_by_the_map(raw)
    told = [each for each in segments if each.startswith(("IK3", "IK4", "IK5*R", "AK9*R"))]
    return told or ([] if is_right else ["rejected"])


def guide_verdicts(raw: bytes, bodies: list[list[str]]) -> list[bool]:
    """Which bodies, put between ST and SE of a message, pyx12's map takes. All in one go: it loads its map slowly."""
    isa, gs, st, *_, _ge, iea, _ = raw.decode().split("~")
    opening, name, version = st.split("*")[1], gs.split("*")[6], gs.split("*")[8]
    sets = [
        "~".join([f"ST*{opening}*{n:04d}*{version}", *body, f"SE*{len(body) + 2}*{n:04d}"])
        for n, body in enumerate(bodies, 1)
    ]
    _, segments = _judged_by_the_map("~".join([isa, gs, *sets, f"GE*{len(sets)}*{name}", iea, ""]).encode())
    verdicts = [each.split("*")[1] == "A" for each in segments if each.startswith("IK5")]
    assert len(verdicts) == len(bodies)
    return verdicts


def _judged_by_the_map(raw: bytes) -> tuple[bool, list[str]]:
    """pyx12's verdict, and the segments of its 999."""
    answer = io.StringIO()
    is_right = x12n_document(params(), io.StringIO(raw.decode()), answer, None)
    return bool(is_right), answer.getvalue().replace("\n", "").split("~")
