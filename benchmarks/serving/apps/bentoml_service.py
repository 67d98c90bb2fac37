"""BentoML with an estimator from joblib and adaptive batching."""

import os
from typing import Annotated

import bentoml
import joblib
import numpy as np
from bentoml.validators import DType


@bentoml.service(workers=int(os.environ["WORKERS"]), metrics={"enabled": True})
class Estimator:
    def __init__(self):
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(batchable=True, max_batch_size=1024, max_latency_ms=1000)
    def predict(self, rows: Annotated[np.ndarray, DType("float64")]) -> np.ndarray:
        return self.model.predict_proba(rows)
