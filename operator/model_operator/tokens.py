"""Tokens of the pods' admin ports, derived from one key of the operator.

So the operator may create Secrets but needs no right to read those of other people: it computes what it wrote.
"""

import base64
import hashlib
import hmac
import secrets

from model_operator.cluster import Cluster, Object
from model_operator.kinds import SECRET

_ENTRY = "key"


class Tokens:
    """The key, made once and kept in the operator's own namespace."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, cluster: Cluster, namespace: str, name: str) -> "Tokens":
        """With the key of Secret `name`, which is made where there is none.

        Raises:
            ApiError: the API server does not let the operator read or create it.
        """
        found: Object | None = cluster.get(SECRET, namespace, name)
        if found is None:
            text = base64.b64encode(secrets.token_bytes(32)).decode()
            meta = {"namespace": namespace, "name": name, "labels": {"app.kubernetes.io/part-of": "modelport"}}
            found = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "data": {_ENTRY: text}}
            if not cluster.create(SECRET, found):
                return cls.of(cluster, namespace, name)
        return cls(base64.b64decode(found["data"][_ENTRY]))

    def of_resource(self, uid: str) -> str:
        """The token of the ModelDeployment with this uid."""
        return hmac.new(self._key, uid.encode(), hashlib.sha256).hexdigest()
