"""The picture of docs/performance.md: bars by hand, since six of them are not worth a library."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from tests.bench.runs import Results
from tests.bench.targets import DIRECT

PICTURE: Final = Path(__file__).parents[2] / "docs" / "performance.svg"


@dataclass(frozen=True)
class Panel:
    """A figure of one load, by target."""

    title: str
    table: str
    load: str
    key: str
    factor: float
    decimals: int = 0


PANELS: Final = (
    Panel("requests/s, 32 at a time (more is better)", "requests", "requests, c=32", "requests/s", 1),
    Panel("CPU us a request, 32 at a time (less is better)", "requests", "requests, c=32", "CPU", 1e6),
    Panel("tokens/s, 64 streams (more is better)", "streams", "streams, c=64", "tokens/s", 1),
    Panel("CPU us a token, 64 streams (less is better)", "streams", "streams, c=64", "CPU a token", 1e6, 1),
    Panel("added p50 ms, one at a time (less is better)", "requests", "requests, c=1", "added p50", 1e3, 2),
    Panel(
        "lag p99 ms, 256 streams at 20 ms a token (less is better)",
        "paced",
        "256 streams, a token each 20 ms",
        "lag p99",
        1e3,
        2,
    ),
)

_WIDTH, _LABEL, _ROW, _HEAD, _GAP = 460, 200, 20, 26, 20


def svg(results: dict[str, Results]) -> str:
    """Return the picture, of what was measured of its panels."""
    drawn = [(panel, bars) for panel in PANELS if (bars := _bars(panel, results))]
    height = max((len(bars) for _, bars in drawn), default=0) * _ROW + _HEAD + _GAP
    rows = (len(drawn) + 1) // 2
    size = f'width="{2 * _WIDTH}" height="{rows * height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for number, (panel, bars) in enumerate(drawn):
        x, y = number % 2 * _WIDTH + 8, number // 2 * height
        parts.append(f'<text x="{x}" y="{y + 17}" font-weight="bold">{escape(panel.title)}</text>')
        most = max(1e-9, *bars.values())
        for row, (name, value) in enumerate(bars.items()):
            top = y + _HEAD + row * _ROW
            long = max(value, 0) / most * (_WIDTH - _LABEL - 80)
            colour = "#1f6feb" if name.startswith("Portico") else "#8c959f"
            parts += [
                f'<text x="{x}" y="{top + 13}">{escape(name)}</text>',
                f'<rect x="{x + _LABEL}" y="{top + 2}" width="{long:.1f}" height="14" fill="{colour}"/>',
                f'<text x="{x + _LABEL + long + 5:.1f}" y="{top + 13}">{value:,.{panel.decimals}f}</text>',
            ]
    return "\n".join([*parts, "</svg>", ""])


def _bars(panel: Panel, results: dict[str, Results]) -> dict[str, float]:
    rows = results.get(panel.table, {}).get(panel.load, {})
    # Direct is no gateway: its CPU and what it adds are none.
    return {
        name: figures[panel.key] * panel.factor
        for name, figures in rows.items()
        if not isinstance(figures, str) and panel.key in figures and name != DIRECT
    }
