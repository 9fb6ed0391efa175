"""Environments of the peers' own: each from a lock with hashes, under data/, built again only where that changed."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from deploy.services.java import run
from tests.bench.lines import say

ROOT = Path(__file__).parents[2]
PEERS = Path(__file__).parent / "peers"


class Home(NamedTuple):
    """A folder with an environment in it, and the files that say what belongs there: the lock, then any others."""

    folder: Path
    lock: Path
    others: tuple[Path, ...] = ()

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    @property
    def mark(self) -> Path:
        """The file that is there once all is built; its name changes with what belongs there."""
        told = b"".join(file.read_bytes() for file in (self.lock, *self.others))
        return self.folder / f"built-{hashlib.sha256(told).hexdigest()[:12]}"

    def is_built(self) -> bool:
        return self.mark.exists()


def home_of(name: str, *others: Path) -> Home:
    """That of the peers whose lock is peers/<name>.txt: data/peers/<name>."""
    return Home(ROOT / "data" / "peers" / name, PEERS / f"{name}.txt", others)


@contextlib.contextmanager
def building(home: Home, what: str) -> Iterator[None]:
    """Anew: the environment first, then what the block adds; marked as built where the block ends well.

    ServiceError where the packages cannot be had.
    """
    say(f"building {what}")
    shutil.rmtree(home.folder, ignore_errors=True)
    home.folder.mkdir(parents=True)
    uv = Path(sys.executable).with_name("uv")
    run([str(uv), "venv", "--quiet", "--python", sys.executable, str(home.folder / "venv")])
    run([str(uv), "pip", "sync", "--quiet", "--require-hashes", "--python", str(home.python), str(home.lock)])
    yield
    home.mark.touch()
