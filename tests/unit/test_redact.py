from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.redact import (
    MASK,
    RULES,
    Redactor,
    Span,
    card_numbers,
    card_spans,
    cards,
    fields,
    persons,
    printable,
    readings,
    secret_spans,
)

VISA, VISA_2, VISA_3 = "4111111111111111", "4242424242424242", "4000000000000002"
MASTERCARD = "5555555555554444"

# --- known secrets


@pytest.mark.parametrize(
    ("secrets", "text", "masked"),
    [
        (["hunter2"], "the word is hunter2, or xhunter2x", f"the word is {MASK}, or x{MASK}x"),
        (
            ["123"],
            "cvv 123, not 1234, a123 or 123b; #123# _123_",
            f"cvv {MASK}, not 1234, a123 or 123b; #{MASK}# _{MASK}_",
        ),
        (["#1"], "#1 #12 a#1", f"{MASK} #12 a{MASK}"),
        (["abcdef", "abcd"], "abcd abcdef abcde", f"{MASK} {MASK} {MASK}e"),
        (["abcde", "defgh"], "-abcdefgh-", f"-{MASK}-"),
        (["aaaa"], "aaaaaaa", MASK),
        ([" padded\n"], "padded", MASK),
        (["", " ", MASK], f"nothing to mask {MASK}", f"nothing to mask {MASK}"),
        ([f"left{MASK}right"], "left and right", f"{MASK} and {MASK}"),
    ],
)
def test_a_known_secret_is_masked_wherever_it_stands(secrets: list[str], text: str, masked: str) -> None:
    assert Redactor(secrets).text(text) == masked


SHAPED = 'p&ss "wörd"\\<1>/+'


@pytest.mark.parametrize(
    "shape",
    [
        quote(SHAPED, safe=""),
        quote(SHAPED, safe="").replace("%20", "+"),
        json.dumps(SHAPED),
        json.dumps(SHAPED, ensure_ascii=False),
        repr([SHAPED]),
        'p&amp;ss "wörd"\\&lt;1&gt;/+',
        "p&amp;ss &quot;wörd&quot;\\&lt;1&gt;/+",
    ],
)
def test_a_secret_is_known_in_the_shapes_it_travels_in(shape: str) -> None:
    masked = Redactor([SHAPED]).text(f"<{shape}>")
    assert MASK in masked
    assert "ss" not in masked


@pytest.mark.parametrize("user", ["a", "ab", "abc", "abcd"])
@pytest.mark.parametrize("after", ["", "x", "xy"])
def test_a_secret_is_known_inside_base64_however_it_is_aligned(user: str, after: str) -> None:
    encoded = base64.b64encode(f"{user}:open-sesame{after}".encode()).decode()
    masked = Redactor(["open-sesame"]).text(encoded)
    assert MASK in masked
    assert len(masked.replace(MASK, "").rstrip("=")) <= (len(user) + 1 + len(after)) * 4 / 3 + 3


# --- cards


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (VISA, "411111******1111"),
        ("4111 1111 1111 1111", "4111 11** **** 1111"),
        ("5555-5555-5555-4444", "5555-55**-****-4444"),
        ("card%5Bnumber%5D=4111+1111+1111+1111&x=1", "card%5Bnumber%5D=4111+11**+****+1111&x=1"),
        ("378282246310005", "378282*****0005"),
        ("4222222222222", "422222***2222"),
        ("6304000000000000000", "630400*********0000"),
        (f"card={VISA};", "card=411111******1111;"),
        (f"x{MASTERCARD}y", "x555555******4444y"),
        (f"{VISA} {VISA_2}", "411111******1111 424242******4242"),
        (f"5 {VISA}", "5 411111******1111"),
        (f"{VISA} 12/29", "411111******1111 12/29"),
        (f"[{VISA_3},{VISA_2}]", "[400000******0002,424242******4242]"),
    ],
)
def test_a_card_number_keeps_its_first_six_and_last_four(text: str, masked: str) -> None:
    assert Redactor().text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # Luhn fails
        "4111 1111 1111 1112",
        "411111111111",  # twelve digits
        "41111111111111111111",  # twenty
        "0000000000000000",  # nobody's
        "1780351200000008",  # a time in microseconds that happens to pass
        "4111,1111,1111,1111",
        "4111\n1111\n1111\n1111",
        "000000001",
        "005010X279A1",
    ],
)
def test_other_digits_are_left_alone(text: str) -> None:
    assert Redactor().text(text) == text
    assert card_numbers(text) == []


