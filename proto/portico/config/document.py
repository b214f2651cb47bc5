"""A YAML file as a tree of values that know their place, so that every mistake is told with its line."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

import yaml

# A configuration is written by hand; what is larger is a mistake or an attack.
_MAX_BYTES: Final = 1 << 20
#: Values counted as often as an alias repeats them, which stops bombs of aliases within aliases.
_MAX_VALUES: Final = 50_000

_PLAIN_TAGS: Final = "tag:yaml.org,2002:"
_NULL: Final = _PLAIN_TAGS + "null"

# YAML ends a plain text in `{key: ${VARIABLE}}` at the inner brace. While YAML reads, the braces of
# variables are two characters that nobody writes; as the length stays, so do the places.
_VARIABLE: Final = re.compile(r"\$\{[^{}\n]*\}")
_MASK: Final = str.maketrans("{}", "\ue000\ue001")
_UNMASK: Final = str.maketrans("\ue000\ue001", "{}")

_REFERENCE: Final = re.compile(r"\$(?:\$|\{(?P<name>\w*)(?::-(?P<default>[^{}]*))?\}|\{)", re.ASCII)
#: What messages call a mapping.
_MAPPING: Final = "the configuration"
_SIMPLE_KEY: Final = re.compile(r"[^.\s\[\]\"]+")

#: A configuration file, or what would stand in one.
Source: TypeAlias = Path | Mapping[str, Any]


class ConfigError(Exception):
    """Mistakes in the configuration, a line for each: file, line of the file, key, problem, remedy."""


class Mistakes:
    """Collects the mistakes of ``with`` blocks, so that all are told at once."""

    def __init__(self) -> None:
        self._messages: list[str] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, ConfigError):
            self._messages.append(str(error))
        return isinstance(error, ConfigError)

    def add(self, mistake: ConfigError) -> None:
        """Collect a mistake that stops nothing else."""
        self._messages.append(str(mistake))

    def report(self) -> None:
        """Raise what was collected, if anything was."""
        if self._messages:
            # A file that is no YAML fails all of its readers in the same words.
            raise ConfigError("\n".join(dict.fromkeys(self._messages)))


@dataclass(frozen=True, slots=True)
class _Document:
    file: str
    environ: Mapping[str, str]
    #: What to call each line instead of file and number. Empty: nothing else.
    places: Sequence[str] = ()


class Node:
    """One value of the file. Variables are looked up when a text is read, not before."""

    __slots__ = ("_document", "_raw", "key", "line")

    def __init__(
        self, document: _Document, raw: yaml.Node, key: str, named_by: yaml.Node | None = None
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
            text = str(self._raw.value).translate(_UNMASK)
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
            name = raw_key.value.translate(_UNMASK) if isinstance(raw_key, yaml.ScalarNode) else None
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
        return _REFERENCE.sub(self._filled_in, self._raw.value.translate(_UNMASK))

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


def read(source: Source, environ: Mapping[str, str]) -> Node:
    """Read a configuration; raise ConfigError where it cannot be read or is not YAML.

    The texts of a mapping mean what they mean in a file: variables are filled in, durations have units.
    """
    if not isinstance(source, Path):
        return _parse_mapping(source, environ)
    path = source
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{path}: is larger than a configuration may be ({_MAX_BYTES:,} bytes)")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8. Save the file as UTF-8.") from None
    return parse(text, str(path), environ)


def _parse_mapping(given: Mapping[str, Any], environ: Mapping[str, str]) -> Node:
    try:
        # JSON is YAML. All of it is one line, which has no number worth telling.
        text = json.dumps(dict(given), ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{_MAPPING}: holds what YAML cannot: {error}") from None
    return parse(text, _MAPPING, environ, [_MAPPING])


def parse(text: str, file: str, environ: Mapping[str, str], places: Sequence[str] = ()) -> Node:
    """Return the root of a YAML text.

    ``file`` names it in messages; ``places``, one for each line, name what a line that is in no file
    comes from.
    """
    masked = _VARIABLE.sub(lambda match: match[0].translate(_MASK), text)
    try:
        raw = yaml.compose(masked, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        _raise_syntax(file, error)
    except yaml.reader.ReaderError as error:
        line = masked.count("\n", 0, error.position) + 1
        raise ConfigError(f"{file}:{line}: holds a character that YAML does not allow") from None
    except RecursionError:
        raise ConfigError(f"{file}: is nested too deeply") from None
    document = _Document(file, environ, places)
    if raw is None:
        raw = yaml.MappingNode(_PLAIN_TAGS + "map", [], yaml.Mark(file, 0, 0, 0, None, 0))
    _bound(document, raw)
    return Node(document, raw, "")


def _raise_syntax(file: str, error: yaml.MarkedYAMLError) -> NoReturn:
    mark = error.problem_mark or error.context_mark
    line = f":{mark.line + 1}" if mark is not None else ""
    problem = (error.problem or "cannot be read").translate(_UNMASK)
    context = f" ({error.context})" if error.context else ""
    raise ConfigError(f"{file}{line}: is not valid YAML: {problem}{context}") from None


def _bound(document: _Document, root: yaml.Node) -> None:
    """Refuse foreign tags, and trees that aliases make huge or endless."""
    stack, count = [root], 0
    while stack:
        raw = stack.pop()
        count += 1
        if count > _MAX_VALUES:
            raise Node(document, raw, "").error(f"the file holds more than {_MAX_VALUES:,} values")
        if not raw.tag.startswith(_PLAIN_TAGS):
            raise Node(document, raw, "").error(f"the tag {raw.tag} means nothing here", "Leave it out.")
        if isinstance(raw, yaml.MappingNode):
            for pair in raw.value:
                stack.extend(pair)
        elif isinstance(raw, yaml.SequenceNode):
            stack.extend(raw.value)


def _quoted(name: str) -> str:
    return name if _SIMPLE_KEY.fullmatch(name) else f'"{name}"'
