"""Child processes that start in order, come back when they die, and stop in the opposite order."""

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping, Sequence

from portico_facade.cli.keeper import Keeper

_log = logging.getLogger("portico.supervisor")


async def supervise(tiers: Sequence[Sequence[Keeper]], ready: Callable[[Mapping[Keeper, str]], None]) -> int:
    """Run children until SIGTERM or SIGINT, then drain them.

    Those of a tier start and drain together; a tier starts when those before it are ready, and drains before
    they do. ``ready`` is called once, with the address of each child. SIGHUP goes to those that reload;
    SIGUSR2 has fresh processes take over from those that can be replaced, one by one. A second SIGTERM or
    SIGINT stops the children without waiting for running calls.

    Returns the exit status: that of a child that could not start, at first or later again and again, and
    without whom a tier has nobody.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    keepers = [keeper for tier in tiers for keeper in tier]
    outcome = 0
    rolling: asyncio.Task[None] | None = None

    def stopping(number: signal.Signals) -> None:
        if stop.is_set():
            for keeper in reversed(keepers):
                keeper.signal(number)
        stop.set()

    def reloading() -> None:
        for keeper in keepers:
            keeper.reload()

    def replacing() -> None:
        nonlocal rolling
        if rolling is None or rolling.done():
            rolling = asyncio.create_task(_replace(keepers))

    def hopeless(status: int) -> None:
        nonlocal outcome
        if any(all(keeper.hopeless for keeper in tier) for tier in tiers):
            outcome = status if status > 0 else 1
            stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping, number)
    loop.add_signal_handler(signal.SIGHUP, reloading)
    loop.add_signal_handler(signal.SIGUSR2, lambda: None)

    addresses: dict[Keeper, str] = {}
    for tier in tiers:
        started = await asyncio.gather(*(keeper.start() for keeper in tier))
        for keeper, address in zip(tier, started, strict=True):
            if address is None:
                # Before it is sent a signal: that would take its exit status from whoever waits for it.
                status = await keeper.ended()
                await _drain(tiers)
                return status if status > 0 else 1
            addresses[keeper] = address
    loop.add_signal_handler(signal.SIGUSR2, replacing)
    ready(addresses)

    for keeper in keepers:
        keeper.keep(hopeless)
    await stop.wait()
    if rolling is not None:
        rolling.cancel()
        await asyncio.gather(rolling, return_exceptions=True)
    await _drain(tiers)
    return outcome


async def _replace(keepers: Sequence[Keeper]) -> None:
    """Replace the children one after the other, as long as that goes well."""
    replaceable = [keeper for keeper in keepers if keeper.replaceable]
    if not replaceable:
        _log.error("nothing is replaced: facade and core run apart; restart the gateway")
    for keeper in replaceable:
        if not await keeper.replace():
            _log.error(
                "the %s is not replaced, nor are those after it: a new one does not start", keeper.name
            )
            return
        _log.info("the %s is replaced", keeper.name)


async def _drain(tiers: Sequence[Sequence[Keeper]]) -> None:
    for tier in reversed(tiers):
        await asyncio.gather(*(keeper.leave() for keeper in tier))
        for keeper in tier:
            keeper.signal(signal.SIGTERM)
        await asyncio.gather(*(keeper.ended() for keeper in tier))