def test_a_number_after_its_own_length_is_found_in_a_longer_run_of_digits() -> None:
    message = f"0100722000000080800016{VISA}000000000000012340601"
    assert Redactor().text(message) == "0100722000000080800016411111******1111000000000000012340601"
    assert card_numbers(message) == [VISA]


@pytest.mark.parametrize(
    ("track", "masked"),
    [
        (f";{VISA}=25121011000012345678?", f";411111******1111{MASK}?"),
        (f"{VISA}D25121011000012345678", f"411111******1111{MASK}"),
        (f"%B{VISA}^DOE/JANE^2512101123456789?", f"%B411111******1111{MASK}?"),
    ],
)
def test_track_data_goes_with_the_number(track: str, masked: str) -> None:
    assert Redactor().text(track) == masked


def test_card_numbers_are_listed_in_order_without_their_separators() -> None:
    text = f"a {VISA_3} b 4242-4242 4242-4242, {VISA_3} and 4111111111111112"
    assert card_numbers(text) == [VISA_3, VISA_2, VISA_3]


def _luhn(number: str) -> bool:
    """The check as the standard words it, by hand."""
    doubled = [int(digit) * 2 for digit in number[-2::-2]]
    return (sum(int(digit) for digit in number[-1::-2]) + sum(n // 10 + n % 10 for n in doubled)) % 10 == 0


@settings(max_examples=200, deadline=None)
@given(digits=st.from_regex(r"[2-9][0-9]{11,17}", fullmatch=True))
def test_a_run_of_13_to_19_digits_is_a_card_exactly_if_it_passes_the_luhn_check(digits: str) -> None:
    completed = [digits + str(last) for last in range(10)]
    for number in (*completed, digits):
        assert card_numbers(f"<{number}>") == ([number] if 13 <= len(number) <= 19 and _luhn(number) else [])


# --- social security numbers


def test_a_social_security_number_is_masked_and_longer_numbers_are_not() -> None:
    text = "123-45-6789, (987-65-4321) 1123-45-6789 123-45-67890 123-456-789"
    assert Redactor().text(text) == f"{MASK}, ({MASK}) 1123-45-6789 123-45-67890 123-456-789"


# --- X12

ISA = "ISA{0}00{0}          {0}00{0}          {0}ZZ{0}SENDER         {0}ZZ{0}RECEIVER       {0}260601{0}1200{0}"
ISA += "{2}{0}00501{0}000000001{0}0{0}T{0}:{1}"
PERSON = ["NM1*IL*1*DOE*JANE*Q***MI*W123456789", "N3*1 MAIN ST*APT 2", "N4*PLANO*TX*75024", "DMG*D8*19700101*F"]
PERSON += ["REF*SY*123456789", "NM1*03*1*DOE*JIM", "NM1*QC*1*ROE", "NM1*IL*1**", "REF*EJ*ACCT1", "REF*1K*CLAIM1"]
PERSON += ["CLM*ACCT1*125***11*Y*A"]
PERSON_MASKED = ["NM1*IL*1*#*#*#***#*#", "N3*#*#", "N4*#*#*#", "DMG*#*#*#", "REF*SY*#", "NM1*03*1*#*#", "NM1*QC*1*#"]
PERSON_MASKED += ["NM1*IL*1**", "REF*EJ*#", "REF*1K*#", "CLM*#*125***11*Y*A"]
OTHERS = ["ST*271*0001*005010X279A1", "NM1*PR*2*ACME PAYER*****PI*12345", "REF*18*GROUP", "EB*1**30", "TRN*1*ABC*9"]


@pytest.mark.parametrize("separator", ["*", "|", "^", "+", "\x1d", "\x1f"])
@pytest.mark.parametrize("terminator", ["~", "\n", "\r", "'", "\x1c", "~\n", "!\r\n  "])
@pytest.mark.parametrize("before", ["", "\ufeff", "<Payload><![CDATA[", "HTTP body: "])
def test_person_segments_are_masked_whatever_separators_the_isa_names(
    separator: str, terminator: str, before: str
) -> None:
    def written(segments: list[str]) -> str:
        return before + isa + "".join(one.replace("*", separator) + terminator for one in segments) + "]]>"

    isa = ISA.format(separator, terminator[0], "=") + terminator[1:]
    expected = written(OTHERS + PERSON_MASKED + OTHERS).replace("#", MASK)
    assert Redactor().text(written(OTHERS + PERSON + OTHERS)) == expected


@pytest.mark.parametrize("separator", ["*", "|", "^"])
@pytest.mark.parametrize("terminator", ["~", "\n", "\r\n", "\x1d", "~\r\n"])
def test_person_segments_are_masked_in_an_excerpt_without_an_isa(separator: str, terminator: str) -> None:
    segments = OTHERS + PERSON + OTHERS
    expected = OTHERS + PERSON_MASKED + OTHERS
    text = terminator.join(segments).replace("*", separator)
    assert Redactor().text(text) == terminator.join(expected).replace("*", separator).replace("#", MASK)


def test_each_interchange_is_read_with_its_own_separators() -> None:
    first = ISA.format("*", "~", "^") + "NM1*IL*1*DOE~IEA*1*000000001~"
    second = ISA.format("|", "!", "^") + "NM1|IL|1|DOE!IEA|1|000000001!"
    masked = Redactor().text(first + second + first)
    assert "DOE" not in masked
    assert masked.count("IEA*1*000000001~") == 2
    assert masked.count("IEA|1|000000001!") == 1


def test_an_isa_that_lies_about_its_separators_hides_nothing() -> None:
    text = ISA.format("|", "!", "^") + "NM1*IL*1*DOE*JANE~N3*1 MAIN ST~"
    assert not re.search("DOE|JANE|MAIN", Redactor().text(text))
    assert not re.search("DOE|JANE", Redactor().text("ISA-95 " + "x" * 98 + ".NM1*IL*1*DOE.*JANE~"))


def test_a_segment_that_was_cut_off_is_masked_to_the_end() -> None:
    assert Redactor().text("ST*271*1~NM1*IL*1*DOE*JA") == f"ST*271*1~NM1*IL*1*{MASK}*{MASK}"


def test_words_that_look_like_segments_are_left_alone() -> None:
    text = "REF*N3*X~LQ*N4*Y~CONN1*IL*1*a*b~N3 Main"
    assert Redactor().text(text) == text


# --- fields


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Basic dTpw\r\nHost: x", "Authorization: #\r\nHost: x"),
        ("proxy-authorization:Bearer a.b-c\nHost: x", "proxy-authorization:#\nHost: x"),
        ('AUTHORIZATION: Digest username="u", response="6f"\r\nX: y', "AUTHORIZATION: #\r\nX: y"),
        ("Authorization:\r\n Basic dTpw\r\nHost: x", "Authorization:\r\n #\r\nHost: x"),
        ("{'Authorization': 'Bearer q', 'a': 1}", "{'Authorization': '#', 'a': 1}"),
        ("[(b'Authorization', b'Basic z'), (b'X', b'y')]", "[(b'Authorization', b'#'), (b'X', b'y')]"),
        ("Set-Cookie: session=abc; Path=/\r\nX: y", "Set-Cookie: #\r\nX: y"),
        ('{"password": "a\\"b\\\\", "n": 1}', '{"password": "#", "n": 1}'),
        ('{"newPassword":"x","Password_hint":"y"}', '{"newPassword":"#","Password_hint":"y"}'),
        ('{"cvv": 123, "cvc":"456", "n": 1}', '{"cvv": "#", "cvc":"#", "n": 1}'),
        ('{"cvv2" : 1234}', '{"cvv2" : "#"}'),
        ('{"card": {"pin": ["1", "2"], "last4": "1111"}}', '{"card": {"pin": "#", "last4": "1111"}}'),
        (
            '{"track1": "B4^X", "track_2_data": "9=8", "trackData": "7"}',
            '{"track1": "#", "track_2_data": "#", "trackData": "#"}',
        ),
        ('{"userPin": "1", "cardPIN": 2}', '{"userPin": "#", "cardPIN": "#"}'),
        ('{"body": "{\\"password\\": \\"a b\\", \\"x\\": 1}"}', '{"body": "{\\"password\\": \\"#\\", \\"x\\": 1}"}'),
        ("user=u&password=a+b%26c&cvv=1&pin=2&x=3", "user=u&password=#&cvv=#&pin=#&x=3"),
        ("amount=1&card[cvc]=123&x=1", "amount=1&card[cvc]=#&x=1"),
        ("amount=1&card%5Bcvc%5D=123&x=1", "amount=1&card%5Bcvc%5D=#&x=1"),
        ("card%5bcvv%5d=1234", "card%5bcvv%5d=#"),
        ("card[cvc][value]=123&cvc[0]=456", "card[cvc][value]=#&cvc[0]=#"),
        ("{'card[cvc]': '123', 'x': 1}", "{'card[cvc]': '#', 'x': 1}"),
        ("account%5Baccount_number%5D=000123456789&x=1", "account%5Baccount_number%5D=#&x=1"),
        ('{"account_number": "000123456789", "last4": "6789"}', '{"account_number": "#", "last4": "6789"}'),
        ('{"accountNumber":12345,"acctNo":"1"}', '{"accountNumber":"#","acctNo":"#"}'),
        ("<x:AccountNumber>1234</x:AccountNumber>", "<x:AccountNumber>#</x:AccountNumber>"),
        ("https://x.example/?api_key=abc&x=1", "https://x.example/?api_key=#&x=1"),
        ('"https://x.example/?pin=1"', '"https://x.example/?pin=#"'),
        ("password=bob", "password=#"),
        ("password: hunter two", "password: # two"),
        ("passwd = it's", "passwd = #"),
        ('<wsse:Password Type="t">a&amp;b</wsse:Password>', '<wsse:Password Type="t">#</wsse:Password>'),
        ("<Password><![CDATA[a<b]]></Password><x>1</x>", "<Password><![CDATA[#]]></Password><x>1</x>"),
        ('<card cvv="123" brand="visa"/>', '<card cvv="#" brand="visa"/>'),
        (
            '{"verification_value": "1", "cardVerificationCode": "2"}',
            '{"verification_value": "#", "cardVerificationCode": "#"}',
        ),
        (
            '{"cvd":"1","cv2":"2","cvNumber":"3","cvv2Val":"4","cvc_code":"5"}',
            '{"cvd":"#","cv2":"#","cvNumber":"#","cvv2Val":"#","cvc_code":"#"}',
        ),
        ("<CardSecurityVal>123</CardSecurityVal>", "<CardSecurityVal>#</CardSecurityVal>"),
        ("<x:user.Password>p</x:user.Password>", "<x:user.Password>#</x:user.Password>"),
        (
            '{"secret":"a","secret_key":"b","privateKey":"c","app_secret":"d"}',
            '{"secret":"#","secret_key":"#","privateKey":"#","app_secret":"#"}',
        ),
        ("x-auth-token: a\nsession_token=b", "x-auth-token: #\nsession_token=#"),
        ("'cvc' => '123', 'n' => 1", "'cvc' => '#', 'n' => 1"),
        ('{"name":"cvc","value":"123"}', '{"name":"cvc","value":"#"}'),
        ('[{"value":"4","key" : "cvv", "value" : 12}]', '[{"value":"4","key" : "cvv", "value" : #}]'),
        ('<input name="cvc" value="123"/>', '<input name="cvc" value="#"/>'),
        ('<field id="7" name="cvc">123</field>', '<field id="7" name="cvc">#</field>'),
        ("https://user:pa+ss@x.example/?a=b@c", "https://user:#@x.example/?a=b@c"),
        ("<password>never closed", "<password>#"),
        ('{"password": "never closed', '{"password": "#'),
    ],
)
def test_the_value_of_a_field_with_a_telling_name_is_masked(text: str, masked: str) -> None:
    assert Redactor().text(text) == masked.replace("#", MASK)


