"""What changed between two statements, or two sets of terms: matched by name, told once, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.core.guarantee import KnownExpiry
from outrider.core.intervals import Interval
from outrider.resources import shipped
from outrider_collector.config import load_agreement
from outrider_collector.issued.comparing import changes
from outrider_collector.issued.terms import Terms, TermsError, decode_terms, encode_terms

HALF = {"numerator": 1, "denominator": 2, "percent": "50%"}
WHOLE = {"numerator": 1, "denominator": 1, "percent": "100%"}


@pytest.mark.parametrize(
    ("case", "before", "after", "told"),
    [
        ("nothing", {"verdict": "met"}, {"verdict": "met"}, []),
        ("what tells revisions apart", {"as_of": "a", "ledger": 1, "revision": 1}, {"as_of": "b", "ledger": 2}, []),
        ("a value", {"verdict": "met"}, {"verdict": "missed"}, [("", "", "", "verdict", "met", "missed")]),
        ("a share is one fact", {"x": HALF}, {"x": WHOLE}, [("", "", "", "x", HALF, WHOLE)]),
        ("a share that was not there", {"x": None}, {"x": HALF}, [("", "", "", "x", None, HALF)]),
        ("a clause by its id", {"guarantees": [{"id": "G1", "n": 1}, {"id": "G3", "n": 1}]},
         {"guarantees": [{"id": "G3", "n": 2}, {"id": "G1", "n": 1}]}, [("G3", "", "", "n", 1, 2)]),
        ("a clause more", {"guarantees": []}, {"guarantees": [{"id": "G1"}]},
         [("G1", "", "", "guarantee", None, {"id": "G1"})]),
        ("a check in a clause", {"guarantees": [{"id": "G1", "checks": [{"check": "c", "adjusted": {"up": 1}}]}]},
         {"guarantees": [{"id": "G1", "checks": [{"check": "c", "adjusted": {"up": 2}}]}]},
         [("G1", "c", "", "adjusted.up", 1, 2)]),
        ("an outage by its start", {"outages": [{"start": "a", "end": "b"}]},
         {"outages": [{"start": "a", "end": "c"}, {"start": "d", "end": "e"}]},
         [("", "", "", "outages a.end", "b", "c"), ("", "", "", "outages d", None, {"start": "d", "end": "e"})]),
        ("a window", {"windows": [{"window": "w", "end": 1}]}, {"windows": [{"window": "w", "end": 2}]},
         [("", "", "w", "end", 1, 2)]),
        ("a list of texts is one fact", {"regions": ["a"]}, {"regions": ["a", "b"]},
         [("", "", "", "regions", ["a"], ["a", "b"])]),
    ],
)  # fmt: skip
def test_each_difference_is_told_once_and_by_name(
    case: str, before: dict[str, Any], after: dict[str, Any], told: list[tuple[Any, ...]]
) -> None:
    found = changes(before, after)
    assert [(it.clause, it.check, it.window, it.what, it.before, it.after) for it in found] == told, case


_plain = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def without_nulls(plain: Any) -> Any:
    """A field that is null says no more than one that is not there."""
    if isinstance(plain, dict):
        return {key: without_nulls(value) for key, value in plain.items() if value is not None}
    return plain


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), _plain), st.dictionaries(st.sampled_from("abcd"), _plain))
def test_what_differs_is_told_and_what_agrees_is_not(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert changes(before, before) == []
    assert bool(changes(before, after)) == (without_nulls(before) != without_nulls(after))
    assert len(changes(before, after)) == len(changes(after, before))


# --- terms -----------------------------------------------------------------------------------------------------------


def every_agreement() -> list[Path]:
    return sorted(shipped("config", "guarantees").glob("*.yaml")) + [shipped("config", "demo", "agreement.yaml")]


@pytest.mark.parametrize("path", every_agreement(), ids=lambda path: path.stem)
def test_terms_read_back_as_they_were(path: Path) -> None:
    terms = Terms(load_agreement(path), 60_000_000, (KnownExpiry(("a*",), Interval(1, 2)),))
    assert decode_terms(encode_terms(terms)) == terms
    assert encode_terms(decode_terms(encode_terms(terms))) == encode_terms(terms)


def test_terms_of_older_software_get_the_defaults_of_what_they_do_not_have() -> None:
    terms = Terms(load_agreement(every_agreement()[-1]), 1, ())
    older = encode_terms(terms).replace('"cap":null,', "").replace('"void_inflight":false,', "")
    assert older != encode_terms(terms)
    assert decode_terms(older) == terms


def test_any_parameter_of_a_clause_is_in_the_terms() -> None:
    agreement = load_agreement(every_agreement()[-1])
    other = replace(agreement.guarantees[0], coverage_floor=Fraction(1, 3))
    changed = replace(agreement, guarantees=(other, *agreement.guarantees[1:]))
    assert encode_terms(Terms(changed, 1, ())) != encode_terms(Terms(agreement, 1, ()))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"agreement": 1, "settle": 0, "known_expiries": []}'])
def test_what_are_no_terms_is_refused(text: str) -> None:
    with pytest.raises(TermsError, match="cannot be read by this software"):
        decode_terms(text)
