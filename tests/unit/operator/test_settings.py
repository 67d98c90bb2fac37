"""The operator's settings: names and values are checked."""

import sys
from pathlib import Path

import pytest

from model_operator.settings import PREFIX, Settings, SettingsInvalid

CHART = Path(__file__).parents[3] / "charts" / "model-service"


def read(**given: str) -> Settings:
    return Settings.read(
        {
            f"{PREFIX}{name.upper()}": text
            for name, text in {"chart": str(CHART), "helm": sys.executable, **given}.items()
        }
    )


def test_defaults_and_given_values() -> None:
    settings = read(watch="models, staging,", workers="8", namespace="system")
    assert (settings.watch, settings.workers, settings.namespace) == (("models", "staging"), 8, "system")
    assert read().watch == ()
    assert (
        Settings.read(
            {f"{PREFIX}CHART": str(CHART), f"{PREFIX}HELM": sys.executable, "HOME": "/tmp", "MODELPORT_OTHER": "1"}
        ).port
        == 8080
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"wokers": "3"}, "did you mean MODELPORT_OPERATOR_WORKERS"),
        ({"zzz": "3"}, "unknown setting MODELPORT_OPERATOR_ZZZ$"),
        ({"workers": "0"}, "expected a whole number above 0, got '0'"),
        ({"port": "http"}, "expected a whole number above 0, got 'http'"),
        ({"chart": "/nowhere"}, "holds no Chart.yaml"),
        ({"helm": "/nowhere/helm"}, "there is no program /nowhere/helm; install helm"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsInvalid, match=sentence):
        read(**given)
