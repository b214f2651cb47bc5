"""When two JSON texts mean the same, for everything that Portico takes in and gives out.

Members that are null are absent, and so are empty lists, and empty objects where the contract has a
map. 1 and 1.0 are one number. The order of members does not count. All else does.
"""

import json
from typing import Any

# Members that are maps in the contract.
MAPS = {"metadata", "logit_bias"}


def meaning(text: bytes | str) -> Any:
    """Return what a JSON text means, as something to compare."""
    return bare(json.loads(text))


def bare(value: Any) -> Any:
    """Leave out what means the same as absent."""
    if isinstance(value, list):
        return [bare(each) for each in value]
    if isinstance(value, dict):
        members = {name: bare(each) for name, each in value.items()}
        return {name: each for name, each in members.items() if not _absent(name, each)}
    return value


def _absent(name: str, value: Any) -> bool:
    return value is None or value == [] or (name in MAPS and value == {})
