"""The front door: every command is there, and none waits for the libraries of the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream.front import Front
from zhuge import COMMANDS, cli

HEAVY = ("xgboost", "fastapi", "matplotlib", "faust", "aiokafka", "kafka")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_loaded_by_its_name_and_says_what_it_does(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str()


def test_another_name_is_no_command() -> None:
    assert cli.get_command(click.Context(cli), "commands") is None


@pytest.mark.parametrize(("name", "needs"), [("feed", {"kafka"}), ("topics", {"kafka"}), ("worker", set())])
def test_a_command_loads_no_library_that_it_does_not_need(name: str, needs: set[str]) -> None:
    code = f"import sys, zhuge; zhuge.cli.main([{name!r}, '--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert set(done.stdout.split()) & set(HEAVY) == needs


def test_a_trace_comes_through_the_front_door_by_vm_and_time_at_its_own_times(tmp_path: Path) -> None:
    rows = {"vm": ["b", "a", "b"], "ts": [900, 300, 600], "cpu": [1.0, None, 3.0]}
    pq.write_table(pa.table(rows), tmp_path / "trace.parquet")
    context = click.Context(cli)
    with context:
        cli.callback(path=None, data=None)  # type: ignore[misc]
    front = context.obj
    assert isinstance(front, Front)
    ids, interval_min, vm, ts_s, cpu = front.read_trace(tmp_path / "trace.parquet")
    assert [ids[k] for k in vm] == ["b", "b", "a"]
    assert ts_s.tolist() == [600, 900, 300]
    np.testing.assert_array_equal(cpu, np.array([3.0, 1.0, np.nan], np.float32))
    assert interval_min == 5
    assert front.effort.vm_days == front.settings.forecast.train_vm_days
