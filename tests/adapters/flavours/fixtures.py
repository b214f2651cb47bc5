"""What the tests of the flavours share: the files of wire text."""

from pathlib import Path
from typing import Final

WIRE: Final = Path(__file__).parents[1] / "wire" / "flavours"

#: One name per pair of answers: NAME.json is the whole one, NAME.txt says the same as a stream.
ANSWERS: Final = sorted(file.stem for file in WIRE.glob("*.txt"))


def read(name: str) -> bytes:
    """Return the text of a file."""
    return (WIRE / name).read_bytes()
