"""One file a runtime: how a model file becomes something that answers rows.

To add one: write the file, add a line to `RUNTIMES` and a row to the shared conformance test.
"""

import importlib
import importlib.util
from pathlib import Path

from model_artifact.manifest import FormatKind
from model_artifact.signature import Signature
from model_service.errors import LoadFailed
from model_service.runtimes.base import Loader, Runtime

RUNTIMES: dict[FormatKind, tuple[str, tuple[str, ...], bool]] = {
    "onnx": ("model_service.runtimes.onnx:load", ("onnxruntime",), False),
    "skops": ("model_service.runtimes.sklearn:load_skops", ("sklearn", "skops"), False),
    "joblib": ("model_service.runtimes.sklearn:load_joblib", ("sklearn", "joblib"), True),
}
"""In order of preference: loader, packages it needs, whether loading can run code from the file."""


def load(kind: FormatKind, path: Path, signature: Signature | None, *, trusted: bool) -> Runtime:
    """Load one model file.

    Args:
        kind: its format.
        path: the file, verified by the caller.
        signature: of the model; null for a bare file, which then describes itself.
        trusted: whether policy allows code in the file to run.

    Raises:
        LoadFailed: the format may run code and is not trusted, or the file cannot be loaded.
    """
    runs_code = RUNTIMES[kind][2]
    if runs_code and not trusted:
        raise LoadFailed(
            f"{path.name} is a pickle, which can run any code when it is loaded. Pin it (MODELPORT_MODEL_DIGEST or "
            "MODELPORT_MODEL_SHA256), set MODELPORT_ALLOW_PICKLE=true if you trust whoever can write it, or pack it "
            "as ONNX"
        )
    return import_loader(kind)(path, signature, trusted)


def import_loader(kind: FormatKind) -> Loader:
    """What loads files of a kind, with the libraries that it needs."""
    module, _, function = RUNTIMES[kind][0].partition(":")
    loader: Loader = getattr(importlib.import_module(module), function)
    return loader


def missing_packages(kind: FormatKind) -> list[str]:
    """Packages of a runtime that are not installed here."""
    return [package for package in RUNTIMES[kind][1] if importlib.util.find_spec(package) is None]
