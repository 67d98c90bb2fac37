"""What each release has left in `tests/releases/`: a root of models and a file of settings."""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "releases"
RELEASES = sorted(
    (path for path in FOLDER.iterdir() if path.is_dir()), key=lambda path: [int(part) for part in path.name.split(".")]
)
"""Oldest first."""
