"""The one place where settings are read; what they say is handed down as plain arguments.

Highest first: the command line's overrides, the environment (`ZHUGE_<SECTION>__<KEY>`), the TOML file, the defaults
of `stream/settings_sections.py`. The file is the one asked for, else the one that ZHUGE_CONFIG names, else
configs/embedded.toml. It alone declares sources, `[sources.NAME]`; the environment may go over their keys
(`ZHUGE_SOURCES__<NAME>__<KEY>`). A name that nobody knows is refused with the nearest known one, a value that cannot
be is refused with where it came from, and a password is never shown.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from models.errors import BadInput
from stream.settings_sections import FIELDS, Settings, SourceSettings, masked, shown, source_fields

__all__ = ["EMBEDDED", "FIELDS", "Loaded", "Settings", "Shown", "SourceSettings", "describe", "load_settings", "masked"]

Found = tuple[object, str]  # a value as its source gives it, and where a person finds it
Fields = Mapping[str, FieldInfo]
EMBEDDED = Path(__file__).parent.parent / "configs" / "embedded.toml"
PREFIX = "ZHUGE_"
NOT_SETTINGS = {"ZHUGE_CONFIG", "ZHUGE_TRACES"}  # where this file is; where the tests find recorded traces


class Loaded(NamedTuple):
    """The settings in force, and where each dotted key's value came from."""

    settings: Settings
    origins: dict[str, str]


class Shown(NamedTuple):
    """One line of `zhuge config`."""

    key: str
    value: str
    origin: str
    description: str


def load_settings(
    path: Path | str | None = None,
    overrides: Mapping[str, object] | None = None,
    env: Mapping[str, str] = os.environ,
) -> Loaded:
    """The settings in force. `overrides`: dotted key -> value, None = not given; text is read as the key's type.

    BadInput for a file that cannot be read, an unknown name, or a value of the wrong type or range.
    """
    file = Path(path or env.get("ZHUGE_CONFIG") or EMBEDDED)
    tables = _tables(file)
    sources = _source_names(tables, file)
    fields = fields_of(sources)
    found = _from_file(tables, file, fields) | _from_environment(env, fields) | _from_overrides(overrides or {}, fields)
    origins = {key: found[key][1] if key in found else "default" for key in fields}
    values: dict[str, Any] = {section: {} for section in Settings.model_fields}
    values["sources"] = {name: {} for name in sources}
    for dotted, (value, _) in found.items():
        *steps, key = dotted.split(".")
        table = values
        for step in steps:
            table = table[step]
        table[key] = value
    try:
        return Loaded(Settings.model_validate(values), origins)
    except ValidationError as error:
        raise _refusal(error, origins, fields, file) from None


def fields_of(sources: Iterable[str]) -> dict[str, FieldInfo]:
    """Every dotted key that may be set where these sources are declared."""
    fields = dict(FIELDS)
    for name in sources:
        fields |= source_fields(name)
    return fields


def describe(loaded: Loaded) -> list[Shown]:
    """Every setting with its value (passwords masked), origin and meaning: the sections in order, then the sources."""
    settings = loaded.settings
    tables = {section: getattr(settings, section) for section in Settings.model_fields if section != "sources"}
    tables |= {f"sources.{name}": source for name, source in settings.sources.items()}
    fields = fields_of(settings.sources)
    return [
        Shown(key, str(shown(name, value)), loaded.origins[key], fields[key].description or "")
        for table, section in tables.items()
        for name, value in section
        for key in [f"{table}.{name}"]
    ]


def _from_overrides(overrides: Mapping[str, object], fields: Fields) -> dict[str, Found]:
    given = {key: value for key, value in overrides.items() if value is not None}
    _check_names(given, fields, "the command line")
    return {key: (_read(value, fields[key]), "the command line") for key, value in given.items()}


