"""KServe's model server with an estimator from joblib, shaped as its own scikit-learn server.

`sklearnserver` itself is not on PyPI; this is its `predict` with PREDICT_PROBA=true, on the `kserve` package that is.
"""

import os

import joblib
from kserve import Model, ModelServer
from kserve.utils.utils import get_predict_input, get_predict_response


class SklearnModel(Model):
    def __init__(self, name):
        super().__init__(name)
        self.load()

    def load(self):
        self.model = joblib.load(os.environ["MODEL"])
        self.ready = True
        return self.ready

    def predict(self, payload, headers=None, response_headers=None):
        return get_predict_response(payload, self.model.predict_proba(get_predict_input(payload)), self.name)


if __name__ == "__main__":
    ModelServer().start([SklearnModel("model")])
