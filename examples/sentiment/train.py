"""A text pipeline from training to answers: TF-IDF and logistic regression on 120 sentences written for this example.

Run from the root of the repository: .venv/bin/python examples/sentiment/train.py [DESTINATION]
"""

import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

import modelport

QUESTIONS = ["I loved every minute of it, what a wonderful cast", "It broke on the first day, a waste of money"]

reviews = pd.read_csv(Path(__file__).with_name("reviews.csv"))
estimator = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10))
accuracy = cross_val_score(estimator, reviews["text"], reviews["label"], cv=5).mean()
print(f"{len(reviews)} sentences, accuracy {accuracy:.2f} in five-fold cross-validation")
estimator.fit(reviews["text"], reviews["label"])

packed = modelport.pack(
    estimator,
    reviews["text"],
    name="sentiment",
    destination=sys.argv[1] if len(sys.argv) > 1 else "models",
    features={"features": {"text": {"description": "One review in English"}}},
    force=True,
)
print(packed)

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
program = Path(sys.executable).with_name("modelport")
server = subprocess.Popen([program, "serve", str(packed.path), "--port", str(port)], stdout=subprocess.DEVNULL)
try:
    with modelport.Client(f"http://127.0.0.1:{port}") as client:
        client.wait_until_ready()
        for question in QUESTIONS:
            answer = client.predict({"text": question})
            print(f"{answer.prediction_class:<9} {answer.probability:.2f}  {question}")
finally:
    server.terminate()
    server.wait()
