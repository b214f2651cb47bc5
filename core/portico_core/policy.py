"""What a model says beside its candidates: how they are chosen from, and what becomes of parameters. Pure."""

from dataclasses import dataclass
from typing import Final

from portico.config import Duration

ALLOW: Final = "allow"
DROP: Final = "drop"
REFUSE: Final = "refuse"

#: In the order of the list; by weight alone; by weight, load and speed.
ORDER: Final = "order"
WEIGHTED: Final = "weighted"
LEAST: Final = "least"

#: What follows when a backend breaks off after the first content of a stream: an error; it cannot, as
#: nothing is sent until the answer is whole; the text is continued elsewhere; the answer is made again
#: elsewhere, and goes on where it repeats the first.
ERROR: Final = "error"
HOLD: Final = "hold"
PREFILL: Final = "prefill"
VERIFY: Final = "verify"

#: The one member of a request that affinity may follow.
CACHE_KEY: Final = "prompt_cache_key"


@dataclass(frozen=True, slots=True)
class ByHeader:
    """What calls have in common that are to go to the same candidate: the value of a header."""

    header: str

    def __post_init__(self) -> None:
        if self.header != self.header.strip().lower() or not self.header:
            raise ValueError("header: a header's name is written in lower case")


@dataclass(frozen=True, slots=True)
class Policy:
    """Members of a model in the configuration, beside its candidates."""

    #: What a backend says that it cannot do: refused by name, or left out and told in the answer.
    unsupported: str = REFUSE
    #: Members that OpenAI's API does not have: sent on as they are, left out and told, or refused.
    unknown: str = ALLOW
    #: How one is chosen among candidates of the same priority.
    balance: str = ORDER
    #: What calls have in common that are to go to the same candidate: CACHE_KEY, or a header.
    affinity: str | ByHeader | None = None
    #: The public name of the model that answers where all candidates have failed.
    fallback: str | None = None
    #: What follows when a stream breaks off after its first content.
    broken: str = ERROR
    #: Whether a second candidate is asked where the first is slow: after so many seconds, or with True
    #: once it takes longer than nineteen of twenty calls of its own.
    hedge: bool | Duration = False

    def __post_init__(self) -> None:
        if self.unsupported not in (REFUSE, DROP):
            raise ValueError(f"unsupported: expected refuse or drop, found {self.unsupported}")
        if self.unknown not in (ALLOW, DROP, REFUSE):
            raise ValueError(f"unknown: expected allow, drop or refuse, found {self.unknown}")
        if self.balance not in (ORDER, WEIGHTED, LEAST):
            raise ValueError(f"balance: expected order, weighted or least, found {self.balance}")
        if self.broken not in (ERROR, HOLD, PREFILL, VERIFY):
            raise ValueError(f"broken: expected error, hold, prefill or verify, found {self.broken}")
        if isinstance(self.affinity, str) and self.affinity != CACHE_KEY:
            raise ValueError(f"affinity: expected {CACHE_KEY} or {{header: NAME}}, found {self.affinity}")
        if self.affinity is not None and self.balance == ORDER:
            raise ValueError("affinity: has no choice in an order. Add `balance: weighted` or `least`.")


#: Of a model that says nothing.
USUAL: Final = Policy()
