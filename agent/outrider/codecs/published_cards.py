"""Card numbers that their schemes and gateways publish for tests: no account stands behind any of them.

Only these may stand in a scenario (`outrider.hygiene`). A number that is not here may belong to somebody. To add one,
name the page that publishes it. Every entry passes the Luhn check and has 13 to 19 digits.
"""

from __future__ import annotations

from collections.abc import Mapping

SOURCES: Mapping[str, tuple[str, ...]] = {
    # Stripe, "Testing": cards by brand, by country, by decline, by check result, by dispute.
    "Stripe, docs.stripe.com/testing": (
        "4242424242424242", "4000056655665556", "5555555555554444", "2223003122003222", "5200828282828210",
        "5105105105105100", "378282246310005", "371449635398431", "6011111111111117", "6011000990139424",
        "3056930009020004", "36227206271667", "3566002020360505", "6200000000000005",
        "4000000000000002", "4000000000009995", "4000000000009987", "4000000000009979", "4000000000000069",
        "4000000000000127", "4000000000000119", "4000000000006975",
        "4000000000000010", "4000000000000028", "4000000000000036", "4000000000000044", "4000000000000101",
        "4000000000000341", "4000000000000077", "4000000000000259",
    ),
    # PayPal, "Card testing": one or two numbers for each brand.
    "PayPal, developer.paypal.com/tools/sandbox/card-testing": (
        "4111111111111111", "4012888888881881", "4222222222222", "378282246310005", "371449635398431",
        "378734493671000", "30569309025904", "38520000023237", "6011111111111117", "6011000990139424",
        "3530111333300000", "3566002020360505", "5555555555554444", "5105105105105100",
    ),
    # Braintree, "Testing": cards that succeed, and those that are declined at verification.
    "Braintree, developer.paypal.com/braintree/docs/reference/general/testing": (
        "4111111111111111", "4005519200000004", "4009348888881881", "4012000033330026", "4012000077777777",
        "4012888888881881", "4217651111111119", "4500600000000061", "5555555555554444", "2223000048400011",
        "378282246310005", "371449635398431", "6011111111111117", "6011000991300009", "3530111333300000",
        "4000111111111115",
    ),
    # Authorize.net, "Testing guide": card numbers for the sandbox.
    "Authorize.net, developer.authorize.net/hello_world/testing_guide.html": (
        "370000000000002", "6011000000000012", "3088000000000017", "38000000000006", "4007000000027",
        "4012888818888", "4111111111111111", "5424000000000015", "2223000010309703", "2223000010309711",
    ),
    # Adyen, "Test card numbers".
    "Adyen, docs.adyen.com/development-resources/testing/test-card-numbers": (
        "4111111145551142", "4988438843884305", "4166676667666746", "4646464646464644", "4444333322221111",
        "2222400070000005", "5555341244441115", "5577000055770004", "5555444433331111", "2222410740360010",
        "370000000000002", "36006666333344", "6011601160116611", "6445644564456445", "3569990010095841",
    ),
}  # fmt: skip

PUBLISHED: frozenset[str] = frozenset(number for numbers in SOURCES.values() for number in numbers)
