"""What the official SDK makes of an answer, in a form that can be compared."""

from typing import Any


def whole(completion: Any) -> Any:
    """Return an unstreamed answer, less the name of the model, which the gateway changes."""
    answer = _bare(completion.to_dict(warnings=False))
    answer.pop("model", None)
    return answer


def streamed(chunks: list[Any]) -> Any:
    """Return what no cutting changes: the pieces of the choices in order, and the last usage."""
    usage: Any = None
    pieces = []
    for chunk in chunks:
        told = _bare(chunk.to_dict(warnings=False))
        usage = told.get("usage", usage)
        for choice in told.get("choices", []):
            delta = choice.get("delta", {})
            delta.pop("role", None)
            if not delta.get("content", True):
                del delta["content"]
            if not delta:
                choice.pop("delta", None)
            if choice.keys() - {"index"}:
                pieces.append(choice)
    return {"pieces": pieces, "usage": usage}


def _bare(value: Any) -> Any:
    """Drop nulls and empty lists: they mean the same as absent."""
    if isinstance(value, dict):
        return {key: _bare(inner) for key, inner in value.items() if inner is not None and inner != []}
    if isinstance(value, list):
        return [_bare(inner) for inner in value]
    return value
