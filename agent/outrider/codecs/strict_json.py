"""JSON from a stranger, read strictly and within bounds (RFC 8259, I-JSON RFC 7493).

UTF-8 only, no key twice in one object, no NaN or Infinity, no deeper than the interpreter bears, no longer than
`MOST_BYTES`. A complaint names the place and repeats nothing of the text: it may hold a person's name.
"""

from __future__ import annotations

import json
from typing import Any

MOST_BYTES = 1 << 20


class JsonError(ValueError):
    """Not JSON that can be trusted. `code` is a short name of what is wrong, `offset` the character, 0 if unknown."""

    def __init__(self, code: str, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.offset = offset


def read_json(raw: bytes) -> Any:
    """The value of a JSON text. Raises JsonError."""
    if len(raw) > MOST_BYTES:
        raise JsonError("too-long", f"the text is longer than {MOST_BYTES} bytes")
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise JsonError("not-utf-8", f"not UTF-8 at byte {error.start}", error.start) from None
    except json.JSONDecodeError as error:
        raise JsonError("not-json", f"{error.msg} at character {error.pos}", error.pos) from None
    except RecursionError:
        raise JsonError("too-deep", "nested too deeply") from None
    except JsonError:
        raise
    except ValueError:  # an integer with more digits than Python converts
        raise JsonError("not-json", "a number has too many digits") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise JsonError("twice", "a key stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise JsonError("not-json", f"{name} is not a JSON number")
