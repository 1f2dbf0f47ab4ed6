"""The control endpoints: faults and counts. They are never subject to faults, latency or counting.

GET /faults, PUT /faults/{name}, DELETE /faults/{name}, DELETE /faults, GET /counts, GET /ca.pem, and GET / as a
directory.
They have no password: a sandbox listens on loopback unless it is told otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from outrider_sandbox.answers import Refusal, read_json
from outrider_sandbox.board import Board
from outrider_sandbox.counts import Counts
from outrider_sandbox.faults import FaultError, parse_fault
from outrider_sandbox.line import read_body


class Control:
    """The handlers of the control endpoints."""

    def __init__(
        self, board: Board, counts: Counts, directory: Mapping[str, object], authority: Callable[[], bytes]
    ) -> None:
        self._board = board
        self._counts = counts
        self._directory = directory
        self._authority = authority

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/", self.show_directory)
        router.add_get("/ca.pem", self.show_authority)
        router.add_get("/counts", self.show_counts)
        router.add_get("/faults", self.show_faults)
        router.add_delete("/faults", self.clear_faults)
        router.add_put("/faults/{name}", self.put_fault)
        router.add_delete("/faults/{name}", self.remove_fault)

    async def show_directory(self, _request: web.Request) -> web.Response:
        return web.json_response(self._directory)

    async def show_authority(self, _request: web.Request) -> web.Response:
        """The certificate of the authority that signs for the services of TLS; 404 without the library for it."""
        try:
            return web.Response(body=self._authority(), content_type="application/x-pem-file")
        except ImportError:
            raise Refusal(404, "no_authority", "certificates need the extra tls: pip install 'outrider[tls]'") from None

    async def show_counts(self, _request: web.Request) -> web.Response:
        return web.json_response(self._counts.view())

    async def show_faults(self, _request: web.Request) -> web.Response:
        return web.json_response({"faults": self._board.view()})

    async def put_fault(self, request: web.Request) -> web.Response:
        """Put a fault up: 200 and the fault, or 400 that names the field and what is allowed."""
        try:
            active = self._board.put(parse_fault(request.match_info["name"], read_json(await read_body(request))))
        except FaultError as error:
            raise Refusal(400, "invalid_fault", str(error), field=error.place) from None
        return web.json_response(active.view())

    async def remove_fault(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not self._board.remove(name):
            raise Refusal(404, "no_such_fault", "no fault of this name is on; GET /faults lists them")
        return web.json_response({"removed": 1})

    async def clear_faults(self, _request: web.Request) -> web.Response:
        return web.json_response({"removed": self._board.clear()})
