"""What every room of the gateway begins with: the API key, the body's fields, and the idempotency key."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from outrider_sandbox.answers import Answer, Refusal
from outrider_sandbox.gateway.bodies import read_fields
from outrider_sandbox.gateway.idempotency import IdempotencyKeys, read_key
from outrider_sandbox.line import Call, Room
from outrider_sandbox.settings import Settings


class Till:
    """Shared by all rooms of one gateway, so that an idempotency key belongs to one request of any of them."""

    def __init__(self, settings: Settings, nonce: bytes) -> None:
        self._api_key = settings.api_key.encode()
        self._keys = IdempotencyKeys(nonce, settings.keep)

    def guarded(self, room: Room) -> Room:
        """The room behind the API key, if there is one."""

        def guarded(call: Call) -> Answer:
            given = call.request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            if self._api_key and not hmac.compare_digest(given, b"Bearer " + self._api_key):
                raise Refusal(401, "unauthorized", "the Authorization header needs Bearer and the API key")
            return room(call)

        return guarded

    def fields(self, call: Call) -> dict[str, object]:
        """The fields of the body, from JSON or a form."""
        return read_fields(call.request, call.body)

    def once(
        self, call: Call, fields: dict[str, object], decide: Callable[[], Answer], *, secret: str | None = None
    ) -> Answer:
        """Decide, or answer as before. `secret` is the number in the request that the key must not hold."""
        key = read_key(call.request.headers.get("Idempotency-Key"))
        if secret and secret in key:
            raise Refusal(400, "idempotency_key_invalid", "Idempotency-Key holds the card or account number")
        return self._keys.once(key, f"{call.request.method} {call.request.path}", fields, decide)
