"""What a worker does before its first request: it answers some of nobody, which nobody can see."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from support.batching import samples
from support.bundles import Packed

from model_service.api.rehearsal import TIMES, rehearse
from model_service.app import create_app, load_model
from model_service.protocol import Guard, GuardedProtocol
from model_service.settings import Settings
from model_service.telemetry.logs import LineLog

CONNECT = partial(GuardedProtocol, guard=Guard(65536, 10, lambda _: None))


def loaded(packed: Packed, **settings: Any) -> FastAPI:
    app = create_app(Settings(model_root=packed.root, **settings))
    load_model(app)
    return app


def calls_of(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each call of the model from now on."""
    runtime = type(app.state.registry.default.loaded.runtime)
    calls: list[int] = []
    predict = runtime.predict
    monkeypatch.setattr(runtime, "predict", lambda self, rows: calls.append(len(rows)) or predict(self, rows))
    return calls


def counted(app: FastAPI) -> dict[Any, float]:
    """What is not zero in a scrape, but gauges and the scrape itself."""
    with TestClient(app) as client:
        found = samples(client.get("/metrics").text)
    return {key: value for key, value in found.items() if value and key[0].endswith(("_count", "_total", "_sum"))}


def test_requests_of_nobody_are_answered_and_not_counted(iris_bundle: Packed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_service.api.rehearsal.SECONDS", 60)
    app = loaded(iris_bundle)
    before = counted(app)
    calls = calls_of(app, monkeypatch)
    lines: list[Any] = []
    monkeypatch.setattr(logging.getLogger(), "level", logging.INFO)
    monkeypatch.setattr(LineLog, "write", lambda _, facts: lines.append(facts))
    asyncio.run(rehearse(app.state.express, CONNECT))
    assert calls == [1] * TIMES
    assert lines == []
    assert counted(app) == before


def test_a_bundle_without_rows_is_not_rehearsed(
    write_bundle: Callable[..., Packed], iris: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = loaded(write_bundle({"joblib": iris}), allow_pickle=True)
    calls = calls_of(app, monkeypatch)
    asyncio.run(rehearse(app.state.express, CONNECT))
    assert calls == []


def test_what_goes_wrong_is_left_to_real_requests(iris_bundle: Packed, monkeypatch: pytest.MonkeyPatch) -> None:
    app = loaded(iris_bundle)

    def fail(*_: Any) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr(type(app.state.registry.default.loaded.runtime), "predict", fail)
    asyncio.run(rehearse(app.state.express, CONNECT))
    assert app.state.registry.default is not None


def test_without_an_express_way_there_is_nothing_to_rehearse() -> None:
    asyncio.run(rehearse(None, CONNECT))
