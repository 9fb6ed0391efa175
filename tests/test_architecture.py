"""The house rules that a reader relies on: rooms, no circles, no hidden imports, one library one file, short pieces."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
ROOMS = ("models", "stream", "batch")
BATCH_MAY_IMPORT = ("stream.stores", "stream.cluster")
WIRING = ("zhuge", "stream.commands", "stream.commands_worker", "batch.commands")  # a command loads what it needs
WEB = ("stream/api*.py", "stream/assets.py", "stream/edge.py", "stream/metrics.py", "stream/problems.py")
LIBRARIES = {  # who may know each: a path pattern; numpy is for everyone, and so is msgspec, which does no I/O
    "aiokafka": ("stream/broker*.py", "stream/bare_records.py"),
    "bokeh": ("batch/report*.py",),
    "click": ("zhuge.py", "*/commands*.py"),
    "cramjam": ("stream/receive_write.py",),
    "fastapi": WEB,
    "faust": ("stream/worker.py",),
    "google": ("stream/receive_write.py",),
    "httpx": ("stream/client.py",),
    "kafka": ("stream/kafka_tools*.py",),
    "matplotlib": ("stream/plot.py", "batch/plots*.py"),
    "mode": ("stream/firehose.py", "stream/worker*.py"),
    "msgspec": ("*",),
    "numpy": ("*",),
    "prometheus_client": ("stream/metrics.py", "stream/worker_metrics.py"),
    "pyarrow": ("stream/inventory_file.py", "stream/traces.py", "stream/wire_arrow.py", "stream/feed*.py"),
    "pydantic": ("stream/settings*.py", *WEB),
    "pydantic_settings": ("stream/settings_sections.py",),
    "rich": ("stream/progress.py",),
    "sqlite3": ("stream/stores/sqlite*.py",),
    "starlette": ("stream/receive.py", "stream/worker_http.py", *WEB),
    "tomllib": ("stream/settings.py",),
    "uvicorn": ("stream/serve.py",),
    "xgboost": ("models/xgb*.py",),
}
OWN_FILES = [ROOT / "zhuge.py", *(file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py")))]
TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))


def room_of(module: str) -> str:
    return module.partition(".")[0]


class Import(NamedTuple):
    """`importer` (a module of ours) imports `name`; `inner` where it does so inside a function."""

    importer: str
    name: str
    inner: bool


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


TREES = {module_of(file): ast.parse(file.read_text("utf-8")) for file in OWN_FILES}
PATHS = {module_of(file): file.relative_to(ROOT).as_posix() for file in OWN_FILES}
FUNCTIONS = [
    (module, node)
    for module, tree in TREES.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
]


def names(node: ast.AST) -> list[str]:
    """What one import statement names, as far as it is a module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"relative import at line {node.lineno}"
        base = node.module or ""
        return sorted({full if (full := f"{base}.{alias.name}") in TREES else base for alias in node.names})
    return []


def imports() -> Iterator[Import]:
    inner = {id(node) for _, function in FUNCTIONS for node in ast.walk(function)}
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            yield from (Import(module, name, id(node) in inner) for name in names(node))


IMPORTS = list(imports())
OURS = [found for found in IMPORTS if room_of(found.name) in (*ROOMS, "zhuge")]


def allowed(importer: str, name: str) -> bool:
    """Whether the room of `importer` may look into that of `name`."""
    room, other = room_of(importer), room_of(name)
    if room in (other, "zhuge"):
        return True
    if room == "batch" and other == "stream":
        return name.startswith(BATCH_MAY_IMPORT)
    return other == "models"


def test_rooms_open_only_into_the_rooms_that_they_may() -> None:
    assert [found for found in OURS if not allowed(found.importer, found.name)] == []


def test_the_rule_of_the_rooms_is_the_one_of_the_architecture() -> None:
    assert allowed("zhuge", "batch.train")
    assert allowed("stream.api", "models.window")
    assert allowed("batch.dataset", "stream.stores.protocols")
    assert not allowed("batch.train", "stream.settings")
    assert not allowed("stream.serve", "batch.train")
    assert not allowed("models.registry", "stream.stores.protocols")
    assert not allowed("stream.commands", "zhuge")


def test_there_are_no_import_circles() -> None:
    left = {module: {found.name for found in OURS if found.importer == module} for module in TREES}
    while free := [module for module, needs in left.items() if not needs & left.keys() - {module}]:
        for module in free:
            del left[module]
    assert left == {}


def test_imports_inside_functions_are_for_the_wiring_only() -> None:
    assert [found for found in OURS if found.inner and found.importer not in WIRING] == []


def test_each_library_is_known_to_its_own_file_only() -> None:
    foreign = sys.stdlib_module_names - LIBRARIES.keys() | {*ROOMS, "zhuge"}
    used = {(room_of(found.name), PATHS[found.importer]) for found in IMPORTS}
    strangers = [
        (library, path)
        for library, path in sorted(used)
        if library not in foreign and not any(fnmatch(path, pattern) for pattern in LIBRARIES.get(library, ()))
    ]
    assert strangers == []


def test_files_have_at_most_250_lines() -> None:
    lengths = {str(file.relative_to(ROOT)): file.read_text("utf-8").count("\n") for file in [*OWN_FILES, *TEST_FILES]}
    assert {file: lines for file, lines in lengths.items() if lines > 250} == {}


def test_functions_have_at_most_40_lines_and_6_parameters() -> None:
    def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
        args = node.args
        return [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs) if a.arg not in ("self", "cls")]

    lengths = {(module, f.name): (f.end_lineno or f.lineno) - f.lineno + 1 for module, f in FUNCTIONS}
    assert {function: lines for function, lines in lengths.items() if lines > 40} == {}
    counts = {(module, f.name): len(parameters(f)) for module, f in FUNCTIONS}
    assert {function: count for function, count in counts.items() if count > 6} == {}


def test_protocols_have_at_most_four_methods() -> None:
    methods = {
        (module, node.name): sum(isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) for part in node.body)
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).startswith("Protocol") for base in node.bases)
    }
    assert ("stream.stores.protocols", "Series") in methods
    assert {protocol: count for protocol, count in methods.items() if count > 4} == {}


def test_nothing_prints_and_nothing_is_left_for_later() -> None:
    prints = [
        (module, node.lineno)
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    ]
    assert prints == []
    later = re.compile(r"\b(TODO|FIXME|XXX)\b")
    files = [file for file in [*OWN_FILES, *TEST_FILES] if file != Path(__file__)]
    assert [str(file) for file in files if later.search(file.read_text("utf-8"))] == []


def test_tests_are_no_package() -> None:
    assert [file for file in TEST_FILES if file.name == "__init__.py"] == []
