"""Hygiene, enforced by code: what a scenario may not hold, and what may not be sent.

Rules
-----
1. Card numbers are those that are published for tests (`codecs.published_cards`). Another number of 13 to 19 digits
   that passes the Luhn check, anywhere in a file, is refused; also one that several names make up together, and one
   that is written with blanks, dashes, dots, in other digits, or escaped as in a URL, JSON or XML. A token that looks
   like a card number goes into a secret.
2. A request with an amount pays, and so does a step that says `pays: true`. A scenario that pays says `money`, and no
   request asks for more. Each step that pays is undone by a cleanup, or undoes another one (`unless`; not with `pays:
   true`, which moves money on), or the scenario says `no_cleanup_because`. An inquiry never pays.
3. A provider's NPI and an ABA routing number have the right check digit.
4. What can only be seen when a request is made is checked then: a request that breaks rule 1, 2 or 3 is the agent's
   own fault, and is not sent. A cleanup is held to rule 1 alone, without what was captured: giving back goes first.
5. What scenarios say about people, and the numbers of bank accounts (`private_values`), are masked in every detail that
   leaves the process. For bank accounts there is no list of numbers for tests as there is for cards: no scheme
   publishes one, and each gateway has its own.

Messages say where, and never the number: its first six and last four digits at most.
"""

from __future__ import annotations

from outrider.hygiene.private import private_values
from outrider.hygiene.rules import as_written, asked_for, problems, refuse_cards, refuse_request

__all__ = ["as_written", "asked_for", "private_values", "problems", "refuse_cards", "refuse_request"]
