"""What settings are made of: types that are read from text, and the base of the groups that features add."""

import ipaddress
from collections.abc import Sequence
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


class Group(BaseModel):
    """Settings of one feature, `MODELPORT_<GROUP>__<NAME>`; in YAML a map below the group's name."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), coerce_numbers_to_str=True)


def _listed(value: Any) -> Any:
    return [part for item in value.split(",") if (part := item.strip())] if isinstance(value, str) else value


def _networks(items: Sequence[str]) -> Sequence[str]:
    for item in items:
        if item != "*":
            ipaddress.ip_network(item)  # its ValueError is the sentence
    return items


def _ascending(bounds: tuple[float, ...]) -> tuple[float, ...]:
    if not bounds or list(bounds) != sorted(set(bounds)) or bounds[0] <= 0:
        raise ValueError("expected positive numbers, each larger than the one before")
    return bounds


def parsed(value: Any) -> Any:
    """What a text says as YAML, JSON included: for settings that are tables."""
    try:
        return yaml.safe_load(value) if isinstance(value, str) else value
    except yaml.YAMLError as error:
        raise ValueError("expected JSON or YAML") from error


Port = Annotated[int, Field(ge=0, le=65535)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""Several texts, written with commas between them."""
Networks = Annotated[Names, AfterValidator(_networks)]
LatencyBuckets = Annotated[tuple[float, ...], BeforeValidator(_listed), AfterValidator(_ascending)]
