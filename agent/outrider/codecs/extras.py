"""Libraries that come with an extra, for those who want what needs them: `pip install 'outrider[dns]'`.

They are imported when they are first used, so that an agent without such a check neither needs nor loads them.
"""

from __future__ import annotations

from importlib.util import find_spec

EXTRAS = {
    "check-sets": ("cryptography", "cryptography"),
    "dns": ("dns", "dnspython"),
    "iso8583": ("iso8583", "pyiso8583"),
    "tls": ("cryptography", "cryptography"),
}
"""Extra -> the module that shows that it is there, and what the package is called."""


class MissingExtraError(ValueError):
    """What was asked for needs a library that is not installed; the message says how to install it."""


def require(extra: str, purpose: str) -> None:
    """Raise MissingExtraError where an extra's library is not installed. `purpose` begins the sentence."""
    module, package = EXTRAS[extra]
    if find_spec(module) is None:
        raise MissingExtraError(f"{purpose} needs {package}; pip install 'outrider[{extra}]'")
