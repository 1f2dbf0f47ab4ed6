"""`make bench`, or `python -m bench [NAME...]`: run the measurements and print what they found."""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module

BENCHES = ("footprint", "x12", "ingest", "bomb", "statement", "seal")


def main(names: list[str]) -> int:
    unknown = set(names) - set(BENCHES)
    if unknown:
        print(f"there is no bench {', '.join(sorted(unknown))}; known: {', '.join(BENCHES)}", file=sys.stderr)
        return 104
    load = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load before: {load}")
    for name in names or BENCHES:
        print(f"\n{name}: python -m bench {name}")
        import_module(f"bench.{name}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
