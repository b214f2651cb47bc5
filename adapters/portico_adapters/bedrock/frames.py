"""AWS's event streams (application/vnd.amazon.eventstream), as botocore reads them. No I/O."""

import struct
from collections.abc import Sequence
from typing import Final

from botocore.eventstream import EventStreamBuffer, ParserError

from portico_adapters.bedrock.events import DAMAGED, END, Frame

# Two lengths and their checksum. botocore checks them as soon as they are there.
_PRELUDE: Final = 12


class Frames:
    """Cuts a stream into its frames. What cannot be read is a frame too, after those before it."""

    def __init__(self, max_frame_bytes: int) -> None:
        self._buffer = EventStreamBuffer()
        self._limit = max_frame_bytes
        #: Reads that are held back: botocore would copy a large frame anew with each.
        self._held: list[bytes] = []
        #: Bytes that the frame which has begun still lacks, as far as that is known.
        self._missing = 0
        #: Bytes of that frame that botocore has, and the first four of them: its length.
        self._begun = 0
        self._length = b""

    def feed(self, data: bytes) -> Sequence[Frame]:
        """Return the frames that end within ``data``."""
        self._held.append(data)
        self._missing -= len(data)
        if self._missing > 0:
            return ()
        data = b"".join(self._held)
        self._held.clear()
        frames: list[Frame] = []
        size = self._begun + len(data)
        self._buffer.add_data(data)
        try:
            for message in self._buffer:
                size -= message.prelude.total_length
                frames.append(_frame(message.headers, message.payload))
        except (ParserError, KeyError, ValueError, struct.error) as problem:
            return [*frames, Frame(DAMAGED, str(problem))]
        self._length = (data[len(data) - size :] if frames else self._length + data)[:4]
        self._begun, self._missing = size, 0
        if size >= _PRELUDE:
            length = int.from_bytes(self._length)
            if length > self._limit:
                return [*frames, Frame(DAMAGED, f"a frame of {length} bytes, over {self._limit}")]
            self._missing = length - size
        return frames

    def close(self) -> Sequence[Frame]:
        """Return the end of the stream, or that it broke off within a frame."""
        if self._held or self._begun:
            return [Frame(DAMAGED, "the stream ends within a frame")]
        return [Frame(END)]


def _frame(headers: dict[str, object], payload: bytes) -> Frame:
    kind = headers.get(":message-type", "event")
    name = headers.get({"error": ":error-code"}.get(str(kind), f":{kind}-type"), "")
    told = headers.get(":error-message")
    return Frame(str(kind), str(name), str(told).encode() if kind == "error" and told else payload)
