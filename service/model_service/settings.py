"""The only reader of the environment: code defaults < config.yaml < .env < environment < command line.

Settings are read once and frozen. An unknown `MODELPORT_*` name or a bad value stops the start with a sentence.
"""

import difflib
import ipaddress
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources.utils import parse_env_vars

from model_service.errors import SettingsInvalid

PREFIX = "MODELPORT_"
FOREIGN_PREFIXES = ("MODELPORT_FETCH_",)
"""Names of the fetcher's own settings, which may share an environment with ours."""
DOTENV = Path(".env")
_SERVICE_LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT|PORT)(_|$)")


def _listed(value: Any) -> Any:
    return [part for item in value.split(",") if (part := item.strip())] if isinstance(value, str) else value


def _networks(items: Sequence[str]) -> Sequence[str]:
    for item in items:
        if item != "*":
            ipaddress.ip_network(item)  # its ValueError is the sentence
    return items


def _ascending(bounds: tuple[float, ...]) -> tuple[float, ...]:
    if not bounds or list(bounds) != sorted(set(bounds)) or bounds[0] <= 0:
        raise ValueError("expected positive numbers, each larger than the one before")
    return bounds


LATENCY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
Port = Annotated[int, Field(ge=0, le=65535)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
"""Several texts, written with commas between them."""
LatencyBuckets = Annotated[tuple[float, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_ascending)]


class Settings(BaseSettings):
    """Every setting of the service; each is the environment variable `MODELPORT_<NAME>` in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True,
        protected_namespaces=(), coerce_numbers_to_str=True,
    )  # fmt: skip

    api_host: str = Field("127.0.0.1", description="Address to listen on; the images set 0.0.0.0.")
    api_port: Port = Field(8000, description="Port to listen on; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=1024, description="Worker processes; WEB_CONCURRENCY is read when it is not set.")
    model_root: Path = Field(Path("/mnt/models"), description="Folder that holds <name>/<version>/.")
    model_name: str | None = Field(None, description="Model to serve; may be left out when the root holds one.")
    model_version: str | None = Field(None, description="Version to serve; the highest when left out.")
    model_digest: str | None = Field(None, description="Pin of the bundle: sha256:<hex> of its manifest.json.")
    model_sha256: str | None = Field(None, description="Pin of a bare model file: its sha256.")
    allow_pickle: bool = Field(False, description="Load unpinned pickles (joblib): they can run any code.")
    require_pinned: bool = Field(False, description="Refuse a model that no pin covers.")
    config_file: Path = Field(Path("config.yaml"), description="YAML file of settings, names in lower case.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    debug: bool = Field(False, description="One worker that reloads when the service's code changes.")
    max_body_bytes: int = Field(10 << 20, ge=1, description="Largest request body, in bytes.")
    max_batch_rows: int = Field(100, ge=1, description="Most rows in one /predict/batch request.")
    batching: bool = Field(True, description="Let waiting requests share calls of the model; off: one call each.")
    batch_max_rows: int = Field(256, ge=1, description="Most rows in one call of the model; waiting requests share it.")
    batch_window_ms: float = Field(0, ge=0, le=1000, description="Wait for more requests before a call; 0 never waits.")
    queue_max_rows: int = Field(8192, ge=1, description="Most rows that wait for the model, a worker; more get 429.")
    max_loaded_versions: int = Field(4, ge=1, description="Versions kept loaded, the default one included.")
    latency_buckets: LatencyBuckets = Field(
        LATENCY_BUCKETS, description="Upper bounds of the latency histograms in /metrics, in seconds."
    )
    max_head_bytes: int = Field(64 << 10, ge=1024, description="Largest request line and headers, in bytes.")
    read_timeout_seconds: float = Field(30, gt=0, description="Longest that a client may take to send one request.")
    gzip_min_bytes: int = Field(0, ge=0, description="Compress answers from this size on; 0 compresses none.")
    cors_allow_origins: Names = Field((), description="Origins whose pages may call, with commas between; * for all.")
    trusted_proxies: Annotated[Names, AfterValidator(_networks)] = Field(
        (), description="Addresses or networks whose X-Forwarded-For and -Proto are believed, with commas between."
    )
    tls_cert_file: FilePath | None = Field(None, description="PEM certificate chain; with it, HTTPS is spoken.")
    tls_key_file: FilePath | None = Field(None, description="PEM key of the certificate, if it is in another file.")
    tls_client_ca_file: FilePath | None = Field(None, description="PEM authorities; clients must show a certificate.")
    keep_alive_seconds: int = Field(75, ge=1, description="Idle time of a connection; keep it above the balancer's.")
    worker_timeout_seconds: int = Field(60, ge=1, description="A worker silent for this long is replaced.")
    drain_delay_seconds: float = Field(
        0, ge=0, description="After SIGTERM: not ready, and still answering, for this long; the chart sets it."
    )
    request_timeout_seconds: float = Field(
        30,
        gt=0,
        description="Longest that a request may take, waiting included (then 504), and be waited for at a stop.",
    )
    statsd_address: str | None = Field(
        None, pattern=r".+:\d+$", description="host:port that is sent metrics as StatsD lines over UDP; none is."
    )
    statsd_seconds: float = Field(10, gt=0, description="Time between two sendings of StatsD lines.")
    log_input_fields: Names = Field((), description="Features whose values are logged with each request; none are.")
    termination_message_path: Path = Field(
        Path("/dev/termination-log"), description="Where the reason of a failed start is written, if it exists."
    )

    @field_validator("request_timeout_seconds")
    @classmethod
    def _shorter_than_the_workers(cls, seconds: float, info: ValidationInfo) -> float:
        longest = info.data.get("worker_timeout_seconds", math.inf)
        if seconds >= longest:
            raise ValueError(f"must be below worker_timeout_seconds ({longest}), or workers are replaced mid-request")
        return seconds

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - replaced: ours is given its variables
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` passes in counts."""
        del settings_cls
        return (init_settings,)


class _Variables(EnvSettingsSource):
    """Reads a given mapping as environment variables, so that .env and the environment follow the same rules."""

    def __init__(self, variables: Mapping[str, str | None]) -> None:
        self._given = variables
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return parse_env_vars(self._given, self.case_sensitive, self.env_ignore_empty, self.env_parse_none_str)


def load_settings(
    flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None, dotenv: Path = DOTENV
) -> tuple[Settings, dict[str, str]]:
    """Read every layer.

    Args:
        flags: command-line values by setting name; null ones do not count.
        environment: instead of the process's.
        dotenv: file of `NAME=value` lines; other programs' lines in it are left alone.

    Returns:
        The settings, and for each name where its value came from.

    Raises:
        SettingsInvalid: an unknown name or a bad value, with a sentence.
    """
    env = dict(os.environ if environment is None else environment)
    standard = {"workers": env["WEB_CONCURRENCY"]} if env.get("WEB_CONCURRENCY") else {}
    file_env = _read_dotenv(dotenv)
    for variables, origin in ((env, "the environment"), (file_env, str(dotenv))):
        _refuse_unknown(variables, origin)
    config = Path(env.get(f"{PREFIX}CONFIG_FILE") or file_env.get(f"{PREFIX}CONFIG_FILE") or "config.yaml")
    required = f"{PREFIX}CONFIG_FILE" in env or f"{PREFIX}CONFIG_FILE" in file_env
    layers: dict[str, Mapping[str, Any]] = {
        "WEB_CONCURRENCY": standard,
        str(config): _read_yaml(config, required),
        str(dotenv): _Variables(file_env)(),
        "environment": _Variables(env)(),
        "command line": {key: value for key, value in (flags or {}).items() if value is not None},
    }
    return _combine(layers)


def _combine(layers: Mapping[str, Mapping[str, Any]]) -> tuple[Settings, dict[str, str]]:
    values: dict[str, Any] = {}
    origins = dict.fromkeys(Settings.model_fields, "default")
    for origin, layer in layers.items():
        values.update(layer)
        origins.update(dict.fromkeys(layer, origin))
    try:
        return Settings(**values), origins
    except ValidationError as error:
        raise SettingsInvalid(_sentence(error, origins)) from error


def _sentence(error: ValidationError, origins: Mapping[str, str]) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    field = Settings.model_fields.get(str(first["loc"][0]))
    if field is None:
        return f"{origins.get(name, 'settings')}: unknown setting {name!r}{_hint(name, list(Settings.model_fields))}"
    shown = "" if field.annotation is SecretStr else f", got {first['input']!r}"
    variable = PREFIX + name.upper().replace(".", "__")
    return f"{variable} (from {origins[str(first['loc'][0])]}): {first['msg']}{shown}"


def _refuse_unknown(variables: Mapping[str, str], origin: str) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in variables:
        upper = name.upper()
        ours = upper.startswith(PREFIX) and not upper.startswith(FOREIGN_PREFIXES)
        if ours and upper not in known:
            injected = "; Kubernetes injects it for a Service of that name: set enableServiceLinks: false in the pod"
            hint = injected if _SERVICE_LINK.search(upper) else _hint(upper, sorted(known))
            raise SettingsInvalid(f"{origin}: unknown setting {name}{hint}")


def _hint(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _read_dotenv(path: Path) -> dict[str, str]:
    try:
        return {key: value for key, value in dotenv_values(path).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path} cannot be read: {error}") from error


def _read_yaml(path: Path, required: bool) -> dict[str, Any]:
    if not path.is_file():
        if required:
            raise SettingsInvalid(f"{PREFIX}CONFIG_FILE: {path} is not a file")
        return {}
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsInvalid(f"{path} cannot be read: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsInvalid(f"{path}: expected 'name: value' lines, got {type(document).__name__}")
    return {str(key): value for key, value in document.items()}


def effective(settings: Settings, origins: Mapping[str, str]) -> list[dict[str, str]]:
    """Rows of `{setting, value, origin}` for people; secrets are masked."""
    return [
        {"setting": PREFIX + name.upper(), "value": written(getattr(settings, name)), "origin": origins[name]}
        for name in Settings.model_fields
    ]


def written(value: Any) -> str:
    """A setting's value as it is written in the environment: nothing for null, commas between several."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
