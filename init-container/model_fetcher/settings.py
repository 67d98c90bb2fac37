"""What was asked for: flags win over `MODELPORT_FETCH_*` variables, and those over defaults. One table makes all."""

import argparse
import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from model_artifact.delivery import Usage
from model_artifact.errors import DigestMismatch
from model_fetcher.contents import Patterns
from model_fetcher.destinations import Destination, Folder, ModelRoot
from model_fetcher.plan import Wanted
from model_fetcher.sources.base import Auth
from model_fetcher.values import (
    read_auth,
    read_count,
    read_headers,
    read_patterns,
    read_pin,
    read_seconds,
    read_size,
    read_switch,
    read_text,
)

PREFIX = "MODELPORT_FETCH_"
TERMINATION_LOG = Path("/dev/termination-log")
TERMINATION_PATH = f"{PREFIX}TERMINATION_MESSAGE_PATH"
"""Read where the program ends, for it must be known even when the settings are wrong."""

FOREIGN = {
    "uri": "STORAGE_URI",
    "allow_patterns": "STORAGE_ALLOW_PATTERNS",
    "ignore_patterns": "STORAGE_IGNORE_PATTERNS",
}
"""Variables of KServe's initializer that count where ours are not set."""

DESCRIPTION = (
    "Fetch a model, verify it, and publish it whole or not at all. `versions URI` lists what there is instead."
)
EPILOG = f"""
SRC DST [SRC DST ...] fills each folder DST itself. One URI, or none and {PREFIX}URI, is published as
<root>/<name>/<version>. --in-place takes a path. Each flag has its variable: --retry-budget is {PREFIX}RETRY_BUDGET.
Exit codes: 2 usage, 10 access denied, 11 not found, 12 unreachable, 13 disk full, 14 checksum mismatch, 15 refused.
"""


@dataclass(frozen=True)
class Settings:
    """Every setting of the fetcher. Times are seconds."""

    uri: str | None = None
    root: Path = Path("/mnt/models")
    digest: str | None = None
    sha256: str | None = None
    name: str | None = None
    version: str | None = None
    require_pinned: bool = False
    in_place: bool = False
    force: bool = False
    allow_patterns: tuple[str, ...] = ()
    ignore_patterns: tuple[str, ...] = ()
    auth: Auth = "auto"
    ca_bundle: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    cache: Path | None = None
    cache_size: int | None = None
    connections: int = 16
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    retry_budget: float = 120.0


@dataclass(frozen=True)
class Option:
    """How a setting is read from text, and its line in the help. A secret one has no flag, which others could see."""

    read: Callable[[str], Any]
    help: str
    secret: bool = False


OPTIONS = {
    "uri": Option(read_text, "URI to fetch when no argument gives one"),
    "root": Option(Path, "model root to publish below (default /mnt/models)"),
    "digest": Option(read_pin, "sha256:HEX of the bundle's manifest.json, which pins all of it"),
    "sha256": Option(read_pin, "HEX of a bare model file"),
    "name": Option(read_text, "name of a bare file (default: its stem)"),
    "version": Option(
        read_text, "version of a bare file (default 1), or which of a directory of versions (default: highest)"
    ),
    "require_pinned": Option(read_switch, "refuse what neither --digest nor --sha256 pins"),
    "in_place": Option(
        read_switch, "verify the model at a path (default: the root) where it lies: nothing is copied, nothing written"
    ),
    "force": Option(read_switch, "replace other content under the same name and version"),
    "allow_patterns": Option(
        read_patterns, "take only files of a folder without a manifest that match one, such as *.onnx,config/*"
    ),
    "ignore_patterns": Option(read_patterns, "leave out files of a folder without a manifest that match one"),
    "auth": Option(
        read_auth,
        "who asks: auto (whom the environment names, or nobody where that one is refused), credentials (never nobody), "
        "anonymous (default auto)",
    ),
    "ca_bundle": Option(Path, "certificates of your own authorities, for every scheme, besides the usual ones"),
    "headers": Option(
        read_headers, 'JSON object of headers for http(s)://, such as {"Authorization": "Bearer ..."}', secret=True
    ),
    "cache": Option(Path, "folder that runs share, so that only the first moves a model"),
    "cache_size": Option(read_size, "most bytes in the cache, such as 50Gi; what was not used for longest goes"),
    "connections": Option(read_count, "connections at once (default 16)"),
    "connect_timeout": Option(read_seconds, "seconds to wait for a connection (default 10)"),
    "read_timeout": Option(read_seconds, "seconds to wait for more bytes, at least 1 KiB for each (default 30)"),
    "retry_budget": Option(read_seconds, "seconds without progress before giving up (default 120)"),
}


@dataclass(frozen=True)
class Job:
    """One thing to fetch, and where to; without a destination it is verified in place."""

    wanted: Wanted
    destination: Destination | None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Usage(f"{message} (model-fetch --help shows what there is)")


