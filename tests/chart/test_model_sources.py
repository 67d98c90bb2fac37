"""Where the model comes from: fetched, mounted or baked in; with which credentials, authorities and proxies."""

import pytest
from support.chart import URI, given, mounts, render, variables

PIN = f"sha256:{'0' * 64}"


def test_a_claim_is_mounted_as_it_is() -> None:
    rendered = render(given("claim"))
    assert rendered.volumes["models"]["persistentVolumeClaim"] == {"claimName": "models", "readOnly": False}
    mount = mounts(rendered.service)["/mnt/models/churn/3"]
    assert (mount["subPath"], "readOnly" in mount) == ("churn/3", False)
    env = variables(rendered.service)
    assert (env["MODELPORT_MODEL_ROOT"], env["MODELPORT_MODEL_DIGEST"]) == ("/mnt/models", PIN)


@pytest.mark.parametrize("case", ["claim", "model-image"])
def test_what_is_mounted_is_verified_first_where_it_lies_and_read_only(case: str) -> None:
    rendered = render(given(case))
    env = variables(rendered.fetch)
    assert (env["MODELPORT_FETCH_IN_PLACE"], env["MODELPORT_FETCH_DIGEST"]) == ("true", PIN)
    assert env["MODELPORT_FETCH_ROOT"] == variables(rendered.service)["MODELPORT_MODEL_ROOT"]
    assert "MODELPORT_FETCH_URI" not in env
    (path,) = (path for path in mounts(rendered.service) if path.startswith("/mnt/models"))
    assert mounts(rendered.fetch)[path] == mounts(rendered.service)[path] | {"readOnly": True}


@pytest.mark.parametrize("path", ["/mnt/models", "/mnt/models/churn", "/mnt/models/churn/3"])
def test_a_claim_may_hold_a_root_a_folder_of_versions_or_one_bundle(path: str) -> None:
    rendered = render({"model": {"existingClaim": "models", "mountPath": path}})
    assert {path} < set(mounts(rendered.fetch)) & set(mounts(rendered.service))


def test_what_is_fetched_is_not_verified_in_place() -> None:
    assert "MODELPORT_FETCH_IN_PLACE" not in variables(render(URI).fetch)
    assert mounts(render(URI).fetch)["/mnt/models"] == {"name": "models", "mountPath": "/mnt/models"}


def test_a_claim_is_read_only_unless_told_otherwise() -> None:
    rendered = render({"model": {"existingClaim": "models"}})
    assert rendered.volumes["models"]["persistentVolumeClaim"]["readOnly"] is True
    assert mounts(rendered.service)["/mnt/models"] == {"name": "models", "mountPath": "/mnt/models", "readOnly": True}


def test_an_image_is_mounted_as_a_volume() -> None:
    rendered = render(given("model-image"))
    assert rendered.volumes["models"]["image"] == {
        "reference": f"registry.example.com/models/churn@sha256:{'3' * 64}",
        "pullPolicy": "Always",
    }
    assert mounts(rendered.service)["/mnt/models"]["readOnly"] is True


def test_a_baked_in_model_needs_no_volume() -> None:
    rendered = render(given("baked"))
    assert "initContainers" not in rendered.pod
    assert set(rendered.volumes) == {"tmp"}
    assert set(mounts(rendered.service)) == {"/tmp"}


def test_a_fetched_model_lies_in_an_empty_folder_by_default() -> None:
    assert render(URI).volumes["models"] == {"name": "models", "emptyDir": {}}


def test_volume_and_resources_of_the_download_are_free_to_choose() -> None:
    rendered = render(given("private-source"))
    assert set(rendered.volumes["models"]) == {"name", "ephemeral"}
    assert rendered.fetch["resources"]["requests"] == {"cpu": "1", "memory": "256Mi"}
    in_memory = render(given("secret-authority")).volumes["models"]
    assert in_memory["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}


def test_credentials_are_ordinary_environment_of_the_fetcher_alone() -> None:
    rendered = render(given("private-source"))
    assert rendered.fetch["envFrom"] == [{"secretRef": {"name": "s3-credentials"}}]
    assert rendered.service["envFrom"] == [{"configMapRef": {"name": "first-model-service"}}]


def test_the_fetcher_may_run_as_the_user_that_a_mesh_lets_through() -> None:
    rendered = render(given("private-source"))
    context = rendered.fetch["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"], context["capabilities"]) == (1337, 1337, {"drop": ["ALL"]})
    assert "runAsUser" not in rendered.service["securityContext"]
    assert rendered.pod["securityContext"]["fsGroup"] == 10001  # by which the service reads what that user wrote


def test_certificates_of_an_authority_reach_the_fetcher() -> None:
    for name, volume, path in (
        ("private-source", {"configMap": {"name": "authority"}}, "/etc/modelport/ca/root.pem"),
        ("secret-authority", {"secret": {"secretName": "authority"}}, "/etc/modelport/ca/ca.crt"),
    ):
        rendered = render(given(name))
        assert rendered.volumes["ca"] == {"name": "ca"} | volume
        assert mounts(rendered.fetch)["/etc/modelport/ca"]["readOnly"] is True
        assert variables(rendered.fetch)["MODELPORT_FETCH_CA_BUNDLE"] == path
    assert "ca" not in render(URI).volumes


def test_the_fetcher_goes_through_the_proxy() -> None:
    env = variables(render(given("private-source")).fetch)
    assert {env["HTTPS_PROXY"], env["HTTP_PROXY"]} == {"http://proxy.example.com:3128"}
    assert env["NO_PROXY"] == ".svc,10.0.0.0/8"
    assert not {"HTTPS_PROXY", "NO_PROXY"} & variables(render(URI).fetch).keys()
