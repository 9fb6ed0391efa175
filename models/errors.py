"""The one error tree; each message says what, expected, got and remedy.

ZhugeError
 ├─ BadInput      the caller gave something wrong (exit code 2, HTTP 4xx)
 ├─ StoreError    a store cannot be opened, read or written (exit code 2: a path, a disk, a lock)
 │   └─ StartOver what this process holds is no longer what the store says
 └─ SetError      a model set is missing, broken or not of this version
"""

from __future__ import annotations


class ZhugeError(Exception):
    """Something went wrong that a person can mend.

    `what` names the thing, `expected` what would have been right, `got` what was there, `remedy` what to do next.
    """

    def __init__(self, what: str, *, expected: str, got: str, remedy: str) -> None:
        super().__init__(what, expected, got, remedy)
        self.what, self.expected, self.got, self.remedy = what, expected, got, remedy

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, got {self.got}. {self.remedy}"


class BadInput(ZhugeError):  # noqa: N818 (read as a sentence: raise BadInput(...))
    """A file, an option, a question or a setting that cannot be right."""


class StoreError(ZhugeError):
    """A store that cannot be opened, read or written."""


class StartOver(StoreError):  # noqa: N818 (read as a sentence, as BadInput is)
    """What this process holds is no longer what the store says, or is half done: begin anew from what is stored."""


class SetError(ZhugeError):
    """A model set that is missing, broken, or made for other features."""
