"""The commands, one module each: `add` describes its arguments, `run` does it and returns the exit code.

Exit codes: 0 pass, 1 a check or window failed, 2 inconclusive, 99 a guarantee was missed, 104 bad configuration,
130 interrupted (99 and 104 as in k6).
"""

PASS, FAILED, INCONCLUSIVE, MISSED, BAD_CONFIG, INTERRUPTED = 0, 1, 2, 99, 104, 130