@pytest.mark.parametrize(
    "text",
    [
        "shopping: 3, mapping=4, pinned: 5, Pinto: 6",
        '{"tracking_number": "1Z9", "soundtrack_id": 4}',
        '{"password_file": "/run/password", "authorization_code": "A1"}',
        '{"authorization": {"id": "auth_1"}}',
        "<Passwords/><password/><password></password>",
        '{"cvc_check":"pass","cvv_result":"M","cvvResponseCode":"M","card_number":"1"}',
        '{"name":"amount","value":"100"}',
        '<field name="amount">100</field>',
        "https://x.example:8443/a:b@c and http://[::1]:80/",
        "the secret PEER_KEY is not set; Bearer ${secret:PEER_KEY}",
        "wrong password",
    ],
)
def test_names_that_only_resemble_are_left_alone(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("card[number]=1&card[cvc]=123&x=1", "card[number]=1&card[cvc]=@&x=1"),
        ("a[card][cvc]=123", "a[card][cvc]=@"),
        ("POST['cvc'] = '123'", "POST['cvc'] = '@'"),
        ("card%5Bcvc%5D=123&x=1", "card%5Bcvc%5D=@&x=1"),
        ("card%5bcvc%5d=123&x=1", "card%5bcvc%5d=@&x=1"),
        ("https://x.example/?then=%2Fpay%3Fcvc%3D123%26x%3D1", "https://x.example/?then=%2Fpay%3Fcvc%3D@%26x%3D1"),
        ("%7B%22cvc%22%3A%22123%22%2C%22x%22%3A1%7D", "%7B%22cvc%22%3A%22@%22%2C%22x%22%3A1%7D"),
        (
            "<pre>{&quot;cvc&quot;:&quot;123&quot;,&quot;x&quot;:1}</pre>",
            "<pre>{&quot;cvc&quot;:&quot;@&quot;,&quot;x&quot;:1}</pre>",
        ),
        ("{&#34;cvc&#x22;: &#034;123&#x0022;}", "{&#34;cvc&#x22;: &#034;@&#x0022;}"),
        ("{\\u0022cvc\\u0022:\\u0022123\\u0022}", "{\\u0022cvc\\u0022:\\u0022@\\u0022}"),
        ("{\\x22cvc\\x22:\\x22123\\x22}", "{\\x22cvc\\x22:\\x22@\\x22}"),
        ("&lt;Password&gt;a b&lt;/Password&gt;", "&lt;Password&gt;@&lt;/Password&gt;"),
        ("Authorization%3A%20Basic%20dTpw%0D%0AHost%3A%20x", "Authorization%3A%20@%0D%0AHost%3A%20x"),
        ("ssn=123%2D45%2D6789", "ssn=@"),
        ("body=NM1%2AIL%2A1%2ADOE%2AJANE~", "body=NM1%2AIL%2A1%2A@%2A@~"),
    ],
)
def test_escaping_and_brackets_hide_no_field(text: str, masked: str) -> None:
    assert Redactor().text(text) == masked.replace("@", MASK)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("number=4111+1111+1111+1111&x=1", "number=4111+11**+****+1111&x=1"),
        ("number=4111%201111%201111%201111", "number=4111%2011**%20****%201111"),
        ("%34111111111111111", "%3411111******1111"),
        ("&#52;111 1111 1111 1111", "&#52;111 11** **** 1111"),
        ("\\u0034111111111111111", "\\u003411111******1111"),
        ("4111\u00a01111\u00a01111\u00a01111", "4111\u00a011**\u00a0****\u00a01111"),
        ("4111.1111.1111.1111", "4111.11**.****.1111"),
        ("4111  1111  1111  1111", "4111  11**  ****  1111"),
        ("4111\t1111\t1111\t1111", "4111\t11**\t****\t1111"),
        ("4111\u20131111\u20131111\u20131111", "4111\u201311**\u2013****\u20131111"),
        ("\uff14111111111111111", "\uff1411111******1111"),
    ],
)
def test_escaping_and_separators_hide_no_card_number(text: str, masked: str) -> None:
    assert Redactor().text(text) == masked


