"""The commands, one module each: `add` describes its arguments, `run` does it and returns the exit code.

Exit codes: 0 pass, 1 a check or window failed, 2 inconclusive, 99 a guarantee was missed, 104 bad configuration,
130 interrupted (99 and 104 as in k6).
"""

from __future__ import annotations

import sys

from outrider.redact import cards_masked

PASS, FAILED, INCONCLUSIVE, MISSED, BAD_CONFIG, INTERRUPTED = 0, 1, 2, 99, 104, 130


def complain(mistake: object) -> None:
    """Tell a mistake on stderr. It may quote a card number that the file has where nothing could be checked yet."""
    print(cards_masked(str(mistake)), file=sys.stderr)
