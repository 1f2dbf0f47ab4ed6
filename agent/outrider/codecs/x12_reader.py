"""Bytes -> X12 interchange: split, checked, and refused with a place if anything does not hold together.

Rules
-----
1. Separators come from their places in ISA, whose elements have fixed widths.
2. Tolerated, because it changes no value: a byte order mark, blanks and line ends before a segment and after IEA,
   empty elements at the end of a segment, leading zeros in a count. Nothing else is.
3. An interchange is one ISA to one IEA; whatever follows is an error, and so is a missing last terminator. Several
   interchanges in one transmission are read by `read_transmission` alone, for answers that are made of them.
4. Numbers that are repeated must be repeated exactly: ISA13 in IEA02, GS06 in GE02, ST02 in SE02, GS08 in ST03.
   Counts must be right: IEA01 groups, GE01 sets, SE01 segments. GS01 must suit ST01.
5. HL has HL01 to HL03 at least. HL01 counts from 1 without a gap. A parent is an earlier level that is still open:
   once a sibling has begun, nothing hangs below the elder.
6. The first error in reading order is the one reported; control characters inside elements are looked for last.
   Errors never repeat what stood in the message.

Work is linear in the size of the input, which is capped. Speed matters, since the load test reads every answer:
one split per segment, no per-character work, and body segments pass without a method call.

Source: X12.5, X12.6, appendices B and C of the 005010 guides.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from outrider.codecs.x12_model import (
    NO_REPETITION,
    FunctionalGroup,
    Interchange,
    Segment,
    Separators,
    Transaction,
    X12Error,
)

MAX_BYTES = 1 << 20
"""The default cap, 1 MiB: far above any real-time answer."""

KNOWN_SEGMENTS = frozenset({
    "AAA", "AK1", "AK2", "AK9", "AMT", "BHT", "CAS", "CLM", "CLP", "CTX", "DMG", "DTM", "DTP", "EB",
    "EQ", "GE", "GS", "HCP", "HCR", "HI", "HL", "HSD", "IEA", "III", "IK3", "IK4", "IK5", "INS",
    "ISA", "LE", "LQ", "LS", "LX", "MPI", "MSG", "N1", "N3", "N4", "NM1", "OI", "PAT", "PER",
    "PRV", "PWK", "QTY", "REF", "SBR", "SE", "ST", "STC", "SV1", "SV2", "SVC", "SVD", "TA1", "TRN",
    "UM",
})  # fmt: skip
"""Ids that may be named in an error. Any other could be a piece of a broken name."""


_ISA_LENGTH = 106
_ISA_WIDTHS = (3, 2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1)
_BOM = b"\xef\xbb\xbf"
_BLANKS = " \t\r\n"
_SEGMENT_ID = re.compile(r"[A-Z][A-Z0-9]{1,2}")
_CONTROLS = bytes((*range(0x20), 0x7F))
_PRINTABLE = bytes(byte for byte in range(256) if byte not in _CONTROLS)
_NAMED_GUIDE = re.compile(r"00[5-9]\d{3}X\w+")
_FUNCTIONAL_IDS = {
    "270": "HS", "271": "HB", "276": "HR", "277": "HN", "278": "HI",
    "820": "RA", "834": "BE", "835": "HP", "837": "HC", "997": "FA", "999": "FA",
}  # fmt: skip


def read(raw: bytes, *, max_bytes: int = MAX_BYTES) -> Interchange:
    """Read one whole interchange. Raises X12Error, and nothing else, if it is not exactly that."""
    if len(raw) > max_bytes:
        raise X12Error("too-large", f"{len(raw)} bytes, more than the {max_bytes} that are read")
    text = raw.decode("latin-1")
    start = _start(raw, text)
    isa, alphabet = _read_isa(text, start)
    assembly = _Assembly(isa, alphabet.separators)
    blanks = alphabet.blanks
    pieces = text[start:].split(alphabet.separators.segment)
    tail = pieces.pop()
    bodies = [piece.lstrip(blanks) for piece in pieces]
    taken, end = assembly.take(pieces, bodies, start)
    _check_end(text, end, closed=assembly.closed, unterminated=bool(tail.strip(_BLANKS)), number=taken + 1)
    _check_characters(raw, bodies, alphabet.legal)
    return assembly.interchange()


def read_transmission(raw: bytes, *, most: int = 3, max_bytes: int = MAX_BYTES) -> tuple[Interchange, ...]:
    """Read one to `most` whole interchanges, one after another, each with separators of its own.

    Raises X12Error as `read` does, and nothing else: "after-iea" for what follows and is no interchange, or is one too
    many, "isa13-repeated" where two have one control number. Offsets are those in `raw`, segments count anew in each.
    """
    if len(raw) > max_bytes:
        raise X12Error("too-large", f"{len(raw)} bytes, more than the {max_bytes} that are read")
    found: dict[str, Interchange] = {}
    start = 0
    while True:
        # Blanks before ISA change nothing, so that they stand in for what is read already and offsets stay right.
        rest = b" " * start + raw[start:]
        try:
            last, end = read(rest, max_bytes=max_bytes), len(raw)
        except X12Error as error:
            if error.code != "after-iea" or len(found) + 1 >= most or not raw.startswith(b"ISA", error.offset):
                raise
            end = error.offset
            last = read(rest[:end], max_bytes=max_bytes)
        if last.control_number in found:
            raise X12Error("isa13-repeated", "an earlier interchange has the same control number", "ISA13", 1, start)
        found[last.control_number] = last
        if end == len(raw):
            return tuple(found.values())
        start = end


class _Alphabet(NamedTuple):
    """The separators, the blanks that may stand before a segment, and every byte that may stand in a message."""

    separators: Separators
    blanks: str
    legal: bytes


def _start(raw: bytes, text: str) -> int:
    """The offset of ISA."""
    if text.startswith("ISA"):
        return 0
    mark = len(_BOM) if raw.startswith(_BOM) else 0
    start = len(text) - len(text[mark:].lstrip(_BLANKS))
    if start == len(text):
        raise X12Error("empty", "there is nothing but blanks", "ISA")
    if not text.startswith("ISA", start):
        if "ISA".startswith(text[start:]):
            raise X12Error("truncated", "the message ends inside ISA", "ISA", 1, len(text))
        raise X12Error("no-isa", "this is not X12: it does not begin with ISA", "ISA", 0, start)
    return start


def _read_isa(text: str, start: int) -> tuple[list[str], _Alphabet]:
    """ISA as its 17 parts (the id first), and what follows from the separators in their places."""
    head = text[start : start + _ISA_LENGTH - 1]
    if len(text) < start + _ISA_LENGTH:
        raise X12Error("truncated", "the message ends inside ISA", "ISA", 1, len(text))
    isa = head.split(head[3])
    if tuple(map(len, isa)) != _ISA_WIDTHS:
        raise X12Error("isa-width", "the elements of ISA do not have their fixed widths", "ISA", 1, start)
    repetition = isa[11] if isa[12] > "00401" else NO_REPETITION
    alphabet = _alphabet(head[3], repetition, isa[16], text[start + _ISA_LENGTH - 1])
    is_repeated = repetition and head.count(repetition) != 1
    if is_repeated or head.count(isa[16]) != 1 or alphabet.separators.segment in head:
        raise X12Error("separators", "a separator also stands inside an element of ISA", "ISA", 1, start)
    if not (isa[9] + isa[10] + isa[12] + isa[13] + isa[14]).isdecimal():
        wrong = next(n for n in (9, 10, 12, 13, 14) if not isa[n].isdecimal())
        raise X12Error("isa-digits", "must be digits", f"ISA{wrong:02d}", 1, start)
    if isa[15] not in ("T", "P"):
        raise X12Error("isa15", "the usage indicator is neither T nor P", "ISA15", 1, start)
    return isa, alphabet


@functools.lru_cache(maxsize=64)
def _alphabet(element: str, repetition: str, component: str, segment: str) -> _Alphabet:
    """Partners keep their separators, so checking them once is enough."""
    separators = Separators(element, repetition, component, segment)
    blanks = "".join(blank for blank in _BLANKS if blank not in separators.characters)
    return _Alphabet(separators, blanks, _PRINTABLE + separators.characters.encode())


def _check_end(text: str, end: int, *, closed: bool, unterminated: bool, number: int) -> None:
    """After IEA there is nothing; before it there is more to come."""
    if closed:
        rest = text[end:].lstrip(_BLANKS)
        if rest:
            raise X12Error(
                "after-iea", "something follows the end of the interchange", "IEA", number, len(text) - len(rest)
            )
    elif unterminated:
        raise X12Error("truncated", "the message ends inside a segment", "segment", number, len(text))
    else:
        raise X12Error("truncated", "the message ends before IEA", "IEA", number, len(text))


def _check_characters(raw: bytes, bodies: list[str], legal: bytes) -> None:
    """No control characters but the separators; line ends between segments are gone from `bodies` already."""
    if not raw.translate(None, legal) or not "".join(bodies).encode("latin-1").translate(None, legal):
        return
    offset = 0
    for number, body in enumerate(filter(None, bodies), 1):
        offset = raw.index(body.encode("latin-1"), offset)
        bad = body.encode("latin-1").translate(None, legal)
        if bad:
            what = f"a control character (0x{bad[0]:02x}) in an element"
            raise X12Error("bad-character", what, "segment", number, offset + body.index(chr(bad[0])))
        offset += len(body)


class _Assembly:
    """The envelope's state while segments arrive. Each control segment has a method; the rest is only collected.

    A body segment outside ST..SE is noticed by the next control segment, which finds `body` not empty: that
    keeps the check off the path that every body segment takes.
    """

    def __init__(self, isa: list[str], separators: Separators) -> None:
        self.isa = isa
        self.separators = separators
        self.closed = False
        self.groups: list[FunctionalGroup] = []
        self.acknowledgements: list[Segment] = []
        self.gs: Segment | None = None
        self.st: Segment | None = None
        self.transactions: list[Transaction] = []
        self.body: list[Segment] = []
        self.set_numbers: set[str] = set()
        self.group_numbers: set[str] = set()
        self.hl_count = 0
        self.hl_open: list[str] = []

    def take(self, pieces: list[str], bodies: list[str], offset: int) -> tuple[int, int]:
        """Take the segments up to IEA; `offset` is that of the first. Returns how many, and the offset after them."""
        cut = self.separators.element
        control = _CONTROL
        plain = _PLAIN_SEGMENTS
        append = self.body.append
        make = tuple.__new__  # what Segment(...) comes to, at half the time
        number = 0
        for piece, body in zip(pieces, bodies, strict=True):
            number += 1
            parts = body.split(cut)
            name = parts[0]
            offset += len(piece)
            segment = make(Segment, (name, tuple(parts), number, offset - len(body)))
            offset += 1
            if name in plain:
                append(segment)
            elif name in control:
                control[name](self, segment)
                if self.closed:
                    break
            elif _SEGMENT_ID.fullmatch(name):
                append(segment)
            elif not body and self.separators.segment in _BLANKS:
                number -= 1  # a blank line where line ends terminate
            else:
                code = "segment-id" if body else "empty-segment"
                raise _error(code, "a segment begins with an id of two or three capitals or digits", segment)
        return number, offset

    def interchange(self) -> Interchange:
        isa = self.isa
        return Interchange(
            isa[5], isa[6].rstrip(), isa[7], isa[8].rstrip(), isa[13], isa[15], isa[12], self.separators,
            tuple(self.groups), tuple(self.acknowledgements),
        )  # fmt: skip

    def _isa(self, segment: Segment) -> None:
        if segment.number > 1:
            raise _error("misplaced", "a second interchange begins inside the first", segment)

    def _ta1(self, segment: Segment) -> None:
        self._must_be_between_sets(segment)
        if self.gs is not None or self.groups:
            raise _error("misplaced", "TA1 stands between ISA and the first group", segment)
        self.acknowledgements.append(segment)

    def _gs(self, segment: Segment) -> None:
        self._must_be_between_sets(segment)
        if self.gs is not None:
            raise _error("no-ge", "a group begins before the last one ended", segment)
        _count_elements(segment, 8, 8)
        number = segment.parts[6]
        if not number.isdecimal() or len(number) > 9:
            raise _error("gs06", "the group control number is not one to nine digits", segment, 6)
        if number in self.group_numbers:
            raise _error("gs06-repeated", "an earlier group has the same control number", segment, 6)
        self.group_numbers.add(number)
        self.gs = segment
        self.transactions = []
        self.set_numbers = set()

    def _st(self, segment: Segment) -> None:
        self._must_be_between_sets(segment)
        if self.gs is None:
            raise _error("misplaced", "a transaction set stands outside a group", segment)
        _count_elements(segment, 2, 3)
        set_id, number = segment.parts[1:3]
        if len(set_id) != 3 or not set_id.isdecimal():
            raise _error("st01", "the set id is not three digits", segment, 1)
        if self.gs.parts[1] != _FUNCTIONAL_IDS.get(set_id, self.gs.parts[1]):
            raise _error("gs01-st01", "GS01 announces another kind of set", segment, 1)
        if not number or number in self.set_numbers:
            raise _error("st02-repeated", "the set control number is empty or that of an earlier set", segment, 2)
        version = self.gs.parts[8]
        if segment.get(3) != version and (segment.get(3) or _NAMED_GUIDE.fullmatch(version)):
            raise _error("gs08-st03", "ST03 does not repeat GS08", segment, 3)
        self.set_numbers.add(number)
        self.st = segment
        self.body.append(segment)
        self.hl_count = 0
        self.hl_open = []

    def _hl(self, segment: Segment) -> None:
        self.body.append(segment)
        self.hl_count += 1
        parts = segment.parts
        if len(parts) < 4:
            raise _error("element-count", "a level has a number, a parent and a code", segment)
        own, parent = parts[1], parts[2]
        if own != str(self.hl_count):
            raise _error("hl-number", f"HL01 does not count on; level {self.hl_count} begins here", segment, 1)
        is_open = self.hl_open
        if not parent:
            is_open.clear()
        else:
            while is_open and is_open[-1] != parent:
                is_open.pop()
            if not is_open:
                raise _error("hl-parent", "HL02 names no earlier level that is still open", segment, 2)
        is_open.append(own)

    def _se(self, segment: Segment) -> None:
        if self.st is None or self.gs is None:
            raise _error("misplaced", "a transaction set ends that did not begin", segment)
        _count_elements(segment, 2, 2)
        self.body.append(segment)
        _check_count("se01-count", segment, len(self.body), "segments")
        if segment.parts[2] != self.st.parts[2]:
            raise _error("st02-se02", "SE02 does not repeat ST02", segment, 2)
        _, set_id, number, *_ = self.st.parts
        self.transactions.append(Transaction(set_id, number, self.gs.parts[8], tuple(self.body)))
        self.body.clear()
        self.st = None

    def _ge(self, segment: Segment) -> None:
        self._must_be_between_sets(segment)
        if self.gs is None:
            raise _error("misplaced", "a group ends that did not begin", segment)
        _count_elements(segment, 2, 2)
        _check_count("ge01-count", segment, len(self.transactions), "transaction sets")
        opening = self.gs.parts
        if segment.parts[2] != opening[6]:
            raise _error("ge02-gs06", "GE02 does not repeat GS06", segment, 2)
        if not self.transactions:
            raise _error("empty-group", "the group holds no transaction set", segment, 1)
        sets = tuple(self.transactions)
        self.groups.append(FunctionalGroup(opening[1], opening[2], opening[3], opening[6], opening[8], sets))
        self.gs = None

    def _iea(self, segment: Segment) -> None:
        self._must_be_between_sets(segment)
        if self.gs is not None:
            raise _error("no-ge", "the interchange ends before its group", segment)
        _count_elements(segment, 2, 2)
        _check_count("iea01-count", segment, len(self.groups), "groups")
        if segment.parts[2] != self.isa[13]:
            raise _error("iea02-isa13", "IEA02 does not repeat ISA13", segment, 2)
        if not self.groups and not self.acknowledgements:
            raise _error("empty-interchange", "the interchange holds neither a group nor a TA1", segment, 1)
        self.closed = True

    def _must_be_between_sets(self, segment: Segment) -> None:
        if self.st is not None:
            raise _error("no-se", "the transaction set before it has no SE", segment)
        if self.body:
            raise _error("misplaced", "a segment stands outside a transaction set", self.body[0])


_CONTROL = {
    "ISA": _Assembly._isa, "TA1": _Assembly._ta1, "GS": _Assembly._gs, "ST": _Assembly._st, "HL": _Assembly._hl,
    "SE": _Assembly._se, "GE": _Assembly._ge, "IEA": _Assembly._iea,
}  # fmt: skip
_PLAIN_SEGMENTS = KNOWN_SEGMENTS - _CONTROL.keys()
"""Those that say nothing about the structure."""


def _check_count(code: str, segment: Segment, counted: int, what: str) -> None:
    said = segment.parts[1]
    if said != str(counted) and not (len(said) <= 10 and said.isdecimal() and int(said) == counted):
        raise _error(code, f"the count is wrong: {counted} {what} counted", segment, 1)


def _count_elements(segment: Segment, fewest: int, most: int) -> None:
    found = len(segment.parts) - 1
    if found < fewest or found > most:
        expected = str(most) if fewest == most else f"{fewest} to {most}"
        raise _error("element-count", f"{expected} elements expected, {found} found", segment)


def _error(code: str, what: str, segment: Segment, element: int = 0) -> X12Error:
    name = segment.id if segment.id in KNOWN_SEGMENTS else "segment"
    where = f"{name}{element:02d}" if element else name
    return X12Error(code, what, where, segment.number, segment.offset)
