import json
import socket
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from modelport import ApiError, BatchResult, Client, ClientError, Prediction, ServiceUnreachable


@pytest.fixture
def client(server):
    with Client(server.url) as client:
        yield client


def test_predict_is_typed(server, client):
    server.says((200, server.answer(1, something_new=True)))
    prediction = client.predict({"age": 35})
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert prediction == Prediction(1, "1", 0.75, {"0": 0.25, "1": 0.75}, "churn", "3", "0b2d", when)
    [asked] = server.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/predict", {"features": {"age": 35}})
    assert asked.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("choice", "path"),
    [
        ({}, "/predict{}"),
        ({"version": "2"}, "/predict{}?version=2"),
        ({"model": "churn"}, "/models/churn/predict{}"),
        ({"model": "churn", "version": "2"}, "/models/churn/versions/2/predict{}"),
        ({"model": "a/../b", "version": "1?x"}, "/models/a%2F..%2Fb/versions/1%3Fx/predict{}"),
    ],
)
def test_model_and_version_choose_the_path(server, client, choice, path):
    server.says((200, server.answer()), server.echo)
    client.predict([1], **choice)
    client.predict_batch([[1]], **choice)
    assert [asked.path for asked in server.asked] == [path.format(""), path.format("/batch")]


def test_a_path_prefix_is_kept(server):
    server.says((200, server.answer()))
    with Client(f"{server.url}/team/churn/") as client:
        client.predict([1])
    assert server.asked[0].path == "/team/churn/predict"


def test_token_and_deadline_are_sent_and_the_token_is_not_shown(server):
    server.says((200, server.answer()))
    with Client(server.url, timeout=62.5, token="s3cret") as client:
        client.predict([1])
        assert repr(client) == f"Client('{server.url}')"
    headers = server.asked[0].headers
    assert (headers["authorization"], headers["x-request-timeout-ms"]) == ("Bearer s3cret", "62500")


def test_long_batches_are_cut_and_keep_their_order(server, client):
    server.says(server.echo)
    result = client.predict_batch(pd.DataFrame({"n": range(250)}))
    assert isinstance(result, BatchResult)
    assert [answer.prediction for answer in result] == list(range(250))
    assert (len(result), result.batch_size, result[249].prediction) == (250, 250, 249)
    assert result.processing_time == pytest.approx(1.5)
    assert [len(asked.body["requests"]) for asked in server.asked] == [100, 100, 50]


def test_batch_size_is_the_callers(server, client):
    server.says(server.echo)
    client.predict_batch(np.zeros((5, 2)), batch_size=2)
    assert [len(asked.body["requests"]) for asked in server.asked] == [2, 2, 1]
    with pytest.raises(ValueError, match="batch_size is 0"):
        client.predict_batch([[1]], batch_size=0)


def test_no_rows_need_no_request(server, client):
    assert client.predict_batch([]) == BatchResult((), 0, 0)
    assert server.asked == []


def test_errors_list_their_problems(server, client):
    detail = [
        {"field": "age", "row": 0, "expected": "a whole number", "got": '"x"'},
        {"field": None, "row": 0, "expected": "an array of 2 values", "got": "nothing"},
        {"field": None, "row": None, "expected": "a body", "got": "none"},
    ]
    server.says((422, {"error": "invalid_input", "message": "1 row is not valid", "detail": detail}))
    with pytest.raises(ApiError) as caught:
        client.predict([1])
    error = caught.value
    assert (error.status, error.code, error.message) == (422, "invalid_input", "1 row is not valid")
    assert error.detail == tuple(detail)
    assert str(error) == (
        "1 row is not valid (invalid_input, HTTP 422)\n"
        '  row 0, field age: expected a whole number, got "x"\n'
        "  row 0: expected an array of 2 values, got nothing\n"
        "  request: expected a body, got none"
    )
    assert len(server.asked) == 1


def test_many_problems_are_cut_when_shown(server, client):
    detail = [{"field": "age", "row": row, "expected": "x", "got": "y"} for row in range(12)]
    server.says((422, {"error": "invalid_input", "message": "bad", "detail": detail}))
    with pytest.raises(ApiError, match=r"(?s)row 9, .*and 2 more, see \.detail") as caught:
        client.predict([1])
    assert len(caught.value.detail) == 12


def test_rows_of_a_later_part_are_numbered_over_the_whole(server, client):
    detail = [{"field": "n", "row": 3, "expected": "x", "got": "y"}, {"field": None, "row": None}]
    server.says(server.echo, (422, {"error": "invalid_input", "message": "bad", "detail": detail}))
    with pytest.raises(ApiError) as caught:
        client.predict_batch([[0]] * 150)
    assert [problem["row"] for problem in caught.value.detail] == [103, None]


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", {"detail": "Not Found"}, {"detail": ["x"]}, [], None])
def test_errors_of_others_are_told_too(server, client, body):
    server.says((502, body))
    with pytest.raises(ApiError, match=r"/predict answered HTTP 502 \(http_502, HTTP 502\)"):
        client.predict([1])


