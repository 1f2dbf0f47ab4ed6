"""Rule 1: known secrets, in the shapes that they travel in."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from outrider.redact.spans import MASK_CHARACTER, Span

ANYWHERE_FROM = 4
"""Characters; shorter secrets are masked as whole tokens only."""
_BASE64_FROM = 6


def all_shapes(secrets: Iterable[str]) -> list[str]:
    shapes = {
        shape
        for secret in secrets
        for part in secret.split(MASK_CHARACTER)
        for reading in _misread(part)
        for shape in _shapes(reading)
    }
    return sorted(shapes, key=len, reverse=True)


def _misread(secret: str) -> set[str]:
    """A secret, its UTF-8 read as Latin-1, as servers read headers, and its Latin-1 read as UTF-8, as we do."""
    readings = {secret, secret.encode("utf-8", "surrogatepass").decode("latin-1")}
    with contextlib.suppress(UnicodeEncodeError):
        readings.add(secret.encode("latin-1").decode("utf-8", "surrogateescape"))
        readings.add(secret.encode("latin-1").decode("utf-8", "replace"))
    return readings


def secret_patterns(shapes: Iterable[str]) -> list[re.Pattern[str]]:
    """At most two patterns for all shapes of all secrets: what is masked anywhere, and what only as a whole token."""
    anywhere, tokens = [], []
    for shape in shapes:
        if len(shape) >= ANYWHERE_FROM:
            anywhere.append(re.escape(shape))
        else:
            before = rf"(?<![^\W_])(?<!{MASK_CHARACTER})" if shape[0].isalnum() else ""
            after = rf"(?![^\W_]|{MASK_CHARACTER})" if shape[-1].isalnum() else ""
            tokens.append(before + re.escape(shape) + after)
    return [re.compile("|".join(alternatives)) for alternatives in (anywhere, tokens) if alternatives]


def _shapes(secret: str) -> set[str]:
    """How a secret can look in what we send and receive. Blanks around it are not part of it."""
    secret = secret.strip()
    if len(secret) < ANYWHERE_FROM:
        return {secret} - {""}
    encoded = secret.encode("utf-8", "surrogatepass")
    shapes = {secret, quote(encoded, safe=""), quote_plus(encoded), repr(secret)[1:-1]}
    shapes |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    shapes |= {html.escape(secret), html.escape(secret, quote=False)}
    for offset, first in enumerate((0, 2, 3)):  # characters that the bytes before it have a part in
        within = base64.b64encode(bytes(offset) + encoded).decode()[first : (offset + len(encoded)) * 8 // 6]
        if len(within) >= _BASE64_FROM:
            shapes |= {within, within.replace("+", "-").replace("/", "_")}
    return shapes


def secret_spans(text: str, patterns: Iterable[re.Pattern[str]]) -> Iterator[Span]:
    """Rule 1. Secrets that overlap are all found: the search goes on one character further."""
    for pattern in patterns:
        position = 0
        while found := pattern.search(text, position):
            yield Span(*found.span())
            position = found.start() + 1
