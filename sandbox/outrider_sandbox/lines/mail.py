"""The service `mail`: a host that greets, knows EHLO, STARTTLS, NOOP, RSET and QUIT, and takes no mail.

Source: RFC 5321, RFC 3207.
"""

from __future__ import annotations

from outrider.codecs.framing import line
from outrider_sandbox.board import Drawn
from outrider_sandbox.line import Line
from outrider_sandbox.lines.secure import Certificates
from outrider_sandbox.messages import Message, Room, StreamService, ThenTls

COMPONENT = "mail"
HOST = "mail.outrider.test"
_VERBS = ("HELO", "EHLO", "STARTTLS", "NOOP", "RSET", "QUIT")


def mail(line_to: Line, certificates: Certificates) -> StreamService:
    return StreamService(
        COMPONENT,
        line_to,
        ends=line,
        open_room=_open_room,
        kind=lambda payload: _verb(payload).lower() if payload else "banner",
        greeting=_greet,
        secure=certificates.context,
    )


def _verb(payload: bytes) -> str:
    verb = payload.split()[0].decode("ascii", "replace").upper() if payload.split() else ""
    return verb if verb in _VERBS else "other"


def _greet(message: Message) -> bytes:
    return _refusal(message.drawn, "banner") or f"220 {HOST} ESMTP Outrider sandbox\r\n".encode()


def _open_room() -> Room:
    """A conversation: it remembers whether it is over TLS."""
    secured = False

    def answer(message: Message) -> bytes | None:
        nonlocal secured
        verb = _verb(message.payload)
        argument = message.payload.decode("ascii", "replace").partition(" ")[2].strip()
        if verb == "EHLO":
            offers = [] if secured or message.drawn.take("no_starttls") else ["STARTTLS"]
            return _refusal(message.drawn, "ehlo") or _hello(argument, offers)
        if verb == "STARTTLS":
            if refusal := _refusal(message.drawn, "starttls"):
                return refusal
            if secured:
                return b"503 TLS is spoken already\r\n"
            secured = True
            return ThenTls(b"220 go ahead\r\n")
        return {
            "HELO": f"250 {HOST}\r\n".encode(),
            "NOOP": b"250 ok\r\n",
            "RSET": b"250 ok\r\n",
            "QUIT": b"221 bye\r\n",
        }.get(verb, b"502 no mail is taken here\r\n")

    return answer


def _hello(client: str, offers: list[str]) -> bytes:
    if not client:
        return b"501 EHLO needs a name\r\n"
    texts = [f"{HOST} greets you", "PIPELINING", "SIZE 10485760", *offers, "8BITMIME"]
    *more, last = texts
    return "".join([*(f"250-{text}\r\n" for text in more), f"250 {last}\r\n"]).encode()


def _refusal(drawn: Drawn, step: str) -> bytes | None:
    """What the fault `smtp` says in this step."""
    active = drawn.take("smtp", step=step)
    return f"{active.fault.number('code')} not now\r\n".encode() if active else None
