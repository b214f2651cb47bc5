"""What the backends list: fixed by the configuration, or asked for, kept, and renewed when it is used."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from portico.errors import GatewayError, internal, upstream_silent
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico_core.backends import Backend
from portico_core.candidates import STAR
from portico_core.routing import first_to_list
from portico_core.telemetry import line

_log: Final = logging.getLogger("portico.catalog")

#: Seconds after which a list is asked for again when it is used; sooner where that failed.
_FRESH: Final = 60.0
_RETRY: Final = 5.0
#: Seconds that a backend has for its list.
_PATIENCE: Final = 10.0
#: Seconds that a call waits for the first list of a backend.
_FIRST_WAIT: Final = 2.0


class _Listing:
    """The list of one backend. A backend that is down keeps its last one."""

    def __init__(self, backend: Backend, changed: Callable[[], None]) -> None:
        self.backend = backend
        self.models: Sequence[Model] = [Model(id=each) for each in backend.models or ()]
        #: Whether it lists by caller: then nothing is kept.
        self.by_caller = backend.models is None and backend.lists_by_caller
        #: Whether there is a list; an empty one counts.
        self.known = backend.models is not None or self.by_caller
        self.asking: asyncio.Task[None] | None = None
        self._changed = changed
        self._failing = False
        self._ask_again = float("inf") if self.known else 0.0

    def go_on(self, before: "_Listing") -> None:
        """Begin with what an earlier one of the same backend knows."""
        self.models, self.known = before.models, before.known
        self._failing, self._ask_again = before._failing, before._ask_again

    def names(self) -> Iterable[str]:
        """Return the names of its models."""
        return (model.id for model in self.models)

    def renew(self) -> None:
        """Start to ask the backend, if it is time."""
        if self.asking is None and monotonic() >= self._ask_again:
            self.asking = asyncio.create_task(self._ask(), name=f"models of {self.backend.name}")

    async def ask_for(self, headers: Sequence[Header], patience: float) -> Sequence[Model]:
        """Return the list for one caller; raise GatewayError."""
        try:
            async with asyncio.timeout(patience):
                return _servable(await self.backend.adapter.list_models(headers))
        except TimeoutError:
            raise upstream_silent("The backend did not list its models in time.") from None
        except GatewayError as error:
            self.backend.redact(error)
            raise
        except Exception as error:
            _log.exception("adapter raised %s", line(backend=self.backend.name))
            raise internal(repr(error)) from error

    async def _ask(self) -> None:
        pause = _RETRY
        try:
            async with asyncio.timeout(_PATIENCE):
                models = await self.backend.adapter.list_models(())
            self.models = _servable(models)
            self.known, self._failing, pause = True, False, _FRESH
            self.backend.listed()
            self._changed()
        except TimeoutError:
            self._complain(f"no answer within {_PATIENCE:g} s")
        except GatewayError as error:
            self.backend.redact(error)
            self._complain(error.detail or error.message)
        except Exception:
            _log.exception("adapter raised %s", line(backend=self.backend.name))
            self.backend.listed("The adapter raised an error.")
        finally:
            self._ask_again = monotonic() + pause
            self.asking = None

    def _complain(self, reason: str) -> None:
        # Once is enough: while the backend is down, it is asked again and again.
        level = logging.DEBUG if self._failing else logging.WARNING
        self._failing = True
        self.backend.listed(reason)
        _log.log(level, "cannot list models %s", line(backend=self.backend.name, reason=reason))


def _servable(models: Iterable[Model]) -> list[Model]:
    """Leave out what cannot be asked for by its name: wildcards, and names that would break a log line."""
    return [model for model in models if model.id and model.id.isprintable() and STAR not in model.id]


@dataclass(slots=True)
class OfCaller:
    """What backends list to one caller, and why others do not."""

    models: dict[str, Sequence[Model]] = field(default_factory=dict)
    errors: list[GatewayError] = field(default_factory=list)


class Catalog:
    """The lists of all backends."""

    def __init__(
        self,
        backends: Iterable[Backend],
        bare: Callable[[str], bool] = lambda _: True,
        before: "Catalog | None" = None,
    ) -> None:
        """``bare``: whether what a backend lists may be asked for without its name. ``before``: an earlier
        catalog; of the backends that stand in it too the lists are known.
        """
        self._bare = bare
        self._listings = [_Listing(backend, self._forget) for backend in backends]
        known = {} if before is None else {each.backend: each for each in before._listings}
        for each in self._listings:
            if each.backend in known:
                each.go_on(known[each.backend])
        self._listed: Mapping[str, str] | None = None

    def renew(self) -> None:
        """Ask, in the background, the backends whose lists are due."""
        for listing in self._listings:
            listing.renew()

    async def complete(self, patience: float | None = None) -> None:
        """Wait a little for backends that never listed their models. ``patience``: seconds at most."""
        self.renew()
        asking = [each.asking for each in self._listings if each.asking is not None and not each.known]
        if asking:
            timeout = _FIRST_WAIT if patience is None else min(patience, _FIRST_WAIT)
            await asyncio.wait(asking, timeout=timeout)

    def listed(self) -> Mapping[str, str]:
        """Return model -> the first backend that lists it and need not be named."""
        if self._listed is None:
            self._listed = first_to_list(
                (each.backend.name, each.names()) for each in self._listings if self._bare(each.backend.name)
            )
        return self._listed

    def _forget(self) -> None:
        self._listed = None

    async def of_caller(self, headers: Sequence[Header], patience: float | None = None) -> "OfCaller":
        """Ask the backends that list by caller; ``headers`` are the caller's. Nothing of it is kept."""
        listings = [each for each in self._listings if each.by_caller]
        seconds = _PATIENCE if patience is None else min(patience, _PATIENCE)
        answers = await asyncio.gather(
            *(each.ask_for(headers, seconds) for each in listings), return_exceptions=True
        )
        found = OfCaller()
        for listing, answer in zip(listings, answers, strict=True):
            if isinstance(answer, GatewayError):
                reason = answer.detail or answer.message
                _log.info(
                    "cannot list models to a caller %s", line(backend=listing.backend.name, reason=reason)
                )
                found.errors.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found.models[listing.backend.name] = answer
        return found

    def models(self, of_caller: "OfCaller | None" = None) -> Iterable[tuple[str, Model]]:
        """Yield (backend, model) for all that backends list, in the order of the configuration."""
        own = {} if of_caller is None else of_caller.models
        for each in self._listings:
            for model in own.get(each.backend.name, each.models):
                yield each.backend.name, model

    async def aclose(self) -> None:
        """Stop asking."""
        asking = [each.asking for each in self._listings if each.asking is not None]
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
