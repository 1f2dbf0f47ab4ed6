"""The outcome table that ships: which code at which place means what, and so whose fault it is.

Rows are tried from the top. A configuration's own rows are put before these (agent key `outcomes`).

Sources: X12 005010X279A1 (AAA03 reject reasons by loop), X12 005010X212 and 005010X214 (STC01, code list 507),
X12C 005010X231A1 (999, TA1), CAQH CORE connectivity rule vC2.2.0 (envelope error codes), SOAP 1.2 part 1, 5.4.6
(fault codes), RFC 9110 (HTTP status), HL7 FHIR R4 (issue-type, adjudication-error), Stripe's decline codes
(docs.stripe.com/declines/codes), ISO 8583:1987 and :1993 (response and action codes), RFC 1035 and 6895 (DNS rcodes),
RFC 5321 (SMTP replies), RFC 3261 (SIP).
"""

from __future__ import annotations

from outrider.codecs import iso8583_responses
from outrider.core.outcome import OutcomeClass as C
from outrider.core.outcome import OutcomeTable, Rule

FHIR_TRANSIENT = ("transient", "lock-error", "no-store", "exception", "timeout", "incomplete")
FHIR_SECURITY = ("security", "login", "unknown", "expired", "forbidden")
FHIR_INVALID = (
    "invalid", "structure", "required", "value", "invariant", "not-supported", "too-long", "code-invalid", "extension",
    "too-costly",
)  # fmt: skip
FHIR_PROCESSING = (
    "processing", "duplicate", "multiple-matches", "not-found", "deleted", "business-rule", "conflict", "suppressed",
)  # fmt: skip

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
    # A claim that is not taken (277CA): what rejects the whole submission, or its provider, is about who asks, as a 999
    # and AAA 43 and 51 are; what rejects the claim itself is for whoever expected it to be taken.
    Rule("stc/2200[BC]", "A[3678]", C.PROBE_FAULT),
    Rule("stc/*", "*", C.BUSINESS_UNEXPECTED),
    # FHIR OperationOutcome, by issue type and the element it is about: an insurer that does not answer is the payer;
    # what the server will not take of ours is our fault; what passes is the server's trouble.
    *(Rule("issue/insurer*", code, C.PARTNER_DOWN) for code in FHIR_TRANSIENT),
    Rule("issue/*", "throttled", C.THROTTLED),
    *(Rule("issue/*", code, C.SERVICE_DOWN) for code in FHIR_TRANSIENT),
    *(Rule("issue/*", code, C.PROBE_FAULT) for code in FHIR_SECURITY),
    *(Rule("issue/*", code, C.PROBE_FAULT) for code in FHIR_INVALID),
    *(Rule("issue/*", code, C.BUSINESS_UNEXPECTED) for code in FHIR_PROCESSING),
    Rule("issue/*", "*", C.MALFORMED),
    # Errors of a CoverageEligibilityResponse: X12's reject reasons, here always the payer's own; HL7's (a001, a002) say
    # what the request lacks.
    Rule("error/x12", "42", C.PARTNER_DOWN),
    Rule("error/x12", "80", C.PARTNER_DOWN),
    Rule("error/x12", "41", C.PROBE_FAULT),
    Rule("error/x12", "43", C.PROBE_FAULT),
    Rule("error/x12", "51", C.PROBE_FAULT),
    Rule("error/hl7", "a00?", C.PROBE_FAULT),
    Rule("error/none", "*", C.MALFORMED),
    Rule("error/*", "*", C.BUSINESS_UNEXPECTED),
    Rule("outcome", "queued", C.BUSINESS_UNEXPECTED),
    Rule("outcome", "partial", C.BUSINESS_UNEXPECTED),
    Rule("outcome", "*", C.MALFORMED),  # an error that names no reason
    Rule("fhir/*", "*", C.MALFORMED),
    # A certificate that held: few days left is for its owner. One that expired where nobody verified it turns away
    # every customer who does.
    Rule("certificate/*", "expires-soon", C.BUSINESS_UNEXPECTED),
    Rule("certificate/*", "*", C.SERVICE_DOWN),
    # DNS: a server that fails is the service; one that will not serve us, or cannot read us, is like a 403 or a 400. An
    # answer that a datagram cannot hold is for whoever asked over UDP.
    Rule("flags/tc", "*", C.PROBE_FAULT),
    Rule("dns/rcode", "SERVFAIL", C.SERVICE_DOWN),
    Rule("dns/rcode", "NXDOMAIN", C.BUSINESS_UNEXPECTED),
    Rule("dns/rcode", "REFUSED", C.PROBE_FAULT),
    Rule("dns/rcode", "NOTAUTH", C.PROBE_FAULT),
    Rule("dns/rcode", "FORMERR", C.PROBE_FAULT),
    Rule("dns/rcode", "NOTIMP", C.PROBE_FAULT),
    Rule("dns/rcode", "BADVERS", C.PROBE_FAULT),
    Rule("dns/answer", "*", C.BUSINESS_UNEXPECTED),
    # SMTP: 4yz is the host's own trouble; a host that turns our address or name away (554, 550, 501) is like a 403. One
    # that no longer offers the TLS it should is down for who needs it.
    Rule("smtp/*", "4??", C.SERVICE_DOWN),
    Rule("smtp/starttls", "501", C.PROBE_FAULT),
    Rule("smtp/starttls", "*", C.SERVICE_DOWN),
    Rule("smtp/*", "55?", C.PROBE_FAULT),
    Rule("smtp/ehlo", "501", C.PROBE_FAULT),
    Rule("smtp/ehlo", "504", C.PROBE_FAULT),
    Rule("smtp/*", "*", C.MALFORMED),
    # SIP: what is said of whom was asked about (moved, not found, busy, declined) is for whoever expected another
    # answer; what will not take our request (who we are, what we asked) is ours; a time-out and 5xx are the service's.
    Rule("sip/response", "3??", C.BUSINESS_UNEXPECTED),
    Rule("sip/response", "404", C.BUSINESS_UNEXPECTED),
    Rule("sip/response", "410", C.BUSINESS_UNEXPECTED),
    Rule("sip/response", "48[068]", C.BUSINESS_UNEXPECTED),
    Rule("sip/response", "408", C.SERVICE_DOWN),
    Rule("sip/response", "4??", C.PROBE_FAULT),
    Rule("sip/response", "505", C.PROBE_FAULT),
    Rule("sip/response", "513", C.PROBE_FAULT),
    Rule("sip/response", "5??", C.SERVICE_DOWN),
    Rule("sip/response", "6??", C.BUSINESS_UNEXPECTED),
    # X12 that does not hold together.
    Rule("x12/*", "*", C.MALFORMED),
    # ISO 8583: field 39, and messages that do not hold together.
    *iso8583_responses.RULES,
    # The answer holds together but says something else than expected.
    Rule("expect/status", "*", C.MALFORMED),
    Rule("expect/aaa", "missing", C.BUSINESS_UNEXPECTED),  # whom nobody should know comes back as known
    Rule("expect/error", "missing", C.BUSINESS_UNEXPECTED),
    Rule("expect/issue", "missing", C.BUSINESS_UNEXPECTED),
    Rule("expect/*", "missing", C.MALFORMED),
    Rule("expect/*", "unexpected", C.BUSINESS_UNEXPECTED),
    # The agent's own trouble.
    Rule("agent/*", "*", C.AGENT_FAULT),
)
