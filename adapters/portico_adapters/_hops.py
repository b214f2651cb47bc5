"""How many gateways a call has come through, so that none goes round for ever (docs/decisions/0006). Pure.

Each call says it in the header ``x-portico-hops`` and is refused beyond ``MAX_HOPS``; models that another
gateway lists say it in their member ``portico_hops``.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from portico.errors import invalid_request
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model

#: How many gateways may follow the first one.
MAX_HOPS: Final = 4

#: In a request: how many gateways sent it on. In an answer to GET /models: a gateway lists them.
HOPS_HEADER: Final = "x-portico-hops"
_MEMBER: Final = "portico_hops"


def onward(headers: Sequence[Header]) -> str:
    """Return the header's value for a request on behalf of one with ``headers``.

    Raises 400 ``gateway_loop`` where it has come through too many gateways. It is the caller's mistake, so
    that no gateway on the way back tries its next candidate.
    """
    hops = 1
    for each in headers:
        if each.name == HOPS_HEADER:
            hops = max(hops, 1 + _number(each.value))
    if hops > MAX_HOPS:
        raise invalid_request(
            f"The request came through {hops} gateways: their routes for this model lead in a circle.",
            "model",
            "gateway_loop",
        )
    return str(hops)


def one_hop_on(model: Model) -> bool:
    """Count this gateway in a listed model. False: calls of it would come through too many."""
    members: dict[str, Any] = json.loads(model.extra_json or "{}")
    told = members.get(_MEMBER)
    hops = 1 + (told if isinstance(told, int) else 0)
    model.extra_json = json.dumps({**members, _MEMBER: hops}, ensure_ascii=False)
    return hops <= MAX_HOPS


def _number(value: bytes) -> int:
    """Return a small number; 0 for what is none."""
    return int(value) if len(value) <= 4 and value.isdigit() else 0
