"""Answers and refusals as values, strict JSON in and out. Everything here is pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

JSON = "application/json"

_PAGE = """<!DOCTYPE html>
<html><head><title>{title}</title></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to a client: HTTP status code, body, content type, further headers."""

    http: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """A request that is refused with an HTTP status and {"error": {"code", "message", ...}}."""

    def __init__(self, http: int, code: str, message: str, **more: str) -> None:
        super().__init__(message)
        self.http = http
        self.code = code
        self.message = message
        self.more = more

    @property
    def answer(self) -> Answer:
        return json_answer(self.http, {"error": {"code": self.code, "message": self.message, **self.more}})


def json_answer(http: int, body: object, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON body, ASCII only, so that no text that came in can break the way out."""
    return Answer(http, json.dumps(body).encode("ascii"), JSON, headers or {})


def page(http: int, title: str, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An HTML page, as a proxy in front of a service would show it. The texts are ours, never a client's."""
    return Answer(http, _PAGE.format(title=title, text=text).encode(), "text/html; charset=utf-8", headers or {})


def read_json(body: bytes) -> dict[str, object]:
    """Read a JSON object. Raises Refusal (400) for anything else, duplicate keys and NaN included."""
    try:
        value = json.loads(body, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except RecursionError:
        raise Refusal(400, "invalid_json", "the body is nested too deeply") from None
    except ValueError as error:
        raise Refusal(400, "invalid_json", f"the body is not JSON: {_reason(error)}") from None
    if not isinstance(value, dict):
        raise Refusal(400, "invalid_json", "the body is JSON, but not an object")
    return value


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Refusal(400, "invalid_json", "a key stands twice in one object")
    return found


def _no_constant(name: str) -> object:
    raise Refusal(400, "invalid_json", f"{name} is not a JSON number")


def _reason(error: ValueError) -> str:
    """The parser's words with the place, never a piece of the body, which may hold a card number."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 at byte {error.start}"
    return "a number has too many digits"
