"""A model on a claim: verified where it lies, so that a damaged one is told at once, and whole again when mended."""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from support.cluster import Bucket, Namespace, wait_for
from support.load import Load
from support.volumes import NodeVolume, node_volume

from model_artifact import __version__
from modelport import Client

INIT_IMAGE = f"modelport/init-container:{__version__}"
LIMIT = 60.0
TOUCH = """
import pathlib
path = pathlib.Path("/volume/cancer/2/model.onnx")
data = path.read_bytes()
path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
"""
BARE = """
import pathlib, shutil
pathlib.Path("/volume/plain/7").mkdir(parents=True)
shutil.copy("/volume/cancer/1/model.onnx", "/volume/plain/7")
"""


def fill(volume: NodeVolume, uri: str) -> None:
    """Fetch a version onto the volume."""
    environment = {"STORAGE_EMULATOR_HOST": os.environ["CLUSTER_FAKE_GCS_POD_URL"]}
    volume.run_as_root("python", "-m", "model_fetcher", "--root", "/volume", uri, env=environment)


def test_a_damaged_claim_is_told_and_costs_no_request(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, row: Any
) -> None:
    bundles = {version: packed(version) for version in ("1", "2")}
    with node_volume(f"damaged-{namespace.name}", namespace, INIT_IMAGE) as volume:
        for version, bundle in bundles.items():
            fill(volume, bucket.upload(bundle.path, f"damaged/{version}"))
        volume.run_as_root("python", "-c", TOUCH)

        def given(version: str) -> dict[str, Any]:
            model = {"existingClaim": volume.name, "version": version, "digest": bundles[version].digest}
            return values("") | {"model": model}

        namespace.helm("install", "damaged", given("1"), "--wait")
        load = Load(f"{namespace.url('damaged')}/predict", row)
        with load.running():
            namespace.helm("upgrade", "damaged", given("2"))
            reason = "ChecksumMismatch"
            told = wait_for(lambda: reason in namespace.messages("damaged"), f"the reason {reason}", patience=LIMIT)
            assert load.versions["2"] == 0
            volume.run_as_root("python", "-c", TOUCH)
            healed = wait_for(lambda: load.versions["2"] > 0, "version 2", patience=240)
            wait_for(lambda: len(namespace.pods("damaged")) == 1, "the end of the rollout")
        namespace.helm("uninstall", "damaged", None, "--wait")
    print(f"\nfigure: damaged claim: reason in the pod after {told:.0f} s, healed {healed:.0f} s after the repair")
    assert load.failures == {}


def test_a_bare_file_on_a_claim_is_verified_and_served(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, data: Any, estimator: Any
) -> None:
    bundle = packed("1")
    pin = sha256(Path(bundle.path, "model.onnx").read_bytes()).hexdigest()
    with node_volume(f"plain-{namespace.name}", namespace, INIT_IMAGE) as volume:
        fill(volume, bucket.upload(bundle.path, "plain/1"))
        volume.run_as_root("python", "-c", BARE)
        model = {"existingClaim": volume.name, "name": "plain", "sha256": pin}
        given = values("") | {"model": model, "config": {"require_pinned": True}}
        namespace.helm("install", "plain", given, "--wait")
        with Client(namespace.url("plain")) as client:
            answer = client.predict(data.data.iloc[0].tolist())
        assert (answer.model_name, answer.model_version) == ("plain", "7")
        assert answer.prediction == estimator.predict(data.data.iloc[:1])[0]
        namespace.helm("uninstall", "plain", None, "--wait")