@pytest.mark.parametrize("newline", ["\r\n", "\n", "\\r\\n"])
def test_the_mime_part_named_password_is_masked_up_to_the_next_boundary(newline: str) -> None:
    def written(password: str) -> str:
        lines = ["--b", 'Content-Disposition: form-data; name="UserName"', "", "someone", "--b"]
        lines += ['Content-Disposition: form-data; name="Password"', "Content-Type: text/plain", "", password, "--b"]
        return newline.join([*lines, 'Content-Disposition: form-data; name="Payload"', "", "ISA", "--b--"])

    assert Redactor().text(written(f"two{newline}lines--and dashes")) == written(MASK)


# --- the whole


def test_a_rule_that_masks_one_thing_does_not_hide_another() -> None:
    secret = f"before {VISA} after"
    assert Redactor([secret]).text(f"<{secret}>") == f"<{MASK}>"
    assert Redactor(["pass"]).text('{"password": "x", "n": 1}') == f'{{"{MASK}word": "{MASK}", "n": 1}}'
    assert Redactor(["abc&def"]).text("password=abc&def&x=1") == f"password={MASK}&x=1"
    assert Redactor(["123"]).text('{"cvv": 123}') == f'{{"cvv": "{MASK}"}}'


def test_bytes_that_are_no_text_pass_unchanged_around_what_is_masked() -> None:
    redacted = Redactor(["hunter2"]).bytes(b"\xff\x00" + VISA.encode() + b"\xfehunter2\x80")
    assert redacted == b"\xff\x00411111******1111\xfe" + MASK.encode() + b"\x80"


