"""Names as Converse takes them: of documents, and of tool calls. Pure."""

import re
from hashlib import sha256
from typing import Final

_ENDING: Final = re.compile(r"\.[A-Za-z0-9]{1,8}$")
# "Alphanumeric characters, whitespace (no more than one in a row), hyphens, parentheses, square brackets."
_UNNAMABLE: Final = re.compile(r"[^A-Za-z0-9()\[\]-]+")
_MOST: Final = 200

# botocore's model of the service: ToolUseId.
_TOOL_USE_ID: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_UNUSUAL: Final = re.compile(r"[^a-zA-Z0-9_.:-]")


class DocumentNames:
    """Names the documents of one request, each otherwise: Converse refuses two of one name."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, filename: str) -> str:
        """Return the name of a document that the caller calls ``filename``."""
        wanted = _UNNAMABLE.sub(" ", _ENDING.sub("", filename)).strip()[:_MOST].strip() or "document"
        name, number = wanted, 1
        while name in self._taken:
            number += 1
            ending = f" ({number})"
            name = wanted[: _MOST - len(ending)].rstrip() + ending
        self._taken.add(name)
        return name


def tool_use_id(id_: str) -> str:
    """Return the id of a tool call as Converse takes it, the same for the call and for its result.

    Its own ids stay as they are. Others are longer or have other characters: they are cut, and a hash of
    the whole keeps them apart.
    """
    if _TOOL_USE_ID.fullmatch(id_):
        return id_
    return f"{_UNUSUAL.sub('_', id_)[:40]}-{sha256(id_.encode()).hexdigest()[:20]}"
