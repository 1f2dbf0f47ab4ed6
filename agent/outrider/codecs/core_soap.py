"""The CORE envelope in SOAP 1.2, real time: what stands around the X12 payload on the wire.

Rules
-----
1. The body holds one COREEnvelopeRealTimeRequest or, once there is an ErrorCode, one COREEnvelopeRealTimeResponse, in
   CORE's namespace. Its children are in no namespace. They are written in the order of the schema, and read in any.
2. A request's user name goes into a WS-Security UsernameToken with a PasswordText, in a header that must be
   understood. A request's header that must be understood and is another one is an error. Headers of an answer are
   passed over.
3. Fields and errors are those of `core_envelope`; errors of the frame are not-soap, version, not-core, structure,
   must-understand, and those of `strict_xml`, which bounds all that is read.
4. A SOAP fault is read as an EnvelopeError whose code is the fault's (Receiver, Sender, ...) at envelope/fault.
5. The payload is written as CDATA. "]]>" is divided over two sections. A CR is written as `&#13;` between sections,
   because a raw one would arrive as LF. What XML 1.0 cannot carry at all, the X12 terminator \\x1d above all, is
   refused; so is what is no UTF-8.
6. The payload is read to the character as XML gives it: blanks and line ends around it stay. A sender's raw CR LF
   and CR have become LF by then, everywhere alike, so that X12 which ends its segments in them still holds together.
   The other fields lose the blanks around them.

Sources: CAQH CORE Connectivity Rule vC2.2.0 (SOAP+WSDL, CORERule2.2.0.xsd); SOAP 1.2 part 1, 5; RFC 3902;
OASIS WS-Security 1.1 UsernameToken Profile.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from outrider.codecs import strict_xml
from outrider.codecs.core_envelope import (
    MAX_BYTES,
    PAYLOAD,
    SUCCESS,
    TEXT_FIELDS,
    Envelope,
    EnvelopeError,
    check_presence,
    read_content_type,
)

MEDIA_TYPE = "application/soap+xml"
REQUEST = "COREEnvelopeRealTimeRequest"
RESPONSE = "COREEnvelopeRealTimeResponse"
RECEIVER = "Receiver"
SENDER = "Sender"
MUST_UNDERSTAND = "MustUnderstand"
VERSION_MISMATCH = "VersionMismatch"
FAULT_CODES = (RECEIVER, SENDER, MUST_UNDERSTAND, VERSION_MISMATCH, "DataEncodingUnknown")

_ENV = "http://www.w3.org/2003/05/soap-envelope"
_CORE = "http://www.caqh.org/SOAP/WSDL/CORERule2.2.0.xsd"
_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_TEXT_TYPE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
_ROLES_OF_OURS = ("", f"{_ENV}/role/next", f"{_ENV}/role/ultimateReceiver")

_IN_TOKEN = ("UserName", "Password")
_ORDER = (*(name for name in TEXT_FIELDS if not name.startswith("Error") and name not in _IN_TOKEN), PAYLOAD)
_ORDER_OF_ANSWER = (*_ORDER, "ErrorCode", "ErrorMessage")
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_BLANKS = " \t\r\n"
_UTF_8 = ("", "utf-8", "utf8", "us-ascii")

_MESSAGE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<env:Envelope xmlns:env="{_ENV}">%s<env:Body>%s</env:Body></env:Envelope>\n'
)
_TOKEN = (
    f'<env:Header><wsse:Security xmlns:wsse="{_WSSE}" env:mustUnderstand="true"><wsse:UsernameToken>'
    f'<wsse:Username>%s</wsse:Username><wsse:Password Type="{_TEXT_TYPE}">%s</wsse:Password>'
    "</wsse:UsernameToken></wsse:Security></env:Header>"
)
_FAULT = (
    "<env:Fault><env:Code><env:Value>env:%s</env:Value></env:Code>"
    '<env:Reason><env:Text xml:lang="en">%s</env:Text></env:Reason></env:Fault>'
)


def write(envelope: Envelope) -> tuple[str, bytes]:
    """The value of the Content-Type header, and the body. An envelope with an error code is an answer.

    Raises EnvelopeError.
    """
    texts = {name: _writable(name, getattr(envelope, attribute)) for name, attribute in TEXT_FIELDS.items()}
    check_presence({**texts, PAYLOAD: envelope.payload}, is_error=envelope.is_error)
    if envelope.password and not envelope.username:
        raise EnvelopeError("missing", "UserName", "is missing; a UsernameToken has no password without it")
    children = {name: text.translate(_ESCAPES) for name, text in texts.items()}
    children[PAYLOAD] = _cdata(envelope.payload) if envelope.payload else ""
    is_answer = bool(envelope.error_code)
    element = RESPONSE if is_answer else REQUEST
    inner = "".join(
        f"<{name}>{children[name]}</{name}>"
        for name in (_ORDER_OF_ANSWER if is_answer else _ORDER)
        if children[name] or name not in (PAYLOAD, "ErrorMessage")
    )
    has_token = envelope.username and not is_answer
    token = _TOKEN % (children["UserName"], children["Password"]) if has_token else ""
    body = _MESSAGE % (token, f'<core:{element} xmlns:core="{_CORE}">{inner}</core:{element}>')
    action = "" if is_answer else '; action="RealTimeTransaction"'
    return f"{MEDIA_TYPE}; charset=UTF-8{action}", body.encode()


def write_fault(code: str, reason: str) -> tuple[str, bytes]:
    """A SOAP fault: the value of the Content-Type header, and the body. `code` is one of FAULT_CODES."""
    if code not in FAULT_CODES:
        raise EnvelopeError("illegal", "Fault", f"is not one of {', '.join(FAULT_CODES)}")
    body = _MESSAGE % ("", _FAULT % (code, _writable("Fault", reason).translate(_ESCAPES)))
    return f"{MEDIA_TYPE}; charset=UTF-8", body.encode()


def _writable(name: str, text: str, advice: str = "") -> str:
    if found := _UNWRITABLE.search(text):
        place = f"U+{ord(found[0]):04X} (character {found.start()})"
        raise EnvelopeError("illegal", name, f"holds {place}, which XML 1.0 cannot carry{advice}")
    return text


def _cdata(payload: bytes) -> str:
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EnvelopeError("illegal", PAYLOAD, f"is not UTF-8 from byte {error.start} on") from None
    text = _writable(PAYLOAD, text, "; end segments in ~, or take another envelope")
    inner = text.replace("]]>", "]]]]><![CDATA[>").replace("\r", "]]>&#13;<![CDATA[")
    return f"<![CDATA[{inner}]]>"


def read(content_type: str, body: bytes, *, element: str = "", max_bytes: int = MAX_BYTES) -> Envelope:
    """Read a request or an answer; with `element`, only the one that it names (REQUEST or RESPONSE).

    `content_type` is the header's value. Raises EnvelopeError, and nothing else: also for a SOAP fault.
    """
    _check_content_type(content_type)
    try:
        root = strict_xml.parse(body, max_bytes=max_bytes)
    except strict_xml.XmlError as error:
        raise EnvelopeError(error.code, "", error.message) from None
    headers, content = _open(root)
    if content.tag == f"{{{_ENV}}}Fault":
        raise EnvelopeError(_fault_code(content), "Fault", "a SOAP fault in place of an envelope")
    if content.tag not in [f"{{{_CORE}}}{name}" for name in (REQUEST, RESPONSE) if element in ("", name)]:
        raise EnvelopeError("not-core", "Body", f"does not hold {element or 'a CORE real-time envelope'}")
    is_request = content.tag.endswith(REQUEST)
    fields = {**_credentials(headers, is_request=is_request), **_children(content)}
    error_code = fields.get("ErrorCode", "")
    if not is_request and not error_code:
        code = "empty" if "ErrorCode" in fields else "missing"
        raise EnvelopeError(code, "ErrorCode", f"is {code}; CORE requires it in an answer")
    check_presence(fields, is_error=error_code not in ("", SUCCESS))
    payload = fields.pop(PAYLOAD, "").encode()
    return Envelope(**{TEXT_FIELDS[name]: text for name, text in fields.items()}, payload=payload)


def _check_content_type(content_type: str) -> None:
    header = read_content_type(content_type, MEDIA_TYPE, "not-soap")
    charset = header.get_param("charset", "")
    if not isinstance(charset, str) or charset.lower() not in _UTF_8:
        raise EnvelopeError("not-soap", "Content-Type", "names a charset that is not UTF-8")


def _open(root: Element) -> tuple[list[Element], Element]:
    """The header blocks, and what the body holds."""
    if root.tag != f"{{{_ENV}}}Envelope":
        is_other = root.tag.endswith("}Envelope")
        raise EnvelopeError("version" if is_other else "not-soap", "", "the root is not a SOAP 1.2 Envelope")
    parts = list(root)
    if [part.tag for part in parts] not in ([f"{{{_ENV}}}Body"], [f"{{{_ENV}}}Header", f"{{{_ENV}}}Body"]):
        raise EnvelopeError("structure", "", "an Envelope holds one Body, and at most a Header before it")
    if len(parts[-1]) != 1:
        raise EnvelopeError("structure", "Body", f"holds {len(parts[-1])} elements, not one")
    return list(parts[0]) if len(parts) == 2 else [], parts[-1][0]


def _fault_code(fault: Element) -> str:
    """The fault's code without its prefix; "unreadable" for what SOAP does not know."""
    value = fault.findtext(f"{{{_ENV}}}Code/{{{_ENV}}}Value", "").strip(_BLANKS)
    code = value.partition(":")[2] or value
    return code if code in FAULT_CODES else "unreadable"


