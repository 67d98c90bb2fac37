"""HTTPS by settings: what gunicorn and uvicorn are told, after it is known that the files work."""

import ssl
from typing import Any

from model_service.errors import SettingsInvalid
from model_service.settings import PREFIX, Settings


def check(settings: Settings) -> None:
    """Load the files once, so that a bad one is told at the start and not by every worker.

    Raises:
        SettingsInvalid: a file is missing beside the others, or is not what it should be.
    """
    certificate, key, authorities = settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file
    if certificate is None:
        if key or authorities:
            raise SettingsInvalid(f"{PREFIX}TLS_CERT_FILE is missing; TLS needs a certificate")
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise SettingsInvalid(
            f"{PREFIX}TLS_CERT_FILE, {PREFIX}TLS_KEY_FILE: {certificate} and {key or 'the key in it'} cannot be used "
            f"({_reason(error)}); give a PEM certificate chain and its PEM key"
        ) from error
    if authorities:
        try:
            context.load_verify_locations(authorities)
        except OSError as error:
            raise SettingsInvalid(
                f"{PREFIX}TLS_CLIENT_CA_FILE: {authorities} cannot be used ({_reason(error)}); give PEM certificates"
            ) from error


def options(settings: Settings) -> dict[str, Any]:
    """Gunicorn's options; none without a certificate."""
    if settings.tls_cert_file is None:
        return {}
    return {
        "certfile": str(settings.tls_cert_file),
        "keyfile": settings.tls_key_file and str(settings.tls_key_file),
        "ca_certs": settings.tls_client_ca_file and str(settings.tls_client_ca_file),
        "cert_reqs": ssl.CERT_REQUIRED if settings.tls_client_ca_file else ssl.CERT_NONE,
        "ssl_version": ssl.PROTOCOL_TLS_SERVER,
    }


def _no_password() -> str:
    raise ValueError("the key has a password")


def _reason(error: Exception) -> str:
    return (getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)).replace("_", " ").lower()
