"""Connections that wait to be accepted: the supervisor holds them, so that they outlive who accepts them."""

import contextlib
from typing import Final

from portico_facade.listen import listening


class Backlog:
    """Listening sockets of an address, which are handed to one process after another."""

    def __init__(self, address: str, *, alone: bool) -> None:
        """``address``: HOST:PORT that this and other backlogs share, or unix:/PATH.

        ``alone``: one process at a time accepts from it, so that without one its connections had to wait.
        """
        self._address: Final = address
        self._alone: Final = alone
        self._stack: Final = contextlib.ExitStack()
        self._descriptors: tuple[int, ...] = ()

    def open(self) -> tuple[int, ...]:
        """Return the sockets' descriptors; listen if need be. Raises OSError."""
        if not self._descriptors:
            sockets, _ = self._stack.enter_context(listening(self._address, shared=self._alone))
            self._descriptors = tuple(sock.fileno() for sock in sockets)
        return self._descriptors

    def abandon(self) -> None:
        """Have connections go to other processes, as none will accept here for a while."""
        if self._alone:
            self.close()

    def close(self) -> None:
        """Close the sockets here; processes that accept close theirs."""
        self._descriptors = ()
        self._stack.close()
