"""Whether what is installed here can load what was fitted there; asked before anything is unpickled."""

import platform
from importlib.metadata import PackageNotFoundError, version

from model_artifact.manifest import Framework

FROZEN_WITH = ("scikit-learn", "numpy", "scipy", "joblib", "skops", "pandas")
"""Packages whose versions decide whether a pickled estimator loads, and loads right."""


def installed(package: str) -> str | None:
    """Version of an installed package, without importing it."""
    try:
        return version(package)
    except (PackageNotFoundError, ValueError):  # an empty name is a ValueError
        return None


def describe_environment() -> Framework:
    """What an estimator fitted in this process depends on."""
    packages = {name: found for name in FROZEN_WITH if (found := installed(name)) is not None}
    return Framework("scikit-learn", packages.get("scikit-learn", "unknown"), platform.python_version(), packages)


def incompatibilities(framework: Framework) -> list[str]:
    """Sentences saying why a pickle of `framework` must not be loaded here; empty when it may.

    scikit-learn promises nothing across minor versions, numpy breaks pickles across major ones, and Python's own
    pickles are stable across the minors we support.
    """
    return [
        f"fitted with {package} {wanted}, this environment has {have or 'none'}"
        for package, wanted, parts in (
            (framework.library, framework.version, 2),
            ("numpy", framework.packages.get("numpy"), 1),
        )
        if wanted is not None and _head(wanted, parts) != _head(have := installed(package), parts)
    ]


def image_tag(framework: Framework) -> str:
    """Tag suffix of the image that can load it, such as `sklearn1.9`."""
    return f"sklearn{_head(framework.version, 2)}"


def _head(text: str | None, parts: int) -> str | None:
    return None if text is None else ".".join(text.split(".")[:parts])
