"""The layers of the request pipeline that settings turn on or size."""

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from model_service.api.compression import GzipRequests
from model_service.api.http import BodyLimit
from model_service.settings import Settings

GZIP_LEVEL = 4
"""JSON shrinks nearly as well as at 9, in a third of the time."""


def http_layers(settings: Settings) -> list[Middleware]:
    """Outermost first: what is refused by the inner ones still gets the outer ones' headers."""
    limits = [
        Middleware(BodyLimit, limit=settings.max_body_bytes),
        Middleware(GzipRequests, limit=settings.max_body_bytes),
    ]
    return [*_answers_compressed(settings), *_cors(settings), *limits]


def all_requests_may_be_plain(settings: Settings) -> bool:
    """Whether nothing that is turned on has a say about plain predict requests that `Express` does not ask itself."""
    far_addresses = settings.limits.rules and settings.trusted_proxies  # a layer of the server's finds those out
    return not (
        _answers_compressed(settings) or _cors(settings) or settings.log_input_fields or far_addresses
    )  # fmt: skip


def _answers_compressed(settings: Settings) -> list[Middleware]:
    if not settings.gzip_min_bytes:
        return []
    return [Middleware(GZipMiddleware, minimum_size=settings.gzip_min_bytes, compresslevel=GZIP_LEVEL)]


def _cors(settings: Settings) -> list[Middleware]:
    if not settings.cors_allow_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_allow_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("*",),
            expose_headers=("X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy"),
        )
    ]
