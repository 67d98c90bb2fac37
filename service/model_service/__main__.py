"""`start-server`: settings in, a running service out."""

import argparse
import json
import signal
import sys
from typing import Any

from model_service import tls
from model_service.access.gate import Gate
from model_service.admin.check import check as check_admin
from model_service.errors import SettingsInvalid
from model_service.limits.check import check as check_limits
from model_service.settings import Settings, effective, load_settings
from model_service.threads import limit_threads

EPILOG = """\
Everything is a setting: MODELPORT_<NAME> in the environment or .env, or <name>: value in config.yaml.
`start-server --show-settings` prints each with its value and where it came from.

example:
  MODELPORT_MODEL_ROOT=./models start-server --port 8080 --workers 2
"""


def main() -> None:
    """Start the service, or show its settings; exit code 2 for a bad setting, 3 for a model that cannot be served."""
    arguments = _parser().parse_args()
    flags = {
        "api_host": arguments.host,
        "api_port": arguments.port,
        "workers": arguments.workers,
        "debug": arguments.debug or None,
    }
    try:
        settings, origins = load_settings(flags)
        tls.check(settings)
        check_admin(settings)
        if settings.access.on:
            Gate(settings.access)  # so that a bad file is told at the start and not by every worker
        if not arguments.show_settings:
            check_limits(settings.limits)
    except SettingsInvalid as error:
        print(f"start-server: {error}", file=sys.stderr)  # noqa: T201 - logging is not set up yet
        sys.exit(2)
    if arguments.show_settings:
        _show(settings, origins, arguments.json)
        return
    limit_threads(settings.workers)
    from model_service.server import serve  # noqa: PLC0415 - a bad setting is told at once, without loading the server

    serve(settings)


def _show(settings: Settings, origins: dict[str, str], as_json: bool) -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends us without a word
    rows = effective(settings, origins)
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    widths = [max(len(row[key]) for row in rows) for key in ("setting", "value")]
    for row in rows:
        sys.stdout.write(f"{row['setting']:<{widths[0]}}  {row['value']:<{widths[1]}}  {row['origin']}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="start-server",
        description="Serve the model in MODELPORT_MODEL_ROOT over HTTP.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options: list[tuple[str, dict[str, Any]]] = [
        ("--host", {"help": "address to listen on (MODELPORT_API_HOST)"}),
        ("--port", {"type": int, "help": "port to listen on (MODELPORT_API_PORT)"}),
        ("--workers", {"type": int, "help": "worker processes (MODELPORT_WORKERS)"}),
        (
            "--debug",
            {"action": "store_true", "help": "one worker that reloads when the code changes (MODELPORT_DEBUG)"},
        ),
        (
            "--show-settings",
            {"action": "store_true", "help": "print the effective settings and their origins, and stop"},
        ),
        ("--json", {"action": "store_true", "help": "with --show-settings: as JSON"}),
    ]
    for name, keywords in options:
        parser.add_argument(name, **keywords)
    return parser


if __name__ == "__main__":
    main()
