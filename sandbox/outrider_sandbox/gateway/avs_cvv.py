"""Address verification (AVS) and the card security code (CVV2): what an issuer says about them.

Each value that does not match is one that Braintree's sandbox takes for it too, so that no person's address is needed:

| | does not match | not verified |
|---|---|---|
| house number, the first word of `line` | 200 | 201 |
| postal code | 20000 | 20001 |
| security code | 200 | 201; 301: the issuer takes no part |

Everything else matches. The results are Visa's letters. AVS: Y both match, A the address alone, Z the postal code
alone, N neither, U not verified, or nothing to verify. CVV2: M match, N no match, P not processed, U the issuer takes
no part.

As at real gateways, a mismatch is reported with the approval, and declines only where the merchant says so.
"""

from __future__ import annotations

from collections.abc import Mapping

from outrider_sandbox.gateway.orders import Address

AVS_RESULTS = "YAZNU"
CVV_RESULTS = "MNPU"

_WRONG, _UNVERIFIED = "N", "U"
_LINES: Mapping[str, str] = {"200": _WRONG, "201": _UNVERIFIED}
_POSTAL_CODES: Mapping[str, str] = {"20000": _WRONG, "20001": _UNVERIFIED}
_SECURITY_CODES: Mapping[str, str] = {"": "P", "200": "N", "201": "P", "301": "U"}


def avs_result(address: Address) -> str:
    """One of AVS_RESULTS. What was not given does not match."""
    house_number = (address.line.split() or [""])[0]
    line = _LINES.get(house_number, "M" if house_number else "")
    postal_code = _POSTAL_CODES.get(address.postal_code[:5], "M" if address.postal_code else "")
    if _UNVERIFIED in (line, postal_code) or not line + postal_code:
        return "U"
    return {(True, True): "Y", (True, False): "A", (False, True): "Z"}.get((line == "M", postal_code == "M"), "N")


def cvv_result(security_code: str) -> str:
    """One of CVV_RESULTS."""
    return _SECURITY_CODES.get(security_code, "M")
