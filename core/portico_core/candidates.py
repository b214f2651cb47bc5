"""What a model name may lead to: candidates, and how one of several is chosen. Pure.

``routing`` says which name leads where.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from portico_core.policy import ORDER, USUAL, Policy

#: In a route's name: any text, or none. As the whole model of a candidate: the name that was asked
#: for. Inside a longer model: what the star of the route's name stands for.
STAR: Final = "*"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backend, and the model to ask it for."""

    backend: str
    model: str
    #: The public name that its answers bear. Empty: the one that was asked for.
    public: str = ""
    #: Tokens that its context holds, as far as they are known.
    context: int | None = None
    #: Its part of the calls of its group, beside the others' weights.
    weight: float = 1.0
    #: Its group: the lowest is tried first.
    priority: int = 0
    #: What it takes beside text (``pools.needs.FEATURES``). None: everything.
    features: frozenset[str] | None = None
    #: What callers may choose it by.
    tags: frozenset[str] = frozenset()
    #: Attempts that may run at a time, and calls that may wait for one. None: the backend's.
    limit: int | None = None
    queue: int | None = None

    def __str__(self) -> str:
        return f"{self.backend}/{self.model}"


@dataclass(frozen=True, slots=True)
class Member:
    """A backend of a namespace."""

    backend: str
    #: The models it serves there. None: any.
    models: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A public model name, which may have one star, and what serves it."""

    name: str
    #: In order; their models may have a star too.
    targets: tuple[Candidate, ...]
    #: Where it stands, such as ``portico.yaml:7``.
    place: str = ""
    #: What becomes of parameters that do not fit.
    policy: Policy = USUAL

    def fits(self, name: str) -> bool:
        """Tell whether this route, whose name has a star, covers ``name``."""
        return fits(self.name, name)

    def candidates(self, name: str) -> tuple[Candidate, ...]:
        """Return the targets, with their stars filled in for ``name``."""
        prefix, _, suffix = self.name.partition(STAR)
        starred = name[len(prefix) : len(name) - len(suffix)]
        return tuple(
            replace(target, model=name if target.model == STAR else target.model.replace(STAR, starred))
            for target in self.targets
        )


@dataclass(frozen=True)
class Pool:
    """What a name stands for: the candidates, and how they are chosen from."""

    candidates: tuple[Candidate, ...]
    policy: Policy = USUAL
    #: Why the name stands for them, in words.
    rule: str = ""

    @cached_property
    def plain(self) -> bool:
        """Whether it is the same list for every call that asks for no tags."""
        if self.policy.balance != ORDER or any(each.features is not None for each in self.candidates):
            return False
        # One that stands there twice is asked once.
        return len({(each.backend, each.model) for each in self.candidates}) == len(self.candidates)


def fits(pattern: str, name: str) -> bool:
    """Tell whether a pattern, which may have one star, covers a name."""
    prefix, star, suffix = pattern.partition(STAR)
    if not star:
        return name == pattern
    return len(name) >= len(prefix) + len(suffix) and name.startswith(prefix) and name.endswith(suffix)
