"""What a request and a token cost stays below limits that are counted, not timed: calls, writes, messages."""

from dataclasses import asdict
from typing import Final

import pytest

from tests.bench.counts import LAYOUTS, Counts, counts_of

# A tenth above what was counted, of tokens a twentieth. `scripts/bench --count` counts anew and prints these
# lines.
LIMITS: Final = {
    ("in process", "request"): Counts(596, 1.1, 1.1, 0.1, 0.1, 2.5),
    ("in process", "stream of one token"): Counts(1052, 3.1, 1.1, 0.1, 0.1, 2.5),
    ("in process", "token"): Counts(88, 1.1, 0.1, 0.1, 0.1, 0.5),
    ("in process", "16 tokens at once"): Counts(231, 1.1, 0.1, 0.1, 0.1, 0.5),
    ("linked", "request"): Counts(804, 1.1, 1.1, 1.1, 1.1, 2.5),
    ("linked", "stream of one token"): Counts(1354, 3.1, 1.1, 2.1, 1.1, 2.5),
    ("linked", "token"): Counts(160, 1.1, 0.1, 1.1, 0.1, 0.5),
    ("linked", "16 tokens at once"): Counts(303, 1.1, 0.1, 1.1, 0.1, 0.5),
    ("RPCs", "request"): Counts(854, 1.1, 1.1, 1.1, 1.1, 2.5),
    ("RPCs", "stream of one token"): Counts(1389, 3.1, 1.1, 2.1, 1.1, 2.5),
    ("RPCs", "token"): Counts(102, 1.1, 0.1, 1.1, 0.1, 0.5),
    ("RPCs", "16 tokens at once"): Counts(246, 1.1, 0.1, 1.1, 0.1, 0.5),
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
