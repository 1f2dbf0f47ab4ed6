from __future__ import annotations

import tracemalloc
from xml.etree.ElementTree import Element, tostring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs import strict_xml
from outrider.codecs.strict_xml import MAX_BYTES, XmlError, parse

BILLION_LAUGHS = (
    b"<?xml version='1.0'?><!DOCTYPE l [<!ENTITY l0 'lol'>"
    + b"".join(b"<!ENTITY l%d '%b'>" % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12))
    + b"]><l>&l11;</l>"
)
LITTLE = 256 << 10


def refusal(body: bytes) -> XmlError:
    with pytest.raises(XmlError) as caught:
        parse(body)
    return caught.value


def test_elements_attributes_and_text_are_read_with_their_namespaces() -> None:
    root = parse(b"<a:x xmlns:a='urn:a' k='1' a:k='2'><y>one &amp; <![CDATA[<two>]]></y><!-- no --><a:z/></a:x>")
    assert root.tag == "{urn:a}x"
    assert root.attrib == {"k": "1", "{urn:a}k": "2"}
    assert [(child.tag, child.text) for child in root] == [("y", "one & <two>"), ("{urn:a}z", None)]


@pytest.mark.parametrize(
    ("written", "text"),
    [(b"a\r\nb\rc\nd", "a\nb\nc\nd"), (b"<![CDATA[~\r\n~\r]]>", "~\n~\n"), (b"a&#13;&#10;b&#13;", "a\r\nb\r")],
)
def test_raw_line_ends_become_lf_and_written_ones_stay(written: bytes, text: str) -> None:
    assert parse(b"<x>" + written + b"</x>").text == text


@pytest.mark.parametrize("size", [4095, 4096, 4097, 700_000])
def test_text_may_be_as_long_as_the_document(size: int) -> None:
    assert parse(b"<x><![CDATA[" + b"~" * size + b"]]></x>").text == "~" * size


def test_two_documents_read_one_after_the_other_know_nothing_of_each_other() -> None:
    for _ in range(3):
        parse(b"<x>" + b"<y/>" * 200 + b"</x>")
        refusal(b"<x><y>")


HOSTILE = {
    "billion laughs": (BILLION_LAUGHS, "dtd"),
    "one entity, often": (b"<!DOCTYPE x [<!ENTITY a '" + b"a" * 9000 + b"'>]><x>" + b"&a;" * 9000 + b"</x>", "dtd"),
    "an entity from a file": (b"<!DOCTYPE x [<!ENTITY f SYSTEM 'file:///etc/hostname'>]><x>&f;</x>", "dtd"),
    "an entity from a network": (b"<!DOCTYPE x [<!ENTITY f SYSTEM 'http://127.0.0.1:9/'>]><x>&f;</x>", "dtd"),
    "a parameter entity": (b"<!DOCTYPE x [<!ENTITY % p SYSTEM 'file:///etc/hostname'> %p;]><x/>", "dtd"),
    "a DTD from elsewhere": (b"<!DOCTYPE x SYSTEM 'file:///etc/hostname'><x/>", "dtd"),
    "a DTD without anything": (b"<!DOCTYPE x><x/>", "dtd"),
    "an entity nobody declared": (b"<x>&nothing;</x>", "not-xml"),
    "deep nesting": (b"<x>" * (MAX_BYTES // 3), "too-deep"),
    "one level too deep": (b"<x>" * 17 + b"</x>" * 17, "too-deep"),
    "many elements": (b"<x>" + b"<y/>" * 200_000 + b"</x>", "too-many"),
    "many attributes": (b"<x " + b"".join(b"a%x='' " % n for n in range(100_000)) + b"/>", "too-long"),
    "attributes with a > in each": (b"<x " + b"".join(b"a%x='>' " % n for n in range(90_000)) + b"/>", "too-long"),
    "too many short attributes": (b"<x " + b"".join(b"a%x='' " % n for n in range(33)) + b"/>", "too-many"),
    "many namespaces": (b"<x " + b"".join(b"xmlns:a%x='b' " % n for n in range(60_000)) + b"/>", "too-long"),
    "a long name": (b"<x" + b"x" * 1_000_000 + b"/>", "too-long"),
    "a long attribute": (b"<x a='" + b"x" * 1_000_000 + b"'/>", "too-long"),
    "a long comment": (b"<x><!--" + b"x" * 1_000_000 + b"--></x>", "too-long"),
    "a tag that never ends": (b"<x " * 300_000, "not-xml"),
    "a processing instruction": (b"<?xml-stylesheet href='file:///etc/hostname'?><x/>", "instruction"),
    "UTF-16": ("<x>é</x>".encode("utf-16"), "not-xml"),
    "UTF-16 without a byte order mark": ("<x>e</x>".encode("utf-16-be"), "not-xml"),
    "another encoding": ("<?xml version='1.0' encoding='ISO-8859-1'?><x>é</x>".encode("latin-1"), "not-xml"),
    "an encoding nobody knows": (b"<?xml version='1.0' encoding='x-cp-none'?><x>\xe9</x>", "not-xml"),
    "two roots": (b"<x/><x/>", "not-xml"),
    "an attribute twice": (b"<x a='1' a='2'/>", "not-xml"),
    "a prefix nobody bound": (b"<a:x/>", "not-xml"),
    "a null byte": (b"<x>\0</x>", "not-xml"),
    "a terminator XML cannot carry": (b"<x>\x1d</x>", "not-xml"),
    "a terminator written as a reference": (b"<x>&#29;</x>", "not-xml"),
    "nothing": (b"", "not-xml"),
    "an end that is missing": (b"<x><y></y>", "not-xml"),
    "too much": (b"<x>" + b" " * MAX_BYTES + b"</x>", "too-large"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_refused_in_little_memory(name: str) -> None:
    body, code = HOSTILE[name]
    parse(b"<x/>")
    tracemalloc.start()
    try:
        error = refusal(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.code == code
    assert peak < LITTLE
    assert len(str(error)) < 200


def test_an_entity_from_a_file_is_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr("builtins.open", lambda *arguments, **_: opened.append(arguments))
    refusal(HOSTILE["an entity from a file"][0])
    refusal(HOSTILE["a DTD from elsewhere"][0])
    assert opened == []


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_reading_anything_raises_nothing_but_the_typed_error(body: bytes) -> None:
    for wrapped in (body, b"<x>" + body + b"</x>", b"<x " + body + b"/>", b"<?xml " + body, b"<!DOCTYPE " + body):
        told = ""
        try:
            parse(wrapped)
        except XmlError as error:
            told = str(error)
        assert len(told) < 200


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF), max_size=5000), st.integers(1, 100))
def test_what_the_standard_library_writes_is_read_alike(text: str, piece: int) -> None:
    root = Element("{urn:a}x", {"k": text[:50]})
    root.text = text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict_xml, "_PIECE", piece)
        read = parse(tostring(root, encoding="utf-8"))
    assert (read.tag, read.text or "", read.attrib) == (root.tag, text, root.attrib)
