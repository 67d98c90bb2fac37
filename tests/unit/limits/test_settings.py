"""The table of rules: how it may be written, and what is refused with a sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from model_service.errors import SettingsInvalid
from model_service.settings import load_settings

AS_YAML = "[{per: address, rate: 100/minute, burst: 20}, {per: model, rate: 5/second, model: churn}]"
RULES = [{"per": "address", "rate": "100/minute", "burst": 20}, {"per": "model", "rate": "5/second", "model": "churn"}]


def load(**values: str) -> Any:
    named = {f"MODELPORT_LIMITS__{name}": value for name, value in values.items()}
    return load_settings(environment=named, dotenv=Path("/nonexistent"))[0].limits


def test_there_are_none_by_default() -> None:
    assert load().rules == ()


@pytest.mark.parametrize("text", [json.dumps(RULES), AS_YAML])
def test_rules_are_json_or_yaml(text: str) -> None:
    first, second = load(RULES=text).rules
    assert (first.label, first.quota, first.window, first.burst) == ("address", 100, 60, 20)
    assert (second.label, second.quota, second.window, second.burst) == ("model.churn", 5, 1, None)


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ("{", "expected JSON or YAML"),
        ("[{per: planet, rate: 1/day}]", "'key', 'subject', 'address' or 'model'"),
        ("[{per: address, rate: 5 a day}]", "pattern"),
        ("[{per: address, rate: 0/day}]", "pattern"),
        ("[{per: address, rate: 9000000/second}]", "more than 1000000 a second cannot be counted"),
        ("[{per: address, rate: 1/day, burst: 0}]", "greater than or equal to 1"),
        ("[{per: address, rate: 1/day, bucket: 1}]", "Extra inputs are not permitted"),
        ('[{per: address, rate: 1/day, name: a"b}]', "pattern"),
        ("[{per: address, rate: 1/day}, {per: address, rate: 1/second}]", "two rules are called 'address'"),
    ],
)
def test_a_bad_rule_is_refused(rules: str, sentence: str) -> None:
    with pytest.raises(SettingsInvalid, match="MODELPORT_LIMITS__RULES") as refused:
        load(RULES=rules)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [("localhost:6379", "expected redis://"), ("redis://:6379", "expected redis://"),
     ("redis://me:secret@cache", "redis_password_file")],
)  # fmt: skip
def test_a_bad_address_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(SettingsInvalid, match=sentence) as refused:
        load(REDIS_URL=url)
    assert "MODELPORT_LIMITS__REDIS_URL" in str(refused.value)


@pytest.mark.parametrize("per", ["key", "subject"])
def test_a_rule_that_would_count_nobody_is_refused(per: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"the rule {per} counts nobody while access control is off"):
        load(RULES=f"[{{per: {per}, rate: 1/day}}]")