_PIECES = st.one_of(
    st.sampled_from(
        [VISA, MASTERCARD, "4111 1111 1111 1111", "123-45-6789", "12 34", "1 ", "-", " ", "*", "~", "\n", "|"]
    ),
    st.sampled_from(
        ["NM1*IL*1*DOE*", "N3*", "REF*SY*", "REF|SY|", "ISA*", ISA.format("*", "~", "^"), ISA.format("|", "!", "^")]
    ),
    st.sampled_from(
        ['"password": "', "pin=", "cvv", ": ", '"', "'", "&", "\\", "=", "[", "{", "]", "Authorization: ", "Pin"]
    ),
    st.sampled_from(
        ["<Password>", "</", "<![CDATA[", "]]>", 'form-data; name="pin"', "\r\n\r\n", "\n--", ";", "D", "^", MASK]
    ),
    st.sampled_from(
        ["%5D=", "%22", "%31", "+", "&quot;", "&#49;", "\\u0022", ".", "_", "\u200b", "\u00a0", "card%5Bcvc%5D"]
    ),
    st.text("0123456789", max_size=25),
    st.text("ab01 -*", max_size=6),
)
_TEXTS = st.lists(_PIECES, max_size=14).map("".join)
_SECRETS = st.lists(st.text("ab01-&=\"' ", min_size=1, max_size=8), max_size=3)


