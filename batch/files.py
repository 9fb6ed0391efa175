"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from models.errors import StoreError

REMEDY = "Name another folder with --out."


def make_folder(path: Path) -> Path:
    """The folder, made where it is not there and tried. StoreError where nothing can be written into it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise StoreError(
            f"folder {path}", expected="one that can be written to", got=str(error), remedy=REMEDY
        ) from error


def write_whole(path: Path, data: bytes) -> None:
    """Write the file whole or not at all. StoreError where it cannot be written."""
    name = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).chmod(0o644)
        Path(name).replace(path)
        name = None
    except OSError as error:
        raise StoreError(
            f"file {path}", expected="a file that can be written", got=str(error), remedy=REMEDY
        ) from error
    finally:
        if name is not None:
            Path(name).unlink(missing_ok=True)
