"""Why a fetch failed, where fetching has more to tell than deliveries in general do.

DeliveryError
├── AccessDenied
│   └── Expired          it did not always: credentials are renewed once
└── Unreachable          tried again
    ├── Misconfigured    no answer that trying again could change (TLS, protocol, device)
    └── Changed          another object than the one that was begun: begun anew
"""

from model_artifact.delivery import AccessDenied, Unreachable


class Expired(AccessDenied):
    """Credentials that were good once: renewed ones may do."""


class Misconfigured(Unreachable):
    """No useful answer, and another try would get the same."""

    retryable = False


class Changed(Unreachable):
    """The object is not the one that was begun. Not to be tried again where it was left, but from its start."""

    retryable = False