@settings(max_examples=200, deadline=None)
@given(text=_TEXTS, secrets=_SECRETS)
def test_redacting_again_changes_nothing(text: str, secrets: list[str]) -> None:
    redactor = Redactor(secrets)
    redacted = redactor.text(text)
    assert redactor.text(redacted) == redacted


@settings(max_examples=200, deadline=None)
@given(before=_TEXTS, canary=st.text(st.characters(codec="utf-8"), min_size=4, max_size=12), after=_TEXTS)
def test_a_canary_secret_never_survives(before: str, canary: str, after: str) -> None:
    canary = canary.strip().replace(MASK[0], "")
    kept = canary if set(canary) - set("*") else ""  # stars are what is left of a card number
    redactor = Redactor([canary])
    for text in (before + canary + after, json.dumps({before: canary + after})):
        if len(kept) >= 4:
            assert kept not in redactor.text(text)
            assert kept.encode() not in redactor.bytes(text.encode())


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=60))
def test_text_with_nothing_to_hide_is_left_alone(text: str) -> None:
    if not re.search(
        r"(?i)\d{4}|pin|pass|[nrd](m1|3|4|ef|mg)|cookie|auth|c[vs][vcn]|track|key|token|code|secret|pwd", text
    ):
        assert Redactor().text(text) == text


