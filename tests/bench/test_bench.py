"""The benchmarks end and print just the names that the figures are known by."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import demo

CORE = Path(__file__).with_name("core.py")
NAMES = {
    "samples_per_s",
    "minute_ms",
    "close_5m_ms",
    "close_1h_ms",
    "ring_mb",
    "peak_mb",
    "stored_tick_ms",
    "read_14d_s",
}


@pytest.mark.slow
def test_the_core_benchmark_prints_each_of_its_figures_once_and_nothing_else() -> None:
    command = [sys.executable, str(CORE), "--quick"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    figures = [line.split(": ") for line in told.splitlines()]
    assert sorted(name for name, _ in figures) == sorted(NAMES)
    assert all(float(value) > 0 for _, value in figures)


def test_the_demos_own_lines_are_read() -> None:
    told = "vms: 5\nforecast: 4\nwindows: 3\nrefused: 1\nhour_to_windows_s: 0.50\n"
    assert demo.facts_of(told)["hour_to_windows_s"] == "0.50"


@pytest.mark.parametrize("told", ["", "windows: 0\nhour_to_windows_s: 0.50\n", "vms: 5\nwindows: 3\n"])
def test_a_demo_that_made_no_windows_has_failed(told: str) -> None:
    with pytest.raises(RuntimeError, match="expected windows"):
        demo.facts_of(told)


def test_the_clone_gets_neither_our_settings_nor_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHUGE_DEMO__TRACE", "synthetic:vms=1")
    monkeypatch.setenv("VIRTUAL_ENV", "/x/.venv")
    monkeypatch.setenv("PATH", "/x/.venv/bin:/usr/bin")
    kept = demo.bare_environment()
    assert kept["PATH"] == "/usr/bin"
    assert not {"ZHUGE_DEMO__TRACE", "VIRTUAL_ENV"} & kept.keys()