def test_a_redirect_is_not_followed_with_the_token(server):
    server.says((302, {}, {"Location": "http://127.0.0.1:1/elsewhere"}))
    with Client(server.url, token="s3cret") as client, pytest.raises(ApiError, match="HTTP 302"):
        client.predict([1])
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(server, client, slept, status):
    busy = (status, {"error": "busy", "message": "later"}, {"Retry-After": "7"})
    server.says(busy, busy, (200, server.answer(4)))
    assert client.predict([1]).prediction == 4
    assert slept == [7, 7]
    assert [asked.body for asked in server.asked] == [{"features": [1]}] * 3


def test_a_very_long_retry_after_does_not_hold_the_caller(server, client, slept):
    server.says((503, {}, {"Retry-After": "86400"}), (200, server.answer()))
    client.predict([1])
    assert slept == [30]


def test_without_retry_after_pauses_grow(server, client, slept):
    server.says((503, {}))
    with pytest.raises(ApiError, match="HTTP 503"):
        client.predict([1])
    assert len(server.asked) == 4
    assert slept == sorted(slept)
    assert 0.4 <= slept[0] < slept[-1] <= 1.0


@pytest.mark.parametrize("status", [400, 404, 422, 500, 504])
def test_other_errors_are_not_tried_again(server, client, status):
    server.says((status, {"error": "no", "message": "no"}))
    with pytest.raises(ApiError):
        client.predict([1])
    assert len(server.asked) == 1


def test_a_dropped_connection_is_tried_again(server, client):
    server.says(None, (200, server.answer(4)))
    assert client.predict([1]).prediction == 4
    assert len(server.asked) == 2


def test_no_retries_means_one_attempt(server):
    server.says((503, {}, {"Retry-After": "1"}))
    with Client(server.url, retries=0) as client, pytest.raises(ApiError):
        client.predict([1])
    assert len(server.asked) == 1


def test_nobody_there(slept, free_port):
    port = free_port()
    with (
        Client(f"http://127.0.0.1:{port}") as client,
        pytest.raises(ServiceUnreachable, match=r"(?i)refused") as caught,
    ):
        client.predict([1])
    assert isinstance(caught.value, ClientError)
    assert str(port) in str(caught.value)
    assert slept


def test_a_silent_service_times_out():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        told = r"timed out.*timeout=0[.)]"  # the client's own deadline, less what connecting took of it
        with Client(url, timeout=0.05, retries=1) as client, pytest.raises(ServiceUnreachable, match=told):
            client.predict([1])


@pytest.mark.parametrize("body", [{}, [], b"hello", {"prediction": 1}])
def test_an_answer_of_another_service(server, client, body):
    server.says((200, body))
    with pytest.raises(ServiceUnreachable, match="not one of a Modelport service"):
        client.predict([1])


def test_a_batch_with_a_row_lost_is_refused(server, client):
    server.says((200, {"predictions": [server.answer()], "batch_size": 1, "processing_time": 0.1}))
    with pytest.raises(ServiceUnreachable, match="answered 1 rows to 2"):
        client.predict_batch([[1], [2]])


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://x", "http://", "", "file:///tmp", "http://x?y=1", "http://x#y"]
)
def test_urls_are_checked_at_once(url):
    with pytest.raises(ValueError, match="must look like http://localhost:8000"):
        Client(url)


def health(status, loaded, reason=None):
    model = {"name": "churn", "version": "3", "digest": None, "state": status, "reason": reason}
    return {"status": status, "model_loaded": loaded, "models": [model]}


def test_health_that_is_not_ready_is_an_answer(server, client):
    server.says((503, health("failed", False, "the pickle is not trusted"), {"Retry-After": "1"}))
    result = client.health()
    assert (result.ready, result.status, result.model_loaded) == (False, "failed", False)
    assert result.models[0].name == "churn"
    assert str(result) == "failed (churn: the pickle is not trusted)"
    assert len(server.asked) == 1


def test_wait_until_ready(server, client, slept):
    server.says(None, (503, health("loading", False)), (200, health("ok", True)))
    assert str(client.wait_until_ready(30)) == "ok"
    assert slept == [0.2, 0.2]


def test_wait_until_ready_gives_up_and_says_what_was_last(server, client, monkeypatch):
    server.says((503, health("failed", False, "wrong answers")))
    slept = []  # the only thing that moves the clock
    monkeypatch.setattr("modelport.client.time", SimpleNamespace(sleep=slept.append, monotonic=lambda: sum(slept)))
    with pytest.raises(TimeoutError, match=r"not ready within 9 s; last: failed \(churn: wrong answers\)"):
        client.wait_until_ready(9)
    assert 8 < sum(slept) <= 9


def test_bodies_are_strict_json(server, client):
    server.says((200, server.answer()))
    client.predict([float("nan"), np.float64("nan"), None])
    assert json.dumps(server.asked[0].body) == '{"features": [null, null, null]}'
