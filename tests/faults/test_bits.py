"""One bit flipped in a spool's file, a thousand times: what is read is right, and what is not read is counted."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from faults.ground import Sum, result
from outrider.clock import SystemClock
from outrider.core.wire import Entry
from outrider.spool import Outbox

Entered = Callable[[str, Sum, str], None]
AGENT, RECORDS, DELIVERED, FLIPS = "us-east-1", 60, 20, 1000


def opened(path: Path) -> Outbox:
    return Outbox(path, agent=AGENT, clock=SystemClock())


async def filled(path: Path) -> tuple[str, dict[int, Entry]]:
    """The epoch of a spool with some records delivered, and those that wait."""
    outbox = opened(path)
    outbox.count("scheduled", RECORDS)
    await asyncio.gather(*(outbox.append(result(number)) for number in range(RECORDS)))
    await outbox.acknowledge(DELIVERED)
    waiting = {each.seq: each for each in await outbox.read(RECORDS, 10**9)}
    outbox.close()
    return outbox.epoch, waiting


async def read(path: Path) -> tuple[str, dict[int, Entry], dict[str, int]]:
    outbox = opened(path)
    try:
        found = {each.seq: each for each in await outbox.read(2 * RECORDS, 10**9)}
        return outbox.epoch, found, outbox.counts()
    finally:
        outbox.close()


async def test_a_thousand_flipped_bits_give_no_wrong_record_and_what_they_cost_is_counted(
    tmp_path: Path, entered: Entered
) -> None:
    dice = random.Random(10)
    epoch, promised = await filled(tmp_path / "spool.db")
    whole = (tmp_path / "spool.db").read_bytes()
    cost = Counter[int]()
    wrong = unseen = 0
    anew: list[int] = []
    for _ in range(FLIPS):
        folder = tmp_path / "flipped"
        folder.mkdir()
        copy, bit = bytearray(whole), dice.randrange(8 * len(whole))
        copy[bit // 8] ^= 1 << bit % 8
        (folder / "spool.db").write_bytes(copy)
        epoch_now, found, counts = await read(folder / "spool.db")
        wrong += sum(promised.get(seq) != each for seq, each in found.items())
        lost = len(promised.keys() - found.keys())
        if epoch_now == epoch:
            unseen += lost != counts.get("dropped_corrupt", 0)
        else:  # the head of the file, or of the table that everything hangs on: set aside whole, and a new epoch
            unseen += not list(folder.glob("*set-aside*"))
            anew.append(bit // 8)
        cost[lost] += 1
        shutil.rmtree(folder)
    lost = sum(each * times for each, times in cost.items())
    told = ", ".join(f"{times} cost {each}" for each, times in sorted(cost.items()))
    delivered = FLIPS * len(promised) - lost
    entered(f"F10 one bit flipped, {FLIPS} times", Sum(FLIPS * len(promised), delivered, unseen, 0, wrong, lost),
            f"{told} of {len(promised)} records, all found and counted; {len(anew)} new epochs")  # fmt: skip
    assert sum(times for each, times in cost.items() if each > 1) <= FLIPS // 50, "a page's own bits may cost the page"
