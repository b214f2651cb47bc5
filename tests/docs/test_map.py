"""CONTRIBUTING.md leads newcomers to places that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_place_of_the_map_exists() -> None:
    """A name stands for a module or a folder of the package that its part of the table is about."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \|(.*)\|$", text.split("Where a change goes")[1], re.MULTILINE)
    package = ROOT
    named = 0
    for about, where in rows:
        if about.startswith("**"):
            package = ROOT / about.strip("*`")
            assert package.is_dir(), about
        for name in re.findall(r"`([^`]+)`", where):
            named += 1
            places = (name, f"{name}.py", f"cli/{name}.py", f"anthropic/{name}.py")
            assert any(any(package.glob(place.rstrip("/"))) for place in places), f"{package.name}: {name}"
    assert named > 50