def read_settings(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[Settings, list[Job]]:
    """Turn arguments and environment into settings and jobs.

    Raises:
        Usage: an unknown name, a bad value, or arguments that make no sense together.
    """
    given = vars(_parser("URI, or SRC DST [SRC DST ...]", DESCRIPTION).parse_intermixed_args(argv))
    places: list[str] = given.pop("places", [])
    settings = _settings(given, environ)
    if settings.in_place:
        return settings, [_in_place(settings, places)]
    if len(places) < 2:
        return settings, [_publishing(settings, places)]
    if "root" in given:
        raise Usage("--root takes one URI; SRC DST [SRC DST ...] names the folders to fill itself")
    return settings, _filling(settings, places)


def read_listing(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[Settings, str, bool]:
    """Turn the arguments after `versions`, and the environment, into settings, the URI, and whether to print JSON.

    Raises:
        Usage: as `read_settings` does.
    """
    parser = _parser("URI", "list the versions of a model behind a URI")
    parser.add_argument("--json", action="store_true", help="as a JSON list")
    given = vars(parser.parse_intermixed_args(argv))
    places: list[str] = given.pop("places", [])
    as_json = bool(given.pop("json", False))
    settings = _settings(given, environ)
    uri = places[0] if places else settings.uri
    if uri is None or len(places) > 1:
        raise Usage("versions takes one URI")
    return settings, uri, as_json


def _settings(given: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    flags = {name: _read(name, value, _flag(name)) for name, value in given.items()}
    return Settings(**(_from_environment(environ) | flags))


def _publishing(settings: Settings, places: list[str]) -> Job:
    uri = places[0] if places else settings.uri
    if not uri:
        raise Usage(f"nothing to fetch: give a URI, SRC DST, or set {PREFIX}URI")
    # A pod states what it wants to have; a person who types a URI may not know what is there.
    replace = settings.force or not places
    return Job(_wanted(settings, uri), ModelRoot(settings.root, replace=replace))


def _in_place(settings: Settings, places: list[str]) -> Job:
    if len(places) > 1:
        raise Usage("--in-place takes one path: what lies there is verified and stays")
    if settings.allow_patterns or settings.ignore_patterns:
        raise Usage("--in-place verifies all of a model: patterns are for folders that are fetched")
    return Job(_wanted(settings, places[0] if places else settings.uri or str(settings.root)), None)


def _filling(settings: Settings, places: list[str]) -> list[Job]:
    sources, folders = places[::2], places[1::2]
    if len(sources) != len(folders):
        raise Usage(f"{sources[-1]} has no DST: arguments come in pairs, SRC DST [SRC DST ...]")
    if len({Path(folder).absolute() for folder in folders}) != len(folders):
        raise Usage("one DST is named twice: each SRC needs a folder of its own")
    if len(sources) > 1 and any((settings.digest, settings.sha256, settings.name, settings.version)):
        raise Usage("a digest, sha256, name or version can belong to one SRC only: fetch them one by one")
    pairs = zip(sources, folders, strict=True)
    return [Job(_wanted(settings, source), Folder(Path(folder))) for source, folder in pairs]


def _wanted(settings: Settings, uri: str) -> Wanted:
    if settings.digest and settings.sha256:
        raise Usage("give --digest for a bundle or --sha256 for a bare file, not both")
    patterns = Patterns(settings.allow_patterns, settings.ignore_patterns)
    return Wanted(uri, settings.digest, settings.sha256, settings.name, settings.version, patterns)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _parser(places: str, description: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="model-fetch",
        description=description,
        epilog=EPILOG,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("places", nargs="*", metavar="URI", help=places)
    for name, option in OPTIONS.items():
        if option.read is read_switch:
            parser.add_argument(_flag(name), help=option.help, action="store_const", const="true")
        elif name != "uri" and not option.secret:
            parser.add_argument(_flag(name), help=option.help, metavar=name.split("_")[-1].upper())
    return parser


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    known = [PREFIX + name.upper() for name in OPTIONS]
    values = {name: _read(name, environ[other], other) for name, other in FOREIGN.items() if environ.get(other)}
    for variable in sorted(name for name in environ if name.startswith(PREFIX) and name != TERMINATION_PATH):
        if variable not in known:
            near = difflib.get_close_matches(variable.upper(), known, 1, 0.0)
            raise Usage(f"{variable} is not a setting; the nearest is {near[0]}")
        if environ[variable]:
            name = variable.removeprefix(PREFIX).lower()
            values[name] = _read(name, environ[variable], variable)
    return values


def _read(name: str, text: str, origin: str) -> Any:
    try:
        return OPTIONS[name].read(text)
    except ValueError as error:
        hidden = OPTIONS[name].secret or isinstance(error.__cause__, DigestMismatch)
        shown = "" if hidden else f", got {text[:80]!r}"
        raise Usage(f"{origin}: {error}{shown}") from None
