"""The project's frame: every command of the README is tested, locks are whole, the Makefile has its targets."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.batch.given import write_trace

ROOT = Path(__file__).parent.parent
TARGETS = ("setup", "demo", "check", "test", "faults", "bench", "services", "services-down", "clean")
HERE = "tests/test_frame.py::test_a_zhuge_command_of_the_readme_runs"
KAFKA = "tests/test_kafka_whole.py::test_the_kafka_commands_of_the_readme_run_and_a_feed_moves_the_page"
DRY = "tests/test_frame.py::test_a_make_command_of_the_readme_has_a_recipe"

# Each line of the README's ```sh blocks, in its order, and the test that runs it.
TESTED: dict[str, str] = {
    "make demo": DRY,
    "make test": DRY,
    "make demo ARGS=--once": DRY,
    'make demo ARGS="--once --trace trace.parquet"': DRY,
    "zhuge window vm-000010": HERE,
    "zhuge window vm-000010 --minutes 30 --k 2 --max-load 60": HERE,
    "zhuge window vm-000010 --json": HERE,
    "zhuge plot vm-000010 --out vm.png": HERE,
    "zhuge serve --help": HERE,
    "zhuge config": HERE,
    "zhuge score trace.parquet --out plots": HERE,
    "zhuge --data data/mine replay synthetic:vms=40,days=16": HERE,
    "zhuge --data data/mine forecast --train": HERE,
    "make cluster": DRY,
    "make services": DRY,
    "make services-down": DRY,
    "zhuge topics --samples-partitions 4": KAFKA,
    "zhuge worker ingest": KAFKA,
    "zhuge worker forecast": KAFKA,
    "zhuge inventory push vms.csv": KAFKA,
    "zhuge feed synthetic:vms=40,days=2 --until now": KAFKA,
    "zhuge feed synthetic:vms=40,days=2 --speed 600": KAFKA,
    "zhuge dead list": KAFKA,
    "zhuge dead replay --reason malformed --yes": KAFKA,
}


def commands(markdown: str) -> list[str]:
    """The command lines of the ```sh blocks, comments dropped; a line that ends in a backslash goes on in the next."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)
    lines = re.sub(r"\\\n\s*", "", "".join(blocks)).splitlines()
    return [command for line in lines if (command := re.sub(r"(^|\s+)#\s.*$", "", line).strip())]


README_COMMANDS = commands((ROOT / "README.md").read_text("utf-8"))


def zhuge() -> str:
    """The console command of the environment that runs these tests."""
    return str(Path(sys.executable).with_name("zhuge"))


def tracked() -> list[Path]:
    """Every file that git keeps."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_commands_are_read_from_sh_blocks_only() -> None:
    text = (
        "```sh\nmake demo  # the main job\n\n# a comment\nzhuge window vm-1 \\\n  --k 2\n```\n```\nls\n```\nzhuge x\n"
    )
    assert commands(text) == ["make demo", "zhuge window vm-1 --k 2"]


def test_every_command_of_the_readme_has_a_test_and_the_map_names_no_other() -> None:
    assert sorted(set(README_COMMANDS)) == sorted(TESTED)
    for line, test in TESTED.items():
        path, _, name = test.partition("::")
        functions = [n.name for n in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(n, ast.FunctionDef)]
        assert name in functions, f"{line}: {test} is not there"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a small trace, in which a small fleet has been through the demo once."""
    folder = tmp_path_factory.mktemp("home")
    write_trace(folder / "trace.parquet")
    run([zhuge(), "demo", "--once"], folder)
    return folder


def run(command: list[str], folder: Path) -> str:
    """The output of `command`, run in `folder` with a small fleet; AssertionError where it fails."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ZHUGE_", "MAKE"))}
    env |= {"ZHUGE_DEMO__TRACE": "synthetic:vms=40,days=16,seed=7", "ZHUGE_SERVE__PORT": "0"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line, test in TESTED.items() if test == HERE])
