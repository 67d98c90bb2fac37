"""The application that tutorials end with: FastAPI, a pydantic model of the request, a joblib file, `predict_proba`."""

import os

import joblib
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL"])


class Rows(BaseModel):
    features: list[list[float]]


@app.post("/predict")
def predict(rows: Rows):
    return {"probabilities": model.predict_proba(np.array(rows.features)).tolist()}
