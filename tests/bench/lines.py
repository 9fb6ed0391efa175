"""What the benchmarks and the fault harness say: results as `name: value` on stdout, all else on stderr."""

from __future__ import annotations

import sys


def result(name: str, value: float, decimals: int = 0) -> None:
    """One figure; only these lines go to stdout."""
    sys.stdout.write(f"{name}: {value:.{decimals}f}\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Progress, and figures that are there for comparison only."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
