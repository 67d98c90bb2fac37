"""Who asks S3: whatever botocore's chain of credential providers finds, signing with signature version 4."""

import os
from threading import Lock

import botocore.session
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from model_artifact.delivery import AccessDenied, translated
from model_fetcher.sources.base import Access
from model_fetcher.sources.login import Anonymous, Login
from model_fetcher.sources.s3_endpoint import TRUE
from model_fetcher.sources.s3_errors import BOTO_ERRORS


class Account:
    """An AWS identity; botocore renews its credentials before they expire."""

    def __init__(self, credentials: Credentials, access: Access) -> None:
        self._credentials = credentials
        self._access = access
        self._lock = Lock()

    @property
    def identity(self) -> str:
        """The role, or the access key, which is no secret, and where it was found."""
        method = str(self._credentials.method)
        role = os.environ.get("AWS_ROLE_ARN") if "web-identity" in method else None
        return f"AWS role {role}" if role else f"AWS access key {self._credentials.access_key} ({method})"

    def sign(self, url: str, headers: dict[str, str], scope: str = "") -> dict[str, str]:
        """Sign for the region `scope`."""
        request = AWSRequest("GET", url, headers=headers)
        with translated(BOTO_ERRORS, "AWS credentials"):
            S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", scope).add_auth(request)
        return dict(request.headers.items())

    def renew(self) -> None:
        """Look the credentials up anew: files may have been renewed, and roles give others."""
        found = _find(self._access)
        if found is None:
            raise AccessDenied("the environment names no AWS credentials any more")
        self._credentials = found


def aws_login(access: Access) -> Login:
    """Whom the environment names, and nobody where it names none or says so in KServe's `awsAnonymousCredential`."""
    if access.auth == "anonymous" or os.environ.get("awsAnonymousCredential", "").lower() in TRUE:  # noqa: SIM112
        return Anonymous()
    found = _find(access)
    if found is not None:
        return Account(found, access)
    if access.auth == "credentials":
        raise AccessDenied("the environment names no AWS credentials")
    return Anonymous()


def _find(access: Access) -> Credentials | None:
    session = botocore.session.Session()
    if access.ca_bundle is not None:
        session.set_config_variable("ca_bundle", str(access.ca_bundle))
    with translated(BOTO_ERRORS, "AWS credentials"):
        found = session.get_credentials()
        if found is not None:
            found.get_frozen_credentials()
    return found
