"""The outcome table that ships: which code at which place means what, and so whose fault it is.

Rows are tried from the top. A configuration's own rows are put before these (agent key `outcomes`).

Sources: X12 005010X279A1 (AAA03 reject reasons by loop), X12 005010X212 (STC01, code list 507),
X12C 005010X231A1 (999, TA1), CAQH CORE connectivity rule vC2.2.0 (envelope error codes), SOAP 1.2 part 1, 5.4.6
(fault codes), RFC 9110 (HTTP status), Stripe's decline codes (docs.stripe.com/declines/codes).
"""

from __future__ import annotations

from outrider.core.outcome import OutcomeClass as C
from outrider.core.outcome import OutcomeTable, Rule

OUTCOME_TABLE: OutcomeTable = (
    # No answer at all: name, connection, handshake, time-out, reset.
    Rule("net/protocol", "*", C.MALFORMED),
    Rule("net/*", "*", C.SERVICE_DOWN),
    # HTTP status.
    Rule("status", "5??", C.SERVICE_DOWN),
    Rule("status", "429", C.THROTTLED),
    Rule("status", "401", C.PROBE_FAULT),
    Rule("status", "403", C.PROBE_FAULT),
    Rule("status", "402", C.BUSINESS_UNEXPECTED),
    # What rejects our request is ours; one that does not fit how things stand is for whoever expected another state.
    Rule("status", "400", C.PROBE_FAULT),
    Rule("status", "415", C.PROBE_FAULT),
    Rule("status", "409", C.BUSINESS_UNEXPECTED),
    Rule("status", "*", C.MALFORMED),  # 404 too: what was made before is denied, or a page is gone
    # A decline's own code (JSON, beside a status of 4xx): the issuer's trouble is the partner's, whatever was expected
    # of the status. All other codes are left to the status.
    Rule("json.*code", "issuer_unavailable", C.PARTNER_DOWN),
    Rule("json.*code", "issuer_not_available", C.PARTNER_DOWN),
    Rule("json.*code", "processing_error", C.PARTNER_DOWN),
    Rule("json.*", "*", C.OK),
    # A body that is not what was agreed on.
    Rule("body/*", "*", C.MALFORMED),
    Rule("echo/*", "*", C.MALFORMED),
    # CORE envelope: errors about fields that we sent are ours; the receiver's own trouble is the service's. A code
    # that is not the rule's is not taken for our fault.
    Rule("envelope/errorcode", "Receiver", C.SERVICE_DOWN),
    Rule("envelope/errorcode", "*TimeOut*", C.SERVICE_DOWN),
    Rule("envelope/errorcode", "*Required", C.PROBE_FAULT),
    Rule("envelope/errorcode", "*Illegal", C.PROBE_FAULT),
    Rule("envelope/errorcode", "*NotUnderstood", C.PROBE_FAULT),
    Rule("envelope/errorcode", "*Mismatch*", C.PROBE_FAULT),
    Rule("envelope/errorcode", "UnAuthorized", C.PROBE_FAULT),
    Rule("envelope/errorcode", "NotSupported", C.PROBE_FAULT),
    Rule("envelope/errorcode", "Sender", C.PROBE_FAULT),
    # SOAP faults: the receiver's trouble is the service's; what it will not take of ours is our fault.
    Rule("envelope/fault", "Receiver", C.SERVICE_DOWN),
    Rule("envelope/fault", "Sender", C.PROBE_FAULT),
    Rule("envelope/fault", "MustUnderstand", C.PROBE_FAULT),
    Rule("envelope/fault", "VersionMismatch", C.PROBE_FAULT),
    Rule("envelope/fault", "DataEncodingUnknown", C.PROBE_FAULT),
    Rule("envelope/*", "*", C.MALFORMED),
    # X12 acknowledgements that reject our request.
    Rule("ta1/*", "*", C.PROBE_FAULT),
    Rule("999/*", "*", C.PROBE_FAULT),
    # AAA: 42 at the forwarder's level is the network, at or below the payer it is the payer.
    Rule("aaa/2000A", "42", C.SERVICE_DOWN),
    Rule("aaa/*", "42", C.PARTNER_DOWN),
    Rule("aaa/*", "80", C.PARTNER_DOWN),
    Rule("aaa/*", "41", C.PROBE_FAULT),
    Rule("aaa/*", "43", C.PROBE_FAULT),
    Rule("aaa/*", "51", C.PROBE_FAULT),
    Rule("aaa/*", "*", C.BUSINESS_UNEXPECTED),
    # STC: the clearinghouse's systems (E1) are the network, an information holder that is silent (E2) is the payer;
    # an error in what was asked (E0, E3, E4) is ours. A claim that is not found is for whoever expected it.
    Rule("stc/*", "E1", C.SERVICE_DOWN),
    Rule("stc/*", "E2", C.PARTNER_DOWN),
    Rule("stc/*", "E[034]", C.PROBE_FAULT),
    Rule("stc/*", "E*", C.SERVICE_DOWN),
    Rule("stc/*", "*", C.BUSINESS_UNEXPECTED),
    # X12 that does not hold together.
    Rule("x12/*", "*", C.MALFORMED),
    # The answer holds together but says something else than expected.
    Rule("expect/status", "*", C.MALFORMED),
    Rule("expect/aaa", "missing", C.BUSINESS_UNEXPECTED),  # whom nobody should know comes back as known
    Rule("expect/*", "missing", C.MALFORMED),
    Rule("expect/*", "unexpected", C.BUSINESS_UNEXPECTED),
    # The agent's own trouble.
    Rule("agent/*", "*", C.AGENT_FAULT),
)
