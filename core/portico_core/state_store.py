"""What must be exact over all processes of one gateway, and where it is kept (decision 15)."""

from typing import Protocol
from weakref import WeakValueDictionary

from portico_core.places import Places


class Gate(Protocol):
    """Who may go to one backend, or one of its models, now. See ``Places``, which is one."""

    @property
    def waiting(self) -> int:
        """How many calls of this process wait."""
        ...

    async def take(self, limit: int, queue: int, patience: float) -> bool:
        """Take a place, waiting for one for ``patience`` seconds at most. False: none came."""
        ...

    def leave(self) -> None:
        """Give a place back."""
        ...


class StateStore(Protocol):
    """Keeps what processes share. It is asked by calls that have a limit, and by no others."""

    def gate(self, name: str) -> Gate:
        """Return the gate of a name: the same for all who share the store."""
        ...


class OwnState:
    """The state of one process."""

    def __init__(self) -> None:
        # Names hold models, which callers may make up: what nobody uses is forgotten.
        self._gates: WeakValueDictionary[str, Places] = WeakValueDictionary()

    def gate(self, name: str) -> Places:
        """Return the places of a name."""
        found = self._gates.get(name)
        if found is None:
            found = self._gates[name] = Places()
        return found
