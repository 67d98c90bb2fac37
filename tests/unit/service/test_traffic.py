"""The traffic document: what one may say, who gets which version, and that nobody moves without need."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from support.bundles import Packed, onnx_bytes

from model_service.app import create_app
from model_service.errors import LoadFailed
from model_service.settings import Settings
from model_service.traffic.document import ModelTraffic, Traffic, TrafficInvalid, as_json, parse, part_of

KEYS = [f"user-{number}".encode() for number in range(100_000)]
BODY = {"features": [5.1, 3.5, 1.4, 0.2]}
MODEL = "model_request_duration_seconds_count"


def share(weights: dict[str, int], keys: list[bytes], default: str = "1", model: str = "iris") -> Counter[str]:
    parts = ModelTraffic(default, weights).parts()
    return Counter(parts[part_of(model, key)] for key in keys)


@pytest.mark.parametrize("keys", [KEYS[:10_000], KEYS], ids=["10k", "100k"])
@pytest.mark.parametrize("weights", [{"1": 90, "2": 10}, {"1": 50, "2": 50}, {"1": 34, "2": 33, "3": 33}, {"1": 100}])
def test_shares_are_within_one_percent_of_the_weights(weights: dict[str, int], keys: list[bytes]) -> None:
    found = share(weights, keys)
    assert set(found) == set(weights)
    for version, weight in weights.items():
        assert abs(found[version] / len(keys) - weight / 100) < 0.01


def test_models_share_their_keys_out_independently() -> None:
    parts = ModelTraffic("1", {"1": 50, "2": 50}).parts()
    both = Counter((parts[part_of("a", key)], parts[part_of("b", key)]) for key in KEYS[:20_000])
    assert all(abs(count / 20_000 - 0.25) < 0.015 for count in both.values())


def test_raising_a_weight_only_moves_keys_from_the_default_to_the_candidate() -> None:
    before = {key: part_of("iris", key) for key in KEYS[:10_000]}
    versions: dict[bytes, str] = dict.fromkeys(before, "1")
    for weight in (1, 5, 25, 50, 99, 100):
        parts = ModelTraffic("1", {"1": 100 - weight, "2": weight}).parts()
        now = {key: parts[part] for key, part in before.items()}
        moves = {(versions[key], now[key]) for key in before if versions[key] != now[key]}
        assert moves == {("1", "2")}
        versions = now
    assert set(versions.values()) == {"2"}


def test_the_part_of_a_key_is_the_documented_one_in_every_process() -> None:
    program = (
        "import hashlib\n"
        "for number in range(500):\n"
        "    digest = hashlib.sha256(b'iris' + bytes(1) + b'user-%d' % number).digest()\n"
        "    print(int(int.from_bytes(digest[:8], 'big') / 2**64 * 100))\n"
    )
    ours = (
        "from model_service.traffic.document import part_of\n"
        "for number in range(500):\n"
        "    print(part_of('iris', b'user-%d' % number))\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", text], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for text in (program, ours)
        for seed in ("0", "1")
    }
    assert len(told) == 1


names = st.from_regex(r"[a-z0-9]{1,3}(\.[0-9]{1,2})?", fullmatch=True)


@st.composite
def models(draw: Any) -> ModelTraffic:
    versions = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(versions) - 1, max_size=len(versions) - 1)))
    weights = [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]
    return ModelTraffic(versions[0], dict(zip(versions, weights, strict=True)))


@given(models())
def test_every_part_has_a_version_of_its_weight(model: ModelTraffic) -> None:
    parts = model.parts()
    assert len(parts) == 100
    assert Counter(parts) == {version: weight for version, weight in model.weights.items() if weight}


@st.composite
def with_two_candidates(draw: Any) -> tuple[ModelTraffic, ModelTraffic]:
    """Traffic before and after a change of one candidate's weight."""
    default, changed, other = draw(st.lists(names, min_size=3, max_size=3, unique=True))
    kept = draw(st.integers(0, 100))
    before, after = (
        ModelTraffic(default, {changed: weight, other: kept, default: 100 - kept - weight})
        for weight in draw(st.lists(st.integers(0, 100 - kept), min_size=2, max_size=2))
    )
    return before, after


