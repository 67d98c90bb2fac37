"""The only reader of the environment: code defaults < config.yaml < .env < environment < command line.

Settings are read once and frozen. An unknown `MODELPORT_*` name or a bad value stops the start with a sentence.
"""

import difflib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from dotenv import dotenv_values
from pydantic import BaseModel, Field, FilePath, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, to_jsonable_python
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources.utils import parse_env_vars

from model_service.access.settings import AccessSettings
from model_service.admin.settings import AdminSettings
from model_service.errors import SettingsInvalid
from model_service.limits.settings import LimitsSettings
from model_service.setting_types import Group, LatencyBuckets, Names, Networks, Port

PREFIX = "MODELPORT_"
FOREIGN_PREFIXES = ("MODELPORT_FETCH_",)
"""Names of the fetcher's own settings, which may share an environment with ours."""
FOREIGN_NAMES = {"MODELPORT_ADMIN_TOKEN"}
"""Those of the `modelport` command."""
DOTENV = Path(".env")
_SERVICE_LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT|PORT)(_|$)")


LATENCY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Settings(BaseSettings):
    """Every setting of the service; each is the environment variable `MODELPORT_<NAME>` in capitals.

    A field that is a `Group` holds the settings of one feature, `MODELPORT_<GROUP>__<NAME>`.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", enable_decoding=False, extra="forbid", frozen=True,
        env_ignore_empty=True, protected_namespaces=(), coerce_numbers_to_str=True,
    )  # fmt: skip

    api_host: str = Field("127.0.0.1", description="Address to listen on; the images set 0.0.0.0.")
    api_port: Port = Field(8000, description="Port to listen on; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=1024, description="Worker processes; WEB_CONCURRENCY is read when it is not set.")
    model_root: Path = Field(Path("/mnt/models"), description="Folder that holds <name>/<version>/.")
    model_name: str | None = Field(None, description="Model to serve; may be left out when the root holds one.")
    model_version: str | None = Field(None, description="Version to serve; the highest when left out.")
    model_digest: str | None = Field(None, description="Pin of the bundle: sha256:<hex> of its manifest.json.")
    model_sha256: str | None = Field(None, description="Pin of a bare model file: its sha256.")
    version_digests: Names = Field(
        (), description="Pins of versions beside it: digests of bundles, or sha256 of bare files, with commas between."
    )
    allow_pickle: bool = Field(False, description="Load unpinned pickles (joblib): they can run any code.")
    require_pinned: bool = Field(False, description="Refuse a model that no pin covers.")
    config_file: Path = Field(Path("config.yaml"), description="YAML file of settings, names in lower case.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    debug: bool = Field(False, description="One worker that reloads when the service's code changes.")
    max_body_bytes: int = Field(10 << 20, ge=1, description="Largest request body, in bytes.")
    max_batch_rows: int = Field(100, ge=1, description="Most rows in one /predict/batch request.")
    batching: bool = Field(True, description="Let waiting requests share calls of the model; off: one call each.")
    batch_max_rows: int = Field(
        8192,
        ge=1,
        description="Most rows in one call of the model, which requests share; over 256 only in quick calls.",
    )
    batch_window_ms: float = Field(0, ge=0, le=1000, description="Wait for more requests before a call; 0 never waits.")
    queue_max_rows: int = Field(8192, ge=1, description="Most rows that wait for the model, a worker; more get 429.")
    model_memory_bytes: int = Field(
        0, ge=0, description="Memory for loaded versions, a worker; the least recently used go first. 0 sets no limit."
    )
    traffic_file: Path | None = Field(
        None, description="YAML or JSON traffic document; read at the start, and again when it changes."
    )
    latency_buckets: LatencyBuckets = Field(
        LATENCY_BUCKETS, description="Upper bounds of the latency histograms in /metrics, in seconds."
    )
    max_head_bytes: int = Field(64 << 10, ge=1024, description="Largest request line and headers, in bytes.")
    read_timeout_seconds: float = Field(30, gt=0, description="Longest that a client may take to send one request.")
    gzip_min_bytes: int = Field(0, ge=0, description="Compress answers from this size on; 0 compresses none.")
    cors_allow_origins: Names = Field((), description="Origins whose pages may call, with commas between; * for all.")
    trusted_proxies: Networks = Field(
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
    access: AccessSettings = AccessSettings.model_validate({})
    limits: LimitsSettings = LimitsSettings.model_validate({})
    admin: AdminSettings = AdminSettings.model_validate({})

    @field_validator("request_timeout_seconds")
    @classmethod
    def _shorter_than_the_workers(cls, seconds: float, info: ValidationInfo) -> float:
        longest = info.data.get("worker_timeout_seconds", math.inf)
        if seconds >= longest:
            raise ValueError(f"must be below worker_timeout_seconds ({longest}), or workers are replaced mid-request")
        return seconds

    @field_validator("limits")
    @classmethod
    def _about_somebody(cls, limits: LimitsSettings, info: ValidationInfo) -> LimitsSettings:
        access = info.data.get("access")
        lost = [rule.label for rule in limits.rules if rule.per in {"key", "subject"}]
        if lost and isinstance(access, AccessSettings) and not access.on:
            raise ValueError(f"the rule {lost[0]} counts nobody while access control is off: nobody says who they are")
        return limits

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


def fields(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every single setting; one of a group is called `<group>__<name>`."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Group):
            yield from fields(kind, f"{prefix}{name}__")
        else:
            yield f"{prefix}{name}", field


FIELDS = dict(fields())


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
    config = Path(env.get(f"{PREFIX}CONFIG_FILE") or file_env.get(f"{PREFIX}CONFIG_FILE") or "config.yaml")
    required = f"{PREFIX}CONFIG_FILE" in env or f"{PREFIX}CONFIG_FILE" in file_env
    layers: dict[str, Mapping[str, Any]] = {
        "WEB_CONCURRENCY": standard,
        str(config): _read_yaml(config, required),
        str(dotenv): _read_variables(file_env, str(dotenv)),
        "environment": _read_variables(env, "the environment"),
        "command line": {key: value for key, value in (flags or {}).items() if value is not None},
    }
    return _combine(layers)


def _combine(layers: Mapping[str, Mapping[str, Any]]) -> tuple[Settings, dict[str, str]]:
    values: dict[str, Any] = {}
    origins = dict.fromkeys(FIELDS, "default")
    for origin, layer in layers.items():
        values.update(layer)
        origins.update(dict.fromkeys(layer, origin))
    try:
        return Settings.model_validate(_nested(values)), origins
    except ValidationError as error:
        raise SettingsInvalid(_sentence(error, origins)) from error


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in values.items():
        group, _, own = name.partition("__")
        if own:
            tree.setdefault(group, {})[own] = value
        else:
            tree[name] = value
    return tree


def _sentence(error: ValidationError, origins: Mapping[str, str]) -> str:
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    name = next((found for size in (2, 1) if (found := "__".join(place[:size])) in FIELDS), None)
    if name is None:
        written_as = ".".join(place)
        known = [each.replace("__", ".") for each in FIELDS]
        origin = origins.get("__".join(place), "settings")
        if first["type"] != "extra_forbidden":
            return f"{PREFIX}{'__'.join(place).upper()}: {_said(first)}"
        return f"{origin}: unknown setting {written_as!r}{_hint(written_as, known)}"
    shown = "" if FIELDS[name].annotation is SecretStr else f", got {first['input']!r}"
    variable = PREFIX + "__".join([name, *place[1 + name.count("__") :]]).upper()
    return f"{variable} (from {origins[name]}): {_said(first)}{shown}"


def _said(error: ErrorDetails) -> str:
    return error["msg"].removeprefix("Value error, ")


def _read_variables(variables: Mapping[str, str], origin: str) -> dict[str, Any]:
    """The settings among environment variables; empty ones count as not set."""
    for name in variables:
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper.startswith(FOREIGN_PREFIXES) or upper in FOREIGN_NAMES:
            continue
        setting = upper.removeprefix(PREFIX).lower()
        if setting not in FIELDS:
            injected = "; Kubernetes injects it for a Service of that name: set enableServiceLinks: false in the pod"
            known = sorted(PREFIX + each.upper() for each in FIELDS)
            hint = injected if _SERVICE_LINK.search(upper) else _hint(upper, known)
            raise SettingsInvalid(f"{origin}: unknown setting {name}{hint}")
    return dict(_flat(_Variables(variables)(), origin))


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
    return dict(_flat(document, str(path)))


def _flat(document: Mapping[Any, Any], origin: str) -> Iterator[tuple[str, Any]]:
    """Settings by name; a map below a group's name holds the group's."""
    groups = {name.partition("__")[0] for name in FIELDS if "__" in name}
    for key, value in document.items():
        if key in groups and not isinstance(value, dict):
            raise SettingsInvalid(f"{origin}: {key}: expected 'name: value' lines below it, got {value!r}")
        if key in groups:
            yield from ((f"{key}__{own}", each) for own, each in value.items())
        else:
            yield str(key), value


def effective(settings: Settings, origins: Mapping[str, str]) -> list[dict[str, str]]:
    """Rows of `{setting, value, origin}` for people; secrets are masked."""
    return [
        {"setting": PREFIX + name.upper(), "value": written(_value(settings, name)), "origin": origins[name]}
        for name in FIELDS
    ]


def _value(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("__"):
        value = getattr(value, part)
    return value


def written(value: Any) -> str:
    """A setting's value as it is written in the environment: nothing for null, commas between several texts."""
    if value is None:
        return ""
    if isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
        return json.dumps(to_jsonable_python(value, exclude_none=True))
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
