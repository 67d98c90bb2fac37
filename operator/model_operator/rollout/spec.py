"""What is asked for: the target revision, the steps to it, and what the candidate is measured against.

Field for field the `model`, `rollout` and `shadow` of a ModelDeployment; the resource's schema refuses what these
classes would refuse, so that a person hears of it when applying.
"""

import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Record(BaseModel):
    """An immutable value with the field names that Kubernetes uses."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Revision(Record):
    """One version of the model and where it comes from: the chart's `model` values, whatever else is among them."""

    model_config = ConfigDict(extra="allow")

    name: str = ""
    version: str = ""
    uri: str = ""
    digest: str = ""
    sha256: str = ""
    service_image: Mapping[str, Any] | None = None
    """The chart's `image` of the pods that serve it; None: remembered by a release that did not ask."""

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes two revisions the same: the pinned content where there is one, else the place it is taken from."""
        return self.name, self.version, self.digest or self.sha256 or json.dumps(self.values, sort_keys=True)

    @property
    def values(self) -> dict[str, Any]:
        """As the chart wants it, without what is not set."""
        return self.model_dump(exclude_defaults=True, exclude={"service_image"})


class Step(Record):
    """A share of the traffic for the candidate, and how long it is watched there."""

    weight: int = Field(ge=1, le=100)
    """Whole percent."""
    pause_seconds: float = Field(default=60, ge=0)
    manual: bool = False
    """Then wait for somebody to resume."""


class Analysis(Record):
    """Limits for the candidate, each judged over the answers since the step began; None: not judged."""

    min_requests: int = Field(default=50, ge=0)
    """Answers of the candidate before a step can be passed."""
    max_wait_seconds: float = Field(default=3600, ge=1)
    """How long beyond its pause a step may lack them."""
    max_error_rate: float | None = Field(default=0.01, ge=0, le=1)
    max_error_rate_increase: float | None = Field(default=None, ge=0, le=1)
    max_invalid_rate_increase: float | None = Field(default=None, ge=0, le=1)
    max_p95_seconds: float | None = Field(default=None, gt=0)
    max_p95_ratio: float | None = Field(default=None, gt=0)
    max_score_shift: float | None = Field(default=None, gt=0)
    max_score_difference: float | None = Field(default=None, gt=0)


class Shadow(Record):
    """Copies of requests for the candidate before its first step; nobody sees its answers."""

    percent: int = Field(default=100, ge=1, le=100)
    seconds: float = Field(default=60, ge=0)
    min_requests: int = Field(default=50, ge=0)
    max_wait_seconds: float = Field(default=3600, ge=1)
    max_error_rate: float | None = Field(default=0.01, ge=0, le=1)
    max_disagreement: float | None = Field(default=None, ge=0, le=1)


class Sticky(Record):
    """The header whose value decides which version answers, so that one user stays with one version."""

    header: str = Field(min_length=1)


class Rollout(Record):
    """How a candidate gets to all of the traffic."""

    steps: tuple[Step, ...] = ()
    sticky: Sticky | None = None
    prepare_seconds: float = Field(default=600, ge=1)
    """How long it may take until every pod has the candidate and has proven it."""
    analysis: Analysis = Analysis()


class RolloutSpec(Record):
    """The part of a ModelDeployment's `spec` that a rollout depends on."""

    model_config = ConfigDict(extra="ignore")

    model: Revision
    rollout: Rollout | None = None
    """None: a new model is a plain rolling update."""
    shadow: Shadow | None = None

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Self:
        """Read a resource's `spec`.

        Raises:
            pydantic.ValidationError: a value that the resource's schema would have refused.
        """
        below = spec.get("values", {}).get("image")
        image = {**(below if isinstance(below, Mapping) else {}), **spec.get("image", {})}
        return cls.model_validate(dict(spec) | {"model": dict(spec["model"]) | {"serviceImage": image}})
