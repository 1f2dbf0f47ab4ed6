"""Idempotency keys: the same key with the same request gets the same answer, and nothing is done twice.

Rules
-----
1. A key belongs to one request: method, path and body. With any other it is refused.
2. What is done and its answer are one step, so a key is never seen half-way: a repeat that comes while the first
   answer is still on its way (or will never arrive) is answered from memory.
3. Requests that were refused before anything was decided (bad JSON, a wrong field, no key) do not use a key up.
4. Of a request only a keyed hash is kept, since the request holds a card number and a plain hash of one can be
   reversed by trying.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace

from outrider_sandbox.answers import Answer, Refusal
from outrider_sandbox.cards import holds_a_number

REPLAYED = "Idempotency-Replayed"
_KEY = re.compile(r"[!-~]{1,255}")


class IdempotencyKeys:
    """The keys that were used, and the answers they got. The oldest are forgotten past `keep`."""

    def __init__(self, secret: bytes, keep: int) -> None:
        self._secret = secret
        self._keep = keep
        self._answers: OrderedDict[str, tuple[bytes, Answer]] = OrderedDict()

    def once(self, key: str, method_and_path: str, body: Mapping[str, object], decide: Callable[[], Answer]) -> Answer:
        """Decide, or give the answer that was decided before. Raises Refusal (400) when the key is another's."""
        fingerprint = self._fingerprint(method_and_path, body)
        known = self._answers.get(key)
        if known is None:
            answer = _settled(decide)
            self._answers[key] = (fingerprint, answer)
            if len(self._answers) > self._keep:
                self._answers.popitem(last=False)
            return answer
        if not hmac.compare_digest(known[0], fingerprint):
            raise Refusal(400, "idempotency_key_reused", "this Idempotency-Key was used for another request")
        return replace(known[1], headers={**known[1].headers, REPLAYED: "true"})

    def _fingerprint(self, method_and_path: str, body: Mapping[str, object]) -> bytes:
        text = json.dumps([method_and_path, body], sort_keys=True)
        return hmac.digest(self._secret, text.encode("ascii"), hashlib.sha256)


def read_key(value: str | None) -> str:
    """The header Idempotency-Key: 1 to 255 printable ASCII characters. Raises Refusal (400)."""
    if value is None:
        raise Refusal(400, "idempotency_key_missing", "every POST needs the header Idempotency-Key")
    if not _KEY.fullmatch(value) or holds_a_number(value):
        raise Refusal(400, "idempotency_key_invalid", "Idempotency-Key needs 1 to 255 printable ASCII characters")
    return value


def _settled(decide: Callable[[], Answer]) -> Answer:
    try:
        return decide()
    except Refusal as refusal:
        return refusal.answer
