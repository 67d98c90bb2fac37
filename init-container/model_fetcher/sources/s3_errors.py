"""What S3 says in the bodies of its refusals, and botocore about credentials, in our words."""

from xml.etree import ElementTree

import urllib3
from botocore import exceptions

from model_artifact.delivery import AccessDenied, DeliveryError, ErrorTable, NotFound, Unreachable, Usage
from model_fetcher.errors import Expired
from model_fetcher.sources.web import status_error

MAX_BODY = 64 << 10
"""Bytes read of an answer that explains a failure."""

CODES: dict[str, tuple[type[DeliveryError], str]] = {
    "NoSuchKey": (NotFound, "does not exist"),
    "NoSuchVersion": (NotFound, "does not exist in that version"),
    "NoSuchBucket": (NotFound, "does not exist, nor does its bucket"),
    "ExpiredToken": (Expired, "the credentials have expired; renew them, or let a role do so"),
    "TokenRefreshRequired": (Expired, "the credentials have expired; renew them, or let a role do so"),
    "InvalidToken": (Expired, "the session token is not valid; renew the credentials"),
    "RequestExpired": (Expired, "the signature has expired"),
    "RequestTimeTooSkewed": (AccessDenied, "the clock of this machine is wrong: synchronise it, then try again"),
    "InvalidAccessKeyId": (AccessDenied, "the access key does not exist there"),
    "SignatureDoesNotMatch": (AccessDenied, "the secret access key is not the one of the access key"),
    "RequestTimeout": (Unreachable, "the server gave up waiting"),
}
"""Of the codes that the protocol knows, those whose status alone would mislead or say too little."""


BOTO_ERRORS: ErrorTable = {
    exceptions.ProfileNotFound: (Usage, "{error}"),
    exceptions.ConnectionError: (Unreachable, "no credentials yet ({error})"),
    exceptions.HTTPClientError: (Unreachable, "no credentials yet ({error})"),
    exceptions.MetadataRetrievalError: (Unreachable, "no credentials yet ({error})"),
    exceptions.BotoCoreError: (AccessDenied, "{error}"),
    exceptions.ClientError: (AccessDenied, "{error}"),
}
"""Those of botocore, which finds credentials."""


def s3_error(response: urllib3.BaseHTTPResponse, subject: str) -> DeliveryError:
    """What an answer that is none means."""
    code, message = _explained(response)
    if code in CODES:
        kind, sentence = CODES[code]
        return kind(f"{subject}: {sentence}" if kind is not NotFound else f"{subject} {sentence}")
    if response.status == 404:
        return NotFound(f"{subject} does not exist")
    return status_error(response, subject, f"{code}: {message}" if code else "")


def _explained(response: urllib3.BaseHTTPResponse) -> tuple[str, str]:
    try:
        tree = ElementTree.fromstring(response.read(MAX_BODY))  # noqa: S314 - expat itself bounds what entities grow to
    except (ElementTree.ParseError, urllib3.exceptions.HTTPError):
        return "", ""
    return tree.findtext("{*}Code", ""), tree.findtext("{*}Message", "")
