"""What is shown to people."""

from __future__ import annotations


def printable(text: str, limit: int = 200) -> str:
    """One line that is safe on a terminal and in a log: control, format (bidi, zero width) and other invisible
    characters as escapes, at most `limit` characters, the last of them "…" where something was left out."""
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text[: limit + 1]
    )
    return shown if len(shown) <= limit and len(text) <= limit else shown[: max(limit - 1, 0)] + "…"