def test_a_zhuge_command_of_the_readme_runs(line: str, home: Path) -> None:
    program, *arguments = shlex.split(line)
    assert program == "zhuge"
    assert run([zhuge(), *arguments], home).strip()


@pytest.mark.parametrize("line", [line for line, test in TESTED.items() if test == DRY])
def test_a_make_command_of_the_readme_has_a_recipe(line: str) -> None:
    program, *arguments = shlex.split(line)
    assert program == "make"
    assert run(["make", "--dry-run", "--directory", str(ROOT), *arguments], ROOT).strip()


def test_make_help_lists_every_target_with_a_line_of_help() -> None:
    listed = dict(re.findall(r"^([a-z-]+) +(\S.+)$", run(["make", "help"], ROOT), re.MULTILINE))
    assert set(TARGETS) <= set(listed)
    assert run(["make"], ROOT) == run(["make", "help"], ROOT)


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_has_a_recipe(target: str) -> None:
    assert run(["make", "--dry-run", target], ROOT).strip()


def test_set_up_is_done_by_demo_and_test_themselves() -> None:
    rules = re.findall(r"^([a-z-]+): (.*?)(?:  ##.*)?$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {name for name, needs in rules if "setup" in needs.split()} >= {"demo", "check", "test", "faults", "bench"}


def test_ci_runs_make_test_and_nothing_else() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = [line for line in script.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    assert lines[-1] == "make test"
    assert [line for line in lines[:-1] if not line.startswith(("set ", "cd ", "trap "))] == []


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_a_lock_pins_every_package_with_its_hashes(name: str) -> None:
    text = (ROOT / "deploy" / "locks" / f"{name}.txt").read_text("utf-8")
    entries = re.split(r"^(?=[A-Za-z0-9])", re.sub(r"^ *#.*\n?", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    pins = [entry for entry in entries if entry.strip()]
    assert len(pins) > 50
    wrong = [
        p.split()[0] for p in pins if not re.match(r"[\w.-]+==\S+[^\n]*\\\n( +--hash=sha256:[0-9a-f]{64}.*\n)+$", p)
    ]
    assert wrong == []


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_a_lock_holds_every_requirement_of_its_set(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = {re.split(r"[><=~!]", need)[0] for need in [*project["dependencies"], *extras[name], *extras["dev"]]}
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "deploy" / "locks" / f"{name}.txt").read_text(), re.MULTILINE))
    assert asked <= pinned


def test_the_two_sets_conflict_and_only_one_has_each_xgboost() -> None:
    locks = {name: (ROOT / "deploy" / "locks" / f"{name}.txt").read_text("utf-8") for name in ("cpu", "gpu")}
    assert re.findall(r"^xgboost[\w-]*(?===)", locks["cpu"], re.MULTILINE) == ["xgboost-cpu"]
    assert re.findall(r"^xgboost[\w-]*(?===)", locks["gpu"], re.MULTILINE) == ["xgboost"]


def test_no_tracked_file_names_a_package_index() -> None:
    host = re.compile(r"(?i)(?:files\.pythonhosted|pypi|registry\.npmjs|proxy\.golang)\.org|--(?:extra-)?index-url")
    texts = {path: path.read_text("utf-8", errors="replace") for path in tracked()}
    assert [str(path) for path, text in texts.items() if host.search(text)] == []
    assert [path for path, text in texts.items() if path.parent.name == "locks" and "://" in text] == []


def test_the_debian_packages_are_named_one_a_line() -> None:
    lines = (ROOT / "deploy" / "services" / "apt.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", line)] == []


def test_the_licence_is_the_one_that_the_project_declares() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["license"] == "Apache-2.0"
    assert "Apache License\n" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_a_wheel_holds_the_packages_with_their_data_and_the_shipped_config(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    run(build, ROOT)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    rooms = ("models", "stream", "batch", "configs")
    kept = {path.relative_to(ROOT).as_posix() for path in tracked()}
    assert {name for name in kept if name.partition("/")[0] in rooms} | {"zhuge.py"} <= names
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {*rooms, "zhuge.py"}
