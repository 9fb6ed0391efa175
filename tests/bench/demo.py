"""The main job from nothing: a fresh clone and an empty environment to windows, and the same where all is installed.

`clone_to_windows_s` needs a warm package cache and measures HEAD, so commit first. The demo's own figure is passed on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.bench.lines import result, say

ROOT = Path(__file__).parents[2]
QUICK = {"ZHUGE_DEMO__TRACE": "synthetic:vms=200,days=16"}
OWN_FIGURE = "hour_to_windows_s"
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE")  # and the settings of package tools
KEPT_PREFIXES = ("PIP_", "UV_", "XDG_")


def bare_environment() -> dict[str, str]:
    """The caller's environment without its settings of ours and without an active virtual environment."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith(KEPT_PREFIXES)}
    active = os.environ.get("VIRTUAL_ENV")
    folders = kept.get("PATH", os.defpath).split(os.pathsep)
    kept["PATH"] = os.pathsep.join(folder for folder in folders if not active or not folder.startswith(active))
    return kept


def run(command: list[str], cwd: Path, environment: Mapping[str, str]) -> str:
    """The command's stdout; what it says on stderr is passed on. CalledProcessError where it fails."""
    done = subprocess.run(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def facts_of(told: str) -> dict[str, str]:
    """The demo's `name: value` lines. RuntimeError where it ended without saying that it made windows."""
    facts = dict(line.split(": ", 1) for line in told.splitlines() if ": " in line)
    if int(facts.get("windows", "0")) < 1 or OWN_FIGURE not in facts:
        raise RuntimeError(f"demo: expected windows and {OWN_FIGURE} on its stdout, got {told!r}")
    say(", ".join(f"{key} {value}" for key, value in facts.items()))
    return facts


def clone_to_windows(folder: Path) -> None:
    clone = folder / "clone"
    began_s = time.monotonic()
    run(["git", "clone", "--quiet", str(ROOT), str(clone)], folder, bare_environment())
    told = run(["make", "demo", "ARGS=--once"], clone, bare_environment())
    took_s = time.monotonic() - began_s
    facts_of(told)
    result("clone_to_windows_s", took_s, 1)


def installed_to_windows(folder: Path, settings: Mapping[str, str]) -> None:
    zhuge = Path(sys.executable).parent / "zhuge"
    began_s = time.monotonic()
    told = run([str(zhuge), "--data", str(folder / "data"), "demo", "--once"], ROOT, {**bare_environment(), **settings})
    took_s = time.monotonic() - began_s
    facts = facts_of(told)
    result("installed_to_windows_s", took_s, 1)
    result(OWN_FIGURE, float(facts[OWN_FIGURE]), 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tenth of the fleet, and no clone")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zhuge-demo-") as folder:
        try:
            if not args.quick:
                clone_to_windows(Path(folder))
            installed_to_windows(Path(folder), QUICK if args.quick else {})
        except (subprocess.CalledProcessError, RuntimeError) as failure:
            say(f"The demo failed: {failure}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
