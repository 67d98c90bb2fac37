"""Pack the model that k8s/first-model ships, so that a cluster has one to serve without a bucket or cloud account.

Iris, as ONNX alone: nothing needs to be trusted to load it. The same versions of the libraries give the same bytes.
"""

import os
import shutil
import tempfile
from pathlib import Path

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import modelport

TARGET = Path(__file__).parent.parent / "k8s" / "first-model" / "iris"


def main() -> None:
    """Write the bundle and print its digest, which k8s/ and skaffold.yaml pin."""
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")
    iris = load_iris(as_frame=True)
    features = iris.data.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_"))
    model = LogisticRegression(max_iter=1000).fit(features, iris.target)
    with tempfile.TemporaryDirectory() as folder:
        packed = modelport.pack(
            model, features, name="iris", destination=folder, labels=list(iris.target_names), formats=["onnx"]
        )
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(packed.path, TARGET)
    print(packed.digest)


if __name__ == "__main__":
    main()
