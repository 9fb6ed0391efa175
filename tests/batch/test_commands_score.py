"""`zhuge score` from the command line: what it prints, what it writes, how it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import batch.commands_score
from batch.commands_score import score
from batch.files import write_whole
from batch.recorded import Recorded
from batch.scoring import Scored
from batch.train import Progress
from models.effort import Effort
from models.errors import BadInput, StoreError
from models.minutes import Minute
from tests.batch.given import unwatched, write_trace

FILES = {"regret_by_kind.png", "reliability.png", "gain_and_cost.png", "best_and_worst.png", "score.html"}


Calls = list[tuple[Minute | None, Effort, int]]


class Door:
    """A front door with a trace of one sample, and nobody who watches."""

    effort = Effort(threads=8, vm_days=123)

    def __init__(self, cpu: float = 5.0) -> None:
        self.cpu = cpu

    def read_trace(self, path: Path) -> tuple[object, ...]:
        if not path.suffix:
            raise BadInput("trace", expected="a file", got=str(path), remedy="Name one.")
        row = np.zeros(2, np.int64)
        return ("vm-1",), 5, row, row, np.array([self.cpu, -1.0], np.float32)

    @contextmanager
    def bar(self, what: str) -> Iterator[Progress]:
        assert what
        yield unwatched


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, scored: Scored) -> Calls:
    """What scoring was asked for; its verdict is always the same, and so is its only picture."""
    calls: Calls = []

    def known(fleet: Recorded, split: Minute | None, effort: Effort, progress: Progress, unseen: int) -> Scored:
        calls.append((split, effort, unseen))
        progress(0.5, "half")
        return scored

    monkeypatch.setattr(batch.commands_score, "score_fleet", known)
    monkeypatch.setattr(batch.commands_score, "pictures", lambda *_: {"one.png": b"png"})
    return calls


def test_it_prints_the_table_and_writes_the_plots(asked: Calls, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "plots"
    done = CliRunner().invoke(score, ["trace.parquet", "--out", str(out)], obj=Door())
    assert done.exit_code == 0, done.output
    assert "regret_macro: " in done.stdout
    assert {file.name for file in out.iterdir()} == {"one.png", "score.html"}
    assert "1 values of the trace were refused" in done.stderr
    assert asked == [(None, Effort(threads=1, vm_days=123), 0)]


def test_json_alone_is_on_the_output(asked: Calls, tmp_path: Path) -> None:
    options = ["--json", "--split", "2024-09-28T00:00Z", "--unseen", "3", "--out", str(tmp_path)]
    done = CliRunner().invoke(score, ["trace.parquet", *options], obj=Door())
    assert json.loads(done.stdout)["vms"] == 30
    assert asked[0][0] == 19_994 * 1_440
    assert asked[0][2] == 3


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["trace"], "a file"),
        (["t.parquet", "--split", "2024-09-28"], "a zone"),
        (["t.parquet", "--out", "/dev/null/x"], "written"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(options: list[str], what: str, asked: Calls) -> None:
    done = CliRunner().invoke(score, options, obj=Door())
    assert isinstance(done.exception, BadInput | StoreError)
    assert what in str(done.exception)
    assert asked == []


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"one")
    write_whole(tmp_path / "a", b"two")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a", b"two")]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").touch()
    with pytest.raises(StoreError, match="a file that can be written"):
        write_whole(tmp_path / "b", b"no")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.slow
def test_a_parquet_trace_goes_in_and_a_verdict_comes_out(tmp_path: Path) -> None:
    write_trace(tmp_path / "trace.parquet")

    def zhuge(*options: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("zhuge")), "score", *options]
        env = {**os.environ, "ZHUGE_FORECAST__TRAIN_VM_DAYS": "200"}
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240, check=False)

    done = zhuge("trace.parquet")
    assert done.returncode == 0, done.stderr
    figures = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert figures["vms"] == "12"
    assert float(figures["regret_macro"]) < 0.4
    assert {file.name for file in (tmp_path / "score").iterdir()} == FILES
    short = zhuge("trace.parquet", "--split", "2024-10-06T00:00Z")
    assert short.returncode == 2
    assert "Split it with --split between 2024-10-10T01:00Z" in short.stderr
    assert short.stdout == ""
