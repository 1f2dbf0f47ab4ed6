"""How sure a figure is. Printed beside it, never deciding: 95 %, two-sided.

Sources: Wilson, "Probable inference" (1927) for shares; David and Nagaraja, "Order Statistics", 7.1, for the interval
of a quantile between two order statistics.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor, sqrt

Z95 = 1.959963984540054
_EXACT_UP_TO = 2_000
_GRAIN = 10**7


def wilson(hits: int, n: int) -> tuple[Fraction, Fraction]:
    """The Wilson interval of a share, rounded outward to 1e-7. Raises ValueError for n = 0."""
    if n <= 0 or not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n} is no share")
    share, z2 = hits / n, Z95 * Z95
    centre = share + z2 / (2 * n)
    half = Z95 * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    low = Fraction(max(0, floor((centre - half) / scale * _GRAIN)), _GRAIN)
    high = Fraction(min(_GRAIN, ceil((centre + half) / scale * _GRAIN)), _GRAIN)
    return min(low, Fraction(hits, n)), max(high, Fraction(hits, n))


def quantile_ranks(n: int, q: Fraction) -> tuple[int, int] | None:
    """Ranks (1-based) of two order statistics that hold the q-quantile between them with at least 95 %.

    None where n is too small for such a pair. Exact binomial up to n = 2000, the normal approximation, one rank
    wider on each side, beyond.
    """
    if n > _EXACT_UP_TO:
        mean, spread = float(n * q), Z95 * sqrt(float(n * q * (1 - q)))
        low, high = floor(mean - spread) - 1, ceil(mean + spread) + 2
        return (low, high) if low >= 1 and high <= n else None
    hit, miss, whole = q.numerator, q.denominator - q.numerator, q.denominator**n
    below, lower, upper = 0, 0, None
    term = miss**n  # the weight of k hits of n, as a whole number over `whole`
    for k in range(n + 1):
        below += term
        if below * 40 <= whole:
            lower = k + 1
        if below * 40 >= whole * 39:
            upper = k + 1
            break
        term = term * (n - k) * hit // ((k + 1) * miss)
    if lower < 1 or upper is None or upper > n:
        return None
    return lower, upper


def samples_to_prove(target: Fraction) -> int:
    """The least n at which n hits of n put the Wilson lower bound on or above the target. For targets below 1."""
    if not 0 < target < 1:
        raise ValueError(f"no number of samples proves a share of {target}")
    # With all hits the lower bound is n / (n + z^2); solve for n, then settle the rounding exactly.
    n = max(1, floor(float(target / (1 - target)) * Z95 * Z95) - 1)
    while wilson(n, n)[0] < target:
        n += 1
    return n
