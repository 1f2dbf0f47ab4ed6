"""What a certificate says: whom it is for, who signed it, and how long it holds.

The reading itself is `cryptography`'s, of the extra `tls`: Python's own ssl gives no field of a certificate that it was
not asked to verify.

Source: RFC 5280; names as RFC 4514 writes them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta

from outrider.codecs.extras import require

_LONGEST = 500
_MOST_NAMES = 100


class CertificateError(ValueError):
    """Bytes that are no certificate."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate's own words, unverified. Times are aware; `names` are the DNS names and IP addresses that it is
    for, the first 100 of them."""

    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]

    def days_left(self, now: datetime) -> int:
        """Whole days until it expires: 0 on its last day, negative afterwards."""
        return (self.not_after - now) // timedelta(days=1)


def read_certificate(der: bytes) -> Certificate:
    """Read X.509 in DER. Raises CertificateError, MissingExtraError."""
    require("tls", "reading a certificate")
    from cryptography import x509

    try:
        with warnings.catch_warnings():  # about certificates that are odd: not ours to mend
            warnings.simplefilter("ignore")
            found = x509.load_der_x509_certificate(der)
            return Certificate(
                subject=found.subject.rfc4514_string()[:_LONGEST],
                issuer=found.issuer.rfc4514_string()[:_LONGEST],
                serial=f"{found.serial_number:x}",
                not_before=found.not_valid_before_utc,
                not_after=found.not_valid_after_utc,
                names=_names(found),
            )
    except Exception as error:  # the parser has several kinds, and no base of them
        raise CertificateError(f"the certificate cannot be read: {error}"[:_LONGEST]) from None


def _names(found: object) -> tuple[str, ...]:
    from cryptography import x509

    assert isinstance(found, x509.Certificate)
    try:
        given = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = (*given.get_values_for_type(x509.DNSName), *map(str, given.get_values_for_type(x509.IPAddress)))
    return tuple(name[:_LONGEST] for name in names[:_MOST_NAMES])
