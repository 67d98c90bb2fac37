"""Aligned text tables."""

from collections.abc import Sequence

GAP = "  "


def table(rows: Sequence[Sequence[object]], header: Sequence[str] = ()) -> str:
    """Align columns to the left, under a header and a rule when there is one."""
    lines = [[str(cell) for cell in row] for row in ([header] if header else []) + list(rows)]
    if not lines:
        return ""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    if header:
        lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def human_size(count: float) -> str:
    """Bytes as people read them."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"
