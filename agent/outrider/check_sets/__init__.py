"""Check sets in the agent: what may come from a collector, and what never does.

Rules
-----
1. A set is taken whole or not at all, and whatever speaks against it is told with a reason of REASONS.
2. Signed by a key that the agent's own file names; for this agent; of a version above every one that was taken before.
   The version stays through restarts.
3. A check goes to a target of the agent's own file, by its name. A set brings no address, no header of a target, no
   file, nothing from the environment, no program.
4. A scenario is written out in the set, or one of the agent's own or of those shipped, by its name, never by a path.
   One that is written out keeps to `outrider.check_sets.rules.FORBIDDEN` as well.
5. The agent's own file wins: its policy, its caps on money and its kill switch, its outcome table, its checks. A set
   pays only in a currency that the file has a cap for, and uses only secrets that the file grants to sets.
6. The last set that was taken is kept on disk, and held against all of this again whenever it or the agent's own file
   is read.
"""

from __future__ import annotations

from outrider.check_sets.file import MOST_CHECKS, CheckSetFile, read_offline, read_text
from outrider.check_sets.keeping import CheckSets
from outrider.check_sets.rules import REASONS, SetRefusedError, extended

__all__ = [
    "MOST_CHECKS",
    "REASONS",
    "CheckSetFile",
    "CheckSets",
    "SetRefusedError",
    "extended",
    "read_offline",
    "read_text",
]
