"""What a client sees of limits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.access import key_entry, user_entry
from support.batching import samples

Serve = Callable[..., TestClient]
ROW = {"features": [0.0]}


def predict(client: TestClient, path: str = "/predict", **options: Any) -> Any:
    return client.post(path, json=ROW, **options)


def statuses(client: TestClient, times: int, path: str = "/predict") -> list[int]:
    return [predict(client, path).status_code for _ in range(times)]


def test_without_rules_nothing_is_limited_nor_said(serve: Serve) -> None:
    answer = predict(serve())
    assert answer.status_code == 200
    assert not {"ratelimit", "ratelimit-policy"} & set(answer.headers)


def test_every_answer_says_what_is_left(serve: Serve) -> None:
    client = serve({"per": "address", "rate": "3/hour"})
    answers = [predict(client) for _ in range(3)] + [client.get("/no-such-path")]
    assert [answer.headers["ratelimit-policy"] for answer in answers] == ['"address";q=3;w=3600'] * 4
    assert [answer.headers["ratelimit"].rpartition(";")[0] for answer in answers] == [
        '"address";r=2', '"address";r=1', '"address";r=0', '"address";r=0',
    ]  # fmt: skip


def test_one_too_many_is_refused_with_the_time_to_wait(serve: Serve) -> None:
    client = serve({"per": "address", "rate": "2/hour"})
    assert statuses(client, 2) == [200, 200]
    refused = predict(client)
    body = refused.json()
    assert refused.status_code == 429
    assert 1500 <= int(refused.headers["retry-after"]) <= 1800
    assert refused.headers["ratelimit"] == f'"address";r=0;t={refused.headers["retry-after"]}'
    assert body == {
        "error": "rate_limited",
        "message": "the limit of 2/hour per address is used up; try again in "
        f"{refused.headers['retry-after']} s",
        "detail": [],
    }  # fmt: skip
    assert refused.headers["x-request-id"]


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/predict", "/predict"),
        ("/predict?version=1", "/predict"),
        ("/models/fraud/predict/batch", "/models/{name}/predict/batch"),
        ("/models/fraud/versions/1/predict", "/models/{name}/versions/{version}/predict"),
        ("/no-such-path", "unmatched"),
    ],
)
def test_refusals_are_counted_with_the_template_of_their_path(serve: Serve, path: str, template: str) -> None:
    client = serve({"per": "address", "rate": "1/day"})
    assert statuses(client, 3, path)[1:] == [429, 429]
    counted = samples(client.get("/metrics").text)
    assert counted["http_server_request_duration_seconds_count", ("POST", template, "429")] == 2


def test_probes_and_scrapes_are_free(serve: Serve) -> None:
    client = serve({"per": "address", "rate": "1/day"})
    for path in ("/health", "/health/live", "/metrics") * 3:
        answer = client.get(path)
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers
    assert statuses(client, 2) == [200, 429]


def test_a_limit_for_each_model_counts_named_and_default_requests_together(serve: Serve) -> None:
    client = serve({"per": "model", "rate": "2/day"})
    assert predict(client).status_code == 200
    assert statuses(client, 2, "/models/churn/versions/1/predict") == [200, 429]
    assert statuses(client, 3, "/models/fraud/predict") == [200, 200, 429]


def test_a_limit_for_one_model_leaves_others_alone(serve: Serve) -> None:
    client = serve({"per": "address", "rate": "1/day", "model": "fraud"})
    assert statuses(client, 3) == [200, 200, 200]
    assert statuses(client, 2, "/models/fraud/predict") == [200, 429]
    assert "per address for model fraud" in predict(client, "/models/fraud/predict").json()["message"]


def test_two_limits_are_told_of_and_the_stricter_one_decides(serve: Serve) -> None:
    client = serve({"per": "address", "rate": "5/day"}, {"per": "model", "rate": "1/hour", "burst": 2})
    first = predict(client)
    assert first.headers["ratelimit-policy"] == '"address";q=5;w=86400, "model";q=1;w=3600'
    assert first.headers["ratelimit"] == '"address";r=4;t=17280, "model";r=1;t=3600'
    assert statuses(client, 2) == [200, 429]
    refused = predict(client)
    assert 3300 <= int(refused.headers["retry-after"]) <= 3600
    assert '"address";r=3;t=' in refused.headers["ratelimit"]


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [("192.0.2.1", "192.0.2.2", False), ("2001:db8::1", "2001:db8::ffff:2", True), ("no:address", "no:address", True),
     ("2001:db8::1", "2001:db8:0:1::1", False)],
)  # fmt: skip
def test_addresses_of_one_ipv6_site_share_a_limit(serve: Serve, first: str, second: str, together: bool) -> None:
    client = serve({"per": "address", "rate": "1/day"}, client=(first, 1))
    other = TestClient(client.app, client=(second, 2))
    assert statuses(client, 1) == [200]
    assert statuses(other, 1) == [429 if together else 200]


@pytest.fixture
def access(tmp_path: Path) -> dict[str, Any]:
    """Settings that let two keys and a user in, one of each called the same."""
    (tmp_path / "keys").write_text(
        json.dumps([key_entry(name, f"key of {name}", roles=["predict"]) for name in ("ann", "bob")])
    )
    (tmp_path / "users").write_text(json.dumps([user_entry("ann", "password", roles=["predict"])]))
    return {"keys_file": tmp_path / "keys", "users_file": tmp_path / "users", "basic": True}


def test_each_api_key_has_a_limit_of_its_own(serve: Serve, access: Any) -> None:
    client = serve({"per": "key", "rate": "2/day"}, access=access)
    for name in ("ann", "bob"):
        shown = {"x-api-key": f"key of {name}"}
        assert [predict(client, headers=shown).status_code for _ in range(3)] == [200, 200, 429]
    assert [predict(client, auth=("ann", "password")).status_code for _ in range(3)] == [200] * 3
    assert [predict(client).status_code for _ in range(3)] == [401] * 3


def test_each_subject_has_a_limit_of_its_own_however_it_came_in(serve: Serve, access: Any) -> None:
    client = serve({"per": "subject", "rate": "2/day"}, access=access)
    for shown in ({"headers": {"x-api-key": "key of ann"}}, {"auth": ("ann", "password")}):
        assert [predict(client, **shown).status_code for _ in range(3)] == [200, 200, 429]


def test_callers_without_an_address_are_not_held_against_such_limits(serve: Serve) -> None:
    assert statuses(serve({"per": "address", "rate": "1/day"}, client=None), 3) == [200, 200, 200]
    assert statuses(serve({"per": "address", "rate": "1/day"}, client=("testclient", 1)), 2) == [200, 429]


def test_refusals_are_counted_by_limit(serve: Serve) -> None:
    client = serve({"per": "address", "rate": "1/day", "name": "trial"})
    statuses(client, 4)
    counted = samples(client.get("/metrics").text)
    assert counted["rate_limited_requests_total", ("trial",)] == 3


def test_a_page_of_another_origin_may_read_the_fields(serve: Serve) -> None:
    client = serve({"per": "address", "rate": "1/day"}, cors_allow_origins=("*",))
    answer = predict(client, headers={"origin": "https://app.example"})
    assert {"RateLimit", "RateLimit-Policy"} <= set(answer.headers["access-control-expose-headers"].split(", "))
