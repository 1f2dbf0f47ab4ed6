"""`make fuzz`, or `python -m bench.fuzz [-runs=N] [TARGET...]`: each target in a process of its own, one line each.

Inputs that break a target stay in the folder that its line names; all else is temporary. Needs atheris
(requirements/fuzz.txt), which has wheels for Linux on x86-64.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from bench.fuzz.targets import TARGETS

RUNS = 20_000
MOST_BYTES = 4096
SECONDS_OF_ONE_RUN = 10
MOST_MEBIBYTES = 1024


def main(arguments: list[str]) -> int:
    options = [each for each in arguments if each.startswith("-")]
    names = [each for each in arguments if not each.startswith("-")]
    unknown = set(names) - TARGETS.keys()
    if unknown:
        print(f"there is no target {', '.join(sorted(unknown))}; known: {', '.join(TARGETS)}", file=sys.stderr)
        return 104
    if find_spec("atheris") is None:
        print("fuzz: skipped, atheris is not installed; it has wheels for Linux on x86-64 (requirements/fuzz.txt)")
        return 0
    return max(fuzz(name, options or [f"-runs={RUNS}"]) for name in names or TARGETS)


def fuzz(name: str, options: list[str]) -> int:
    """Run one target to its end; 0 if nothing broke it."""
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(TARGETS[name].seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = (
        f"-max_len={MOST_BYTES}", f"-timeout={SECONDS_OF_ONE_RUN}", f"-rss_limit_mb={MOST_MEBIBYTES}",
        f"-artifact_prefix={folder}/", "-print_final_stats=1",
    )  # fmt: skip
    command = [sys.executable, "-m", "bench.fuzz.one", name, *limits, *options, str(corpus)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    told = done.stderr.splitlines()
    runs = next((line.split()[-1] for line in told if "number_of_executed_units" in line), "?")
    if done.returncode == 0:
        print(f"{name:12} {runs} runs, nothing broke it", flush=True)
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()
        return 0
    print(f"{name:12} broke after {runs} runs; the input is in {folder}")
    print("\n".join(told[-40:]), done.stdout[-4000:], sep="\n", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
