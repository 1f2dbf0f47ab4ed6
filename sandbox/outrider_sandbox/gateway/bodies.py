"""Bodies that the gateway reads: a JSON object, or a urlencoded form that says the same.

Rules
-----
1. Content-Type decides: application/json or application/x-www-form-urlencoded, in UTF-8. Anything else is 415. An
   empty body has no fields, and needs no type.
2. In a form `card[number]` is the field `number` of `card`. A field that stands twice, or is a text here and holds
   others there, is 400.
3. A form knows nothing but texts, so that fields which are whole numbers are read from their digits. What is not
   digits stays a text, and is refused by whoever wants a number, as it is in JSON.

Either way the same fields come out, so that a request means the same, is refused for the same reasons, and is the same
to an idempotency key.

Source: WHATWG URL, 5 (application/x-www-form-urlencoded).
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from aiohttp import web

from outrider_sandbox.answers import JSON, Refusal, read_json

FORM = "application/x-www-form-urlencoded"

_CHARSETS = ("utf-8", "utf8", "us-ascii")
_MOST_FIELDS = 100
_KEY = re.compile(r"[^\[\]]+(?:\[[^\[\]]+\]){0,3}")
_WHOLE_NUMBERS = (("amount",), ("card", "exp_month"), ("card", "exp_year"))
_DIGITS = re.compile(r"[0-9]{1,9}")


def read_fields(request: web.Request, body: bytes) -> dict[str, object]:
    """The fields of a request's body. Raises Refusal (400, 415)."""
    if not body:
        return {}
    if (request.charset or "utf-8").lower() in _CHARSETS:
        if request.content_type == JSON:
            return read_json(body)
        if request.content_type == FORM:
            return read_form(body)
    raise Refusal(415, "unsupported_media_type", f"Content-Type is neither {JSON} nor {FORM}, in UTF-8")


def read_form(body: bytes) -> dict[str, object]:
    """Read a urlencoded form. Raises Refusal (400); no message repeats a piece of the body."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise _wrong(f"the body is no urlencoded form in UTF-8 of at most {_MOST_FIELDS} fields") from None
    fields: dict[str, object] = {}
    for key, text in pairs:
        if not _KEY.fullmatch(key):
            raise _wrong("a key is neither a name nor names in brackets, such as card[number]")
        _put(fields, tuple(key.replace("]", "").split("[")), text)
    return fields


def _put(fields: dict[str, object], path: tuple[str, ...], text: str) -> None:
    inside = fields
    for name in path[:-1]:
        within = inside.setdefault(name, {})
        if not isinstance(within, dict):
            raise _wrong("a field is a text and holds others too")
        inside = within
    if path[-1] in inside:
        raise _wrong("a field stands twice")
    inside[path[-1]] = int(text) if path in _WHOLE_NUMBERS and _DIGITS.fullmatch(text) else text


def _wrong(message: str) -> Refusal:
    return Refusal(400, "invalid_form", message)
