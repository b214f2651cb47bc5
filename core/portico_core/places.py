"""Who may go to a backend with a limit of attempts at a time: a short queue, first come, first served."""

import asyncio
from collections import deque


class Places:
    """The attempts under way, and those who wait for one of them to end.

    The limit and the length of the queue come with each call: a new configuration's count at once.
    """

    __slots__ = ("__weakref__", "_taken", "_waiting")

    def __init__(self) -> None:
        self._taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def take(self, limit: int, queue: int, patience: float) -> bool:
        """Take a place, waiting for one for ``patience`` seconds at most. False: none came.

        Where ``queue`` calls wait already nobody else does. A call that is cancelled gives up its place.
        """
        if self._taken < limit and not self._waiting:
            self._taken += 1
            return True
        if len(self._waiting) >= queue or patience <= 0:
            return False
        loop = asyncio.get_running_loop()
        mine = (limit, loop.create_future())
        self._waiting.append(mine)
        try:
            async with asyncio.timeout(patience):
                await mine[1]
        except BaseException as error:
            self._withdraw(mine)
            if isinstance(error, TimeoutError):
                return False
            raise
        return True

    def leave(self) -> None:
        """Give a place back; the first of those who wait has it at once."""
        self._taken -= 1
        self._hand_on()

    def _withdraw(self, mine: tuple[int, asyncio.Future[None]]) -> None:
        if mine in self._waiting:
            self._waiting.remove(mine)
            # Who stood behind may have a higher limit.
            self._hand_on()
        elif not mine[1].cancelled():
            # The place came just as its caller went.
            self.leave()

    def _hand_on(self) -> None:
        while self._waiting and self._taken < self._waiting[0][0]:
            _, future = self._waiting.popleft()
            if not future.done():
                self._taken += 1
                future.set_result(None)
