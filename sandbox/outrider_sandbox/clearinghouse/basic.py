"""HTTP Basic (RFC 7617) with the credentials that the clearinghouse agreed on, for its wires without an envelope."""

from __future__ import annotations

import hmac
from base64 import b64encode

from outrider_sandbox.settings import Settings


def knows_basic(header: str, settings: Settings) -> bool:
    """Whether an Authorization header holds the right name and password."""
    scheme, _, given = header.partition(" ")
    agreed = b64encode(f"{settings.core_username}:{settings.core_password}".encode())
    is_right = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), agreed)
    return is_right and scheme.lower() == "basic"
