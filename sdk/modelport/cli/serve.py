"""`modelport serve`: anything that holds a model, answering over HTTP on this machine."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from modelport.cli.children import forwarding_signals
from modelport.cli.fetch import fetch_arguments
from modelport.cli.group import Command
from modelport.cli.places import Place, fetched_place, find_place

EXIT_CODES = {3: "the model can never be served", 10: "and above: as `modelport fetch`"}
EXAMPLES = (
    "modelport serve models",
    "modelport serve model.joblib --port 8080",
    "modelport serve gs://models/churn/3 --digest sha256:9f86d081884c7d65... --workers 2",
)


@click.command(
    "serve",
    cls=Command,
    examples=EXAMPLES,
    exit_codes=EXIT_CODES,
)
@click.argument("model", metavar="PATH|URI")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 8000 unless a setting says otherwise.")
@click.option("--host", help="Address to listen on; 127.0.0.1 unless a setting says otherwise.")
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes.")
@click.option("--name", help="Model to serve from a root of several, or the name of a bare file.")
@click.option("--model-version", help="Version to serve; the highest when left out.")
@click.option("--digest", metavar="sha256:HEX", help="Pin of the bundle: nothing else is served.")
@click.option("--sha256", metavar="HEX", help="Pin of a bare model file.")
@click.option("--root", type=click.Path(path_type=Path), help="Keep what is fetched here, not in a temporary place.")
@click.option("--debug", is_flag=True, help="One worker that reloads when the service's code changes.")
@click.pass_context
def command(ctx: click.Context, /, model: str, root: Path | None, **options: str | int | None) -> None:
    """Serve a model on this machine.

    PATH is a model root, a bundle, a directory of versions, or a bare model file. You named it, so it is trusted:
    pickles in it are loaded, which runs their code. A URI (anything with ://) is fetched first and not trusted: its
    pickles are refused unless --digest or --sha256 pins them.
    """
    trusted = "://" not in model
    place = find_place(Path(model)) if trusted else None
    with ExitStack() as stack:
        children = stack.enter_context(forwarding_signals())
        if place is None:
            kept = root or Path(stack.enter_context(TemporaryDirectory(prefix="modelport-")))
            code, outcome = children.read("model_fetcher", _fetch_arguments(model, kept, options))
            if code:
                ctx.exit(code)
            place = fetched_place(outcome)
        click.echo(_trust(model, trusted, pinned=bool(options["digest"] or options["sha256"])), err=True)
        ctx.exit(children.run("model_service", _flags(options), _environment(place, options, trusted=trusted)))


def _fetch_arguments(source: str, root: Path, options: dict[str, str | int | None]) -> list[str]:
    wanted = {"digest": "digest", "sha256": "sha256", "name": "name", "version": "model_version"}
    given = {flag: _text(options[name]) for flag, name in wanted.items()}
    return fetch_arguments(source, str(root), given)


def _trust(model: str, trusted: bool, *, pinned: bool) -> str:
    if trusted:
        return f"{model} is yours, so it is trusted: pickles in it may be loaded (MODELPORT_ALLOW_PICKLE=true)"
    if pinned:
        return f"{model} is what you pinned"
    return f"{model} is not trusted: pickles are refused; pin it with --digest or --sha256 to allow them"


def _flags(options: dict[str, str | int | None]) -> list[str]:
    given = [(name, _text(options[name])) for name in ("host", "port", "workers")]
    flags = [part for name, value in given if value is not None for part in (f"--{name}", value)]
    return [*flags, "--debug"] if options["debug"] else flags


def _environment(place: Place, options: dict[str, str | int | None], *, trusted: bool) -> dict[str, str]:
    settings = {
        "MODEL_ROOT": str(place.root),
        "MODEL_NAME": _text(options["name"]) or place.name,
        "MODEL_VERSION": _text(options["model_version"]) or place.version,
        "MODEL_DIGEST": _text(options["digest"]),
        "MODEL_SHA256": _text(options["sha256"]),
        "ALLOW_PICKLE": str(trusted).lower(),
    }
    return {f"MODELPORT_{name}": value for name, value in settings.items() if value is not None}


def _text(value: str | int | None) -> str | None:
    return None if value is None else str(value)
