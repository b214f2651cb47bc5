"""A text of YAML as a tree of values that know their place, so that every mistake is told with its line."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

import yaml

from portico.config.mistakes import ConfigError
from portico.config.node import PLAIN_TAGS, UNMASK, Document, Node, masked

# A configuration is written by hand; what is larger is a mistake or an attack.
_MAX_BYTES: Final = 1 << 20
#: Values counted as often as an alias repeats them, which stops bombs of aliases within aliases.
_MAX_VALUES: Final = 50_000
#: What messages call a mapping.
_MAPPING: Final = "the configuration"

#: A configuration file, or what would stand in one.
Source: TypeAlias = Path | Mapping[str, Any]


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
    text = masked(text)
    try:
        raw = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        _raise_syntax(file, error)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{file}:{line}: holds a character that YAML does not allow") from None
    except RecursionError:
        raise ConfigError(f"{file}: is nested too deeply") from None
    document = Document(file, environ, places)
    if raw is None:
        raw = yaml.MappingNode(PLAIN_TAGS + "map", [], yaml.Mark(file, 0, 0, 0, None, 0))
    _bound(document, raw)
    return Node(document, raw, "")


def _raise_syntax(file: str, error: yaml.MarkedYAMLError) -> NoReturn:
    mark = error.problem_mark or error.context_mark
    line = f":{mark.line + 1}" if mark is not None else ""
    problem = (error.problem or "cannot be read").translate(UNMASK)
    context = f" ({error.context})" if error.context else ""
    raise ConfigError(f"{file}{line}: is not valid YAML: {problem}{context}") from None


def _bound(document: Document, root: yaml.Node) -> None:
    """Refuse foreign tags, and trees that aliases make huge or endless."""
    stack, count = [root], 0
    while stack:
        raw = stack.pop()
        count += 1
        if count > _MAX_VALUES:
            raise Node(document, raw, "").error(f"the file holds more than {_MAX_VALUES:,} values")
        if not raw.tag.startswith(PLAIN_TAGS):
            raise Node(document, raw, "").error(f"the tag {raw.tag} means nothing here", "Leave it out.")
        if isinstance(raw, yaml.MappingNode):
            for pair in raw.value:
                stack.extend(pair)
        elif isinstance(raw, yaml.SequenceNode):
            stack.extend(raw.value)