def _from_environment(env: Mapping[str, str], fields: Fields) -> dict[str, Found]:
    keys = {_variable(key): key for key in fields}
    given = {name: text for name, text in env.items() if name.startswith(PREFIX) and name not in NOT_SETTINGS}
    _check_names(given, keys, "the environment")
    return {keys[name]: (_read(text, fields[keys[name]]), f"the environment, {name}") for name, text in given.items()}


def _variable(key: str) -> str:
    """The environment's name of a dotted key."""
    return PREFIX + key.upper().replace(".", "__").replace("-", "_")


def _tables(path: Path) -> dict[str, Any]:
    remedy = f"Name another with --config or ZHUGE_CONFIG; {EMBEDDED} shows how one looks."
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        got = error.strerror or "an error"
        raise BadInput(f"config {path}", expected="a readable file", got=got, remedy=remedy) from None
    except ValueError as error:  # of the TOML, or of its UTF-8
        raise BadInput(f"config {path}", expected="TOML in UTF-8", got=str(error), remedy=remedy) from None


def _source_names(tables: Mapping[str, Any], path: Path) -> list[str]:
    """The sources that the file declares. BadInput for a name that cannot be told apart in a group or a variable."""
    declared = tables.get("sources", {})
    names = [name for name, table in declared.items() if isinstance(table, dict)] if isinstance(declared, dict) else []
    variables: dict[str, str] = {}
    for name in names:
        alike = variables.setdefault(_variable(name), name)
        if alike != name or not re.fullmatch("[A-Za-z0-9_-]{1,63}", name):
            raise BadInput(
                f"source in {path}",
                expected="a name of 1 to 63 letters, digits, - and _, unlike the others' by more than case, - and _",
                got=repr(name) if alike == name else f"{alike!r} and {name!r}",
                remedy="Rename its table, [sources.NAME].",
            )
    return names


def _from_file(tables: Mapping[str, Any], path: Path, fields: Fields) -> dict[str, Found]:
    values: dict[str, object] = {}
    for section, table in tables.items():
        if not isinstance(table, dict):
            values[section] = table
            continue
        for key, value in table.items():
            if section == "sources" and isinstance(value, dict):
                values |= {f"{section}.{key}.{inner}": set_ for inner, set_ in value.items()}
            else:
                values[f"{section}.{key}"] = value
    _check_names(values, fields, str(path))
    return {key: (value, str(path)) for key, value in values.items()}


def _read(value: object, field: FieldInfo) -> object:
    """The number that a text of the environment or the command line means; what is none stays, to be refused."""
    if isinstance(value, str) and field.annotation in (int, float):
        for kind in (int, float):
            with suppress(ValueError):
                return kind(value)
    return value


def _check_names(names: Iterable[str], known: Iterable[str], origin: str) -> None:
    for name in sorted(set(names) - set(known)):
        nearest = get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise BadInput(
            f"setting {name} in {origin}",
            expected=f"a known one, the nearest is {nearest}",
            got=repr(name),
            remedy="Correct or remove it; `zhuge config` lists them all.",
        )


def _refusal(error: ValidationError, origins: Mapping[str, str], fields: Fields, file: Path) -> BadInput:
    """The first wrong value, in words."""
    first = error.errors(include_url=False)[0]
    steps = [str(part) for part in first["loc"]]
    key = next(dotted for n in range(len(steps), 0, -1) if (dotted := ".".join(steps[:n])) in fields)
    field = fields[key]
    if first["type"] == "missing":
        what, expected, got = f"setting {key} in {file}", "a value, as it has no default", "none"
        return BadInput(what, expected=expected, got=got, remedy=field.description or "")
    default = field.get_default(call_default_factory=True)
    said = "It has no default." if field.is_required() else f"Its default is {default!r}."
    return BadInput(
        f"setting {key} from {origins[key]}",
        expected=re.sub("^(Input should be|String should have) ", "", first["msg"]),
        got=masked(repr(shown(key.rpartition(".")[2], first["input"]))),
        remedy=f"{field.description} {said}",
    )
