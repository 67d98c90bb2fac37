"""`pack_file`: the same from files, as the command line has them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import skops.io

from model_artifact.manifest import model_kind
from modelport.packing.errors import PackRefused
from modelport.packing.features import read_features
from modelport.packing.pack import pack
from modelport.packing.packed import Packed


def pack_file(model: Path, sample: Path, **options: Any) -> Packed:
    """Pack a model file with a sample file.

    Args:
        model: `.joblib`, `.pkl` or `.pickle`, which are unpickled, so they must be yours, or `.skops`.
        sample: `.csv` or `.parquet`, with a header; columns that the model was not fitted with are left out.
        **options: those of `pack`.

    Raises:
        PackRefused: a file cannot be read, or as for `pack`.
    """
    return pack(read_model(model), read_table(sample, options.get("features")), **options)


def read_model(path: Path) -> Any:
    """Load an estimator.

    Raises:
        PackRefused: another kind of file, or one that does not load.
    """
    kind = model_kind(path.name)
    if kind not in {"joblib", "skops"}:
        raise PackRefused(f"{path} is not a model file that can be packed; give .joblib, .pkl, .pickle or .skops")
    return _read(path, _load_skops if kind == "skops" else joblib.load)


def read_table(path: Path, features: Any = None) -> pd.DataFrame:
    """Read a sample; columns declared as text in `features` keep their leading zeros.

    Raises:
        PackRefused: another kind of file, or one that cannot be read.
    """
    declared = read_features(features).features
    texts = {name: "str" for name, spec in declared.items() if spec.dtype == "string"}
    readers: dict[str, Callable[[Path], Any]] = {
        ".csv": lambda file: pd.read_csv(file, dtype=texts),
        ".parquet": pd.read_parquet,
    }
    if path.suffix.lower() not in readers:
        raise PackRefused(f"{path} is not a sample that can be read; give .csv or .parquet")
    table = _read(path, readers[path.suffix.lower()])
    return pd.DataFrame(table)


def _load_skops(path: Path) -> Any:
    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


def _read(path: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(path)
    except Exception as error:  # a pickle or a parser may raise anything
        raise PackRefused(f"{path} cannot be read: {type(error).__name__}: {str(error)[:300]}") from error
