"""A bundle as people read it: titled tables."""

from collections.abc import Iterator, Sequence

from model_artifact.bundle import Bundle
from model_artifact.manifest import Format
from model_artifact.signature import Feature, Signature
from modelport.cli.measure import HTTP_SERVER, LIMIT_FACTOR, SUPERVISOR, Measurement, Resources, golden_rows
from modelport.cli.table import human_size, table

SHOWN_CATEGORIES = 6
_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def describe(bundle: Bundle, measurements: Sequence[Measurement], resources: Resources | None) -> str:
    """Every section that has something to say."""
    manifest = bundle.manifest
    sections = [
        ("", table(list(_identity(bundle)))),
        ("Files", table([(item.path, human_size(item.size), item.sha256[:12]) for item in manifest.files], _FILES)),
        ("Formats", table([_format(item) for item in manifest.formats], _FORMATS)),
        *_signature(manifest.signature),
        ("Measured", table([_measured(item) for item in measurements], _MEASURED) if measurements else ""),
        ("Resources", _resources(resources) if resources else ""),
    ]
    return "\n\n".join(f"{title}\n{text}".strip() for title, text in sections if text)


_FILES = ("path", "size", "sha256")
_FORMATS = ("kind", "precision", "rows compared", "largest error", "agreement")
_FEATURES = ("name", "dtype", "takes", "null", "default", "description")
_MEASURED = ("format", "load", "single row", "peak memory", "")


def _identity(bundle: Bundle) -> Iterator[tuple[str, object]]:
    manifest = bundle.manifest
    yield "name", manifest.name
    yield "version", manifest.version
    yield "digest", bundle.digest
    yield "created", manifest.created
    yield "origin", manifest.origin
    if (framework := manifest.framework) is not None:
        yield "fitted with", f"{framework.library} {framework.version}, Python {framework.python}"
    yield "golden rows", len(golden_rows(bundle))
    yield "baseline", manifest.baseline or "none"
    yield "hooks", manifest.hooks or "none"
    yield from ((f"metadata {key}", value) for key, value in manifest.metadata.items())


def _format(item: Format) -> tuple[object, ...]:
    if item.parity is None:
        return item.kind, item.precision or "", "", "", ""
    parity = item.parity
    return item.kind, item.precision or "", parity.rows, f"{parity.max_error:.1e}", f"{parity.agreement:.2%}"


def _signature(signature: Signature | None) -> Iterator[tuple[str, str]]:
    if signature is None:
        yield "Signature", "not known: a bare file does not carry one"
        return
    outputs = ", ".join(f"{item.name}: {item.dtype}{list(item.shape) or ''}" for item in signature.outputs)
    yield "Task", f"{signature.task}, {signature.layout} of {len(signature.inputs)} features -> {outputs}"
    yield "Features", table([_feature(feature) for feature in signature.inputs], _FEATURES)
    classes = list(zip(signature.classes, signature.labels, strict=True))
    yield "Classes", table(classes, ("value", "label")) if classes else ""
    yield "Rules", table([(rule.expr, rule.message) for rule in signature.rules])


def _feature(feature: Feature) -> tuple[object, ...]:
    default = f"= {feature.computed}" if feature.computed is not None else feature.default
    return (
        feature.name,
        feature.dtype,
        _takes(feature),
        "yes" if feature.nullable else "no",
        "" if default is None else default,
        feature.description,
    )


def _takes(feature: Feature) -> str:
    bounds = [
        f"{sign} {getattr(feature, name):g}" for name, sign in _SIGNS.items() if getattr(feature, name) is not None
    ]
    if feature.categories is None:
        return ", ".join(bounds) or "any"
    more = len(feature.categories) - SHOWN_CATEGORIES
    shown = " | ".join(str(category) for category in feature.categories[:SHOWN_CATEGORIES])
    return f"{shown} | {more} more" if more > 0 else shown


def _measured(item: Measurement) -> tuple[str, ...]:
    return (
        item.format,
        "" if item.load_seconds is None else f"{item.load_seconds:.2f} s",
        "" if item.single_row_seconds is None else f"{item.single_row_seconds * 1000:.3f} ms",
        "" if item.peak_rss_bytes is None else human_size(item.peak_rss_bytes),
        item.note,
    )


def _resources(resources: Resources) -> str:
    server, supervisor = human_size(HTTP_SERVER), human_size(SUPERVISOR)
    rows = [
        ("requests.cpu", resources.cpu_request, "one for each worker"),
        (
            "requests.memory",
            resources.memory_request,
            f"workers x (peak memory + {server} for HTTP) + {supervisor} for their supervisor, rounded up",
        ),
        ("limits.memory", resources.memory_limit, f"{LIMIT_FACTOR} x the request, for large requests and batches"),
    ]
    workers = f"{resources.workers} worker{'s'[: resources.workers > 1]}"
    return f"for a pod of {workers}; measure again under your own traffic\n{table(rows)}"