# --- bounded work

MEBIBYTE = 1024 * 1024
ADVERSARIAL = {
    "digits": "1",
    "digits and blanks": "1 ",
    "cards": f"{VISA} ",
    "tracks": f"{VISA}=",
    "lengths": "16",
    "almost social security": "123-45-",
    "names": "password",
    "open quotes": 'password="',
    "backslashes": 'password="\\',
    "open escaped quotes": '\\"pin\\":\\"',
    "header with quotes": 'authorization: ="',
    "open lists": '"pin":[',
    "tags": "<pin ",
    "open CDATA": "<pin><![CDATA[",
    "open MIME parts": 'form-data; name="pin"',
    "MIME parts without end": 'form-data; name="pin"\n\n',
    "form-data": "form-data; ",
    "ISA": "ISA*",
    "true ISA": ISA.format("*", "~", "^"),
    "open person segments": "NM1*IL*",
    "other segments": "REF*EJ*",
    "segments": "N3*~",
    "blanks after a name": "pin" + " " * 40,
    "secret": "aaaa",
    "escaped digits": "%31",
    "digits as entities": "&#49;",
    "escapes that are none": "%&#\\u00",
    "nothing to see": "1\u200b",
    "forms": "pin%5D=1+",
    "pairs": 'name="pin" value="',
    "logins": "://a:",
    "fields": '<a name="pin"',
}


