"""Lists of a text completion's logprobs whose entries may be null, and whose objects keep their order."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw
from msgspec.json import Decoder

from portico.openai._values import wrong_type
from portico.v1.completions_pb2 import OptionalDouble, TokenValue, TopLogprobs

Codec = tuple[Callable[[Raw, Any], None], Callable[[Any, Any], object]]

NUMBERS_NAME: Final = OptionalDouble.DESCRIPTOR.full_name
NUMBERS_TAKES: Final = "an array of numbers"
TOP_NAME: Final = TopLogprobs.DESCRIPTOR.full_name
TOP_TAKES: Final = "an array of objects"

_NUMBERS: Final = Decoder(list[float | None] | None)
_TOP: Final = Decoder(list[dict[str, float] | None] | None)


def numbers(member: str) -> Codec:
    """Return what reads and writes ``[-0.1, null, …]``."""

    def read(raw: Raw, message: Any) -> None:
        try:
            found = _NUMBERS.decode(raw)
        except ValueError:
            raise wrong_type(NUMBERS_TAKES, raw) from None
        getattr(message, member).extend(OptionalDouble(value=each) for each in found or ())

    def write(values: Any, _: Any) -> object:
        return [each.value if each.HasField("value") else None for each in values]

    return read, write


def top(member: str) -> Codec:
    """Return what reads and writes ``[{" a": -0.1, …}, null, …]``."""

    def read(raw: Raw, message: Any) -> None:
        try:
            found = _TOP.decode(raw)
        except ValueError:
            raise wrong_type(TOP_TAKES, raw) from None
        getattr(message, member).extend(_entry(each) for each in found or ())

    def write(entries: Any, _: Any) -> object:
        return [
            None if entry.is_null else {each.token: each.logprob for each in entry.values}
            for entry in entries
        ]

    return read, write


def _entry(likeliest: dict[str, float] | None) -> TopLogprobs:
    if likeliest is None:
        return TopLogprobs(is_null=True)
    return TopLogprobs(
        values=[TokenValue(token=token, logprob=logprob) for token, logprob in likeliest.items()]
    )
