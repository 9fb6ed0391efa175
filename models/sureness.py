"""From what a table of ratios says to what was observed: the last step of a confidence.

One table of ratios speaks for VMs that are not alike, so its shares are right on the whole and wrong for most of what
can be asked: idle VMs keep far under a load where busy ones, as many spreads under it, do not. What was observed over
held-out windows and a scale of max_loads tells by how much; it is read off as a rising step function of the share.

Source: Zadrozny & Elkan, "Transforming classifier scores into accurate multiclass probability estimates" (2002).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

KNOTS = 33
SHARES = np.linspace(0.0, 1.0, KNOTS)
POOLS = 100  # of equally many windows, by share
PRIOR_WINDOWS = 20  # of each pool, which came as the table says: few windows move little
MAX_LOADS_PCT = (1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 30.0, 50.0, 80.0)  # that callers may give

Doubles = npt.NDArray[np.float64]


def as_said() -> Doubles:
    """What is said is what is: float64[KNOTS]."""
    return SHARES.copy()


def fit_sureness(said: Doubles, kept: Doubles) -> Doubles:
    """The observed share at each of SHARES: float64[KNOTS], rising.

    said: float64[n], the table's share for a window and a max_load; kept: float64[n], 1 where the load was within it,
    else 0. What is not known (NaN) is left out.
    """
    known = ~(np.isnan(said) | np.isnan(kept))
    order = np.argsort(said[known], kind="stable")
    if not order.size:
        return as_said()
    pools: list[Doubles] = []  # sums of said, of observed, and of windows
    for part in np.array_split(order, min(POOLS, order.size)):
        prior = PRIOR_WINDOWS * said[known][part].mean()
        size = part.size + PRIOR_WINDOWS
        pools.append(np.array([said[known][part].sum() + prior, kept[known][part].sum() + prior, size]))
        while len(pools) > 1 and pools[-2][1] / pools[-2][2] >= pools[-1][1] / pools[-1][2]:
            last = pools.pop()
            pools[-1] = pools[-1] + last
    shares, observed, windows = np.array(pools).T
    ends = np.array([0.0]), np.array([1.0])
    x, y = (np.concatenate([ends[0], sums / windows, ends[1]]) for sums in (shares, observed))
    return np.asarray(np.interp(SHARES, x, y), dtype=np.float64)
