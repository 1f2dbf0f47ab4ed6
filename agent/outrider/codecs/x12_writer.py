"""X12 interchange -> bytes.

Rules
-----
1. The writer fills in every count and every number that is repeated; its caller cannot get them wrong.
2. An element that holds a separator or a control character is refused, never escaped: X12 has no escape.
3. Empty elements at the end of a segment are left out, as the standard asks.
4. No line ends between segments.

Source: X12.5, X12.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from outrider.codecs.x12_model import DEFAULT_SEPARATORS, NO_REPETITION, Separators, X12Error

_SEGMENT_ID = re.compile(r"[A-Z][A-Z0-9]{1,2}")
_UNWRITABLE = r"\x00-\x1f\x7f\u0100-\U0010ffff"


@dataclass(frozen=True, slots=True)
class Composite:
    """An element made of components."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """An element that occurs several times."""

    values: tuple[str | Composite, ...]


Element: TypeAlias = str | Composite | Repeated
Line: TypeAlias = Sequence[Element]
"""A segment to write: its id, then its elements."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A transaction set to write; `lines` is what stands between ST and SE."""

    set_id: str
    lines: tuple[Line, ...]
    control_number: str = "0001"


@dataclass(frozen=True, slots=True)
class DraftGroup:
    """A functional group to write; GS06 is the interchange's control number where it is None."""

    functional_id: str
    version: str
    drafts: tuple[Draft, ...]
    control_number: int | None = None


def write(
    drafts: Sequence[Draft],
    *,
    sender: str,
    receiver: str,
    control_number: int,
    created: datetime,
    functional_id: str = "",
    version: str = "",
    usage: str = "T",
    sender_qualifier: str = "ZZ",
    receiver_qualifier: str = "ZZ",
    acknowledgements: Iterable[Line] = (),
    separators: Separators = DEFAULT_SEPARATORS,
) -> bytes:
    """Build an interchange of one group, or of TA1 `acknowledgements` alone if there are no drafts.

    `created` is aware and is written in UTC; `control_number` (1 to 999999999) goes into ISA13 and GS06.
    Raises X12Error, with the number of the segment as it would have been written.
    """
    return write_groups(
        [DraftGroup(functional_id, version, tuple(drafts))] if drafts else [],
        sender=sender,
        receiver=receiver,
        control_number=control_number,
        created=created,
        usage=usage,
        sender_qualifier=sender_qualifier,
        receiver_qualifier=receiver_qualifier,
        acknowledgements=acknowledgements,
        separators=separators,
    )


def write_groups(
    groups: Sequence[DraftGroup],
    *,
    sender: str,
    receiver: str,
    control_number: int,
    created: datetime,
    usage: str = "T",
    sender_qualifier: str = "ZZ",
    receiver_qualifier: str = "ZZ",
    acknowledgements: Iterable[Line] = (),
    separators: Separators = DEFAULT_SEPARATORS,
) -> bytes:
    """Build an interchange of several groups, which need control numbers of their own; see `write`."""
    if separators.repetition == NO_REPETITION:
        raise X12Error("separators", "version 00501 needs a repetition separator", "ISA11", 1)
    page = _Page(separators)
    page.add_isa(
        sender_qualifier=sender_qualifier,
        sender=sender,
        receiver_qualifier=receiver_qualifier,
        receiver=receiver,
        control_number=control_number,
        created=created,
        usage=usage,
    )
    for line in acknowledgements:
        page.add(line)
    moment = created.astimezone(UTC)
    dates = (moment.strftime("%Y%m%d"), moment.strftime("%H%M%S"))
    for group in groups:
        number = str(group.control_number or control_number)
        page.add(("GS", group.functional_id, sender, receiver, *dates, number, "X", group.version))
        for draft in group.drafts:
            page.add_set(draft, group.version)
        page.add(("GE", str(len(group.drafts)), number))
    page.add(("IEA", str(len(groups)), f"{control_number:09d}"))
    return page.content()


class _Page:
    """Segments as text, in the order of writing."""

    def __init__(self, separators: Separators) -> None:
        self.separators = separators
        self.texts: list[str] = []
        self.chosen = separators.characters
        self.unfit = re.compile(f"[{_UNWRITABLE}{re.escape(self.chosen)}]")

    def content(self) -> bytes:
        end = self.separators.segment
        return (end.join(self.texts) + end).encode("latin-1")

    def add_isa(
        self,
        *,
        sender_qualifier: str,
        sender: str,
        receiver_qualifier: str,
        receiver: str,
        control_number: int,
        created: datetime,
        usage: str,
    ) -> None:
        if not 1 <= control_number <= 999_999_999:
            raise X12Error("control-number", "the control number is not between 1 and 999999999", "ISA13", 1)
        if created.tzinfo is None:
            raise X12Error("isa-date", "the time of creation has no offset; give an aware time in UTC", "ISA09", 1)
        if usage not in ("T", "P"):
            raise X12Error("isa15", "the usage indicator is neither T nor P", "ISA15", 1)
        for n, qualifier in ((5, sender_qualifier), (7, receiver_qualifier)):
            if len(qualifier) != 2:
                raise X12Error("isa-width", "a qualifier has two characters", f"ISA{n:02d}", 1)
        for n, party in ((6, sender), (8, receiver)):
            if not 1 <= len(party) <= 15 or party != party.strip():
                raise X12Error("isa-width", "an id has 1 to 15 characters, no blanks around it", f"ISA{n:02d}", 1)
        moment = created.astimezone(UTC)
        texts = (
            "ISA", "00", " " * 10, "00", " " * 10, sender_qualifier, sender.ljust(15), receiver_qualifier,
            receiver.ljust(15), moment.strftime("%y%m%d"), moment.strftime("%H%M"),
        )  # fmt: skip
        checked = [self._plain(text, 1, "ISA", n) for n, text in enumerate(texts)]
        rest = (self.separators.repetition, "00501", f"{control_number:09d}", "0", usage, self.separators.component)
        self.texts.append(self.separators.element.join((*checked, *rest)))

    def add_set(self, draft: Draft, version: str) -> None:
        self.add(("ST", draft.set_id, draft.control_number, version))
        for line in draft.lines:
            self.add(line)
        self.add(("SE", str(len(draft.lines) + 2), draft.control_number))

    def add(self, line: Line) -> None:
        number = len(self.texts) + 1
        name = line[0] if line else ""
        if not isinstance(name, str) or not _SEGMENT_ID.fullmatch(name):
            raise X12Error(
                "segment-id", "a segment begins with an id of two or three capitals or digits", "segment", number
            )
        texts = [self._element(element, number, name, n) for n, element in enumerate(line)]
        while not texts[-1]:
            texts.pop()
        self.texts.append(self.separators.element.join(texts))

    def _element(self, element: Element, number: int, name: str, n: int) -> str:
        if isinstance(element, str):
            return self._plain(element, number, name, n)
        if isinstance(element, Composite):
            parts = [self._plain(part, number, name, n) for part in element.parts]
            while parts and not parts[-1]:
                parts.pop()
            return self.separators.component.join(parts)
        return self.separators.repetition.join(self._element(value, number, name, n) for value in element.values)

    def _plain(self, text: str, number: int, name: str, n: int) -> str:
        unfit = self.unfit.search(text)
        if unfit is None:
            return text
        where = f"{name}{n:02d}"
        if unfit[0] in self.chosen:
            raise X12Error(
                "separator-in-element", "the value holds a separator; choose other separators", where, number
            )
        raise X12Error("bad-character", "the value holds a control character or is not ISO 8859-1", where, number)
