"""`make x12-samples DIR=...`, or `python -m bench.x12_samples DIR`: what the codec makes of X12 files of others.

Rules
-----
1. Every file below DIR that begins with ISA, or whose name ends in .x12, .edi or a set's number (.271), is read.
   Nothing is copied, changed or kept.
2. A file is OK with its transactions and what they say, or it has the codec's own error: code, element, segment and
   byte. Nothing is forgiven here that an answer on the wire would not be forgiven.
3. An answer is read as the answer to the question that it says it answers, its first referenced trace. So a trace of
   another claim in it is a finding, as it would be for a probe, which asks about one.
4. What is printed are codes and counts. Samples may tell of people; nothing of that is repeated.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from outrider.codecs import claim_status, eligibility, prior_authorization, x12
from outrider.codecs.x12 import Interchange, Transaction, X12Error
from outrider.core.outcome import Observation

USAGE = "usage: python -m bench.x12_samples DIR"
_NAMED_X12 = re.compile(r"\.(x12|edi|[0-9]{3})")
_LEADING = b"\xef\xbb\xbf \t\r\n"

_REQUESTS: Mapping[str, Callable[[bytes], object]] = {
    "270": eligibility.read_inquiry,
    "276": claim_status.read_request,
    "278": prior_authorization.read_request,
}


def samples(folder: Path) -> Iterator[Path]:
    """The files that are X12 or say so, in the order of their names."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and (_NAMED_X12.fullmatch(path.suffix) or _begins_with_isa(path)):
            yield path


def examine(raw: bytes) -> list[str]:
    """What the codec makes of one message: "OK ..." or "ERROR ...", then what it says, a line each."""
    try:
        interchange = x12.read(raw)
    except X12Error as error:
        return [f"ERROR {_told(error)}"]
    sets = interchange.transactions
    counts = f"{len(sets)} in {len(interchange.groups)}, acknowledgements {len(interchange.acknowledgements)}"
    lines = [f"OK    transactions {counts}, usage {interchange.usage}"]
    lines += [f"{each.set_id} {each.version}: {len(each.segments)} segments" for each in sets]
    return lines + _meaning(raw, interchange)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print(USAGE, file=sys.stderr)
        return 104
    folder = Path(arguments[0])
    read = refused = 0
    for path in samples(folder):
        with path.open("rb") as file:
            first, *more = examine(file.read(x12.MAX_BYTES + 1))
        read += 1
        refused += first.startswith("ERROR")
        print(path.relative_to(folder), f"  {first}", *(f"        {line}" for line in more), sep="\n")
    print(f"{read} files: {read - refused} hold together, {refused} do not")
    return 0 if read else 104


def _begins_with_isa(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4096).lstrip(_LEADING).startswith(b"ISA")


def _told(error: X12Error) -> str:
    return f"{error.code} at {error.where}, segment {error.segment}, byte {error.offset}: {error.what}"


def _meaning(raw: bytes, interchange: Interchange) -> list[str]:
    """What the first set says to the reader of its kind; nothing for a kind that has none."""
    if not interchange.transactions:
        return []
    first = interchange.transactions[0]
    header = first.segments[1]
    is_question = header.id == "BHT" and header.get(2) in ("01", "13")
    if is_question and first.set_id in _REQUESTS:
        try:
            _REQUESTS[first.set_id](raw)
        except X12Error as error:
            return [f"as a real-time request refused: {_told(error)}"]
        return ["as a real-time request read"]
    if first.set_id not in ("271", "277", "278"):
        return []
    observation = _observed(raw, first)
    facts = [f"{name}: {' '.join(values)}" for name, values in observation.facts.items() if name != "trn" and values]
    findings = [f"finding {each.code} at {each.place}: {each.detail}" for each in observation.findings]
    return facts + findings


def _observed(raw: bytes, transaction: Transaction) -> Observation:
    """The answer to the question that it says it answers."""
    traces = [segment.get(2) for segment in transaction.segments if segment.id == "TRN" and segment.get(1) == "2"]
    reference = transaction.segments[1].get(3)
    trace = traces[0] if traces else reference
    if transaction.set_id == "277":  # its BHT03 is the payer's own number
        return claim_status.read_response(raw, trace=trace)
    read = eligibility.read_response if transaction.set_id == "271" else prior_authorization.read_response
    return read(raw, trace=trace, reference=reference)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
