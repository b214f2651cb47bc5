"""Members of the caller's own in a request of Converse: which are Converse's, and which the model's. Pure."""

from typing import Final

from msgspec import Raw
from msgspec.json import encode

from portico_adapters._json import members

#: Converse's member for those of a model's own API.
OF_THE_MODEL: Final = "additionalModelRequestFields"
# Its top_k has another name, in a place of its own ("Complete request schema" of Amazon Nova).
_NOVA: Final = "amazon.nova"


def placed(extra_json: str, model: str) -> dict[str, Raw]:
    """Return the members of the body. Raise 400 for what is no object.

    Converse writes its own in camel case, all but those that the gateway makes. ``top_k``, ``k``,
    ``thinking`` and the like are the model's, and Converse refuses them beside its own.
    """
    told = members(extra_json, "extra_json")
    own: dict[str, object] = {}
    for name in [name for name in told if name == name.lower()]:
        value = told.pop(name)
        own |= {"inferenceConfig": {"topK": value}} if name == "top_k" and _NOVA in model else {name: value}
    if own:
        told[OF_THE_MODEL] = Raw(encode(own | members(bytes(told.pop(OF_THE_MODEL, b"null")), OF_THE_MODEL)))
    return told
