"""The `iso8583` probe: one message to a card switch and its answer, over TCP or TLS.

An answer is ours if it is of the type that answers the request (0100 -> 0110), and brings back the trace number (field
11) and, where they were sent, transmission time (7), reference number (37) and terminal (41). Field 39 of an answer
that is ours becomes a finding at `de39/VERSION`; the outcome table says what each code means, approvals included.

Facts: `mti`, and `deNN` for the fields that hold neither a card nor private text: 3, 4, 7, 11 to 13, 15, 24, 25, 37 to
39, 41, 42, 49, 70.

Rules
-----
1. No track, PIN block, chip fields or authentication code: such fields do not load.
2. A request with an amount names its currency, and a reversal what it reverses.
3. What people see of a request has of the card number the first six and the last four digits.

Source: ISO 8583:1987, ISO 8583:1993.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from outrider.codecs import iso8583_fields as numbers
from outrider.codecs.iso8583 import Iso8583Error, Layout, Message, decode, encode, response_type
from outrider.codecs.iso8583_framing import Framing
from outrider.codecs.iso8583_responses import PLACE, RESPONSES
from outrider.core.outcome import Finding, Observation
from outrider.probes import Generate, Prepared, Target, endpoint
from outrider.probes.iso8583_shown import shown
from outrider.transport import StreamReply, StreamRequest, Turn

_TYPES = {
    1987: {"echo": "0800", "authorization": "0100", "reversal": "0400", "reversal_advice": "0420"},
    1993: {"echo": "1804", "authorization": "1100", "reversal": "1420", "reversal_advice": "1420"},
}
"""1993 knows a reversal as an advice only."""

_ECHO_SAYS = {1987: (70, "301"), 1993: (24, "831")}
"""Network management: an echo test."""

_BROUGHT_BACK = (numbers.STAN, numbers.TRANSMITTED, numbers.RRN, numbers.TERMINAL)


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version of the standard, and how bitmaps are written."""

    version: Literal[1987, 1993] = 1987
    bitmap: Literal["hex", "binary"] = "hex"


class FramingKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The length before a message: two bytes or four digits, which may count themselves. `header` is sent between
    length and message, in hex; the header of an answer is as long, and is passed over."""

    prefix: Literal["binary-2", "ascii-4"] = "binary-2"
    counts_itself: bool = False
    header: str = ""


class Original(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a reversal reverses: type, trace number and time of the first message (its transmission time in 1987, its
    local time in 1993), and the institutions if they were named."""

    mti: str | None = None
    stan: str
    time: str
    acquirer: str = ""
    forwarder: str = ""


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a step may say. `message` is one of four kinds, `mti` any type that is answered; `fields` go by name (see
    `outrider.codecs.iso8583_fields`). Trace number and transmission time are drawn where they are not given."""

    message: Literal["echo", "authorization", "reversal", "reversal_advice"] | None = None
    mti: str | None = None
    spec: Spec = Spec()
    framing: FramingKeys = FramingKeys()
    fields: dict[str, str | int] = {}
    original: Original | None = None

    @property
    def type(self) -> str:
        return self.mti or _TYPES[self.spec.version][self.message or "echo"]

    @property
    def layout(self) -> Layout:
        return Layout(self.spec.version, self.spec.bitmap)


class Iso8583Probe:
    """See `outrider.probes.Probe`."""

    schemes: Mapping[str, int] = {"tcp": 0, "tls": 0}

    def check(self, request: Mapping[str, Any]) -> None:
        wanted = msgspec.convert(request, Request)
        if (wanted.message is None) == (wanted.mti is None):
            raise ValueError("says either 'message' or 'mti'")
        _check_type(wanted)
        _framing(wanted)
        for name, value in wanted.fields.items():
            _check_field(wanted.spec.version, name, value)
        if ("amount" in wanted.fields) != ("currency" in wanted.fields):
            raise ValueError("an amount goes with its currency (fields.amount, fields.currency)")
        if (wanted.type[1] == "4") != (wanted.original is not None):
            raise ValueError(
                "a reversal says what it reverses, and nothing else does: original: { stan: ..., time: ... }"
            )

    def prepare(self, request: Mapping[str, Any], target: Target, generate: Generate) -> Prepared[StreamRequest]:
        wanted = msgspec.convert(request, Request)
        where, framing = endpoint(target, self.schemes), _framing(wanted)
        message = Message(wanted.type, _fields(wanted, generate))
        frame = framing.wrap(encode(message, wanted.layout))
        stream = StreamRequest(
            where.host,
            where.port,
            (Turn(frame, framing.ends),),
            tls=where.scheme == "tls",
            ca_file=target.ca_file,
            verify_tls=target.verify_tls,
        )
        sent = {f"de{number}": message.fields[number] for number in _BROUGHT_BACK if number in message.fields}
        how = {"version": str(wanted.spec.version), "bitmap": wanted.spec.bitmap, "at": str(framing.message_at)}
        sent |= {"mti": response_type(wanted.type), **how}
        return Prepared(stream, sent, shown(message, wanted.spec.version, frame))

    def read(self, prepared: Prepared[StreamRequest], reply: StreamReply) -> Observation:
        sent = prepared.sent
        layout = Layout(int(sent["version"]), sent["bitmap"])
        try:
            answer = decode(reply.answers[0][int(sent["at"]) :], layout)
        except Iso8583Error as error:
            place = f"iso8583/{error.field}" if isinstance(error.field, str) else f"iso8583/de{error.field}"
            return Observation.failed("unreadable", place, str(error))
        if strange := tuple(_strange(sent, answer)):
            return Observation(strange)
        return Observation(tuple(_responded(layout.version, answer)), _facts(answer))


def _check_type(wanted: Request) -> None:
    try:
        response_type(wanted.type)
        if wanted.type[0] != str(numbers.VERSIONS.index(wanted.spec.version)):
            raise ValueError(f"{wanted.type} is no type of ISO 8583:{wanted.spec.version}")
        if wanted.type[1] not in "1248":
            raise ValueError("only authorizations, financial messages, reversals and network messages are sent")
    except ValueError as error:
        raise ValueError(f"{error} - at `$.mti`") from None


def _framing(wanted: Request) -> Framing:
    keys = wanted.framing
    try:
        return Framing(keys.prefix, keys.counts_itself, bytes.fromhex(keys.header))
    except ValueError:
        raise ValueError("a header is at most 64 bytes, written in hex - at `$.framing.header`") from None


def _check_field(version: int, name: str, value: str | int) -> None:
    """Refuse a field that is never sent, or whose value, as far as the file says it, cannot be."""
    number = _number(version, name)
    if "$" not in str(value) and (problem := numbers.FORMS[version][number].problem(_text(version, number, value))):
        raise ValueError(f"field {number} is {problem} - at `$.fields.{name}`")


def _number(version: int, name: str) -> int:
    known = numbers.names_of(version)
    if name in known and known[name] != numbers.ORIGINAL[version]:
        return known[name]
    given = int(name[2:]) if name[:2] == "de" and name[2:].isdecimal() else 0
    if given in numbers.SECRET:
        why = "is never sent: no track, PIN, chip data or authentication code"
    elif given in numbers.AMOUNTS[version]:
        why = "is an amount; the only amount that is sent is field 4, as 'amount'"
    elif given == numbers.ORIGINAL[version] or name == "original":
        why = "is made of the key 'original', beside 'fields'"
    elif given in numbers.NAMES[version]:
        why = f"is written '{numbers.NAMES[version][given]}'"
    else:
        why = f"is no field; known are {', '.join(numbers.NAMES[version].values())}, and deNN for those without a name"
    raise ValueError(f"{name!r} {why} - at `$.fields.{name}`")


def _text(version: int, number: int, value: str | int) -> str:
    """A value as the field has it: an amount with zeros before it, an identifier with blanks behind it."""
    form, text = numbers.FORMS[version][number], str(value)
    if number == numbers.AMOUNT:
        return text.zfill(form.longest)
    return text.ljust(form.longest) if form.kind == "ans" and not form.length_digits else text


def _fields(wanted: Request, generate: Generate) -> dict[int, str]:
    version = wanted.spec.version
    fields = {}
    for name, value in wanted.fields.items():
        number = _number(version, name)
        fields[number] = _text(version, number, value)
    if numbers.TRANSMITTED not in fields:
        fields[numbers.TRANSMITTED] = generate("now:MMDDhhmmss")
    if numbers.STAN not in fields:
        fields[numbers.STAN] = generate("stan")
    if wanted.message == "echo":
        fields.setdefault(*_ECHO_SAYS[version])
    if wanted.original is not None:
        fields[numbers.ORIGINAL[version]] = _original(wanted.original, version)
    return dict(sorted(fields.items()))


def _original(original: Original, version: int) -> str:
    mti = original.mti or _TYPES[version]["authorization"]
    head = mti + original.stan + original.time
    if version == 1987:
        return head + original.acquirer.zfill(11) + original.forwarder.zfill(11)
    return head + (f"{len(original.acquirer):02d}{original.acquirer}" if original.acquirer else "")


def _strange(sent: Mapping[str, str], answer: Message) -> Iterator[Finding]:
    """What makes an answer somebody else's."""
    if answer.mti != sent["mti"]:
        yield Finding("mismatch", "echo/mti", f"the answer is of type {answer.mti}, not {sent['mti']}")
    for number in _BROUGHT_BACK:
        wanted, came = sent.get(f"de{number}"), answer.fields.get(number)
        if wanted is not None and (came is None or came.strip() != wanted.strip()):
            says = "is not there" if came is None else "is not what was sent"
            yield Finding("mismatch", f"echo/de{number}", f"field {number} of the answer {says}")


def _responded(version: int, answer: Message) -> Iterable[Finding]:
    code = answer.fields.get(numbers.RESPONSE)
    if code is None:
        return [Finding("missing", "iso8583/de39", "the answer has no field 39")]
    known = RESPONSES[version].get(code)
    return [Finding(code, f"{PLACE}/{version}", known.words if known else "a code that the standard does not have")]


def _facts(answer: Message) -> dict[str, tuple[str, ...]]:
    shown = {f"de{number}": (text.strip(),) for number, text in answer.fields.items() if number in numbers.SHOWABLE}
    return {"mti": (answer.mti,), **shown}
