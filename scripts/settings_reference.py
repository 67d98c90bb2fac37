"""Write the tables of docs/settings.md from the code that reads the settings, so that they cannot fall behind it.

Each table stands between `<!-- settings: NAME -->` and `<!-- end -->`; the prose around them is written by hand.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from model_fetcher import settings as fetcher
from model_service import settings as service

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"
TABLE = re.compile(r"(<!-- settings: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Setting = tuple[str, Any, str]


def service_settings() -> Iterator[Setting]:
    """Name, default and meaning of each setting of the service."""
    for name, field in service.Settings.model_fields.items():
        yield f"{service.PREFIX}{name.upper()}", field.default, field.description or ""


def fetcher_settings() -> Iterator[Setting]:
    """Name, default and meaning of each setting of the fetcher."""
    defaults = {field.name: field.default for field in fields(fetcher.Settings)}
    for name, option in fetcher.OPTIONS.items():
        meaning = re.sub(r" \(default [^()]*\)$", "", option.help)
        yield f"{fetcher.PREFIX}{name.upper()}", defaults[name], f"{re.sub('^[a-z]+ ', _capital, meaning)}."
    yield fetcher.TERMINATION_PATH, fetcher.TERMINATION_LOG, "Where the reason of a failed fetch is written."


TABLES: dict[str, Callable[[], Iterable[Setting]]] = {"service": service_settings, "fetcher": fetcher_settings}


def render(page: str) -> str:
    """The page with each of its tables written anew."""

    def table(match: re.Match[str]) -> str:
        rows = "".join(
            f"| `{name}` | {_shown(default)} | {_cell(meaning)} |\n"
            for name, default, meaning in TABLES[match["name"]]()
        )
        return f"{match[1]}| name | default | meaning |\n|---|---|---|\n{rows}{match[3]}"

    return TABLE.sub(table, page)


def _capital(word: re.Match[str]) -> str:
    return word[0].capitalize()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")


def _shown(default: Any) -> str:
    text = f"{default:g}" if isinstance(default, float) else service.written(default)
    return f"`{text}`" if text else ""


def main() -> int:
    """Rewrite docs/settings.md; with --check, say whether that would change it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 when the page is stale")
    check = parser.parse_args().check
    found = PAGE.read_text(encoding="utf-8")
    wanted = render(found)
    if check and found != wanted:
        print(f"{PAGE} is stale: run python scripts/settings_reference.py")
        return 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