@given(with_two_candidates())
def test_a_candidate_whose_weight_changes_moves_no_key_of_the_other_candidate(
    change: tuple[ModelTraffic, ModelTraffic],
) -> None:
    before, after = change
    changed = next(iter(before.weights))
    moves = {pair for pair in zip(before.parts(), after.parts(), strict=True) if pair[0] != pair[1]}
    grown = after.weights[changed] > before.weights[changed]
    assert moves <= {(before.default, changed) if grown else (changed, before.default)}


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (("1", {"1": 80, "2": 10, "3": 10}), ("1", {"1": 90, "3": 10})),  # one is taken away
        (("1", {"1": 90, "2": 10}), ("1", {"1": 80, "2": 10, "3": 10})),  # one is added
        (("1", {"1": 40, "2": 50, "3": 10}), ("2", {"2": 90, "3": 10})),  # one is promoted
        (("1", {"1": 50, "2": 50}), ("2", {"1": 50, "2": 50})),  # default and candidate change places
    ],
)
def test_candidates_come_and_go_without_moving_the_keys_of_others(first: Any, then: Any) -> None:
    before, after = ModelTraffic(*first), ModelTraffic(*then)
    moved = sum(old != new for old, new in zip(before.parts(), after.parts(), strict=True))
    assert moved == sum(max(0, after.weights[name] - before.weights.get(name, 0)) for name in after.weights)


@given(st.dictionaries(names, models(), max_size=3), st.integers(0, 2**53))
def test_what_is_written_is_read_again(found: dict[str, ModelTraffic], generation: int) -> None:
    traffic = Traffic(generation, found)
    assert parse(json.dumps(as_json(traffic)).encode()) == traffic


def test_yaml_keeps_versions_as_they_are_written() -> None:
    text = b"generation: 7\nmodels:\n  iris:\n    default: 1.10\n    weights: {1.10: 90, 2: 10}\n    sticky: null\n"
    assert parse(text) == Traffic(7, {"iris": ModelTraffic("1.10", {"1.10": 90, "2": 10})})
    assert parse(b"") == Traffic()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"generation": -1}', "generation"),
        ('{"generation": "1"}', "generation"),
        ('{"models": {"iris": {}}}', "default"),
        (
            '{"models": {"iris": {"default": "1", "weights": {"1": 99}}}}',
            "models.iris: expected weights with the sum 100",
        ),
        ('{"models": {"iris": {"default": "1", "weights": {"1": 101, "2": -1}}}}', "weights"),
        ('{"models": {"iris": {"default": "1", "weights": {"1": 50.5, "2": 49.5}}}}', "weights"),
        ('{"models": {"iris": {"default": "../1"}}}', "'../1' is no name"),
        ('{"models": {"..": {"default": "1"}}}', "'..' is no name"),
        ('{"models": {"iris": {"default": "1", "shadow": {"version": "2", "percent": 0}}}}', "percent"),
        ('{"models": {"iris": {"default": "1", "sticky": {"header": "a b"}}}}', "header"),
        ('{"models": {"iris": {"default": "1", "unknown": 1}}}', "unknown"),
        ('{"models": ', ""),
        ("- 1", ""),
        ("[" * 5000, ""),
        ("{" + " " * 300_000 + "}", "bytes"),
    ],
)
def test_what_is_no_document_is_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(TrafficInvalid) as refused:
        parse(text.encode())
    assert said in str(refused.value)


@pytest.fixture
def versions(write_bundle: Any, iris: Any) -> Packed:
    content = onnx_bytes(iris, 4)
    packed = [write_bundle({"onnx": content}, version=str(number)) for number in (1, 2, 3)]
    write_bundle({"onnx": content}, name="other")
    return packed[2]


def document(tmp_path: Path, **models: Any) -> Path:
    file = tmp_path / "traffic.json"
    file.write_text(json.dumps({"generation": 1, "models": models}))
    return file


def asked(client: TestClient, path: str = "/predict", **headers: str) -> tuple[str, str | None]:
    response = client.post(path, json=BODY, headers=headers)
    assert response.status_code == 200, response.json()
    return response.json()["model_version"], response.headers.get("x-model-variant")


