"""Windows as a YAML file that `outrider window import` reads: each by its name, as its latest version has it.

Texts are quoted, and whatever could end a line or is not to be seen is escaped, so that what comes back is what was
there. A collector knows its own windows again and leaves them alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

_SPELLED = ("start", "end", "reason", "author")


def windows_yaml(windows: Iterable[Mapping[str, Any]]) -> bytes:
    """From the windows as `/v1/windows` lists them."""
    lines = [line for window in windows for line in _entry(window)]
    return ("\n".join(["windows:", *lines]) + "\n" if lines else "windows: []\n").encode()


def _entry(window: Mapping[str, Any]) -> Iterable[str]:
    yield f"  - name: {_quoted(window['window'])}"
    for key in _SPELLED:
        yield f"    {key}: {_quoted(window[key])}"
    yield f"    scope: [{', '.join(map(_quoted, window['scope']))}]"
    if window.get("emergency"):
        yield "    emergency: true"
    if window["act"] == "cancel":
        yield "    cancelled: true"


def _quoted(text: str) -> str:
    """YAML's double quotes are JSON's, but that its line breaks are more and its escapes reach all of Unicode."""
    return "".join(
        character if character.isprintable() else f"\\U{ord(character):08x}"
        for character in json.dumps(text, ensure_ascii=False)
    )
