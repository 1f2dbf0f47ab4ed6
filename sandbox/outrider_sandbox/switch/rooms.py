"""A card switch: ISO 8583 over TCP, of 1987 or 1993 as the message type says.

| Message | Answer |
|---|---|
| 0800, 1804 network management | 0810, 1814: 00, 800 |
| 0100, 1100 authorization | 0110, 1110: 00, 000 and an approval code; declined by card or by the end of the amount |
| 0400, 0420, 1420 reversal, and repeats | 0410, 0430, 1430: 00, 400; 25, 914 where there is nothing to reverse |
| anything else | 12, 902 |

Rules
-----
1. A message that lacks a field it needs is answered with 30 or 904. One that cannot be read ends the connection.
2. Published test cards only (`outrider_sandbox.cards`); no other number is accepted, or kept.
3. The fault `response_code` puts a code in place of field 39. A code that declines or refuses declines: nothing is
   done. With any other one (91, 96, ...) what was asked for has been done by then.
4. The fault `wrong_stan` answers somebody else's question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from outrider.codecs import iso8583
from outrider.codecs import iso8583_fields as numbers
from outrider.codecs.framing import FramingError
from outrider.codecs.iso8583_framing import Framing
from outrider.codecs.iso8583_responses import NOTHING_DONE
from outrider_sandbox.board import Drawn
from outrider_sandbox.cards import Card, look_up
from outrider_sandbox.messages import Message
from outrider_sandbox.switch.authorizations import Authorization, Authorizations, Found, Key, State

COMPONENT = "switch"

_OK, _FORMAT, _UNKNOWN_CARD, _NOT_VALID, _NO_ACTION = "ok", "format", "invalid_number", "not_valid", "no_action"
_CODES: Mapping[str, tuple[str, str]] = {
    _OK: ("00", "000"),
    _FORMAT: ("30", "904"),
    _NOT_VALID: ("12", "902"),
    _NO_ACTION: ("21", "921"),
    _UNKNOWN_CARD: ("14", "111"),
    "do_not_honor": ("05", "100"),
    "generic_decline": ("05", "100"),
    "insufficient_funds": ("51", "116"),
    "expired_card": ("54", "101"),
    "incorrect_cvc": ("05", "100"),
    Found.REVERSED: ("00", "400"),
    Found.NOTHING: ("25", "914"),
    Found.OTHER_AMOUNT: ("64", "110"),
    "network": ("00", "800"),
}
"""What happened -> field 39 of 1987 and of 1993."""

_BROUGHT_BACK = (2, 3, 4, 7, 11, 12, 13, 24, 37, 41, 42, 49, 70)
_NEEDED: Mapping[str, tuple[int, ...]] = {"1": (2, 3, 4, 11, 41, 49), "4": (4, 11, 41), "8": (11,)}
_YEARS_MONTHS = re.compile(r"[0-9]{2}(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Switch:
    """The switch behind its line: a room for frames. `now` gives aware times."""

    book: Authorizations
    framing: Framing
    bitmap: str
    endings: Mapping[str, str]
    now: Callable[[], datetime]

    def answer(self, message: Message) -> bytes:
        """See `outrider_sandbox.messages.Room`. Raises FramingError for what is no message of ISO 8583."""
        raw, header = self.framing.unwrap(message.payload), message.payload[self.framing.length_size :]
        try:
            layout = iso8583.Layout(1993 if raw[:1] == b"1" else 1987, self.bitmap)
            request = iso8583.decode(raw, layout)
            answered_as = iso8583.response_type(request.mti)
            fields = self._decided(request, layout.version, message.drawn)
            answered = iso8583.encode(iso8583.Message(answered_as, fields), layout)
        except iso8583.Iso8583Error as error:
            raise FramingError("unreadable", str(error)) from None
        return self.framing.wrap(answered, _turned(header[: len(self.framing.header)]))

    def kind(self, frame: bytes) -> str:
        """What a frame is counted as."""
        return {b"1": "authorization", b"4": "reversal", b"8": "network"}.get(self.framing.unwrap(frame)[1:2], "other")

    def _decided(self, request: iso8583.Message, version: int, drawn: Drawn) -> dict[int, str]:
        fault = drawn.take("response_code")
        code = fault.fault.text("code") if fault else ""
        if len(code) != numbers.FORMS[version][numbers.RESPONSE].longest:
            code = ""  # of the other version of the standard
        added = {} if code in NOTHING_DONE else dict(self._done(request, version))
        if code:
            added[numbers.RESPONSE] = code
        brought = {number: request.fields[number] for number in _BROUGHT_BACK if number in request.fields}
        if drawn.take("wrong_stan"):
            brought[numbers.STAN] = f"{(int(brought.get(numbers.STAN, '0')) + 1) % 1_000_000:06d}"
        return brought | added

    def _done(self, request: iso8583.Message, version: int) -> Mapping[int, str]:
        needed = _NEEDED.get(request.mti[1])
        if needed is None:
            return _said(_NOT_VALID, version)
        if any(number not in request.fields for number in needed):
            return _said(_FORMAT, version)
        match request.mti[1]:
            case "1":
                return self._authorized(request, version)
            case "4":
                return self._reversed(request, version)
        return _said("network", version)

    def _authorized(self, request: iso8583.Message, version: int) -> Mapping[int, str]:
        fields = request.fields
        time = fields.get(numbers.TRANSMITTED if version == 1987 else numbers.LOCAL_TIME)
        if time is None:
            return _said(_FORMAT, version)
        key = Key(fields[numbers.STAN], time, fields[numbers.TERMINAL])
        if (known := self.book.get(key)) is not None:
            return known.answer
        card, decline = self._judged(fields)
        if self.book.was_reversed_unseen(key):
            decline = _NO_ACTION
        rrn = fields.get(numbers.RRN, f"{time[-6:]}{key.stan}")
        answer = dict(_said(decline or _OK, version)) | {numbers.RRN: rrn}
        if not decline:
            answer[38] = f"S{int(key.stan) % 100_000:05d}"
        state = State.DECLINED if decline else State.OPEN
        amount, currency = int(fields[numbers.AMOUNT]), fields[numbers.CURRENCY]
        self.book.enter(Authorization(key, card, amount, currency, state, self.now(), answer))
        return answer

    def _judged(self, fields: Mapping[int, str]) -> tuple[Card | None, str]:
        """The card, and why it is declined ("" where it is not)."""
        today, expires = self.now().date(), fields.get(14, "")
        year, month = today.year, today.month
        if _YEARS_MONTHS.fullmatch(expires):
            year, month = 2000 + int(expires[:2]), int(expires[2:])
        card = look_up(fields[numbers.PAN], month, year, today)
        if card is None:
            return None, _UNKNOWN_CARD
        return card, card.decline or self.endings.get(fields[numbers.AMOUNT][-2:], "")

    def _reversed(self, request: iso8583.Message, version: int) -> Mapping[int, str]:
        fields = request.fields
        original = fields.get(numbers.ORIGINAL[version], "")
        length = 10 if version == 1987 else 12
        if len(original) < 10 + length:
            return _said(_FORMAT, version)
        key = Key(original[4:10], original[10 : 10 + length], fields[numbers.TERMINAL])
        return _said(self.book.reverse(key, int(fields[numbers.AMOUNT])), version)


def _said(what: str, version: int) -> Mapping[int, str]:
    codes = _CODES.get(what, _CODES["generic_decline"])  # an ending of amounts may be called anything
    return {numbers.RESPONSE: codes[numbers.VERSIONS.index(version)]}


def _turned(header: bytes) -> bytes:
    """The header of an answer: a TPDU has the two addresses, two bytes each, the other way round."""
    return header[:1] + header[3:5] + header[1:3] if len(header) == 5 and header[:1] == b"\x60" else header
