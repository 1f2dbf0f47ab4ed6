"""What field 39 of an ISO 8583 answer means: whose doing it is, and whether anything may be left to reverse.

Rules
-----
1. `approved`: done; a partial approval too, which a step that wants the whole has to say (`de39: "00"`).
2. `declined`: the issuer or the switch decided against it, and nothing is held. A test card that should be good is
   `business_unexpected`.
3. `refused`: they would not take what we sent. Ours, and nothing is held.
4. `repeated`: ours too (a number used twice), but the first one may have been done.
5. `partner`: the issuer, or what stands for it, cannot be reached or answers too late. `service`: the switch itself,
   which also has to know the way to an issuer (92, 908). Nobody knows what was done.
6. A code that the standard leaves to a country or a network is unexpected, since somebody agreed on it; one that it
   keeps for itself or does not have is malformed. Nobody knows what was done.

Sources: ISO 8583:1987, annex A, table A.7 (response codes; 85 as card networks use it, "no reason to decline");
ISO 8583:1993, annex A (action codes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from outrider.core.outcome import OutcomeClass as C
from outrider.core.outcome import Rule

_SORTS = {
    "approved": C.OK,
    "declined": C.BUSINESS_UNEXPECTED,
    "refused": C.PROBE_FAULT,
    "repeated": C.PROBE_FAULT,
    "partner": C.PARTNER_DOWN,
    "service": C.SERVICE_DOWN,
    "unclear": C.BUSINESS_UNEXPECTED,
}

PLACE = "de39"
"""The fact and the place of the findings; behind a slash stands the version of the standard."""


@dataclass(frozen=True, slots=True)
class Response:
    """One code: its sort (see the rules) and its meaning in words."""

    sort: str
    words: str

    @property
    def outcome(self) -> C:
        return _SORTS[self.sort]


def _responses(text: str) -> dict[str, Response]:
    lines = (line.split(maxsplit=2) for line in text.strip().splitlines())
    return {code: Response(sort, words) for code, sort, words in lines}


_1987 = _responses("""
00 approved approved
01 declined refer to the issuer
02 declined refer to the issuer, special condition
03 refused the merchant is not valid
04 declined pick up the card
05 declined do not honour
06 service error
07 declined pick up the card, special condition
08 approved honour with identification
09 service the request is still in progress
10 approved approved in part
11 approved approved, VIP
12 refused the transaction is not valid
13 refused the amount is not valid
14 declined no such card number
15 declined no such issuer
16 approved approved, update track 3
17 declined the customer cancelled
18 declined the customer disputes
19 service enter the transaction again
20 partner the response was not valid
21 declined no action was taken
22 service a malfunction is suspected
23 declined the fee is not acceptable
24 refused file updates are not supported
25 declined no such record
26 refused the record is there twice
27 refused a field of the file update is wrong
28 service the file is locked
29 service the file was not updated
30 refused the format is wrong
31 declined the switch does not support the bank
32 unclear completed in part
33 declined the card has expired, pick it up
34 declined fraud is suspected, pick the card up
35 declined contact the acquirer, pick the card up
36 declined the card is restricted, pick it up
37 declined call the acquirer's security, pick the card up
38 declined too many wrong PINs, pick the card up
39 declined no credit account
40 refused the function is not supported
41 declined the card is lost
42 declined no universal account
43 declined the card is stolen
44 declined no investment account
51 declined the funds do not suffice
52 declined no cheque account
53 declined no savings account
54 declined the card has expired
55 declined the PIN is wrong
56 declined no record of the card
57 declined not permitted to this cardholder
58 refused not permitted to this terminal
59 declined fraud is suspected
60 declined contact the acquirer
61 declined above the limit of amounts
62 declined the card is restricted
63 refused a security rule is broken
64 refused this is not the original amount
65 declined above the limit of uses
66 declined call the acquirer's security
67 declined the machine must keep the card
68 partner the response came too late
75 declined too many wrong PINs
85 approved no reason to decline
90 service the switch is closing its business day
91 partner the issuer or a switch is out of order
92 service no route to the institution
93 declined it would break the law
94 repeated sent twice
95 refused the totals do not agree
96 service the system malfunctions
""")

_1993 = _responses("""
000 approved approved
001 approved honour with identification
002 approved approved in part
003 approved approved, VIP
004 approved approved, update track 3
005 approved approved, account type given by the issuer
006 approved approved in part, account type given by the issuer
007 approved approved, update the chip
100 declined do not honour
101 declined the card has expired
102 declined fraud is suspected
103 declined contact the acquirer
104 declined the card is restricted
105 declined call the acquirer's security
106 declined too many wrong PINs
107 declined refer to the issuer
108 declined refer to the issuer, special conditions
109 refused the merchant is not valid
110 refused the amount is not valid
111 declined no such card number
112 refused PIN data are required
113 declined the fee is not acceptable
114 declined no account of this type
115 refused the function is not supported
116 declined the funds do not suffice
117 declined the PIN is wrong
118 declined no record of the card
119 declined not permitted to this cardholder
120 refused not permitted to this terminal
121 declined above the limit of amounts
122 refused a security rule is broken
123 declined above the limit of uses
124 declined it would break the law
125 declined the card is not in force
126 refused the PIN block is not valid
127 refused the PIN has a wrong length
128 refused the PIN keys do not agree
129 declined the card may be a counterfeit
200 declined do not honour, pick up the card
201 declined the card has expired, pick it up
202 declined fraud is suspected, pick the card up
203 declined contact the acquirer, pick the card up
204 declined the card is restricted, pick it up
205 declined call the acquirer's security, pick the card up
206 declined too many wrong PINs, pick the card up
207 declined special conditions, pick the card up
208 declined the card is lost
209 declined the card is stolen
210 declined the card may be a counterfeit, pick it up
400 approved the reversal is accepted
800 approved the network message is accepted
900 approved the advice is taken, without liability
901 approved the advice is taken, with liability
902 refused the transaction is not valid
903 service enter the transaction again
904 refused the format is wrong
905 refused the switch does not support the acquirer
906 service the switch is closing its business day
907 partner the issuer or a switch is out of order
908 service no route to the destination
909 service the system malfunctions
910 partner the issuer has signed off
911 partner the issuer did not answer in time
912 partner the issuer is not available
913 repeated sent twice
914 declined the original transaction is not known
916 refused the authentication code is wrong
917 refused the authentication keys do not agree
918 service there are no keys for the line
919 refused the encryption keys do not agree
920 service the security module fails
921 declined no action was taken
922 refused the message number is out of order
923 service the request is still in progress
950 declined it would break a business arrangement
""")

RESPONSES: Mapping[int, Mapping[str, Response]] = {1987: _1987, 1993: _1993}
"""Version of the standard -> code -> what it means."""

NOTHING_DONE = frozenset(
    code
    for responses in RESPONSES.values()
    for code, response in responses.items()
    if response.sort in ("declined", "refused")
)
"""The codes after which nothing is left to reverse. Codes have two characters in 1987 and three in 1993."""

RULES: tuple[Rule, ...] = (
    *(Rule(f"{PLACE}/{version}", code, each.outcome) for version, known in RESPONSES.items()
      for code, each in known.items()),
    # Rule 6: left to countries and networks.
    Rule(f"{PLACE}/1987", "7[6-9]", C.BUSINESS_UNEXPECTED),
    Rule(f"{PLACE}/1987", "8[0-9]", C.BUSINESS_UNEXPECTED),
    Rule(f"{PLACE}/1987", "9[7-9]", C.BUSINESS_UNEXPECTED),
    Rule(f"{PLACE}/1987", "*[A-Z]*", C.BUSINESS_UNEXPECTED),
    Rule(f"{PLACE}/1993", "[12][0-9][0-9]", C.BUSINESS_UNEXPECTED),
    Rule(f"{PLACE}/*", "*", C.MALFORMED),
    # A message that does not hold together.
    Rule("iso8583/*", "*", C.MALFORMED),
)  # fmt: skip
"""Rows of the outcome table."""
