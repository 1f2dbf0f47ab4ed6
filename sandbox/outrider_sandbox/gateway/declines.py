"""Declines: the codes that a gateway gives, what they say, and the answer that carries one."""

from __future__ import annotations

from collections.abc import Mapping

from outrider_sandbox.answers import Answer, json_answer

MESSAGES: Mapping[str, str] = {
    "generic_decline": "The payment was declined.",
    "do_not_honor": "The issuer declined the payment and did not say why.",
    "insufficient_funds": "There are insufficient funds.",
    "expired_card": "The card has expired.",
    "incorrect_cvc": "The security code is incorrect.",
    "incorrect_address": "The address does not match.",
    "lost_card": "The card was reported lost.",
    "stolen_card": "The card was reported stolen.",
    "issuer_unavailable": "The issuer could not be reached.",
    "processing_error": "The issuer could not process the payment.",
    "invalid_number": "The card number is not a published test number, and no other is accepted here.",
    "invalid_account": "The account is not one that is published for tests, and no other is accepted here.",
}

DIALLED = tuple(code for code in MESSAGES if not code.startswith("invalid_"))
"""The codes that can be dialled in as a fault."""


def declined(code: str, decline: str, reference: str, **more: str) -> Answer:
    """402 with the decline. Where the number itself was refused, that is the error's own code."""
    message = MESSAGES.get(decline, "The issuer declined the payment.")
    named = decline if decline.startswith("invalid_") else code
    error = {"code": named, "decline_code": decline, "message": message}
    return json_answer(402, {"error": error, **({"reference": reference} if reference else {}), **more})
