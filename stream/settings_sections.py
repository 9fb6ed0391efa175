"""What can be set: a class a section, with each key's default, range and meaning, and how a password is kept unseen."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import PydanticBaseSettingsSource as Source

DATABASE = "sqlite:data/zhuge.sqlite"
SECRET_KEYS = {"password"}
SECRETS = (re.compile(r"(?<=://)([^:/@]*:).*(?=@)"), re.compile(r"([?&][^=&]*(?:password|secret|token|key)=)[^&#'\"]*"))

Format = Literal["json", "host-json", "host-msgpack", "arrow", "telegraf"]
Unit = Literal["percent", "fraction", "core_percent", "core_seconds"]
Security = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]


def masked(text: str) -> str:
    """`text`, with the passwords of its URL as ***: `mysql://user:***@host`, `redis://:***@host`, `?password=***`."""
    for secret in SECRETS:
        text = secret.sub(r"\1***", text)
    return text


def shown(key: str, value: object) -> object:
    """`value` as a person may see it: what is kept under a secret key is *** unless it is empty."""
    if key in SECRET_KEYS:
        return "***" if value else value
    return masked(value) if isinstance(value, str) else value


class Section(BaseModel):
    """One table of the TOML file: frozen, of exact types, closed to unknown keys, and discreet about passwords."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        """What repr() and str() show."""
        return [(name, shown(name, value)) for name, value in self]


class Stores(Section):
    """Where everything is kept: one driver a URL scheme."""

    cstore: str = Field(default=DATABASE, description="URL of the aggregates, lives and forecasts.")
    control: str = Field(default=DATABASE, description="URL of the clock, claims and offsets.")
    answers: str = Field(default=DATABASE, description="URL of the forecasts that the API reads.")
    registry: str = Field(default="file:data/registry", description="URL of the model sets and the champion's record.")


class Kafka(Section):
    """How the brokers are reached; our own topics and group there."""

    brokers: str = Field(default="127.0.0.1:9092", min_length=1, description="host:port of brokers, comma separated.")
    security: Security = Field(default="PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.")
    username: str = Field(default="", description="User of SASL PLAIN; empty where security is not SASL.")
    password: str = Field(default="", description="Its password; better in ZHUGE_KAFKA__PASSWORD than in a file.")
    ca_file: str = Field(default="", description="PEM file that signs for the brokers; empty = the system's.")
    prefix: str = Field(default="", pattern="^[A-Za-z0-9._-]*$", description="Before the names of our own topics.")
    group: str = Field(default="zhuge", min_length=1, description="Consumer group; each source adds its name to it.")
    instance: str = Field(
        default="", description="The worker's own name in its group; it comes back to its partitions at once."
    )
    session_timeout_ms: int = Field(
        default=10_000, ge=1_000, le=600_000, description="A worker silent for so long loses its partitions."
    )
    metadata_max_age_ms: int = Field(
        default=60_000, ge=500, le=600_000, description="So often it is asked whether a topic has got more partitions."
    )


class SourceSettings(Section):
    """One topic of samples and what is in it; the connection is [kafka]'s where it says nothing of its own."""

    topic: str = Field(min_length=1, description="Kafka topic, or logstore of Log Service, that is read.")
    format: Format = Field(description="json, host-json, host-msgpack, arrow or telegraf.")
    unit: Unit = Field(description="percent, fraction, core_percent or core_seconds (a counter).")
    interval_min: int = Field(default=1, ge=1, le=60, description="Minutes between two samples of one VM.")
    timezone: str = Field(default="UTC", min_length=1, description="IANA zone of the source's clock, for ts_unit iso.")
    ts_unit: Literal["s", "ms", "us", "ns", "iso"] = Field(default="s", description="Unit of ts: s, ms, us, ns or iso.")
    fields: dict[Literal["vm", "host", "ts", "cpu"], str] = Field(
        default_factory=dict, description="Its names of vm, host, ts and cpu, where they differ."
    )
    brokers: str = Field(default="", description="Brokers of its own; empty = those of [kafka].")
    security: Literal["", Security] = Field(default="", description="Security of its own; empty = that of [kafka].")
    username: str = Field(default="", description="User of its own; empty = that of [kafka] if brokers are, too.")
    password: str = Field(default="", description="Password of its own user; else that of [kafka].")
    ca_file: str = Field(default="", description="PEM file of its own; empty = that of [kafka].")


class Receive(Section):
    """The receiver of Prometheus remote-write."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 = every interface.")
    port: int = Field(default=9201, ge=0, le=65_535, description="TCP port to listen on; 0 = a free one.")
    metric: str = Field(
        default="libvirt_domain_info_cpu_time_seconds_total", min_length=1, description="Metric name that is taken."
    )
    vm_label: str = Field(default="domain", min_length=1, description="Label that names the VM.")
    host_label: str = Field(default="instance", min_length=1, description="Label that names the host.")
    source: str = Field(default="", description="Source whose topic is written; empty = the only one declared.")


class Ingest(Section):
    """From samples to aggregates."""

    close_delay_min: int = Field(default=3, ge=0, le=10, description="Minutes past its end at which a span closes.")
    reopen_for_min: int = Field(default=30, ge=0, le=60, description="Minutes for which a late sample is still taken.")
    max_ahead_min: int = Field(default=5, ge=0, le=60, description="Minutes ahead of the clock that a sample may be.")
    profile_alpha: float = Field(default=0.25, gt=0, le=1, description="Weight of the newest day in the day's profile.")


class Worker(Section):
    """What each worker process shows of itself."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address of its /healthz and /metrics.")
    port: int = Field(default=0, ge=0, le=65_535, description="TCP port of these; 0 = a free one, which it says.")
    stalled_after_s: int = Field(
        default=60, ge=5, le=3_600, description="/healthz says 503 after so long without work."
    )


class Forecast(Section):
    """The hourly forecast step."""

    log_every_h: int = Field(default=6, ge=1, le=24, description="Hours between the forecasts kept for evaluation.")
    threads: int = Field(default=0, ge=0, le=1024, description="CPU threads of the forecast step; 0 = all cores.")
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="Where the models run: cpu or cuda.")
    train_vm_days: int = Field(
        default=3_000, ge=100, le=1_000_000, description="Most days of VMs that training learns from."
    )


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
    kafka: Kafka = Kafka()
    ingest: Ingest = Ingest()
    receive: Receive = Receive()
    worker: Worker = Worker()
    forecast: Forecast = Forecast()
    windows: Windows = Windows()
    serve: Serve = Serve()
    demo: Demo = Demo()
    sources: dict[str, SourceSettings] = Field(default_factory=dict)

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
    if isinstance(table.default, Section)
    for key, field in type(table.default).model_fields.items()
}


def source_fields(name: str) -> dict[str, FieldInfo]:
    """The keys of the source table `[sources.<name>]`, dotted."""
    return {f"sources.{name}.{key}": field for key, field in SourceSettings.model_fields.items()}
