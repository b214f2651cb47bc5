"""``prompt`` and ``input``: a text, token ids, or lists of either. Anything else is carried verbatim."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw
from msgspec.json import Decoder

from portico.openai import _values
from portico.openai._json import kind
from portico.openai._values import Int64, wrong_type
from portico.v1.completions_pb2 import TextInput, TextList, TokenList, TokenLists

NAME: Final = TextInput.DESCRIPTOR.full_name
TAKES: Final = "one of a string, array or object"

# Lists that have fields. One that holds anything else is carried verbatim.
_LISTS: Final[tuple[tuple[Decoder[Any], Callable[[Any], TextInput]], ...]] = (
    (Decoder(list[str]), lambda found: TextInput(texts=TextList(values=found))),
    (Decoder(list[Int64]), lambda found: TextInput(tokens=TokenList(values=found))),
    (
        Decoder(list[list[Int64]]),
        lambda found: TextInput(token_lists=TokenLists(lists=[TokenList(values=each) for each in found])),
    ),
)


def codec(member: str) -> tuple[Callable[[Raw, Any], None], Callable[[Any, Any], object]]:
    """Return what reads the member into a message of parameters, and what writes its value."""

    def read(raw: Raw, message: Any) -> None:
        found = kind(raw)
        if found == "a string":
            getattr(message, member).text = _values.string(raw)
        elif found == "an array":
            getattr(message, member).CopyFrom(_list(raw))
        elif found == "an object":
            getattr(message, member).other_json = _values.json_text(raw)
        elif found != "null":
            raise wrong_type(TAKES, raw)

    def write(value: TextInput, _: Any) -> object:
        form = value.WhichOneof("value")
        return None if form is None else _WRITERS[form](value)

    return read, write


def _list(raw: Raw) -> TextInput:
    for decoder, made in _LISTS:
        try:
            found = decoder.decode(raw)
        except ValueError:
            continue
        if not (found and isinstance(found[0], int)):
            _values.bound(found)
        return made(found)
    return TextInput(other_json=bytes(raw).decode())


_WRITERS: Final[dict[str, Callable[[TextInput], object]]] = {
    "text": lambda value: value.text,
    "texts": lambda value: list(value.texts.values),
    "tokens": lambda value: list(value.tokens.values),
    "token_lists": lambda value: [list(each.values) for each in value.token_lists.lists],
    "other_json": lambda value: _values.carried(value.other_json),
}
