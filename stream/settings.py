"""The one place where settings are read; what they say is handed down as plain arguments.

Highest first: the command line's overrides, the environment (`ZHUGE_<SECTION>__<KEY>`), the TOML file, the defaults
below. The file is the one asked for, else the one that ZHUGE_CONFIG names, else configs/embedded.toml. A name that
nobody knows is refused with the nearest known one, a value that cannot be is refused with where it came from, and a
password inside a URL is never shown.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import PydanticBaseSettingsSource as Source

from models.errors import BadInput

Found = tuple[object, str]  # a value as its source gives it, and where a person finds it
EMBEDDED = Path(__file__).parent.parent / "configs" / "embedded.toml"
DATABASE = "sqlite:data/zhuge.sqlite"
PREFIX = "ZHUGE_"
NOT_SETTINGS = {"ZHUGE_CONFIG", "ZHUGE_TRACES"}  # where this file is; where the tests find recorded traces
SECRETS = (re.compile(r"(?<=://)([^:/@]*:).*(?=@)"), re.compile(r"([?&][^=&]*(?:password|secret|token|key)=)[^&#'\"]*"))


class Section(BaseModel):
    """One table of the TOML file: frozen, of exact types, closed to unknown keys, and discreet about passwords."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        """What repr() and str() show."""
        return [(name, masked(value) if isinstance(value, str) else value) for name, value in self]


class Stores(Section):
    """Where everything is kept: one driver a URL scheme."""

    cstore: str = Field(default=DATABASE, description="URL of the aggregates, lives and forecasts.")
    control: str = Field(default=DATABASE, description="URL of the clock, claims and offsets.")
    answers: str = Field(default=DATABASE, description="URL of the forecasts that the API reads.")
    registry: str = Field(default="file:data/registry", description="URL of the model sets and the champion's record.")


class Ingest(Section):
    """From samples to aggregates."""

    close_delay_min: int = Field(default=3, ge=0, le=10, description="Minutes past its end at which a span closes.")
    reopen_for_min: int = Field(default=30, ge=0, le=60, description="Minutes for which a late sample is still taken.")
    max_ahead_min: int = Field(default=5, ge=0, le=60, description="Minutes ahead of the clock that a sample may be.")
    profile_alpha: float = Field(default=0.25, gt=0, le=1, description="Weight of the newest day in the day's profile.")


class Forecast(Section):
    """The hourly forecast step."""

    log_every_h: int = Field(default=6, ge=1, le=24, description="Hours between the forecasts kept for evaluation.")
    threads: int = Field(default=0, ge=0, le=1024, description="CPU threads of the forecast step; 0 = all cores.")
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="Where the models run: cpu or cuda.")


class Windows(Section):
    """What a good window is, where neither the question nor the VM's policy says."""

    max_load_pct: float = Field(default=80.0, gt=0, le=100, description="Mean load in percent that a window may have.")
    min_confidence: float = Field(
        default=0.8, ge=0, le=1, description="Least P(mean load <= max_load_pct) to accept a window."
    )
    stale_after_min: int = Field(
        default=180, ge=1, le=10_080, description="Minutes after which the newest data are STALE."
    )
    default_minutes: int = Field(default=10, ge=10, le=120, description="Minutes that a window is long.")


class Serve(Section):
    """The HTTP API and the page."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 = every interface.")
    port: int = Field(default=8080, ge=0, le=65_535, description="TCP port to listen on; 0 = a free one.")


class Demo(Section):
    """What `zhuge demo` replays."""

    trace: str = Field(default="synthetic:", min_length=1, description="synthetic: or replay:FILE, a Parquet trace.")
    speed: float = Field(default=60.0, gt=0, le=100_000, description="Speed of the live demo, in times real time.")


class Settings(BaseSettings):
    """Everything that can be set, a section an attribute; `Settings()` is the defaults."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    stores: Stores = Stores()
    ingest: Ingest = Ingest()
    forecast: Forecast = Forecast()
    windows: Windows = Windows()
    serve: Serve = Serve()
    demo: Demo = Demo()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: Source,
        *_: Source,
        **__: Source,
    ) -> tuple[Source, ...]:
        """Only what `load_settings` hands in: it alone reads the sources, so that it knows each value's origin."""
        return (init_settings,)


FIELDS: dict[str, FieldInfo] = {
    f"{section}.{key}": field
    for section, table in Settings.model_fields.items()
    for key, field in type(table.default).model_fields.items()
}


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
    found = _from_file(file) | _from_environment(env) | _from_overrides(overrides or {})
    origins = {key: found[key][1] if key in found else "default" for key in FIELDS}
    tables: dict[str, dict[str, object]] = {section: {} for section in Settings.model_fields}
    for dotted, (value, _) in found.items():
        section, key = dotted.split(".")
        tables[section][key] = value
    try:
        return Loaded(Settings.model_validate(tables), origins)
    except ValidationError as error:
        raise _refusal(error, origins) from None


def describe(loaded: Loaded) -> list[Shown]:
    """Every setting with its value (passwords masked), origin and meaning, in the order of the sections."""
    tables = loaded.settings.model_dump()
    values = {f"{section}.{name}": value for section, table in tables.items() for name, value in table.items()}
    return [
        Shown(key, masked(str(values[key])), loaded.origins[key], field.description or "")
        for key, field in FIELDS.items()
    ]


def masked(text: str) -> str:
    """`text`, with the passwords of its URL as ***: `mysql://user:***@host`, `redis://:***@host`, `?password=***`."""
    for secret in SECRETS:
        text = secret.sub(r"\1***", text)
    return text


def _from_overrides(overrides: Mapping[str, object]) -> dict[str, Found]:
    given = {key: value for key, value in overrides.items() if value is not None}
    _check_names(given, FIELDS, "the command line")
    return {key: (_read(value, FIELDS[key]), "the command line") for key, value in given.items()}


def _from_environment(env: Mapping[str, str]) -> dict[str, Found]:
    keys = {PREFIX + key.upper().replace(".", "__"): key for key in FIELDS}
    given = {name: text for name, text in env.items() if name.startswith(PREFIX) and name not in NOT_SETTINGS}
    _check_names(given, keys, "the environment")
    return {keys[name]: (_read(text, FIELDS[keys[name]]), f"the environment, {name}") for name, text in given.items()}


def _from_file(path: Path) -> dict[str, Found]:
    remedy = f"Name another with --config or ZHUGE_CONFIG; {EMBEDDED} shows how one looks."
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        got = error.strerror or "an error"
        raise BadInput(f"config {path}", expected="a readable file", got=got, remedy=remedy) from None
    except ValueError as error:  # of the TOML, or of its UTF-8
        raise BadInput(f"config {path}", expected="TOML in UTF-8", got=str(error), remedy=remedy) from None
    values: dict[str, object] = {}
    for section, table in tables.items():
        if isinstance(table, dict):
            values |= {f"{section}.{key}": value for key, value in table.items()}
        else:
            values[section] = table
    _check_names(values, FIELDS, str(path))
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


def _refusal(error: ValidationError, origins: Mapping[str, str]) -> BadInput:
    """The first wrong value, in words."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    field = FIELDS[key]
    return BadInput(
        f"setting {key} from {origins[key]}",
        expected=re.sub("^(Input should be|String should have) ", "", first["msg"]),
        got=masked(repr(first["input"])),
        remedy=f"{field.description} Its default is {field.default!r}.",
    )
