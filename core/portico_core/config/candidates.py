"""The candidates of a model: a text BACKEND/MODEL each, or a mapping that says more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from portico.config import Node, Tokens, did_you_mean, fill
from portico_core.candidates import STAR, Candidate
from portico_core.policy import ORDER, Policy
from portico_core.pools.needs import FEATURES

_MODEL: Final = "model"
_WEIGHT: Final = "weight"


@dataclass(frozen=True, slots=True)
class _Entry:
    """The members of a candidate beside its model."""

    weight: float = 1.0
    priority: int = 0
    context: Tokens | None = None
    features: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    limit: int | None = None
    queue: int | None = None

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("weight: expected 0 or more")
        for feature in self.features or ():
            if feature not in FEATURES:
                raise ValueError(f"features: {feature} is not known. {did_you_mean(feature, FEATURES)}")
        for tag in self.tags:
            if not tag.isprintable() or not tag.isascii() or not tag or set(tag) & set(" ,"):
                raise ValueError("tags: a tag is printable ASCII without blanks and commas")
        if self.limit is not None and self.limit < 1:
            raise ValueError("limit: expected 1 or more")
        if self.queue is not None and self.queue < 0:
            raise ValueError("queue: expected 0 or more")
        if self.queue is not None and self.limit is None:
            raise ValueError("queue: nobody waits without a limit. Add `limit: …`.")


def candidates_of(
    name: str, nodes: Sequence[Node], policy: Policy, backends: Sequence[str]
) -> tuple[Candidate, ...]:
    """Read the candidates of the model ``name``; return them in the order of their priorities."""
    candidates = [_candidate(name, node, policy, backends) for node in nodes]
    return tuple(sorted(candidates, key=lambda each: each.priority))


def _candidate(name: str, node: Node, policy: Policy, backends: Sequence[str]) -> Candidate:
    if not node.is_mapping:
        return Candidate(*_backend_and_model(name, node, backends))
    members = node.members()
    if _MODEL not in members:
        raise node.error(f"{_MODEL} is missing", f"Add `{_MODEL}: BACKEND/MODEL` here.")
    if _WEIGHT in members and policy.balance == ORDER:
        raise members[_WEIGHT].error(
            "means nothing in an order", "Add `balance: weighted` or `balance: least` to the model."
        )
    entry = fill(_Entry, node, skip=(_MODEL,))
    backend, model = _backend_and_model(name, members[_MODEL], backends)
    return Candidate(
        backend,
        model,
        context=entry.context,
        weight=entry.weight,
        priority=entry.priority,
        features=None if entry.features is None else frozenset(entry.features),
        tags=frozenset(entry.tags),
        limit=entry.limit,
        queue=entry.queue,
    )


def _backend_and_model(name: str, node: Node, backends: Sequence[str]) -> tuple[str, str]:
    """Read BACKEND/MODEL."""
    backend, _, model = node.text().partition("/")
    if not backend or not model:
        raise node.error(f"expected BACKEND/MODEL, found {node.found}")
    if backend not in backends:
        # As it is written, not as variables fill it in: one may hold a key.
        raise node.error(
            f"no backend is called {node.found.partition('/')[0]}", did_you_mean(backend, backends)
        )
    if model != STAR and STAR in model and STAR not in name:
        raise node.error(f"the * in {model} stands for nothing, as {name} has none")
    return backend, model
