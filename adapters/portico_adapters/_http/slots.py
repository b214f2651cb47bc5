"""A bound on the connections to one backend. Who finds none free waits, first come, first served."""

import asyncio
from collections import deque


class Slots:
    """Like ``asyncio.Semaphore``, which costs seven calls where there is room, and this two."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Take one that is free. False: there is none."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def wait(self) -> None:
        """Take one once it is free. Who is cancelled has none."""
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            await mine
        except BaseException:
            if mine in self._waiting:
                self._waiting.remove(mine)
            elif not mine.cancelled():
                # It came just as its caller went.
                self.leave()
            raise

    def leave(self) -> None:
        """Give one back; the first of those who wait has it at once."""
        while self._waiting:
            first = self._waiting.popleft()
            if not first.done():
                first.set_result(None)
                return
        self._free += 1
