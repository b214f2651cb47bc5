"""The Python programs of the documentation's pages, run as a reader would run them."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def programs(page: str) -> list[str]:
    """Return the Python blocks of a page, whose path begins at the root of the repository."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run(
    *command: str, cwd: Path, said: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python with arguments to its end; a warning is an error, and the environment is ``env`` alone."""
    return subprocess.run(
        (sys.executable, "-W", "error", *command),
        cwd=cwd,
        input=said,
        env={"PATH": "", **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
