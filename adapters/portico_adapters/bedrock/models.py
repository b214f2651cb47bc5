"""The models of GET /foundation-models and /inference-profiles as OpenAI's. Pure."""

from datetime import datetime
from typing import Final
from urllib.parse import quote

from msgspec import Struct
from msgspec.json import Decoder

from portico.v1.models_pb2 import Model
from portico_adapters._reading import read

MODELS_PATH: Final = "/foundation-models"

# What the adapter can have of a model.
_MODALITIES: Final = {"TEXT", "EMBEDDING"}


class _Summary(Struct):
    modelId: str  # noqa: N815 - as AWS writes it
    providerName: str | None = None  # noqa: N815
    inputModalities: list[str] | None = None  # noqa: N815
    outputModalities: list[str] | None = None  # noqa: N815
    inferenceTypesSupported: list[str] | None = None  # noqa: N815


class _Models(Struct):
    modelSummaries: list[_Summary] | None = None  # noqa: N815


class _Profile(Struct):
    inferenceProfileId: str  # noqa: N815
    inferenceProfileArn: str | None = None  # noqa: N815
    status: str | None = None
    type: str | None = None
    #: RFC 3339.
    createdAt: str | None = None  # noqa: N815


class _Profiles(Struct):
    inferenceProfileSummaries: list[_Profile] | None = None  # noqa: N815
    nextToken: str | None = None  # noqa: N815


_MODELS: Final = Decoder(_Models)
_PROFILES: Final = Decoder(_Profiles)


def profiles_path(token: str | None) -> str:
    """Return the path of a page of inference profiles; None: the first."""
    return "/inference-profiles?maxResults=1000" + (f"&nextToken={quote(token, safe='')}" if token else "")


def models_of(body: bytes) -> list[Model]:
    """Read the models that can be called by their own names: many need a profile."""
    return [
        Model(
            id=each.modelId,
            object="model",
            owned_by=each.providerName or "bedrock",
            supports=["images"] if "IMAGE" in (each.inputModalities or ()) else (),
        )
        for each in read(body, _MODELS).modelSummaries or ()
        if each.inferenceTypesSupported is None or "ON_DEMAND" in each.inferenceTypesSupported
        if each.outputModalities is None or _MODALITIES.intersection(each.outputModalities)
    ]


def profiles_of(body: bytes) -> tuple[list[Model], str | None]:
    """Read a page of profiles, each of which is called like a model, and the token of the next page."""
    page = read(body, _PROFILES)
    found = [
        Model(id=_name(each), object="model", owned_by="bedrock", created=_unix_seconds(each.createdAt))
        for each in page.inferenceProfileSummaries or ()
        if each.status in (None, "ACTIVE")
    ]
    return found, page.nextToken or None


def _name(profile: _Profile) -> str:
    # The account's own profiles have ids that say nothing.
    own = profile.type == "APPLICATION" and profile.inferenceProfileArn
    return own or profile.inferenceProfileId


def _unix_seconds(moment: str | None) -> int | None:
    try:
        return int(datetime.fromisoformat(moment or "").timestamp())
    except (ValueError, OverflowError):
        return None
