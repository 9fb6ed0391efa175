"""Objects that are put once and never changed: model sets, champion records, large results of jobs.

A key is a path of one or more parts joined by `/`; a prefix is any beginning of a key, as in an object store.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from models.errors import BadInput, SetError, StoreError

Keys = list[str]  # inside a class that has a method `list`, the type needs another name


class Objects(Protocol):
    """A store of immutable objects. BadInput for a key that is none, StoreError where the store itself fails."""

    def put_once(self, key: str, data: bytes) -> bool:
        """Store `data` whole and lasting under `key`; False, and nothing changed, where the key exists already."""

    def get(self, key: str) -> bytes:
        """What was put under `key`. SetError where nothing was."""

    def list(self, prefix: str) -> Keys:
        """The keys that begin with `prefix` (empty: all), sorted."""

    def delete(self, key: str) -> None:
        """Remove `key`; nothing happens where it does not exist."""


def open_objects(url: str) -> Objects:
    """The store that `url` names: `file:DIR`, relative or absolute, made at the first put. BadInput for another."""
    scheme, _, rest = url.partition(":")
    match scheme:
        case "file" if rest and not rest.startswith("//"):
            return FileObjects(Path(rest))
        case _:
            raise BadInput(
                "URL of an object store",
                expected="file:DIR with a folder, relative or absolute",
                got=repr(url),
                remedy="Write it like file:data/registry or file:/var/lib/zhuge/registry.",
            )


def check_key(key: str) -> str:
    """`key` itself, else BadInput: no part may be empty or begin with a dot (`..`, hidden files, unfinished puts)."""
    if "\0" in key or any(not part or part.startswith(".") for part in key.split("/")):
        raise BadInput(
            "key of an object",
            expected="parts joined by /, none of them empty or beginning with a dot",
            got=repr(key),
            remedy="Write it like sets/00000001/manifest.json.",
        )
    return key


@dataclass(frozen=True, slots=True)
class FileObjects:
    """Objects as files below `root`, on a file system with hard links; safe between threads and processes."""

    root: Path

    def put_once(self, key: str, data: bytes) -> bool:
        """A link refuses a name that exists, as a rename would not; a crash leaves at most a hidden file."""
        path = self.root / check_key(key)
        unfinished = path.parent / f".{uuid4().hex}"
        with _disk(path):
            _make_folder(path.parent)
            try:
                with unfinished.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.link(unfinished, path)
            except FileExistsError:
                return False
            finally:
                unfinished.unlink(missing_ok=True)
            _sync_folder(path.parent)
        return True

    def get(self, key: str) -> bytes:
        """The file's bytes."""
        path = self.root / check_key(key)
        with _disk(path):
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                raise SetError(
                    f"object {key}",
                    expected=f"an object below {self.root}",
                    got="none",
                    remedy="Check the registry's URL and whether the object was deleted.",
                ) from None

    def list(self, prefix: str) -> Keys:
        """Walks only the folder that the prefix names in full."""
        folder = prefix.rpartition("/")[0]
        start = self.root / check_key(folder) if folder else self.root
        with _disk(start):
            keys = [path.relative_to(self.root).as_posix() for path in _files(start)]
        return sorted(key for key in keys if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """Removes the file; its folder stays."""
        path = self.root / check_key(key)
        with _disk(path):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            _sync_folder(path.parent)


def _files(start: Path) -> Iterator[Path]:
    """Every finished file below `start`, which need not exist."""

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise error

    for folder, _, names in os.walk(start, onerror=fail):
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def _make_folder(folder: Path) -> None:
    """Like `mkdir -p`, and each new folder's name outlasts a power cut."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"object store at {path}",
            expected="a folder that can be read and written, with hard links",
            got=error.strerror or str(error),
            remedy="Check the path, its permissions and the space left on the disk.",
        ) from error