@pytest.mark.parametrize("pattern", ADVERSARIAL)
def test_no_rule_reads_a_place_twice(pattern: str) -> None:
    """The spans of a rule follow one another: what was masked is behind it, so that the work is one pass."""
    unit = ADVERSARIAL[pattern]
    text = unit * (MEBIBYTE // 16 // len(unit))
    for rule in (numbers_alone, *RULES):
        position = 0
        for span in rule(text):
            assert position <= span.start < span.end
            position = span.end
        assert position <= len(text)


def numbers_alone(text: str) -> Iterator[Span]:
    """Card numbers without their track data, which may reach 66 characters into the next number and no further."""
    return (span for span in card_spans(text) if span.shown != MASK)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("pattern", ADVERSARIAL)
def test_a_long_run_of_anything_is_redacted_to_at_most_three_times_its_length(pattern: str) -> None:
    """Linear work takes well under a second here; a pattern that backtracks over the rest of the text takes longer
    than the timeout, which is therefore part of the test."""
    text = ADVERSARIAL[pattern] * (MEBIBYTE // 8 // len(ADVERSARIAL[pattern]))
    assert len(Redactor(["aaaa"]).text(text)) <= 3 * len(text)


def test_overlapping_secrets_are_found_one_character_further_each_time() -> None:
    pattern = re.compile("aaaa")
    assert list(secret_spans("aaaaaa", [pattern])) == [Span(0, 4), Span(1, 5), Span(2, 6)]


def _unbounded(pattern: str) -> list[str]:
    """The repeats without a bound that can give back what they took (`*`, `+`, `{n,}` without a `+` behind them)."""
    plain = re.sub(r"\\.", "c", pattern)
    plain = re.sub(r"\[\^?\]?[^\]]*\]", "c", plain)
    return re.findall(r"(?:[*+]|\{\d*,\})(?![*+}])", re.sub(r"(?:[*+?]|\{\d*,\d*\})\+", "", plain))


def test_patterns_repeat_within_bounds_or_give_nothing_back() -> None:
    found = [value for module in (cards, fields, persons, readings) for value in vars(module).values()]
    patterns = [value for value in found if isinstance(value, re.Pattern)]
    patterns += list(fields._IN_QUOTES.values())
    assert len(patterns) > 12
    assert _unbounded("a*b[+]c+d{2,}e++f\\*(?:x)*+") == ["*", "+", "{2,}"]
    for pattern in patterns:
        assert _unbounded(pattern.pattern) == [], pattern.pattern


# --- printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – text", "plain – text"),
        ("\x1b[2J<script>", "\\x1b[2J<script>"),
        ("a\r\nb\tc\x00\x7f\x9b", "a\\r\\nb\\tc\\x00\\x7f\\x9b"),
        ("\u202eexe.doc\u2066\u200b\ufeff", "\\u202eexe.doc\\u2066\\u200b\\ufeff"),
        ("\u2028\u00a0\ud800\U000e0001", "\\u2028\\xa0\\ud800\\U000e0001"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@settings(max_examples=200, deadline=None)
@given(text=st.text(), limit=st.integers(1, 30))
def test_what_is_shown_is_printable_and_no_longer_than_asked(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit
    assert shown == printable(text, 10 * len(text) + 1) or shown.endswith("…")


def test_a_text_that_just_fits_is_not_cut() -> None:
    assert printable("abcde", 5) == "abcde"
    assert printable("abcdef", 5) == "abcd…"
    assert printable("abc\n", 4) == "abc…"


# --- texts that were cut, and bytes that were misread


@pytest.mark.parametrize("secret", ["caf\u00e9-\u00fcber-key", "k\u00e9y\u00e9"])
def test_a_secret_is_masked_where_its_bytes_were_misread(secret: str) -> None:
    redactor = Redactor([secret])
    assert redactor.text(f"<{secret.encode().decode('latin-1')}>") == f"<{MASK}>"
    assert redactor.text(f"<{secret.encode('latin-1').decode('utf-8', 'replace')}>") == f"<{MASK}>"
    assert redactor.bytes(b"<" + secret.encode("latin-1") + b">") == f"<{MASK}>".encode()


@pytest.mark.parametrize("kept", range(4, 21))
def test_the_beginning_of_a_secret_is_masked_where_a_detail_was_cut(kept: int) -> None:
    secret = "abcab-abcabc-abcabcd!"
    cut = ("x" * 300 + secret)[: 300 + kept]
    shown = Redactor([secret]).detail(cut)
    assert shown.startswith("x" * 300)
    assert "abca" not in shown


@pytest.mark.parametrize("kept", range(1, 17))
@pytest.mark.parametrize("number", ["4242424242424242", "4242 4242 4242 4242", "4242-4242-4242-4242"])
def test_the_beginning_of_a_card_number_is_masked_where_a_detail_was_cut(number: str, kept: int) -> None:
    shown = Redactor().detail("x" * 300 + number[:kept])
    assert shown == "x" * 300


def test_a_short_detail_was_not_cut_and_keeps_its_digits() -> None:
    assert Redactor(["abcabcd"]).detail("got 20260601, abca") == "got 20260601, abca"
