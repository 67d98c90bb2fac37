"""One limit and its arithmetic: the generic cell rate algorithm, which is a token bucket that stores a single number.

The number is the time at which the bucket will be full again (ITU-T I.371 calls it the theoretical arrival time). What
is missing now, its `backlog`, is that time less the present; a request adds an interval, and is allowed as long as the
bucket's depth is not passed. An old number and none mean the same: a full bucket.
"""

from dataclasses import dataclass
from math import ceil

from model_service.errors import RateLimited
from model_service.limits.settings import Rule

_SLACK = 1e-3
"""Seconds, or the same part of a shorter interval, that are forgiven: rounding must not cost a request."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A rule in the form that requests are held against.

    Attributes:
        label: its name in headers, logs and metrics.
        interval: seconds in which one request is earned.
        depth: seconds in which an empty bucket fills.
        policy: its item of the `RateLimit-Policy` field.
        quoted: its name as a structured field string.
        head: of an answer for which this is the only limit, up to the requests that are left.
        salt: tells the callers of one limit from those of another.
        rule: what it was made of.
    """

    label: str
    interval: float
    depth: float
    policy: bytes
    quoted: bytes
    head: bytes
    salt: int
    rule: Rule

    @classmethod
    def of(cls, rule: Rule) -> "Limit":
        """Make the limit of a rule."""
        interval = rule.window / rule.quota
        depth = interval * (rule.burst or rule.quota) + min(interval, 1.0) * _SLACK
        quoted = f'"{rule.label}"'.encode()
        policy = b"%b;q=%d;w=%d" % (quoted, rule.quota, rule.window)
        head = b"ratelimit-policy: %b\r\nratelimit: %b;r=" % (policy, quoted)
        return cls(rule.label, interval, depth, policy, quoted, head, hash(rule.label), rule)

    def state(self, backlog: float) -> bytes:
        """The limit's item of the `RateLimit` field: requests left, and seconds until there is one more.

        The fields are those of draft-ietf-httpapi-ratelimit-headers, revision 11.
        """
        return b"%b;r=%d;t=%d" % (self.quoted, *_left(self.depth - backlog, self.interval))

    def lines(self, backlog: float) -> bytes:
        """Both fields, as lines of the head of an answer for which this is the only limit."""
        return b"%b%d;t=%d\r\n" % (self.head, *_left(self.depth - backlog, self.interval))

    def wait(self, backlog: float) -> float:
        """Seconds until one more request fits."""
        return backlog + self.interval - self.depth

    def refusal(self, seconds: float) -> RateLimited:
        """What a client is told that has used it up, and may ask again in so many seconds."""
        after, rule = max(1, ceil(seconds)), self.rule
        scope = f" for model {rule.model}" if rule.model else ""
        return RateLimited(f"the limit of {rule.rate} per {rule.per}{scope} is used up; try again in {after} s", after)


def _left(free: float, interval: float) -> tuple[int, int]:
    """Requests that fit into so many seconds, and whole seconds until one more does."""
    left = int(free / interval)
    return left, ceil((left + 1) * interval - free)
