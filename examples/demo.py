"""The whole way in one program: train, pack, put into a bucket, fetch, serve with two workers, ask, compare.

Run it with `make demo` (stops at the end) or `make serve` (stays up). The bucket is a local folder; the fetcher, the
bundle and the server are the ones that run in a cluster.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelport
from modelport import ApiError, Client

HERE = Path(".demo")
BUCKET, VOLUME = HERE / "bucket", HERE / "models"
STEPS = 6


def step(number: int, sentence: str) -> None:
    print(f"\n[{number}/{STEPS}] {sentence}", flush=True)


def train() -> tuple[Any, Any, Any]:
    data = load_breast_cancer(as_frame=True)
    train_x, test_x, train_y, test_y = train_test_split(data.data, data.target, random_state=0)
    estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train_x, train_y)
    print(f"      {len(train_x)} patients, {train_x.shape[1]} features, accuracy {estimator.score(test_x, test_y):.3f}")
    return estimator, train_x, test_x


def fetch(bundle: Path, digest: str) -> None:
    uri = bundle.resolve().as_uri()
    print(f"      model-fetch --root {VOLUME} {uri} --digest {digest}", flush=True)
    command = [sys.executable, "-m", "model_fetcher", "--root", str(VOLUME), uri, "--digest", digest]
    subprocess.run(command, check=True)


@contextmanager
def served(digest: str, port: int) -> Iterator[Client]:
    environment = os.environ | {"MODELPORT_MODEL_ROOT": str(VOLUME), "MODELPORT_MODEL_DIGEST": digest}
    with (HERE / "server.log").open("w") as log:
        command = [sys.executable, "-m", "model_service", "--port", str(port), "--workers", "2"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            started = time.perf_counter()
            client = Client(f"http://127.0.0.1:{port}")
            client.wait_until_ready(timeout=60)
            print(f"      ready after {time.perf_counter() - started:.1f} s; log: {HERE}/server.log")
            yield client
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def compare(what: str, served_by: object, expected: object) -> None:
    print(f"      {what:<22} served {served_by!s:<34} estimator {expected!s}")
    if served_by != expected:
        sys.exit(f"{what}: the service and the estimator disagree")


def ask(client: Client, estimator: Any, rows: Any) -> None:
    first = rows.iloc[[0]]
    labels = ["malignant", "benign"]
    score = estimator.predict_proba(first)[0].max().round(9)
    expected = f"{labels[estimator.predict(first)[0]]} {score:.9f}"

    def said(answer: Any) -> str:
        return f"{answer.prediction_class} {answer.probability:.9f}"

    compare("one row, by position", said(client.predict(first.iloc[0].tolist())), expected)
    compare("one row, by name", said(client.predict(first.iloc[0].to_dict())), expected)
    batch = client.predict_batch(rows.iloc[:100])
    classes = [answer.prediction for answer in batch.predictions]
    agree = f"{sum(map(int.__eq__, classes, estimator.predict(rows.iloc[:100]).tolist()))} of {len(classes)} agree"
    compare("a batch of 100", agree, "100 of 100 agree")
    try:
        client.predict(first.iloc[0].to_dict() | {"mean radius": "large"})
    except ApiError as error:
        print(f"      {'a bad request':<22} {error.status} {error.message}")
    else:
        sys.exit("a bad request was answered")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stay", action="store_true", help="keep serving until Ctrl-C")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()

    step(1, "training on real data (breast cancer, from scikit-learn)")
    estimator, train_x, test_x = train()
    step(2, "packing: ONNX, parity proof, golden rows, manifest")
    packed = modelport.pack(estimator, train_x, name="cancer", destination=BUCKET, labels={0: "malignant", 1: "benign"})
    print("\n".join(f"      {line}" for line in str(packed).splitlines()))
    step(3, "fetching the bundle from the bucket into a model volume, pinned by its digest")
    fetch(packed.path, packed.digest)
    step(4, "starting the service: gunicorn with two uvicorn workers")
    with served(packed.digest, arguments.port) as client:
        step(5, "asking, beside the estimator's own answers")
        ask(client, estimator, test_x)
        if arguments.stay:
            stay(arguments.port)
    step(6, "stopped. What to try next")
    print(
        "      make serve                                    the same, and stays up: open /docs\n"
        f"      .venv/bin/modelport inspect {packed.path}    what is in the bundle\n"
        "      .venv/bin/python examples/iris.py             pack your own estimator: twenty lines"
    )


def stay(port: int) -> None:
    print(f"\nServing on http://127.0.0.1:{port} (try /docs, /health); Ctrl-C stops.", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
