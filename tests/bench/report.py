"""What was measured as Markdown, and in docs/performance.md."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.bench.runs import Figures, Results
from tests.bench.tables import Column, Table

#: Characters of why something failed.
_LONGEST: Final = 160
PAGE: Final = Path(__file__).parents[2] / "docs" / "performance.md"


def markdown(table: Table, results: Results, conditions: str) -> str:
    """Return a section of the page."""
    parts = [f"## {table.heading}", " ".join(filter(None, (table.notes, conditions)))]
    if table.across:
        parts += [_grid(each.title, list(results), _across(results, each)) for each in table.columns]
    elif len(results) > 1 and all(len(rows) == 1 for rows in results.values()):
        # One row each: one table of them all.
        rows = {load: next(iter(found.values())) for load, found in results.items()}
        parts.append(_rows("", table.columns, rows))
    else:
        parts += [_rows(load, table.columns, rows) for load, rows in results.items()]
    failed = {name: why for rows in results.values() for name, why in rows.items() if isinstance(why, str)}
    parts += [f"{name} failed: {_line(why)}" for name, why in failed.items()]
    return "\n\n".join(parts) + "\n"


def _rows(corner: str, columns: tuple[Column, ...], rows: dict[str, Figures | str]) -> str:
    # What nobody has: no stream has a first token here.
    told = [
        each
        for each in columns
        if any(each.key in figures for figures in rows.values() if not isinstance(figures, str))
    ]
    cells = {name: [_cell(column, figures) for column in told] for name, figures in rows.items()}
    return _grid(corner, [column.title for column in told], cells)


def _across(results: Results, column: Column) -> dict[str, list[str]]:
    names = next(iter(results.values()))
    return {name: [_cell(column, rows[name]) for rows in results.values()] for name in names}


def _cell(column: Column, figures: Figures | str) -> str:
    if isinstance(figures, str):
        return "failed"
    if column.key not in figures:
        return ""
    return f"{figures[column.key] * column.factor:,.{column.decimals}f}"


def _line(why: str) -> str:
    """Return as much of a reason as a line of the page holds, and nothing that Markdown reads."""
    words = " ".join(why.split()).replace("`", "'")
    return f"`{words[:_LONGEST]}{'…' * (len(words) > _LONGEST)}`"


def _grid(corner: str, titles: list[str], rows: dict[str, list[str]]) -> str:
    lines = [f"| {corner} | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    return "\n".join(lines)


def rewritten(page: str, sections: Iterable[tuple[str, str]]) -> str:
    """Return a page with other text between the marks of each section. Raises ValueError without marks."""
    for name, text in sections:
        begin, end = (f"<!-- made by scripts/bench: {name}: {edge} -->" for edge in ("begin", "end"))
        pattern = re.compile(f"({re.escape(begin)}\n).*?({re.escape(end)})", re.DOTALL)
        if not pattern.search(page):
            raise ValueError(f"{PAGE.name} has no marks for {name}: {begin} … {end}")
        page = pattern.sub(lambda match, text=text: match[1] + text + match[2], page)  # type: ignore[misc]
    return page
