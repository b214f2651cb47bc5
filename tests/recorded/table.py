"""docs/providers.md, made of the recorded exchanges: what of each provider is proved, and how often.

``python -m tests.recorded.table`` writes the page. ``test_recorded`` holds what it says of agreement:
every case agrees but those that ``providers`` lists.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec.json import encode

from tests.recorded.outcome import Outcome
from tests.recorded.providers import PROVIDERS, Provider
from tests.support.corpus import Case, cases
from tests.support.replay import replay

PAGE: Final = Path(__file__).parents[2] / "docs" / "providers.md"

_HEAD: Final = """\
# Providers

How faithfully each provider's answers arrive. Every recorded exchange of a kind that Portico serves is read
by the provider's own official SDK and by Portico's adapter, which gets the body whole, in pieces of 64 bytes
and byte by byte; both must tell the same text, reasoning, tool calls, finish reasons, usage, vectors and
errors. A cell has the cases of a feature that agree, of all there are; an empty one has no case.

What callers are sent of the same chats is held against OpenAI's API, without exception: its document and the
strict models of its SDK accept every whole answer, chunk and error, and the SDK's `stream()` puts the chunks
together to what the whole answer says. Members that OpenAI does not have are carried, and not compared.

This page is made by `scripts/providers` ([how](../tests/recorded/README.md)).
"""

# A structured answer or an image in a request, in the words of any dialect.
_STRUCTURED: Final = re.compile(
    rb'"(response_?[fF]ormat|response_?(Json)?_?[sS]chema|responseJsonSchema|responseMimeType|textFormat)":'
    rb'|"output_config":\{[^{}]*"format"|"format":(\{|"json")|"type":"json_(object|schema)"'
)
_IMAGE: Final = re.compile(rb'"type":"(input_)?image(_url)?"|"image":\{|"images":\[|"mime_?[tT]ype":"image/')


def _asks(pattern: re.Pattern[bytes]) -> Callable[[Case, Outcome], bool]:
    return lambda case, _: bool(pattern.search(encode(case.request)))


def _most_calls(outcome: Outcome) -> int:
    return max((len(choice.tool_calls) for choice in outcome.choices), default=0)


def _reasons(outcome: Outcome) -> bool:
    told = outcome.usage is not None and outcome.usage.reasoning > 0
    return told or any(choice.reasoning for choice in outcome.choices)


_FEATURES: Final[Mapping[str, Callable[[Case, Outcome], bool]]] = {
    "text": lambda _, outcome: any(choice.text for choice in outcome.choices),
    "stream": lambda case, _: bool(case.stream),
    "tools": lambda _, outcome: _most_calls(outcome) > 0,
    "parallel": lambda _, outcome: _most_calls(outcome) > 1,
    "structured": _asks(_STRUCTURED),
    "images": _asks(_IMAGE),
    "reasoning": lambda _, outcome: _reasons(outcome),
    "usage": lambda _, outcome: outcome.usage is not None,
    "errors": lambda _, outcome: outcome.error is not None,
}

Judged = Iterable[tuple[Case, Outcome]]


def judged() -> list[tuple[Case, Outcome]]:
    """Return every case that is served, with what its judge makes of it."""
    found = []
    with replay(*PROVIDERS, chunk="all") as url:
        for case in cases():
            provider = PROVIDERS[case.provider]
            kind = provider.kind_of(case)
            if kind and provider.judge:
                found.append((case, provider.judge(f"{url}/@{case.name}", case, kind)))
    return found


def page(found: Judged) -> str:
    """Return the page for cases and what their judges made of them."""
    told: dict[str, list[tuple[Case, Outcome]]] = {name: [] for name in PROVIDERS}
    for case, outcome in found:
        told[case.provider].append((case, outcome))
    columns = ("provider", "judge", "all", *_FEATURES)
    lines = [_row(columns), _row("---" for _ in columns)]
    lines += [_row(_cells(name, told[name])) for name in PROVIDERS if told[name]]
    return "\n".join([_HEAD, *lines, "", *_differences(), "", *_not_served(), ""])


def _cells(name: str, found: list[tuple[Case, Outcome]]) -> list[str]:
    provider = PROVIDERS[name]
    chosen = [[case for case, outcome in found if has(case, outcome)] for has in _FEATURES.values()]
    return [
        name,
        provider.judged_by,
        *(_cell(provider, some) for some in [[case for case, _ in found], *chosen]),
    ]


def _cell(provider: Provider, some: list[Case]) -> str:
    agreeing = sum(case.name not in provider.differs for case in some)
    return f"{agreeing}/{len(some)}" if some else ""


def _differences() -> list[str]:
    counted = Counter(
        (name, reason) for name, provider in PROVIDERS.items() for reason in provider.differs.values()
    )
    lines = [f"- {name}, {_cases(count)}: {reason}." for (name, reason), count in counted.items()]
    return ["## What differs", "", *(lines or ["Nothing."])]


def _not_served() -> list[str]:
    """Return the kinds of recorded calls that Portico does not serve, with the reasons."""
    counted: Counter[tuple[str, Any]] = Counter(
        (case.provider, PROVIDERS[case.provider].why_not(case))
        for case in cases()
        if PROVIDERS[case.provider].kind_of(case) is None
    )
    lines = [_row([name, reason, str(count)]) for (name, reason), count in counted.items()]
    return ["## Recorded, and not served", "", _row(["provider", "what", "cases"]), _row(["---"] * 3), *lines]


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(judged()), encoding="utf-8")
