"""One load of the benchmarks: what is asked, of whom, how often. Pure."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

from tests.bench.answers import Ask


@dataclass(frozen=True)
class Spec:
    """A load, and where to put it."""

    url: str
    connections: int
    model: str = "bench"
    stream: bool = False
    ask: Ask = field(default_factory=Ask)
    #: For how long requests are begun. 0: until ``requests`` are.
    seconds: float = 0.0
    requests: int = 0
    #: Over which time the connections begin.
    ramp: float = 0.0
    #: Bytes of the last message and number of messages in a request.
    payload: int = 128
    messages: int = 1
    #: Read the number of each token, not only those at the ends of a read.
    check: bool = False
    #: Whose CPU to measure: the target's, and the upstream's.
    pids: Sequence[int] = ()
    upstream_pids: Sequence[int] = ()

    @staticmethod
    def read(text: str) -> "Spec":
        """Return the spec that ``str`` wrote."""
        members = json.loads(text)
        return Spec(**members | {"ask": Ask(**members["ask"])})

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    @property
    def address(self) -> tuple[str, int]:
        """Return where to connect."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80

    def request(self) -> bytes:
        """Return the bytes of a request."""
        parts = urlsplit(self.url)
        text = f"{self.ask} ".ljust(self.payload, "x")
        past = [
            {"role": ("user", "assistant")[number % 2], "content": "So it goes. " * 16}
            for number in range(self.messages - 1)
        ]
        messages = [*past, {"role": "user", "content": text}]
        body = json.dumps({"model": self.model, "stream": self.stream, "messages": messages}).encode()
        head = (
            f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body
