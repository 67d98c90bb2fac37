import platform
from importlib.metadata import version

import pytest

from model_artifact.framework import describe_environment, image_tag, incompatibilities, installed
from model_artifact.manifest import Framework

SKLEARN, NUMPY = version("scikit-learn"), version("numpy")
MINOR = ".".join(SKLEARN.split(".")[:2])


def framework(version: str = SKLEARN, library: str = "scikit-learn", **packages: str) -> Framework:
    return Framework(library, version, platform.python_version(), packages)


def test_what_was_fitted_here_loads_here() -> None:
    here = describe_environment()
    assert (here.library, here.version, here.python) == ("scikit-learn", SKLEARN, platform.python_version())
    assert here.packages["numpy"] == NUMPY
    assert incompatibilities(here) == []


@pytest.mark.parametrize(
    ("fitted", "fits"),
    [
        (framework(f"{MINOR}.99"), True),
        (framework(numpy=f"{NUMPY.split('.', maxsplit=1)[0]}.0"), True),
        (framework("0.24.2"), False),
        (framework(MINOR.split(".")[0]), False),
        (framework(numpy="1.26.4"), False),
        (framework("2.0", library="no-such-library"), False),
        (framework("2.0", library=""), False),
    ],
)
def test_minor_versions_of_the_library_and_major_ones_of_numpy_decide(fitted: Framework, fits: bool) -> None:
    assert (incompatibilities(fitted) == []) == fits


def test_a_mismatch_names_both_sides() -> None:
    assert incompatibilities(framework("0.24.2", numpy="1.26.4")) == [
        f"fitted with scikit-learn 0.24.2, this environment has {SKLEARN}",
        f"fitted with numpy 1.26.4, this environment has {NUMPY}",
    ]
    assert incompatibilities(framework("1.0", library="no-such-library")) == [
        "fitted with no-such-library 1.0, this environment has none"
    ]


def test_a_package_that_is_not_there_has_no_version() -> None:
    assert installed("no-such-library") is None
    assert installed("") is None


def test_the_image_is_named_after_the_minor_version() -> None:
    assert image_tag(framework("1.9.1")) == "sklearn1.9"
