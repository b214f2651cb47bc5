"""A call on its way through the core's stages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, NamedTuple, TypeAlias

from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.completions_pb2 import TextCompletionParams
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico.v1.headers_pb2 import Header
from portico.v1.receipt_pb2 import Attempt, Served
from portico.v1.usage_pb2 import Usage
from portico_core.candidates import Candidate
from portico_core.policy import USUAL, Policy

#: What a backend may be asked.
Params: TypeAlias = ChatCompletionParams | TextCompletionParams | EmbeddingParams


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls."""

    name: str


#: Why a candidate was passed: its breaker was open, or it and its queue were full.
OPEN: Final = "open"
FULL: Final = "full"

ANONYMOUS: Final = Principal("anonymous")


class Spent(NamedTuple):
    """An attempt that did not come to a whole end."""

    #: As in the call, should its caller have something of it.
    served: Served
    record: Attempt
    #: What its backend told. None: nothing.
    told: Usage | None
    #: Whether it was asked for an answer, and did not refuse.
    worked: bool


@dataclass(slots=True)
class Call:
    """One call: what was asked, and what its stages found out and did."""

    #: Name of the RPC, such as ``Chat``.
    rpc: str
    context: CallContext
    headers: Sequence[Header] = ()
    #: Empty where the RPC asks no model.
    params: Params = field(default_factory=ChatCompletionParams)
    #: Whether the caller of a stream wants to hear of its attempts, and lets it start over.
    events: bool = False
    restart: bool = False
    #: ``time.monotonic()``.
    started: float = field(default_factory=monotonic)
    #: The name that was asked for.
    model: str = field(init=False)

    principal: Principal = ANONYMOUS
    candidates: Sequence[Candidate] = ()
    policy: Policy = USUAL
    #: Names of the parameters that were left out, by the gateway or for the candidate that serves.
    dropped: list[str] = field(default_factory=list)
    #: Ended ones, in order.
    attempts: list[Attempt] = field(default_factory=list)
    #: Those of them that may have cost something for nothing.
    spent: list[Spent] = field(default_factory=list)
    #: Candidates that were not tried, and why not.
    passed: list[tuple[Candidate, str]] = field(default_factory=list)
    served: Served | None = None
    usage: Usage | None = None
    #: Milliseconds from the start to the first content.
    first_content_ms: float | None = None
    #: Milliseconds from the start to the end, once it is over.
    duration_ms: float = 0.0
    error: GatewayError | None = None

    def __post_init__(self) -> None:
        self.model = self.params.model

    def elapsed_ms(self) -> float:
        """Return the milliseconds since the start."""
        return (monotonic() - self.started) * 1000
