"""Each fault once, one after the other in one world; at their end nothing is lost and nothing doubled."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.streams import FAULTS

HARNESS = Path(__file__).with_name("streams.py")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_whatever_dies_no_sample_is_lost_or_counted_twice() -> None:
    """In a process of its own: kafka-python leaves sockets open where a broker that was killed refuses them."""
    done = subprocess.run([sys.executable, str(HARNESS), "--quick"], capture_output=True, text=True, check=False)
    rows = re.findall(r"^\| ([^|]+) \| ([\d,]+) \| (\d+) \| (\d+) \| [\d.]+ \|$", done.stdout, re.MULTILINE)
    assert [(fault, lost, doubled) for fault, _, lost, doubled in rows] == [(f, "0", "0") for f in FAULTS], done.stderr
    assert all(count != "0" for _, count, _, _ in rows)
    assert "lost: 0\ndoubled: 0\n" in done.stdout
    assert done.returncode == 0
