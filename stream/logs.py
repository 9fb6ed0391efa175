"""The workers' logs: one JSON object a line, or text where a person watches, and nothing in them can forge a line.

Every library's records go the same way. What a record bears beside its message (`extra=`) becomes its fields.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

LIBRARIES = ("aiokafka", "faust", "kafka", "mode", "uvicorn")
AGAIN_AFTER_S = 10.0
LONGEST_CHARS = 10_000
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
_SEVERAL = 1_000

log = logging.getLogger(__name__)


def set_up(stream: TextIO = sys.stderr) -> None:
    """All that this process logs goes to `stream`: text on a terminal, else JSON lines; our own from INFO on.

    Of libraries only what is a warning or worse, and that sparingly. An exception that nobody caught is logged too.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Text() if stream.isatty() else JsonLines())
    handler.addFilter(Sparing())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


class JsonLines(logging.Formatter):
    """`{"time", "level", "logger", "message", "fields", "traceback"}` in ASCII; the last two where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, object] = {
            "time": _moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(_message(record)),
        }
        if fields := _fields(record):
            line["fields"] = fields
        if traceback := _traceback(record):
            line["traceback"] = _cut(traceback)
        return json.dumps(line)


class Text(logging.Formatter):
    """`14:02:11 warning stream.session: message  name=value`, a traceback behind bars below it."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and those of the traceback."""
        fields = "".join(f"  {_visible(name)}={_visible(str(value))}" for name, value in _fields(record).items())
        head = f"{_moment(record):%H:%M:%S} {record.levelname.lower()} {_visible(record.name)}"
        lines = [f"{head}: {_visible(_cut(_message(record)))}{fields}"]
        lines += [f"    | {_visible(line)}" for line in _cut(_traceback(record)).splitlines()]
        return "\n".join(lines)


class Sparing(logging.Filter):
    """The same warning of a library (whatever its arguments) once in 10 s; the next one says how many were left out.

    Without it a broker that is away is told of forty times a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last_s: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to show it; called under the handler's lock or not, a count may be off by one."""
        if record.name.partition(".")[0] not in LIBRARIES or record.exc_info:
            return True
        what = (record.name, str(record.msg)[:200])
        if record.created - self._last_s.get(what, -math.inf) < AGAIN_AFTER_S:
            self._left_out[what] = self._left_out.get(what, 0) + 1
            return False
        if len(self._last_s) >= _SEVERAL:
            self._last_s.clear()
            self._left_out.clear()
        self._last_s[what] = record.created
        if left_out := self._left_out.pop(what, 0):
            record.left_out = left_out
        return True


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # a mistake in a library's log call must not cost the record
        return f"{record.msg!r} % {record.args!r} ({error})"


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: _plain(value) for name, value in vars(record).items() if name not in _STANDARD}


def _plain(value: object) -> object:
    """`value` as JSON can say it."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _cut(str(value))


def _traceback(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[0] is not None:
        return logging.Formatter().formatException(record.exc_info)
    return ""


def _cut(text: str) -> str:
    more = len(text) - LONGEST_CHARS
    return text if more <= 0 else f"{text[:LONGEST_CHARS]}… ({more:,} more)"


def _visible(text: str) -> str:
    """`text` with what does not print, newlines and terminal codes among it, as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    log.critical("nobody caught %s", kind.__name__, exc_info=(kind, error, traceback))


def _uncaught_in_thread(of: threading.ExceptHookArgs) -> None:
    if of.exc_value is not None:
        _uncaught(of.exc_type, of.exc_value, of.exc_traceback)
