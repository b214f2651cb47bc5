"""One value of a configuration, which knows its place in the file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import yaml

from portico.config.mistakes import ConfigError

#: What the tags of YAML's own types begin with; those of others mean nothing here.
PLAIN_TAGS: Final = "tag:yaml.org,2002:"
_NULL: Final = PLAIN_TAGS + "null"

# YAML ends a plain text in `{key: ${VARIABLE}}` at the inner brace. While YAML reads, the braces of
# variables are two characters that nobody writes; as the length stays, so do the places.
_VARIABLE: Final = re.compile(r"\$\{[^{}\n]*\}")
_MASK: Final = str.maketrans("{}", "\ue000\ue001")
#: Takes the mask off what YAML has read.
UNMASK: Final = str.maketrans("\ue000\ue001", "{}")

_REFERENCE: Final = re.compile(r"\$(?:\$|\{(?P<name>\w*)(?::-(?P<default>[^{}]*))?\}|\{)", re.ASCII)
_SIMPLE_KEY: Final = re.compile(r"[^.\s\[\]\"]+")


def masked(text: str) -> str:
    """Return a text of YAML with the braces of its variables masked."""
    return _VARIABLE.sub(lambda match: match[0].translate(_MASK), text)


@dataclass(frozen=True, slots=True)
class Document:
    """What all values of a text share."""

    file: str
    environ: Mapping[str, str]
    #: What to call each line instead of file and number. Empty: nothing else.
    places: Sequence[str] = ()


class Node:
    """One value of the file. Variables are looked up when a text is read, not before."""

    __slots__ = ("_document", "_raw", "key", "line")

    def __init__(
        self, document: Document, raw: yaml.Node, key: str, named_by: yaml.Node | None = None
    ) -> None:
        self._document = document
        self._raw = raw
        #: Its place in the tree, such as ``backends.local.models[0]``; empty for the whole file.
        self.key = key
        #: The line of its name, or that it starts on where it has none; from 1.
        self.line = int((named_by or raw).start_mark.line) + 1

    @property
    def place(self) -> str:
        """Return file and line, as ``portico.yaml:7``, or what the line is called."""
        places = self._document.places
        return places[self.line - 1] if places else f"{self._document.file}:{self.line}"

    @property
    def absent(self) -> bool:
        """Tell whether nothing, or null, is written here."""
        return self._raw.tag == _NULL

    @property
    def is_mapping(self) -> bool:
        return isinstance(self._raw, yaml.MappingNode)

    @property
    def is_list(self) -> bool:
        return isinstance(self._raw, yaml.SequenceNode)

    @property
    def found(self) -> str:
        """Return what is written, for messages: as in the file, so that variables keep their values."""
        if self.absent:
            return "nothing"
        if isinstance(self._raw, yaml.ScalarNode):
            text = str(self._raw.value).translate(UNMASK)
            return text if len(text) <= 60 else text[:59] + "…"
        return "a mapping" if self.is_mapping else "a list"

    def error(self, problem: str, remedy: str = "") -> ConfigError:
        """Return the error for a mistake at this place. ``problem`` has no full stop, ``remedy`` has one."""
        key = f"{self.key}: " if self.key else ""
        return ConfigError(f"{self.place}: {key}{problem}" + (f". {remedy}" if remedy else ""))

    def members(self) -> dict[str, "Node"]:
        """Return the members of a mapping; a name that stands there twice is an error."""
        if self.absent:
            return {}
        if not isinstance(self._raw, yaml.MappingNode):
            raise self.error(f"expected a mapping (name: value), found {self.found}")
        members: dict[str, Node] = {}
        for raw_key, raw_value in self._raw.value:
            name = raw_key.value.translate(UNMASK) if isinstance(raw_key, yaml.ScalarNode) else None
            if not name:
                raise Node(self._document, raw_key, self.key).error("a name is not a plain text", "Quote it.")
            key = f"{self.key}.{_quoted(name)}" if self.key else _quoted(name)
            if name in members:
                again = Node(self._document, raw_key, key)
                raise again.error(f"stands here for the second time, first on line {members[name].line}")
            members[name] = Node(self._document, raw_value, key, raw_key)
        return members

    def items(self) -> list["Node"]:
        """Return the items of a list."""
        if not isinstance(self._raw, yaml.SequenceNode):
            raise self.error(f"expected a list, found {self.found}")
        return [
            Node(self._document, raw, f"{self.key}[{index}]") for index, raw in enumerate(self._raw.value)
        ]

    def text(self) -> str:
        """Return a scalar as it is written (a number or a date too), with its variables filled in."""
        if self.absent or not isinstance(self._raw, yaml.ScalarNode):
            raise self.error(f"expected a text, found {self.found}")
        return _REFERENCE.sub(self._filled_in, self._raw.value.translate(UNMASK))

    def _filled_in(self, match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if match[0] == "$$":
            return "$"
        if not name or name[0].isdigit():
            raise self.error(
                f"found {self.found}, where ${{ does not begin a variable",
                "Write ${NAME} or ${NAME:-default}; $$ stands for a dollar sign.",
            )
        # Empty is as good as unset, as in a shell: a compose file passes unset variables on as empty ones.
        filled = self._document.environ.get(name) or default
        if filled is None:
            state = "empty" if name in self._document.environ else "not set"
            raise self.error(
                f"the environment variable {name} is {state}", f"Set it, or write ${{{name}:-default}}."
            )
        return filled


def _quoted(name: str) -> str:
    return name if _SIMPLE_KEY.fullmatch(name) else f'"{name}"'
