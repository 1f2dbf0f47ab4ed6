"""What the card switch has in its book, for tests: GET /switch/authorizations?open=true -> {"authorizations": [...],
"total": n}, the oldest first. Like the control endpoints it knows no faults, latency or counts."""

from __future__ import annotations

from itertools import islice

from aiohttp import web

from outrider_sandbox.answers import Refusal
from outrider_sandbox.switch.authorizations import Authorizations

_MOST_LISTED = 1000


def add_inquiry(router: web.UrlDispatcher, book: Authorizations) -> None:
    async def show(request: web.Request) -> web.Response:
        if set(request.query) - {"open"} or request.query.get("open", "true") not in ("true", "false"):
            raise Refusal(400, "invalid_query", "an inquiry has open=true, open=false or nothing", field="open")
        found = list(book.listed(only_open=request.query.get("open") == "true"))
        shown = [authorization.view() for authorization in islice(found, _MOST_LISTED)]
        return web.json_response({"authorizations": shown, "total": len(found)})

    router.add_get("/switch/authorizations", show)
