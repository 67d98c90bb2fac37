"""Write .env.example from the settings, so that it cannot fall behind them."""

import textwrap
from pathlib import Path

from model_service.settings import FIELDS, PREFIX, written

HEADER = """\
# Settings of the service: copy to .env and take the '#' off the lines you change.
# Order of precedence: code defaults < config.yaml < .env < environment < command line.
"""


def main() -> None:
    """Rewrite .env.example in the root of the repository."""
    lines = [HEADER]
    for name, field in FIELDS.items():
        lines += [*textwrap.wrap(field.description or "", 110, initial_indent="# ", subsequent_indent="# ")]
        lines += [f"# {PREFIX}{name.upper()}={written(field.default)}", ""]
    Path(".env.example").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
