"""Objects: named bytes that are written once (model sets, champion records, large job results).

`open_objects` chooses the driver by URL; every driver passes tests/models/test_objects.py.
"""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path
from typing import Protocol

from models.errors import BadInput, StoreError

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_TEMPORARY = ".put-"  # no key starts with a dot, so a half-written object is never listed nor got


class Objects(Protocol):
    """Named bytes. A key is `/`-separated names of letters, digits, `.`, `_` and `-`, none starting with a dot.

    Every method raises BadInput for another key and StoreError where the storage fails.
    """

    def put(self, key: str, data: bytes) -> bool:
        """Write an object that is not there yet, whole or not at all; False where the key is taken: nothing changes.

        Of any number of writers of one key exactly one gets True.
        """
        ...

    def get(self, key: str) -> bytes | None:
        """The object, or None where there is none."""
        ...

    def list(self, prefix: str) -> list[str]:
        """Keys that start with `prefix` (any string), sorted by code point."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; none there is no error."""
        ...


class FileObjects:
    """Objects as files under a folder, which is made when the first one is put."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, data: bytes) -> bool:
        """See `Objects`: a temporary file, synced, then linked to its name, which fails where the name is taken."""
        target = self._folder / check_key(key)
        temporary = target.parent / f"{_TEMPORARY}{uuid.uuid4().hex}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                _write_synced(temporary, data)
                os.link(temporary, target)
                _sync_folder(target.parent)
            finally:
                temporary.unlink(missing_ok=True)
        except FileExistsError:
            return False
        except OSError as error:
            raise _failed(target, "written", error) from error
        return True

    def get(self, key: str) -> bytes | None:
        """See `Objects`."""
        path = self._folder / check_key(key)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(path, "read", error) from error

    def list(self, prefix: str) -> list[str]:
        """See `Objects`."""
        keys = []
        for folder, _, names in os.walk(self._folder, onerror=self._walk_failed):
            below = Path(folder).relative_to(self._folder)
            keys += [(below / name).as_posix() for name in names if not name.startswith(".")]
        return sorted(key for key in keys if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """See `Objects`; folders stay."""
        path = self._folder / check_key(key)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _failed(path, "deleted", error) from error

    def _walk_failed(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise _failed(self._folder, "listed", error) from error


def check_key(key: str) -> str:
    """`key` itself where it is one (see `Objects`), else BadInput: nothing outside of the store can be named."""
    if not _KEY.fullmatch(key):
        raise BadInput(
            "object key",
            expected="names of letters, digits, '.', '_' and '-' between slashes, none starting with a dot",
            got=repr(key),
            remedy="Name it like sets/00000007/manifest.json.",
        )
    return key


def open_objects(url: str) -> Objects:
    """The store at `url` (`file:DIR`); BadInput for another scheme."""
    scheme, _, rest = url.partition(":")
    match scheme:
        case "file" if rest:
            return FileObjects(Path(rest))
        case _:
            raise BadInput("registry URL", expected="file:DIR", got=repr(url), remedy="Write it like file:data/models.")


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a new name in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(path: Path, done: str, error: OSError) -> StoreError:
    return StoreError(
        f"object {path}",
        expected=f"a file that can be {done}",
        got=error.strerror or str(error),
        remedy="Check the folder's rights, the disk's space, and that the registry's URL names a folder.",
    )
