"""When two JSON texts mean the same, for everything that Portico takes in and gives out.

Members that are null are absent, and so are empty lists, and empty objects where the contract has a
map. 1 and 1.0 are one number. An image may be a bare URL. The order of members does not count. All
else does.
"""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

# Members that are maps in the contract.
MAPS = {"metadata", "logit_bias"}

# The `object` of a stream's chunks; of a text completion, streamed or not.
CHUNK = "chat.completion.chunk"
TEXT = "text_completion"

# What the chunks of a stream have in common.
HEADER = ("id", "object", "created", "model", "system_fingerprint", "service_tier")

# OpenAI's classes of service; others are its "default", and are named beside.
TIERS = {"auto", "default", "flex", "scale", "priority", "fast"}

# What OpenAI always writes of the parts of a message.
CITATION = {"start_index": 0, "end_index": 0, "title": "", "url": ""}
AUDIO = {"id": "", "expires_at": 0, "data": "", "transcript": ""}


def meaning(text: bytes | str) -> Any:
    """Return what a JSON text means, as something to compare."""
    return bare(json.loads(text))


def bare(value: Any) -> Any:
    """Leave out what means the same as absent."""
    if isinstance(value, list):
        return [bare(each) for each in value]
    if isinstance(value, dict):
        members = {name: bare(each) for name, each in value.items()}
        if isinstance(members.get("image_url"), str):
            members["image_url"] = {"url": members["image_url"]}
        return {name: each for name, each in members.items() if not _absent(name, each)}
    return value


def answered(completion: dict[str, Any]) -> dict[str, Any]:
    """Return an unstreamed answer with what the gateway always writes."""
    told: dict[str, Any] = bare(completion)
    told["object"] = _constant(told.get("object"), "chat.completion")
    for choice in _objects(told.get("choices")):
        choice.setdefault("index", 0)
        if isinstance(choice.get("message"), dict):
            _fill_message(choice["message"])
    _name_tier(told)
    return told


def answered_text(completion: dict[str, Any]) -> dict[str, Any]:
    """``answered`` for a text completion."""
    told: dict[str, Any] = bare(completion)
    told["object"] = _constant(told.get("object"), TEXT)
    for choice in _objects(told.get("choices")):
        _fill_text(choice)
    return told


def embedded(embeddings: dict[str, Any]) -> dict[str, Any]:
    """``answered`` for embeddings."""
    told: dict[str, Any] = bare(embeddings)
    told["object"] = _constant(told.get("object"), "list")
    for each in _objects(told.get("data")):
        each["object"] = _constant(each.get("object"), "embedding")
        each.setdefault("index", 0)
        vector = each.get("embedding")
        if isinstance(vector, list) and all(type(value) in (int, float) for value in vector):
            # Of a vector alone the numbers are doubles, however long they are written.
            each["embedding"] = [float(value) for value in vector]
    return told


def streamed(
    chunks: Iterable[dict[str, Any]], *, include_usage: bool, kind: str = CHUNK
) -> list[dict[str, Any]]:
    """Return the events of a stream's chunks as the gateway tells them, usage chunk included."""
    roles: dict[int, str] = {}
    lists: Counter[tuple[int, str]] = Counter()
    events = []
    head: dict[str, Any] = {}
    owed: dict[str, Any] = {}
    for chunk in chunks:
        told = bare(chunk)
        told["object"] = _constant(told.get("object"), kind)
        _name_tier(told)
        head = {name: told[name] for name in (*HEADER, "native_service_tier") if name in told}
        usage = told.pop("usage", None)
        if usage is not None:
            own = {name: each for name, each in told.items() if name not in (*HEADER, "native_service_tier")}
            owed = {"usage": usage} | ({} if "choices" in told else own)
            if "choices" not in told:
                continue
        for choice in _objects(told.get("choices")):
            if kind == CHUNK:
                _tell_role(choice, roles)
                _number(choice, lists)
                if isinstance(choice["delta"], dict):
                    _fill_sources(choice["delta"])
            else:
                _fill_text(choice)
        events.append(told)
    return [*events, head | owed] if owed and include_usage else events


def _fill_text(choice: dict[str, Any]) -> None:
    choice.setdefault("index", 0)
    choice.setdefault("text", "")


def _fill_message(message: dict[str, Any]) -> None:
    message.setdefault("role", "assistant")
    if isinstance(message.get("audio"), dict):
        message["audio"] = AUDIO | message["audio"]
    _fill_sources(message)


def _fill_sources(message: dict[str, Any]) -> None:
    for annotation in _objects(message.get("annotations")):
        if isinstance(annotation.get("url_citation"), dict):
            annotation["url_citation"] = CITATION | annotation["url_citation"]


def _name_tier(told: dict[str, Any]) -> None:
    tier = told.get("service_tier")
    if isinstance(tier, str) and tier not in TIERS:
        told |= {"service_tier": "default"} | ({"native_service_tier": tier} if tier else {})


def _number(choice: dict[str, Any], lists: Counter[tuple[int, str]]) -> None:
    """Number the entries of lists that were begun in an earlier chunk; tool calls have numbers."""
    index = choice["index"]
    whole = isinstance(index, int) or (isinstance(index, float) and index.is_integer())
    for name, value in choice["delta"].items() if isinstance(choice["delta"], dict) else ():
        entries = _objects(value) if name != "tool_calls" and whole else []
        begun = lists[choice["index"], name] if entries else 0
        for place, entry in enumerate(entries if begun else (), begun):
            entry.setdefault("index", place)
        if entries:
            lists[choice["index"], name] += len(entries)


def _tell_role(choice: dict[str, Any], roles: dict[int, str]) -> None:
    index = choice.setdefault("index", 0)
    delta = choice.setdefault("delta", {})
    if index not in roles:
        roles[index] = delta.setdefault("role", "assistant")
    elif delta.get("role") == roles[index]:
        del delta["role"]


def _constant(told: Any, constant: str) -> Any:
    """A constant replaces any text; what is no text arrives as it is."""
    return constant if told is None or isinstance(told, str) else told


def _objects(value: Any) -> list[dict[str, Any]]:
    """Return a list of objects; where it is anything else it has none that the gateway knows."""
    fits = isinstance(value, list) and all(isinstance(each, dict) for each in value)
    return value if fits else []


def _absent(name: str, value: Any) -> bool:
    return value is None or value == [] or (name in MAPS and value == {})
