"""What a request and a token cost stays below limits that are counted, not timed: calls, writes, messages."""

from dataclasses import asdict
from typing import Final

import pytest

from tests.bench.counts import LAYOUTS, Counts, counts_of

# A tenth above what was counted. `scripts/bench --count` counts anew and prints these lines.
LIMITS: Final = {
    ("in process", "request"): Counts(1128, 1.1, 1.1, 0.1, 0.1, 2.5),
    ("in process", "stream of one token"): Counts(1437, 3.1, 1.1, 0.1, 0.1, 2.5),
    ("in process", "token"): Counts(102, 1.1, 0.1, 0.1, 0.1, 0.5),
    ("in process", "16 tokens at once"): Counts(466, 1.1, 0.1, 0.1, 0.1, 0.5),
    ("linked", "request"): Counts(1361, 1.1, 1.1, 1.1, 1.1, 2.5),
    ("linked", "stream of one token"): Counts(1750, 3.1, 1.1, 2.1, 1.1, 2.5),
    ("linked", "token"): Counts(176, 1.1, 0.1, 1.1, 0.1, 0.5),
    ("linked", "16 tokens at once"): Counts(540, 1.1, 0.1, 1.1, 0.1, 0.5),
    ("RPCs", "request"): Counts(1389, 1.1, 1.1, 1.1, 1.1, 2.5),
    ("RPCs", "stream of one token"): Counts(1778, 3.1, 1.1, 2.1, 1.1, 2.5),
    ("RPCs", "token"): Counts(120, 1.1, 0.1, 1.1, 0.1, 0.5),
    ("RPCs", "16 tokens at once"): Counts(475, 1.1, 0.1, 1.1, 0.1, 0.5),
}


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_no_request_and_no_token_costs_more_than_it_did(layout: str) -> None:
    """The token path is the product: what is added to it by mistake is to be seen before it is measured."""
    for what, found in (await counts_of(layout)).items():
        limit = asdict(LIMITS[layout, what])
        over = {name: (value, limit[name]) for name, value in asdict(found).items() if value > limit[name]}
        assert not over, (
            f"{layout}, {what}: counted and allowed: {over}. If that is meant, raise the limit in its line "
            "of LIMITS (`scripts/bench --count` prints the lines) and say why in the commit."
        )
