"""docs/mission.md names tests that exist, and leaves out no row."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs/mission.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
NAMED = sorted(set(re.findall(r"`(\S+\.py)::(\w+)`", PAGE)))


def test_every_row_is_there_with_its_state() -> None:
    assert [int(number) for number, *_ in ROWS] == list(range(1, 34))
    for number, _, tests, state in ROWS:
        assert re.match(r"proved$|partly: |not yet: ", state), number
        assert ("::" in tests) is not state.startswith("not yet"), number


@pytest.mark.parametrize(("file", "name"), NAMED, ids=["::".join(each) for each in NAMED])
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    functions = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name in functions
