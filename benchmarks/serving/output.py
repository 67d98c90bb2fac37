"""Where results go: the table on standard output, rows as JSON, and a page that holds all of it."""

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson
from benchmarks.serving import contenders, environments, figures, report
from benchmarks.serving.contender import Contender
from benchmarks.serving.figures import Figure
from benchmarks.serving.race import Plan, Results

RESULTS = Path(__file__).parents[1] / "results"


def write(name: str, found: report.Report, results: Results, plan: Plan, judged: Sequence[Figure]) -> None:
    """Print, and write `<name>.json` (the rows), `<name>-figures.json` (targets) and `<name>.txt` (all, to be read)."""
    refused = [f"{server}, {model}, {at}: {why}" for ((server, model), at), why in results.refused.items()]
    text = "\n\n".join(
        part
        for part in (
            _machine(plan.contenders),
            report.table(found.rows),
            figures.table(judged),
            report.noise(results, contenders.LIMIT.name),
            "\n".join(("spread", *report.spread(results))),
            "\n".join(("NOT REPORTED", *sorted(set(refused)))) if refused else "",
        )
        if part
    )
    sys.stdout.write(text + "\n")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
    pretty = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    (RESULTS / f"{name}.json").write_bytes(orjson.dumps(found.rows, option=pretty))
    (RESULTS / f"{name}-figures.json").write_bytes(orjson.dumps([one.as_json() for one in judged], option=pretty))


def _machine(taking_part: Sequence[Contender]) -> str:
    """What it ran on, and who took part at which version."""
    lines = [
        f"  {one.name}: {one.about}"
        + (f" ({', '.join(environments.PINNED[one.environment])})" if one.environment else "")
        for one in taking_part
    ]
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    head = f"{when}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.platform()}"
    return "\n".join((head, *lines))
