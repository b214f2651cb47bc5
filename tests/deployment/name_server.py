"""A name server for one name, in the place of a cluster's: the addresses of a headless Service."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

_A, _IN = 1, 1


@dataclass
class Names:
    """What the name means; change ``addresses`` at any time."""

    #: HOST:PORT of the name server.
    server: str
    addresses: list[str]
    #: How many questions for addresses came.
    asked: int = field(default=0)


@contextlib.contextmanager
def name_server(*addresses: str) -> Iterator[Names]:
    """Answer every question for IPv4 addresses with these, and every other with nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        names = Names("{}:{}".format(*server.getsockname()), list(addresses))
        thread = threading.Thread(target=_serve, args=(server, names))
        thread.start()
        try:
            yield names
        finally:
            # An empty datagram is no question: it ends the thread.
            server.sendto(b"", server.getsockname())
            thread.join()


def _serve(server: socket.socket, names: Names) -> None:
    while True:
        query, client = server.recvfrom(512)
        if not query:
            return
        server.sendto(_reply(query, names), client)


def _reply(query: bytes, names: Names) -> bytes:
    """Make the reply of RFC 1035, section 4: header, question, answers of 1 s to live."""
    number = query[:2]
    end = query.index(b"\0", 12) + 5
    (kind,) = struct.unpack(">H", query[end - 4 : end - 2])
    answers = names.addresses if kind == _A else []
    names.asked += kind == _A
    # Response, recursion desired and available, no error; one question, so many answers.
    head = number + struct.pack(">HHHHH", 0x8180, 1, len(answers), 0, 0)
    # 0xC00C points at the name in the question.
    records = (struct.pack(">HHHIH", 0xC00C, _A, _IN, 1, 4) + socket.inet_aton(each) for each in answers)
    return head + query[12:end] + b"".join(records)