def test_requests_go_where_the_file_says_and_are_told_their_variant(
    serve: Any, versions: Packed, tmp_path: Path
) -> None:
    weights = {"default": "1", "weights": {"1": 40, "2": 60}, "sticky": {"header": "X-User"}, "pinned": ["3"]}
    client = serve(versions, model_name="iris", traffic_file=document(tmp_path, iris=weights))
    parts = ModelTraffic("1", {"1": 40, "2": 60}).parts()
    for number in range(50):
        version = parts[part_of("iris", b"%d" % number)]
        expected = version, "default" if version == "1" else "candidate"
        for path in ("/predict", "/models/iris/predict"):
            assert asked(client, path, **{"x-user": str(number)}) == expected
    for nobody in ({}, {"x-user": ""}):
        by_chance = Counter(asked(client, **nobody) for _ in range(100))
        assert by_chance.keys() == {("1", "default"), ("2", "candidate")}
    assert asked(client, "/models/iris/versions/2/predict") == ("2", "named")
    assert asked(client, "/predict?version=3", **{"x-user": "1"}) == ("3", "named")
    assert asked(client, "/models/other/predict") == ("1", "default")
    counted = client.get("/metrics").text
    for version, variant in (("1", "default"), ("2", "candidate"), ("2", "named"), ("3", "named")):
        assert f'{MODEL}{{model_name="iris",model_version="{version}",outcome="ok",variant="{variant}"}}' in counted
    ready = {(model["name"], model["version"]) for model in client.get("/health").json()["models"]}
    assert ready == {("iris", "1"), ("iris", "2"), ("iris", "3"), ("other", "1")}


def test_without_a_document_nobody_is_told_anything(serve: Any, versions: Packed, tmp_path: Path) -> None:
    client = serve(versions, model_name="iris", traffic_file=tmp_path / "not there")
    assert asked(client) == ("3", None)
    assert asked(client, "/predict?version=1") == ("1", "named")


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ({"iris": {"default": "9"}}, "9"),
        ({"iris": {"default": "1", "pinned": ["9"]}}, "9"),
        ({"iris": {"default": "1", "shadow": {"version": "9"}}}, "9"),
        ({"nothing": {"default": "1"}}, "nothing"),
        ({"iris": {"default": "1", "weights": {"1": 1}}}, "MODELPORT_TRAFFIC_FILE"),
    ],
)
def test_a_document_that_cannot_take_effect_at_the_start_ends_it(
    versions: Packed, tmp_path: Path, models: Any, said: str
) -> None:
    settings = Settings(model_root=versions.root, model_name="iris", traffic_file=document(tmp_path, **models))
    with pytest.raises(LoadFailed, match=said), TestClient(create_app(settings)):
        """It does not start."""


def test_each_version_has_a_document_and_a_page_of_its_own(serve: Any, versions: Packed) -> None:
    client = serve(versions, model_name="iris")
    for path, title in (
        ("/models/iris/versions/1", "iris version 1"), ("/models/other", "other version 1"),
        ("/models/iris", "iris version 3"),
    ):  # fmt: skip
        found = client.get(f"{path}/openapi.json").json()
        assert (found["info"]["title"], found["servers"]) == (title, [{"url": path}])
        for below in found["paths"]:
            example = {"features": [1.5] * 4}
            body = example if below == "/predict" else {"requests": [example]}
            assert client.post(f"{path}{below}", json=body).status_code == 200
        assert "openapi.json" in client.get(f"{path}/docs").text
    assert client.get("/models/iris/versions/9/openapi.json").status_code == 404


def test_tokens_are_fetched_from_the_service_whichever_document_tells_of_them(
    serve: Any, versions: Packed, tmp_path: Path
) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(private_key())
    users = tmp_path / "users.yaml"
    users.write_text("[]")
    access = {"token_key_file": key, "users_file": users, "open_docs": True}
    client = serve(versions, model_name="iris", access=access)
    for above in ("", "/models/iris", "/models/iris/versions/1"):
        schemes = client.get(f"{above}/openapi.json").json()["components"]["securitySchemes"]
        urls = {flow["tokenUrl"] for scheme in schemes.values() for flow in scheme.get("flows", {}).values()}
        assert {urljoin(f"http://host{above}/openapi.json", url) for url in urls} == {"http://host/oauth/token"}


def private_key() -> bytes:
    made = ec.generate_private_key(ec.SECP256R1())
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
