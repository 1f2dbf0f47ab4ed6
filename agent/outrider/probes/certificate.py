"""What probes that meet a peer over TLS say of it: its certificate's days, and the facts of the handshake.

A certificate that expired or is not trusted fails the handshake, where it is verified: `service_down` at `net/tls`.
Here it is about one that held: with few days left it is a finding `expires-soon` at `certificate/days`, which is
`business_unexpected`: nothing failed yet, but somebody has to renew it. Where nothing was verified, `expired` and
`not-yet-valid` are findings of their own: every customer who verifies is turned away, which is `service_down`.

Facts: `certificate` ("valid", or the finding's code), `days_to_expiry`, `not_before`, `not_after`, `subject`, `issuer`,
`serial`, `names`, `tls_version`, `cipher`.
"""

from __future__ import annotations

from datetime import datetime

from outrider.codecs.x509 import Certificate, CertificateError, read_certificate
from outrider.core.outcome import Finding, Observation
from outrider.transport import TlsPeer

MIN_DAYS = 14
"""With fewer days left, a renewal that was due has not happened: those that renew by themselves do it 30 days ahead."""

PLACE = "certificate/days"


def look_at(peer: TlsPeer, now: str, min_days: int) -> Observation:
    """What a peer's certificate says at `now` (RFC 3339). Raises MissingExtraError alone."""
    facts: dict[str, tuple[str, ...]] = {"tls_version": (peer.version,), "cipher": (peer.cipher,)}
    try:
        found = read_certificate(peer.certificate)
    except CertificateError as error:
        return Observation((Finding("unreadable", "body/certificate", str(error)),), facts)
    at = datetime.fromisoformat(now)
    finding = _finding(found, at, min_days)
    facts |= {
        "certificate": (finding.code if finding else "valid",),
        "days_to_expiry": (str(found.days_left(at)),),
        "not_before": (found.not_before.strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "not_after": (found.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "subject": (found.subject,),
        "issuer": (found.issuer,),
        "serial": (found.serial,),
        "names": found.names,
    }
    return Observation((finding,) if finding else (), facts)


def _finding(found: Certificate, at: datetime, min_days: int) -> Finding | None:
    day = found.not_after.strftime("%Y-%m-%d")
    if at >= found.not_after:
        return Finding("expired", PLACE, f"the certificate of {found.subject} expired on {day}")
    if at < found.not_before:
        return Finding("not-yet-valid", PLACE, f"the certificate of {found.subject} does not hold yet")
    if (left := found.days_left(at)) < min_days:
        detail = f"the certificate of {found.subject} expires on {day}, in {left} days; {min_days} are the least"
        return Finding("expires-soon", PLACE, detail)
    return None
