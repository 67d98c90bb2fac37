"""LitServe with an estimator from joblib; requests are batched, each may have many rows."""

import os

import joblib
import litserve
import numpy as np


class Api(litserve.LitAPI):
    def setup(self, device):
        self.model = joblib.load(os.environ["MODEL"])

    def decode_request(self, request):
        return np.array(request["rows"])

    def batch(self, inputs):
        self.ends = np.cumsum([len(rows) for rows in inputs])[:-1]
        return np.concatenate(inputs)

    def predict(self, rows):
        return self.model.predict_proba(rows)

    def unbatch(self, output):
        return np.split(output, self.ends)

    def encode_response(self, output):
        return {"probabilities": output.tolist()}


if __name__ == "__main__":
    api = Api(max_batch_size=int(os.environ["BATCH_REQUESTS"]), batch_timeout=float(os.environ["BATCH_SECONDS"]))
    workers = int(os.environ["WORKERS"])
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers, fast_queue=True)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False)
