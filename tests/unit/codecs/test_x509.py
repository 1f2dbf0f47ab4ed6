"""What a certificate says, read from its bytes."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line_support import NOW, certificate

from outrider.codecs.x509 import CertificateError, read_certificate

GOOD = certificate(90)


def test_a_certificate_says_whom_it_is_for_who_signed_it_and_how_long_it_holds() -> None:
    found = read_certificate(GOOD)
    assert found.subject == "CN=host.example,O=Outrider Sandbox"
    assert found.issuer == "CN=test-ca,O=Outrider Sandbox"
    assert found.names == ("host.example", "192.0.2.1")
    assert (found.not_before, found.not_after) == (NOW - timedelta(days=1), NOW + timedelta(days=90))
    assert int(found.serial, 16) > 0


@pytest.mark.parametrize(
    ("until", "days"),
    [
        (timedelta(days=90), 90),
        (timedelta(days=1), 1),
        (timedelta(hours=23, minutes=59), 0),
        (timedelta(0), 0),
        (timedelta(seconds=-1), -1),
        (timedelta(days=-2), -2),
    ],
)
def test_days_are_whole_and_negative_once_it_has_expired(until: timedelta, days: int) -> None:
    found = read_certificate(GOOD)
    assert found.days_left(found.not_after - until) == days


def test_days_are_the_same_wherever_the_clock_stands() -> None:
    found = read_certificate(GOOD)
    for moment in (datetime(2026, 6, 1, 22, tzinfo=UTC), datetime.fromisoformat("2026-06-02T00:00:00+02:00")):
        assert found.days_left(moment) == 90


@pytest.mark.parametrize("raw", [b"", b"0", GOOD[:-1], GOOD[1:], b"-----BEGIN CERTIFICATE-----", bytes(2000)])
def test_bytes_that_are_no_certificate_are_told_as_such(raw: bytes) -> None:
    with pytest.raises(CertificateError, match="the certificate cannot be read"):
        read_certificate(raw)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_no_bytes_raise_anything_but_a_certificate_error(raw: bytes) -> None:
    with pytest.raises(CertificateError):
        read_certificate(raw)


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_no_damage_to_a_certificate_raises_anything_but_a_certificate_error(place: int, damage: bytes) -> None:
    with contextlib.suppress(CertificateError):
        assert len(read_certificate(GOOD[:place] + damage + GOOD[place + len(damage) :]).subject) <= 500
