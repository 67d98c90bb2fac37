"""The service's settings, and whether what they name is there."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from modelport.cli.checks.finding import Context, Finding


def configuration(context: Context) -> Iterator[Finding]:
    """Would the service accept its settings, and which files do they come from?"""
    if context.settings_error is not None:
        yield Finding("fail", "settings", context.settings_error, "correct it; `modelport settings` shows the rest")
        return
    changed = [setting for setting in context.settings.values() if setting.origin != "default"]
    origins = ", ".join(sorted({setting.origin for setting in changed}))
    yield Finding("ok", "settings", f"{len(changed)} set by {origins}" if changed else "valid; all are defaults")
    for path in (Path(context.settings["MODELPORT_CONFIG_FILE"].value), Path(".env")):
        yield Finding("ok", str(path), "found" if path.is_file() else "not there (optional)")


def port(context: Context) -> Iterator[Finding]:
    """Is the service's port free?"""
    if context.settings_error is not None:
        return
    host, number = (context.settings[f"MODELPORT_API_{name}"].value for name in ("HOST", "PORT"))
    try:
        with socket.create_server((host, int(number)), reuse_port=False):
            yield Finding("ok", "port", f"{host}:{number} is free")
    except OSError as error:
        advice = "stop what listens there, or choose another: MODELPORT_API_PORT or `modelport serve --port`"
        yield Finding("fail", "port", f"{host}:{number}: {error.strerror}", advice)


def model_root(context: Context) -> Iterator[Finding]:
    """Is there a folder to serve from?"""
    if context.settings_error is not None:
        return
    setting = context.settings["MODELPORT_MODEL_ROOT"]
    root = Path(setting.value)
    if os.access(root, os.R_OK | os.X_OK) and root.is_dir():
        yield Finding("ok", "model root", f"{root} is readable")
        return
    found = f"{root} {'is not a readable folder' if root.exists() else 'does not exist'}"
    advice = "set MODELPORT_MODEL_ROOT, or name the model: `modelport serve PATH`"
    yield Finding("warn" if setting.origin == "default" else "fail", "model root", found, advice)
