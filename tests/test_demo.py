"""The demo as a newcomer runs it: counts, bad input, Ctrl-C, kill -9 and a restart."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.minutes import Span
from stream.stores.history import read_steps
from stream.stores.open import open_stores
from stream.synthetic import DEMO_NOW

ZHUGE = str(Path(sys.executable).with_name("zhuge"))
FLEET = {"ZHUGE_DEMO__TRACE": "synthetic:vms=60,days=8"}


def start(folder: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ZHUGE_")}
    return subprocess.Popen(
        [ZHUGE, *arguments],
        cwd=folder,
        env={**kept, **FLEET, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *arguments: str, **env: str) -> tuple[int, str, str]:
    process = start(folder, *arguments, **env)
    out, err = process.communicate(timeout=200)
    return process.returncode, out, err


def numbers(out: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^([\w.]+): ([\d.]+)$", out, re.MULTILINE)}


def aggregates(folder: Path) -> dict[tuple[str, int], bytes]:
    url = f"sqlite:{folder / 'data/zhuge.sqlite'}"
    stores = open_stores(url, url, url)
    span = Span(DEMO_NOW - 8 * 1440, DEMO_NOW)
    found = {}
    for vm in stores.catalogue.lives():
        for step_min in (5, 60):
            mean, count = read_steps(stores.series, vm, step_min, span)
            found[vm.life.vm_id, vm.life.created_at + step_min] = mean.tobytes() + count.tobytes()
    stores.close()
    return found


@pytest.mark.slow
def test_once_counts_every_vm_and_a_killed_run_ends_with_the_same_aggregates(tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    undisturbed.mkdir()
    killed.mkdir()
    code, out, err = run(undisturbed, "demo", "--once")
    assert code == 0, err
    said = numbers(out)
    assert said["vms"] == said["forecast"] + said["refused"] >= 60
    assert said["windows"] == said["forecast"] >= 45
    assert said["refused"] == sum(value for name, value in said.items() if name.startswith("refused_"))
    assert said["hour_to_windows_s"] > 0
    code, out, err = run(
        undisturbed, "window", "vm-000010", "--from", "2026-03-12T12:00Z", "--deadline", "2026-03-14T12:00Z"
    )
    assert (code, len(re.findall(r"(?m), weekday$", out))) == (0, 5), err
    database = killed / "data/zhuge.sqlite"
    for _ in range(3):
        process = start(killed, "demo", "--once")
        size = database.stat().st_size if database.exists() else 0
        while process.poll() is None and (not database.exists() or database.stat().st_size < size + 2_000_000):
            time.sleep(0.01)
        process.kill()
        process.communicate()
    code, again, err = run(killed, "demo", "--once")
    assert code == 0, err
    assert numbers(again)["windows"] == said["windows"]
    assert aggregates(killed) == aggregates(undisturbed)


@pytest.mark.slow
def test_live_goes_on_until_ctrl_c(tmp_path: Path) -> None:
    process = start(tmp_path, "demo", "--port", "0", ZHUGE_DEMO__SPEED="3600")
    assert process.stderr is not None
    for line in process.stderr:
        if "an hour closed" in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "what was stored is whole" in err
    code, out, err = run(tmp_path, "window", "vm-000010")
    assert code == 0, err
    assert "best" in out


def table(folder: Path, **columns: pa.Array[Any]) -> str:
    pq.write_table(pa.table(columns), folder / "bad.parquet")
    return "bad.parquet"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("demo", "--once", "--trace", "nowhere.parquet"), "no such file"),
        (("window", "nobody"), "the id of a VM that has been seen"),
        (("window", "nobody", "--minutes", "ten"), "not a valid integer"),
        (("window", "nobody", "--deadline", "2026-03-10T12:00"), "with a zone"),
        (("forecast",), "VMs in the store"),
        (("replay", "nonsense:x"), "synthetic: or replay:FILE"),
        (("nothing",), "No such command"),
        (("--config", "nowhere.toml", "config"), "nowhere.toml"),
    ],
)
def test_bad_input_is_two_with_a_remedy(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = run(tmp_path, *arguments)
    assert (code, out) == (2, "")
    assert words in " ".join(err.split())
    assert "Traceback" not in err


def test_a_trace_in_milliseconds_is_refused_by_name(tmp_path: Path) -> None:
    name = table(tmp_path, vm=pa.array(["a"]), ts=pa.array([1_375_308_176_000]), cpu=pa.array([1.0]))
    code, _, err = run(tmp_path, "demo", "--once", "--trace", name)
    assert code == 2
    assert "milliseconds" in " ".join(err.split())


def test_a_foreign_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "mine.sqlite"
    file.write_bytes(b"not a database, but somebody's")
    code, _, err = run(tmp_path, "replay", "synthetic:vms=2,days=1", ZHUGE_STORES__CSTORE=f"sqlite:{file}")
    assert code == 2, err
    assert file.read_bytes() == b"not a database, but somebody's"


def test_a_busy_port_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, err = run(tmp_path, "serve", "--port", port)
    assert code == 2
    assert "another process listens on" in " ".join(err.split())


def test_config_masks_passwords(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, "config", ZHUGE_STORES__CONTROL="mysql://zhuge:s3cret@db/x")
    assert code == 0
    assert "s3cret" not in out
    assert "stores.control = mysql://zhuge:***@db/x" in out


@pytest.mark.parametrize("command", ["demo", "serve", "replay", "forecast", "window", "plot", "config"])
def test_help_has_examples(tmp_path: Path, command: str) -> None:
    code, out, _ = run(tmp_path, command, "--help")
    assert code == 0
    assert f"zhuge {command}" in out.partition("Examples:")[2] or "zhuge --" in out.partition("Examples:")[2]
