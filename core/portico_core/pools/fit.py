"""Who can serve a request: what candidates take, and the tags that the caller chose. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from portico.errors import GatewayError, invalid_request
from portico_core.candidates import Candidate

#: The header in which callers name tags, separated by commas: each candidate must have all of them.
ROUTE_HEADER: Final = "x-portico-route"


def lacks(candidate: Candidate, needs: Collection[str], tags: Collection[str]) -> str:
    """Return why a candidate cannot serve, such as ``takes no images``; "" where it can."""
    missing = [tag for tag in tags if tag not in candidate.tags]
    if missing:
        return f"has no tag {', '.join(missing)}"
    if candidate.features is not None:
        refused = [feature for feature in needs if feature not in candidate.features]
        if refused:
            return f"takes no {', '.join(refused)}"
    return ""


def refusal(
    model: str, candidates: Sequence[Candidate], needs: Mapping[str, str], tags: Collection[str]
) -> GatewayError:
    """Return the 400 for a request that none of the candidates can serve."""
    tagged = [each for each in candidates if not lacks(each, (), tags)]
    if not tagged:
        return invalid_request(
            f"No backend of the model `{model}` has the tags that {ROUTE_HEADER} asks for: "
            f"{', '.join(sorted(tags))}.",
            code="route_not_found",
        )
    # Where each is taken by somebody, it is their sum that nobody takes.
    alone = [each for each in needs if all(lacks(candidate, [each], ()) for candidate in tagged)]
    features = alone or [each for each in needs if any(lacks(candidate, [each], ()) for candidate in tagged)]
    together = "" if alone else " together"
    return invalid_request(
        f"No backend of the model `{model}` takes {' and '.join(features)}{together}.",
        needs[features[0]],
        "unsupported_parameter",
    )
