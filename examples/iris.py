"""Pack an estimator of your own: fit, pack, serve what was printed.

Run from the root of the repository: .venv/bin/python examples/iris.py [DESTINATION]
"""

import sys

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import modelport

iris = load_iris(as_frame=True)
estimator = LogisticRegression(max_iter=1000).fit(iris.data, iris.target)
packed = modelport.pack(
    estimator,
    iris.data,
    name="iris",
    destination=sys.argv[1] if len(sys.argv) > 1 else "models",
    labels=list(iris.target_names),
)
print(packed)
