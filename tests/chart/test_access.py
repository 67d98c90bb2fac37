"""Credentials come from Secrets by reference, as files of folders that the kubelet keeps up to date."""

import json
from typing import Any

import pytest
from support.chart import URI, given, merged, mounts, refusal, render, variables

SCRAPED = URI | {"access": {"keys": {"existingSecret": "keys"}}}
FILES = {
    "access-keys": ("MODELPORT_ACCESS__KEYS_FILE", "churn-access", "keys.yaml"),
    "access-users": ("MODELPORT_ACCESS__USERS_FILE", "churn-access", "people.yaml"),
    "access-token-key": ("MODELPORT_ACCESS__TOKEN_KEY_FILE", "churn-tokens", "token.pem"),
    "access-jwt-ca": ("MODELPORT_ACCESS__JWT_CA_FILE", "login-ca", "ca.crt"),
    "limits-redis-password": ("MODELPORT_LIMITS__REDIS_PASSWORD_FILE", "churn-redis", "password"),
    "limits-redis-ca": ("MODELPORT_LIMITS__REDIS_CA_FILE", "churn-redis", "ca.pem"),
}


def test_nothing_is_mounted_by_default() -> None:
    rendered = render(URI)
    assert set(rendered.volumes) == {"models", "tmp"}
    assert not any("ACCESS" in name or "LIMITS" in name for name in variables(rendered.service))


@pytest.mark.parametrize("name", FILES)
def test_an_entry_of_a_secret_is_a_file_that_a_setting_names(name: str) -> None:
    setting, secret, key = FILES[name]
    rendered = render(given("access"))
    volume, mount = rendered.volumes[name]["secret"], mounts(rendered.service)[f"/etc/modelport/{name}"]
    assert volume == {"secretName": secret, "items": [{"key": key, "path": key}]}
    assert mount["readOnly"]
    assert "subPath" not in mount, "the kubelet updates whole folders only"
    assert variables(rendered.service)[setting] == f"{mount['mountPath']}/{key}"
    assert all(each["name"] != name for each in rendered.fetch["volumeMounts"]), "the fetcher needs none of it"


def test_the_settings_beside_them_reach_the_service() -> None:
    data = render(given("access")).one("ConfigMap")["data"]
    assert data["MODELPORT_ACCESS__JWT_ISSUER"] == "https://login.example.com"
    assert data["MODELPORT_ACCESS__JWT_REQUIRED_CLAIMS"] == "email,department"
    assert data["MODELPORT_ACCESS__BASIC"] == "true"
    assert data["MODELPORT_LIMITS__REDIS_PREFIX"] == "shop/churn"
    assert json.loads(data["MODELPORT_LIMITS__RULES"]) == given("access")["config"]["limits"]["rules"]


def test_a_bad_rule_is_refused_before_it_is_installed() -> None:
    def rules(**rule: Any) -> Any:
        return URI | {"config": {"limits": {"rules": [{"per": "key", "rate": "1/second"} | rule]}}}

    assert render(rules()).objects
    for wrong in ({"per": "planet"}, {"rate": "often"}, {"burst": 0}, {"bucket": 1}):
        assert "rules" in refusal(rules(**wrong))


def test_a_monitor_shows_its_key() -> None:
    monitor = render(given("access")).one("ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["authorization"] == {"credentials": {"name": "churn-scrape-key", "key": "key"}}


def test_the_alert_about_the_redis_is_there_when_a_redis_is() -> None:
    def alerts(values: Any) -> set[str]:
        (group,) = render(merged(values, {"metrics": {"rules": {"enabled": True}}})).one("PrometheusRule")["spec"][
            "groups"
        ]
        return {rule["alert"] for rule in group["rules"]}

    assert alerts(given("access")) - alerts(URI) == {"ModelportLimitsNotShared"}


def test_helm_test_shows_its_key() -> None:
    (container,) = render(given("access")).one("Pod")["spec"]["containers"]
    assert container["env"] == [
        {"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "churn-test-key", "key": "key"}}}
    ]
    assert "env" not in render(URI).one("Pod")["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"metrics": {"monitor": "podMonitor"}}, "metrics.apiKey.existingSecret: missing"),
        ({"metrics": {"annotations": True}}, "metrics.annotations: scrapes by annotation"),
        ({"autoscaling": {"enabled": True, "scaler": "keda"}}, "KEDA shows the pods no credential"),
    ],
)
def test_whoever_reads_metrics_must_be_let_in(values: Any, sentence: str) -> None:
    assert sentence in refusal(merged(SCRAPED, values))
    assert sentence in refusal(merged(URI, values, {"config": {"access": {"jwt_issuer": "https://login"}}}))
    assert render(merged(SCRAPED, values, {"config": {"access": {"open_metrics": True}}})).objects
    assert render(merged(URI, values)).objects


def test_no_secret_can_be_a_value() -> None:
    assert "additional" in refusal(merged(SCRAPED, {"access": {"keys": {"value": "secret"}}})).lower()
