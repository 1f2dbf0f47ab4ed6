"""Inquiries at the gateway: the query that lists payments or debits, read strictly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from aiohttp import web

from outrider_sandbox.answers import Answer, Refusal, json_answer

_INQUIRY = ("reference", "status", "open", "limit")
_MOST_LISTED = 1000


class Shown(Protocol):
    """What can be listed."""

    def view(self) -> dict[str, object]: ...


class Find(Protocol):
    """A book's own way to look."""

    def __call__(self, *, reference: str | None, state: str | None, open_only: bool) -> Sequence[Shown]: ...


def inquire(request: web.Request, named: str, states: Iterable[str], find: Find) -> Answer:
    """200 {`named`: [...], "total": n}. Raises Refusal (400) for a query that is not understood."""
    query = request.query
    for key in query:
        if key not in _INQUIRY or len(query.getall(key)) > 1:
            raise _bad_query("*", f"each once, of {', '.join(_INQUIRY)}")
    if query.get("open", "true") != "true":
        raise _bad_query("open", "can only be true")
    state, known = query.get("status"), list(states)
    if state is not None and state not in known:
        raise _bad_query("status", f"is one of {', '.join(known)}")
    limit = _limit(query.get("limit", "100"))
    found = find(reference=query.get("reference"), state=state, open_only="open" in query)
    return json_answer(200, {named: [each.view() for each in found[:limit]], "total": len(found)})


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= _MOST_LISTED):
        raise _bad_query("limit", f"is a whole number from 1 to {_MOST_LISTED}")
    return int(text)


def _bad_query(place: str, message: str) -> Refusal:
    return Refusal(400, "invalid_request", f"{place}: {message}", field=place)
