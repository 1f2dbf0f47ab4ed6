"""What the operating system says went wrong -> where the exchange failed, and whose doing it was."""

from __future__ import annotations

import errno
import socket
import ssl

from outrider.core.outcome import Finding

CONNECT_CODES = {
    errno.ECONNREFUSED: "refused",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ETIMEDOUT: "timeout",
    errno.ECONNRESET: "reset",
}
OWN_TROUBLE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
LONGEST = 200
"""Characters of a system's message that a detail repeats."""


def own_trouble(error: BaseException) -> Finding | None:
    """The finding where it is this machine that has run out of something."""
    number = error.errno if isinstance(error, OSError) else None
    if number not in OWN_TROUBLE:
        return None
    return Finding(errno.errorcode[number], "agent/socket", str(error)[:LONGEST])


def explain(error: OSError, phase: str) -> Finding:
    """The finding for what a socket or a handshake raised in a phase."""
    if own := own_trouble(error):
        return own
    if error.errno == errno.EMSGSIZE:
        return Finding("cannot-send", "agent/request", "the request is longer than a datagram can be")
    detail = (getattr(error, "verify_message", "") or error.strerror or str(error) or "the peer ended it")[:LONGEST]
    match error:
        case socket.gaierror():
            return Finding("dns", "net/resolve", detail)
        case ssl.SSLCertVerificationError():
            return Finding("certificate", "net/tls", detail)
        case ssl.SSLError() if phase == "tls":
            return Finding("handshake", "net/tls", detail)
        case ssl.SSLError():
            return Finding("bad-tls", f"net/{phase}", detail)
        case ConnectionResetError() | BrokenPipeError():
            return Finding("reset", f"net/{phase}", "the peer reset the connection")
    if phase == "resolve":  # the machine did not get as far as to ask
        return Finding(errno.errorcode.get(error.errno or 0, "failed"), "agent/resolver", detail)
    return Finding(CONNECT_CODES.get(error.errno or 0, "failed"), f"net/{phase}", detail)
