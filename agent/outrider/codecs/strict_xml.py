"""XML from strangers, read into elements of the standard library within fixed bounds.

Rules
-----
1. A document type declaration is refused where it begins, before anything in it is read. So there are no entities but
   the five that XML predefines, nothing that expands, and nothing outside that is fetched.
2. Processing instructions are refused (SOAP 1.2 part 1, 5). Comments are passed over.
3. Bounded are: the bytes, the depth, the number of elements, the attributes of one element, and the length of any one
   tag or comment, since the parser keeps those whole. Text is read in pieces and may be as long as the document.
4. The document is UTF-8 whatever it says of itself; another encoding is an error where it differs from UTF-8. A NUL
   is refused first: the parser would take it for UTF-16, even when it is told UTF-8.
5. Line ends are those of XML: a raw CR LF or CR arrives as LF (XML 1.0, 2.11). One that is written `&#13;` stays.
6. No error repeats text of the document.

Source: XML 1.0 (fifth edition), Namespaces in XML 1.0.
"""

from __future__ import annotations

from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat  # hardened as the rules say

MAX_BYTES = 1 << 20
MAX_DEPTH = 16
MAX_ELEMENTS = 256
MAX_ATTRIBUTES = 32
MAX_TAG = 16_384
_PIECE = 4096


class XmlError(ValueError):
    """Why a document is refused.

    `code` is one of not-xml, dtd, instruction, too-large, too-deep, too-many and too-long.
    """

    def __init__(self, code: str, what: str) -> None:
        super().__init__(code, what)
        self.code = code
        self.message = what

    def __str__(self) -> str:
        return self.message


def parse(body: bytes, *, max_bytes: int = MAX_BYTES) -> Element:
    """The root element; names in a namespace are written "{namespace}name". Raises XmlError, and nothing else."""
    if len(body) > max_bytes:
        raise XmlError("too-large", f"{len(body)} bytes, more than the {max_bytes} that are read")
    if b"\0" in body:
        raise XmlError("not-xml", f"a NUL at byte {body.index(0)}: the document is not UTF-8")
    return _Reading().read(body)


class _Reading:
    """One document on its way from the parser to the tree."""

    def __init__(self) -> None:
        self._tree = TreeBuilder()
        self._depth = 0
        self._elements = 0
        self._parser = parser = expat.ParserCreate("UTF-8", namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._tree.data
        parser.StartDoctypeDeclHandler = self._declare
        parser.EntityDeclHandler = self._declare
        parser.ProcessingInstructionHandler = self._instruct

    def read(self, body: bytes) -> Element:
        try:
            for start in range(0, len(body), _PIECE):
                piece = body[start : start + _PIECE]
                self._parser.Parse(piece, False)
                if start + len(piece) - self._parser.CurrentByteIndex > MAX_TAG:
                    raise XmlError("too-long", f"a tag or comment is longer than {MAX_TAG} bytes")
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise XmlError("not-xml", f"line {error.lineno}, column {error.offset + 1}: {reason}") from None
        return self._tree.close()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > MAX_DEPTH:
            raise XmlError("too-deep", f"elements stand more than {MAX_DEPTH} deep")
        if self._elements > MAX_ELEMENTS:
            raise XmlError("too-many", f"more than {MAX_ELEMENTS} elements")
        if len(attributes) > MAX_ATTRIBUTES:
            raise XmlError("too-many", f"an element has more than {MAX_ATTRIBUTES} attributes")
        self._tree.start(_qualified(name), {_qualified(key): value for key, value in attributes.items()})

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._tree.end(_qualified(name))

    def _declare(self, *_declaration: object) -> NoReturn:
        raise XmlError("dtd", "a document type declaration or an entity is not read here")

    def _instruct(self, *_instruction: object) -> NoReturn:
        raise XmlError("instruction", "a processing instruction is not read here")


def _qualified(name: str) -> str:
    return "{" + name if "}" in name else name
