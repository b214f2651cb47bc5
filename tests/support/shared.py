"""Data that tests share but the repository does not hold: recorded provider traffic and an engine."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("PORTICO_SHARED") or Path(__file__).parents[3] / "shared")


def shared(*parts: str) -> Path:
    """Return a path of the shared data; skip the test where it is absent, fail it in CI."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        reason = f"{path} is absent; PORTICO_SHARED names the folder of the shared data"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path
