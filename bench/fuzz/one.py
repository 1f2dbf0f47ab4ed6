"""One target under the fuzzer, which takes the process over: `python -m bench.fuzz.one TARGET [libFuzzer options]`."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["outrider", "outrider_sandbox"]):
    from bench.fuzz.targets import TARGETS

name = sys.argv.pop(1)
atheris.Setup(sys.argv, TARGETS[name].run)
atheris.Fuzz()
