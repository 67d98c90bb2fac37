"""How pods are reached: by address, over HTTPS where they have a certificate, which is always checked."""

from dataclasses import dataclass
from typing import Any

import urllib3


class Unanswered(ValueError):
    """A pod said something else than what it was asked for, or may not be asked."""


@dataclass(frozen=True)
class Trust:
    """What the certificate of the pods must hold to."""

    authorities: str
    """PEM."""
    server_name: str
    """A name in it: pods are asked by address, which no certificate holds."""


def connections(trust: Trust | None, pools: int = 1) -> urllib3.PoolManager:
    """Connections for one look at so many places; over TLS only to whom the authorities vouch for."""
    tls: dict[str, Any] = {"ca_cert_data": trust.authorities, "server_hostname": trust.server_name} if trust else {}
    return urllib3.PoolManager(num_pools=pools, retries=False, **tls)


def origin(ip: str, port: int, *, tls: bool, trust: Trust | None) -> str:
    """Where a pod's URLs begin.

    Raises:
        Unanswered: it has a certificate that nothing is known to check by.
    """
    if tls and trust is None:
        raise Unanswered("it speaks TLS, and spec.tls says no authorities to check its certificate by")
    host = f"[{ip}]" if ":" in ip else ip
    return f"{'https' if tls else 'http'}://{host}:{port}"
