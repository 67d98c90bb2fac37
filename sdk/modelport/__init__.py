"""What a data scientist imports: `pack` a fitted estimator, ask a running service through `Client`.

Importing it stays cheap: numpy, pandas and scikit-learn are only imported when something is packed.
"""

import importlib
from typing import TYPE_CHECKING, Any

from modelport.answers import ApiError, BatchResult, ClientError, Health, ModelState, Prediction, ServiceUnreachable
from modelport.client import Client

if TYPE_CHECKING:
    from modelport.packing import Packed, pack, pack_file

__all__ = [
    "ApiError",
    "BatchResult",
    "Client",
    "ClientError",
    "Health",
    "ModelState",
    "Packed",
    "Prediction",
    "ServiceUnreachable",
    "pack",
    "pack_file",
]

_LAZY = {"pack": "modelport.packing", "pack_file": "modelport.packing", "Packed": "modelport.packing"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
