"""Pages of the documentation with parts that are written from the code, so that they cannot fall behind it.

A part stands between `<!-- KIND: NAME -->` and `<!-- end -->`; the prose around it is written by hand.
"""

import argparse
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
PART = re.compile(r"(<!-- (?P<part>\w+: \w+) -->\n).*?(<!-- end -->)", re.DOTALL)
Parts = Mapping[str, Callable[[], str]]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; cells are written as they are."""
    head, *lines = (f"| {' | '.join(row)} |\n" for row in (heads, *rows))
    return f"{head}|{'---|' * len(heads)}\n{''.join(lines)}"


def cell(text: str) -> str:
    """Text that stays in its cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "\\<")


def rewrite(about: str | None, program: str, pages: Mapping[Path, Parts]) -> int:
    """Write each page's parts anew; with --check on the command line, say instead whether that would change a page."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 when a page is stale")
    check = parser.parse_args().check
    for path, parts in pages.items():
        found = path.read_text(encoding="utf-8")
        wanted = PART.sub(lambda match, parts=parts: f"{match[1]}{parts[match['part']]()}{match[3]}", found)
        if check and found != wanted:
            print(f"{path} is stale: run python scripts/{program}")
            return 1
        path.write_text(wanted, encoding="utf-8")
    return 0
