"""Make the locked requirement files from pyproject.toml: hashes in, addresses out.

`dev.txt` is resolved first, for every supported Python at once; the smaller ones take its versions, so that
one virtual environment can grow from one into the next.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
COMMON = (
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-header",
    "--quiet",
)


def compile_into(name: str, *arguments: str, folder: str = "requirements") -> None:
    subprocess.run(
        [sys.executable, "-m", "uv", "pip", "compile", *COMMON, *arguments, "-o", f"{folder}/{name}"],
        cwd=PROJECT,
        check=True,
    )


compile_into("dev.txt", "pyproject.toml", "--extra=dev")
compile_into("fuzz.txt", "pyproject.toml", "--extra=fuzz", "-c", "requirements/dev.txt")
compile_into("agent.txt", "pyproject.toml", "-c", "requirements/dev.txt")
RUN = ("requirements/build.in", "--extra=collector", "--extra=dns", "--extra=iso8583", "--extra=tls")
compile_into("run.txt", "pyproject.toml", *RUN, "-c", "requirements/dev.txt")
compile_into("sbom.txt", "requirements/sbom.in")
# A peer of the tests, in a virtual environment of its own: nothing of it is ever installed beside the product.
PEER = "tests/peers/localstripe"
compile_into("requirements.txt", f"{PEER}/requirements.in", folder=PEER)
compile_into("build.txt", f"{PEER}/build.in", folder=PEER)
