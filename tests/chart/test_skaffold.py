"""skaffold.yaml: what skaffold's own schema allows, and what it names exists: targets, values, files, objects."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import jsonschema
import pytest
import yaml
from support.chart import CHART, REPO, Render, api_schema, complaints_of_the_api, merged, render

CONFIG = yaml.safe_load((REPO / "skaffold.yaml").read_text())
DOCKERFILE = (REPO / "Dockerfile").read_text()
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
PROFILES = [None, *(profile["name"] for profile in CONFIG["profiles"])]
TEMPLATE = re.compile(r"^\{\{\.IMAGE_(REPO|TAG|FULLY_QUALIFIED)_(\w+)\}\}$")


def apply(config: Any, patch: Any) -> None:
    """One operation of a JSON patch (RFC 6902), of the three kinds that the file uses."""
    *above, last = patch["path"].strip("/").split("/")
    place = config
    for key in above:
        place = place[int(key) if isinstance(place, list) else key]
    if patch["op"] == "remove":
        del place[int(last) if isinstance(place, list) else last]
    elif last == "-":
        place.append(patch["value"])
    else:
        assert patch["op"] == "add" or last in place
        place[last] = patch["value"]


@pytest.fixture(params=PROFILES, ids=str)
def config(request: pytest.FixtureRequest) -> Any:
    """The configuration with each profile."""
    config = deepcopy(CONFIG)
    for profile in config.pop("profiles"):
        if profile["name"] == request.param:
            for patch in profile["patches"]:
                apply(config, patch)
    return config


def release(config: Any) -> Any:
    (found,) = config["deploy"]["helm"]["releases"]
    return found


def rendered(config: Any) -> Render:
    """What helm gets from skaffold, with a tag where skaffold puts the one that it built."""
    values = merged(*(yaml.safe_load((REPO / path).read_text()) for path in release(config)["valuesFiles"]))
    flags = []
    for key, text in release(config)["setValueTemplates"].items():
        kind, name = TEMPLATE.fullmatch(text).groups()  # type: ignore[union-attr]
        repository = {sanitized(image): image for image in images()}[name]
        made = {"REPO": repository, "TAG": "built", "FULLY_QUALIFIED": f"{repository}:built"}[kind]
        flags += ["--set", f"{key}={made}"]
    return render(values, "--no-hooks", *flags, release=release(config)["name"])


def sanitized(image: str) -> str:
    return re.sub(r"[/-]", "_", image)


def images() -> Iterator[str]:
    for artifact in CONFIG["build"]["artifacts"]:
        yield artifact["image"]


def test_skaffolds_own_schema_allows_it(config: Any) -> None:
    schema = api_schema(CONFIG["apiVersion"].replace("/", "-"))
    jsonschema.validate(CONFIG, schema)
    jsonschema.validate(config, schema)


def test_the_images_are_targets_of_the_dockerfile_and_those_of_the_chart() -> None:
    targets = {artifact["image"]: artifact["docker"]["target"] for artifact in CONFIG["build"]["artifacts"]}
    assert all(re.search(rf"^FROM \S+ AS {target}$", DOCKERFILE, re.MULTILINE) for target in targets.values())
    assert set(targets) == {DEFAULTS["image"]["repository"], DEFAULTS["initContainer"]["image"]["repository"]}


def test_every_path_that_is_named_exists(config: Any) -> None:
    applied = [hook["host"]["command"][-1].split()[-1] for hook in config["deploy"]["helm"]["hooks"]["before"]]
    places = [release(config)["chartPath"], *release(config)["valuesFiles"], *applied]
    assert "k8s/base/namespace.yaml" in applied
    assert [place for place in places if not (REPO / place).exists()] == []


def test_the_chart_takes_the_values_and_runs_the_images_that_were_built(config: Any) -> None:
    made = rendered(config)
    pod = made.pod
    used = {container["image"] for container in [*pod["containers"], *pod["initContainers"]]}
    assert used == {f"{image}:built" for image in images()}
    assert complaints_of_the_api(made.text) == ""


def test_the_port_that_is_forwarded_is_the_services(config: Any) -> None:
    service = rendered(config).one("Service")
    for forward in config.get("portForward", []):
        assert forward["resourceName"] == service["metadata"]["name"]
        assert forward["port"] in [port["port"] for port in service["spec"]["ports"]]
        assert forward["namespace"] == release(config)["namespace"] == "models"


def test_changed_code_lands_where_the_image_has_it_in_a_folder_that_can_be_written() -> None:
    (dev,) = [profile for profile in CONFIG["profiles"] if profile["name"] == "dev"]
    config = deepcopy(CONFIG)
    for patch in dev["patches"]:
        apply(config, patch)
    (artifact,) = [item for item in config["build"]["artifacts"] if "sync" in item]
    service = rendered(config).service
    writable = {mount["mountPath"] for mount in service["volumeMounts"] if not mount.get("readOnly")}
    for rule in artifact["sync"]["manual"]:
        found = list(REPO.glob(rule["src"]))
        assert found
        assert all(str(path.relative_to(REPO)).startswith(rule["strip"]) for path in found)
        assert rule["dest"] in writable
        package = rule["src"].removeprefix(rule["strip"]).split("/")[0]
        assert f"COPY {rule['strip']}{package} /code/{package}" in DOCKERFILE
    assert "WORKDIR /opt/modelport" in DOCKERFILE
    assert "COPY --from=service-code /code code" in DOCKERFILE
    settings = rendered(config).one("ConfigMap")["data"]
    assert settings["MODELPORT_DEBUG"] == "true"
