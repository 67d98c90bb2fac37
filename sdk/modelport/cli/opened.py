"""A bundle to work on, from a bundle directory or from a bare model file, which the fetcher makes one of."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelport.cli.children import capture, last_line
from modelport.cli.fetch import fetch_arguments
from modelport.cli.group import Failure
from modelport.cli.places import fetched_place


@contextmanager
def bundle_directory(path: Path, name: str | None = None, version: str | None = None) -> Iterator[Path]:
    """Give the directory of a bundle; for a bare file a temporary one.

    Args:
        path: a bundle directory, or a model file.
        name: of a bare file; its stem when null.
        version: of a bare file; `1` when null.

    Raises:
        Failure: the file is no model.
    """
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="modelport-") as folder:
        done = capture("model_fetcher", fetch_arguments(str(path), folder, {"name": name, "version": version}))
        if done.returncode:
            raise Failure(last_line(done.stderr), done.returncode)
        place = fetched_place(done.stdout)
        yield place.root / str(place.name) / str(place.version)