def _credentials(headers: list[Element], *, is_request: bool) -> dict[str, str]:
    """User name and password of the UsernameToken; "" where there is none."""
    found = {"UserName": "", "Password": ""}
    for block in headers:
        if block.tag == f"{{{_WSSE}}}Security" and is_request:
            found = _token(block)
        elif is_request and _must_be_understood(block):
            raise EnvelopeError("must-understand", "Header", "must be understood, and is another than wsse:Security")
    return found


def _must_be_understood(block: Element) -> bool:
    is_for_us = block.get(f"{{{_ENV}}}role", "") in _ROLES_OF_OURS
    return is_for_us and block.get(f"{{{_ENV}}}mustUnderstand", "").strip(_BLANKS) in ("true", "1")


def _token(security: Element) -> dict[str, str]:
    tokens = security.findall(f"{{{_WSSE}}}UsernameToken")
    if len(tokens) != 1:
        raise EnvelopeError("missing" if not tokens else "twice", "UserName", "needs one UsernameToken")
    token = tokens[0]
    password = token.find(f"{{{_WSSE}}}Password")
    if password is not None and password.get("Type", _TEXT_TYPE) != _TEXT_TYPE:
        raise EnvelopeError("illegal", "Password", "is not a PasswordText")
    return {
        "UserName": token.findtext(f"{{{_WSSE}}}Username", ""),
        "Password": token.findtext(f"{{{_WSSE}}}Password", ""),
    }


def _children(content: Element) -> dict[str, str]:
    """The fields by CORE's names; what CORE does not know is passed over."""
    fields: dict[str, str] = {}
    for child in content:
        name = child.tag.rpartition("}")[2]
        if name not in _ORDER_OF_ANSWER:
            continue
        if name != child.tag:
            raise EnvelopeError("illegal", name, "is in a namespace; CORE's fields are in none")
        if name in fields:
            raise EnvelopeError("twice", name, "stands there more than once")
        if len(child):
            raise EnvelopeError("illegal", name, "holds elements, not text")
        text = child.text or ""
        fields[name] = text if name == PAYLOAD else text.strip(_BLANKS)
    return fields
