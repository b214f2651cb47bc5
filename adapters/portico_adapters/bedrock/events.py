"""What a frame of an event stream says, whoever cut it out. Pure."""

from typing import Final, NamedTuple

#: Kinds of frames that AWS sends.
EVENT: Final = "event"
EXCEPTION: Final = "exception"
ERROR: Final = "error"
#: Ours: the stream has ended between two frames; it cannot be read on.
END: Final = "end"
DAMAGED: Final = "damaged"


class Frame(NamedTuple):
    """One frame."""

    kind: str
    #: Of an event or exception its type, of an error its code, of damage what it is.
    name: str = ""
    payload: bytes = b""
