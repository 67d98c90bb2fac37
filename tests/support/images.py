"""Images made for a test: a model baked into the service's own."""

from pathlib import Path

from model_artifact import __version__
from support.cluster import REPO, run


def bake(bundle: Path, place: str, tag: str) -> dict[str, str]:
    """Build the service's image with a bundle at /mnt/models/PLACE and load it; returns the chart's `image` values."""
    dockerfile = f"FROM modelport/service:{__version__}\nCOPY --chown=10001:0 . /mnt/models/{place}/\n"
    image = {"repository": "modelport/baked", "tag": tag}
    name = f"{image['repository']}:{tag}"
    run("docker", "build", "--quiet", "--file", "-", "--tag", name, str(bundle), text=dockerfile)
    run(str(REPO / "scripts" / "cluster" / "load-image.sh"), name)
    return image
