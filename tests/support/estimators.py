"""Estimators that misbehave as they are told to by their input: bundles of tests unpickle them from here."""

import os
import threading
import time
from typing import Any

import numpy as np
from opentelemetry import trace
from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_info

PATIENCE = 30.0


class Held(BaseEstimator):
    """Does not answer while it is held; a row whose first value is negative is too much for it."""

    free = threading.Event()
    entered = threading.Semaphore(0)

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        self.entered.release()
        assert self.free.wait(PATIENCE)
        values = np.asarray(X)[:, 0]
        if (values < 0).any():
            raise ValueError("canary: it cannot bear negative numbers")
        return values * 2

    @classmethod
    def hold(cls) -> None:
        """Let calls begin and not end."""
        cls.free.clear()
        while cls.entered.acquire(blocking=False):
            """Forget the calls of before."""

    @classmethod
    def wait_entered(cls) -> None:
        """Return when one more call has begun."""
        assert cls.entered.acquire(timeout=PATIENCE)


class Slow(BaseEstimator):
    """Takes as many seconds as the first value of its slowest row says, and makes a span of its own meanwhile."""

    n_features_in_ = 1

    def predict(self, X: Any) -> Any:  # noqa: N803
        with trace.get_tracer("of the user").start_as_current_span("inside the model"):
            values = np.asarray(X)[:, 0]
            time.sleep(float(values.max()))
            return values


class Heavy(Slow):
    """As much memory as it is asked to take."""

    def __init__(self, megabytes: int = 1) -> None:
        self.megabytes = megabytes
        self.weights_ = np.random.default_rng(0).random(megabytes << 17)

    def predict(self, X: Any) -> Any:  # noqa: N803
        return np.asarray(X)[:, 0] * self.weights_.sum()


class Threads(Slow):
    """Answers how many threads the numeric libraries of its process start at most."""

    def predict(self, X: Any) -> Any:  # noqa: N803
        return np.full(len(X), max(pool["num_threads"] for pool in threadpool_info()))


class Says(Slow):
    """Answers a number of its own to rows that are not negative, and fails for the others."""

    def __init__(self, number: float = 0.0) -> None:
        self.number = number

    def predict(self, X: Any) -> Any:  # noqa: N803
        values = np.asarray(X)[:, 0]
        if (values < 0).any():
            raise ValueError("it cannot bear negative numbers")
        return np.full(len(values), self.number)


class Hangs(Slow):
    """Does not come back."""

    def predict(self, X: Any) -> Any:  # noqa: N803
        threading.Event().wait()
        return np.asarray(X)[:, 0]


class Dies(Slow):
    """Ends its process where it is unpickled."""

    def __setstate__(self, state: Any) -> None:
        os._exit(1)
