"""The CORE real-time envelope: the fields around an X12 payload, whatever wire carries them.

Rules
-----
1. A field that is missing, empty, twice there or of the wrong shape is an error that names it. Fields that real time
   does not use (PayloadLength, CheckSum) and unknown ones are passed over.
2. An answer whose ErrorCode is not "Success" may leave the payload out, and may leave other fields empty.
3. No error and no `repr` holds a password or a value from the message.

`core_mime` and `core_soap` read and write it.

Source: CAQH CORE Connectivity Rule vC2.2.0, section on envelope metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message

X12_270 = "X12_270_Request_005010X279A1"
X12_271 = "X12_271_Response_005010X279A1"
X12_276 = "X12_276_Request_005010X212"
X12_277 = "X12_277_Response_005010X212"
X12_278_REQUEST = "X12_278_Request_005010X217"
X12_278_RESPONSE = "X12_278_Response_005010X217"
X12_837_REQUEST = "X12_837_Request_005010X222A1"
X12_277CA = "X12_277CA_Response_005010X214"
SUCCESS = "Success"
REAL_TIME = "RealTime"
VERSION = "2.2.0"

MAX_BYTES = 1 << 20
MAX_TEXT = 1024

# Field on the wire -> attribute, in the order in which they are written.
TEXT_FIELDS: Mapping[str, str] = {
    "PayloadType": "payload_type",
    "ProcessingMode": "processing_mode",
    "PayloadID": "payload_id",
    "TimeStamp": "timestamp",
    "UserName": "username",
    "Password": "password",
    "SenderID": "sender_id",
    "ReceiverID": "receiver_id",
    "CORERuleVersion": "core_rule_version",
    "ErrorCode": "error_code",
    "ErrorMessage": "error_message",
}
PAYLOAD = "Payload"
OPTIONAL = frozenset(("UserName", "Password", "ErrorCode", "ErrorMessage"))

_CONTROLS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_CONTROLS_IN_PROSE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")


class EnvelopeError(ValueError):
    """What is wrong with an envelope.

    `code` is a slug: missing, empty, twice, illegal, or what the wire's own module says of its frame; for a SOAP fault
    it is the fault's code. `place` is "envelope/<field in lower case>", `field` the field as CORE spells it ("" for
    the frame itself).
    """

    def __init__(self, code: str, field: str, what: str) -> None:
        super().__init__(code, field, what)
        self.code = code
        self.field = field
        self.message = f"{field or 'envelope'}: {what}"
        self.place = f"envelope/{field.lower() or 'frame'}"

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Envelope:
    """A CORE real-time envelope. `timestamp` is "YYYY-MM-DDTHH:MM:SSZ"; `error_code` is "" on a request.

    Raises EnvelopeError if a text holds a control character (tabs and line ends may stand in the error message) or
    is longer than 1024 characters, or if the time stamp or the processing mode is none. Text may be empty here;
    `write` says what must not.
    """

    payload_type: str
    payload_id: str
    timestamp: str
    sender_id: str
    receiver_id: str
    payload: bytes = field(repr=False)
    processing_mode: str = REAL_TIME
    core_rule_version: str = VERSION
    username: str = ""
    password: str = field(default="", repr=False)
    error_code: str = ""
    error_message: str = ""

    def __post_init__(self) -> None:
        for name, attribute in TEXT_FIELDS.items():
            text = getattr(self, attribute)
            controls = _CONTROLS_IN_PROSE if name == "ErrorMessage" else _CONTROLS
            if len(text) > MAX_TEXT or controls.search(text):
                raise EnvelopeError("illegal", name, f"holds a control character or more than {MAX_TEXT} characters")
        if self.timestamp and not _TIMESTAMP.fullmatch(self.timestamp):
            raise EnvelopeError("illegal", "TimeStamp", "is not a UTC time like 2026-06-01T22:00:00Z")
        if self.processing_mode not in ("", REAL_TIME):
            raise EnvelopeError("illegal", "ProcessingMode", f"is not {REAL_TIME}")

    @property
    def is_error(self) -> bool:
        """The receiver could not take the request as it was."""
        return self.error_code not in ("", SUCCESS)


def check_presence(fields: Mapping[str, bytes | str], *, is_error: bool) -> None:
    """Raise EnvelopeError for the first field that CORE requires and that is not there, or empty."""
    for name in (*TEXT_FIELDS, PAYLOAD):
        if name in OPTIONAL or (is_error and name == PAYLOAD):
            continue
        if name not in fields:
            raise EnvelopeError("missing", name, "is missing; CORE requires it")
        if not fields[name] and not is_error:
            raise EnvelopeError("empty", name, "is empty; CORE requires it")


def read_content_type(value: str, wanted: str, code: str) -> Message:
    """A Content-Type header whose media type is `wanted`, for its parameters. Raises EnvelopeError(`code`)."""
    if len(value) > MAX_TEXT or not value.isascii() or _CONTROLS.search(value):
        raise EnvelopeError(code, "Content-Type", "is not a plain header value")
    header: Message = Message()
    header["Content-Type"] = value
    if header.get_content_type() != wanted:
        raise EnvelopeError(code, "Content-Type", f"is not {wanted}")
    return header
