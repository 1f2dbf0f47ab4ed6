"""The directory at GET /: what there is to probe, and what answers what. For people who have just started it."""

from __future__ import annotations

from collections.abc import Mapping

from outrider_sandbox.answers import JSON
from outrider_sandbox.clearinghouse.claims import MEANINGS as CLAIM_MEANINGS
from outrider_sandbox.clearinghouse.members import MEANINGS, PAYERS, SYNTHETIC, UNKNOWN_NPI
from outrider_sandbox.clearinghouse.reviews import MEANINGS as REVIEW_MEANINGS
from outrider_sandbox.clearinghouse.submissions import MEANINGS as SUBMISSION_MEANINGS
from outrider_sandbox.faults import KINDS
from outrider_sandbox.gateway.bodies import FORM
from outrider_sandbox.settings import Settings


def directory(settings: Settings, services: Mapping[str, str]) -> dict[str, object]:
    """As JSON; `services` are the addresses of those that are not HTTP. It holds no card or account number:
    those that are accepted stand in `outrider_sandbox.cards` and `outrider_sandbox.gateway.banks`."""
    return {
        "partner": settings.partner,
        "synthetic": SYNTHETIC,
        "clearinghouse": {
            "POST /core/realtime": (
                "X12 270 (005010X279A1), 276 (005010X212), 278 (005010X217) or 837 (005010X222A1), CORE MIME"
            ),
            "POST /core/soap": "the same in a CORE vC2.2.0 SOAP envelope",
            "POST /x12": "the same without an envelope, as application/edi-x12",
            "POST /fhir/CoverageEligibilityRequest": "FHIR R4, application/fhir+json; /$submit too",
            "payers": dict(PAYERS),
            "members": dict(MEANINGS),
            "claims": dict(CLAIM_MEANINGS),
            "reviews_by_service_type": dict(REVIEW_MEANINGS),
            "submissions": {"answered_with": settings.claim_answer, **SUBMISSION_MEANINGS},
            "unknown_npi": UNKNOWN_NPI,
        },
        "gateway": {
            "POST": [
                "/v1/authorizations",
                "/v1/sales",
                "/v1/payments/{id}/capture",
                "/v1/payments/{id}/void",
                "/v1/payments/{id}/refund",
                "/v1/tokens",
                "/v1/ach/debits",
                "/v1/ach/debits/{id}/void",
            ],
            "GET": [
                "/v1/payments/{id}",
                "/v1/payments?reference=&status=&open=true&limit=",
                "/v1/tokens/{id}",
                "/v1/ach/debits/{id}",
                "/v1/ach/debits?reference=&status=&open=true&limit=",
            ],
            "bodies": [JSON, FORM],
            "declined_avs": list(settings.declined_avs),
            "declined_cvv": list(settings.declined_cvv),
            "declines_by_last_two_digits": dict(settings.decline_endings),
        },
        "portal": {"GET": ["/healthz"]},
        "switch": {
            "messages": "ISO 8583 of 1987 (0100, 0400, 0420, 0800) and of 1993 (1100, 1420, 1804)",
            "length": settings.switch_framing.prefix,
            "bitmap": settings.switch_bitmap,
            "GET": ["/switch/authorizations?open=true"],
        },
        "services": services,
        "control": {
            "GET": ["/", "/ca.pem", "/counts", "/faults"],
            "PUT": ["/faults/{name}"],
            "DELETE": ["/faults", "/faults/{name}"],
            "fault_kinds": {
                name: {"components": [*kind.components, "*"], "parameters": list(kind.parameters)}
                for name, kind in KINDS.items()
            },
        },
    }
