"""Where S3 is: Amazon's own addresses, or those that the environment names for a store that speaks its protocol."""

import os
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import botocore.session

from model_artifact.delivery import translated
from model_fetcher.sources.s3_errors import BOTO_ERRORS

TRUE = frozenset({"1", "true", "yes"})
ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True)
class Endpoint:
    """An address that buckets are asked for at.

    `base` is `scheme://host` of a store, or empty for Amazon's own in `region`. `virtual` puts the bucket into the host
    name instead of the path. `verify` is false where the server need not prove who it is.
    """

    base: str
    region: str
    virtual: bool
    verify: bool

    def url(self, bucket: str, key: str) -> str:
        """The address of a key that is quoted already; an empty one is the bucket's."""
        base = self.base or f"https://{_amazon(self.region)}"
        # A certificate for *.host does not cover a name with one more dot in it.
        if not self.virtual or "." in bucket:
            return f"{base}/{bucket}/{key}" if key else f"{base}/{bucket}"
        parts = urlsplit(base)
        return f"{parts.scheme}://{bucket}.{parts.netloc}{parts.path}/{key}"

    def moved(self, region: str) -> "Endpoint":
        """The same in the region that the bucket turned out to be in."""
        return replace(self, region=region)


def endpoint_of() -> Endpoint:
    """The endpoint that the environment names, in Amazon's variables or in those of KServe's initializer."""
    base = next((os.environ[name] for name in ENDPOINT_VARIABLES if os.environ.get(name)), "")
    host = os.environ.get("S3_ENDPOINT", "")
    if not base and host:
        scheme = "https" if _flag("S3_USE_HTTPS", default=True) else "http"
        base = host if "://" in host else f"{scheme}://{host}"
    return Endpoint(
        base=base.rstrip("/"),
        region=os.environ.get("AWS_REGION") or _configured_region(),
        virtual=_flag("S3_USER_VIRTUAL_BUCKET", default=not base),
        verify=_flag("S3_VERIFY_SSL", default=True),
    )


def _configured_region() -> str:
    with translated(BOTO_ERRORS, "AWS settings"):
        return botocore.session.Session().get_config_variable("region") or DEFAULT_REGION


def _amazon(region: str) -> str:
    return f"s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _flag(name: str, *, default: bool) -> bool:
    text = os.environ.get(name, "")
    return text.strip().lower() in TRUE if text else default
