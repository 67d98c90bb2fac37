"""How values become the settings of service and fetcher."""

from collections.abc import Iterator
from typing import Any

import yaml
from support.chart import CHART, URI, given, render, variables

from model_service.settings import FIELDS, PREFIX, Settings, load_settings

COLLECTOR = {"tracing": {"enabled": True, "endpoint": "http://collector:4318"}}


def schema() -> Any:
    return yaml.safe_load((CHART / "values.schema.json").read_text())


def names(told: Any, prefix: str = "") -> Iterator[str]:
    for name, each in told["properties"].items():
        yield from names(each, f"{prefix}{name}__") if "properties" in each else [f"{prefix}{name}"]


def test_every_setting_of_the_service_has_exactly_one_place() -> None:
    """A plain one is a key of `config`, the others are set by the chart from its own values."""
    plain = set(names(schema()["properties"]["config"]))
    env: dict[str, Any] = {}
    for name in ("pinned", "bare-file", "versions"):
        env |= variables(render(given(name)).service)
    owned = {name.removeprefix(PREFIX).lower() for name in env if name.startswith(PREFIX)}
    assert plain | owned == set(FIELDS)
    # One is derived from the request's time unless it is given, the other gathers the pins of `versions` too.
    assert plain & owned == {"worker_timeout_seconds", "version_digests"}
    assert "worker_timeout_seconds" not in variables(render(given("tls")).service)


def test_lists_are_written_as_the_service_reads_them() -> None:
    data = render(given("tls")).one("ConfigMap")["data"]
    lists = {name: data[f"{PREFIX}{name.upper()}"] for name in ("cors_allow_origins", "latency_buckets")}
    settings = Settings.model_validate(lists)
    assert settings.cors_allow_origins == ("https://a.example.com", "https://b.example.com")
    assert settings.latency_buckets == (0.001, 0.01, 0.1)


def test_config_becomes_environment_that_the_service_reads_as_meant() -> None:
    config = {"workers": 3, "max_body_bytes": 123456789, "allow_pickle": True, "log_level": "debug"}
    data = render(URI | {"config": config}).one("ConfigMap")["data"]
    settings = Settings.model_validate({name.removeprefix(PREFIX).lower(): text for name, text in data.items()})
    assert {name: getattr(settings, name) for name in config} == config
    assert data["MODELPORT_MAX_BODY_BYTES"] == "123456789"


def test_settings_of_a_group_are_a_map_of_their_own() -> None:
    config = {"access": {"token_seconds": 60, "jwt_required_claims": ["a", "b"]}, "workers": 2}
    data = render(URI | {"config": config}).one("ConfigMap")["data"]
    settings, _ = load_settings(environment=data)
    assert (settings.access.token_seconds, settings.access.jwt_required_claims, settings.workers) == (60, ("a", "b"), 2)


def test_a_changed_setting_rolls_the_pods_and_a_changed_service_does_not() -> None:
    def checksum(values: Any) -> str:
        template = render(URI | values).one("Deployment")["spec"]["template"]
        found: str = template["metadata"]["annotations"]["checksum/config"]
        return found

    assert checksum({"config": {"workers": 2}}) != checksum({}) == checksum({"service": {"port": 81}})


def test_the_pods_take_their_settings_from_the_config_map() -> None:
    rendered = render(URI)
    name = rendered.one("ConfigMap")["metadata"]["name"]
    assert rendered.service["envFrom"] == [{"configMapRef": {"name": name}}]


def test_pins_and_names_reach_fetcher_and_service() -> None:
    rendered = render(given("pinned"))
    pins = {"DIGEST": f"sha256:{'0' * 64}", "NAME": "churn", "VERSION": "3"}
    for container, prefix in ((rendered.fetch, "MODELPORT_FETCH_"), (rendered.service, "MODELPORT_MODEL_")):
        env = variables(container)
        assert {key: env[prefix + key] for key in pins} == pins
        assert f"{prefix}SHA256" not in env
    assert variables(rendered.fetch)["MODELPORT_FETCH_REQUIRE_PINNED"] == "true"
    assert variables(rendered.fetch)["MODELPORT_FETCH_URI"] == "gs://models/churn/3"


def test_the_fetcher_fills_the_folder_that_the_service_reads() -> None:
    rendered = render(URI)
    roots = {variables(rendered.fetch)["MODELPORT_FETCH_ROOT"], variables(rendered.service)["MODELPORT_MODEL_ROOT"]}
    assert roots == {"/mnt/models"}


def test_a_large_version_number_stays_as_written() -> None:
    rendered = render({"model": {"uri": "gs://b/m", "version": 20261121093000}})
    assert variables(rendered.fetch)["MODELPORT_FETCH_VERSION"] == "20261121093000"


def test_traces_are_off_unless_asked_for() -> None:
    assert not any(item["name"].startswith("OTEL_") for item in render(URI).service["env"])


def test_traces_carry_the_names_of_pod_and_service() -> None:
    service = render(URI | COLLECTOR | {"tracing": COLLECTOR["tracing"] | {"sampleRatio": 0.25}}).service
    env = variables(service)
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
    assert env["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    assert (env["OTEL_TRACES_SAMPLER"], env["OTEL_TRACES_SAMPLER_ARG"]) == ("parentbased_traceidratio", "0.25")
    assert env["OTEL_SERVICE_NAME"] == "first-model-service"
    names = [item["name"] for item in service["env"]]
    attributes = dict(pair.split("=") for pair in env["OTEL_RESOURCE_ATTRIBUTES"].split(","))
    assert (attributes.pop("k8s.container.name"), attributes.pop("k8s.deployment.name")) == (
        "service",
        "first-model-service",
    )
    assert set(attributes) == {"k8s.namespace.name", "k8s.node.name", "k8s.pod.name", "k8s.pod.uid"}
    for reference in attributes.values():
        # Kubernetes expands only what was defined before.
        assert names.index(reference.removeprefix("$(").removesuffix(")")) < names.index("OTEL_RESOURCE_ATTRIBUTES")
