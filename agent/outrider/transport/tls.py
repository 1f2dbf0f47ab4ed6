"""TLS contexts: how far a peer is trusted. TLS 1.2 is the oldest that is spoken (RFC 8996 ends 1.0 and 1.1)."""

from __future__ import annotations

import ssl
from functools import cache

from outrider.core.outcome import Finding


def configure(context: ssl.SSLContext, ca_file: str | None, *, verify: bool) -> None:
    """Set a client's context up. Raises OSError where the certificates of authorities cannot be read."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_file is not None:
        context.load_verify_locations(ca_file)
    else:
        context.load_default_certs()


@cache
def client_context(ca_file: str | None, verify: bool) -> ssl.SSLContext:
    """A context for conversations, made once: to read certificates takes 20 ms. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    configure(context, ca_file, verify=verify)
    return context


def unreadable(ca_file: str | None, error: OSError) -> Finding:
    """The finding for authorities that cannot be read: the agent's own trouble."""
    detail = f"cannot read the certificates of {ca_file or 'this machine'}: {error.strerror or error}"
    return Finding("certificates", "agent/tls", detail)
